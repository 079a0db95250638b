// Package stamping is what happens to a PutEvents request wherever it is seen:
// in the decorator, or in the extension's events endpoint. Entries are plain
// values; how they came and how they go on is the caller's.
package stamping

import (
	"context"
	"slices"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

// Stamping stamps, traces and measures requests. Stamper and Now are required.
// It is safe for concurrent use and not changed by it.
type Stamping struct {
	Stamper *tracing.Stamper
	Metrics *metrics.Set // nil records nothing
	Limit   int          // bytes, for utilisation
	Warn    int          // bytes, from which an event counts as oversized
	// WarnTypes are the event types for which Warn is another size.
	WarnTypes map[string]int
	Now       func() time.Time
}

// Request is one PutEvents request on its way. Its methods are for one goroutine.
type Request struct {
	// Sent is the entries as they are to be sent.
	Sent []tracing.Entry

	s          *Stamping
	publishing *tracing.Publishing
	out        []tracing.Outgoing
	sizes      []int
	skipped    []string // why the stamp of an entry was left out
}

// Size is what an entry weighs, in bytes as EventBridge counts them.
func Size(e *tracing.Entry) int {
	return sizemeter.Entry{Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: e.Resources, HasTime: e.HasTime}.Size()
}

// Oversized says whether size, of an event of eventType, is one to warn of.
func (s *Stamping) Oversized(eventType string, size int) bool {
	if warn, ok := s.WarnTypes[eventType]; ok {
		return size >= warn
	}
	return size >= s.Warn
}

// Resolve appends the lineage of each entry to out. A nil d means the delivery
// of ctx.
func (s *Stamping) Resolve(ctx context.Context, out []tracing.Outgoing, entries []tracing.Entry, d *tracing.Delivery) []tracing.Outgoing {
	out = slices.Grow(out, len(entries))
	for i := range entries {
		out = append(out, s.Stamper.Resolve(ctx, entries[i], d))
	}
	return out
}

// Start resolves, traces and stamps entries, which are left as they are. A nil
// d means the delivery of ctx.
func (s *Stamping) Start(ctx context.Context, entries []tracing.Entry, d *tracing.Delivery) *Request {
	return s.StartResolved(ctx, entries, s.Resolve(ctx, nil, entries, d))
}

// StartResolved is Start of entries whose lineage is out. It keeps both until
// the request ends.
func (s *Stamping) StartResolved(ctx context.Context, entries []tracing.Entry, out []tracing.Outgoing) *Request {
	n := len(entries)
	r := &Request{s: s, Sent: make([]tracing.Entry, n), out: out, sizes: make([]int, n), skipped: make([]string, n)}
	room := sizemeter.RequestBudget
	for i := range entries {
		r.sizes[i] = Size(&entries[i])
		room -= r.sizes[i]
	}
	r.publishing = s.Stamper.StartPublishing(ctx, entries, r.out)
	for i := range entries {
		stamped, result := s.Stamper.Apply(entries[i], r.out[i].Lineage, room)
		room -= result.Added
		r.Sent[i], r.skipped[i] = stamped, result.Skipped
		if result.Added != 0 {
			r.sizes[i] = Size(&stamped)
		}
		r.publishing.Size(i, r.sizes[i])
	}
	return r
}

// Context is that of the request: the send span is current in it.
func (r *Request) Context() context.Context { return r.publishing.Context() }

// Finish ends the spans and records the metrics. Results are in the order of
// the entries; err is set where the request failed as a whole, and code is then
// its code.
func (r *Request) Finish(results []tracing.Result, err error, code string, took time.Duration) {
	r.publishing.End(results, err)
	now := r.s.Now()
	r.s.Metrics.Record(metrics.Observation{At: now, Name: metrics.PublishDuration, Value: float64(took) / float64(time.Millisecond)})
	for i := range r.Sent {
		switch {
		case err != nil:
			r.measure(now, i, code)
		case i < len(results):
			r.measure(now, i, results[i].ErrorCode)
		default:
			r.measure(now, i, "")
		}
	}
}

// Abandon ends the spans of a request that failed and that will be tried again
// as another one: nothing is counted.
func (r *Request) Abandon(err error) { r.publishing.End(nil, err) }

// measure records one entry.
func (r *Request) measure(now time.Time, i int, code string) {
	o := metrics.Observation{
		At: now, EventType: r.Sent[i].DetailType, EventID: r.out[i].EventID, CorrelationID: r.out[i].Lineage.CorrelationID,
	}
	record := func(name metrics.Name, value float64, kind string) {
		o := o
		o.Name, o.Value, o.Kind = name, value, kind
		r.s.Metrics.Record(o)
	}
	size := r.sizes[i]
	record(metrics.PayloadSize, float64(size), "")
	record(metrics.PayloadLimitUtilization, sizemeter.Utilization(size, r.s.Limit), "")
	if r.s.Oversized(o.EventType, size) {
		record(metrics.OversizedEvents, 1, "")
		r.s.Metrics.Log(metrics.Line{At: now, Kind: "oversize", Message: "event is close to the size limit", Fields: map[string]any{
			"event_id": o.EventID, "event_type": o.EventType, "correlation_id": o.CorrelationID, "size_bytes": size, "limit_bytes": r.s.Limit,
		}})
	}
	if r.out[i].Uncorrelated {
		record(metrics.UncorrelatedPublished, 1, "")
	}
	if r.skipped[i] != "" {
		record(metrics.StampSkipped, 1, r.skipped[i])
	}
	if code != "" {
		record(metrics.EventsFailed, 1, code)
		if code == "ThrottlingException" {
			record(metrics.EventsThrottled, 1, "")
		}
		return
	}
	record(metrics.EventsPublished, 1, "")
	record(metrics.BilledChunks, float64(sizemeter.Chunks(size)), "")
}
