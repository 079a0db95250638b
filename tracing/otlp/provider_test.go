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

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

// recorder is a Provider and what it was handed.
type recorder struct {
	otlp.Provider
	spans []otlp.Span
}

func newRecorder() *recorder {
	r := &recorder{}
	r.Take = func(_ otlp.Resource, s otlp.Span) { r.spans = append(r.spans, s) }
	return r
}

// drive uses every method of a span.
func drive(t *testing.T, p trace.TracerProvider) {
	t.Helper()
	start := time.Unix(1_700_000_000, 5)
	link := trace.Link{SpanContext: lineage.Mint(trace.SpanContext{}), Attributes: []attribute.KeyValue{attribute.String("why", "causation")}}
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
	r := newRecorder()
	drive(t, &r.Provider)
	exporter := tracetest.NewInMemoryExporter()
	drive(t, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	want := exporter.GetSpans()
	if len(r.spans) != len(want) {
		t.Fatalf("%d spans, the SDK has %d", len(r.spans), len(want))
	}
	for i, w := range want {
		got := r.spans[i]
		if got.Name != w.Name || got.Kind != w.SpanKind || got.Status != w.Status.Code || got.StatusMessage != w.Status.Description ||
			len(got.Attributes) != len(w.Attributes) || len(got.Links) != len(w.Links) || len(got.Events) != len(w.Events) || got.Parent.IsValid() != w.Parent.IsValid() {
			t.Errorf("got %+v, the SDK has %+v", got, w)
		}
		if w.StartTime.Year() == 2023 && (!got.Start.Equal(w.StartTime) || !got.End.Equal(w.EndTime)) && w.Name != "child" {
			t.Errorf("%s: times differ", w.Name)
		}
	}
	if r.spans[0].Parent.SpanID() != r.spans[1].Context.SpanID() || r.spans[0].Context.TraceID() != r.spans[1].Context.TraceID() {
		t.Error("the child is not its parent's")
	}
	if r.spans[2].Context.TraceID() == r.spans[1].Context.TraceID() {
		t.Error("the new root is in its parent's trace")
	}
}

func TestProviderSamples(t *testing.T) {
	r := newRecorder()
	r.Sample = func(trace.TraceID) bool { return false }
	ctx, root := r.Tracer("").Start(t.Context(), "root")
	if root.SpanContext().IsSampled() || !root.SpanContext().IsValid() || root.IsRecording() {
		t.Errorf("an unsampled root: %v", root.SpanContext())
	}
	_, child := r.Tracer("").Start(ctx, "child")
	if child.SpanContext().TraceID() != root.SpanContext().TraceID() || child.SpanContext().IsSampled() {
		t.Error("the child does not follow its parent")
	}
	sampled := trace.ContextWithRemoteSpanContext(t.Context(), lineage.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled))
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
	r := newRecorder()
	r.Sample = func(trace.TraceID) bool { return false }
	cfg := lineage.Config{TracerProvider: &r.Provider}
	for flag, want := range map[string]bool{"01": true, "00": false} {
		d := lineage.NewReader(cfg).Read(fmt.Appendf(nil, `{"version":"0","id":"e","detail-type":"T","source":"s","resources":["correlation:c","traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"],"detail":{}}`, flag))
		_, span := lineage.StartProcess(t.Context(), cfg, d, lineage.Invocation{RequestID: "r"})
		if span.SpanContext().IsSampled() != want {
			t.Errorf("flag %s: sampled %t", flag, !want)
		}
		lineage.FinishProcess(span, nil)
	}
}

func TestProviderLimits(t *testing.T) {
	r := newRecorder()
	_, span := r.Tracer("").Start(t.Context(), "full")
	for i := range otlp.MaxLinks + 5 {
		span.AddLink(trace.Link{SpanContext: lineage.Mint(trace.SpanContext{})})
		span.SetAttributes(attribute.Int(fmt.Sprint(i), i))
		span.AddEvent("e")
	}
	span.End()
	got := r.spans[0]
	if len(got.Links) != otlp.MaxLinks || got.DroppedLinks != 5 || len(got.Attributes) != 128 || len(got.Events) != 128 {
		t.Errorf("%d links, %d dropped, %d attributes, %d events", len(got.Links), got.DroppedLinks, len(got.Attributes), len(got.Events))
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
