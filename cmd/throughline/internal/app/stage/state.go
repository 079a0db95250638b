package stage

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// Function is what is known of a function while it is played.
type Function struct {
	Name         string `json:"name"`
	Runtime      string `json:"runtime"`
	Environments int    `json:"environments"`
	Invocations  int    `json:"invocations"`
	Errors       int    `json:"errors"`
}

// Queue is what is in a queue.
type Queue struct {
	Name     string `json:"name"`
	Visible  int    `json:"visible"`
	InFlight int    `json:"in_flight"`
	Delayed  int    `json:"delayed"`
	Read     bool   `json:"read"` // a function reads it
}

// Functions are the functions as they are now.
func (s *Stage) Functions() []Function {
	list := []Function{}
	for _, f := range s.plan.Functions {
		d := s.lambda.Deployment(f.Name)
		counts := d.Counts()
		list = append(list, Function{Name: f.Name, Runtime: f.Runtime, Environments: len(d.Environments()), Invocations: counts.Begun, Errors: counts.Failed})
	}
	return list
}

// Invocations are a function's so far, each attempt at one: as many as [kept], or all where
// [Options.Record] is set.
func (s *Stage) Invocations(function string) []lambdalocal.Invocation {
	return s.lambda.Deployment(function).Invocations()
}

// Queues are the queues as they are now.
func (s *Stage) Queues() []Queue {
	list := []Queue{}
	for _, q := range s.plan.Queues {
		one := Queue{Name: q.Name}
		queue := s.queues.Queue(q.Name)
		one.Visible, one.InFlight, one.Delayed = queue.Count()
		for _, m := range s.plan.Mappings {
			one.Read = one.Read || m.Source == queue.ARN()
		}
		list = append(list, one)
	}
	return list
}

// Count is how many messages a queue has that can be received now, are in flight, and are
// delayed.
func (s *Stage) Count(queue string) (visible, inFlight, delayed int) {
	q := s.queues.Queue(queue)
	if q == nil {
		return 0, 0, 0
	}
	return q.Count()
}

// URL is that of a stand, by its name in AWS_ENDPOINT_URL_…, "" where there is none.
func (s *Stage) URL(name string) string { return s.urls[name] }

// Recorded are the events that were brought to a target of the bus, as often as they were,
// and what went to dead-letter queues. They are whole where [Options.Record] is set.
func (s *Stage) Recorded() (delivered []*buslocal.Event, letters []buslocal.DeadLetter) {
	for _, d := range slices.Concat(s.bus.Ledger().Deliveries, s.fresh.Ledger().Deliveries) {
		if d.Err == nil && d.Event.DetailType != "" { // else of PutRawEvents: no envelope
			delivered = append(delivered, d.Event)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return delivered, slices.Clone(s.letters)
}

// GaveUp are messages of a queue that were dropped, because a function left each of them
// [Options.Attempts] times and no redrive policy takes them.
type GaveUp struct {
	Function, Queue string
	Messages        int
}

// GaveUp are the messages that were dropped so far.
func (s *Stage) GaveUp() []GaveUp {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []GaveUp
	for of, n := range s.gaveUp {
		of.Messages = n
		list = append(list, of)
	}
	slices.SortFunc(list, func(a, b GaveUp) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Function, b.Function))
	})
	return list
}

// Bus is how many events the buses took, and how many attempts at deliveries they made.
type Bus struct {
	Events     int `json:"events"`
	Deliveries int `json:"deliveries"`
}

// Bus is what the buses did so far.
func (s *Stage) Bus() Bus {
	total, fresh := s.bus.Ledger().Total, s.fresh.Ledger().Total
	return Bus{total.Published + fresh.Published, total.Deliveries + fresh.Deliveries}
}
