package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// recorder is a Provider and what it exported.
type recorder struct {
	otlp.Provider
	spans []*tracepb.Span
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	r.Export = func(request []byte) {
		var decoded collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(request, &decoded); err != nil {
			t.Error(err)
			return
		}
		r.spans = append(r.spans, decoded.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	return r
}

// drive uses every method of a span.
func drive(t *testing.T, p trace.TracerProvider) {
	t.Helper()
	start := time.Unix(1_700_000_000, 5)
	link := trace.Link{SpanContext: tracing.Mint(trace.SpanContext{}), Attributes: []attribute.KeyValue{attribute.String("why", "causation")}}
	ctx, parent := p.Tracer("test").Start(t.Context(), "parent", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(link), trace.WithAttributes(attribute.Int("n", 1), attribute.String("text", "a")))
	_, child := p.Tracer("test").Start(ctx, "child")
	child.SetStatus(codes.Error, "it broke")
	child.RecordError(errors.New("broken"))
	child.End(trace.WithTimestamp(start.Add(time.Second)))
	child.SetName("too late")
	parent.SetAttributes(attribute.Int("n", 2), attribute.Bool("flag", true), attribute.KeyValue{})
	parent.SetStatus(codes.Ok, "")
	parent.SetStatus(codes.Error, "ignored after Ok")
	parent.SetName("renamed")
	parent.AddLink(link)
	if !parent.IsRecording() || parent.TracerProvider() == nil {
		t.Error("it does not record")
	}
	parent.End(trace.WithTimestamp(start.Add(2 * time.Second)))
	parent.End()
	if parent.IsRecording() {
		t.Error("it records after its end")
	}
	_, root := p.Tracer("test").Start(ctx, "root", trace.WithNewRoot())
	root.End()
}

// What it writes is what the SDK writes of the same calls.
func TestProviderAgainstTheSDK(t *testing.T) {
	r := newRecorder(t)
	drive(t, &r.Provider)
	exporter := tracetest.NewInMemoryExporter()
	drive(t, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	want := exporter.GetSpans()
	if len(r.spans) != len(want) {
		t.Fatalf("%d spans, the SDK has %d", len(r.spans), len(want))
	}
	for i, w := range want {
		got := r.spans[i]
		status := map[codes.Code]tracepb.Status_StatusCode{codes.Unset: 0, codes.Ok: 1, codes.Error: 2}[w.Status.Code]
		if got.Name != w.Name || got.Kind != tracepb.Span_SpanKind(w.SpanKind) || got.GetStatus().GetCode() != status || got.GetStatus().GetMessage() != w.Status.Description ||
			len(got.Attributes) != len(w.Attributes) || len(got.Links) != len(w.Links) || len(got.Events) != len(w.Events) || (len(got.ParentSpanId) > 0) != w.Parent.IsValid() {
			t.Errorf("got %v, the SDK has %+v", got, w)
		}
		if w.StartTime.Year() == 2023 && (got.StartTimeUnixNano != uint64(w.StartTime.UnixNano()) || got.EndTimeUnixNano != uint64(w.EndTime.UnixNano())) && w.Name != "child" {
			t.Errorf("%s: times differ", w.Name)
		}
	}
	if string(r.spans[0].ParentSpanId) != string(r.spans[1].SpanId) || string(r.spans[0].TraceId) != string(r.spans[1].TraceId) {
		t.Error("the child is not its parent's")
	}
	if string(r.spans[2].TraceId) == string(r.spans[1].TraceId) {
		t.Error("the new root is in its parent's trace")
	}
}

func TestProviderSamples(t *testing.T) {
	r := newRecorder(t)
	r.Sample = func(trace.TraceID) bool { return false }
	ctx, root := r.Tracer("").Start(t.Context(), "root")
	if root.SpanContext().IsSampled() || !root.SpanContext().IsValid() || root.IsRecording() {
		t.Errorf("an unsampled root: %v", root.SpanContext())
	}
	_, child := r.Tracer("").Start(ctx, "child")
	if child.SpanContext().TraceID() != root.SpanContext().TraceID() || child.SpanContext().IsSampled() {
		t.Error("the child does not follow its parent")
	}
	sampled := trace.ContextWithRemoteSpanContext(t.Context(), tracing.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled))
	_, under := r.Tracer("").Start(sampled, "under")
	under.End()
	child.End()
	root.End()
	if len(r.spans) != 1 || r.spans[0].Name != "under" {
		t.Errorf("exported %v", r.spans)
	}
}

// A process span follows what its event decided, whatever Sample says.
func TestProviderHeedsWishes(t *testing.T) {
	r := newRecorder(t)
	r.Sample = func(trace.TraceID) bool { return false }
	cfg := tracing.Config{TracerProvider: &r.Provider}
	for flag, want := range map[string]bool{"01": true, "00": false} {
		d := tracing.NewReader(cfg).Read(fmt.Appendf(nil, `{"version":"0","id":"e","detail-type":"T","source":"s","resources":["correlation:c","traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"],"detail":{}}`, flag))
		_, span := tracing.StartProcess(t.Context(), cfg, d, tracing.Invocation{RequestID: "r"})
		if span.SpanContext().IsSampled() != want {
			t.Errorf("flag %s: sampled %t", flag, !want)
		}
		tracing.FinishProcess(span, nil)
	}
}

func TestProviderLimits(t *testing.T) {
	r := newRecorder(t)
	_, span := r.Tracer("").Start(t.Context(), "full")
	for i := range otlp.MaxLinks + 5 {
		span.AddLink(trace.Link{SpanContext: tracing.Mint(trace.SpanContext{})})
		span.SetAttributes(attribute.Int(fmt.Sprint(i), i))
		span.AddEvent("e")
	}
	span.End()
	got := r.spans[0]
	if len(got.Links) != otlp.MaxLinks || got.DroppedLinksCount != 5 || len(got.Attributes) != 128 || len(got.Events) != 128 {
		t.Errorf("%d links, %d dropped, %d attributes, %d events", len(got.Links), got.DroppedLinksCount, len(got.Attributes), len(got.Events))
	}
}

func ExampleProvider() {
	provider := &otlp.Provider{Export: func(request []byte) {
		n, _ := otlp.CountSpans(request)
		fmt.Println(n, "span")
	}}
	_, span := provider.Tracer("example").Start(context.Background(), "process Order")
	span.End()
	// Output: 1 span
}
