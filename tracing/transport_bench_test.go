package tracing_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// BenchmarkTransport is a request through a bare round tripper and through ours
// over it; added-µs is what ours costs, and the budget 10 of them. Over loopback
// the noise of the sockets is as large as that, so it is measured once more over
// a round tripper that answers at once.
func BenchmarkTransport(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-ID", "alpaca-request-1")
		w.Header().Set("X-Ratelimit-Remaining", "199")
		_, _ = io.WriteString(w, `{"id":"1"}`)
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	sdk := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	defer func() { _ = sdk.Shutdown(context.Background()) }() //nolint:usetesting // the benchmark's context has ended
	for _, over := range []struct {
		name, url string
		base      http.RoundTripper
	}{{"loopback", server.URL, base}, {"at once", "http://127.0.0.1", stillBase{}}} {
		b.Run(over.name, func(b *testing.B) {
			bare := 0.0
			for _, c := range []struct {
				name     string
				provider trace.TracerProvider
			}{{"bare", nil}, {"ours", &otlp.Provider{Export: func([]byte) {}}}, {"ours, OpenTelemetry's SDK", sdk}, {"ours, no provider", nil}} {
				b.Run(c.name, func(b *testing.B) {
					trip := over.base
					if c.name != "bare" {
						trip = tracing.NewTransport(over.base, tracing.Config{HTTPHosts: []string{"127.0.0.1"}, TracerProvider: c.provider})
					}
					benchmarkTrips(b, trip, over.url+"/v2/orders/61e69015")
					each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
					if c.name == "bare" {
						bare = each
						return
					}
					b.ReportMetric((each-bare)/1000, "added-µs")
					b.ReportMetric(each/bare, "×bare")
				})
			}
		})
	}
}

func benchmarkTrips(b *testing.B, over http.RoundTripper, url string) {
	delivery := tracing.NewReader(tracing.Config{}).Read([]byte(tradeEvent))
	ctx := tracing.ContextWithDelivery(b.Context(), &delivery)
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("APCA-API-KEY-ID", "key")
		req.Header.Set("APCA-API-SECRET-KEY", "secret")
		resp, err := over.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// stillBase answers at once.
type stillBase struct{}

func (stillBase) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
		Header: http.Header{"X-Request-Id": {"alpaca-request-1"}, "X-Ratelimit-Remaining": {"199"}}}, nil
}
