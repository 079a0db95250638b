package dedupe

import (
	"testing"
	"time"
)

func TestOrderAcrossEnvironments(t *testing.T) {
	for _, share := range []bool{false, true} {
		store := new(Memory)
		a, b := shared(t, store, Config{ShareOrder: share}), shared(t, store, Config{ShareOrder: share})
		child := delivery("all-trades-1", "env-2", "r-1")
		child.ParentID = "trade-1"
		deliver(t, a, child, false)
		parent := delivery("trade-1", "env-1", "r-2")
		parent.At = at.Add(3 * time.Second)
		if v := deliver(t, b, parent, false); v.OutOfOrder != share || share && v.Early != 3*time.Second || v.Kind != "" {
			t.Errorf("order shared %v: %+v", share, v)
		}
		parent.RequestID = "r-3"
		if v := deliver(t, a, parent, false); v.OutOfOrder || v.Kind != Redelivery {
			t.Errorf("a repeat of the parent: %+v", v)
		}
		after := delivery("all-trades-2", "env-3", "r-4")
		after.ParentID = "trade-1"
		if v := deliver(t, a, after, false); v.OutOfOrder {
			t.Errorf("a child in order: %+v", v)
		}
	}
}

// TestOrderOfBusinessKeys: a parent's record is under its business key, and its
// children know it by its ID.
func TestOrderOfBusinessKeys(t *testing.T) {
	for _, store := range []Store{nil, new(Memory)} {
		var environments [2]*Checker
		for i := range environments {
			environments[i] = shared(t, store, Config{ShareOrder: true})
		}
		if store == nil {
			environments[1] = environments[0]
		}
		child := delivery("all-trades-1", "env-2", "r-1")
		child.ParentID = "trade-executed-1"
		deliver(t, environments[0], child, false)
		parent := delivery("trade-executed-1", "env-1", "r-2")
		parent.BusinessKey, parent.At = "trade-1", at.Add(3*time.Second)
		if v := deliver(t, environments[1], parent, false); !v.OutOfOrder || v.Early != 3*time.Second || v.Kind != "" {
			t.Errorf("store %v: %+v", store != nil, v)
		}
		again := delivery("trade-executed-2", "env-3", "r-3") // the same trade, published anew
		again.BusinessKey, again.At = "trade-1", at.Add(time.Minute)
		if v := deliver(t, environments[0], again, false); v.OutOfOrder || v.Kind != Republish {
			t.Errorf("store %v: %+v", store != nil, v)
		}
		child.EventID, child.EnvelopeID, child.RequestID = "all-trades-2", "env-4", "r-4"
		deliver(t, environments[1], child, false)
		parent.At, parent.RequestID = at.Add(time.Hour), "r-5"
		if v := deliver(t, environments[0], parent, false); v.OutOfOrder {
			t.Errorf("store %v: a child in order makes its parent %+v", store != nil, v)
		}
	}
}

func TestRulesOfOrder(t *testing.T) {
	rules, err := ParseOrder("TradeExecuted:RebalancePlanned, RebalancePlanned:SignalGenerated")
	if err != nil {
		t.Fatal(err)
	}
	event := func(eventType, id, correlation string) Delivery {
		d := delivery(id, "env-"+id, "r-"+id)
		d.EventType, d.CorrelationID = eventType, correlation
		return d
	}
	for _, environments := range []int{1, 3} {
		for _, store := range []Store{nil, new(Memory)} {
			if store == nil && environments > 1 {
				continue
			}
			var all []*Checker
			for range environments {
				all = append(all, shared(t, store, Config{Order: rules}))
			}
			for i, tt := range []struct {
				d       Delivery
				awaited string
			}{
				{event("TradeExecuted", "t-1", "w-1"), "RebalancePlanned"},
				{event("TradeExecuted", "t-2", "w-1"), "RebalancePlanned"},
				{event("SignalGenerated", "s-1", "w-1"), ""},
				{event("RebalancePlanned", "p-1", "w-1"), ""},
				{event("TradeExecuted", "t-3", "w-1"), ""},
				{event("RebalancePlanned", "p-2", "w-2"), "SignalGenerated"},
				{event("Other", "o-1", "w-2"), ""},
				{event("TradeExecuted", "t-4", ""), ""},
			} {
				v := deliver(t, all[i%environments], tt.d, false)
				if v.Awaited != tt.awaited || v.OutOfOrder != (tt.awaited != "") {
					t.Errorf("%d environments, store %v: %s: %+v, want %q", environments, store != nil, tt.d.EventID, v, tt.awaited)
				}
			}
		}
	}
}
