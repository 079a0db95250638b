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

// Stamping stamps, traces and measures requests. Stamper and Now are required.
// It is safe for concurrent use and not changed by it.
type Stamping struct {
	Stamper *lineage.Stamper
	Metrics *metrics.Set // nil records nothing
	Limit   int          // bytes, for utilisation
	Warn    int          // bytes, from which an event counts as oversized
	// WarnTypes are the event types for which Warn is another size.
	WarnTypes map[string]int
	Now       func() time.Time
}

// Request is one PutEvents request on its way. Its methods are for one goroutine.
type Request struct {
	// Entries are as they are to be sent. Their results are set before Finish.
	Entries []*lineage.Outgoing

	s          *Stamping
	publishing *lineage.Publishing
}

// Resolve decides the lineage of an entry and weighs it. A nil d means the
// delivery of ctx.
func (s *Stamping) Resolve(ctx context.Context, e lineage.Entry, d *lineage.Delivery) lineage.Outgoing {
	o := s.Stamper.Resolve(ctx, e, d)
	o.Size = sizeOf(&e)
	return o
}

// sizeOf weighs an entry. Of PutRawEvents data and metadata count (EventBridgeV2
// API reference, PutRawEvents).
func sizeOf(e *lineage.Entry) int {
	if e.Operation == lineage.PutRawEvents {
		return len(e.Detail) + e.DataSize + e.Metadata.Bytes
	}
	return sizemeter.Entry{Source: e.Source, DetailType: e.DetailType, Detail: e.Detail, Resources: e.Resources, HasTime: e.HasTime}.Size()
}

// Start traces and stamps a request of entries that are resolved. It holds on
// to them until the request ends. A stamp with which they would weigh more than
// a request may is left out.
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

// left is how many bytes a request may weigh beside its entries without stamps.
func (r *Request) left() int {
	left := sizemeter.RequestBudget
	for _, o := range r.Entries {
		left -= o.Size - o.Added
	}
	return left
}

// Again stamps entries, which are those that the request was started with, as
// they were stamped then: for another attempt at the same request.
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

// Sent returns copies of the entries as they are to be sent.
func (r *Request) Sent() []lineage.Entry {
	sent := make([]lineage.Entry, len(r.Entries))
	for i, o := range r.Entries {
		sent[i] = o.Entry
	}
	return sent
}

// Unstamped notes that the entries were sent as they came, and why.
func (r *Request) Unstamped(reason string) {
	for _, o := range r.Entries {
		o.Skipped, o.Size, o.Added = reason, o.Size-o.Added, 0
	}
}

// Detach lets go of the bytes that the entries were read from, so that the
// request can wait for its outcome. It returns about how many bytes it keeps.
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

// Context is that of the request: the send span is current in it.
func (r *Request) Context() context.Context { return r.publishing.Context() }

// Finish ends the spans and records the metrics. err is set where the request
// failed as a whole, and code is then its code.
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

// Abandon ends the spans of a request that failed and that will be tried again
// as another one: nothing is counted.
func (r *Request) Abandon(err error) { r.publishing.End(err) }

// Measure records an entry, which failed where code is not empty.
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
	case e.Result.SuccessCode == lineage.Deduplicated: // nothing was stored, and nothing will be delivered
		record(metrics.EventsDeduplicated, 1, "")
	case e.Operation == lineage.ClassicPutEvents:
		record(metrics.EventsPublished, 1, "")
		record(metrics.BilledChunks, float64(sizemeter.Chunks(e.Size)), "")
	default:
		record(metrics.EventsPublished, 1, "")
		record(metrics.BilledKilobytes, float64(sizemeter.Kilobytes(e.Size)), "")
	}
}

// oversized reports whether size, of an event of eventType, is one to warn of.
func (s *Stamping) oversized(eventType string, size int) bool {
	if warn, ok := s.WarnTypes[eventType]; ok {
		return size >= warn
	}
	return size >= s.Warn
}
