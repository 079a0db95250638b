package lineage

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Publishing is the spans of one PutEvents request, which may take several
// attempts: of one entry a send span; of several a create span each, and a send
// span that links to them. Its methods are for one goroutine. Without a
// TracerProvider it holds minted contexts and records nothing.
type Publishing struct {
	ctx   context.Context
	send  trace.Span
	out   []*Outgoing // with a span each; send itself when there is one
	ended bool
}

// StartPublishing starts the spans of a request of entries that are resolved,
// and sets the Publisher of each. They are children of the span that is current
// in ctx. The entries are read again when the spans end.
func (s *Stamper) StartPublishing(ctx context.Context, out []*Outgoing) *Publishing {
	parent := trace.SpanContextFromContext(ctx)
	if !s.cfg.traces() {
		for _, o := range out {
			o.mint(parent)
			parent = o.Lineage.Publisher // one trace a request
		}
		if len(out) == 1 {
			ctx = trace.ContextWithSpanContext(ctx, out[0].Lineage.Publisher)
		}
		return &Publishing{ctx: ctx, send: trace.SpanFromContext(ctx), ended: true}
	}
	p := &Publishing{out: out}
	operation := operationCreate
	if len(out) == 1 {
		operation = operationSend
	}
	next := entryStart{operation: operation, ctx: ctx, parent: parent, at: trace.WithTimestamp(time.Now())}
	if len(out) == 1 {
		s.startEntry(&next, out[0])
		p.send = out[0].span
		p.ctx = trace.ContextWithSpan(ctx, p.send)
		return p
	}
	buffer := newSpanBuffer()
	defer buffer.done()
	for i := range out {
		s.startEntry(&next, out[i])
		buffer.links = append(buffer.links, trace.Link{SpanContext: out[i].span.SpanContext()})
	}
	var w decision
	if parent.IsValid() && out[0].Lineage.handled != nil {
		w = parentDecision(parent)
	} else if !parent.IsValid() { // nobody's child: recorded when there is a span to link to
		w.Decided = true
		for i := range buffer.links {
			w.Sampled = w.Sampled || buffer.links[i].SpanContext.IsSampled()
		}
	}
	p.send = s.startSend(contextWithDecision(ctx, w), buffer, out)
	p.ctx = trace.ContextWithSpan(ctx, p.send)
	return p
}

// entryStart is what the spans of a request's entries are started with: made
// once for entries that have it in common.
type entryStart struct {
	operation string
	ctx       context.Context
	parent    trace.SpanContext
	at        trace.SpanStartEventOption // the time: that of all of them

	bus, eventType, name string
	options              []trace.SpanStartOption
	decision             decision
	under                context.Context // ctx with decision
}

// forBus are the options of a span for an entry to bus. The attributes are those
// that a sampler may want; the rest is set when the span ends, in one step,
// because the SDK copies all attributes whenever there are more.
func (n *entryStart) forBus(bus string) []trace.SpanStartOption {
	if n.options == nil || bus != n.bus {
		n.bus = bus
		n.options = append(make([]trace.SpanStartOption, 0, 4 /* and an entry's links */), asProducer, n.at,
			trace.WithAttributes(keyOperationName.String(n.operation), keyOperationType.String(n.operation), keyDestination.String(busName(bus))))
	}
	return n.options
}

func (n *entryStart) nameFor(eventType string) string {
	if n.name == "" || eventType != n.eventType {
		n.eventType, n.name = eventType, spanName(n.operation, eventType)
	}
	return n.name
}

func (n *entryStart) contextFor(w decision) context.Context {
	if n.under == nil || w.SamplingDecision != n.decision.SamplingDecision || (w.sample == nil) != (n.decision.sample == nil) {
		n.decision, n.under = w, contextWithDecision(n.ctx, w)
	}
	return n.under
}

// startEntry starts the span that publishes one entry.
func (s *Stamper) startEntry(n *entryStart, out *Outgoing) {
	options := n.forBus(out.Bus)
	if len(out.Links) > 0 {
		options = append(options, trace.WithLinks(out.Links...))
	}
	_, span := s.tracer.Start(n.contextFor(s.publishingDecision(out, n.parent)), n.nameFor(out.DetailType), options...)
	if out.span = span; ownContext(span, n.parent) {
		out.Lineage.Publisher = span.SpanContext()
		return
	}
	out.mint(n.parent)
	out.span = trace.SpanFromContext(trace.ContextWithSpanContext(n.ctx, out.Lineage.Publisher))
}

// mint gives o a publisher's context that no tracer made. The decision that the
// event being handled carried is passed on; without one the flag decides nothing.
func (o *Outgoing) mint(parent trace.SpanContext) {
	carried := o.decision
	if o.Lineage.handled != nil {
		carried = carriedDecision(&o.Lineage.handled.Lineage)
	}
	o.Lineage.Publisher = Mint(parent)
	if o.Lineage.Minted = !carried.Decided; carried.Decided && carried.Sampled {
		o.Lineage.Publisher = o.Lineage.Publisher.WithTraceFlags(trace.FlagsSampled)
	}
}

// asProducer and asClient are made once: they are the same for every request.
var (
	asProducer = trace.WithSpanKind(trace.SpanKindProducer)
	asClient   = trace.WithSpanKind(trace.SpanKindClient)
)

// startSend starts the span of a request of several entries.
// The links are in room, where the attributes go too.
func (s *Stamper) startSend(ctx context.Context, buffer *spanBuffer, out []*Outgoing) trace.Span {
	bus := busName(out[0].Bus)
	for _, o := range out {
		if busName(o.Bus) != bus {
			bus = ""
		}
	}
	buffer.attrs = append(buffer.attrs, keyMessagingSystem.String(messagingSystem), keyOperationName.String(operationSend),
		keyOperationType.String(operationSend), keyBatchCount.Int(len(out)))
	if bus != "" {
		buffer.attrs = append(buffer.attrs, keyDestination.String(bus))
	}
	_, span := s.tracer.Start(ctx, spanName(operationSend, bus), asClient, trace.WithAttributes(buffer.attrs...), trace.WithLinks(buffer.links...))
	return span
}

// Context is that of the request: the send span is current in it.
func (p *Publishing) Context() context.Context { return p.ctx }

// Send is the span of the request, one that records nothing without a TracerProvider.
func (p *Publishing) Send() trace.Span { return p.send }

// End ends every span, once. A span is in error when err is not nil or, by its
// Result, an entry failed. Of err its type is recorded and its text is not: it
// may quote the request.
func (p *Publishing) End(err error) {
	if p.ended {
		return
	}
	p.ended = true
	failed, code := 0, ""
	buffer := newSpanBuffer()
	defer buffer.done()
	for _, o := range p.out {
		attrs := o.describe(buffer.attrs[:0])
		switch failure := o.Result.ErrorCode; {
		case err != nil:
			Fail(o.span, ErrorType(err), "", attrs...)
		case failure != "":
			if failed++; failed > 1 && code != failure {
				code = ErrorTypeOther
			} else {
				code = failure
			}
			Fail(o.span, failure, failure, attrs...)
		default:
			o.span.SetAttributes(attrs...)
		}
		buffer.attrs = attrs // to be cleared: all entries have about as many
	}
	// Together, so that a batcher's goroutine is woken once.
	at := []trace.SpanEndOption{trace.WithTimestamp(time.Now())}
	if len(p.out) > 1 { // else it is the send span itself
		for _, o := range p.out {
			o.span.End(at...)
		}
		if err != nil {
			Fail(p.send, ErrorType(err), "")
		} else if failed > 0 {
			Fail(p.send, code, strconv.Itoa(failed)+" of "+strconv.Itoa(len(p.out))+" entries failed")
		}
	}
	p.send.End(at...)
}

// describe appends what is known of the entry in the end.
func (o *Outgoing) describe(attrs []attribute.KeyValue) []attribute.KeyValue {
	if !o.span.IsRecording() {
		return attrs
	}
	attrs = append(attrs, keyMessagingSystem.String(messagingSystem))
	attrs = withIDs(attrs, o.EventID, o.DetailType, &o.Lineage)
	if o.Size > 0 {
		attrs = append(attrs, keyEntrySize.Int(o.Size))
	}
	if o.Result.EventID != "" {
		attrs = append(attrs, keyMessageID.String(o.Result.EventID))
	}
	if o.Group != "" {
		attrs = append(attrs, keyGroup.String(o.Group))
	}
	if o.Result.Sequence != "" {
		attrs = append(attrs, keySequence.String(o.Result.Sequence))
	}
	if o.Result.SuccessCode == Deduplicated {
		attrs = append(attrs, keyDeduplicated.Bool(true))
	}
	return attrs
}

// Fail marks span as failed with error.type kind.
func Fail(span trace.Span, kind, description string, attrs ...attribute.KeyValue) {
	span.SetAttributes(append(attrs, keyErrorType.String(kind))...)
	span.SetStatus(codes.Error, description)
}

// busName is the name in what an entry says of its bus.
func busName(bus string) string {
	if bus == "" {
		return defaultBus
	}
	if name, ok := newBus(bus); ok {
		return name
	}
	return bus[strings.LastIndexByte(bus, '/')+1:]
}

func spanName(operation, destination string) string {
	if destination == "" {
		return operation
	}
	return operation + " " + destination
}
