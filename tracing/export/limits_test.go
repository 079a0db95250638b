package export_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/export"
	"github.com/throughline/throughline/tracing/otlp"
)

// TestLinksOfASDK: with the limit of docs/migrate-from-opentelemetry.md, OpenTelemetry's SDK
// keeps as many links as package otlp.
func TestLinksOfASDK(t *testing.T) {
	telemetry := export.Setup(aws.Config{}, func(string) string { return "" })
	sampler := sdktrace.AlwaysSample()
	limits := sdktrace.NewSpanLimits()
	limits.LinkCountLimit = otlp.MaxLinks
	telemetry.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(telemetry.Processor()),
		sdktrace.WithSampler(export.Sampler(sampler)), sdktrace.WithRawSpanLimits(limits))
	links := make([]trace.Link, otlp.MaxLinks)
	for i := range links {
		links[i].SpanContext = trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{byte(i), byte(i >> 8), 1}})
	}
	_, span := telemetry.TracerProvider.Tracer("").Start(t.Context(), "process", trace.WithLinks(links...))
	if kept := span.(sdktrace.ReadOnlySpan).Links(); len(kept) != len(links) {
		t.Errorf("%d links of %d", len(kept), len(links))
	}
}
