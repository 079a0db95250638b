package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing"
)

// The domain's ID stands somewhere of its own.
func ExampleNewReader() {
	reader := tracing.NewReader(tracing.Config{EventID: []string{"/header/id"}, CorrelationID: []string{"/header/run"}})
	delivery := reader.Read([]byte(`{"id":"env-1","detail-type":"Filled","source":"s","detail":{"header":{"id":"fill-7","run":"run-3"}}}`))
	fmt.Println(delivery.Events[0].ID, delivery.Events[0].Lineage.CorrelationID)
	// Output: fill-7 run-3
}

// A stamp in the detail, under a key of the user's choice.
func ExampleNewStamper() {
	stamper := tracing.NewStamper(tracing.Config{Stamp: tracing.StampDetail, DetailKey: "lineage"})
	entry, _ := stamper.Apply(tracing.Entry{Detail: `{"price": 1.10}`}, tracing.Lineage{CorrelationID: "run-3"}, 1000)
	fmt.Println(entry.Detail)
	// Output: {"price": 1.10,"lineage":{"correlation":"run-3","hops":0}}
}

// Where IDs come from: the context, the entry's resources, its detail, the
// event being handled.
func ExampleStamper_Resolve() {
	delivery := tracing.NewReader(tracing.Config{}).Read([]byte(signal))
	ctx := tracing.ContextWithDelivery(context.Background(), &delivery)
	out := tracing.NewStamper(tracing.Config{}).Resolve(ctx, tracing.Entry{DetailType: "RebalancePlanned", Detail: `{"event_id":"plan-1","causation_id":"trade-9"}`}, nil)
	fmt.Println(out.EventID, out.Lineage.CorrelationID, out.Lineage.CausationID, out.Lineage.ParentID, out.Lineage.Hops)
	// Output: plan-1 workflow-1 trade-9 signal-1 1
}

// A handler that takes a batch apart gives each record a context of its own.
func ExampleContextWithDelivery() {
	batch := tracing.NewReader(tracing.Config{}).Read([]byte(`{"Records":[
		{"eventSource":"aws:sqs","messageId":"m-1","body":"{\"event_id\":\"signal-1\",\"correlation_id\":\"w-1\"}"},
		{"eventSource":"aws:sqs","messageId":"m-2","body":"{\"event_id\":\"signal-2\",\"correlation_id\":\"w-2\"}"}]}`))
	stamper := tracing.NewStamper(tracing.Config{})
	for _, event := range batch.Events {
		one := batch
		one.Events = []tracing.Event{event}
		ctx := tracing.ContextWithDelivery(context.Background(), &one)
		fmt.Println(stamper.Resolve(ctx, tracing.Entry{Detail: `{}`}, nil).Lineage.ParentID)
	}
	// Output:
	// signal-1
	// signal-2
}

func ExampleDeliveryFromContext() {
	delivery := tracing.NewReader(tracing.Config{}).Read([]byte(signal))
	ctx := tracing.ContextWithDelivery(context.Background(), &delivery)
	fmt.Println(tracing.DeliveryFromContext(ctx).Events[0].Type)
	fmt.Println(tracing.DeliveryFromContext(context.Background()) == nil)
	// Output:
	// SignalGenerated
	// true
}

func ExampleContextWithIDs() {
	ctx := tracing.ContextWithIDs(context.Background(), "run-3", "")
	l := tracing.NewStamper(tracing.Config{}).Resolve(ctx, tracing.Entry{Detail: `{"correlation_id":"other","causation_id":"own"}`}, nil).Lineage
	fmt.Println(l.CorrelationID, l.CausationID)
	// Output: run-3 own
}

func ExampleConfig_HopLimit() {
	fmt.Println(tracing.Config{}.HopLimit(), tracing.Config{MaxHops: 5}.HopLimit())
	// Output: 16 5
}

func ExampleParseTraceparent() {
	for _, s := range []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"} {
		sc, ok := tracing.ParseTraceparent(s)
		fmt.Println(ok, sc.SpanID(), sc.IsSampled())
	}
	// Output:
	// true 00f067aa0ba902b7 true
	// false 0000000000000000 false
}

// Without a TracerProvider causation still holds: contexts are minted.
func ExampleMint() {
	root := tracing.Mint(trace.SpanContext{})
	child := tracing.Mint(root)
	fmt.Println(root.IsValid(), child.TraceID() == root.TraceID(), child.SpanID() == root.SpanID(), child.IsSampled())
	// Output: true true false false
}

func ExampleFinishProcess() {
	provider, spans := newProvider()
	cfg := tracing.Config{TracerProvider: provider}
	_, span := tracing.StartProcess(context.Background(), cfg, tracing.NewReader(cfg).Read([]byte(signal)), tracing.Invocation{RequestID: "request-1"})
	tracing.FinishProcess(span, errors.New("insufficient buying power"))
	s := spans.GetSpans()[0]
	fmt.Println(s.Status.Code, s.Status.Description, s.Events[0].Name)
	// Output: Error insufficient buying power exception
}

func ExampleRecordRepeat() {
	provider, spans := newProvider()
	_, span := provider.Tracer("example").Start(context.Background(), "process SignalGenerated")
	tracing.RecordRepeat(span, tracing.Repeat{Kind: "replay", Count: 1, EventID: "signal-1", FirstAt: time.Unix(1764020000, 0), FirstRequestID: "request-1",
		FirstTraceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	span.End()
	for _, a := range spans.GetSpans()[0].Attributes {
		fmt.Println(a.Key, a.Value.String())
	}
	fmt.Println("linked to", spans.GetSpans()[0].Links[0].SpanContext.SpanID())
	// Output:
	// throughline.repeat.kind replay
	// throughline.repeat.count 1
	// throughline.repeat.first.request_id request-1
	// throughline.repeat.first.time 2025-11-24T21:33:20Z
	// linked to 00f067aa0ba902b7
}

// The spans of one request: with one entry it is the send span alone.
func ExamplePublishing() {
	provider, spans := newProvider()
	stamper := tracing.NewStamper(tracing.Config{TracerProvider: provider})
	entries := []tracing.Entry{{DetailType: "OrderPlaced", Detail: `{}`, Bus: "trading"}}
	out := []tracing.Outgoing{stamper.Resolve(context.Background(), entries[0], nil)}
	publishing := stamper.StartPublishing(context.Background(), entries, out)
	publishing.Size(0, 213)
	fmt.Println(trace.SpanContextFromContext(publishing.Context()).Equal(publishing.Send().SpanContext()))
	publishing.End([]tracing.Result{{EventID: "11710aed"}}, nil)
	fmt.Println(spans.GetSpans()[0].Name, spans.GetSpans()[0].SpanContext.Equal(out[0].Lineage.Publisher))
	// Output:
	// true
	// send OrderPlaced true
}

// exampleExchange answers as Alpaca does, and says what it was sent.
func exampleExchange() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ratelimit-Remaining", "199")
		body, _ := io.ReadAll(r.Body)
		fmt.Println(strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body)))
	}))
}

func ExampleNewTransport() {
	exchange := exampleExchange()
	defer exchange.Close()
	provider, spans := newProvider()
	client := &http.Client{Transport: tracing.NewTransport(http.DefaultTransport, tracing.Config{TracerProvider: provider, HTTPHosts: []string{"127.0.0.1"}})}
	resp, err := client.Get(exchange.URL + "/v2/positions/AAPL?secret=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(spans.GetSpans()[0].Name)
	// Output:
	// GET /v2/positions/AAPL
	// GET /v2/positions/{symbol_or_asset_id}
}

func ExampleWithObserver() {
	exchange := exampleExchange()
	defer exchange.Close()
	client := &http.Client{Transport: tracing.NewTransport(nil, tracing.Config{HTTPHosts: []string{"127.0.0.1"}}, tracing.WithObserver(func(_ context.Context, c tracing.Call) {
		fmt.Println(c.Route, c.Status, "calls left:", c.Remaining)
	}))}
	resp, err := client.Get(exchange.URL + "/v2/clock")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	// Output:
	// GET /v2/clock
	// /v2/clock 200 calls left: 199
}

// An event that is handled again places the same order again, under the same
// ID: Alpaca refuses the second. Two orders alike in one invocation differ.
func ExampleWithClientOrderID() {
	exchange := exampleExchange()
	defer exchange.Close()
	cfg := tracing.Config{HTTPHosts: []string{"127.0.0.1"}}
	for range 2 {
		delivery := tracing.NewReader(cfg).Read([]byte(signal))
		client := tracing.Client(tracing.ContextWithDelivery(context.Background(), &delivery), cfg, tracing.WithClientOrderID())
		for range 2 {
			resp, err := client.Post(exchange.URL+"/v2/orders", "application/json", strings.NewReader(`{"symbol":"AAPL"}`))
			if err != nil {
				fmt.Println(err)
				return
			}
			_ = resp.Body.Close()
		}
	}
	// Output:
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-ed5834527f434f1dd769f94ec5b52855"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-2dc970d847bbbad1e5bc2d20e478d292"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-ed5834527f434f1dd769f94ec5b52855"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-2dc970d847bbbad1e5bc2d20e478d292"}
}

// A shim saw the call, in another language: its span is made here.
func ExampleDescribeCall() {
	call := tracing.Call{Method: "GET", Host: "data.alpaca.markets", Route: tracing.Route("/v2/stocks/AAPL/bars"), Status: 429}
	name, attributes, failed := tracing.DescribeCall(&call, "https", 0, http.Header{"X-Ratelimit-Remaining": {"0"}}, "")
	fmt.Println(name, failed, call.RateLimited, call.Remaining)
	for _, a := range attributes {
		fmt.Println(a.Key, a.Value.String())
	}
	// Output:
	// GET /v2/stocks/{symbol}/bars true true 0
	// http.request.method GET
	// server.address data.alpaca.markets
	// url.scheme https
	// url.template /v2/stocks/{symbol}/bars
	// http.response.status_code 429
	// http.response.header.x-ratelimit-remaining ["0"]
	// error.type 429
}

func ExampleEvent_At() {
	event := tracing.NewReader(tracing.Config{}).Read([]byte(`{"id":"env-1","detail-type":"Filled","source":"s","detail":{"metadata":{"trade_id":"t-7"}}}`)).Events[0]
	fmt.Println(event.At("/metadata/trade_id"))
	// Output: t-7
}
