package publisher

import (
	"context"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/pause"
)

// Retries configures how entries with a retryable error are sent again. The
// zero value is three attempts with waits of up to 50 and 100 ms.
type Retries struct {
	Attempts int // the first included; 0 means 3
	// Base is the maximum wait before the second attempt; it doubles before
	// each further attempt; 0 means 50 ms. Most is the maximum of every wait;
	// 0 means 5 s.
	Base, Most time.Duration
	// Jitter returns a random duration in [0, n). Nil means math/rand.
	Jitter func(n time.Duration) time.Duration
	// Wait returns after d, or with an error if ctx ends first. Nil uses the
	// system clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// WithRetries retries the entries of a request that failed with a retryable code
// of EventBridge: InternalFailure, ThrottlingException, or InternalException, an
// older name. Only these entries are sent again, in order. The waits have full
// jitter and never reach the context's deadline. A retried event may arrive
// twice. The SDK's own retryer retries a request that fails as a whole, with or
// without this option. Each attempt is an event on the span of the request, and
// so is each failed attempt of the SDK ("request failed").
func WithRetries(r Retries) Option {
	const attempts, base, most = 3, 50 * time.Millisecond, 5 * time.Second
	if r.Attempts <= 0 {
		r.Attempts = attempts
	}
	if r.Base <= 0 {
		r.Base = base
	}
	if r.Most <= 0 {
		r.Most = most
	}
	if r.Jitter == nil {
		r.Jitter = rand.N[time.Duration]
	}
	if r.Wait == nil {
		r.Wait = pause.For
	}
	return optionFunc(func(c *core) { c.retries = &r })
}

const throttling = "ThrottlingException"

func retryable(code string) bool {
	return code == "InternalFailure" || code == throttling || code == "InternalException"
}

// retry sends the entries with a retryable code again.
func (c *core) retry(ctx context.Context, attempts *attempts, batch []*lineage.Outgoing, send sendFunc) {
	if c.retries == nil {
		return
	}
	for attempt := 1; ; attempt++ {
		var again, throttled []*lineage.Outgoing
		for _, o := range batch {
			if retryable(o.Result.ErrorCode) {
				again = append(again, o)
			}
			if o.Result.ErrorCode == throttling {
				throttled = append(throttled, o)
			}
		}
		attempts.span.AddEvent("attempt", trace.WithAttributes(attribute.Int("throughline.attempt", attempt),
			attribute.Int("throughline.attempt.entries", len(batch)), attribute.Int("throughline.attempt.retryable", len(again))))
		if len(again) == 0 || attempt == c.retries.Attempts || c.pause(ctx, attempt) != nil {
			return
		}
		c.countThrottled(throttled)
		if batch = again; c.send(ctx, attempts, batch, send) != nil {
			return
		}
	}
}

// pause waits before the next attempt, or returns the reason why there is
// none.
func (c *core) pause(ctx context.Context, attempt int) error {
	bound := c.retries.Most
	if shift := attempt - 1; shift < 32 && c.retries.Base<<shift > 0 {
		bound = min(bound, c.retries.Base<<shift)
	}
	d := c.retries.Jitter(bound)
	if deadline, ok := ctx.Deadline(); ok && !c.stamping.Now().Add(d).Before(deadline) {
		return context.DeadlineExceeded
	}
	return c.retries.Wait(ctx, d)
}
