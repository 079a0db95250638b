package outbound_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/outbound/outboundtest"
	"github.com/throughline/throughline/tracing/otlp"
)

// BenchmarkTransport is a request through a bare round tripper and, in turn,
// through ours over it: added-µs is what ours costs, and the budget 10 of them.
// Over loopback the noise of the sockets is as large as that, so it is measured
// once more over a round tripper that answers at once.
func BenchmarkTransport(b *testing.B) {
	server := canned(b, "HTTP/1.1 200 OK\r\nX-Request-ID: alpaca-request-1\r\nX-Ratelimit-Remaining: 199\r\nContent-Type: application/json\r\n"+
		"Date: Mon, 23 Nov 2026 14:30:00 GMT\r\nContent-Length: 10\r\n\r\n"+`{"id":"1"}`)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	sdk := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	defer func() { _ = sdk.Shutdown(context.Background()) }() //nolint:usetesting // the benchmark's context has ended
	delivery := outboundtest.Handled()
	for _, over := range []struct {
		name, url string
		base      http.RoundTripper
	}{{"loopback", server, base}, {"at once", "http://127.0.0.1", stillBase{}}} {
		for _, c := range []struct {
			name     string
			provider trace.TracerProvider
		}{{"ours", &otlp.Provider{Export: func([]byte) {}}}, {"ours, OpenTelemetry's SDK", sdk}, {"ours, no provider", nil}} {
			b.Run(over.name+"/"+c.name, func(b *testing.B) {
				const calls = 100
				ctx := lineage.ContextWithDelivery(b.Context(), delivery)
				trip := outbound.NewTransport(over.base, alpaca.Calls("127.0.0.1"), outbound.WithTracerProvider(c.provider))
				block := func(over http.RoundTripper, url string) float64 {
					begun := time.Now()
					for range calls {
						roundTrip(ctx, b, over, url)
					}
					return float64(time.Since(begun).Nanoseconds()) / 1000 / calls
				}
				bare, ours := 0.0, 0.0
				for b.Loop() {
					bare += block(over.base, over.url+"/v2/orders/61e69015")
					ours += block(trip, over.url+"/v2/orders/61e69015")
				}
				b.ReportMetric(bare/float64(b.N), "bare-µs")
				b.ReportMetric((ours-bare)/float64(b.N), "added-µs")
			})
		}
	}
}

func roundTrip(ctx context.Context, b *testing.B, over http.RoundTripper, url string) {
	b.Helper()
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

// canned is the URL of a server that gives every request the same answer and
// does not parse it: what a server makes of more headers is not our cost.
func canned(b *testing.B, answer string) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buffer, have := make([]byte, 4096), 0
				for {
					n, err := conn.Read(buffer[have:])
					if err != nil {
						return
					}
					if have += n; !bytes.HasSuffix(buffer[:have], []byte("\r\n\r\n")) {
						continue
					}
					have = 0
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// stillBase answers at once.
type stillBase struct{}

func (stillBase) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
		Header: http.Header{"X-Request-Id": {"alpaca-request-1"}, "X-Ratelimit-Remaining": {"199"}}}, nil
}
