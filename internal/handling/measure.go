package handling

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

func (i *Invocation) record(name metrics.Name, value float64, e *lineage.Event, kind string) {
	o := metrics.Observation{At: i.Start, Name: name, Value: value, Kind: kind, RequestID: i.Request}
	if e != nil {
		o.EventType, o.EventID, o.CorrelationID = e.Type, e.ID, e.Lineage.CorrelationID
	}
	i.h.Metrics.Record(o)
}

// received records the metrics of the delivered events.
func (i *Invocation) received() {
	if n := i.Delivery.Malformed; n > 0 {
		i.h.Metrics.Dropped(n)
	}
	i.Delivery.Each(func(e *lineage.Event) {
		i.record(metrics.EventsReceived, 1, e, "")
		i.record(metrics.HopCount, float64(e.Lineage.Hops), e, "")
		if !e.Time.IsZero() {
			i.record(metrics.DeliveryLag, max(0, Millis(i.Start.Sub(e.Time))), e, "")
		}
		if e.ReplayName != "" {
			i.record(metrics.ReplayedEvents, 1, e, "")
		}
		if lostItsWorkflow(e) {
			i.record(metrics.UncorrelatedReceived, 1, e, "")
		}
	})
}

// lostItsWorkflow reports whether an event that another event caused has no correlation
// ID. A workflow's first event, and an event of an AWS service, may have none.
func lostItsWorkflow(e *lineage.Event) bool {
	l := &e.Lineage
	return !l.Correlated && !strings.HasPrefix(e.Source, "aws.") && (l.Stamped || l.CausationID != "" || l.Hops > 0)
}

// flag records that a delivery is a repeat, out of order or in a loop: on the span, in
// the metrics and in a log line.
func (i *Invocation) flag(e *lineage.Event, v dedupe.Verdict) {
	if v.Kind != "" {
		lineage.RecordRepeat(i.Context, lineage.Repeat{
			Kind: string(v.Kind), Count: v.Count, EventID: e.ID,
			FirstAt: v.FirstAt, FirstRequestID: v.FirstRequestID, FirstTraceparent: v.FirstTraceparent,
		})
		if v.Kind == dedupe.Retry {
			i.record(metrics.RetriedEvents, 1, e, "")
		} else {
			i.record(metrics.DuplicateEvents, 1, e, string(v.Kind))
		}
		fields := map[string]any{"kind": v.Kind, "first_request_id": v.FirstRequestID, "count": v.Count}
		if !v.FirstAt.IsZero() {
			fields["first_time"] = v.FirstAt.UTC()
		}
		if i.refused {
			fields["suppressed"] = true
		}
		message := "already processed"
		if v.Kind == dedupe.Conflict {
			message = "another event has the same source, type and ID"
		}
		i.line("repeat", message, e, fields)
	}
	if v.Unknown { // counted as a kind with the value 0: it is not known to be a repeat
		i.Span.SetAttributes(attribute.String(lineage.AttrRepeatKind, "unknown"))
		i.record(metrics.DuplicateEvents, 0, e, "unknown")
	}
	if v.OutOfOrder {
		i.Span.SetAttributes(attribute.Int64(lineage.AttrOrderEarly, v.Early.Milliseconds()))
		i.record(metrics.OutOfOrderEvents, 1, e, "")
		switch {
		case v.Awaited != "":
			i.line("out-of-order", "arrived before any event of the type that it follows", e, map[string]any{"awaited": v.Awaited})
		case v.Behind != "":
			i.line("out-of-order", "arrived after a later event of its group", e, map[string]any{"early_ms": v.Early.Milliseconds(), "group": e.Group, "sequence": e.Sequence, "behind": v.Behind})
		default:
			i.line("out-of-order", "arrived after an event that it caused", e, map[string]any{"early_ms": v.Early.Milliseconds()})
		}
	}
	if v.Loop || e.Lineage.Hops > i.h.Tracing.HopLimit() {
		i.record(metrics.LoopSuspected, 1, e, "")
		i.line("loop", "too many hops, or the same type again and again under one correlation ID", e, map[string]any{"hops": e.Lineage.Hops})
	}
}

func (i *Invocation) line(kind, message string, e *lineage.Event, fields map[string]any) {
	fields["event_id"], fields["correlation_id"], fields["event_type"] = e.ID, e.Lineage.CorrelationID, e.Type
	fields["request_id"] = i.Request
	i.h.Metrics.Log(metrics.Line{At: i.Start, Kind: kind, Message: message, Fields: fields})
}

// handled records the metrics of the invocation's outcome.
func (i *Invocation) handled(soft bool) {
	took := i.h.Now().Sub(i.Start)
	if i.Delivery.Len() > 0 && !i.refused {
		e := i.Delivery.Event(0)
		if i.Delivery.EventType() != e.Type { // a batch of several types is recorded with the queue as type
			e = &lineage.Event{Type: i.Delivery.Queue}
		}
		if e.Type != "" { // a schedule or a direct call has none, and is recorded in Duration
			i.record(metrics.HandlerDuration, Millis(took), e, "")
		}
	}
	if soft {
		i.record(metrics.SoftErrors, 1, nil, "")
	}
}
