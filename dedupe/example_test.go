package dedupe_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throughline/throughline/dedupe"
)

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

func ExampleNew() {
	c := dedupe.New(dedupe.Config{})
	d := dedupe.Delivery{Consumer: "portfolio", EventID: "signal-1", EnvelopeID: "env-1", RequestID: "r-1", At: at}
	fmt.Printf("%q\n", c.Check(d).Kind)
	d.RequestID = "r-2"
	fmt.Printf("%q\n", c.Check(d).Kind)
	d.RequestID, d.EnvelopeID = "r-3", "env-2"
	fmt.Printf("%q\n", c.Check(d).Kind)
	// Output:
	// ""
	// "redelivery"
	// "republish"
}

// Two environments of a function share a store; the check runs beside the handler.
func ExamplePending() {
	store := new(dedupe.Memory) // in Lambda, a dynamo.Table
	for _, request := range []string{"r-1", "r-2"} {
		checker := dedupe.New(dedupe.Config{Store: store, Wait: time.Second})
		checks := checker.Start(context.Background(), []dedupe.Delivery{
			{Consumer: "portfolio", EventID: "signal-1", EnvelopeID: "env-1", RequestID: request, At: at},
		})
		// … the handler runs …
		verdict := checks.Verdicts(context.Background())[0]
		checks.Done(context.Background(), false)
		fmt.Printf("%s: %q of %q\n", request, verdict.Kind, verdict.FirstRequestID)
	}
	// Output:
	// r-1: "" of ""
	// r-2: "redelivery" of "r-1"
}

func ExampleChecker_Once() {
	c := dedupe.New(dedupe.Config{Store: new(dedupe.Memory)})
	place := func(context.Context) ([]byte, error) {
		fmt.Println("order placed")
		return []byte("order-7"), nil
	}
	for _, request := range []string{"r-1", "r-2"} {
		d := dedupe.Delivery{Consumer: "execution", EventID: "rebalance-1", EnvelopeID: "env-1", RequestID: request, At: at}
		order, err := c.Once(context.Background(), d, at.Add(time.Minute), place)
		fmt.Println(string(order), err)
	}
	// Output:
	// order placed
	// order-7 <nil>
	// order-7 <nil>
}

// Each event of a batch is claimed for itself, where a handler takes them one by one.
func ExampleClaim() {
	c := dedupe.New(dedupe.Config{Store: new(dedupe.Memory)})
	deadline := at.Add(time.Minute)
	claim := func(request string) *dedupe.Claim {
		return c.Claim(context.Background(), dedupe.Delivery{Consumer: "execution", EventID: "rebalance-1", EnvelopeID: "env-1", RequestID: request, At: at}, deadline)
	}
	first, second := claim("r-1"), claim("r-2")
	_, err := second.Result()
	fmt.Println(first.Granted(), second.Granted(), errors.Is(err, dedupe.ErrInProgress))

	first.Finish(context.Background(), []byte("order-7"), false)
	order, err := claim("r-3").Result()
	fmt.Println(string(order), err)
	// Output:
	// true false true
	// order-7 <nil>
}

func ExampleParseKeys() {
	keys, err := dedupe.ParseKeys("TradeExecuted=/metadata/trade_id")
	if err != nil {
		fmt.Println(err)
	}
	c := dedupe.New(dedupe.Config{Keys: keys})
	trade := func(event, envelope string) dedupe.Kind {
		return c.Check(dedupe.Delivery{
			Consumer: "aggregator", EventType: "TradeExecuted", EventID: event, EnvelopeID: envelope, At: at,
			BusinessKey: c.BusinessKey("TradeExecuted", func(string) string { return "trade-7" }), // tracing.Event.At
		}).Kind
	}
	fmt.Printf("%q %q\n", trade("event-1", "env-1"), trade("event-2", "env-2"))
	_, err = dedupe.ParseKeys("TradeExecuted")
	fmt.Println(err)
	// Output:
	// "" "republish"
	// business key "TradeExecuted": write an event type and a JSON pointer, such as TradeExecuted=/metadata/trade_id
}

func ExampleParseOrder() {
	rules, err := dedupe.ParseOrder("TradeExecuted:RebalancePlanned")
	if err != nil {
		fmt.Println(err)
	}
	c := dedupe.New(dedupe.Config{Order: rules})
	v := c.Check(dedupe.Delivery{Consumer: "aggregator", EventType: "TradeExecuted", EventID: "trade-1", CorrelationID: "workflow-1", At: at})
	fmt.Println(v.OutOfOrder, v.Awaited)
	// Output: true RebalancePlanned
}

func ExampleMemory() {
	var store dedupe.Memory
	claim := func(request string) bool {
		r := dedupe.Record{State: dedupe.Seen, At: at, First: dedupe.Handling{RequestID: request}, Expires: at.Add(time.Hour)}
		_, won, err := store.Claim(context.Background(), "portfolio#signal-1", r, at)
		return won && err == nil
	}
	fmt.Println(claim("r-1"), claim("r-2"))
	// Output: true false
}

// What a store that one writes oneself asks before it writes a record.
func ExampleRecord_Holds() {
	claimed := dedupe.Record{State: dedupe.Claimed, Expires: at.Add(time.Hour), Lease: at.Add(time.Minute)}
	next := dedupe.Record{State: dedupe.Claimed, First: dedupe.Handling{RequestID: "r-2"}}
	fmt.Println(claimed.Holds(&next, at), claimed.Holds(&next, at.Add(2*time.Minute)))
	// Output: true false
}

// Two publications of one event have one digest: the stamp and the space between
// tokens do not count.
func ExampleDigest() {
	first := dedupe.Digest([]byte(`{"order":1,"_throughline":{"hops":0}}`), "_throughline")
	again := dedupe.Digest([]byte(`{ "order": 1 }`), "_throughline")
	other := dedupe.Digest([]byte(`{"order":2}`), "_throughline")
	fmt.Println(first == again, first == other)
	// Output: true false
}
