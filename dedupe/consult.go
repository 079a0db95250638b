package dedupe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// consult asks the store about one delivery and leaves the answer with p.
func (p *Pending) consult(ctx context.Context, i int, known memory) {
	c, d, v := p.checker, &p.deliveries[i], p.verdicts[i]
	var beside sync.WaitGroup
	defer beside.Wait()
	if c.config.ShareOrder && d.ParentID != "" && d.ParentID != d.EventID {
		beside.Go(func() { c.expect(ctx, d, d.parentKey()) })
	}
	record, won, err := c.sight(ctx, d, known)
	if err != nil {
		c.blame(err)
		return
	}
	a := answer{verdict: v, known: true, record: record, repeat: !won, failing: known.failing}
	a.verdict.Unknown = false
	switch {
	case record.State == Expected:
		if v.Kind == "" {
			a.verdict.OutOfOrder, a.verdict.Early = true, d.At.Sub(record.At)
		}
	case record.State != "":
		a.verdict.repeats(d, record)
		c.learn(d, record)
	}
	p.put(i, a)
	if !won && !known.hit {
		a.failing = record.failing(d)
		p.put(i, a)
		c.repeatIn(ctx, d, &record)
	}
	if len(c.config.Order) > 0 && d.CorrelationID != "" && a.verdict.Kind == "" {
		if a.verdict.Awaited = c.shareRules(ctx, d, known.awaited); a.verdict.Awaited != "" {
			a.verdict.OutOfOrder = true
			p.put(i, a)
		}
	}
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
	s := c.subject(d)
	first := Delivery{Consumer: d.Consumer, EventID: d.EventID, EnvelopeID: r.First.EnvelopeID, At: r.At}
	envelope := c.subject(&first).envelope
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.seen.get(s.key, s.expired); known != nil {
		known.at, known.request, known.traceparent = r.At.UnixMicro(), r.First.RequestID, r.Traceparent
		known.envelope, known.failed = envelope, r.First.Failed
		known.count = max(known.count, int32(min(r.Count, 1<<30))+1)
	}
}

// expect marks the event at key as one that d has to follow. It returns what
// stands there.
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
			_, _, err := c.config.Store.Claim(ctx, d.typeKey(r.First), c.record(d, Seen), d.At)
			c.blame(err)
		}
		if r.Then == d.EventType && missing != "" && awaited == "" && c.expect(ctx, d, d.typeKey(r.First)) {
			awaited = r.First
		}
	}
	return awaited
}

// blame says what is wrong with the store, if anything.
func (c *Checker) blame(err error) {
	switch {
	case err == nil, errors.Is(err, ErrLost), errors.Is(err, context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		c.say("the shared store of repeats gave no answer within %s: such checks are unknown; see whether the function can reach it", c.config.Patience.Round(time.Millisecond))
	default:
		c.say("%s", err.Error())
	}
}
