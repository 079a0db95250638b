package eventsv2local

import (
	"fmt"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
)

// TestKeep: what is remembered is bounded, and nothing of it is delivered twice or not at all.
func TestKeep(t *testing.T) {
	s := newStage(t, Options{Keep: 10, ID: func(name string) string { return name + "-id" }})
	if s.bus.ARN != "arn:aws:events:us-east-1:123456789012:event-busv2/orders/orders-id" {
		t.Error(s.bus.ARN)
	}
	sub := s.subscribe(nil)
	const events = 55
	for i := range events {
		if i == 30 {
			sub.Stop()
		}
		if i == 33 {
			sub.Resume(false)
		}
		s.put(fmt.Sprintf(`{"n":%d}`, i))
	}
	s.wait()
	if got := len(s.h.seen()); got != events {
		t.Errorf("%d of %d events were delivered", got, events)
	}
	l := s.Ledger()
	if len(l.Published) >= 20 || len(l.Deliveries) >= 20 || len(s.bus.Events()) >= 20 || l.Total.Published != events || l.Total.Deliveries != events {
		t.Errorf("%d published, %d deliveries, %d kept; in all %+v", len(l.Published), len(l.Deliveries), len(s.bus.Events()), l.Total)
	}
}

// TestEmit: an event that was recorded is delivered with its own ID and time, as a replay.
func TestEmit(t *testing.T) {
	s := newStage(t, Options{})
	s.subscribe(func(spec *Spec) { spec.Transformer.Type = WithMetadata })
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	if id := s.bus.Emit(buslocal.Event{ID: "recorded", Source: "shop", DetailType: "OrderPlaced", Detail: `{"n":1}`, Resources: []string{"hops:1"}, Time: at, Replay: "monday"}).ID; id != "recorded" {
		t.Error(id)
	}
	s.wait()
	got := parse[three](t, s.h.seen()[0])
	data := parse[struct {
		ID, Time  string
		Resources []string
	}](t, string(got.Data))
	if data.ID != "recorded" || data.Time != "2026-11-23T10:00:00Z" || data.Resources[0] != "hops:1" || got.SystemMetadata["aws:EventId"] != "recorded" || got.SystemMetadata["aws:DeliveryType"] != "REPLAY" {
		t.Errorf("%+v %+v", got, data)
	}
	if d := s.Ledger().Deliveries[0]; d.Replay != "monday" {
		t.Errorf("%+v", d)
	}
	if id := s.bus.Emit(buslocal.Event{Source: "shop", DetailType: "OrderPlaced", Detail: `{}`}).ID; id == "" {
		t.Error("no ID is made")
	}
	s.wait()
	if got := parse[three](t, s.h.seen()[1]); got.SystemMetadata["aws:DeliveryType"] != "LIVE" {
		t.Errorf("%+v", got)
	}
}

// TestRefusedForGood: a permanent fault fails every attempt.
func TestRefusedForGood(t *testing.T) {
	s := newStage(t, Options{RetryDelay: time.Millisecond, Fault: func(buslocal.Delivery) buslocal.Fault {
		return buslocal.Fault{Fail: fmt.Errorf("%w: refused", buslocal.ErrPermanent)}
	}})
	s.subscribe(func(spec *Spec) { spec.DeadLetters, spec.MaxRetries = queueARN, number(2) })
	s.put(`{}`)
	s.wait()
	if letters := s.dead.Letters(); len(letters) != 1 || letters[0].Attributes["RETRY_ATTEMPTS"] != "2" || len(s.h.seen()) != 0 {
		t.Errorf("%+v, %d seen", letters, len(s.h.seen()))
	}
}
