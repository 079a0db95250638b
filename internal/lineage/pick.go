package lineage

import (
	"hash/maphash"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// pick returns the event of d that an entry is published for (handled). If only the
// workflow can be determined, it returns the workflow's event with the fewest hops
// (workflow). The records of a batch are independent: a record is never the cause of
// an entry that is published for another.
func (d *Delivery) pick(eventID, traceparent string, l *Lineage) (handled, workflow *Event) {
	switch {
	case d == nil || d.Len() == 0:
		return nil, nil
	case d.Len() == 1:
		return d.Event(0), nil
	}
	x := d.indexed()
	for _, id := range [...]string{l.CausationID, eventID} {
		if event := x.find(ref{id: id}, l.CorrelationID); event != nil {
			return event, nil
		}
	}
	if sc, ok := ParseTraceparent(traceparent); ok {
		handled = x.find(refOf(sc), l.CorrelationID)
	}
	of, ok := x.places[x.hash(ref{correlation: l.CorrelationID})]
	if !ok || l.CorrelationID == "" {
		return handled, nil
	}
	workflow = x.of.Event(int(of.place))
	if handled == nil && of.count == 1 {
		handled = workflow
	}
	return handled, workflow
}

// index finds the events of a delivery by the IDs that entries contain. It is built on
// first use, and is safe for concurrent use. It stores hashes: the IDs of a batch of
// 10 000 events would take more memory than the events.
type index struct {
	once   sync.Once
	of     Delivery // without an index
	seed   maphash.Seed
	places map[uint64]places // by the hash of a ref
}

// ref is a reference of an entry to an event: the event's ID or its publisher's span,
// or neither; and the correlation ID, if it is known.
type ref struct {
	id          string
	trace       trace.TraceID
	span        trace.SpanID
	correlation string
}

func refOf(sc trace.SpanContext) ref { return ref{trace: sc.TraceID(), span: sc.SpanID()} }

func (x *index) hash(r ref) uint64 { return maphash.Comparable(x.seed, r) }

// places are the events with the same ref.
type places struct {
	workflow uint64 // the hash of the first one's correlation ID
	place    int32  // of the event with the fewest hops, the first of several
	hops     int32  // of that event
	count    int32
	several  bool // they are of several workflows
}

// indexed returns the index of d's events. If d is a copy with other events, or was not
// read by a Reader, it builds the index again.
func (d *Delivery) indexed() *index {
	x := d.index
	if x == nil {
		x = new(index)
	}
	x.once.Do(func() { x.build(d) })
	if x.of.packed != d.packed || len(x.of.Events) != len(d.Events) || len(d.Events) > 0 && &x.of.Events[0] != &d.Events[0] {
		x = new(index)
		x.build(d)
	}
	return x
}

func (x *index) build(d *Delivery) {
	x.of, x.seed, x.places = Delivery{Events: d.Events, packed: d.packed}, maphash.MakeSeed(), make(map[uint64]places, 3*d.Len())
	n := int32(0)
	d.Each(func(e *Event) {
		at := places{workflow: x.hash(ref{correlation: e.Lineage.CorrelationID}), place: n, hops: int32(min(e.Lineage.Hops, maxHops))}
		x.add(at.workflow, at)
		if e.ID != "" {
			x.refer(ref{id: e.ID}, at, e.Lineage.CorrelationID)
		}
		if e.Lineage.Publisher.IsValid() {
			x.refer(refOf(e.Lineage.Publisher), at, e.Lineage.CorrelationID)
		}
		n++
	})
}

// refer adds an event under r, both without and with its correlation ID.
func (x *index) refer(r ref, at places, correlationID string) {
	x.add(x.hash(r), at)
	if r.correlation = correlationID; correlationID != "" {
		x.add(x.hash(r), at)
	}
}

func (x *index) add(key uint64, at places) {
	p, ok := x.places[key]
	switch {
	case !ok:
		p = at
	case at.hops < p.hops:
		p.place, p.hops = at.place, at.hops
	}
	p.several = p.several || p.workflow != at.workflow
	p.count++
	x.places[key] = p
}

// find returns the event of a workflow that r references. If correlationID is empty, it
// returns nil if events of several workflows match.
func (x *index) find(r ref, correlationID string) *Event {
	if r == (ref{}) {
		return nil
	}
	r.correlation = correlationID
	p, ok := x.places[x.hash(r)]
	if !ok || p.several {
		return nil
	}
	return x.of.Event(int(p.place))
}
