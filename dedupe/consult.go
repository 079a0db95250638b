package dedupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// consult asks the store about one delivery and leaves the answer with p.
func (p *Pending) consult(ctx context.Context, i int, known memory) {
	c, d := p.checker, &p.deliveries[i]
	shared := c.shareOrder(ctx, d, known)
	before, won, err := c.sight(ctx, d, known)
	shared.Wait()
	if err != nil {
		c.blame(err)
		return
	}
	a := answer{verdict: p.verdicts[i], known: true, record: before, repeat: !won, failing: known.failing}
	a.verdict.Unknown = false
	c.tell(&a.verdict, d, before, shared)
	again := !won && !known.hit
	if again {
		a.failing = before.failing(d)
	}
	p.put(i, a)
	if again {
		c.repeatIn(ctx, d, &before)
	}
}

// tell makes v, memory's, what the store knows of d too.
func (c *Checker) tell(v *Verdict, d *Delivery, before Record, shared *order) {
	switch {
	case before.State == Expected:
		v.overtaken(d, before.At)
	case before.State != "":
		v.repeats(d, before)
		c.learn(d, before)
	}
	v.overtaken(d, shared.since)
	v.awaits(shared.awaited)
}

// repeatIn writes d to the store as the latest delivery of what r was.
func (c *Checker) repeatIn(ctx context.Context, d *Delivery, r *Record) {
	h := d.handling()
	h.Failed = r.failing(d)
	_, err := c.config.Store.Repeat(ctx, d.storeKey(), h, d.At)
	c.blame(err)
}

// sight writes d to the store and returns what stood there; won says that d is
// the first, as far as the store knows.
func (c *Checker) sight(ctx context.Context, d *Delivery, known memory) (before Record, won bool, err error) {
	if known.hit {
		h := d.handling()
		h.Failed = known.failing
		before, err = c.config.Store.Repeat(ctx, d.storeKey(), h, d.At)
		if err != nil || before.State != "" {
			return before, false, err
		}
	}
	return c.config.Store.Claim(ctx, d.storeKey(), c.record(d, Seen), d.At)
}

func (d *Delivery) handling() Handling {
	return Handling{EnvelopeID: d.EnvelopeID, RequestID: d.RequestID}
}

func (c *Checker) record(d *Delivery, state State) Record {
	return Record{
		State: state, At: d.At, First: d.handling(), Latest: d.handling(), Traceparent: d.Traceparent, Count: 1,
		Expires: d.At.Add(c.config.Keep),
	}
}

func (r *Record) likeness(d *Delivery) likeness {
	l := likeness{
		request:  d.RequestID != "" && (d.RequestID == r.First.RequestID || d.RequestID == r.Latest.RequestID),
		envelope: d.EnvelopeID == r.First.EnvelopeID || d.EnvelopeID == r.Latest.EnvelopeID,
		failed:   r.First.Failed,
	}
	if d.EnvelopeID == r.Latest.EnvelopeID {
		l.failed = r.Latest.Failed
	}
	if r.State == Claimed { // not completed, whatever became of it
		l.failed = true
	}
	return l
}

// failing says that the delivery's envelope was handled before, and in vain.
func (r *Record) failing(d *Delivery) bool {
	l := r.likeness(d)
	return l.envelope && l.failed
}

// repeats makes v that of a delivery after those of r.
func (v *Verdict) repeats(d *Delivery, r Record) {
	v.Kind, v.Count = d.kind(r.likeness(d)), r.Count
	v.FirstAt, v.FirstRequestID, v.FirstTraceparent = r.At, r.First.RequestID, r.Traceparent
	v.OutOfOrder, v.Early, v.Awaited = false, 0, ""
}

// learn lets memory know what the store knows of an event, for when it comes again.
func (c *Checker) learn(d *Delivery, r Record) {
	s, envelope := c.subject(d), c.seeds.short(r.First.EnvelopeID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.seen.get(s.key, s.expired); known != nil {
		known.at, known.request, known.traceparent = r.At.UnixMicro(), r.First.RequestID, r.Traceparent
		known.envelope, known.failed = envelope, r.First.Failed
		known.count = max(known.count, int32(min(r.Count, 1<<30))+1)
	}
}

// order is what the store knows of the order of a delivery, once Wait returned.
type order struct {
	sync.WaitGroup
	since   time.Time // when an event that it had caused came, if one did
	awaited string    // the type that it has to follow and nobody has seen
}

// shareOrder tells the store what d says of order, and asks what it knows. That
// goes on beside the other calls.
func (c *Checker) shareOrder(ctx context.Context, d *Delivery, known memory) *order {
	o := new(order)
	if c.config.ShareOrder && d.ParentID != "" && d.ParentID != d.EventID {
		o.Go(func() { c.guard(func() { c.expect(ctx, d, d.eventKey(d.ParentID)) }) })
	}
	if c.config.ShareOrder && d.BusinessKey != "" && d.EventID != "" {
		o.Go(func() {
			c.guard(func() {
				if before := c.arrived(ctx, d, d.eventKey(d.EventID)); before.State == Expected {
					o.since = before.At
				}
			})
		})
	}
	if d.CorrelationID != "" && !known.hit {
		o.Go(func() { c.guard(func() { o.awaited = c.shareRules(ctx, d, known.awaited) }) })
	}
	return o
}

// arrived marks what is at key as seen, and returns what stood there.
func (c *Checker) arrived(ctx context.Context, d *Delivery, key string) Record {
	before, _, err := c.config.Store.Claim(ctx, key, c.record(d, Seen), d.At)
	c.blame(err)
	return before
}

// expect marks what is at key as that which d has to follow, and says whether
// it was not seen yet.
func (c *Checker) expect(ctx context.Context, d *Delivery, key string) (missing bool) {
	r := Record{State: Expected, At: d.At, Expires: d.At.Add(c.config.Keep)}
	before, won, err := c.config.Store.Claim(ctx, key, r, d.At)
	c.blame(err)
	return err == nil && (won || before.State == Expected)
}

// shareRules tells the store that d's type came, where a rule waits for it, and
// asks it for the types that memory did not see.
func (c *Checker) shareRules(ctx context.Context, d *Delivery, missing string) (awaited string) {
	told := false
	for _, r := range c.config.Order {
		if r.First == d.EventType && !told {
			told = true
			c.arrived(ctx, d, d.typeKey(r.First))
		}
		if r.Then == d.EventType && missing != "" && awaited == "" && c.expect(ctx, d, d.typeKey(r.First)) {
			awaited = r.First
		}
	}
	return awaited
}

// guard runs what goes on beside the handler. A fault of the store's or of ours
// leaves the check unknown, and the function's process alive.
func (c *Checker) guard(ask func()) {
	defer func() {
		if reason := recover(); reason != nil {
			c.say("%s", fmt.Sprint("a fault in the check of repeats: ", reason))
		}
	}()
	ask()
}

// blame says what is wrong with the store, if anything.
func (c *Checker) blame(err error) {
	switch {
	case err == nil, errors.Is(err, ErrLost), errors.Is(err, context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		c.say("the shared store of repeats gave no answer within %s, or the part of it that an invocation could spare: such checks are unknown; see whether the function can reach it", c.config.Patience.Round(time.Millisecond))
	default:
		c.say("%s", err.Error())
	}
}
