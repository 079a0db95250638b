package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

func TestClientOrderID(t *testing.T) {
	const order = `{"symbol":"AAPL","qty":"1"}`
	place := func(ctx context.Context, bodies ...string) []string {
		x := newExchange(t)
		client := &http.Client{Transport: NewTransport(x.base(t), Config{}, WithClientOrderID())}
		for _, body := range bodies {
			send(t, client, request(t, "POST", "http://paper-api.alpaca.markets/v2/orders", body).WithContext(ctx))
		}
		return x.bodies
	}
	handling := func() context.Context { return ContextWithDelivery(t.Context(), handledEvent()) }
	first, again := place(handling(), order, order), place(handling(), order, order)
	const prefix = `{"symbol":"AAPL","qty":"1","client_order_id":"tl-`
	if !strings.HasPrefix(first[0], prefix) || len(first[0]) != len(prefix)+34 || !json.Valid([]byte(first[0])) {
		t.Errorf("sent %s", first[0])
	}
	if first[0] == first[1] {
		t.Error("two identical orders of one invocation got one ID")
	}
	if first[0] != again[0] || first[1] != again[1] {
		t.Errorf("a retried event places %q, then %q", first, again)
	}
	other := handledEvent()
	other.Events[0].ID = "trade-2"
	if place(ContextWithDelivery(t.Context(), other), order)[0] == first[0] {
		t.Error("another event's order got the same ID")
	}
	empty := place(handling(), `{"client_order_id":"", "qty":"1"}`, `{"a":1,"client_order_id" : null}`)
	if strings.Count(empty[0], "client_order_id") != 1 || !strings.HasPrefix(empty[0], `{"client_order_id":"tl-`) || !strings.HasPrefix(empty[1], `{"a":1,"client_order_id" : "tl-`) {
		t.Errorf("empty ones: %q", empty)
	}
	for _, body := range []string{`{"client_order_id":"mine"}`, `not json`, `[]`, `{}`, `{"a":1} x`, strings.Repeat(" ", maxOrder) + order} {
		if got := place(handling(), body)[0]; got != body {
			t.Errorf("%.40q became %.80q", body, got)
		}
	}
	batch := handledEvent()
	batch.Events = append(batch.Events, batch.Events[0])
	for name, ctx := range map[string]context.Context{"NoEvent": t.Context(), "Batch": ContextWithDelivery(t.Context(), batch)} {
		if got := place(ctx, order)[0]; got != order {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestClientOrderIDElsewhere(t *testing.T) {
	x := newExchange(t)
	ctx := ContextWithDelivery(t.Context(), handledEvent())
	client := &http.Client{Transport: NewTransport(x.base(t), Config{}, WithClientOrderID())}
	for _, c := range []struct{ method, url string }{
		{"PATCH", "http://api.alpaca.markets/v2/orders/1"}, {"POST", "http://api.alpaca.markets/v2/watchlists"}, {"POST", "http://example.com/v2/orders"},
	} {
		send(t, client, request(t, c.method, c.url, `{"qty":"1"}`).WithContext(ctx))
		if last := x.bodies[len(x.bodies)-1]; last != `{"qty":"1"}` {
			t.Errorf("%s %s: %s", c.method, c.url, last)
		}
	}
	off := &http.Client{Transport: NewTransport(x.base(t), Config{})}
	send(t, off, request(t, "POST", "http://api.alpaca.markets/v2/orders", `{"qty":"1"}`).WithContext(ctx))
	if last := x.bodies[len(x.bodies)-1]; last != `{"qty":"1"}` {
		t.Errorf("without the option: %s", last)
	}
}

// A retry of one request is the same order; also where the body cannot be had again.
func TestClientOrderIDOfARetry(t *testing.T) {
	for _, again := range []bool{true, false} {
		x := newExchange(t)
		x.status = []int{429, 429}
		client := &http.Client{Transport: NewTransport(x.base(t), Config{}, WithClientOrderID())}
		req := request(t, "POST", "http://broker-api.alpaca.markets/v1/trading/accounts/a/orders", `{"qty":"1"}`)
		req = req.WithContext(ContextWithDelivery(t.Context(), handledEvent()))
		if !again {
			req.GetBody = nil
		}
		alpacaDo(t, client, req)
		if len(x.bodies) != 3 || x.bodies[0] != x.bodies[1] || x.bodies[1] != x.bodies[2] || !strings.Contains(x.bodies[0], "tl-") {
			t.Errorf("GetBody %v: %q", again, x.bodies)
		}
	}
}

func TestTransportConcurrent(t *testing.T) {
	r, x := newRecorder(t), newExchange(t)
	client := &http.Client{Transport: NewTransport(x.base(t), Config{TracerProvider: r.provider}, WithClientOrderID())}
	ctx := ContextWithDelivery(t.Context(), handledEvent())
	for range 40 {
		x.status = append(x.status, 429, 200)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 10 {
				req := request(t, "POST", "http://api.alpaca.markets/v2/orders", fmt.Sprintf(`{"symbol":"S%d","qty":"%d"}`, i, j)).WithContext(ctx)
				for {
					resp, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					if resp.StatusCode != http.StatusTooManyRequests {
						_ = resp.Body.Close()
						break
					}
				}
			}
		})
	}
	wait.Wait()
	ids := map[any]string{}
	for _, body := range x.bodies {
		var order map[string]any
		if err := json.Unmarshal([]byte(body), &order); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		of := fmt.Sprint(order["symbol"], order["qty"])
		if before, ok := ids[order[orderIDKey]]; ok && before != of {
			t.Fatalf("%s is the ID of %s and of %s", order[orderIDKey], before, of)
		}
		ids[order[orderIDKey]] = of
	}
	if len(ids) != 80 {
		t.Errorf("%d IDs for 80 orders in %d attempts", len(ids), len(x.bodies))
	}
}

func TestClient(t *testing.T) {
	r, x := newRecorder(t), newExchange(t)
	cfg := Config{TracerProvider: r.provider, HTTPHosts: []string{"127.0.0.1"}}
	ctx, process := StartProcess(t.Context(), cfg, *handledEvent(), invocation)
	client := Client(ctx, cfg)
	defer client.CloseIdleConnections()
	resp, err := client.Post(x.URL+"/v2/orders", "application/json", bytes.NewReader([]byte(`{}`)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	span := r.only(t)
	if span.Name != "POST /v2/orders" || !sameSpan(span.Parent, process.SpanContext()) || x.headers[0].Get("X-Correlation-ID") != "workflow-1" || client.Timeout != 10*time.Second {
		t.Errorf("%s under %v, sent %v", span.Name, span.Parent, x.headers[0])
	}
	own, other := r.provider.Tracer("test").Start(t.Context(), "own")
	send(t, client, request(t, http.MethodGet, x.URL+"/v2/clock", "").WithContext(own))
	spans := r.spans.GetSpans()
	if last := spans[len(spans)-1]; !sameSpan(last.Parent, other.SpanContext()) {
		t.Errorf("the request's own span lost: under %v", last.Parent)
	}
}

func TestSetLineageHeaders(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=value")
	if err != nil {
		t.Fatal(err)
	}
	sc := mustParse(t, sampledContext).WithTraceState(state)
	ctx := ContextWithDelivery(trace.ContextWithSpanContext(t.Context(), sc), handledEvent())
	get := func(ctx context.Context, given http.Header) string {
		SetLineageHeaders(ctx, given)
		return strings.Join([]string{given.Get("traceparent"), given.Get("tracestate"), given.Get("X-Correlation-ID"), given.Get("X-Causation-ID")}, " ")
	}
	if got := get(ctx, http.Header{}); got != sampledContext+" vendor=value workflow-1 trade-1" {
		t.Error(got)
	}
	if got := get(ContextWithIDs(ctx, "c", "x"), http.Header{}); got != sampledContext+" vendor=value c x" {
		t.Error(got)
	}
	mine := http.Header{"Traceparent": {"t"}, "X-Correlation-Id": {"mine"}, "X-Causation-Id": {"mine"}}
	if got := get(ctx, mine); got != "t  mine mine" {
		t.Error(got)
	}
	if got := get(ContextWithIDs(t.Context(), "a\r\nInjected: b", strings.Repeat("x", 257)), http.Header{}); got != "   " {
		t.Error(got)
	}
	batch := handledEvent()
	batch.Events = append(batch.Events, batch.Events[0])
	if got := get(ContextWithDelivery(t.Context(), batch), http.Header{}); got != "  workflow-1 " {
		t.Error(got)
	}
}
