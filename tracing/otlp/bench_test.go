package otlp_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

// BenchmarkProvider is a process span from its start to its bytes, beside the
// SDK's, which hands it to a batcher and has not encoded it yet.
func BenchmarkProvider(b *testing.B) {
	batching := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	defer func() { _ = batching.Shutdown(context.Background()) }() //nolint:usetesting // the benchmark's context has ended
	for _, c := range []struct {
		name     string
		provider trace.TracerProvider
	}{{"SDK", batching}, {"Ours", &otlp.Provider{Export: func([]byte) {}}}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := lineage.Config{TracerProvider: c.provider}
			d := lineage.NewReader(cfg).Read([]byte(`{"version":"0","id":"env-1","detail-type":"SignalGenerated","source":"s","time":"2026-11-23T20:45:00Z",` +
				`"resources":["correlation:w","traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","origin:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","hops:1"],"detail":{"event_id":"e"}}`))
			inv := lineage.Invocation{RequestID: "r-1", ARN: "arn:aws:lambda:us-east-1:123456789012:function:portfolio"}
			b.ReportAllocs()
			for b.Loop() {
				_, span := lineage.StartProcess(b.Context(), cfg, d, inv)
				lineage.FinishProcess(span, nil)
			}
		})
	}
}
