package export

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

// This file is for functions that use OpenTelemetry's SDK. Setup itself makes
// spans with otlp.Provider, which takes a third of the time.

// Sampler returns a sampler that follows the sampling decision of package
// tracing, so that a workflow is recorded completely or not at all. For other
// spans, and for the first event of a workflow, base decides. It is safe for
// concurrent use if base is.
func Sampler(base sdktrace.Sampler) sdktrace.Sampler { return sampler{base} }

type sampler struct{ base sdktrace.Sampler }

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	wish := lineage.SamplingDecisionFromContext(p.ParentContext, p.TraceID)
	state := trace.SpanContextFromContext(p.ParentContext).TraceState()
	switch {
	case wish.Decided && wish.Sampled:
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: state}
	case wish.Decided:
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: state}
	case wish.Root:
		p.ParentContext = trace.ContextWithSpanContext(p.ParentContext, trace.SpanContext{})
	}
	return s.base.ShouldSample(p)
}

func (s sampler) Description() string { return "Throughline{" + s.base.Description() + "}" }

// Processor returns a span processor that exports the ended spans of an SDK's provider to the destination of t. Use it if main already
// has a provider. It is safe for concurrent use, exports nothing if t exports nothing, and its ForceFlush is t's Flush.
//
//	t.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(t.Processor()), sdktrace.WithSampler(export.Sampler(base)))
//
// Raise the provider's link limit to otlp.MaxLinks: the SDK's own is 128.
func (t *Telemetry) Processor() sdktrace.SpanProcessor { return &processor{t} }

type processor struct{ telemetry *Telemetry }

func (p *processor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	span := otlp.Span{
		Context: s.SpanContext(), Parent: s.Parent(), Name: s.Name(), Kind: s.SpanKind(), Start: s.StartTime(), End: s.EndTime(),
		Attributes: s.Attributes(), DroppedLinks: s.DroppedLinks(), Status: s.Status().Code, StatusMessage: s.Status().Description,
	}
	for _, e := range s.Events() {
		span.Events = append(span.Events, otlp.Event{Time: e.Time, Name: e.Name, Attributes: e.Attributes})
	}
	for _, l := range s.Links() {
		span.Links = append(span.Links, trace.Link{SpanContext: l.SpanContext, Attributes: l.Attributes})
	}
	p.telemetry.take(otlp.Resource{Attributes: s.Resource().Attributes(), Scope: s.InstrumentationScope().Name}, span)
}

func (p *processor) Shutdown(ctx context.Context) error   { return p.telemetry.Flush(ctx) }
func (p *processor) ForceFlush(ctx context.Context) error { return p.telemetry.Flush(ctx) }
