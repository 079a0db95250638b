package tracing

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Result is what became of one entry of a request. The zero value is a success
// of which no ID is known.
type Result struct {
	EventID   string // EventBridge's
	ErrorCode string // EventBridge's; empty on success
}

// Publishing is the spans of one PutEvents request, which may take several
// attempts: of one entry a send span; of several a create span each, and a send
// span that links to them. Its methods are for one goroutine. Without a
// TracerProvider it holds minted contexts and records nothing.
type Publishing struct {
	ctx     context.Context
	send    trace.Span
	spans   []trace.Span // of each entry; send itself when there is one
	sizes   []int        // of each entry; 0 when not known
	entries []Entry
	out     []Outgoing
	ended   bool
}

// StartPublishing starts the spans of a request of entries, whose outgoing are
// out and which Apply has not touched yet, and sets the Publisher of each. They
// are children of the span that is current in ctx. Both slices are read again
// when the spans end.
func (s *Stamper) StartPublishing(ctx context.Context, entries []Entry, out []Outgoing) *Publishing {
	parent := trace.SpanContextFromContext(ctx)
	if s.tracer == nil {
		for i := range out {
			out[i].Lineage.Publisher = Mint(parent)
			parent = out[i].Lineage.Publisher // one trace a request
		}
		if len(out) == 1 {
			ctx = trace.ContextWithSpanContext(ctx, out[0].Lineage.Publisher)
		}
		return &Publishing{ctx: ctx, send: trace.SpanFromContext(ctx), ended: true}
	}
	p := &Publishing{spans: make([]trace.Span, len(out)), sizes: make([]int, len(out)), entries: entries, out: out}
	operation := operationCreate
	if len(out) == 1 {
		operation = operationSend
	}
	next := entryStart{operation: operation, ctx: ctx, parent: parent, at: trace.WithTimestamp(time.Now())}
	if len(out) == 1 {
		p.send = s.startEntry(&next, &entries[0], &out[0])
		p.ctx, p.spans[0] = trace.ContextWithSpan(ctx, p.send), p.send
		return p
	}
	room := newRoom()
	defer room.done()
	for i := range out {
		p.spans[i] = s.startEntry(&next, &entries[i], &out[i])
		room.links = append(room.links, trace.Link{SpanContext: p.spans[i].SpanContext()})
	}
	var w wish
	if parent.IsValid() && out[0].Lineage.handled != nil {
		w = asParent(parent)
	} else if !parent.IsValid() { // nobody's child: recorded when there is a span to link to
		w.Decided = true
		for i := range room.links {
			w.Sampled = w.Sampled || room.links[i].SpanContext.IsSampled()
		}
	}
	p.send = s.startSend(contextWithWish(ctx, w), room, entries)
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
	wish                 wish
	under                context.Context // ctx with wish
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

func (n *entryStart) contextFor(w wish) context.Context {
	if n.under == nil || w.SamplingWish != n.wish.SamplingWish || (w.sample == nil) != (n.wish.sample == nil) {
		n.wish, n.under = w, contextWithWish(n.ctx, w)
	}
	return n.under
}

// startEntry starts the span that publishes one entry.
func (s *Stamper) startEntry(n *entryStart, entry *Entry, out *Outgoing) trace.Span {
	options := n.forBus(entry.Bus)
	if len(out.Links) > 0 {
		options = append(options, trace.WithLinks(out.Links...))
	}
	_, span := s.tracer.Start(n.contextFor(s.publishingWish(out, n.parent)), n.nameFor(entry.DetailType), options...)
	out.Lineage.Publisher = span.SpanContext()
	if !out.Lineage.Publisher.IsValid() { // a provider that makes no contexts: the stamp needs one
		out.Lineage.Publisher = Mint(n.parent)
	}
	return span
}

// asProducer is made once: it is the same for every entry.
var asProducer = trace.WithSpanKind(trace.SpanKindProducer)

// startSend starts the span of a request of several entries.
// The links are in room, where the attributes go too.
func (s *Stamper) startSend(ctx context.Context, room *room, entries []Entry) trace.Span {
	bus := busName(entries[0].Bus)
	for i := range entries {
		if busName(entries[i].Bus) != bus {
			bus = ""
		}
	}
	room.attrs = append(room.attrs, keyMessagingSystem.String(messagingSystem), keyOperationName.String(operationSend),
		keyOperationType.String(operationSend), keyBatchCount.Int(len(entries)))
	if bus != "" {
		room.attrs = append(room.attrs, keyDestination.String(bus))
	}
	_, span := s.tracer.Start(ctx, spanName(operationSend, bus), asClient, trace.WithAttributes(room.attrs...), trace.WithLinks(room.links...))
	return span
}

// Context is that of the request: the send span is current in it.
func (p *Publishing) Context() context.Context { return p.ctx }

// Send is the span of the request, one that records nothing without a TracerProvider.
func (p *Publishing) Send() trace.Span { return p.send }

// Size records the size of entry i, in bytes as EventBridge counts them.
func (p *Publishing) Size(i, size int) {
	if i < len(p.sizes) {
		p.sizes[i] = size
	}
}

// End ends every span, once. A span is in error when err is not nil or one of
// its entries failed; results are in the order of the entries, and may be nil.
// Of err its type is recorded and its text is not: it may quote the request.
func (p *Publishing) End(results []Result, err error) {
	if p.ended {
		return
	}
	p.ended = true
	failed, code := 0, ""
	room := newRoom()
	defer room.done()
	for i, span := range p.spans {
		var result Result
		if i < len(results) {
			result = results[i]
		}
		attrs := p.describe(room.attrs[:0], i, result)
		switch {
		case err != nil:
			fail(span, errorType(err), "", attrs...)
		case result.ErrorCode != "":
			if failed++; failed > 1 && code != result.ErrorCode {
				code = errorTypeOther
			} else {
				code = result.ErrorCode
			}
			fail(span, result.ErrorCode, result.ErrorCode, attrs...)
		default:
			span.SetAttributes(attrs...)
		}
		room.attrs = attrs // to be cleared: all entries have about as many
	}
	// Together, so that a batcher's goroutine is woken once.
	at := []trace.SpanEndOption{trace.WithTimestamp(time.Now())}
	if len(p.spans) > 1 { // else it is the send span itself
		for _, span := range p.spans {
			span.End(at...)
		}
	}
	if len(p.spans) > 1 {
		if err != nil {
			fail(p.send, errorType(err), "")
		} else if failed > 0 {
			fail(p.send, code, strconv.Itoa(failed)+" of "+strconv.Itoa(len(p.spans))+" entries failed")
		}
	}
	p.send.End(at...)
}

// describe appends what is known of entry i in the end.
func (p *Publishing) describe(attrs []attribute.KeyValue, i int, result Result) []attribute.KeyValue {
	if !p.spans[i].IsRecording() {
		return attrs
	}
	attrs = append(attrs, keyMessagingSystem.String(messagingSystem))
	attrs = withIDs(attrs, p.out[i].EventID, p.entries[i].DetailType, &p.out[i].Lineage)
	if p.sizes[i] > 0 {
		attrs = append(attrs, keyEntrySize.Int(p.sizes[i]))
	}
	if result.EventID != "" {
		attrs = append(attrs, keyMessageID.String(result.EventID))
	}
	return attrs
}

func fail(span trace.Span, kind, description string, attrs ...attribute.KeyValue) {
	span.SetAttributes(append(attrs, keyErrorType.String(kind))...)
	span.SetStatus(codes.Error, description)
}

// busName is the name in what an entry says of its bus.
func busName(bus string) string {
	if bus == "" {
		return defaultBus
	}
	return bus[strings.LastIndexByte(bus, '/')+1:]
}

func spanName(operation, destination string) string {
	if destination == "" {
		return operation
	}
	return operation + " " + destination
}
