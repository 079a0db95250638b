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

// Publishing is the spans of one PutEvents request, including its retries. A request
// of one entry has a send span. A request of several has a create span for each, and
// a send span with links to them. Without a TracerProvider, Publishing has generated
// contexts and records nothing. It is not safe for concurrent use.
type Publishing struct {
	ctx   context.Context
	send  trace.Span
	out   []*Outgoing // each has a span; if there is one entry, it is send
	ended bool
}

// StartPublishing starts the spans of a request of resolved entries, and sets the
// Publisher of each. The spans are children of the span that is current in ctx. out
// must not be empty. End reads the entries again.
func (s *Stamper) StartPublishing(ctx context.Context, out []*Outgoing) *Publishing {
	parent := trace.SpanContextFromContext(ctx)
	if !s.cfg.traces() {
		for _, o := range out {
			o.mint(parent)
			parent = o.Lineage.Publisher // one trace for each request
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
	} else if !parent.IsValid() { // a root: sampled if it has a sampled span to link to
		w.Decided = true
		for i := range buffer.links {
			w.Sampled = w.Sampled || buffer.links[i].SpanContext.IsSampled()
		}
	}
	p.send = s.startSend(contextWithDecision(ctx, w), buffer, out)
	p.ctx = trace.ContextWithSpan(ctx, p.send)
	return p
}

// entryStart has the values with which the spans of a request's entries are started.
// Entries with equal values share them.
type entryStart struct {
	operation string
	ctx       context.Context
	parent    trace.SpanContext
	at        trace.SpanStartEventOption // the start time of all spans

	bus, eventType, name string
	options              []trace.SpanStartOption
	decision             decision
	under                context.Context // ctx with decision
}

// forBus returns the options of a span for an entry to bus. They contain only the
// attributes that a sampler may use. The others are set together when the span ends,
// because the SDK copies all attributes each time that some are added.
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

// mint sets o's publisher to a generated context. The context has the sampling decision
// that the event being handled carried; without one it is marked as Minted.
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

// asProducer and asClient are made once, because they are the same for all requests.
var (
	asProducer = trace.WithSpanKind(trace.SpanKindProducer)
	asClient   = trace.WithSpanKind(trace.SpanKindClient)
)

// startSend starts the send span of a request of several entries. buffer has the links
// of the span; startSend adds its attributes to buffer.
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

// Context returns the context of the request, in which the send span is current.
func (p *Publishing) Context() context.Context { return p.ctx }

// Send returns the send span. Without a TracerProvider it records nothing.
func (p *Publishing) Send() trace.Span { return p.send }

// End ends all spans; further calls do nothing. A span has an error status if err is
// not nil or if the Result of an entry is an error. End records the type of err, but
// not its text, which may quote the request.
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
		buffer.attrs = attrs // done clears these: all entries have about as many attributes
	}
	// Together, so that a batch processor's goroutine wakes only once.
	at := []trace.SpanEndOption{trace.WithTimestamp(time.Now())}
	if len(p.out) > 1 { // otherwise the entry's span is the send span
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

// describe appends the attributes of the entry after the request.
func (o *Outgoing) describe(attrs []attribute.KeyValue) []attribute.KeyValue {
	if !o.span.IsRecording() {
		return attrs
	}
	attrs = append(attrs, keyMessagingSystem.String(messagingSystem))
	attrs = withIDs(attrs, o.EventID, o.DetailType, &o.Lineage)
	if o.Source != "" {
		attrs = append(attrs, keyEventSource.String(o.Source))
	}
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

// Fail sets an error status on span, with error.type kind, description and attrs.
func Fail(span trace.Span, kind, description string, attrs ...attribute.KeyValue) {
	span.SetAttributes(append(attrs, keyErrorType.String(kind))...)
	span.SetStatus(codes.Error, description)
}

// busName returns the name of a bus from an entry's name or ARN.
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
