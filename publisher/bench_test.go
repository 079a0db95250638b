package publisher

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// discard is an exporter that takes everything.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

func tenEntries() *eventbridge.PutEventsInput {
	input := &eventbridge.PutEventsInput{}
	for i := range 10 {
		input.Entries = append(input.Entries, entry("TradeExecuted", fmt.Sprintf(`{"event_id":"trade-%d","correlation_id":"workflow-1","x":%q}`, i, strings.Repeat("x", 950))))
	}
	return input
}

// ways are how a request of ten entries of 1 KB is published over api.
func ways(b *testing.B, api API) []struct {
	name string
	api  API
} {
	b.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	b.Cleanup(func() { _ = provider.Shutdown(context.Background()) }) //nolint:usetesting // the benchmark's context has ended by then
	return []struct {
		name string
		api  API
	}{
		{"Bare", api},
		{"Decorated", New(api)},
		{"DecoratedWithMetrics", New(api, WithMetrics(metrics.New(metrics.Config{})))},
		{"DecoratedWithBatcher", New(api, WithTracing(tracing.Config{TracerProvider: provider}))},
	}
}

// perEntry runs put and reports what one of its ten entries costs.
func perEntry(b *testing.B, api API) {
	b.Helper()
	input := tenEntries()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.PutEvents(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(10*b.N), "ns/entry")
}

// BenchmarkPublish is what the decorator adds: the API answers at once.
func BenchmarkPublish(b *testing.B) {
	for _, way := range ways(b, stub{}) {
		b.Run(way.name, func(b *testing.B) { perEntry(b, way.api) })
	}
}

// BenchmarkPublishOverLoopback is the SDK's client without and with us. The
// server's part is in the figures, the same in each.
func BenchmarkPublishOverLoopback(b *testing.B) {
	answer := `{"FailedEntryCount":0,"Entries":[` + strings.TrimSuffix(strings.Repeat(`{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"},`, 10), ",") + `]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(server.Close)
	cfg := config(server.URL)
	all := ways(b, eventbridge.NewFromConfig(cfg))
	cfg.APIOptions = append(cfg.APIOptions, Middleware())
	all = append(all, struct {
		name string
		api  API
	}{"Middleware", eventbridge.NewFromConfig(cfg)})
	for _, way := range all {
		b.Run(way.name, func(b *testing.B) { perEntry(b, way.api) })
	}
}
