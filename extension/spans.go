package extension

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

const scope = "github.com/throughline/throughline/extension"

// writeInvoke writes the span of an invocation once its process span was seen
// and its end is known. The wrapper minted its ID: it is the process span's
// parent. One whose process span is not recorded is not either.
func (b *books) writeInvoke(i *invocation) {
	if i.written || !i.found || !i.done || !i.process.Sampled || !i.process.ParentID.IsValid() {
		return
	}
	i.written = true
	span := otlp.Span{
		Context: trace.NewSpanContext(trace.SpanContextConfig{TraceID: i.process.TraceID, SpanID: i.process.ParentID, TraceFlags: trace.FlagsSampled}),
		Name:    b.name, Kind: trace.SpanKindServer, Start: earlier(i.start, i.process.Start), End: later(i.end, i.process.End),
		Attributes: []attribute.KeyValue{
			attribute.String("faas.invocation_id", i.requestID), attribute.Bool("faas.coldstart", i.cold),
		},
	}
	if parent, ok := tracing.ParseTraceparent(i.process.Texts[1]); ok {
		span.Parent = parent
	}
	if i.arn != "" {
		span.Attributes = append(span.Attributes, attribute.String("aws.lambda.invoked_arn", i.arn))
	}
	if i.status != "" && !strings.EqualFold(i.status, "success") {
		span.Status, span.StatusMessage = codes.Error, i.status
		span.Attributes = append(span.Attributes, attribute.String("error.type", either(i.errorType, i.status)))
	}
	if init, ok := b.initSpan(); ok && i.cold {
		span.Links = []trace.Link{{SpanContext: init.Context, Attributes: []attribute.KeyValue{attribute.String(tracing.AttrLink, tracing.LinkTrace)}}}
		b.export(otlp.Encode(b.resource(), init))
	}
	b.export(otlp.Encode(b.resource(), span))
}

// initSpan is the span of the init phase, in a trace of its own; ok is false
// where telemetry has not told of one, or it is written already.
func (b *books) initSpan() (otlp.Span, bool) {
	if b.init.written || b.init.start.IsZero() || b.init.end.IsZero() {
		return otlp.Span{}, false
	}
	b.init.written = true
	return otlp.Span{
		Context: tracing.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled),
		Name:    "init " + b.name, Kind: trace.SpanKindInternal, Start: b.init.start, End: b.init.end,
		Attributes: []attribute.KeyValue{attribute.String(tracing.AttrInitKind, either(b.init.kind, "on-demand"))},
	}, true
}

// described is the resource, for whoever does not hold the books' lock.
func (b *books) described() otlp.Resource {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.resource()
}

// resource describes the function. The variables that would give its instance
// and log group are hidden from extensions.
func (b *books) resource() otlp.Resource {
	attributes := []attribute.KeyValue{
		attribute.String("service.name", either(b.config.Metrics.Service, b.name)), attribute.String("faas.name", b.name),
		attribute.String("cloud.provider", "aws"), attribute.String("cloud.platform", "aws_lambda"),
	}
	if b.config.Region != "" {
		attributes = append(attributes, attribute.String("cloud.region", b.config.Region))
	}
	if b.config.MemoryMB > 0 {
		attributes = append(attributes, attribute.Int64("faas.max_memory", int64(b.config.MemoryMB)<<20))
	}
	return otlp.Resource{Attributes: attributes, Scope: scope}
}

// The invoke span holds the process span, though two clocks dated them.
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

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
