package dedupe

import (
	"fmt"
	"testing"
	"time"
)

func TestBefore(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"1", "2", true}, {"2", "1", false}, {"1", "1", false}, {"9", "10", true}, {"10", "9", false}, {"007", "8", true}, {"", "1", true},
		{"10000000000000011000", "10000000000000011256", true}, {"99999999999999999999", "100000000000000000000", true}, {"a", "b", false}, {"1", "x", false}, {"-1", "1", false},
	} {
		if got := before(tt.a, tt.b); got != tt.want {
			t.Errorf("%s before %s: %v", tt.a, tt.b, got)
		}
	}
}

// An event that comes after a later one of its group is out of order; a repeat and
// what a replay delivers are not, nor events of other groups, consumers and sources.
func TestOrderOfGroups(t *testing.T) {
	event := func(n int, change ...func(*Delivery)) Delivery {
		d := delivery(fmt.Sprint("e-", n), fmt.Sprint("env-", n), fmt.Sprint("r-", n))
		d.Group, d.Sequence, d.At = "customer-7", fmt.Sprint(10_000_000_000+n), at.Add(time.Duration(n)*time.Second)
		for _, f := range change {
			f(&d)
		}
		return d
	}
	for _, tt := range []struct {
		name   string
		first  Delivery
		second Delivery
		behind string
	}{
		{"InOrder", event(1), event(2), ""},
		{"OutOfOrder", event(2), event(1, func(d *Delivery) { d.At = at.Add(5 * time.Second) }), "10000000002"},
		{"AnotherGroup", event(2), event(1, func(d *Delivery) { d.Group = "customer-8" }), ""},
		{"AnotherConsumer", event(2), event(1, func(d *Delivery) { d.Consumer = "reports" }), ""},
		{"AnotherSource", event(2), event(1, func(d *Delivery) { d.Source = "shop" }), ""},
		{"NoSequence", event(2), event(1, func(d *Delivery) { d.Sequence = "" }), ""},
		{"NoNumber", event(2), event(1, func(d *Delivery) { d.Sequence = "x" }), ""},
		{"Replayed", event(2), event(1, func(d *Delivery) { d.ReplayName = "REPLAY" }), ""},
		{"ReplayedLater", event(2, func(d *Delivery) { d.ReplayName = "REPLAY" }), event(1), ""},
		{"TheSameAgain", event(1), event(1), ""},
		{"AfterTheWindow", event(2), event(1, func(d *Delivery) { d.At = at.Add(2 * time.Hour) }), ""},
	} {
		c := New(Config{Groups: true})
		if v := c.Check(tt.first); v != (Verdict{}) {
			t.Errorf("%s: the first is %+v", tt.name, v)
		}
		v := c.Check(tt.second)
		if v.Behind != tt.behind || v.OutOfOrder != (tt.behind != "") || v.OutOfOrder && v.Early != 3*time.Second {
			t.Errorf("%s: %+v", tt.name, v)
		}
		if v := New(Config{}).Check(tt.second); v != (Verdict{}) {
			t.Errorf("%s, where it was not asked for: %+v", tt.name, v)
		}
	}
	c := New(Config{Groups: true})
	c.Check(event(2))
	c.Check(event(1))
	if v := c.Check(event(1, func(d *Delivery) { d.RequestID = "r-9" })); v.Kind != Redelivery || v.OutOfOrder {
		t.Errorf("a repeat of what was out of order: %+v", v)
	}
}

// In a batch an event that was published twice is a republish, although both came by
// one request; the same batch again is a retry.
func TestRepeatsWithinABatch(t *testing.T) {
	c := New(Config{})
	one, other := delivery("e-1", "env-1", "r-1"), delivery("e-1", "env-2", "r-1")
	one.Batched, other.Batched = true, true
	c.Check(one)
	if v := c.Check(other); v.Kind != Republish {
		t.Errorf("published twice: %+v", v)
	}
	if v := c.Check(other); v.Kind != Retry {
		t.Errorf("the batch again: %+v", v)
	}
}

// A partial batch response makes a retry of the event that it names, and a
// redelivery of another one.
func TestPartialBatchResponse(t *testing.T) {
	for _, store := range []Store{nil, new(Memory)} {
		c := shared(t, store, Config{})
		batch := func(request string) []Delivery {
			a, b := delivery("e-1", "env-1", request), delivery("e-2", "env-2", request)
			a.Batched, b.Batched = true, true
			return []Delivery{a, b}
		}
		p := c.Start(t.Context(), batch("r-1"))
		p.Verdicts(t.Context())
		p.Failed(1)
		p.Done(t.Context(), false)
		again := c
		if store != nil {
			again = shared(t, store, Config{}) // another environment
		}
		p = again.Start(t.Context(), batch("r-2"))
		if v := p.Verdicts(t.Context()); v[0].Kind != Redelivery || v[1].Kind != Retry {
			t.Errorf("store %v: %+v", store != nil, v)
		}
		(*Pending)(nil).Failed(0)
	}
}
