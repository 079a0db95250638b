package lineage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Invocation is what is known of a Lambda invocation. Every field is optional.
type Invocation struct {
	FunctionName string
	RequestID    string
	ARN          string    // as invoked, alias and all
	TraceHeader  string    // Lambda's X-Ray header
	ColdStart    bool      // it is this environment's first
	InitKind     string    // AWS_LAMBDA_INITIALIZATION_TYPE
	Start        time.Time // zero means now
	Deadline     time.Time
	// Invoke is the context of the invoke span, which the extension writes; the
	// process span is its child. Not valid means that there is none.
	Invoke trace.SpanContext
}

// StartProcess starts the span of handling d. The context it returns has the
// span current and d being handled. Events without an ID get the invocation's
// (see Delivery.Identify), in d's own Events. The span is a root with links;
// the child of the invoke span where there is one; of Lambda's segment when
// spans go to X-Ray and the invocation is sampled there; of the event's
// publisher with Config.ParentMode and a single event.
//
// Without a TracerProvider the span records nothing and has a minted context.
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
		invokeParent = FormatTraceparent(parent) // the extension writes the invoke span: tell it whose child that is
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
	if !cfg.XRay && header.Context.HasTraceID() { // a link would lead nowhere
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

// processParent is the parent that a process span has, not valid for a root.
func (c Config) processParent(d *Delivery, header TraceHeader) trace.SpanContext {
	if c.XRay && header.Sampled == '1' && header.Context.IsValid() {
		return header.Context
	}
	if c.ParentMode && len(d.Events) == 1 {
		return d.Events[0].Lineage.Publisher
	}
	return trace.SpanContext{}
}

// processDecision is the decision about a process span. Under a parent it is the
// parent's; an invoke span in between has made none. A root takes the flag that
// its event carried; of a batch it is recorded when any is. Only where nothing
// was carried the sampler is asked, and a Sampled=0 of the invocation heard,
// which in a function without active tracing says nothing, when spans go to X-Ray.
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

// processName names the span after what is processed: the event type when all
// agree, else the queue; an invocation that is no event after the function.
func processName(d *Delivery, inv *Invocation) (string, trace.SpanStartOption) {
	if d.Len() == 0 {
		return cmp.Or(inv.FunctionName, "invoke"), asServer
	}
	return spanName(operationProcess, cmp.Or(d.EventType(), d.Queue)), asConsumer
}

// asServer and asConsumer are made once: they are the same for every span.
var (
	asServer   = trace.WithSpanKind(trace.SpanKindServer)
	asConsumer = trace.WithSpanKind(trace.SpanKindConsumer)
)

// common is what all events have in common, empty when they differ.
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

// processAttributes appends those of a process span.
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

// eventAttributes are those of a span that processes one event.
func eventAttributes(attrs []attribute.KeyValue, event *Event, shape Shape, inv *Invocation) []attribute.KeyValue {
	attrs = withIDs(attrs, event.ID, event.Type, &event.Lineage)
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

// system is messaging.system of where the events came from, empty where that is
// no messaging system.
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

// trigger is faas.trigger (semantic conventions, "FaaS Spans").
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

// account is the account in a function's ARN.
func account(arn string) string {
	for range 4 {
		_, arn, _ = strings.Cut(arn, ":")
	}
	id, _, _ := strings.Cut(arn, ":")
	return id
}

// withoutAlias is a function's ARN without the version or alias it was invoked by.
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

// upstreamHeader is the X-Ray header of the invocation that ctx belongs to.
func upstreamHeader(ctx context.Context) string {
	if h, _ := ctx.Value(deliveryKey{}).(*handling); h != nil {
		return h.upstream
	}
	header, _ := ctx.Value("x-amzn-trace-id").(string) // where aws-lambda-go puts it
	return header
}

// MintInvoke returns a context for Invocation.Invoke: in the trace in which the
// process span of d would otherwise be.
func MintInvoke(cfg Config, d Delivery, traceHeader string) trace.SpanContext {
	header, _ := ParseTraceHeader(traceHeader)
	minted := Mint(cfg.processParent(&d, header))
	if w := cfg.processDecision(&d, header); w.Decided && !w.Sampled {
		return minted
	}
	// A sampler that knows nothing of decisions follows its parent's flag: one of 00
	// would lose every span of a provider that was set up elsewhere.
	return minted.WithTraceFlags(trace.FlagsSampled)
}

// FinishProcess ends the span of StartProcess, in error when err is not nil.
// The query of a URL that err quotes is left out.
func FinishProcess(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		kind, message := ErrorType(err), withoutQueries(err)
		span.AddEvent("exception", trace.WithAttributes(keyExceptionType.String(kind), keyExceptionMessage.String(message)))
		Fail(span, kind, message)
	}
	span.End()
}

// withoutQueries is the text of err, in which net/http quotes whole URLs.
func withoutQueries(err error) string {
	message := fmt.Sprint(err) // which survives an Error method that panics
	for next := err; next != nil; next = errors.Unwrap(next) {
		if quoted, ok := next.(*url.Error); ok { //nolint:errorlint // each link of the chain is looked at
			bare, _, _ := strings.Cut(quoted.URL, "?")
			message = strings.ReplaceAll(message, strconv.Quote(quoted.URL), strconv.Quote(bare))
		}
	}
	return strings.ToValidUTF8(message, "\uFFFD") // else a backend refuses the request
}

// Repeat is what is known of an event that came again. Its zero value is no repeat.
type Repeat struct {
	Kind             string // retry, redelivery, republish or replay
	Count            int    // of deliveries before this one
	EventID          string
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string // of the span that first processed it
}

// RecordRepeat writes r on the process span, which is current in ctx, with a link
// to the span that first processed the event, unless that is the same: a batch may
// hold an event twice. A link for which there is no room beside those of
// StartProcess is counted.
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

// ErrorType is error.type of err: the code that an AWS error carries, else the
// type at the end of the chain of errors that only wrap.
func ErrorType(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) && coded.ErrorCode() != "" {
		return coded.ErrorCode()
	}
	for {
		switch fmt.Sprintf("%T", err) {
		case "*fmt.wrapError", "*url.Error", "*net.OpError", "*os.SyscallError":
			if inner := errors.Unwrap(err); inner != nil {
				err = inner
				continue
			}
		}
		return fmt.Sprintf("%T", err)
	}
}
