package dynamo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/throughline/throughline/dedupe"
)

const (
	consumers    = 50
	environments = 2 // of each consumer
	window       = time.Hour
	// keep is how long a store keeps an event, and the worlds deliver one for half
	// of it: what expires is asked for no more.
	keep = 12 * time.Hour
)

// entry is a delivery in the ledger, with what is true of it.
type entry struct {
	dedupe.Delivery
	of          *history
	environment int // of all consumers'
	fails       bool
	kind        dedupe.Kind
	count       int
	outOfOrder  bool
	early       time.Duration
	completed   bool // the event was handled to the end before, with the same content

	// What memory alone can know of the identity and of the order.
	elsewhere, tooOld bool
	orderElsewhere    bool
}

func (e *entry) String() string {
	return fmt.Sprintf("%+v in environment %d, which is %q after %d, out of order: %v by %s, completed: %v", e.Delivery, e.environment, e.kind, e.count, e.outOfOrder, e.early, e.completed)
}

// history is an event at a consumer, and what became of it there.
type history struct {
	first       dedupe.Delivery // what its deliveries have in common
	parent      *history
	identity    *identity
	made        time.Time
	deliveries  []entry
	completed   bool
	environment int
	child       time.Time // when the first event that it caused was delivered, before itself
	childWhere  int
}

// identity is a consumer's source, type and ID, which events of different
// content may share.
type identity struct {
	made       time.Time
	deliveries []place
}

type place struct {
	environment int
	at          time.Time
}

// world makes deliveries whose truth is known because it makes them so. Its
// events are its own; its consumers are every world's.
type world struct {
	random *rand.Rand
	name   string
	now    time.Time
	events []*history
	n      int
	single bool // no batches
}

func (w *world) unique(prefix string) string {
	w.n++
	return fmt.Sprint(prefix, w.name, "-", w.n)
}

func (w *world) oneIn(n int) bool { return w.random.IntN(n) == 0 }

// next is an invocation: a delivery, or a batch of a queue's.
func (w *world) next() []entry {
	w.now = w.now.Add(time.Duration(1+w.random.IntN(4000)) * time.Millisecond)
	h := w.pick()
	if w.single || !w.oneIn(10) {
		return []entry{w.deliver(h, false, w.unique("r-"), w.where(h))}
	}
	request, environment := w.unique("r-"), w.where(h)
	batch := []entry{w.deliver(h, true, request, environment)}
	in := map[*identity]bool{h.identity: true}
	for range w.random.IntN(10) {
		h := w.pick()
		// A batch's events are checked beside one another: none twice, and none
		// beside its parent. They all have one consumer.
		if in[h.identity] || h.parent != nil || !h.child.IsZero() || h.first.Consumer != batch[0].Consumer {
			continue
		}
		in[h.identity] = true
		batch = append(batch, w.deliver(h, true, request, environment))
	}
	for i := range batch { // an invocation fails as a whole
		batch[i].fails = batch[0].fails
	}
	return batch
}

// settle writes in the ledger how an invocation ended.
func (w *world) settle(batch []entry, handled bool) {
	for _, e := range batch {
		h := e.of
		h.deliveries[len(h.deliveries)-1].fails = e.fails
		h.completed = h.completed || handled && !e.fails
	}
}

// pick is an event to deliver: a new one, or one that was or will be delivered.
// Most repeats follow soon; some come hours later.
func (w *world) pick() *history {
	for len(w.events) > 0 && w.now.Sub(w.events[0].made) > keep/2 {
		w.events = w.events[1:]
	}
	if len(w.events) == 0 || w.random.IntN(3) > 0 {
		return w.fresh()
	}
	back := 1 + w.random.IntN(min(len(w.events), 200))
	if w.oneIn(5) {
		back = 1 + w.random.IntN(len(w.events))
	}
	return w.events[len(w.events)-back]
}

// fresh is an event that was not delivered to its consumer yet.
func (w *world) fresh() *history {
	h := &history{identity: &identity{made: w.now}, made: w.now}
	var other *history
	if len(w.events) > 0 {
		other = w.events[w.random.IntN(len(w.events))]
	}
	h.first = dedupe.Delivery{
		Consumer: fmt.Sprint("consumer-", w.random.IntN(consumers)), Source: fmt.Sprint("shop.", w.random.IntN(3)), EventType: fmt.Sprint("T", w.random.IntN(3)),
		EventID: w.unique("event-"), CorrelationID: w.unique("workflow-"), Digest: w.unique("digest-"),
	}
	switch n := w.random.IntN(20); {
	case n == 0: // of AWS, which puts a code into what is usually an ID
		h.first.Source, h.first.EventType, h.first.EventID = "aws.rds", "RDS DB Instance Event", "RDS-EVENT-0006"
	case n == 1: // under a business key, which other types have too
		h.first.BusinessKey = w.unique("trade-")
		if other != nil && other.first.BusinessKey != "" {
			h.first.BusinessKey, h.first.EventType = other.first.BusinessKey, w.unique("Type-")
		}
	case n < 4 && other != nil: // with the ID of an event of another source
		h.first.EventID, h.first.Source = other.first.EventID, w.unique("shop.")
	case n == 4 && other != nil: // or of another type
		h.first.EventID, h.first.EventType = other.first.EventID, w.unique("Type-")
	case n < 7 && other != nil: // at another consumer
		consumer := w.unique("consumer-of-")
		h.first = other.first
		h.first.Consumer = consumer
	case n == 7 && other != nil && other.first.BusinessKey == "" && other.first.Source != "aws.rds" && w.now.Sub(other.identity.made) <= keep/2: // or with its identity, and other content
		h.first.Consumer, h.first.Source, h.first.EventType, h.first.EventID, h.identity = other.first.Consumer, other.first.Source, other.first.EventType, other.first.EventID, other.identity
	case n < 11: // overtaking its parent
		parent := &history{first: h.first, identity: &identity{made: w.now}, made: w.now}
		parent.first.EventID, parent.first.Digest = w.unique("event-"), w.unique("digest-")
		w.events = append(w.events, parent)
		h.parent = parent
	case n < 15 && other != nil && other.first.Source != "aws.rds":
		h.first.Consumer, h.first.CorrelationID, h.parent = other.first.Consumer, other.first.CorrelationID, other
	}
	if h.parent != nil {
		h.first.ParentID = h.parent.first.EventID
	}
	w.events = append(w.events, h)
	return h
}

// where is the environment that handles an event next: one that has handled it
// tends to be used again.
func (w *world) where(h *history) int {
	if len(h.deliveries) > 0 && w.oneIn(2) {
		return h.environment
	}
	var consumer int
	if n, _ := fmt.Sscanf(h.first.Consumer, "consumer-%d", &consumer); n == 0 {
		consumer = w.random.IntN(consumers) // one of many more functions; only its name counts
	}
	return consumer*environments + w.random.IntN(environments)
}

// deliver makes the next delivery of an event.
func (w *world) deliver(h *history, queue bool, request string, environment int) entry {
	e := entry{Delivery: h.first, of: h, environment: environment, count: len(h.deliveries), completed: h.completed}
	e.RequestID, e.At, e.Traceparent = request, w.now, "tp-"+request
	if e.fails = w.oneIn(5); queue {
		e.ReceiveCount = 1
	}
	if e.count == 0 {
		e.EnvelopeID = w.unique("env-")
		if len(h.identity.deliveries) > 0 {
			e.kind = dedupe.Conflict
		} else if !h.child.IsZero() {
			e.outOfOrder, e.early = true, e.At.Sub(h.child)
			e.orderElsewhere = h.childWhere != environment || e.early > window
		}
		h.environment = environment
	} else {
		w.again(h, &e, queue)
	}
	for _, p := range h.identity.deliveries {
		e.elsewhere = e.elsewhere || p.environment != environment
		e.tooOld = e.tooOld || e.At.Sub(p.at) > window
	}
	h.identity.deliveries = append(h.identity.deliveries, place{environment, e.At})
	h.deliveries = append(h.deliveries, e)
	if p := h.parent; p != nil && len(p.deliveries) == 0 && p.child.IsZero() {
		p.child, p.childWhere = e.At, environment
	}
	return e
}

// again makes e a repeat of the first or the latest delivery of its event.
func (w *world) again(h *history, e *entry, queue bool) {
	old := h.deliveries[0]
	if w.oneIn(2) {
		old = h.deliveries[len(h.deliveries)-1]
	}
	e.EnvelopeID = old.EnvelopeID
	failed := false // the latest handling of that envelope
	for _, o := range h.deliveries {
		if o.EnvelopeID == old.EnvelopeID {
			failed = o.fails
		}
	}
	n := w.random.IntN(6)
	if n == 2 && h.first.Source == "aws.rds" || n == 0 && queue {
		n = 5
	}
	switch {
	case n == 0:
		e.kind, e.RequestID = dedupe.Retry, old.RequestID // by Lambda
		e.Traceparent = "tp-" + old.RequestID
		if old.ReceiveCount > 0 { // which retries whole batches alone
			e.ReceiveCount = 2
		}
	case n == 1:
		e.kind, e.ReceiveCount = dedupe.Retry, 2+w.random.IntN(3) // by a queue
	case n == 2:
		e.kind, e.EnvelopeID = dedupe.Republish, w.unique("env-")
		if h.first.BusinessKey != "" {
			e.EventID, e.Digest = w.unique("event-"), w.unique("digest-")
		}
	case n == 3:
		e.kind, e.ReplayName = dedupe.Replay, "monday"
		if h.first.Source != "aws.rds" && w.oneIn(2) { // moto's way, where AWS is said to keep the ID
			e.EnvelopeID = w.unique("env-")
		}
	case failed:
		e.kind = dedupe.Retry
	default:
		e.kind = dedupe.Redelivery
	}
}
