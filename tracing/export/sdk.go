package export

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// Sampler returns a sampler that heeds what tracing decided about a span, so
// that a workflow is recorded whole or not at all, and asks base about the
// rest: a workflow's first event, and spans of others. Safe for concurrent use
// if base is.
func Sampler(base sdktrace.Sampler) sdktrace.Sampler { return sampler{base} }

type sampler struct{ base sdktrace.Sampler }

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	wish := tracing.SamplingWishFromContext(p.ParentContext, p.TraceID)
	state := trace.SpanContextFromContext(p.ParentContext).TraceState()
	switch {
	case wish.Decided && wish.Sampled:
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: state}
	case wish.Decided:
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: state}
	case wish.Root:
		p.ParentContext = trace.ContextWithSpanContext(p.ParentContext, trace.SpanContext{})
	}
	return s.base.ShouldSample(p)
}

func (s sampler) Description() string { return "Throughline{" + s.base.Description() + "}" }

// samplerFrom reads OTEL_TRACES_SAMPLER and its argument.
func samplerFrom(getenv func(string) string) (sdktrace.Sampler, string) {
	name, argument := getenv("OTEL_TRACES_SAMPLER"), getenv("OTEL_TRACES_SAMPLER_ARG")
	ratio, warning := 1.0, ""
	if argument != "" {
		r, err := strconv.ParseFloat(argument, 64)
		if err == nil && r >= 0 && r <= 1 {
			ratio = r
		} else {
			warning = fmt.Sprintf("OTEL_TRACES_SAMPLER_ARG=%q: it takes a number from 0 to 1; 1 is used", argument)
		}
	}
	switch name {
	case "always_on":
		return sdktrace.AlwaysSample(), ""
	case "always_off":
		return sdktrace.NeverSample(), ""
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), warning
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), ""
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), warning
	case "", "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), ""
	default:
		return sdktrace.ParentBased(sdktrace.AlwaysSample()),
			fmt.Sprintf("OTEL_TRACES_SAMPLER=%q is not known; parentbased_always_on is used", name)
	}
}

// ids makes IDs from the system's source: a SnapStart snapshot must not repeat them.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	for !id.IsValid() {
		_, _ = rand.Read(id[:]) // never fails: the program ends first
	}
	return id, ids{}.NewSpanID(ctx, id)
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	for !id.IsValid() {
		_, _ = rand.Read(id[:])
	}
	return id
}

const maxLinks = 1000 // the SDK keeps 128 and drops the rest without a word

func limits(getenv func(string) string) sdktrace.SpanLimits {
	l := sdktrace.NewSpanLimits()
	l.LinkCountLimit = maxLinks
	if n, err := strconv.Atoi(getenv("OTEL_SPAN_LINK_COUNT_LIMIT")); err == nil {
		l.LinkCountLimit = n
	}
	return l
}

// describe is the resource of the function's spans (semantic conventions,
// "FaaS" and "AWS Lambda").
func describe(s settings.Settings, getenv func(string) string) *resource.Resource {
	attributes := []attribute.KeyValue{
		semconv.TelemetrySDKName("opentelemetry"), semconv.TelemetrySDKLanguageGo, semconv.ProcessRuntimeVersion(runtime.Version()),
	}
	add := func(key attribute.Key, value string) {
		if value != "" {
			attributes = append(attributes, key.String(value))
		}
	}
	name := getenv("AWS_LAMBDA_FUNCTION_NAME")
	if name != "" {
		attributes = append(attributes, semconv.CloudProviderAWS, semconv.CloudPlatformAWSLambda)
	}
	add(semconv.FaaSNameKey, name)
	add(semconv.FaaSVersionKey, getenv("AWS_LAMBDA_FUNCTION_VERSION"))
	add(semconv.FaaSInstanceKey, getenv("AWS_LAMBDA_LOG_STREAM_NAME"))
	add(semconv.CloudRegionKey, getenv("AWS_REGION"))
	if group := getenv("AWS_LAMBDA_LOG_GROUP_NAME"); group != "" {
		attributes = append(attributes, semconv.AWSLogGroupNames(group))
	}
	if mb, err := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")); err == nil {
		attributes = append(attributes, semconv.FaaSMaxMemory(mb<<20))
	}
	for key, value := range settings.Pairs(getenv("OTEL_RESOURCE_ATTRIBUTES")) {
		add(attribute.Key(key), value)
	}
	service := s.Service
	if v := getenv("OTEL_SERVICE_NAME"); v != "" {
		service = v
	}
	add(semconv.ServiceNameKey, service)
	return resource.NewWithAttributes(semconv.SchemaURL, attributes...)
}

// sink takes the spans that have ended.
type sink interface {
	send(r otlp.Resource, span otlp.Span)
	Flush(ctx context.Context) error
	Losses() otlp.Losses
}

// queued keeps spans as bytes until Flush.
type queued struct{ *otlp.Exporter }

func (q queued) send(r otlp.Resource, span otlp.Span) {
	if span.Context.IsSampled() {
		q.Add(otlp.Encode(r, span), false)
	}
}

// processor gives each span to the sink as it ends.
type processor struct{ sink sink }

func (p *processor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	span := otlp.Span{
		Context: s.SpanContext(), Parent: s.Parent(), Name: s.Name(), Kind: s.SpanKind(), Start: s.StartTime(), End: s.EndTime(),
		Attributes: s.Attributes(), DroppedLinks: s.DroppedLinks(), Status: s.Status().Code, StatusMessage: s.Status().Description,
	}
	for _, e := range s.Events() {
		span.Events = append(span.Events, otlp.Event{Time: e.Time, Name: e.Name, Attributes: e.Attributes})
	}
	for _, l := range s.Links() {
		span.Links = append(span.Links, trace.Link{SpanContext: l.SpanContext, Attributes: l.Attributes})
	}
	p.sink.send(otlp.Resource{Attributes: s.Resource().Attributes(), Scope: s.InstrumentationScope().Name}, span)
}

func (p *processor) Shutdown(context.Context) error       { return nil }
func (p *processor) ForceFlush(ctx context.Context) error { return p.sink.Flush(ctx) }
