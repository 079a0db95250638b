package tracing_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing"
)

const signal = `{"version":"0","id":"6a7e8feb","detail-type":"SignalGenerated","source":"alchemiser.strategy","time":"2026-11-23T10:00:00Z",
	"resources":["correlation:workflow-1","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:0"],
	"detail":{"event_id":"signal-1","correlation_id":"workflow-1"}}`

func ExampleReader_Read() {
	delivery := tracing.NewReader(tracing.Config{}).Read([]byte(signal))
	event := delivery.Events[0]
	fmt.Println(delivery.Shape, event.Type, event.ID)
	fmt.Println(event.Lineage.CorrelationID, event.Lineage.Hops, event.Lineage.Publisher.SpanID())
	// Output:
	// eventbridge SignalGenerated signal-1
	// workflow-1 0 00f067aa0ba902b7
}

// A handler that publishes because of what it handles.
func ExampleStamper() {
	cfg := tracing.Config{}
	delivery := tracing.NewReader(cfg).Read([]byte(signal))
	ctx := tracing.ContextWithDelivery(context.Background(), &delivery)

	stamper := tracing.NewStamper(cfg)
	entries := []tracing.Entry{{Source: "alchemiser.portfolio", DetailType: "RebalancePlanned", Detail: `{"plan_id":"plan-1"}`}}
	out := []tracing.Outgoing{stamper.Resolve(ctx, entries[0], nil)}
	publishing := stamper.StartPublishing(ctx, entries, out)
	entry, stamped := stamper.Apply(entries[0], out[0].Lineage, 1000)
	publishing.End(nil, nil)

	for _, line := range entry.Resources {
		if !strings.HasPrefix(line, "traceparent:") { // a random one
			fmt.Println(line)
		}
	}
	fmt.Println(entry.Detail, stamped.Added)
	// Output:
	// correlation:workflow-1
	// causation:signal-1
	// origin:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	// hops:1
	// {"plan_id":"plan-1"} 175
}

func ExampleStamper_Apply_detail() {
	sc, _ := tracing.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	stamper := tracing.NewStamper(tracing.Config{Stamp: tracing.StampDetail})
	entry, _ := stamper.Apply(tracing.Entry{Detail: `{"quantity": 12345678901234567890 }`}, tracing.Lineage{CorrelationID: "workflow-1", Publisher: sc}, 1000)
	fmt.Println(entry.Detail)
	// Output:
	// {"quantity": 12345678901234567890,"_throughline":{"correlation":"workflow-1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops":0} }
}

func newProvider() (*sdk.TracerProvider, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return sdk.NewTracerProvider(sdk.WithSyncer(spans)), spans
}

func ExampleStartProcess() {
	provider, spans := newProvider()
	cfg := tracing.Config{TracerProvider: provider}
	delivery := tracing.NewReader(cfg).Read([]byte(signal))

	ctx, span := tracing.StartProcess(context.Background(), cfg, delivery, tracing.Invocation{RequestID: "request-1"})
	fmt.Println("handling", tracing.DeliveryFromContext(ctx).Events[0].ID)
	tracing.RecordRepeat(span, tracing.Repeat{Kind: "redelivery", Count: 1, EventID: "signal-1"})
	tracing.FinishProcess(span, nil)

	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.SpanKind)
		for _, link := range s.Links {
			set := attribute.NewSet(link.Attributes...)
			why, _ := set.Value(tracing.AttrLink)
			fmt.Println("link:", why.AsString(), link.SpanContext.SpanID())
		}
	}
	// Output:
	// handling signal-1
	// process SignalGenerated consumer
	// link: causation 00f067aa0ba902b7
	// link: correlation 00f067aa0ba902b7
}

func ExampleStamper_StartPublishing() {
	provider, spans := newProvider()
	stamper := tracing.NewStamper(tracing.Config{TracerProvider: provider})
	ctx := context.Background()
	entries := []tracing.Entry{{DetailType: "OrderPlaced", Detail: `{}`}, {DetailType: "OrderPaid", Detail: `{}`}}
	out := make([]tracing.Outgoing, len(entries))
	for i := range entries {
		out[i] = stamper.Resolve(ctx, entries[i], nil)
	}
	publishing := stamper.StartPublishing(ctx, entries, out)
	// PutEvents is called here with publishing.Context().
	publishing.End([]tracing.Result{{EventID: "e-1"}, {ErrorCode: "ThrottlingException"}}, nil)
	for _, s := range spans.GetSpans() {
		fmt.Printf("%s, %v: %v %q\n", s.Name, s.SpanKind, s.Status.Code, s.Status.Description)
	}
	// Output:
	// create OrderPlaced, producer: Unset ""
	// create OrderPaid, producer: Error "ThrottlingException"
	// send default, client: Error "1 of 2 entries failed"
}

func ExampleTransport() {
	alpaca := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-ID", "alpaca-1")
		_, _ = io.WriteString(w, r.Header.Get("X-Correlation-ID"))
	}))
	defer alpaca.Close()
	cfg := tracing.Config{HTTPHosts: []string{"127.0.0.1"}} // for the example; *.alpaca.markets by default
	delivery := tracing.NewReader(cfg).Read([]byte(signal))
	ctx := tracing.ContextWithDelivery(context.Background(), &delivery)

	client := &http.Client{Transport: tracing.NewTransport(nil, cfg, tracing.WithObserver(func(_ context.Context, c tracing.Call) {
		fmt.Println(c.Method, c.Route, c.Status, c.RequestID)
	}))}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, alpaca.URL+"/v2/orders/61e69015", nil)
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	sent, _ := io.ReadAll(resp.Body)
	fmt.Printf("X-Correlation-ID: %s\n", sent)
	// Output:
	// GET /v2/orders/{order_id} 200 alpaca-1
	// X-Correlation-ID: workflow-1
}

// For alpaca-trade-api-go, whose calls take no context: one client an invocation.
func ExampleClient() {
	alpaca := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, r.Header.Get("X-Causation-ID"))
	}))
	defer alpaca.Close()
	cfg := tracing.Config{HTTPHosts: []string{"127.0.0.1"}}
	delivery := tracing.NewReader(cfg).Read([]byte(signal))
	ctx := tracing.ContextWithDelivery(context.Background(), &delivery)

	resp, err := tracing.Client(ctx, cfg).Get(alpaca.URL + "/v2/account") // alpaca.ClientOpts{HTTPClient: tracing.Client(ctx, cfg)}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	// Output:
	// /v2/account signal-1
}

func ExampleRoute() {
	fmt.Println(tracing.Route("/v1/trading/accounts/0d9d8e3b/orders/61e69015"))
	fmt.Printf("%q\n", tracing.Route("/v2/secret-path"))
	// Output:
	// /v1/trading/accounts/{account_id}/orders/{order_id}
	// ""
}

func ExampleSetLineageHeaders() {
	sc, _ := tracing.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	ctx := tracing.ContextWithIDs(trace.ContextWithSpanContext(context.Background(), sc), "workflow-1", "signal-1")
	header := http.Header{}
	tracing.SetLineageHeaders(ctx, header)
	fmt.Println(header.Get("traceparent"), header.Get("X-Correlation-ID"), header.Get("X-Causation-ID"))
	// Output:
	// 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 workflow-1 signal-1
}

func ExampleParseTraceHeader() {
	header, ok := tracing.ParseTraceHeader("root=1-4bf92f35-77b34da6a3ce929d0e0e4736; parent=00f067aa0ba902b7; sampled=1; lineage=1:e547cb94:0")
	fmt.Println(ok, header.Context.TraceID(), header.Lineage)
	fmt.Println(header)
	// Output:
	// true 4bf92f3577b34da6a3ce929d0e0e4736 1:e547cb94:0
	// Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;Lineage=1:e547cb94:0
}

func ExampleFormatTraceparent() {
	sc, ok := tracing.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	fmt.Println(ok, sc.IsSampled(), tracing.FormatTraceparent(sc))
	child := tracing.Mint(sc)
	fmt.Println(child.TraceID() == sc.TraceID(), child.IsSampled())
	// Output:
	// true true 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	// true false
}

func ExampleDelivery_Identify() {
	delivery := tracing.NewReader(tracing.Config{}).Read([]byte(`{"source":"schedule"}`))
	delivery.Identify("request-1")
	fmt.Println(delivery.Shape, delivery.Events[0].ID, delivery.Events[0].Lineage.Correlated)
	// Output:
	// schedule request-1 false
}

func ExampleMintInvoke() {
	cfg := tracing.Config{ParentMode: true}
	delivery := tracing.NewReader(cfg).Read([]byte(signal))
	fmt.Println(tracing.MintInvoke(cfg, delivery, "").TraceID())
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736
}

// A sampler that heeds the wish; tracing/export has one to use.
func ExampleSamplingWishFromContext() {
	provider := sdk.NewTracerProvider(sdk.WithSampler(heeding{}))
	cfg := tracing.Config{TracerProvider: provider}
	delivery := tracing.NewReader(cfg).Read([]byte(signal))
	_, span := tracing.StartProcess(context.Background(), cfg, delivery, tracing.Invocation{})
	fmt.Println(span.SpanContext().IsSampled())
	// Output:
	// decided: true, sampled: true
	// true
}

type heeding struct{}

func (heeding) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	wish := tracing.SamplingWishFromContext(p.ParentContext, p.TraceID)
	fmt.Printf("decided: %v, sampled: %v\n", wish.Decided, wish.Sampled)
	if wish.Decided && !wish.Sampled {
		return sdk.SamplingResult{Decision: sdk.Drop}
	}
	return sdk.SamplingResult{Decision: sdk.RecordAndSample}
}

func (heeding) Description() string { return "heeding" }
