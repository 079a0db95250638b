// Package handling processes an invocation's events, for the handler wrapper
// and for the extension's runtime endpoint. It links spans, detects repeats
// and records metrics. The caller receives the payload and sends the response.
package handling

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Handling accompanies invocations. Reader and Now are required. It is safe for
// concurrent use and not changed by it.
type Handling struct {
	Reader  *lineage.Reader
	Tracing lineage.Config
	Metrics *metrics.Set    // nil records nothing
	Dedupe  *dedupe.Checker // nil detects no repeats
	Now     func() time.Time
	// Once leaves the check of an invocation with one event to [Invocation.Claim].
	Once bool
}

// Invocation is what is known of one call while it is handled. Its methods are
// for one goroutine.
type Invocation struct {
	// Context is what the handler is to be called with: the process span is
	// current in it and the events are being handled.
	Context  context.Context
	Span     trace.Span
	Delivery lineage.Delivery
	Start    time.Time
	Request  string
	// Answer is what the handler returned, to be set before End where it may be
	// given again or names the events of a batch that failed.
	Answer []byte

	h        *Handling
	consumer string
	arn      string          // as it was invoked
	checks   *dedupe.Pending // run beside the handler
	reserved int             // of them
	alone    bool            // memory was asked, event by event, in their place
	flagged  bool
	claim    *dedupe.Claim // in the place of checks, where an event is handled once
	refused  bool          // by the claim: the handler did not run
}

// Begin reads the payload, starts the process span and flags what came before.
// With asInvoke, somebody else writes the span of the invocation as the process
// span's parent, and its context is minted. Should it panic, a tracer's fault or
// ours, it returns nil and counts it: the invocation goes on without us.
func (h *Handling) Begin(ctx context.Context, payload []byte, inv lineage.Invocation, asInvoke bool) (i *Invocation) {
	defer h.recovered(&i)
	return h.begin(ctx, h.Reader.Read(payload), inv, asInvoke)
}

// Stream reads the payload of an invocation that comes in pieces, for
// [Handling.BeginStream]. See [lineage.Reader.Stream].
func (h *Handling) Stream(requestID string, held, kept lineage.Room) *lineage.Stream {
	if h.Dedupe == nil {
		return h.Reader.Stream(requestID, nil, held, kept)
	}
	return h.Reader.Stream(requestID, func(e *lineage.Event) { e.Digest, e.BusinessKey = h.digest(e), h.Dedupe.BusinessKey(e.Type, e.At) }, held, kept)
}

// BeginStream is Begin for what a Stream has read. Unread says that something of
// it is missing.
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

// check asks what of the delivery came before: the memory at once, a shared
// store beside the handler. The store is asked nothing of a large batch while it
// is asked as much as there is memory for.
func (i *Invocation) check() {
	switch {
	case i.h.Dedupe == nil: // nothing is remembered; what an event says of itself holds
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

// deliveries are the events as dedupe sees them.
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
// version $LATEST, which no other caller with an event does. Other tasks are
// identified by the times of their events, see [dedupe.Delivery].
func (i *Invocation) direct() bool {
	switch i.Delivery.Shape {
	case lineage.ShapeDirect, lineage.ShapeDurable:
		return true
	case lineage.ShapeEventBridge:
		return strings.HasSuffix(i.arn, ":$LATEST")
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

// End finishes the span and records how it went. Nothing in it may fail the
// invocation: an exporter's fault is not the function's.
func (i *Invocation) End(soft bool, err error) {
	defer func() { _ = recover() }()
	i.flagAll()
	failed := i.failures(soft && err == nil)
	if i.alone {
		n := 0
		i.Delivery.Each(func(e *lineage.Event) {
			i.h.Dedupe.Done(i.delivery(e, ""), err != nil || failed[n])
			n++
		})
	}
	for n := range failed {
		i.checks.Failed(n)
	}
	i.checks.Done(i.Context, err != nil)
	i.h.Dedupe.Release(i.reserved)
	if i.claim != nil {
		i.claim.Finish(i.Context, i.Answer, soft || err != nil)
	}
	i.handled(soft && err == nil)
	lineage.FinishProcess(i.Span, err)
}

// SoftError reports whether an answer is a success to AWS and a failure to the caller.
func SoftError(answer []byte) bool {
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

// failures are the places of the events that a partial batch response says were not
// handled (Lambda developer guide, "Reporting batch item failures"; and for the new
// custom buses, whose item identifier is not documented, any ID that an event has).
// soft is whether the answer may be one.
func (i *Invocation) failures(soft bool) map[int]bool {
	if !soft || i.Delivery.Len() == 0 || i.h.Dedupe == nil {
		return nil
	}
	var a struct {
		Failures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(i.Answer, &a) != nil || len(a.Failures) == 0 {
		return nil
	}
	named := make(map[string]bool, len(a.Failures))
	for _, f := range a.Failures {
		named[f.ItemIdentifier] = f.ItemIdentifier != ""
	}
	failed, n := map[int]bool{}, 0
	i.Delivery.Each(func(e *lineage.Event) {
		if named[e.Arrival.RecordID] || named[e.EnvelopeID] || named[e.ID] {
			failed[n] = true
		}
		n++
	})
	return failed
}

// Millis is a duration as the metrics have it.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
