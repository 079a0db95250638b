// Package handling is what happens to an invocation's events wherever they are
// seen: in the handler wrapper, or in the extension's runtime endpoint. It
// links, tells repeats and measures; how the payload came and how the answer
// goes on is the caller's.
package handling

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Handling accompanies invocations. Reader and Now are required. It is safe for
// concurrent use and not changed by it.
type Handling struct {
	Reader  *tracing.Reader
	Tracing tracing.Config
	Metrics *metrics.Set    // nil records nothing
	Dedupe  *dedupe.Checker // nil tells no repeats
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
	Delivery tracing.Delivery
	Start    time.Time
	Request  string
	// Answer is what the handler returned, to be set before End where it may be
	// given again.
	Answer []byte

	h        *Handling
	consumer string
	checks   *dedupe.Pending // run beside the handler
	flagged  bool
	claim    *dedupe.Claim // in the place of checks, where an event is handled once
	refused  bool          // by the claim: the handler did not run
}

// Begin reads the payload, starts the process span and flags what came before.
// With asInvoke, somebody else writes the span of the invocation as the process
// span's parent, and its context is minted. Should it panic, a tracer's fault or
// ours, it returns nil and counts it: the invocation goes on without us.
func (h *Handling) Begin(ctx context.Context, payload []byte, inv tracing.Invocation, asInvoke bool) (i *Invocation) {
	defer func() {
		if recover() != nil {
			i = nil
			h.Metrics.Dropped(1)
		}
	}()
	i = &Invocation{h: h, Start: h.Now(), Request: inv.RequestID, consumer: inv.FunctionName, Delivery: h.Reader.Read(payload)}
	inv.Start = i.Start
	if asInvoke {
		inv.Invoke = tracing.MintInvoke(h.Tracing, i.Delivery, inv.TraceHeader)
	}
	i.Context, i.Span = tracing.StartProcess(ctx, h.Tracing, i.Delivery, inv)
	i.check()
	i.received()
	return i
}

// check asks what of the delivery came before: the memory at once, a shared
// store beside the handler.
func (i *Invocation) check() {
	switch {
	case i.h.Dedupe == nil: // nothing is remembered; what an event says of itself holds
		for n := range i.Delivery.Events {
			i.flag(&i.Delivery.Events[n], dedupe.Verdict{})
		}
	case !i.once():
		if i.checks = i.h.Dedupe.Start(i.Context, i.deliveries()); i.checks.Ready() {
			i.flagAll()
		}
	}
}

// deliveries are the events as dedupe sees them.
func (i *Invocation) deliveries() []dedupe.Delivery {
	traceparent := tracing.FormatTraceparent(i.Span.SpanContext())
	deliveries := make([]dedupe.Delivery, len(i.Delivery.Events))
	for n := range i.Delivery.Events {
		e := &i.Delivery.Events[n]
		deliveries[n] = dedupe.Delivery{
			Consumer: i.h.Dedupe.Consumer(i.consumer), Source: e.Source, EventType: e.Type,
			EventID: e.ID, BusinessKey: i.h.Dedupe.BusinessKey(e.Type, e.At), EnvelopeID: cmp.Or(e.EnvelopeID, e.MessageID),
			CorrelationID: e.Lineage.CorrelationID, ParentID: e.Lineage.ParentID, RequestID: i.Request, ReplayName: e.ReplayName,
			ReceiveCount: e.ReceiveCount, Hops: e.Lineage.Hops, At: i.Start, Traceparent: traceparent,
		}
	}
	return deliveries
}

// flagAll flags what the checks told, once.
func (i *Invocation) flagAll() {
	if i.flagged {
		return
	}
	i.flagged = true
	for n, verdict := range i.checks.Verdicts(i.Context) {
		i.flag(&i.Delivery.Events[n], verdict)
	}
}

// End finishes the span and records how it went. Nothing in it may fail the
// invocation: an exporter's fault is not the function's.
func (i *Invocation) End(soft bool, err error) {
	defer func() { _ = recover() }()
	i.flagAll()
	i.checks.Done(i.Context, err != nil)
	if i.claim != nil {
		i.claim.Finish(i.Context, i.Answer, soft || err != nil)
	}
	i.handled(soft && err == nil)
	tracing.FinishProcess(i.Span, err)
}

// SoftError tells an answer that AWS counts as a success and the caller as a failure.
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

// Millis is a duration as the metrics have it.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
