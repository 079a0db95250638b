package publisher

import (
	"context"
	"time"

	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// Limits are those of one request of a bus's API.
type Limits struct {
	Entries int // how many
	Bytes   int // the sum of their sizes
}

// classic are the limits of EventBridge's custom buses (API reference, PutEvents).
var classic = Limits{Entries: 10, Bytes: sizemeter.RequestBudget}

// Result is what became of one entry. The zero value is a success of which
// nothing is known.
type Result struct {
	EventID string // the bus's
	// SuccessCode is the bus's word for a success where it has several: PUBLISHED,
	// or DEDUPLICATED, which means that it had the event already.
	SuccessCode string
	// ErrorCode is the bus's, or one of the codes of this package; empty on success.
	ErrorCode, ErrorMessage string
}

// core publishes entries, over whichever API. It is not changed by that.
type core struct {
	stamping stamping.Stamping
	tracing  tracing.Config
	limits   Limits
	retries  *Retries // nil: none
	sizes    sizePolicies
	loops    *LoopRule // nil: none are refused
}

func newCore(limits Limits) core {
	return core{limits: limits, stamping: stamping.Stamping{Limit: sizemeter.LimitMiB, Warn: sizemeter.WarnDefault, Now: time.Now}}
}

func (c *core) configure(options []Option) {
	for _, o := range options {
		o.apply(c)
	}
	c.stamping.Stamper = tracing.NewStamper(c.tracing)
}

// exchange sends entries as one request: sent[i] is the caller's entry at[i].
type exchange func(ctx context.Context, at []int, sent []tracing.Entry) ([]Result, error)

// publish sends the entries in room in as many requests as they need and returns
// one result an entry, in order, which are in room. The error is set where every
// request failed as a whole.
func (c *core) publish(ctx context.Context, room *room, send exchange) ([]Result, error) {
	room.out = c.stamping.Resolve(ctx, room.out, room.entries, nil)
	for i := range room.entries {
		room.at = append(room.at, i)
	}
	room.results = append(room.results, make([]Result, len(room.entries))...)
	work, results := work{entries: room.entries, out: room.out, at: room.at}, room.results
	c.judge(ctx, &work, results)
	var first error
	failed, requests := 0, 0
	for begin := 0; begin < len(work.at); requests++ {
		end := c.fit(work.entries, begin)
		if err := c.request(ctx, work.slice(begin, end), room, send); err != nil {
			if failed++; first == nil {
				first = err
			}
		}
		begin = end
	}
	if requests > 0 && failed == requests {
		return results, first
	}
	return results, nil
}

// work is what is to be sent: entries, their lineage, and where in the caller's
// order they stand.
type work struct {
	entries []tracing.Entry
	out     []tracing.Outgoing
	at      []int
}

func (w *work) slice(begin, end int) work {
	return work{w.entries[begin:end], w.out[begin:end], w.at[begin:end]}
}

// fit is the end of the request that begins at begin. An entry too large by
// itself stands alone and gets the bus's own answer.
func (c *core) fit(entries []tracing.Entry, begin int) int {
	size := stamping.Size(&entries[begin])
	for i := begin + 1; i < len(entries); i++ {
		size += stamping.Size(&entries[i])
		if i-begin == c.limits.Entries || size > c.limits.Bytes {
			return i
		}
	}
	return len(entries)
}

// request sends one request and, where that is asked for, once more what may
// succeed then. The error is that of a request which failed as a whole.
func (c *core) request(ctx context.Context, w work, room *room, send exchange) error {
	results := room.results
	r := c.stamping.StartResolved(ctx, w.entries, w.out)
	start := c.stamping.Now()
	ctx, attempts := watch(r.Context())
	got, err := send(ctx, w.at, r.Sent)
	c.settle(attempts, &w, err)
	code := ""
	if err != nil {
		code = codeOf(err)
		for _, at := range w.at {
			results[at] = Result{ErrorCode: code, ErrorMessage: err.Error()}
		}
	} else {
		take(got, w.at, results)
		c.retry(ctx, attempts, &w, r.Sent, results, send)
	}
	told := room.told[:0]
	for _, at := range w.at {
		told = append(told, tracing.Result{EventID: results[at].EventID, ErrorCode: results[at].ErrorCode})
	}
	room.told = told
	r.Finish(told, err, code, c.stamping.Now().Sub(start))
	return err
}

// take puts what a bus answered in results, where at says.
func take(got []Result, at []int, results []Result) {
	for i, index := range at {
		if i < len(got) {
			results[index] = got[i]
		} else {
			results[index] = Result{ErrorCode: CodeNoResult, ErrorMessage: "the answer has no result for this entry"}
		}
	}
}
