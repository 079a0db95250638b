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

// Retries says how entries that EventBridge could not take just now are sent
// again. The zero value is three attempts with waits of up to 50 and 100 ms.
type Retries struct {
	Attempts int // the first included; 0 means 3
	// Base bounds the wait before the second attempt, doubled before each
	// further one; 0 means 50 ms. Most bounds every wait; 0 means 5 s.
	Base, Most time.Duration
	// Jitter is a random duration in [0, n). Nil means math/rand's.
	Jitter func(n time.Duration) time.Duration
	// Wait returns after d, or with an error when ctx ended before. Nil waits by
	// the clock of the machine.
	Wait func(ctx context.Context, d time.Duration) error
}

// WithRetries sends again, by themselves and in order, the entries of a request
// whose code EventBridge calls retryable: InternalFailure and
// ThrottlingException, and InternalException as it was once called. The waits
// have full jitter and never reach the context's deadline. What was sent again
// may arrive twice. A request that fails as a whole is the business of the SDK's
// own retryer, with this option and without. Each attempt is an event on the
// span that sends, and so is each of the SDK's that fails ("request failed").
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

// retry sends again what may succeed then.
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

// pause waits before the attempt after attempt, or says why there is none.
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
