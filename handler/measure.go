package handler

import (
	"bytes"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

func (i *invocation) record(name metrics.Name, value float64, e *tracing.Event, kind string) {
	o := metrics.Observation{At: i.start, Name: name, Value: value, Kind: kind, RequestID: i.request}
	if e != nil {
		o.EventType, o.EventID, o.CorrelationID = e.Type, e.ID, e.Lineage.CorrelationID
	}
	i.w.metrics.Record(o)
}

// received measures what was delivered.
func (i *invocation) received() {
	if n := i.delivery.Malformed; n > 0 {
		i.w.metrics.Dropped(n)
	}
	for n := range i.delivery.Events {
		e := &i.delivery.Events[n]
		i.record(metrics.EventsReceived, 1, e, "")
		i.record(metrics.HopCount, float64(e.Lineage.Hops), e, "")
		if !e.Time.IsZero() {
			i.record(metrics.DeliveryLag, max(0, millis(i.start.Sub(e.Time))), e, "")
		}
		if e.ReplayName != "" {
			i.record(metrics.ReplayedEvents, 1, e, "")
		}
		if !e.Lineage.Correlated && publishedOnABus(i.delivery.Shape) {
			i.record(metrics.UncorrelatedReceived, 1, e, "")
		}
	}
}

// publishedOnABus tells events that could have carried a correlation ID from
// schedules, alarms and direct calls, which have nobody to set one.
func publishedOnABus(shape tracing.Shape) bool {
	switch shape {
	case tracing.ShapeEventBridge, tracing.ShapeSQS, tracing.ShapeSNS:
		return true
	default:
		return false
	}
}

// flag says of a delivery that it is a repeat, out of order or in a loop: on
// the span, in the metrics and as a log line.
func (i *invocation) flag(e *tracing.Event, v dedupe.Verdict) {
	if v.Kind != "" {
		tracing.RecordRepeat(i.span, tracing.Repeat{
			Kind: string(v.Kind), Count: v.Count, EventID: e.ID,
			FirstAt: v.FirstAt, FirstRequestID: v.FirstRequestID, FirstTraceparent: v.FirstTraceparent,
		})
		if v.Kind == dedupe.Retry {
			i.record(metrics.RetriedEvents, 1, e, "")
		} else {
			i.record(metrics.DuplicateEvents, 1, e, string(v.Kind))
		}
		i.line("repeat", "already processed", e, map[string]any{"kind": v.Kind, "first_request_id": v.FirstRequestID, "count": v.Count})
	}
	if v.OutOfOrder {
		i.span.SetAttributes(attribute.Int64("throughline.order.early_ms", v.Early.Milliseconds()))
		i.record(metrics.OutOfOrderEvents, 1, e, "")
		i.line("out-of-order", "arrived after an event that it caused", e, map[string]any{"early_ms": v.Early.Milliseconds()})
	}
	if v.Loop {
		i.record(metrics.LoopSuspected, 1, e, "")
		i.line("loop", "too many hops, or the same type again and again under one correlation ID", e, map[string]any{"hops": e.Lineage.Hops})
	}
}

func (i *invocation) line(kind, message string, e *tracing.Event, fields map[string]any) {
	fields["event_id"], fields["correlation_id"], fields["event_type"] = e.ID, e.Lineage.CorrelationID, e.Type
	fields["request_id"] = i.request
	i.w.metrics.Log(metrics.Line{At: i.start, Kind: kind, Message: message, Fields: fields})
}

// handled measures how the invocation went.
func (i *invocation) handled(answer []byte, err error) {
	took := i.w.now().Sub(i.start)
	if len(i.delivery.Events) > 0 {
		e := &i.delivery.Events[0]
		for n := range i.delivery.Events {
			if i.delivery.Events[n].Type != e.Type { // a batch of several types is the queue's
				e = &tracing.Event{Type: i.delivery.Queue}
				break
			}
		}
		if e.Type != "" { // a schedule or a direct call has none; Duration says how long it took
			i.record(metrics.HandlerDuration, millis(took), e, "")
		}
	}
	if err == nil && softError(answer) {
		i.record(metrics.SoftErrors, 1, nil, "")
	}
	if i.w.extension {
		return
	}
	i.record(metrics.Duration, millis(took), nil, "")
	if i.cold {
		i.record(metrics.ColdStart, 1, nil, i.w.initKind)
	}
	if err != nil {
		i.record(metrics.Errors, 1, nil, "")
	}
	if deadline, ok := i.ctx.Deadline(); ok && deadline.After(i.start) {
		i.record(metrics.TimeoutUtilization, 100*float64(took)/float64(deadline.Sub(i.start)), nil, "")
	}
}

// softError tells an answer that AWS counts as a success and the caller as a failure.
func softError(answer []byte) bool {
	const longest = 1 << 20
	if len(answer) > longest || !bytes.Contains(answer, []byte(`"statusCode"`)) && !bytes.Contains(answer, []byte(`"batchItemFailures"`)) {
		return false
	}
	var a struct {
		StatusCode json.Number       `json:"statusCode"`
		Failures   []json.RawMessage `json:"batchItemFailures"`
	}
	_ = json.Unmarshal(answer, &a) // what cannot be read is left zero
	code, _ := a.StatusCode.Int64()
	return code >= 500 || len(a.Failures) > 0
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
