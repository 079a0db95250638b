package publisher

import (
	"context"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
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
		r.Wait = wait
	}
	return optionFunc(func(c *core) { c.retries = &r })
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // only its presence counts
	}
}

const throttling = "ThrottlingException"

func retryable(code string) bool {
	return code == "InternalFailure" || code == throttling || code == "InternalException"
}

// retry sends again what may succeed, and puts what came of it in results.
func (c *core) retry(ctx context.Context, attempts *attempts, w *work, sent []tracing.Entry, results []Result, send exchange) {
	if c.retries == nil {
		return
	}
	at, entries := w.at, sent
	for attempt := 1; ; attempt++ {
		again, next := c.unfinished(at, entries, results)
		attempts.span.AddEvent("attempt", trace.WithAttributes(attribute.Int("throughline.attempt", attempt),
			attribute.Int("throughline.attempt.entries", len(at)), attribute.Int("throughline.attempt.retryable", len(again))))
		if len(again) == 0 || attempt == c.retries.Attempts || c.pause(ctx, attempt) != nil {
			return
		}
		c.throttled(again, next, results)
		at, entries = again, next
		got, err := send(ctx, at, entries)
		c.settle(attempts, &work{entries: entries}, err)
		if err != nil {
			code := codeOf(err)
			for _, i := range at {
				results[i] = Result{ErrorCode: code, ErrorMessage: err.Error()}
			}
			return
		}
		take(got, at, results)
	}
}

// unfinished is the part of a request that may be sent again.
func (c *core) unfinished(at []int, entries []tracing.Entry, results []Result) (again []int, next []tracing.Entry) {
	for i, index := range at {
		if retryable(results[index].ErrorCode) {
			again, next = append(again, index), append(next, entries[i])
		}
	}
	return again, next
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

// throttled counts what was throttled and is tried again: the last attempt is
// counted with its request.
func (c *core) throttled(at []int, entries []tracing.Entry, results []Result) {
	for i, index := range at {
		if results[index].ErrorCode == throttling {
			c.stamping.Metrics.Record(metrics.Observation{At: c.stamping.Now(), Name: metrics.EventsThrottled, Value: 1, EventType: entries[i].DetailType})
		}
	}
}
