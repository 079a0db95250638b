package stage

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// Function is the state of a function.
type Function struct {
	Name         string `json:"name"`
	Runtime      string `json:"runtime"`
	Environments int    `json:"environments"`
	Invocations  int    `json:"invocations"`
	Errors       int    `json:"errors"`
}

// Queue is the state of a queue.
type Queue struct {
	Name     string `json:"name"`
	Visible  int    `json:"visible"`
	InFlight int    `json:"in_flight"`
	Delayed  int    `json:"delayed"`
	Read     bool   `json:"read"` // whether a function reads it
}

// Functions returns the current state of the functions.
func (s *Stage) Functions() []Function {
	list := []Function{}
	for _, f := range s.plan.Functions {
		d := s.lambda.Deployment(f.Name)
		counts := d.Counts()
		list = append(list, Function{Name: f.Name, Runtime: f.Runtime, Environments: len(d.Environments()), Invocations: counts.Begun, Errors: counts.Failed})
	}
	return list
}

// Invocations returns a function's invocations so far, each attempt: at least the last
// [kept], or all with [Options.Record].
func (s *Stage) Invocations(function string) []lambdalocal.Invocation {
	return s.lambda.Deployment(function).Invocations()
}

// Queues returns the current state of the queues.
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

// Count returns the numbers of visible, in-flight and delayed messages of a queue.
func (s *Stage) Count(queue string) (visible, inFlight, delayed int) {
	q := s.queues.Queue(queue)
	if q == nil {
		return 0, 0, 0
	}
	return q.Count()
}

// URL returns the URL of a local service by its name in AWS_ENDPOINT_URL_…, or "".
func (s *Stage) URL(name string) string { return s.urls[name] }

// Recorded returns the events that were delivered to targets of the bus, once for each
// delivery, and the messages in dead-letter queues. Both are complete if [Options.Record]
// is set.
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

// GaveUp is the number of messages of a queue that were dropped, because a function left
// each of them [Options.Attempts] times and the queue has no redrive policy.
type GaveUp struct {
	Function, Queue string
	Messages        int
}

// GaveUp returns the messages that were dropped so far.
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

// Bus has the number of events that the buses accepted, and of delivery attempts.
type Bus struct {
	Events     int `json:"events"`
	Deliveries int `json:"deliveries"`
}

// Bus returns the current counts of the buses.
func (s *Stage) Bus() Bus {
	total, fresh := s.bus.Ledger().Total, s.fresh.Ledger().Total
	return Bus{total.Published + fresh.Published, total.Deliveries + fresh.Deliveries}
}
