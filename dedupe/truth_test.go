package dedupe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

const environments = 50

// told is a delivery with what is true of it.
type told struct {
	Delivery
	environment int
	fails       bool
	kind        Kind
	count       int
	outOfOrder  bool
	early       time.Duration
	// What memory alone can know: whether the environment has seen the event
	// within its window, and whether all deliveries so far were such.
	here              bool
	elsewhere, tooOld bool
	orderElsewhere    bool
}

// history is an event of the world and what became of it.
type history struct {
	id          string
	eventType   string
	business    string
	parent      *history
	deliveries  []told
	child       time.Time // when the first event it caused was delivered, before itself
	childWhere  int
	environment int
	known       map[int]time.Time // since when, by environment
}

// world makes deliveries whose truth is known because it makes them so.
type world struct {
	random *rand.Rand
	name   string
	now    time.Time
	events []*history
	n      int
	// business keys that an event of the one type has, and none yet of the other
	business [2]string
}

func (w *world) unique(prefix string) string {
	w.n++
	return fmt.Sprint(prefix, w.name, "-", w.n)
}

func (w *world) next() told {
	w.now = w.now.Add(time.Duration(1+w.random.IntN(4000)) * time.Millisecond)
	if len(w.events) == 0 || w.random.IntN(3) > 0 {
		return w.fresh()
	}
	// Most repeats follow soon; some come hours later.
	back := 1 + w.random.IntN(min(len(w.events), 200))
	if w.random.IntN(5) == 0 {
		back = 1 + w.random.IntN(len(w.events))
	}
	h := w.events[len(w.events)-back]
	if len(h.deliveries) == 0 { // its child came first; now it comes itself
		return w.deliver(h, told{Delivery: Delivery{EnvelopeID: w.unique("env-"), RequestID: w.unique("r-")}})
	}
	return w.again(h)
}

// fresh is an event that is new; it may be the child of one that is yet to come.
func (w *world) fresh() told {
	h := w.event()
	switch {
	case w.random.IntN(10) == 0: // overtakes its parent
		parent := w.event()
		w.events = append(w.events, parent)
		h.parent = parent
	case len(w.events) > 0 && w.random.IntN(2) == 0:
		parent := w.events[w.random.IntN(len(w.events))]
		h.parent = parent
	}
	w.events = append(w.events, h)
	return w.deliver(h, told{Delivery: Delivery{EnvelopeID: w.unique("env-"), RequestID: w.unique("r-")}})
}

// event is one that is not delivered yet. Some have a business key, which
// events of another type share.
func (w *world) event() *history {
	h := &history{id: w.unique("event-"), eventType: "T", known: map[int]time.Time{}}
	if n := w.random.IntN(4); n < 2 {
		h.eventType, h.business = fmt.Sprint("Business", n), fmt.Sprint("trade-", w.name, "-", w.n)
		if last := w.business[1-n]; last != "" {
			h.business, w.business[1-n] = last, ""
		} else {
			w.business[n] = h.business
		}
	}
	return h
}

// again repeats the first or the latest delivery of an event.
func (w *world) again(h *history) told {
	old := h.deliveries[0]
	if w.random.IntN(2) == 0 {
		old = h.deliveries[len(h.deliveries)-1]
	}
	d := told{Delivery: Delivery{EnvelopeID: old.EnvelopeID, RequestID: w.unique("r-")}}
	failed := false // the latest handling of that envelope
	for _, o := range h.deliveries {
		if o.EnvelopeID == old.EnvelopeID {
			failed = o.fails
		}
	}
	switch n := w.random.IntN(6); {
	case n == 0:
		d.kind, d.RequestID = Retry, old.RequestID // by Lambda
	case n == 1:
		d.kind, d.ReceiveCount = Retry, 2+w.random.IntN(3) // by a queue
	case n == 2:
		if d.kind, d.EnvelopeID = Republish, w.unique("env-"); h.business != "" {
			d.EventID = w.unique("event-")
		}
	case n == 3:
		d.kind, d.ReplayName = Replay, "monday"
		if w.random.IntN(2) == 0 { // moto's way, where AWS is said to keep the ID
			d.EnvelopeID = w.unique("env-")
		}
	case failed:
		d.kind = Retry
	default:
		d.kind = Redelivery
	}
	return w.deliver(h, d)
}

func (w *world) deliver(h *history, d told) told {
	d.Consumer, d.EventType, d.BusinessKey, d.At = "portfolio", h.eventType, h.business, w.now
	if d.EventID == "" {
		d.EventID = h.id
	}
	if h.parent != nil {
		d.ParentID = h.parent.id
	}
	d.Traceparent = "tp-" + d.RequestID
	d.fails = w.random.IntN(5) == 0
	d.count = len(h.deliveries)
	if d.environment = w.random.IntN(environments); d.count > 0 && w.random.IntN(2) == 0 {
		d.environment = h.environment // an environment tends to be used again
	}
	since, known := h.known[d.environment]
	if d.here = known && d.At.Sub(since) <= defaultAge; !d.here {
		h.known[d.environment] = d.At
	}
	for _, o := range h.deliveries {
		d.elsewhere = d.elsewhere || o.environment != d.environment
		d.tooOld = d.tooOld || d.At.Sub(o.At) > defaultAge
	}
	if d.count == 0 {
		h.environment = d.environment
		if !h.child.IsZero() {
			d.outOfOrder, d.early = true, d.At.Sub(h.child)
			d.orderElsewhere = h.childWhere != d.environment || d.early > defaultAge
		}
	}
	h.deliveries = append(h.deliveries, d)
	if p := h.parent; p != nil && len(p.deliveries) == 0 && p.child.IsZero() {
		p.child, p.childWhere = d.At, d.environment
	}
	return d
}

// tally counts what memory alone told of repeats, by kind.
type tally struct {
	mu            sync.Mutex
	kinds         map[Kind]*fate
	early, beyond int // out of order, and of those beyond what memory knew
}

// fate is what became of the repeats of one kind.
type fate struct {
	right             int // within window and environment, all of them
	elsewhere, tooOld int // beyond it: another environment saw it, or it is older than the window
	asNew             int // of those beyond, taken for new
}

// TestGroundTruthOverEnvironments plays a million deliveries (a twentieth by
// default), made by four worlds at once, in fifty environments, with a store
// that they share and with memory alone.
func TestGroundTruthOverEnvironments(t *testing.T) {
	deliveries := 1_000_000
	if os.Getenv("THROUGHLINE_SOAK") != "1" {
		deliveries /= 20
	}
	const worlds = 4
	store := &Memory{most: 3 * deliveries} // as a table, which forgets nothing before its time
	var together, alone [environments]*Checker
	for i := range environments {
		together[i] = New(Config{Store: store, ShareOrder: true, Wait: time.Minute, Patience: time.Minute})
		alone[i] = New(Config{Window: deliveries})
	}
	all := tally{kinds: map[Kind]*fate{Retry: {}, Redelivery: {}, Republish: {}, Replay: {}}}
	var wg sync.WaitGroup
	for n := range worlds {
		w := &world{random: rand.New(rand.NewPCG(uint64(n), 6)), name: fmt.Sprint(n), now: at}
		wg.Go(func() {
			for range deliveries / worlds {
				d := w.next()
				p := together[d.environment].Start(t.Context(), []Delivery{d.Delivery})
				v := p.Verdicts(t.Context())[0]
				p.Done(t.Context(), d.fails)
				if v.Unknown || v.Kind != d.kind || v.Count != d.count || v.OutOfOrder != d.outOfOrder || v.Early != d.early {
					t.Errorf("%+v\nis told as %+v", d, v)
					return
				}
				v = alone[d.environment].Check(d.Delivery)
				alone[d.environment].Done(d.Delivery, d.fails)
				if !all.count(d, v) {
					t.Errorf("%+v\nis told by memory alone, which saw it all, as %+v", d, v)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d deliveries, %d out of order: with the shared store all right", deliveries, all.early)
	t.Logf("with memory alone, the repeats within window and environment all right; beyond it, and the order of %d:", all.beyond)
	t.Logf("%-10s %8s %14s %16s %12s", "kind", "within", "seen elsewhere", "older than 1 h", "taken as new")
	for _, kind := range []Kind{Retry, Redelivery, Republish, Replay} {
		f := all.kinds[kind]
		t.Logf("%-10s %8d %14d %16d %12d", kind, f.right, f.elsewhere, f.tooOld, f.asNew)
		if f.right < deliveries/1000 || f.elsewhere < deliveries/200 || f.tooOld == 0 || f.asNew == 0 {
			t.Errorf("the worlds are too kind: %+v of kind %s", *f, kind)
		}
	}
	if all.early < deliveries/100 || all.beyond == 0 {
		t.Errorf("only %d out of order, %d beyond memory", all.early, all.beyond)
	}
}

// count adds a delivery and says whether memory alone told of it what it could.
func (a *tally) count(d told, v Verdict) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.outOfOrder {
		a.early++
		if d.orderElsewhere {
			a.beyond++
		}
	}
	if d.kind == "" {
		return v.Kind == "" && (d.orderElsewhere || v.OutOfOrder == d.outOfOrder && v.Early == d.early)
	}
	f := a.kinds[d.kind]
	switch {
	case d.elsewhere:
		f.elsewhere++
	case d.tooOld:
		f.tooOld++
	default:
		f.right++
		return d.here && v.Kind == d.kind && v.Count == d.count
	}
	if v.Kind == "" {
		f.asNew++
	}
	return (v.Kind != "") == (d.here || d.ReceiveCount > 1) // the queue says so, whoever saw it
}
