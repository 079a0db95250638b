package eventsv2local

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/local/buslocal"
)

// Target receives batches of events.
type Target interface {
	// Name returns the target's name in the ledger.
	Name() string
	// Deliver returns the IDs of the events that the target did not accept, or an
	// error if it accepted none. A DeliveryError has the code for the dead-letter record.
	Deliver(ctx context.Context, b Batch) (failed []string, err error)
}

// Batch is a batch that a target receives.
type Batch struct {
	// Payload is the event of a function: one event, or an array of them.
	Payload    []byte
	Events     []View
	Sync       bool // the subscriber waits for the response
	Subscriber string
}

// View is one event as a subscriber's target receives it.
type View struct {
	Payload  []byte // transformed
	Event    *Event
	Replayed bool
	// The values of the subscriber's parameters for this event.
	Attributes             map[string]string
	TraceHeader            string
	Metadata               map[string]string
	Group, DeduplicationID string
}

// payload returns the events as a JSON array, or with alone a single event as an object.
func (b *Batch) payload(alone bool) []byte {
	var list [][]byte
	for _, v := range b.Events {
		list = append(list, v.Payload)
	}
	if alone && len(list) == 1 {
		return list[0]
	}
	return slices.Concat([]byte("["), bytes.Join(list, []byte(",")), []byte("]"))
}

func unquoted(value []byte) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// under returns the parameters whose names begin with a prefix, by the rest of the name.
func under(parameters map[string]string, prefix string) map[string]string {
	found := map[string]string{}
	for name, text := range parameters {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			found[rest] = text
		}
	}
	return found
}

// hand passes a batch to the subscriber's target.
func (p *plan) hand(b Batch) ([]string, error) {
	s := p.sub.bus.service
	s.mu.Lock()
	target, other := s.targets[p.Invoke.TargetARN], s.buses[p.Invoke.TargetARN]
	s.mu.Unlock()
	switch {
	case target != nil:
		return target.Deliver(s.ctx, b)
	case other != nil:
		return s.forward(other, b, p.Invoke.ByContent)
	}
	return nil, &DeliveryError{"RESOURCE_NOT_FOUND", "the target " + p.Invoke.TargetARN + " does not exist"}
}

// forward puts events on another bus, with new IDs and unchanged data.
func (s *Service) forward(to *Bus, b Batch, byContent bool) (failed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range b.Events {
		if slices.Contains(v.Event.trail, to.ARN) {
			return nil, &DeliveryError{"LOOP_DETECTED", "the event was on the bus " + to.Name + " before"}
		}
		e := *v.Event
		e.ID, e.Bus, e.Taken = uuid(), to.Name, s.now()
		e.trail = append(slices.Clone(v.Event.trail), to.ARN)
		e.Group, e.DeduplicationID = v.Group, v.DeduplicationID
		if len(v.Metadata) > 0 {
			e.Metadata = v.Metadata
		} else if !s.options.KeepMetadata {
			e.Metadata = nil
		}
		e.Sequence = s.nextLocked()
		to.addLocked(&e)
	}
	s.wakeLocked()
	return nil, nil
}

// Function is a Lambda function as a target, implemented by a Go func. sync is true if
// the subscriber waits for the response. A response with batchItemFailures has the IDs
// of the events that failed.
type Function struct {
	FunctionName string
	Invoke       func(ctx context.Context, payload []byte, sync bool) (answer []byte, err error)
}

// Name implements Target.
func (f Function) Name() string { return f.FunctionName }

// Deliver implements Target.
func (f Function) Deliver(ctx context.Context, b Batch) ([]string, error) {
	answer, err := f.Invoke(ctx, b.Payload, b.Sync)
	if err != nil || !b.Sync {
		return nil, err
	}
	var response struct {
		Failures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &response) != nil { // not a partial batch response
		return nil, nil
	}
	var failed []string
	for _, f := range response.Failures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, nil
}

// Each is a target of package buslocal, such as a queue or a topic, which receives one
// message for each event.
type Each struct{ To buslocal.Target }

// Name implements Target.
func (e Each) Name() string { return e.To.Name() }

// Deliver implements Target.
func (e Each) Deliver(ctx context.Context, b Batch) (failed []string, err error) {
	var problem error
	for _, v := range b.Events {
		event := v.Event.copyOf(map[bool]string{true: replayed}[v.Replayed])
		if err := e.To.Deliver(ctx, buslocal.Message{Payload: v.Payload, TraceHeader: v.TraceHeader, Event: event}); err != nil {
			failed, problem = append(failed, v.Event.ID), err
		}
	}
	if len(failed) == len(b.Events) {
		return nil, problem
	}
	return failed, nil
}

// OfClassic returns a target for a rule of package buslocal that puts its events on the
// new bus: the data is the classic envelope.
func (b *Bus) OfClassic() buslocal.Target { return classic{b} }

type classic struct{ bus *Bus }

// Name implements buslocal.Target.
func (c classic) Name() string { return "bus " + c.bus.Name }

// Deliver implements buslocal.Target.
func (c classic) Deliver(_ context.Context, m buslocal.Message) error {
	s := c.bus.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.bus.active(); err != nil {
		return err
	}
	e := s.eventLocked(c.bus, &Entry{Source: m.Event.Source, DetailType: m.Event.DetailType, Detail: m.Event.Detail, Resources: m.Event.Resources}, false, s.now())
	e.EnvelopeID, e.Data, e.Envelope, e.Time = m.Event.ID, m.Payload, m.Payload, m.Event.Time.Truncate(time.Second)
	c.bus.addLocked(e)
	s.wakeLocked()
	return nil
}
