package lineage

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// StampMode says where the stamp of a published event goes. The zero value is
// StampResources.
type StampMode uint8

// The stamp modes. A detail is never touched in StampResources and StampOff.
const (
	StampResources StampMode = iota // lines in the entry's Resources
	StampDetail                     // a member of the detail, spliced in as its last
	StampBoth                       // both
	StampOff                        // neither
)

// Config says how lineage is read, stamped and traced. Its zero value is the
// design's defaults. It is read when a Reader, a Stamper or a handler is
// made; copies may be shared.
type Config struct {
	// TracerProvider makes the spans. In the public packages nil means
	// OpenTelemetry's global provider, otel.GetTracerProvider; for no spans set
	// noop.NewTracerProvider(). Where no spans are made, contexts are minted from
	// crypto/rand with flags 00, so that causation by span ID still holds.
	TracerProvider trace.TracerProvider

	// Stamp says where the stamp goes.
	Stamp StampMode
	// DetailKey is the member that carries the stamp in a detail; empty means "_throughline".
	DetailKey string
	// TraceHeader asks for the entry's TraceHeader although spans do not go to
	// X-Ray. Its Sampled is then the invocation's, or left out.
	TraceHeader bool

	// StampContentBased stamps also entries that a new custom bus is asked to
	// deduplicate by their content: a stamp may make each of them new.
	StampContentBased bool

	// EventID, CorrelationID and CausationID are JSON pointers (RFC 6901) into
	// the detail, the first hit winning. Nil means the usual spellings:
	// event_id, eventId, …, at the top and under metadata.
	EventID, CorrelationID, CausationID []string

	// ParentMode makes a process span the child of the span that published its
	// event, instead of a root with a link (THROUGHLINE_TRACE_MODE=parent).
	ParentMode bool
	// XRay says that spans go to X-Ray: Lambda's segment is then the parent of
	// process spans, and entries get a TraceHeader.
	XRay bool

	// OwnSampling asks the sampler about every trace, whatever an event's
	// publisher decided (THROUGHLINE_SAMPLING=own).
	OwnSampling bool

	// MaxHops is the hop count above which a loop is suspected; 0 means 16.
	MaxHops int

	// Sample decides whether a trace that nothing upstream has decided is
	// recorded: a workflow's first event and one without a stamp. Nil leaves it
	// to the TracerProvider.
	Sample func(trace.TraceID) bool
}

// DefaultDetailKey is the member that carries the stamp in a detail.
const DefaultDetailKey = "_throughline"

// DefaultMaxHops is the hop count above which a loop is suspected.
const DefaultMaxHops = 16

func (c Config) detailKey() string {
	if c.DetailKey == "" {
		return DefaultDetailKey
	}
	return c.DetailKey
}

// HopLimit is MaxHops, or its default.
func (c Config) HopLimit() int {
	if c.MaxHops <= 0 {
		return DefaultMaxHops
	}
	return c.MaxHops
}

// traces reports whether spans may be made now. OpenTelemetry's global provider
// makes none until it has an SDK: then it is not Idle any more.
func (c Config) traces() bool {
	if idle, ok := c.TracerProvider.(interface{ Idle() bool }); ok && idle.Idle() {
		return false
	}
	_, none := c.TracerProvider.(noop.TracerProvider)
	return c.TracerProvider != nil && !none
}

// Tracer is the provider's tracer of this library.
func (c Config) Tracer() trace.Tracer { return c.TracerProvider.Tracer(Scope) }

// ownContext reports whether a provider made a context for span, a child of parent.
func ownContext(span trace.Span, parent trace.SpanContext) bool {
	sc := span.SpanContext()
	return sc.IsValid() && !sameSpan(sc, parent)
}

// ensureContext returns span, or a span that records nothing with a minted
// context where the provider made no span of its own: a stamp needs one.
func ensureContext(ctx context.Context, span trace.Span, parent trace.SpanContext) trace.Span {
	if ownContext(span, parent) {
		return span
	}
	return trace.SpanFromContext(trace.ContextWithSpanContext(ctx, Mint(parent)))
}
