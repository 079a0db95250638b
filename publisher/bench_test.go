package publisher

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

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

// BenchmarkPublishInTurn is the decorator with the SDK's batcher beside what is
// not its own: the SDK's client whose transport answers at once, and, by hand,
// the decorator without a provider and then the same spans. They take turns, so
// that all see the same machine. On one core what the collector and the batcher
// do is in the figures whole, and waking another core is not.
func BenchmarkPublishInTurn(b *testing.B) {
	cfg := config("http://127.0.0.1:1")
	cfg.HTTPClient = transport(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(tenTaken))}, nil
	})
	client, bare := eventbridge.NewFromConfig(cfg), New(stub{})
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	b.Cleanup(func() { _ = provider.Shutdown(context.Background()) }) //nolint:usetesting // the benchmark's context has ended by then
	traced := New(stub{}, WithTracing(tracing.Config{TracerProvider: provider}))
	input, spans := tenEntries(), record(b, tenEntries())
	put := func(api API) {
		if _, err := api.PutEvents(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
	ways := []struct {
		name string
		put  func()
	}{
		{"client", func() { put(client) }},
		{"batcher", func() { put(traced) }},
		{"by-hand", func() {
			put(bare)
			makeAgain(b.Context(), provider.Tracer("by hand"), spans)
		}},
	}
	for name, cores := range map[string]int{"AllCores": runtime.GOMAXPROCS(0), "OneCore": 1} {
		b.Run(name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			const requests = 50
			took := make([]time.Duration, len(ways))
			for b.Loop() {
				for i, way := range ways {
					begun := time.Now()
					for range requests {
						way.put()
					}
					took[i] += time.Since(begun)
				}
			}
			for i, way := range ways {
				b.ReportMetric(float64(took[i].Nanoseconds())/float64(requests*10*b.N), way.name+"-ns/entry")
			}
		})
	}
}

// transport is an http.Client's work as a function.
type transport func(*http.Request) (*http.Response, error)

func (t transport) Do(r *http.Request) (*http.Response, error) { return t(r) }

// tenTaken is EventBridge's answer to ten entries.
var tenTaken = `{"FailedEntryCount":0,"Entries":[` + strings.TrimSuffix(strings.Repeat(`{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"},`, 10), ",") + `]}`

// record are the spans that the decorator makes of input, the request's last.
func record(b *testing.B, input *eventbridge.PutEventsInput) []sdktrace.ReadOnlySpan {
	b.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	if _, err := New(stub{}, WithTracing(tracing.Config{TracerProvider: provider})).PutEvents(b.Context(), input); err != nil {
		b.Fatal(err)
	}
	return recorder.Ended()
}

// makeAgain makes spans as somebody would who knows nothing of us: with what a
// sampler may want at the start, and the rest at the end.
func makeAgain(ctx context.Context, tracer trace.Tracer, recorded []sdktrace.ReadOnlySpan) {
	const atStart = 3
	made := make([]trace.Span, len(recorded))
	links := make([]trace.Link, 0, len(recorded))
	for i, r := range recorded {
		_, made[i] = tracer.Start(ctx, r.Name(), trace.WithSpanKind(r.SpanKind()), trace.WithAttributes(r.Attributes()[:atStart]...), trace.WithLinks(links[:min(len(r.Links()), len(links))]...))
		links = append(links, trace.Link{SpanContext: made[i].SpanContext()})
	}
	for i, r := range recorded {
		made[i].SetAttributes(r.Attributes()[atStart:]...)
		made[i].End()
	}
}

// BenchmarkPublishOverLoopback is the SDK's client without and with us. The
// server's part is in the figures, the same in each.
func BenchmarkPublishOverLoopback(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, tenTaken)
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
