package export

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing"
)

// A main that brings the SDK: its spans go where Setup's go, and its sampler
// keeps workflows whole.
func TestTheSDKsSpansArrive(t *testing.T) {
	r := newReceiver(t)
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tel.Processor()), sdktrace.WithSampler(Sampler(sdktrace.NeverSample())))
	cfg := tel.Handler().Tracing
	cfg.TracerProvider = provider
	for _, flags := range []string{"00", "01"} {
		_, span := lineage.StartProcess(t.Context(), cfg, lineage.NewReader(cfg).Read(stamped(flags)), lineage.Invocation{RequestID: "r-" + flags})
		span.AddEvent("an event")
		lineage.FinishProcess(span, nil)
	}
	if err := provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.spans) != 1 {
		t.Fatalf("%d requests of spans", len(r.spans))
	}
	s := r.spans[0].ScopeSpans[0].Spans[0]
	if s.Name != "process T" || len(s.Links) != 2 || len(s.Events) != 1 || r.spans[0].Resource.Attributes == nil {
		t.Errorf("%v", s)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsTakenAfterShutdown(t *testing.T) {
	r := newReceiver(t)
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	_, span := tel.TracerProvider.Tracer("").Start(t.Context(), "late")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	span.End()
	if err := tel.Flush(t.Context()); err != nil || len(r.spans) != 0 {
		t.Errorf("%v, %d spans", err, len(r.spans))
	}
}

func TestLimitsOfOpenTelemetry(t *testing.T) {
	r := newReceiver(t)
	tel := setup(t, "TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", r.URL, "OTEL_SPAN_LINK_COUNT_LIMIT", "1", "OTEL_ATTRIBUTE_COUNT_LIMIT", "50",
		"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3", "OTEL_SPAN_EVENT_COUNT_LIMIT", "0", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
	_, span := lineage.StartProcess(t.Context(), tel.Handler().Tracing, lineage.NewReader(tel.Handler().Tracing).Read(stamped("01")), lineage.Invocation{RequestID: "ünïcödé"})
	span.AddEvent("none of these")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := r.spans[0].ScopeSpans[0].Spans[0]
	if len(s.Links) != 1 || s.DroppedLinksCount != 1 || len(s.Attributes) != 3 || len(s.Events) != 0 {
		t.Errorf("%v", s)
	}
	for _, a := range s.Attributes {
		if text := a.Value.StringValue; len([]rune(text)) > 4 || a.Key == "faas.invocation_id" && text != "ünïc" {
			t.Errorf("%s is %q", a.Key, text)
		}
	}
}

// Application Signals counts what is not sampled as well: the daemon is told of
// it, marked so, and nobody else is.
func TestUnsampledSpansGoToTheDaemonWhereAskedFor(t *testing.T) {
	address, next := listen(t)
	tel := setup(t, "TMPDIR", "/nowhere", "THROUGHLINE_TRACES", "xray", "AWS_XRAY_DAEMON_ADDRESS", address, "OTEL_AWS_APPLICATION_SIGNALS_ENABLED", "true", "OTEL_TRACES_SAMPLER", "always_off")
	_, span := tel.TracerProvider.Tracer("").Start(t.Context(), "uncounted")
	span.End()
	mark, request := next()
	if s := request.ResourceSpans[0].ScopeSpans[0].Spans[0]; mark != "T1U" || s.Name != "uncounted" || s.Flags&1 != 0 || span.SpanContext().IsSampled() {
		t.Errorf("%s %v", mark, s)
	}
	for name, pairs := range map[string][]string{
		"not asked for":   {"THROUGHLINE_TRACES", "xray", "AWS_XRAY_DAEMON_ADDRESS", address},
		"another backend": {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_AWS_APPLICATION_SIGNALS_ENABLED", "true"},
	} {
		tel := setup(t, append(pairs, "TMPDIR", "/nowhere", "OTEL_TRACES_SAMPLER", "always_off")...)
		if _, span := tel.TracerProvider.Tracer("").Start(t.Context(), "s"); span.IsRecording() {
			t.Errorf("%s: it is recorded", name)
		}
	}
}

func ExampleTelemetry_Processor() {
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.Method, r.URL.Path) }))
	defer backend.Close()
	tel := Setup(aws.Config{}, env("TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL))
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tel.Processor()), sdktrace.WithSampler(Sampler(sdktrace.AlwaysSample())))
	_, span := provider.Tracer("mine").Start(context.Background(), "my own span")
	span.End()
	if err := provider.ForceFlush(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: POST /v1/traces
}

func ExampleSampler() {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(Sampler(sdktrace.NeverSample())))
	cfg := tracing.Config{TracerProvider: provider}
	for _, flags := range []string{"01", "00"} {
		_, span := lineage.StartProcess(context.Background(), cfg, lineage.NewReader(cfg).Read(stamped(flags)), lineage.Invocation{})
		fmt.Println("the workflow is recorded:", trace.SpanContextFromContext(trace.ContextWithSpan(context.Background(), span)).IsSampled())
	}
	// Output:
	// the workflow is recorded: true
	// the workflow is recorded: false
}

func ExampleTelemetry_Flush() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer backend.Close()
	tel := Setup(aws.Config{}, env("TMPDIR", "/nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL))
	_, span := tel.TracerProvider.Tracer("").Start(context.Background(), "refused")
	span.End()
	fmt.Println(tel.Flush(context.Background())) // handler.WithFlush(tel.Flush) calls it after each invocation
	fmt.Printf("%+v\n", tel.Losses())
	fmt.Println(tel.Shutdown(context.Background()))
	// Output:
	// export spans: the backend answered 403 Forbidden
	// {Spans:1 Failures:1}
	// <nil>
}
