package lineage

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// StampMode is the place of the stamp in a published event. The zero value is
// StampResources.
type StampMode uint8

// The stamp modes. StampResources and StampOff never change the detail.
const (
	StampResources StampMode = iota // lines in the entry's Resources
	StampDetail                     // the last member of the detail
	StampBoth                       // both
	StampOff                        // neither
)

// Config configures how lineage is read, stamped and traced. The zero value is the
// defaults. It is read when a Reader, a Stamper or a handler is made; copies may be
// shared.
type Config struct {
	// TracerProvider makes the spans. In the public packages nil means
	// OpenTelemetry's global provider, otel.GetTracerProvider; to make no spans, set
	// noop.NewTracerProvider(). Without spans, contexts are generated from
	// crypto/rand with flags 00, so that events still identify their cause by span ID.
	TracerProvider trace.TracerProvider

	// Stamp is the place of the stamp.
	Stamp StampMode
	// DetailKey is the member that carries the stamp in a detail; empty means "_throughline".
	DetailKey string
	// TraceHeader sets the entry's TraceHeader even if spans are not exported to
	// X-Ray. Its Sampled is then the invocation's, or absent.
	TraceHeader bool

	// StampContentBased also stamps entries that a new custom bus deduplicates by
	// their content. With different stamps, the bus does not detect repeats.
	StampContentBased bool

	// EventID, CorrelationID and CausationID are JSON pointers (RFC 6901) into
	// the detail. The first that finds an ID is used. Nil means the usual
	// spellings: event_id, eventId, …, at the top and in metadata.
	EventID, CorrelationID, CausationID []string

	// ParentMode makes a process span the child of the span that published its
	// event, instead of a root with a link (THROUGHLINE_TRACE_MODE=parent).
	ParentMode bool
	// XRay means that spans are exported to X-Ray. Lambda's segment is then the
	// parent of process spans, and entries get a TraceHeader.
	XRay bool

	// OwnSampling makes the sampler decide about every trace, and ignores the decision
	// of an event's publisher (THROUGHLINE_SAMPLING=own).
	OwnSampling bool

	// MaxHops is the hop count above which an event is reported as a possible loop;
	// 0 means 16.
	MaxHops int

	// Sample decides whether a trace is sampled if no upstream service has decided:
	// for a workflow's first event and for an event without a stamp. If it is nil,
	// the TracerProvider decides.
	Sample func(trace.TraceID) bool
}

// DefaultDetailKey is the member that carries the stamp in a detail.
const DefaultDetailKey = "_throughline"

// DefaultMaxHops is the default of Config.MaxHops.
const DefaultMaxHops = 16

func (c Config) detailKey() string {
	if c.DetailKey == "" {
		return DefaultDetailKey
	}
	return c.DetailKey
}

// HopLimit returns MaxHops, or its default.
func (c Config) HopLimit() int {
	if c.MaxHops <= 0 {
		return DefaultMaxHops
	}
	return c.MaxHops
}

// traces reports whether the provider makes spans now. OpenTelemetry's global
// provider is Idle, and makes none, until an SDK is set.
func (c Config) traces() bool {
	if idle, ok := c.TracerProvider.(interface{ Idle() bool }); ok && idle.Idle() {
		return false
	}
	_, none := c.TracerProvider.(noop.TracerProvider)
	return c.TracerProvider != nil && !none
}

// Tracer returns the provider's tracer for this library. TracerProvider must not be
// nil.
func (c Config) Tracer() trace.Tracer { return c.TracerProvider.Tracer(Scope) }

// ownContext reports whether a provider made a new context for span, a child of parent.
func ownContext(span trace.Span, parent trace.SpanContext) bool {
	sc := span.SpanContext()
	return sc.IsValid() && !sameSpan(sc, parent)
}

// ensureContext returns span. If the provider made no new context, it returns a
// non-recording span with a generated one, because a stamp needs a context.
func ensureContext(ctx context.Context, span trace.Span, parent trace.SpanContext) trace.Span {
	if ownContext(span, parent) {
		return span
	}
	return trace.SpanFromContext(trace.ContextWithSpanContext(ctx, Mint(parent)))
}
