package dedupe

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// margin is the part of the invocation's time that no wait may use, so that a
	// finished response can be sent.
	margin = 100 * time.Millisecond
	// maxCalls limits the concurrent queries for the events of one batch.
	maxCalls = 16
	// maxAsking limits the number of invocations with queries.
	maxAsking = 256
)

// Pending is the checks of one invocation's events, which run in parallel
// with its handler. A nil Pending has none. It is not safe for concurrent
// use.
type Pending struct {
	checker    *Checker
	deliveries []Delivery
	verdicts   []Verdict // from memory, until Verdicts is called
	failed     map[int]bool
	finished   chan struct{}
	started    time.Time

	mu      sync.Mutex
	answers []answer
	late    bool // further answers are ignored
}

// answer is what the store knows of one delivery.
type answer struct {
	key     string // of the event's record
	verdict Verdict
	known   bool
	repeat  bool   // the record was written before this delivery
	failing bool   // in the store, the handling of the envelope failed
	record  Record // the record before this delivery
}

// maxReserved limits how many deliveries of large batches are checked in parallel
// with handlers at once: each uses about a kilobyte.
const maxReserved = 10_000

// Reserve reports whether the store can be queried for the n deliveries of a large
// batch, with [Checker.Start]. If it reports true, call [Checker.Release] after
// they were handled. Otherwise use [Checker.CheckAlone], which needs no
// reservation.
func (c *Checker) Reserve(n int) bool {
	if c == nil || c.config.Store == nil {
		return false
	}
	if c.reserved.Add(int64(n)) <= maxReserved {
		return true
	}
	c.reserved.Add(int64(-n))
	return false
}

// Release ends a reservation of Reserve.
func (c *Checker) Release(n int) {
	if c != nil {
		c.reserved.Add(int64(-n))
	}
}

// CheckAlone returns what this process knows of d, and remembers d. The
// verdict is Unknown if the store would have to be queried.
func (c *Checker) CheckAlone(d Delivery) Verdict {
	if c == nil {
		return Verdict{}
	}
	v, known := c.check(&d)
	v.setAwaited(known.awaited)
	v.Unknown = c.config.Store != nil && !known.hit && d.id() != "" && !d.Direct
	return v
}

// Start checks the deliveries of one invocation. It checks memory at once. If
// there is a store, it queries the store in the background, at most until
// ctx's deadline.
func (c *Checker) Start(ctx context.Context, deliveries []Delivery) *Pending {
	if c == nil || len(deliveries) == 0 {
		return nil
	}
	p := &Pending{checker: c, deliveries: deliveries, verdicts: make([]Verdict, len(deliveries))}
	if c.config.Store == nil {
		for i := range deliveries {
			p.verdicts[i] = c.Check(deliveries[i])
		}
		return p
	}
	known := make([]memory, len(deliveries))
	for i := range deliveries {
		p.verdicts[i], known[i] = c.check(&deliveries[i])
		p.verdicts[i].Unknown = !known[i].hit && deliveries[i].id() != ""
	}
	p.answers, p.finished, p.started = make([]answer, len(deliveries)), make(chan struct{}), time.Now()
	if c.asking.Add(1) > maxAsking { // the store hangs: these verdicts are unknown
		c.asking.Add(-1)
		close(p.finished)
		return p
	}
	ctx, cancel := c.bounded(ctx)
	go func(finished chan struct{}) {
		defer c.asking.Add(-1)
		defer cancel()
		defer close(finished)
		p.ask(ctx, known)
		if time.Since(p.started) <= c.config.Wait {
			c.slow.Store(false)
		}
	}(p.finished)
	return p
}

// spare returns how much of the allowed time can be used for waiting before the
// deadline of ctx is near.
func spare(ctx context.Context, allowed time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return allowed
	}
	return min(allowed, time.Until(deadline)-margin)
}

// bounded returns a context for calls to the store. It does not end with the
// handler's own context, but at the latest at the invocation's deadline.
func (c *Checker) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(c.config.Patience)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}

// ask queries the store about the deliveries: first about those that memory did not
// know, because a batch may contain an event twice.
func (p *Pending) ask(ctx context.Context, known []memory) {
	for _, hits := range []bool{false, true} {
		each(len(known), func(i int) {
			if known[i].hit == hits && p.deliveries[i].id() != "" {
				p.checker.guard(func() { p.consult(ctx, i, known[i]) })
			}
		})
	}
}

// each calls do with each number below n, several at once.
func each(n int, do func(int)) {
	if n == 1 {
		do(0)
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, maxCalls) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

func (p *Pending) put(i int, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.late {
		p.answers[i] = a
	}
}

// Ready reports whether all verdicts are known.
func (p *Pending) Ready() bool {
	if p == nil || p.finished == nil {
		return true
	}
	select {
	case <-p.finished:
		return true
	default:
		return false
	}
}

// Verdicts returns the verdicts of the deliveries, in their order. It waits for
// the store at most as long as the configuration and the deadline of ctx allow,
// and not at all if the store was too slow the last time.
func (p *Pending) Verdicts(ctx context.Context) []Verdict {
	if p == nil {
		return nil
	}
	if p.finished != nil {
		p.wait(ctx)
		p.mu.Lock()
		p.late = true
		for i := range p.answers {
			if p.answers[i].known {
				p.verdicts[i] = p.answers[i].verdict
			}
		}
		p.mu.Unlock()
	}
	return p.verdicts
}

func (p *Pending) wait(ctx context.Context) {
	if p.Ready() {
		return
	}
	slow, allowed := &p.checker.slow, spare(ctx, p.checker.config.Wait)
	if slow.Load() || allowed <= 0 {
		return
	}
	patience := time.NewTimer(allowed)
	defer patience.Stop()
	select {
	case <-p.finished:
	case <-ctx.Done():
	case <-patience.C:
		slow.Store(allowed == p.checker.config.Wait)
	}
}

// Failed records that delivery n failed although the handling as a whole succeeded,
// as in a partial batch response. Call it before [Pending.Done].
func (p *Pending) Failed(n int) {
	if p == nil {
		return
	}
	if p.failed == nil {
		p.failed = map[int]bool{}
	}
	p.failed[n] = true
}

// Done records how the handling ended. It writes to the store if a handling
// failed, or succeeded after a failure. It waits for the store as Verdicts
// does.
func (p *Pending) Done(ctx context.Context, failed bool) {
	if p == nil {
		return
	}
	for i := range p.deliveries {
		p.checker.Done(p.deliveries[i], failed || p.failed[i])
	}
	if p.finished == nil {
		return
	}
	var keys []string
	var outcomes []Outcome
	p.mu.Lock()
	for i := range p.answers {
		if o, news := p.answers[i].outcome(&p.deliveries[i], failed || p.failed[i]); news {
			keys, outcomes = append(keys, p.answers[i].key), append(outcomes, o)
		}
	}
	p.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	p.finished = make(chan struct{})
	bounded, cancel := p.checker.bounded(ctx)
	go func(finished chan struct{}) {
		defer cancel()
		defer close(finished)
		each(len(keys), func(i int) {
			p.checker.guard(func() { p.checker.report(p.checker.config.Store.Settle(bounded, keys[i], outcomes[i])) })
		})
	}(p.finished)
	p.wait(ctx)
}

// outcome returns the outcome of a handling, and whether it must be written to the
// store.
func (a *answer) outcome(d *Delivery, failed bool) (o Outcome, news bool) {
	if !a.known {
		return o, false
	}
	o = Outcome{First: !a.repeat || d.EnvelopeID == a.record.First.EnvelopeID, Latest: true, Failed: failed}
	return o, failed != a.failing || a.repeat && o.First && a.record.First.Failed != failed
}
