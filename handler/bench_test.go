package handler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// BenchmarkHandler is an invocation of a handler that does nothing, bare and
// wrapped; added-µs is what the wrapper costs, and the budget 20 of them. As
// export.Setup has it, the span is read, linked, measured, checked for repeats
// and encoded; its way over the network, which WithFlush is for, is not timed.
func BenchmarkHandler(b *testing.B) {
	payloads := make([][]byte, 1<<14)
	for i := range payloads {
		payloads[i] = event(i + 1)
	}
	h := func(context.Context, json.RawMessage) error { return nil }
	ctx := lambdacontext.NewContext(b.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r-1", InvokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:portfolio"})
	bare := 0.0
	run := func(b *testing.B, h lambda.Handler, pause func()) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := h.Invoke(ctx, payloads[i%len(payloads)]); err != nil {
				b.Fatal(err)
			}
			if pause != nil && i%1000 == 999 {
				b.StopTimer()
				pause()
				b.StartTimer()
			}
		}
		each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
		if bare == 0 {
			bare = each
			return
		}
		b.ReportMetric((each-bare)/1000, "added-µs")
		b.ReportMetric(each/bare, "×bare")
	}
	wrap := func(cfg tracing.Config) lambda.Handler {
		return lambda.NewHandler(handler.Wrap(h, handler.WithTracing(cfg), handler.WithMetrics(metrics.New(metrics.Config{Service: "f"}), io.Discard),
			handler.WithDedupe(dedupe.New(dedupe.Config{})), handler.WithExtension(true)))
	}
	b.Run("bare", func(b *testing.B) { run(b, lambda.NewHandler(h), nil) })
	b.Run("wrapped", func(b *testing.B) {
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		defer receiver.Close()
		settings := map[string]string{"TMPDIR": b.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "AWS_LAMBDA_FUNCTION_NAME": "portfolio", "AWS_REGION": "us-east-1"}
		telemetry := export.Setup(aws.Config{}, func(name string) string { return settings[name] })
		run(b, wrap(telemetry.Handler().Tracing), func() {
			if err := telemetry.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		})
		if l := telemetry.Losses(); l.Spans > 0 {
			b.Errorf("lost %+v", l)
		}
	})
	b.Run("wrapped, OpenTelemetry's SDK", func(b *testing.B) {
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
		defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }()
		run(b, wrap(tracing.Config{TracerProvider: provider}), nil)
	})
	b.Run("wrapped, no provider", func(b *testing.B) { run(b, wrap(tracing.Config{TracerProvider: noop.NewTracerProvider()}), nil) })
}

func event(n int) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"env-%d","detail-type":"Signal","source":"s","time":"2026-11-23T20:45:00Z","region":"us-east-1",`+
		`"resources":["correlation:workflow-%d","traceparent:00-%032x-%016x-01","hops:2"],"detail":{"event_id":"signal-%d"}}`, n, n, n, n, n)
}
