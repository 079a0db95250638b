package dedupe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrInProgress means that another process is handling the event. Return the
// error, so that the event is delivered again in case the other process fails.
var ErrInProgress = errors.New("the event is being handled elsewhere; it has to be delivered again in case that fails")

const (
	// maxLease is how long Lambda lets an invocation run.
	maxLease = 15 * time.Minute
	// claimShare is the divisor of the invocation's time for a claim: the rest is
	// left for the handler.
	claimShare = 4
)

// Claim is the right to handle one event, or the reason not to. It is not safe
// for concurrent use.
type Claim struct {
	// Verdict is the result of the check of the delivery.
	Verdict Verdict

	checker  *Checker
	delivery Delivery
	key      string    // of the event's record
	lease    time.Time // zero if the result of the handling is not written
	denied   bool
	running  bool // another process is handling the event
	result   []byte
}

// Claim requests the right to handle d. Other processes do not get it until lease, the
// invocation's deadline. A zero lease ends after 15 minutes. Claim waits for the store, at most
// its patience or a quarter of the time until the deadline of ctx. It grants the right if the
// event is new, if its last holder failed or its lease has ended, and if nothing is known:
// without a store, without an ID, or if the store does not answer. So no event is lost.
func (c *Checker) Claim(ctx context.Context, d Delivery, lease time.Time) *Claim {
	k := &Claim{checker: c, delivery: d}
	if c == nil {
		return k
	}
	var known memory
	k.Verdict, known = c.check(&d)
	if c.config.Store == nil || d.id() == "" {
		k.Verdict.setAwaited(known.awaited)
		return k
	}
	allowed := c.config.Patience
	if deadline, ok := ctx.Deadline(); ok {
		allowed = min(allowed, time.Until(deadline)/claimShare)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), allowed)
	defer cancel()
	r := c.record(&d, Claimed)
	if r.Lease = lease; lease.IsZero() {
		r.Lease = d.At.Add(maxLease)
	}
	r.Lease = r.Lease.Truncate(time.Millisecond) // the precision of every store
	shared := c.shareOrder(ctx, &d, known)
	f, err := c.claim(ctx, &d, r)
	shared.Wait()
	if err != nil {
		c.report(err)
		k.Verdict.Unknown = !known.hit
		return k
	}
	c.complete(&k.Verdict, &d, &f, shared)
	k.key = f.key
	if f.won {
		k.lease = r.Lease
		return k
	}
	k.running = f.before.State == Claimed
	k.denied = k.running || (d.ReplayName == "" || !c.config.ReplaysPass) && !f.isCall(&d)
	k.result = f.before.Result
	c.repeatIn(ctx, &d, &f)
	return k
}

// Granted reports whether the event is to be handled.
func (k *Claim) Granted() bool { return !k.denied }

// Result returns the result of the first handling, for an event that is not
// handled again; nil if it was not kept. The error is [ErrInProgress] while
// that handling runs.
func (k *Claim) Result() ([]byte, error) {
	if k.running {
		return nil, fmt.Errorf("event %s: %w", k.delivery.id(), ErrInProgress)
	}
	return k.result, nil
}

// Finish records how the granted handling ended. After a success the event is not
// handled again; after a failure the next delivery is granted. It waits for the
// store, at most its patience and until the deadline of ctx. If the store does
// not record the result, the claim ends with the lease, and the next delivery of
// the event is handled.
func (k *Claim) Finish(ctx context.Context, result []byte, failed bool) {
	c := k.checker
	if c == nil || k.denied {
		return
	}
	c.Done(k.delivery, failed)
	if k.lease.IsZero() {
		return
	}
	o := Outcome{First: true, Latest: true, Failed: failed, Claimed: true, RequestID: k.delivery.RequestID, Lease: k.lease}
	if !failed && len(result) <= c.config.KeepResult {
		o.Kept, o.Result = true, result
	}
	// The handler's own context may have ended, and the deadline may be near. The
	// result is written even then, in half of the remaining time: the other half is
	// left for the response of the invocation.
	allowed := spare(ctx, c.config.Patience)
	if deadline, ok := ctx.Deadline(); ok {
		allowed = max(allowed, min(time.Until(deadline), margin)/2)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), allowed)
	defer cancel()
	c.report(c.config.Store.Settle(bounded, k.key, o))
}

// Once calls handle, unless an event with d's identity and content was already
// handled completely: then it returns that result if it was kept, and nil
// otherwise. While another process handles the event, it returns
// [ErrInProgress]. lease is the invocation's deadline, as for [Checker.Claim].
// A panic of handle counts as a failure and is passed on.
func (c *Checker) Once(ctx context.Context, d Delivery, lease time.Time, handle func(context.Context) ([]byte, error)) (result []byte, err error) {
	k := c.Claim(ctx, d, lease)
	if !k.Granted() {
		return k.Result()
	}
	failed := true
	defer func() { k.Finish(ctx, result, failed) }()
	result, err = handle(ctx)
	failed = err != nil
	return result, err
}
