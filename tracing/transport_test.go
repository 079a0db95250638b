package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// exchange answers as Alpaca does and keeps what it was sent.
type exchange struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header
	bodies  []string
	status  []int // of the answers to come; then 200
	body    string
}

func newExchange(t *testing.T) *exchange {
	x := &exchange{body: `{"code":42910000,"message":"rate limit exceeded"}`}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.headers, x.bodies = append(x.headers, r.Header), append(x.bodies, string(body))
		status := http.StatusOK
		if len(x.status) > 0 {
			status, x.status = x.status[0], x.status[1:]
		}
		w.Header().Set("X-Request-ID", "alpaca-request-1")
		w.Header().Set("X-Ratelimit-Limit", "200")
		w.Header().Set("X-Ratelimit-Remaining", "199")
		w.Header().Set("X-Ratelimit-Reset", "1763892060")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, x.body)
	}))
	t.Cleanup(x.Close)
	return x
}

// base is a transport that finds every host at the exchange.
func (x *exchange) base(t *testing.T) *http.Transport {
	base := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, x.Listener.Addr().String())
	}}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("APCA-API-KEY-ID", "hush-key")
	req.Header.Set("APCA-API-SECRET-KEY", "hush-secret")
	req.Header.Set("Authorization", "Bearer hush-token")
	req.Header.Set("Cookie", "hush-cookie")
	return req
}

// send does req and drops the answer.
func send(t *testing.T, client *http.Client, req *http.Request) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func TestTransport(t *testing.T) {
	r, x := newRecorder(t), newExchange(t)
	cfg := Config{TracerProvider: r.provider}
	ctx, process := StartProcess(t.Context(), cfg, *handledEvent(), invocation)
	var calls []Call
	transport := NewTransport(x.base(t), cfg, WithObserver(func(_ context.Context, c Call) { calls = append(calls, c) }))
	req := request(t, "GET", "http://api.alpaca.markets/v2/orders/61e69015-8549-4bfd-b9c3-01e75843f47d?nested=hush-query", "").WithContext(ctx)
	before := req.Header.Clone()
	send(t, &http.Client{Transport: transport}, req)

	span := r.only(t)
	if span.Name != "GET /v2/orders/{order_id}" || span.SpanKind != trace.SpanKindClient || !sameSpan(span.Parent, process.SpanContext()) || span.Status.Code != codes.Unset {
		t.Errorf("%s %v %v under %v", span.Name, span.SpanKind, span.Status, span.Parent)
	}
	wantAttributes(t, span, map[string]any{
		"http.request.method": "GET", "url.template": "/v2/orders/{order_id}", "server.address": "api.alpaca.markets", "url.scheme": "http", "server.port": nil,
		"http.response.status_code": int64(200), "http.response.header.x-request-id": []string{"alpaca-request-1"}, "network.protocol.version": "1.1",
		"http.response.header.x-ratelimit-limit": []string{"200"}, "http.response.header.x-ratelimit-remaining": []string{"199"},
		"http.response.header.x-ratelimit-reset": []string{"1763892060"}, "http.request.resend_count": nil, "error.type": nil,
	})
	sent := x.headers[0]
	if sent.Get("traceparent") != FormatTraceparent(span.SpanContext) || sent.Get("X-Correlation-ID") != "workflow-1" || sent.Get("X-Causation-ID") != "trade-1" {
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
			r, x := newRecorder(t), newExchange(t)
			cfg := Config{TracerProvider: r.provider, HTTPHosts: c.hosts}
			ctx := ContextWithDelivery(t.Context(), handledEvent())
			send(t, &http.Client{Transport: NewTransport(x.base(t), cfg)}, request(t, "GET", c.url, "").WithContext(ctx))
			sent := x.headers[0]
			if traced, related := sent.Get("traceparent") != "", sent.Get("X-Correlation-ID") != ""; traced != c.ours || related != c.ours {
				t.Errorf("sent traceparent %v, correlation %v", traced, related)
			}
			if name := r.only(t).Name; strings.Contains(name, "/") && !c.ours {
				t.Errorf("span %q", name)
			}
		})
	}
}

func TestTransportStatus(t *testing.T) {
	r, x := newRecorder(t), newExchange(t)
	var calls []Call
	client := &http.Client{Transport: NewTransport(x.base(t), Config{TracerProvider: r.provider},
		WithObserver(func(_ context.Context, c Call) { calls = append(calls, c); panic("an observer's fault") }))}
	x.status = []int{429, 403}
	for range 2 {
		send(t, client, request(t, "BREW", "http://api.alpaca.markets/v2/secret-path-77", ""))
	}
	spans := r.spans.GetSpans()
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
	r := newRecorder(t)
	failure := &net.OpError{Op: "dial", Err: errors.New("hush")}
	var call Call
	transport := NewTransport(failingBase{failure}, Config{TracerProvider: r.provider}, WithObserver(func(_ context.Context, c Call) { call = c }))
	resp, err := transport.RoundTrip(request(t, "GET", "http://api.alpaca.markets/v2/clock", ""))
	if resp != nil || !errors.Is(err, failure) || !errors.Is(call.Err, failure) || call.Status != 0 {
		t.Errorf("%v %v %+v", resp, err, call)
	}
	span := r.only(t)
	wantAttributes(t, span, map[string]any{"error.type": "*errors.errorString", "http.response.status_code": nil})
	if strings.Contains(fmt.Sprintf("%+v", span), "hush") {
		t.Errorf("the error's text was told: %+v", span)
	}
	transport.CloseIdleConnections()
}

// A span ends when the headers arrive: a body that nobody reads is no reason to
// keep it open.
func TestTransportSpanEndsWithHeaders(t *testing.T) {
	r := newRecorder(t)
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
	resp, err := NewTransport(base, Config{TracerProvider: r.provider}).RoundTrip(request(t, "GET", server.URL, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.only(t)
}

// alpacaDo sends a request as alpaca-trade-api-go v3.9.1 does: the same request
// again after a 429, whose body it neither reads nor closes.
func alpacaDo(t *testing.T, client *http.Client, req *http.Request) {
	t.Helper()
	for range 4 {
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("the retry failed: %v", err)
		}
		if resp.StatusCode == http.StatusTooManyRequests {
			t.Cleanup(func() { _ = resp.Body.Close() }) // http.Client's timer waits for it; alpaca's never does
			continue
		}
		_ = resp.Body.Close()
		return
	}
	t.Fatal("never answered")
}

func TestTransportMendsTheRetriedBody(t *testing.T) {
	const order = `{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}`
	for _, c := range []struct {
		name    string
		timeout time.Duration
		fresh   bool // a connection that is used again hides the fault: net/http rewinds the body itself
	}{{"Plain", 0, false}, {"FreshConnections", 0, true}, {"CopiedRequest", time.Minute, true}} { // with a limit http.Client copies the request
		t.Run(c.name, func(t *testing.T) {
			r, x := newRecorder(t), newExchange(t)
			x.status = []int{429, 429}
			base := x.base(t)
			base.DisableKeepAlives = c.fresh
			client := &http.Client{Transport: NewTransport(base, Config{TracerProvider: r.provider}), Timeout: c.timeout}
			alpacaDo(t, client, request(t, "POST", "http://api.alpaca.markets/v2/orders", order))
			if len(x.bodies) != 3 || x.bodies[1] != order || x.bodies[2] != order {
				t.Errorf("bodies %q", x.bodies)
			}
			for i, span := range r.spans.GetSpans() {
				want := map[string]any{"http.request.resend_count": int64(i)}
				if i == 0 {
					want["http.request.resend_count"] = nil
				}
				wantAttributes(t, span, want)
			}
			alpacaDo(t, client, request(t, "POST", "http://api.alpaca.markets/v2/orders", order))
			spans := r.spans.GetSpans()
			wantAttributes(t, spans[len(spans)-1], map[string]any{"http.request.resend_count": nil})
		})
	}
}

// A client that renews the body itself is not interfered with.
func TestTransportLeavesANewBodyAlone(t *testing.T) {
	x := newExchange(t)
	x.status = []int{429}
	client := &http.Client{Transport: NewTransport(x.base(t), Config{})}
	req := request(t, "POST", "http://api.alpaca.markets/v2/watchlists", `{"first":true}`)
	send(t, client, req)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(`{"second":true}`)), 15
	send(t, client, req)
	if x.bodies[1] != `{"second":true}` {
		t.Errorf("bodies %q", x.bodies)
	}
}

func TestTransportDrains(t *testing.T) {
	x := newExchange(t)
	x.status = []int{429, 500, 429}
	transport := NewTransport(x.base(t), Config{})
	get := func() string {
		resp, err := transport.RoundTrip(request(t, "GET", "http://api.alpaca.markets/v2/clock", ""))
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
		if body := get(); body != x.body {
			t.Errorf("body %q", body)
		}
	}
	x.body = strings.Repeat("long ", maxDrain)
	if body := get(); body != x.body {
		t.Errorf("%d bytes of a long body", len(body))
	}
	d := &drained{rest: panicking{}, ready: make(chan struct{})}
	d.readAhead()
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that panics: %v", err)
	}
}

type panicking struct{ io.ReadCloser }

func TestResendsForgetTheOldest(t *testing.T) {
	var r resends
	requests := make([]*http.Request, 20)
	for i := range requests {
		requests[i] = request(t, "GET", "http://api.alpaca.markets/v2/clock", "")
		r.put(requests[i], attempt{attempts: 1})
	}
	for i, req := range requests {
		if got, want := r.take(req).attempts, min(1, i/4); got != want {
			t.Errorf("request %d: %d attempts, want %d", i, got, want)
		}
	}
	if r.count != 0 {
		t.Errorf("%d left", r.count)
	}
}
