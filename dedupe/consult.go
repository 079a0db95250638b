package dedupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// consult queries the store about one delivery and records the result in p.
func (p *Pending) consult(ctx context.Context, i int, known memory) {
	c, d := p.checker, &p.deliveries[i]
	shared := c.shareOrder(ctx, d, known)
	f, err := c.see(ctx, d, known)
	shared.Wait()
	if err != nil {
		c.report(err)
		return
	}
	a := answer{key: f.key, verdict: p.verdicts[i], known: true, record: f.before, repeat: !f.won, failing: known.failing}
	a.verdict.Unknown = false
	c.complete(&a.verdict, d, &f, shared)
	again := !f.won && !f.noted
	if again {
		a.failing = f.before.failing(d)
	}
	p.put(i, a)
	if again {
		c.repeatIn(ctx, d, &f)
	}
}

// finding is what the store knows of a delivery's event.
type finding struct {
	key      string // of the event's record
	before   Record // the previous record
	won      bool   // the delivery is the first one that the store knows
	conflict bool   // the identity belongs to an event of different content
	noted    bool   // the delivery is written as the record's latest
}

// isCall reports whether d is a call and not a delivery of the found event, see
// [Delivery.Invoked].
func (f *finding) isCall(d *Delivery) bool {
	return f.before.State != "" && d.isCall(d.kind(f.before.likeness(d)), f.before.At)
}

// complete adds what the store knows of d to v, the verdict from memory.
func (c *Checker) complete(v *Verdict, d *Delivery, f *finding, shared *order) {
	switch {
	case f.before.State != "" && f.isCall(d):
		*v = Verdict{Loop: v.Loop}
		return
	case f.before.State != "":
		v.setRepeat(d, f.before)
		c.learn(d, f.before)
	case f.conflict && v.Kind == "":
		v.Kind = Conflict
		v.inOrder()
	}
	v.setEarly(d, shared.since)
	v.setAwaited(shared.awaited)
}

// repeatIn writes d to the store as the latest delivery of the found event.
func (c *Checker) repeatIn(ctx context.Context, d *Delivery, f *finding) {
	h := d.handling()
	h.Failed = f.before.failing(d)
	_, err := c.config.Store.Repeat(ctx, f.key, h, d.content(), d.At)
	c.report(err)
}

// see writes d to the store and returns what the store had before.
func (c *Checker) see(ctx context.Context, d *Delivery, known memory) (finding, error) {
	if known.hit {
		f := finding{key: d.storeKey(), noted: true}
		if known.conflict {
			f.key = d.contentKey()
		}
		h := d.handling()
		h.Failed = known.failing
		var err error
		if f.before, err = c.config.Store.Repeat(ctx, f.key, h, d.content(), d.At); err != nil || f.before.State != "" {
			return f, err
		}
	}
	return c.claim(ctx, d, c.record(d, Seen))
}

// claim writes r as the record of d: under d's identity or, if that belongs to an
// event of different content, under identity and content.
func (c *Checker) claim(ctx context.Context, d *Delivery, r Record) (f finding, err error) {
	f.key = d.storeKey()
	f.before, f.won, err = c.config.Store.Claim(ctx, f.key, r, d.At)
	if err != nil || f.won || f.before.Digest == r.Digest {
		return f, err
	}
	f.key, f.conflict = d.contentKey(), true
	f.before, f.won, err = c.config.Store.Claim(ctx, f.key, r, d.At)
	return f, err
}

func (d *Delivery) handling() Handling {
	return Handling{EnvelopeID: d.EnvelopeID, RequestID: d.RequestID}
}

func (c *Checker) record(d *Delivery, state State) Record {
	return Record{
		State: state, At: d.At, Digest: d.content(), First: d.handling(), Latest: d.handling(), Traceparent: d.Traceparent, Count: 1,
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
	if r.State == Claimed { // a claim that was not completed counts as failed
		l.failed = true
	}
	return l
}

// failing reports whether an earlier handling of the delivery's envelope failed.
func (r *Record) failing(d *Delivery) bool {
	l := r.likeness(d)
	return l.envelope && l.failed
}

// setRepeat sets v to the verdict of a delivery after those of r.
func (v *Verdict) setRepeat(d *Delivery, r Record) {
	v.Kind, v.Count = d.kind(r.likeness(d)), r.Count
	v.FirstAt, v.FirstRequestID, v.FirstTraceparent = r.At, r.First.RequestID, r.Traceparent
	v.inOrder()
}

// learn adds what the store knows of an event to memory, for its next delivery.
func (c *Checker) learn(d *Delivery, r Record) {
	s, envelope := c.subject(d), c.seeds.short(r.First.EnvelopeID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.sighting(&s); known != nil {
		known.at, known.request, known.traceparent = r.At.UnixMicro(), r.First.RequestID, r.Traceparent
		known.envelope, known.failed = envelope, r.First.Failed
		known.count = max(known.count, int32(min(r.Count, 1<<30))+1)
	}
}

// order is what the store knows of the order of a delivery. It is valid after Wait.
type order struct {
	sync.WaitGroup
	since   time.Time // when an event that it had caused arrived, if one did
	awaited string    // the type that it has to follow and that no process has seen
}

// shareOrder writes what d shows about order to the store, and reads what the store
// knows. It runs in parallel with the other calls.
func (c *Checker) shareOrder(ctx context.Context, d *Delivery, known memory) *order {
	o := new(order)
	if known.hit {
		return o // the earlier delivery has written all of this
	}
	if c.config.ShareOrder && d.ParentID != "" && d.ParentID != d.EventID {
		o.Go(func() { c.guard(func() { c.expect(ctx, d, d.orderKey(d.ParentID)) }) })
	}
	if c.config.ShareOrder && d.EventID != "" {
		o.Go(func() {
			c.guard(func() {
				if before := c.markSeen(ctx, d, d.orderKey(d.EventID)); before.State == Expected {
					o.since = before.At
				}
			})
		})
	}
	if d.CorrelationID != "" {
		o.Go(func() { c.guard(func() { o.awaited = c.shareRules(ctx, d, known.awaited) }) })
	}
	return o
}

// markSeen writes a record with the state Seen under key, and returns the previous one.
func (c *Checker) markSeen(ctx context.Context, d *Delivery, key string) Record {
	before, _, err := c.config.Store.Claim(ctx, key, c.record(d, Seen), d.At)
	c.report(err)
	return before
}

// expect records under key that an event that precedes d is expected, and reports
// whether it was not seen yet.
func (c *Checker) expect(ctx context.Context, d *Delivery, key string) (missing bool) {
	r := Record{State: Expected, At: d.At, Expires: d.At.Add(c.config.Keep)}
	before, won, err := c.config.Store.Claim(ctx, key, r, d.At)
	c.report(err)
	return err == nil && (won || before.State == Expected)
}

// shareRules writes to the store that d's type was seen, if it is the first type of
// a rule, and queries the store for a type that d has to follow and that memory has
// not seen. missing is that of memory. It returns the type that the store has not seen.
func (c *Checker) shareRules(ctx context.Context, d *Delivery, missing string) (awaited string) {
	marked := false
	for _, r := range c.config.Order {
		if r.First == d.EventType && !marked {
			marked = true
			c.markSeen(ctx, d, d.typeKey(r.First))
		}
		if r.Then == d.EventType && missing != "" && awaited == "" && c.expect(ctx, d, d.typeKey(r.First)) {
			awaited = r.First
		}
	}
	return awaited
}

// guard runs a function in parallel with the handler. If the store or this package
// panics, the result of the check is unknown, and the process continues.
func (c *Checker) guard(ask func()) {
	defer func() {
		if reason := recover(); reason != nil {
			c.say("%s", fmt.Sprint("a fault in the check of repeats: ", reason))
		}
	}()
	ask()
}

// report warns about an error of the store.
func (c *Checker) report(err error) {
	switch {
	case err == nil, errors.Is(err, ErrLost), errors.Is(err, context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		c.say("the shared store of repeats gave no answer within %s, or the part of it that an invocation could spare: such checks are unknown; see whether the function can reach it", c.config.Patience.Round(time.Millisecond))
	default:
		c.say("%s", err.Error())
	}
}
