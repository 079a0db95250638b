package lineage

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// recorder is the OpenTelemetry SDK with spans kept in memory.
type recorder struct {
	provider *sdk.TracerProvider
	spans    *tracetest.InMemoryExporter
}

func newRecorder(t testing.TB) *recorder { return newSampledRecorder(t, sdk.AlwaysSample()) }

func newSampledRecorder(t testing.TB, base sdk.Sampler) *recorder {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	limits := sdk.NewSpanLimits()
	limits.LinkCountLimit = MaxLinks
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter), sdk.WithRawSpanLimits(limits), sdk.WithSampler(decisionSampler{base}))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) }) //nolint:usetesting // the test's context has ended by then
	return &recorder{provider, exporter}
}

// decisionSampler is the least sampler that honours a SamplingDecision.
type decisionSampler struct{ root sdk.Sampler }

func (s decisionSampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	decision := SamplingDecisionFromContext(p.ParentContext, p.TraceID)
	switch {
	case decision.Decided && decision.Sampled:
		return sdk.SamplingResult{Decision: sdk.RecordAndSample}
	case decision.Decided:
		return sdk.SamplingResult{Decision: sdk.Drop}
	case decision.Root:
		p.ParentContext = trace.ContextWithSpanContext(p.ParentContext, trace.SpanContext{})
	}
	return s.root.ShouldSample(p)
}

func (s decisionSampler) Description() string { return "decision" }

// only returns the single span that was recorded.
func (r *recorder) only(t *testing.T) tracetest.SpanStub {
	t.Helper()
	spans := r.spans.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1: %v", len(spans), names(spans))
	}
	return spans[0]
}

func names(spans tracetest.SpanStubs) (names []string) {
	for _, s := range spans {
		names = append(names, s.Name)
	}
	return names
}

func attributesOf(attrs []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(attrs))
	for _, a := range attrs {
		m[string(a.Key)] = a.Value.AsInterface()
	}
	return m
}

func contextOf(high, low, span uint64, sampled bool) trace.SpanContext {
	var config trace.SpanContextConfig
	binary.BigEndian.PutUint64(config.TraceID[:8], high)
	binary.BigEndian.PutUint64(config.TraceID[8:], low)
	binary.BigEndian.PutUint64(config.SpanID[:], span)
	if sampled {
		config.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(config)
}

// foreign writes sc as CloudEvents, Datadog's tracers (two ways) and X-Ray do.
func foreign(sc trace.SpanContext, low, span uint64, carrier uint8) (detail, header string) {
	flags, priority := "00", "0"
	if sc.IsSampled() {
		flags, priority = "01", "1"
	}
	traceparent := "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + flags
	switch carrier % 4 {
	case 0:
		return `{"specversion":"1.0","id":"1","traceparent":"` + traceparent + `"}`, ""
	case 1:
		return `{"_datadog":{"traceparent":"` + traceparent + `"}}`, ""
	case 2:
		return fmt.Sprintf(`{"_datadog":{"x-datadog-trace-id":"%d","x-datadog-parent-id":"%d","x-datadog-sampling-priority":"%s","x-datadog-tags":"_dd.p.tid=%s"}}`,
			low, span, priority, sc.TraceID().String()[:16]), ""
	}
	id := sc.TraceID().String()
	return `{}`, "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + sc.SpanID().String() + ";Sampled=" + priority
}

// contextOfLambda is a context as aws-lambda-go makes it for an invocation.
func contextOfLambda(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, "x-amzn-trace-id", header) //nolint:staticcheck // the runtime's own key
}
