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
	// What memory alone can know: the deliveries so far were all to this
	// environment, and within the window.
	elsewhere, tooOld bool
	orderElsewhere    bool
}

// history is an event of the world and what became of it.
type history struct {
	id          string
	parent      *history
	deliveries  []told
	child       time.Time // when the first event it caused was delivered, before itself
	childWhere  int
	environment int
}

// world makes deliveries whose truth is known because it makes them so.
type world struct {
	random *rand.Rand
	name   string
	now    time.Time
	events []*history
	n      int
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
	h := &history{id: w.unique("event-")}
	switch {
	case w.random.IntN(10) == 0: // overtakes its parent
		parent := &history{id: w.unique("event-")}
		w.events = append(w.events, parent)
		h.parent = parent
	case len(w.events) > 0 && w.random.IntN(2) == 0:
		parent := w.events[w.random.IntN(len(w.events))]
		h.parent = parent
	}
	w.events = append(w.events, h)
	return w.deliver(h, told{Delivery: Delivery{EnvelopeID: w.unique("env-"), RequestID: w.unique("r-")}})
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
		d.kind, d.EnvelopeID = Republish, w.unique("env-")
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
	d.Consumer, d.EventType, d.EventID, d.At = "portfolio", "T", h.id, w.now
	if h.parent != nil {
		d.ParentID = h.parent.id
	}
	d.Traceparent = "tp-" + d.RequestID
	d.fails = w.random.IntN(5) == 0
	d.count = len(h.deliveries)
	if d.environment = w.random.IntN(environments); d.count > 0 && w.random.IntN(2) == 0 {
		d.environment = h.environment // an environment tends to be used again
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

// tally counts what was told.
type tally struct {
	mu                                sync.Mutex
	kinds                             map[Kind]int
	early                             int
	right, elsewhere, tooOld, orderAt int
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
	store := new(Memory)
	var together, alone [environments]*Checker
	for i := range environments {
		together[i] = New(Config{Store: store, ShareOrder: true, Wait: time.Minute, Patience: time.Minute})
		alone[i] = New(Config{Window: deliveries})
	}
	all := tally{kinds: map[Kind]int{}}
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
	repeats := all.kinds[Retry] + all.kinds[Redelivery] + all.kinds[Republish] + all.kinds[Replay]
	t.Logf("%d deliveries, %d repeats %v, %d out of order: with the shared store all right", deliveries, repeats, all.kinds, all.early)
	t.Logf("memory alone: %d repeats within window and environment, all right; beyond it %d seen by another environment, %d older than the window, and the order of %d",
		all.right, all.elsewhere, all.tooOld, all.orderAt)
	for _, kind := range []Kind{Retry, Redelivery, Republish, Replay} {
		if all.kinds[kind] < deliveries/100 {
			t.Errorf("only %d of kind %s", all.kinds[kind], kind)
		}
	}
	if all.right < repeats/20 || all.elsewhere == 0 || all.early < deliveries/100 {
		t.Errorf("the worlds are too kind: %+v", all.kinds)
	}
}

// count adds a delivery and says whether memory alone told of it what it could.
func (a *tally) count(d told, v Verdict) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.outOfOrder {
		a.early++
	}
	switch {
	case d.kind == "":
		if d.orderElsewhere {
			a.orderAt++
			return v.Kind == ""
		}
		return v.Kind == "" && v.OutOfOrder == d.outOfOrder && v.Early == d.early
	case d.elsewhere:
		a.elsewhere++
	case d.tooOld:
		a.tooOld++
	default:
		a.right++
		a.kinds[d.kind]++
		return v.Kind == d.kind && v.Count == d.count
	}
	a.kinds[d.kind]++
	return true
}
