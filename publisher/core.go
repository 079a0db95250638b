package publisher

import (
	"context"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/otelglobal"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// Limits are the limits of one request of a bus's API.
type Limits struct {
	Entries int // how many
	Bytes   int // the sum of their sizes
}

// classic are the limits of EventBridge's custom buses (API reference, PutEvents).
var classic = Limits{Entries: 10, Bytes: sizemeter.RequestBudget}

// Result is the result of one entry. The zero value is a success without
// details.
type Result = lineage.Result

// core publishes entries, over whichever API. Publishing does not change it.
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
	if c.tracing.TracerProvider == nil {
		c.tracing.TracerProvider = otelglobal.TracerProvider()
	}
	c.stamping.Stamper = lineage.NewStamper(c.tracing)
}

// sendFunc sends a batch as one request, and returns a result for each entry, in
// order, or the error of a request that failed as a whole.
type sendFunc func(ctx context.Context, batch []*lineage.Outgoing) ([]Result, error)

// publish sends the entries in b, in as many requests as needed, and sets the
// result of each. It returns an error if every request failed as a whole.
func (c *core) publish(ctx context.Context, b *buffer, send sendFunc) error {
	for i := range b.entries {
		b.batch = append(b.batch, &b.entries[i])
	}
	var first error
	failed, requests := 0, 0
	for rest := c.admit(ctx, b.batch); len(rest) > 0; requests++ {
		n := c.fit(rest)
		if err := c.request(ctx, rest[:n], send); err != nil {
			if failed++; first == nil {
				first = err
			}
		}
		rest = rest[n:]
	}
	if requests > 0 && failed == requests {
		return first
	}
	return nil
}

// fit returns the number of entries that fit in one request. An entry that is too
// large is sent alone and gets the bus's own response.
func (c *core) fit(entries []*lineage.Outgoing) int {
	size := 0
	for i, o := range entries {
		if size += o.Size; i > 0 && (i == c.limits.Entries || size > c.limits.Bytes) {
			return i
		}
	}
	return len(entries)
}

// request sends one request and, with WithRetries, retries the failed entries
// that may succeed. An error means that the request failed as a whole.
func (c *core) request(ctx context.Context, batch []*lineage.Outgoing, send sendFunc) error {
	r := c.stamping.Start(ctx, batch)
	start := c.stamping.Now()
	ctx, attempts := withAttempts(r.Context())
	err := c.send(ctx, attempts, batch, send)
	code := ""
	if err != nil {
		code = codeOf(err)
	} else {
		c.retry(ctx, attempts, batch, send)
	}
	r.Finish(err, code, c.stamping.Now().Sub(start))
	return err
}

// send sends a batch once and sets the results of its entries.
func (c *core) send(ctx context.Context, attempts *attempts, batch []*lineage.Outgoing, send sendFunc) error {
	results, err := send(ctx, batch)
	c.countThrottledRequests(attempts, batch, err)
	for i, o := range batch {
		switch {
		case err != nil:
			o.Result = Result{ErrorCode: codeOf(err), ErrorMessage: err.Error()}
		case i < len(results):
			o.Result = results[i]
		default:
			o.Result = Result{ErrorCode: CodeNoResult, ErrorMessage: "the answer has no result for this entry"}
		}
	}
	return err
}

// buffer is reused memory for the entries of a call: garbage collection of it
// would be most of the cost of a call.
type buffer struct {
	entries []lineage.Outgoing
	batch   []*lineage.Outgoing
	results []Result // of one request
}

var buffers = sync.Pool{New: func() any { return &buffer{} }}

// maxBuffered is the maximum number of entries of a buffer that is reused.
const maxBuffered = 100

func newBuffer() *buffer {
	b, _ := buffers.Get().(*buffer)
	return b
}

// free clears the buffer and returns it to the pool.
func (b *buffer) free() {
	if cap(b.entries) > maxBuffered {
		return
	}
	clear(b.entries)
	clear(b.batch)
	clear(b.results)
	*b = buffer{b.entries[:0], b.batch[:0], b.results[:0]}
	buffers.Put(b)
}
