// Package handling processes an invocation's events, for the handler wrapper
// and for the extension's runtime endpoint. It links spans, detects repeats
// and records metrics. The caller receives the payload and sends the response.
package handling

import (
	"cmp"
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Handling processes the events of invocations. Reader and Now are required. Its
// methods are safe for concurrent use and do not change it.
type Handling struct {
	Reader  *lineage.Reader
	Tracing lineage.Config
	Metrics *metrics.Set    // nil records nothing
	Dedupe  *dedupe.Checker // nil detects no repeats
	Now     func() time.Time
	// Once makes [Invocation.Claim] check an invocation with one event, instead of
	// Begin.
	Once bool
}

// Invocation is an invocation that is being handled. It is not safe for concurrent
// use.
type Invocation struct {
	// Context is the context to call the handler with. The process span is current
	// in it, and the events are being handled.
	Context  context.Context
	Span     trace.Span
	Delivery lineage.Delivery
	Start    time.Time
	Request  string
	// Answer is the handler's result. Set it before End if it may be returned again
	// for a repeat, or if it contains the failed events of a batch.
	Answer []byte

	h        *Handling
	consumer string
	arn      string          // as it was invoked
	checks   *dedupe.Pending // they run during the handler
	reserved int             // the number of events reserved for checks
	alone    bool            // only the memory was checked, event by event, instead of checks
	flagged  bool
	claim    *dedupe.Claim // instead of checks, if an event is handled once
	refused  bool          // the claim was refused: the handler did not run
}

// Begin reads the payload, starts the process span and flags repeats. With asInvoke,
// the caller writes the invoke span, which is the parent of the process span, and
// Begin generates its context. If a tracer or Throughline panics, Begin counts it and
// returns nil, and the invocation continues without Throughline.
func (h *Handling) Begin(ctx context.Context, payload []byte, inv lineage.Invocation, asInvoke bool) (i *Invocation) {
	defer h.recovered(&i)
	return h.begin(ctx, h.Reader.Read(payload), inv, asInvoke)
}

// Stream returns a Stream that reads a payload in pieces, for [Handling.BeginStream].
// See [lineage.Reader.Stream].
func (h *Handling) Stream(requestID string, held, kept lineage.Room) *lineage.Stream {
	if h.Dedupe == nil {
		return h.Reader.Stream(requestID, nil, held, kept)
	}
	return h.Reader.Stream(requestID, func(e *lineage.Event) { e.Digest, e.BusinessKey = h.digest(e), h.Dedupe.BusinessKey(e.Type, e.At) }, held, kept)
}

// BeginStream is Begin for a payload that a Stream has read. unread reports whether a
// part of it was left out.
func (h *Handling) BeginStream(ctx context.Context, s *lineage.Stream, inv lineage.Invocation, asInvoke bool) (i *Invocation, unread bool) {
	defer h.recovered(&i)
	d, payload, unread := s.Close()
	if payload != nil {
		d = h.Reader.Read(payload)
	}
	return h.begin(ctx, d, inv, asInvoke), unread
}

func (h *Handling) recovered(i **Invocation) {
	if recover() != nil {
		*i = nil
		h.Metrics.Dropped(1)
	}
}

func (h *Handling) begin(ctx context.Context, d lineage.Delivery, inv lineage.Invocation, asInvoke bool) *Invocation {
	i := &Invocation{h: h, Start: h.Now(), Request: inv.RequestID, consumer: inv.FunctionName, arn: inv.ARN, Delivery: d}
	inv.Start = i.Start
	if asInvoke {
		inv.Invoke = lineage.MintInvoke(h.Tracing, i.Delivery, inv.TraceHeader)
	}
	i.Context, i.Span = lineage.StartProcess(ctx, h.Tracing, i.Delivery, inv)
	i.check()
	i.received()
	return i
}

// check starts the checks for repeats: in memory immediately, and in a shared store
// during the handler. A large batch is checked only in memory if the pending checks
// of the store already use their memory budget.
func (i *Invocation) check() {
	switch {
	case i.h.Dedupe == nil: // no event is remembered; only the event's own data is checked
		i.Delivery.Each(func(e *lineage.Event) { i.flag(e, dedupe.Verdict{}) })
	case i.once():
	case !i.Delivery.Packed():
		i.start()
	case i.h.Dedupe.Reserve(i.Delivery.Len()):
		i.reserved = i.Delivery.Len()
		i.start()
	default:
		i.alone, i.flagged = true, true
		traceparent := lineage.FormatTraceparent(i.Span.SpanContext())
		i.Delivery.Each(func(e *lineage.Event) { i.flag(e, i.h.Dedupe.CheckAlone(i.delivery(e, traceparent))) })
	}
}

func (i *Invocation) start() {
	if i.checks = i.h.Dedupe.Start(i.Context, i.deliveries()); i.checks.Ready() {
		i.flagAll()
	}
}

// deliveries returns the events in the form that package dedupe takes.
func (i *Invocation) deliveries() []dedupe.Delivery {
	traceparent := lineage.FormatTraceparent(i.Span.SpanContext())
	deliveries := make([]dedupe.Delivery, 0, i.Delivery.Len())
	i.Delivery.Each(func(e *lineage.Event) { deliveries = append(deliveries, i.delivery(e, traceparent)) })
	return deliveries
}

func (i *Invocation) delivery(e *lineage.Event, traceparent string) dedupe.Delivery {
	digest, key := e.Digest, e.BusinessKey
	if digest == "" {
		digest, key = i.h.digest(e), i.h.Dedupe.BusinessKey(e.Type, e.At)
	}
	return dedupe.Delivery{
		Consumer: i.h.Dedupe.Consumer(i.consumer), Source: e.Source, EventType: e.Type,
		EventID: e.ID, BusinessKey: key, EnvelopeID: cmp.Or(e.EnvelopeID, e.MessageID), Direct: i.direct() && !e.WithMetadata(), Invoked: i.Delivery.Shape == lineage.ShapeEventBridge && !e.WithMetadata(), Batched: i.Delivery.Len() > 1, Digest: digest,
		CorrelationID: e.Lineage.CorrelationID, ParentID: e.Lineage.ParentID, RequestID: i.Request, ReplayName: e.ReplayName,
		ReceiveCount: e.ReceiveCount, Hops: e.Lineage.Hops, Group: e.Group, Sequence: e.Sequence, At: i.Start, Traceparent: traceparent,
	}
}

// digest returns the digest of the event's content.
func (h *Handling) digest(e *lineage.Event) string {
	return dedupe.Digest(e.Detail, cmp.Or(h.Tracing.DetailKey, lineage.DefaultDetailKey))
}

// direct reports whether the event came with a direct invocation, which is not a
// delivery and therefore no repeat of one. An event from Step Functions has the same
// form as one from EventBridge. A task that was made in Workflow Studio invokes the
// version $LATEST, which no other caller with an event does. A task with a ResultPath
// has members beside those of the event. Other tasks are identified by the times of their events, see [dedupe.Delivery].
func (i *Invocation) direct() bool {
	switch i.Delivery.Shape {
	case lineage.ShapeDirect, lineage.ShapeDurable:
		return true
	case lineage.ShapeEventBridge:
		return i.Delivery.Called || strings.HasSuffix(i.arn, ":$LATEST")
	}
	return false
}

// flagAll flags the repeats that the checks found, once.
func (i *Invocation) flagAll() {
	if i.flagged {
		return
	}
	i.flagged = true
	verdicts := i.checks.Verdicts(i.Context)
	if len(verdicts) == 0 {
		return
	}
	n := 0
	i.Delivery.Each(func(e *lineage.Event) {
		i.flag(e, verdicts[n])
		n++
	})
}

// End ends the span and records the outcome: err or, if it is nil, what the answer says.
// End recovers panics, so that an exporter cannot fail the invocation.
func (i *Invocation) End(err error) {
	defer func() { _ = recover() }()
	i.flagAll()
	var a answer
	if err == nil {
		a = readAnswer(i.Answer)
	}
	failed := i.failuresOf(a.items)
	if i.alone {
		n := 0
		i.Delivery.Each(func(e *lineage.Event) {
			i.h.Dedupe.Done(i.delivery(e, ""), err != nil || failed.again[n])
			n++
		})
	}
	for n := range failed.again {
		i.checks.Failed(n)
	}
	i.checks.Done(i.Context, err != nil)
	i.h.Dedupe.Release(i.reserved)
	if i.claim != nil {
		i.claim.Finish(i.Context, i.Answer, err != nil || a.soft())
	}
	i.handled(a.soft())
	i.markSoft(&a, &failed)
	lineage.FinishProcess(i.Span, err)
}

// Millis returns a duration in milliseconds, the unit of the metrics.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
