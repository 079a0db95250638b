package outbound_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/outbound/outboundtest"
)

// recorder is OpenTelemetry's SDK with spans kept in memory.
type recorder struct {
	Provider *sdktrace.TracerProvider
	Spans    *tracetest.InMemoryExporter
}

// newRecorder returns a recorder that has recorded nothing.
func newRecorder() *recorder {
	spans := tracetest.NewInMemoryExporter()
	return &recorder{sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), spans}
}

// Only returns the single span that was recorded.
func (r *recorder) Only(t *testing.T) tracetest.SpanStub {
	t.Helper()
	spans := r.Spans.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1: %v", len(spans), spans)
	}
	return spans[0]
}

func wantAttributes(t *testing.T, span tracetest.SpanStub, want map[string]any) {
	t.Helper()
	set := attribute.NewSet(span.Attributes...)
	for key, value := range want {
		got, _ := set.Value(attribute.Key(key))
		if value == nil && got.Type() == attribute.EMPTY {
			continue
		}
		if fmt.Sprint(got.AsInterface()) != fmt.Sprint(value) {
			t.Errorf("%s: %s is %v, want %v", span.Name, key, got.AsInterface(), value)
		}
	}
}

func TestTransport(t *testing.T) {
	r, x := newRecorder(), outboundtest.New(t)
	ctx, process := lineage.StartProcess(t.Context(), lineage.Config{TracerProvider: r.Provider}, *outboundtest.Handled(), lineage.Invocation{RequestID: "request-1"})
	var calls []outbound.Call
	transport := outbound.NewTransport(x.Base(t), alpaca.Calls(), outbound.WithTracerProvider(r.Provider), outbound.WithObserver(func(_ context.Context, c outbound.Call) { calls = append(calls, c) }))
	req := outboundtest.Request(t, "GET", "http://api.alpaca.markets/v2/orders/61e69015-8549-4bfd-b9c3-01e75843f47d?nested=hush-query", "").WithContext(ctx)
	before := req.Header.Clone()
	outboundtest.Send(t, &http.Client{Transport: transport}, req)

	span := r.Only(t)
	if span.Name != "GET /v2/orders/{order_id}" || span.SpanKind != trace.SpanKindClient || span.Parent.SpanID() != process.SpanContext().SpanID() || span.Status.Code != codes.Unset {
		t.Errorf("%s %v %v under %v", span.Name, span.SpanKind, span.Status, span.Parent)
	}
	wantAttributes(t, span, map[string]any{
		"http.request.method": "GET", "url.template": "/v2/orders/{order_id}", "server.address": "api.alpaca.markets", "url.scheme": "http", "server.port": nil,
		"http.response.status_code": int64(200), "http.response.header.x-request-id": []string{"alpaca-request-1"}, "network.protocol.version": "1.1",
		"http.response.header.x-ratelimit-limit": []string{"200"}, "http.response.header.x-ratelimit-remaining": []string{"199"},
		"http.response.header.x-ratelimit-reset": []string{"1763892060"}, "http.request.resend_count": nil, "error.type": nil,
	})
	sent := x.Headers[0]
	if sent.Get("traceparent") != lineage.FormatTraceparent(span.SpanContext) || sent.Get("X-Correlation-ID") != "workflow-1" || sent.Get("X-Causation-ID") != "trade-1" {
		t.Errorf("sent %v", sent)
	}
	if sent.Get("APCA-API-SECRET-KEY") != "hush-secret" || fmt.Sprint(req.Header) != fmt.Sprint(before) {
		t.Errorf("sent %v, the caller's headers became %v", sent, req.Header)
	}
	if len(calls) != 1 {
		t.Fatalf("%d calls observed", len(calls))
	}
	if c := calls[0]; c.Route != "/v2/orders/{order_id}" || c.Method != "GET" || c.Host != "api.alpaca.markets" || c.Status != 200 || c.RequestID != "alpaca-request-1" ||
		c.Limit != 200 || c.Remaining != 199 || !c.Reset.Equal(time.Unix(1763892060, 0)) || c.RateLimited || c.Resend != 0 || c.Duration <= 0 || c.Err != nil {
		t.Errorf("%+v", c)
	}
	for _, told := range []string{fmt.Sprintf("%+v", span), fmt.Sprintf("%+v", calls)} {
		if strings.Contains(told, "hush") || strings.Contains(told, "61e69015") {
			t.Errorf("a secret was told: %s", told)
		}
	}
}

func TestTransportHosts(t *testing.T) {
	for _, c := range []struct {
		name  string
		hosts []string
		url   string
		ours  bool
	}{
		{"Trading", nil, "http://api.alpaca.markets/v2/orders", true},
		{"Paper", nil, "http://paper-api.alpaca.markets/v2/orders", true},
		{"DataSandbox", nil, "http://DATA.sandbox.alpaca.markets/v2/stocks/bars", true},
		{"Other", nil, "http://example.com/v2/orders", false},
		{"Suffix", nil, "http://evil-alpaca.markets/v2/orders", false},
		{"TheDomainItself", nil, "http://alpaca.markets/v2/orders", false},
		{"Empty", []string{}, "http://api.alpaca.markets/v2/orders", false},
		{"Named", []string{" Example.com "}, "http://example.com:8080/x", true},
		{"NamedWithPort", []string{"example.com:8080"}, "http://example.com:8080/x", true},
		{"OtherPort", []string{"example.com:8080"}, "http://example.com:8081/x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, x := newRecorder(), outboundtest.New(t)
			ctx := lineage.ContextWithDelivery(t.Context(), outboundtest.Handled())
			outboundtest.Send(t, &http.Client{Transport: outbound.NewTransport(x.Base(t), outbound.WithAPI(alpaca.API(c.hosts)), outbound.WithTracerProvider(r.Provider))}, outboundtest.Request(t, "GET", c.url, "").WithContext(ctx))
			sent := x.Headers[0]
			if traced, related := sent.Get("traceparent") != "", sent.Get("X-Correlation-ID") != ""; traced != c.ours || related != c.ours {
				t.Errorf("sent traceparent %v, correlation %v", traced, related)
			}
			if name := r.Only(t).Name; strings.Contains(name, "/") && !c.ours {
				t.Errorf("span %q", name)
			}
		})
	}
}

func TestTransportStatus(t *testing.T) {
	r, x := newRecorder(), outboundtest.New(t)
	var calls []outbound.Call
	client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls(), outbound.WithTracerProvider(r.Provider),
		outbound.WithObserver(func(_ context.Context, c outbound.Call) { calls = append(calls, c); panic("an observer's fault") }))}
	x.Status = []int{429, 403}
	for range 2 {
		outboundtest.Send(t, client, outboundtest.Request(t, "BREW", "http://api.alpaca.markets/v2/secret-path-77", ""))
	}
	spans := r.Spans.GetSpans()
	for i, status := range []string{"429", "403"} {
		wantAttributes(t, spans[i], map[string]any{"error.type": status, "url.template": nil, "http.request.method": "_OTHER"})
		if spans[i].Status.Code != codes.Error || spans[i].Name != "HTTP" {
			t.Errorf("%s: %v", spans[i].Name, spans[i].Status)
		}
	}
	if !calls[0].RateLimited || calls[1].RateLimited {
		t.Errorf("%+v", calls)
	}
}

// failingBase fails as a broken connection does.
type failingBase struct{ err error }

func (f failingBase) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestTransportError(t *testing.T) {
	r := newRecorder()
	failure := &net.OpError{Op: "dial", Err: errors.New("hush")}
	var call outbound.Call
	transport := outbound.NewTransport(failingBase{failure}, alpaca.Calls(), outbound.WithTracerProvider(r.Provider), outbound.WithObserver(func(_ context.Context, c outbound.Call) { call = c }))
	resp, err := transport.RoundTrip(outboundtest.Request(t, "GET", "http://api.alpaca.markets/v2/clock", ""))
	if resp != nil || !errors.Is(err, failure) || !errors.Is(call.Err, failure) || call.Status != 0 {
		t.Errorf("%v %v %+v", resp, err, call)
	}
	span := r.Only(t)
	wantAttributes(t, span, map[string]any{"error.type": "*errors.errorString", "http.response.status_code": nil})
	if strings.Contains(fmt.Sprintf("%+v", span), "hush") {
		t.Errorf("the error's text was told: %+v", span)
	}
	transport.CloseIdleConnections()
}

// A span ends when the headers arrive: a body that nobody reads is no reason to
// keep it open.
func TestTransportSpanEndsWithHeaders(t *testing.T) {
	r := newRecorder()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	defer server.Close()
	defer close(release)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	resp, err := outbound.NewTransport(base, alpaca.Calls(), outbound.WithTracerProvider(r.Provider)).RoundTrip(outboundtest.Request(t, "GET", server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.Only(t)
}

func TestTransportMendsTheRetriedBody(t *testing.T) {
	const order = `{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}`
	for _, c := range []struct {
		name    string
		timeout time.Duration
		fresh   bool // a connection that is used again hides the fault: net/http rewinds the body itself
	}{{"Plain", 0, false}, {"FreshConnections", 0, true}, {"CopiedRequest", time.Minute, true}} { // with a limit http.Client copies the request
		t.Run(c.name, func(t *testing.T) {
			r, x := newRecorder(), outboundtest.New(t)
			x.Status = []int{429, 429}
			base := x.Base(t)
			base.DisableKeepAlives = c.fresh
			client := &http.Client{Transport: outbound.NewTransport(base, alpaca.Calls(), outbound.WithTracerProvider(r.Provider)), Timeout: c.timeout}
			outboundtest.SendAgain(t, client, outboundtest.Request(t, "POST", "http://api.alpaca.markets/v2/orders", order))
			if len(x.Bodies) != 3 || x.Bodies[1] != order || x.Bodies[2] != order {
				t.Errorf("bodies %q", x.Bodies)
			}
			for i, span := range r.Spans.GetSpans() {
				want := map[string]any{"http.request.resend_count": int64(i)}
				if i == 0 {
					want["http.request.resend_count"] = nil
				}
				wantAttributes(t, span, want)
			}
			outboundtest.SendAgain(t, client, outboundtest.Request(t, "POST", "http://api.alpaca.markets/v2/orders", order))
			spans := r.Spans.GetSpans()
			wantAttributes(t, spans[len(spans)-1], map[string]any{"http.request.resend_count": nil})
		})
	}
}

// A client that renews the body itself is not interfered with.
func TestTransportLeavesANewBodyAlone(t *testing.T) {
	x := outboundtest.New(t)
	x.Status = []int{429}
	client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls())}
	req := outboundtest.Request(t, "POST", "http://api.alpaca.markets/v2/watchlists", `{"first":true}`)
	outboundtest.Send(t, client, req)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(`{"second":true}`)), 15
	outboundtest.Send(t, client, req)
	if x.Bodies[1] != `{"second":true}` {
		t.Errorf("bodies %q", x.Bodies)
	}
}

func TestTransportDrains(t *testing.T) {
	x := outboundtest.New(t)
	x.Status = []int{429, 500, 429}
	transport := outbound.NewTransport(x.Base(t), alpaca.Calls())
	get := func() string {
		resp, err := transport.RoundTrip(outboundtest.Request(t, "GET", "http://api.alpaca.markets/v2/clock", ""))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil {
			t.Error(err)
		}
		return string(body)
	}
	for range 2 {
		if body := get(); body != x.Body {
			t.Errorf("body %q", body)
		}
	}
	x.Body = strings.Repeat("long ", (64 << 10))
	if body := get(); body != x.Body {
		t.Errorf("%d bytes of a long body", len(body))
	}
}

func TestClient(t *testing.T) {
	r, x := newRecorder(), outboundtest.New(t)
	ctx, process := lineage.StartProcess(t.Context(), lineage.Config{TracerProvider: r.Provider}, *outboundtest.Handled(), lineage.Invocation{RequestID: "request-1"})
	client := outbound.Client(ctx, alpaca.Calls("127.0.0.1"), outbound.WithTracerProvider(r.Provider))
	defer client.CloseIdleConnections()
	resp, err := client.Post(x.URL+"/v2/orders", "application/json", bytes.NewReader([]byte(`{}`)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	span := r.Only(t)
	if span.Name != "POST /v2/orders" || span.Parent.SpanID() != process.SpanContext().SpanID() || x.Headers[0].Get("X-Correlation-ID") != "workflow-1" || client.Timeout != 10*time.Second {
		t.Errorf("%s under %v, sent %v", span.Name, span.Parent, x.Headers[0])
	}
	own, other := r.Provider.Tracer("test").Start(t.Context(), "own")
	outboundtest.Send(t, client, outboundtest.Request(t, http.MethodGet, x.URL+"/v2/clock", "").WithContext(own))
	spans := r.Spans.GetSpans()
	if last := spans[len(spans)-1]; last.Parent.SpanID() != other.SpanContext().SpanID() {
		t.Errorf("the request's own span lost: under %v", last.Parent)
	}
}
