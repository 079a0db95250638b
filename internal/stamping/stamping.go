// Package stamping stamps, traces and measures the entries of a PutEvents
// request, for the decorator and for the extension. The caller receives the
// entries and sends the request.
package stamping

import (
	"context"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
)

// Stamping stamps, traces and measures requests. Stamper and Now are required. Its
// methods are safe for concurrent use and do not change it.
type Stamping struct {
	Stamper *lineage.Stamper
	Metrics *metrics.Set // nil records nothing
	Limit   int          // the event size that utilisation is measured against, in bytes
	Warn    int          // the size from which an event counts as oversized, in bytes
	// WarnTypes are the event types with another size than Warn.
	WarnTypes map[string]int
	Now       func() time.Time
}

// Request is one PutEvents request that is being sent. It is not safe for concurrent
// use.
type Request struct {
	// Entries are the entries to send. The caller sets their results before Finish.
	Entries []*lineage.Outgoing

	s          *Stamping
	publishing *lineage.Publishing
}

// Resolve determines the lineage and the size of an entry. If d is nil, it uses the
// delivery of ctx.
func (s *Stamping) Resolve(ctx context.Context, e lineage.Entry, d *lineage.Delivery) lineage.Outgoing {
	o := s.Stamper.Resolve(ctx, e, d)
	o.Size = sizeOf(&e)
	return o
}

// sizeOf returns the size of an entry, in bytes. For PutRawEvents that is the size of
// data and metadata (EventBridgeV2 API reference, PutRawEvents).
func sizeOf(e *lineage.Entry) int {
	if e.Operation == lineage.PutRawEvents {
		return len(e.Detail) + e.DataSize + e.Metadata.Bytes
	}
	return sizemeter.Entry{Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: e.Resources, HasTime: e.HasTime}.Size()
}

// Start traces and stamps a request of resolved entries. It references them until the
// request ends. It leaves out a stamp if the request would exceed its maximum size.
func (s *Stamping) Start(ctx context.Context, entries []*lineage.Outgoing) *Request {
	r := &Request{s: s, Entries: entries, publishing: s.Stamper.StartPublishing(ctx, entries)}
	left := r.left()
	for _, o := range entries {
		var stamped lineage.Stamped
		o.Entry, stamped = s.Stamper.Apply(o.Entry, o.Lineage, left)
		left -= stamped.Added
		o.Size += stamped.Added
		o.Added, o.Skipped = stamped.Added, stamped.Skipped
	}
	return r
}

// left returns the bytes that are left for stamps in the request.
func (r *Request) left() int {
	left := sizemeter.RequestBudget
	for _, o := range r.Entries {
		left -= o.Size - o.Added
	}
	return left
}

// Again stamps entries for another attempt at the same request. entries must be those
// that the request was started with, and get the same stamps.
func (r *Request) Again(entries []lineage.Entry) []lineage.Entry {
	sent := make([]lineage.Entry, len(entries))
	left := r.left()
	for i := range entries {
		var stamped lineage.Stamped
		sent[i], stamped = r.s.Stamper.Apply(entries[i], r.Entries[i].Lineage, left)
		left -= stamped.Added
	}
	return sent
}

// Sent returns copies of the stamped entries.
func (r *Request) Sent() []lineage.Entry {
	sent := make([]lineage.Entry, len(r.Entries))
	for i, o := range r.Entries {
		sent[i] = o.Entry
	}
	return sent
}

// Unstamped records that the entries were sent unchanged, and why.
func (r *Request) Unstamped(reason string) {
	for _, o := range r.Entries {
		o.Skipped, o.Size, o.Added = reason, o.Size-o.Added, 0
	}
}

// Detach releases the bytes that the entries were read from, so that the request can
// wait for its outcome. It returns the approximate number of bytes that remain.
func (r *Request) Detach() int {
	const each = 1 << 10 // lineage, spans and places in slices
	kept := 0
	for _, o := range r.Entries {
		o.Detail, o.Resources = "", nil
		for _, id := range []*string{&o.EventID, &o.Lineage.CorrelationID, &o.Lineage.CausationID, &o.Lineage.ParentID} {
			*id = strings.Clone(*id)
			kept += len(*id)
		}
		kept += each + len(o.Source) + len(o.DetailType) + len(o.Bus) + len(o.TraceHeader)
	}
	return kept
}

// Context returns the context of the request, in which the send span is current.
func (r *Request) Context() context.Context { return r.publishing.Context() }

// Finish ends the spans and records the metrics. If the request failed as a whole, err
// is its error and code its error code.
func (r *Request) Finish(err error, code string, took time.Duration) {
	r.publishing.End(err)
	now := r.s.Now()
	r.s.Metrics.Record(metrics.Observation{At: now, Name: metrics.PublishDuration, Value: float64(took) / float64(time.Millisecond)})
	for _, o := range r.Entries {
		if err == nil {
			code = o.Result.ErrorCode
		}
		r.s.Measure(now, o, code)
	}
}

// Abandon ends the spans of a request without metrics: it failed and will be retried as
// another request, or its outcome is not known.
func (r *Request) Abandon(err error) { r.publishing.End(err) }

// Measure records the metrics of an entry, which failed if code is not empty.
func (s *Stamping) Measure(now time.Time, e *lineage.Outgoing, code string) {
	o := metrics.Observation{At: now, EventType: e.DetailType, EventID: e.EventID, CorrelationID: e.Lineage.CorrelationID}
	record := func(name metrics.Name, value float64, kind string) {
		o := o
		o.Name, o.Value, o.Kind = name, value, kind
		s.Metrics.Record(o)
	}
	record(metrics.PayloadSize, float64(e.Size), "")
	record(metrics.PayloadLimitUtilization, sizemeter.Utilization(e.Size, s.Limit), "")
	if s.oversized(e.DetailType, e.Size) {
		record(metrics.OversizedEvents, 1, "")
		s.Metrics.Log(metrics.Line{At: now, Kind: "oversize", Message: "event is close to the size limit", Fields: map[string]any{
			"event_id": o.EventID, "event_type": o.EventType, "correlation_id": o.CorrelationID, "size_bytes": e.Size, "limit_bytes": s.Limit,
		}})
	}
	if e.Uncorrelated {
		record(metrics.UncorrelatedPublished, 1, "")
	}
	if e.Skipped != "" {
		record(metrics.StampSkipped, 1, e.Skipped)
	}
	if code != "" {
		record(metrics.EventsFailed, 1, code)
		if code == "ThrottlingException" {
			record(metrics.EventsThrottled, 1, "")
		}
		return
	}
	switch {
	case e.Result.SuccessCode == lineage.Deduplicated: // the bus does not deliver the event again
		record(metrics.EventsDeduplicated, 1, "")
	case e.Operation == lineage.ClassicPutEvents:
		record(metrics.EventsPublished, 1, "")
		record(metrics.BilledChunks, float64(sizemeter.Chunks(e.Size)), "")
	default:
		record(metrics.EventsPublished, 1, "")
		record(metrics.BilledKilobytes, float64(sizemeter.Kilobytes(e.Size)), "")
	}
}

// oversized reports whether an event of eventType and size counts as oversized.
func (s *Stamping) oversized(eventType string, size int) bool {
	if warn, ok := s.WarnTypes[eventType]; ok {
		return size >= warn
	}
	return size >= s.Warn
}
