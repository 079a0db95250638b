package tracing

import "go.opentelemetry.io/otel/trace"

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
// design's defaults. It is read when a Reader, Stamper or Transport is made;
// copies may be shared.
type Config struct {
	// TracerProvider makes the spans. Nil makes none: contexts are then minted
	// from crypto/rand with flags 00, so causation by span ID still holds.
	TracerProvider trace.TracerProvider

	// Stamp says where the stamp goes.
	Stamp StampMode
	// DetailKey is the member that carries the stamp in a detail; empty means "_throughline".
	DetailKey string
	// TraceHeader asks for the entry's TraceHeader although spans do not go to
	// X-Ray. Its Sampled is then the invocation's, or left out.
	TraceHeader bool

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

	// HTTPHosts are the hosts that get lineage headers: a name, or *.name for
	// every name under it. Nil means *.alpaca.markets; an empty list none.
	HTTPHosts []string

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

func (c Config) tracer() trace.Tracer {
	return c.TracerProvider.Tracer(instrumentationName)
}
