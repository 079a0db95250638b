package lineage

import (
	"cmp"
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Invocation describes a Lambda invocation. All fields are optional.
type Invocation struct {
	FunctionName string
	RequestID    string
	ARN          string    // as invoked, with its version or alias
	TraceHeader  string    // Lambda's X-Ray header
	ColdStart    bool      // it is the first in its environment
	InitKind     string    // AWS_LAMBDA_INITIALIZATION_TYPE
	Start        time.Time // zero means now
	Deadline     time.Time
	// Invoke is the context of the invoke span, which the extension writes and which
	// is the parent of the process span. It is not valid if there is none.
	Invoke trace.SpanContext
}

// StartProcess starts the span of handling d. In the context that it returns, the
// span is current and d is being handled. Events without an ID get the invocation's
// (see Delivery.Identify), also in d.Events of the caller. The parent of the span is
// the invoke span if there is one; Lambda's segment if spans are exported to X-Ray and
// X-Ray samples the invocation; the event's publisher with Config.ParentMode and a
// single event. Otherwise the span is a root. It has links in all cases.
//
// Without a TracerProvider the span records nothing and has a generated context.
func StartProcess(ctx context.Context, cfg Config, d Delivery, inv Invocation) (context.Context, trace.Span) {
	d.Identify(inv.RequestID)
	if inv.TraceHeader == "" {
		inv.TraceHeader = upstreamHeader(ctx)
	}
	h := &handling{delivery: &d, upstream: inv.TraceHeader}
	ctx = context.WithValue(ctx, deliveryKey{}, h)
	header, _ := ParseTraceHeader(inv.TraceHeader)
	parent := cfg.processParent(&d, header)
	invokeParent := ""
	if inv.Invoke.IsValid() {
		invokeParent = FormatTraceparent(parent) // for the extension, which writes the invoke span
		parent = inv.Invoke.WithRemote(true)
	}
	if !cfg.traces() {
		ctx = trace.ContextWithSpanContext(ctx, Mint(parent))
		return ctx, trace.SpanFromContext(ctx)
	}
	links, dropped := processLinks(&d)
	if cfg.XRay && len(links) == 0 && header.Context.IsValid() && !sameSpan(header.Context, parent) {
		links = append(links, trace.Link{SpanContext: header.Context, Attributes: []attribute.KeyValue{keyLink.String(LinkTrace)}})
	}
	h.links, h.dropped = len(links), dropped
	buffer := newSpanBuffer()
	defer buffer.done()
	buffer.attrs = processAttributes(buffer.attrs, &d, &inv)
	if invokeParent != "" {
		buffer.attrs = append(buffer.attrs, keyInvokeParent.String(invokeParent))
	}
	if !cfg.XRay && header.Context.HasTraceID() { // the trace is in another backend, so a link has no target
		buffer.attrs = append(buffer.attrs, keyXRayTrace.String(header.root()))
	}
	if cfg.XRay {
		buffer.attrs = AnnotateHop(buffer.attrs)
	}
	if dropped > 0 {
		buffer.attrs = append(buffer.attrs, keyLinksDropped.Int(dropped))
	}
	name, kind := processName(&d, &inv)
	options := append(make([]trace.SpanStartOption, 0, 4), kind, trace.WithAttributes(buffer.attrs...), trace.WithLinks(links...))
	if !inv.Start.IsZero() {
		options = append(options, trace.WithTimestamp(inv.Start))
	}
	under := ctx
	if parent.IsValid() || trace.SpanContextFromContext(ctx).IsValid() {
		under = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	_, span := cfg.Tracer().Start(contextWithDecision(under, cfg.processDecision(&d, header)), name, options...)
	span = ensureContext(ctx, span, trace.SpanContextFromContext(under))
	return trace.ContextWithSpan(ctx, span), span
}

// processParent returns the parent of a process span, not valid for a root.
func (c Config) processParent(d *Delivery, header TraceHeader) trace.SpanContext {
	if c.XRay && header.Sampled == '1' && header.Context.IsValid() {
		return header.Context
	}
	if c.ParentMode && len(d.Events) == 1 {
		return d.Events[0].Lineage.Publisher
	}
	return trace.SpanContext{}
}

// processDecision returns the sampling decision for a process span. With a parent it is
// the parent's; an invoke span in between makes none. A root has the decision that its
// event carried; for a batch it is sampled if any event is. If an event carried none,
// the sampler decides. If spans are exported to X-Ray, Sampled=0 of the invocation is
// followed first; otherwise it has no meaning without active tracing.
func (c Config) processDecision(d *Delivery, header TraceHeader) decision {
	if parent := c.processParent(d, header); parent.IsValid() {
		return parentDecision(parent)
	}
	all, recorded := d.Len() > 0, false
	d.Each(func(e *Event) {
		sampled, decided := e.Lineage.sampled()
		recorded = recorded || decided && sampled
		all = all && decided
	})
	if recorded {
		return decision{SamplingDecision: SamplingDecision{Decided: true, Sampled: true}}
	}
	if all || c.XRay && header.Sampled == '0' {
		return decision{SamplingDecision: SamplingDecision{Decided: true}}
	}
	return c.undecided()
}

// processName returns the span's name and kind. The name contains the event type if all
// events have the same, else the queue. Without events it is the function's name.
func processName(d *Delivery, inv *Invocation) (string, trace.SpanStartOption) {
	if d.Len() == 0 {
		return cmp.Or(inv.FunctionName, "invoke"), asServer
	}
	return spanName(operationProcess, cmp.Or(d.EventType(), d.Queue)), asConsumer
}

// asServer and asConsumer are made once, because they are the same for all spans.
var (
	asServer   = trace.WithSpanKind(trace.SpanKindServer)
	asConsumer = trace.WithSpanKind(trace.SpanKindConsumer)
)

// common returns the value that all events have, empty if they differ.
func (d *Delivery) common(of func(*Event) string) string {
	value, n := "", 0
	d.Each(func(e *Event) {
		if n++; n == 1 {
			value = of(e)
		} else if value != "" && of(e) != value {
			value = ""
		}
	})
	return value
}

// processAttributes appends the attributes of a process span.
func processAttributes(attrs []attribute.KeyValue, d *Delivery, inv *Invocation) []attribute.KeyValue {
	attrs = append(attrs, keyTrigger.String(d.trigger()), keyColdStart.Bool(inv.ColdStart))
	for _, a := range [...]attribute.KeyValue{
		keyInvocationID.String(inv.RequestID), keyInvokedARN.String(inv.ARN),
		keyResourceID.String(withoutAlias(inv.ARN)), keyAccount.String(account(inv.ARN)), keyInitKind.String(inv.InitKind),
	} {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	attrs = d.hopAttributes(attrs)
	if d.Len() == 0 {
		return attrs
	}
	if group := d.common(func(e *Event) string { return e.Group }); group != "" {
		attrs = append(attrs, keyGroup.String(group))
	}
	if run := d.common(func(e *Event) string { return e.RunID }); run != "" {
		attrs = append(attrs, keyRunID.String(run))
	}
	if system := d.system(); system != "" {
		attrs = append(attrs, keyMessagingSystem.String(system))
	}
	attrs = append(attrs, keyOperationName.String(operationProcess), keyOperationType.String(operationProcess))
	if d.Queue != "" {
		attrs = append(attrs, keyDestination.String(d.Queue))
	}
	if len(d.Events) == 1 {
		return eventAttributes(attrs, &d.Events[0], d.Shape, inv)
	}
	shared := Lineage{CorrelationID: d.correlationID()}
	d.Each(func(e *Event) { shared.Hops = max(shared.Hops, e.Lineage.Hops) })
	attrs = append(attrs, keyBatchCount.Int(d.Len()))
	return withIDs(attrs, "", d.EventType(), &shared)
}

// eventAttributes appends the attributes of a span that processes one event.
func eventAttributes(attrs []attribute.KeyValue, event *Event, shape Shape, inv *Invocation) []attribute.KeyValue {
	attrs = withIDs(attrs, event.ID, event.Type, &event.Lineage)
	if event.Source != "" {
		attrs = append(attrs, keyEventSource.String(event.Source))
	}
	if id := cmp.Or(event.EnvelopeID, event.MessageID); id != "" {
		attrs = append(attrs, keyMessageID.String(id))
	}
	if event.Sequence != "" {
		attrs = append(attrs, keySequence.String(event.Sequence))
	}
	if event.ReplayName != "" {
		attrs = append(attrs, keyReplayName.String(event.ReplayName))
	}
	if event.Time.IsZero() {
		return attrs
	}
	if shape == ShapeSchedule {
		attrs = append(attrs, keyFaasTime.String(event.Time.UTC().Format(time.RFC3339)))
	}
	start := inv.Start
	if start.IsZero() {
		start = time.Now()
	}
	from := LagFromEvent
	switch {
	case event.ingested:
		from = LagFromIngestion
	case event.EnvelopeID == "":
		from = LagFromMessage
	}
	return append(attrs, keyLag.Int64(start.Sub(event.Time).Milliseconds()), keyLagFrom.String(from))
}

// system returns messaging.system of the events' source, empty if the source is not a
// messaging system.
func (d *Delivery) system() string {
	switch d.Shape {
	case ShapeHTTP, ShapeDynamoDB, ShapeS3, ShapeDirect, ShapeDurable:
		return ""
	case ShapeKinesis:
		return "aws.kinesis"
	}
	onBus := false
	d.Each(func(e *Event) { onBus = onBus || e.EnvelopeID != "" })
	if onBus {
		return messagingSystem
	}
	switch d.Shape {
	case ShapeSQS:
		return "aws_sqs"
	case ShapeSNS:
		return "aws.sns"
	case ShapeDestination:
		return "" // Lambda calls the function itself
	}
	return messagingSystem
}

// trigger returns faas.trigger (semantic conventions, "FaaS Spans").
func (d *Delivery) trigger() string {
	switch d.Shape {
	case ShapeSchedule:
		return "timer"
	case ShapeHTTP:
		return "http"
	case ShapeDynamoDB, ShapeS3:
		return "datasource"
	case ShapeDirect, ShapeDurable, ShapeUnknown, "":
		return "other"
	case ShapeDestination:
		if d.system() == "" {
			return "other"
		}
	}
	return "pubsub"
}

// account returns the account in a function's ARN.
func account(arn string) string {
	for range 4 {
		_, arn, _ = strings.Cut(arn, ":")
	}
	id, _, _ := strings.Cut(arn, ":")
	return id
}

// withoutAlias returns a function's ARN without its version or alias.
func withoutAlias(arn string) string {
	for at, colons := 0, 0; at < len(arn); at++ {
		if arn[at] != ':' {
			continue
		}
		if colons++; colons == 7 {
			return arn[:at]
		}
	}
	return arn
}

// upstreamHeader returns the X-Ray header of the invocation that ctx belongs to.
func upstreamHeader(ctx context.Context) string {
	if h, _ := ctx.Value(deliveryKey{}).(*handling); h != nil {
		return h.upstream
	}
	header, _ := ctx.Value("x-amzn-trace-id").(string) // the key that aws-lambda-go uses
	return header
}

// MintInvoke returns a new context for Invocation.Invoke, in the trace that the process
// span of d would have without an invoke span.
func MintInvoke(cfg Config, d Delivery, traceHeader string) trace.SpanContext {
	header, _ := ParseTraceHeader(traceHeader)
	minted := Mint(cfg.processParent(&d, header))
	if w := cfg.processDecision(&d, header); w.Decided && !w.Sampled {
		return minted
	}
	// A parent-based sampler without support for decisions follows the parent's flag:
	// with 00, a provider that was not set up by Throughline would drop all spans.
	return minted.WithTraceFlags(trace.FlagsSampled)
}

// Repeat describes a repeated event. The zero value is no repeat.
type Repeat struct {
	Kind             string // retry, redelivery, republish or replay
	Count            int    // the number of deliveries before this one
	EventID          string
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string // of the span that first processed it
}

// RecordRepeat sets the attributes of r on the process span, which is current in ctx,
// and adds a link to the span that first processed the event. It adds no link to the
// span itself, which occurs if a batch contains an event twice. A link beyond MaxLinks
// is dropped and counted.
func RecordRepeat(ctx context.Context, r Repeat) {
	span := trace.SpanFromContext(ctx)
	if r.Kind == "" {
		return
	}
	span.SetAttributes(keyRepeatKind.String(r.Kind), keyRepeatCount.Int(r.Count))
	if r.FirstRequestID != "" {
		span.SetAttributes(keyRepeatRequest.String(r.FirstRequestID))
	}
	if !r.FirstAt.IsZero() {
		span.SetAttributes(keyRepeatTime.String(r.FirstAt.UTC().Format(time.RFC3339Nano)))
	}
	sc, ok := ParseTraceparent(r.FirstTraceparent)
	h, _ := ctx.Value(deliveryKey{}).(*handling)
	switch {
	case !ok || sameSpan(sc, span.SpanContext()):
	case h != nil && h.links >= MaxLinks:
		h.dropped++
		span.SetAttributes(keyLinksDropped.Int(h.dropped))
	default:
		if h != nil {
			h.links++
		}
		span.AddLink(trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{
			keyLink.String(LinkRepeat), keyEventID.String(r.EventID)}})
	}
}
