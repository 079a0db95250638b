package invocations

import (
	"cmp"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/tracing/otlp"
)

const scope = "github.com/throughline/throughline/extension"

// writeSpan writes the span of an invocation whose process span was seen. The handler
// wrapper generated its ID: the span is the parent of the process span. If the process
// span is not sampled, the span of the invocation is not written.
func (t *Tracker) writeSpan(i *invocation) {
	if !i.process.Sampled || !i.process.ParentID.IsValid() {
		return
	}
	start, end := i.times()
	span := otlp.Span{
		Context: trace.NewSpanContext(trace.SpanContextConfig{TraceID: i.process.TraceID, SpanID: i.process.ParentID, TraceFlags: trace.FlagsSampled}),
		Name:    t.name, Kind: trace.SpanKindServer, Start: earlier(start, i.process.Start), End: later(end, i.process.End),
		Attributes: []attribute.KeyValue{
			attribute.String("faas.invocation_id", i.requestID), attribute.Bool("faas.coldstart", i.cold),
		},
	}
	if parent, ok := lineage.ParseTraceparent(i.process.Texts[1]); ok {
		span.Parent = parent
	}
	if i.arn != "" {
		span.Attributes = append(span.Attributes, attribute.String("aws.lambda.invoked_arn", i.arn))
	}
	if i.status != "" && !strings.EqualFold(i.status, "success") {
		span.Status, span.StatusMessage = codes.Error, i.status
		span.Attributes = append(span.Attributes, attribute.String("error.type", cmp.Or(i.errorType, i.status)))
	}
	if init, ok := t.initSpan(); ok && i.cold {
		span.Links = []trace.Link{{SpanContext: init.Context, Attributes: []attribute.KeyValue{attribute.String(lineage.AttrLink, lineage.LinkTrace)}}}
		t.config.Export(otlp.Encode(t.resource(), init))
	}
	t.config.Export(otlp.Encode(t.resource(), span))
}

// initSpan returns the span of the init phase, in a trace of its own. ok is false
// if telemetry has not reported the init phase, or its span is already written.
func (t *Tracker) initSpan() (otlp.Span, bool) {
	if t.init.traced || t.init.start.IsZero() || t.init.end.IsZero() {
		return otlp.Span{}, false
	}
	t.init.traced = true
	return otlp.Span{
		Context: lineage.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled),
		Name:    "init " + t.name, Kind: trace.SpanKindInternal, Start: t.init.start, End: t.init.end,
		Attributes: []attribute.KeyValue{attribute.String(lineage.AttrInitKind, cmp.Or(t.init.kind, "on-demand"))},
	}, true
}

// Resource returns the OpenTelemetry resource of the function.
func (t *Tracker) Resource() otlp.Resource {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.resource()
}

// resource returns the resource without the function's instance and log group:
// Lambda does not pass their environment variables to extensions. The caller holds
// the mutex.
func (t *Tracker) resource() otlp.Resource {
	attributes := []attribute.KeyValue{
		attribute.String("service.name", cmp.Or(t.config.Service, t.name)), attribute.String("faas.name", t.name),
		attribute.String("cloud.provider", "aws"), attribute.String("cloud.platform", "aws_lambda"),
	}
	if t.config.Region != "" {
		attributes = append(attributes, attribute.String("cloud.region", t.config.Region))
	}
	if t.config.MemoryMB > 0 {
		attributes = append(attributes, attribute.Int64("faas.max_memory", int64(t.config.MemoryMB)<<20))
	}
	return otlp.Resource{Attributes: attributes, Scope: scope}
}

// times returns the start and the end of an invocation: as telemetry reported them,
// or else as the extension saw them.
func (i *invocation) times() (start, end time.Time) {
	start, end = i.start, i.end
	if end.IsZero() {
		end = i.seen
	}
	switch {
	case !start.IsZero():
	case i.took > 0:
		start = end.Add(-i.took)
	default:
		start = i.begun
	}
	return start, end
}

// earlier and later extend the invocation's span so that it encloses the process
// span: the times of the two spans are from different clocks.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Unseen returns the invocations that were in flight when the environment ended and
// for which no process span exists: the runtime exited or timed out before it
// fetched the event, or before the library exported the span. Call it after Settle,
// with the same reason.
func (t *Tracker) Unseen(reason string) (unseen []Unseen) {
	if !endsByFault(reason) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.order {
		i := t.known[id]
		if i.process != nil || i != t.current && !i.deadline.IsZero() || !i.cutOff() {
			continue
		}
		start, end := i.times()
		unseen = append(unseen, Unseen{id, i.arn, start, end})
	}
	return unseen
}

// Unseen is an invocation that only Lambda reported.
type Unseen struct {
	RequestID, ARN string
	Start, End     time.Time
}

// cutOff reports whether the platform ended the invocation, and not the handler's answer.
func (i *invocation) cutOff() bool {
	platform := strings.HasPrefix(i.errorType, "Runtime.") || strings.HasPrefix(i.errorType, "Sandbox.") || strings.HasPrefix(i.errorType, "Extension.")
	return i.state >= counted && (platform || endsByFault(i.status))
}
