package dedupe

import (
	"errors"
	"testing"
	"time"
)

// A claim is settled by its holder alone: the request, by the lease it took,
// while the record is claimed.
func TestALostClaimIsNotSettled(t *testing.T) {
	held := Record{State: Claimed, At: at, First: Handling{EnvelopeID: "env-1", RequestID: "r-1"}, Count: 1, Expires: at.Add(time.Hour), Lease: at.Add(time.Minute)}
	mine := Outcome{First: true, Latest: true, Claimed: true, RequestID: "r-1", Lease: held.Lease, Kept: true, Result: []byte("mine")}
	for name, change := range map[string]func(*Memory, *Outcome){
		"another request":     func(_ *Memory, o *Outcome) { o.RequestID = "r-2" },
		"another lease":       func(_ *Memory, o *Outcome) { o.Lease = o.Lease.Add(time.Millisecond) },
		"another key":         func(m *Memory, _ *Outcome) { delete(m.records, "k") },
		"completed meanwhile": func(m *Memory, o *Outcome) { _ = m.Settle(t.Context(), "k", *o) },
		"taken over": func(m *Memory, _ *Outcome) {
			next := held
			next.First.RequestID, next.Lease = "r-2", held.Lease.Add(time.Hour)
			if _, won, _ := m.Claim(t.Context(), "k", next, held.Lease.Add(time.Second)); !won {
				t.Error("a claim whose lease ended is not taken over")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var m Memory
			if _, won, err := m.Claim(t.Context(), "k", held, at); !won || err != nil {
				t.Fatal(won, err)
			}
			o := mine
			change(&m, &o)
			before := Record{}
			if r := m.records["k"]; r != nil {
				before = *r
			}
			o.Failed, o.Result = true, []byte("theirs")
			if err := m.Settle(t.Context(), "k", o); !errors.Is(err, ErrLost) {
				t.Errorf("settled: %v", err)
			}
			if r := m.records["k"]; r != nil && (r.State != before.State || !r.Lease.Equal(before.Lease) || string(r.Result) != string(before.Result) || r.First != before.First || r.Latest != before.Latest) {
				t.Errorf("the record became %+v, and was %+v", *r, before)
			}
		})
	}
	var m Memory
	if _, _, err := m.Claim(t.Context(), "k", held, at); err != nil {
		t.Fatal(err)
	}
	if err := m.Settle(t.Context(), "k", mine); err != nil || m.records["k"].State != Completed || string(m.records["k"].Result) != "mine" {
		t.Errorf("its holder does not settle it: %v, %+v", err, m.records["k"])
	}
}
