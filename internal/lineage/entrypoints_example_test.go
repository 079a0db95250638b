package lineage_test

import (
	"context"
	"errors"
	"fmt"
	"go.opentelemetry.io/otel/trace"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// The domain's ID stands somewhere of its own.
func ExampleNewReader() {
	reader := lineage.NewReader(lineage.Config{EventID: []string{"/header/id"}, CorrelationID: []string{"/header/run"}})
	delivery := reader.Read([]byte(`{"id":"env-1","detail-type":"Filled","source":"s","detail":{"header":{"id":"fill-7","run":"run-3"}}}`))
	fmt.Println(delivery.Events[0].ID, delivery.Events[0].Lineage.CorrelationID)
	// Output: fill-7 run-3
}

// A stamp in the detail, under a key of the user's choice.
func ExampleNewStamper() {
	stamper := lineage.NewStamper(lineage.Config{Stamp: lineage.StampDetail, DetailKey: "lineage"})
	entry, _ := stamper.Apply(lineage.Entry{Detail: `{"price": 1.10}`}, lineage.Lineage{CorrelationID: "run-3"}, 1000)
	fmt.Println(entry.Detail)
	// Output: {"price": 1.10,"lineage":{"correlation":"run-3","hops":0}}
}

// Where IDs come from: the context, the entry's resources, its detail, the
// event being handled.
func ExampleStamper_Resolve() {
	delivery := lineage.NewReader(lineage.Config{}).Read([]byte(signal))
	ctx := lineage.ContextWithDelivery(context.Background(), &delivery)
	out := lineage.NewStamper(lineage.Config{}).Resolve(ctx, lineage.Entry{DetailType: "RebalancePlanned", Detail: `{"event_id":"plan-1","causation_id":"trade-9"}`}, nil)
	fmt.Println(out.EventID, out.Lineage.CorrelationID, out.Lineage.CausationID, out.Lineage.ParentID, out.Lineage.Hops)
	// Output: plan-1 workflow-1 trade-9 signal-1 1
}

func ExampleConfig_HopLimit() {
	fmt.Println(lineage.Config{}.HopLimit(), lineage.Config{MaxHops: 5}.HopLimit())
	// Output: 16 5
}

func ExampleParseTraceparent() {
	for _, s := range []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"} {
		sc, ok := lineage.ParseTraceparent(s)
		fmt.Println(ok, sc.SpanID(), sc.IsSampled())
	}
	// Output:
	// true 00f067aa0ba902b7 true
	// false 0000000000000000 false
}

// Without a TracerProvider causation still holds: contexts are minted.
func ExampleMint() {
	root := lineage.Mint(trace.SpanContext{})
	child := lineage.Mint(root)
	fmt.Println(root.IsValid(), child.TraceID() == root.TraceID(), child.SpanID() == root.SpanID(), child.IsSampled())
	// Output: true true false false
}

func ExampleFinishProcess() {
	provider, spans := newProvider()
	cfg := lineage.Config{TracerProvider: provider}
	_, span := lineage.StartProcess(context.Background(), cfg, lineage.NewReader(cfg).Read([]byte(signal)), lineage.Invocation{RequestID: "request-1"})
	lineage.FinishProcess(span, errors.New("insufficient buying power"))
	s := spans.GetSpans()[0]
	fmt.Println(s.Status.Code, s.Status.Description, s.Events[0].Name)
	// Output: Error insufficient buying power exception
}

func ExampleRecordRepeat() {
	provider, spans := newProvider()
	ctx, span := provider.Tracer("example").Start(context.Background(), "process SignalGenerated")
	lineage.RecordRepeat(ctx, lineage.Repeat{Kind: "replay", Count: 1, EventID: "signal-1", FirstAt: time.Unix(1764020000, 0), FirstRequestID: "request-1",
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
	stamper := lineage.NewStamper(lineage.Config{TracerProvider: provider})
	out := stamper.Resolve(context.Background(), lineage.Entry{DetailType: "OrderPlaced", Detail: `{}`, Bus: "trading"}, nil)
	publishing := stamper.StartPublishing(context.Background(), []*lineage.Outgoing{&out})
	fmt.Println(trace.SpanContextFromContext(publishing.Context()).Equal(publishing.Send().SpanContext()))
	publishing.End(nil)
	fmt.Println(spans.GetSpans()[0].Name, spans.GetSpans()[0].SpanContext.Equal(out.Lineage.Publisher))
	// Output:
	// true
	// send OrderPlaced true
}

func ExampleEvent_At() {
	event := lineage.NewReader(lineage.Config{}).Read([]byte(`{"id":"env-1","detail-type":"Filled","source":"s","detail":{"metadata":{"trade_id":"t-7"}}}`)).Events[0]
	fmt.Println(event.At("/metadata/trade_id"))
	// Output: t-7
}
