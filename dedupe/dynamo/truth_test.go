package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
)

const worlds = 4

var errFails = errors.New("the handler fails")

// volume is how many deliveries a truth test plays: a twentieth but in `make soak`.
func volume() int {
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		return 1_000_000
	}
	return 50_000
}

// span is how many deliveries are played until what has expired is forgotten.
const span = 50_000

// play makes deliveries in several worlds at once; each invocation is handled by
// handle, which says whether its handler ran. expire is told the time that has
// come in all worlds.
func play(t *testing.T, volume int, single bool, handle func(batch []entry) bool, expire func(time.Time)) {
	var all [worlds]*world
	for n := range all {
		all[n] = &world{random: rand.New(rand.NewPCG(uint64(n), 16)), name: fmt.Sprint(n), now: at, single: single}
	}
	for played := 0; played < volume && !t.Failed(); played += span {
		var wg sync.WaitGroup
		for _, w := range all {
			wg.Go(func() {
				for made := 0; made < min(span, volume-played)/worlds && !t.Failed(); {
					batch := w.next()
					made += len(batch)
					w.settle(batch, handle(batch))
				}
			})
		}
		wg.Wait()
		expire(slices.MinFunc(all[:], func(a, b *world) int { return a.now.Compare(b.now) }).now)
	}
}

func deliveries(batch []entry) []dedupe.Delivery {
	list := make([]dedupe.Delivery, len(batch))
	for i := range batch {
		list[i] = batch[i].Delivery
	}
	return list
}

// TestTruth plays deliveries to fifty consumers and more, in a hundred
// environments that share a store, and to each environment's memory alone. The
// store's verdicts are the ledger's, all of them; memory's are, where it saw all
// deliveries within its window.
func TestTruth(t *testing.T) {
	t.Run("Table", func(t *testing.T) {
		db := new(standIn)
		truth(t, volume(), func() dedupe.Store { return direct(t, db) }, db.forget)
	})
	t.Run("Memory", func(t *testing.T) {
		store := new(dedupe.Memory)
		truth(t, volume(), func() dedupe.Store { return store }, func(time.Time) {})
	})
}

func truth(t *testing.T, volume int, store func() dedupe.Store, expire func(time.Time)) {
	var together, alone [consumers * environments]*dedupe.Checker
	for i := range together {
		together[i] = dedupe.New(dedupe.Config{Store: store(), Keep: keep, ShareOrder: true, Wait: time.Minute, Patience: time.Minute, Warn: func(m string) { t.Log(m) }})
		alone[i] = dedupe.New(dedupe.Config{Window: volume})
	}
	sums := tally{kinds: map[dedupe.Kind]*fate{dedupe.Retry: {}, dedupe.Redelivery: {}, dedupe.Republish: {}, dedupe.Replay: {}, dedupe.Conflict: {}}}
	play(t, volume, false, func(batch []entry) bool {
		list, environment := deliveries(batch), batch[0].environment
		p := together[environment].Start(t.Context(), list)
		for i, v := range p.Verdicts(t.Context()) {
			e := &batch[i]
			if v.Unknown || v.Kind != e.kind || v.Count != e.count || v.OutOfOrder != e.outOfOrder || v.Early != e.early {
				t.Errorf("%s\nis told as %+v", e, v)
			}
		}
		p.Done(t.Context(), batch[0].fails)
		p = alone[environment].Start(t.Context(), list)
		for i, v := range p.Verdicts(t.Context()) {
			if !sums.count(&batch[i], v) {
				t.Errorf("%s\nis told by memory alone, which saw it all, as %+v", &batch[i], v)
			}
		}
		p.Done(t.Context(), batch[0].fails)
		return true
	}, expire)
	sums.report(t)
}

// TestHandledOnce plays the same to handlers that ask to handle each event once.
// What runs is what the ledger has not as completed, with the same content; what
// does not run has the result of the event itself.
func TestHandledOnce(t *testing.T) {
	volume, db := volume(), new(standIn)
	var checkers [consumers * environments]*dedupe.Checker
	for i := range checkers {
		checkers[i] = dedupe.New(dedupe.Config{Store: direct(t, db), Keep: keep, ShareOrder: true, Patience: time.Minute, Warn: func(m string) { t.Log(m) }})
	}
	var mu sync.Mutex
	ran, suppressed, conflicts := 0, 0, 0
	play(t, volume, true, func(batch []entry) bool { // the events of a batch are only flagged
		e := &batch[0]
		handled := false
		content := e.Digest
		if e.BusinessKey != "" {
			content = e.BusinessKey
		}
		want := fmt.Sprint(e.Consumer, e.Source, e.EventType, content)
		result, err := checkers[e.environment].Once(t.Context(), e.Delivery, e.At.Add(time.Second), func(context.Context) ([]byte, error) {
			handled = true
			if e.fails {
				return nil, errFails
			}
			return []byte(want), nil
		})
		if handled == e.completed || !handled && (err != nil || string(result) != want) {
			t.Errorf("%s\nis handled: %v, with the answer %s, %v", e, handled, result, err)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.kind == dedupe.Conflict:
			conflicts++
		case handled:
			ran++
		default:
			suppressed++
		}
		return handled
	}, db.forget)
	t.Logf("%d handled, %d suppressed, %d conflicts handled", ran, suppressed, conflicts)
	if suppressed < volume/10 || conflicts < volume/100 {
		t.Errorf("the worlds are too kind: %d suppressed, %d conflicts", suppressed, conflicts)
	}
}

// tally counts what memory alone told, by kind.
type tally struct {
	mu            sync.Mutex
	kinds         map[dedupe.Kind]*fate
	all           int
	early, beyond int // out of order, and of those beyond what memory knew
}

// fate is what became of the deliveries of one kind.
type fate struct {
	right             int // within window and environment, all of them
	elsewhere, tooOld int // beyond it: another environment saw the identity, or it is older than the window
	asNew             int // of those beyond, taken for new
}

// count adds a delivery and says whether memory alone told of it what it could.
func (a *tally) count(e *entry, v dedupe.Verdict) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all++
	if e.outOfOrder {
		a.early++
		if e.orderElsewhere {
			a.beyond++
		}
	}
	f := a.kinds[e.kind]
	switch {
	case e.kind == "":
		return v.Kind == "" && (e.orderElsewhere || v.OutOfOrder == e.outOfOrder && v.Early == e.early)
	case e.elsewhere:
		f.elsewhere++
	case e.tooOld:
		f.tooOld++
	default:
		f.right++
		return v.Kind == e.kind && v.Count == e.count
	}
	if v.Kind == "" {
		f.asNew++
	}
	return true
}

func (a *tally) report(t *testing.T) {
	t.Logf("%d deliveries, %d out of order: with the shared store all right", a.all, a.early)
	t.Logf("with memory alone, the repeats within window and environment all right; beyond it, and the order of %d:", a.beyond)
	t.Logf("%-10s %8s %14s %16s %12s", "kind", "within", "seen elsewhere", "older than 1 h", "taken as new")
	for _, kind := range []dedupe.Kind{dedupe.Retry, dedupe.Redelivery, dedupe.Republish, dedupe.Replay, dedupe.Conflict} {
		f := a.kinds[kind]
		t.Logf("%-10s %8d %14d %16d %12d", kind, f.right, f.elsewhere, f.tooOld, f.asNew)
		if f.right < a.all/1000 || f.elsewhere < a.all/500 || f.tooOld == 0 || f.asNew == 0 {
			t.Errorf("the worlds are too kind: %+v of kind %s", *f, kind)
		}
	}
	if a.early < a.all/100 || a.beyond == 0 {
		t.Errorf("only %d out of order, %d beyond memory", a.early, a.beyond)
	}
}
