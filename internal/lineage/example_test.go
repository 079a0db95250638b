package lineage_test

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/internal/lineage"
)

const signal = `{"version":"0","id":"6a7e8feb","detail-type":"SignalGenerated","source":"alchemiser.strategy","time":"2026-11-23T10:00:00Z",
	"resources":["correlation:workflow-1","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:0"],
	"detail":{"event_id":"signal-1","correlation_id":"workflow-1"}}`

func ExampleReader_Read() {
	delivery := lineage.NewReader(lineage.Config{}).Read([]byte(signal))
	event := delivery.Events[0]
	fmt.Println(delivery.Shape, event.Type, event.ID)
	fmt.Println(event.Lineage.CorrelationID, event.Lineage.Hops, event.Lineage.Publisher.SpanID())
	// Output:
	// eventbridge SignalGenerated signal-1
	// workflow-1 0 00f067aa0ba902b7
}

// A handler that publishes because of what it handles.
func ExampleStamper() {
	cfg := lineage.Config{}
	delivery := lineage.NewReader(cfg).Read([]byte(signal))
	ctx := lineage.ContextWithDelivery(context.Background(), &delivery)

	stamper := lineage.NewStamper(cfg)
	out := stamper.Resolve(ctx, lineage.Entry{Source: "alchemiser.portfolio", DetailType: "RebalancePlanned", Detail: `{"plan_id":"plan-1"}`}, nil)
	publishing := stamper.StartPublishing(ctx, []*lineage.Outgoing{&out})
	entry, stamped := stamper.Apply(out.Entry, out.Lineage, 1000)
	publishing.End(nil)

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
	sc, _ := lineage.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	stamper := lineage.NewStamper(lineage.Config{Stamp: lineage.StampDetail})
	entry, _ := stamper.Apply(lineage.Entry{Detail: `{"quantity": 12345678901234567890 }`}, lineage.Lineage{CorrelationID: "workflow-1", Publisher: sc}, 1000)
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
	cfg := lineage.Config{TracerProvider: provider}
	delivery := lineage.NewReader(cfg).Read([]byte(signal))

	ctx, span := lineage.StartProcess(context.Background(), cfg, delivery, lineage.Invocation{RequestID: "request-1"})
	fmt.Println("handling", lineage.DeliveryFromContext(ctx).Events[0].ID)
	lineage.RecordRepeat(ctx, lineage.Repeat{Kind: "redelivery", Count: 1, EventID: "signal-1"})
	lineage.FinishProcess(span, nil)

	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.SpanKind)
		for _, link := range s.Links {
			set := attribute.NewSet(link.Attributes...)
			why, _ := set.Value(lineage.AttrLink)
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
	stamper := lineage.NewStamper(lineage.Config{TracerProvider: provider})
	ctx := context.Background()
	placed := stamper.Resolve(ctx, lineage.Entry{DetailType: "OrderPlaced", Detail: `{}`}, nil)
	paid := stamper.Resolve(ctx, lineage.Entry{DetailType: "OrderPaid", Detail: `{}`}, nil)
	publishing := stamper.StartPublishing(ctx, []*lineage.Outgoing{&placed, &paid})
	// PutEvents is called here with publishing.Context().
	placed.Result.EventID, paid.Result.ErrorCode = "e-1", "ThrottlingException"
	publishing.End(nil)
	for _, s := range spans.GetSpans() {
		fmt.Printf("%s, %v: %v %q\n", s.Name, s.SpanKind, s.Status.Code, s.Status.Description)
	}
	// Output:
	// create OrderPlaced, producer: Unset ""
	// create OrderPaid, producer: Error "ThrottlingException"
	// send default, client: Error "1 of 2 entries failed"
}

func ExampleParseTraceHeader() {
	header, ok := lineage.ParseTraceHeader("root=1-4bf92f35-77b34da6a3ce929d0e0e4736; parent=00f067aa0ba902b7; sampled=1; lineage=1:e547cb94:0")
	fmt.Println(ok, header.Context.TraceID(), header.Lineage)
	fmt.Println(header)
	// Output:
	// true 4bf92f3577b34da6a3ce929d0e0e4736 1:e547cb94:0
	// Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;Lineage=1:e547cb94:0
}

func ExampleFormatTraceparent() {
	sc, ok := lineage.ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	fmt.Println(ok, sc.IsSampled(), lineage.FormatTraceparent(sc))
	child := lineage.Mint(sc)
	fmt.Println(child.TraceID() == sc.TraceID(), child.IsSampled())
	// Output:
	// true true 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
	// true false
}

func ExampleDelivery_Identify() {
	delivery := lineage.NewReader(lineage.Config{}).Read([]byte(`{"source":"schedule"}`))
	delivery.Identify("request-1")
	fmt.Println(delivery.Shape, delivery.Events[0].ID, delivery.Events[0].Lineage.Correlated)
	// Output:
	// schedule request-1 false
}

func ExampleMintInvoke() {
	cfg := lineage.Config{ParentMode: true}
	delivery := lineage.NewReader(cfg).Read([]byte(signal))
	fmt.Println(lineage.MintInvoke(cfg, delivery, "").TraceID())
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736
}

// A sampler that heeds the wish; tracing/export has one to use.
func ExampleSamplingDecisionFromContext() {
	provider := sdk.NewTracerProvider(sdk.WithSampler(heeding{}))
	cfg := lineage.Config{TracerProvider: provider}
	delivery := lineage.NewReader(cfg).Read([]byte(signal))
	_, span := lineage.StartProcess(context.Background(), cfg, delivery, lineage.Invocation{})
	fmt.Println(span.SpanContext().IsSampled())
	// Output:
	// decided: true, sampled: true
	// true
}

type heeding struct{}

func (heeding) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	wish := lineage.SamplingDecisionFromContext(p.ParentContext, p.TraceID)
	fmt.Printf("decided: %v, sampled: %v\n", wish.Decided, wish.Sampled)
	if wish.Decided && !wish.Sampled {
		return sdk.SamplingResult{Decision: sdk.Drop}
	}
	return sdk.SamplingResult{Decision: sdk.RecordAndSample}
}

func (heeding) Description() string { return "heeding" }
