package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

// The headers that lineage travels in, and those of Alpaca's answers that are recorded.
const (
	HeaderTraceparent   = "Traceparent"
	HeaderTracestate    = "Tracestate"
	HeaderCorrelationID = "X-Correlation-Id"
	HeaderCausationID   = "X-Causation-Id"

	headerRequestID = "X-Request-Id"
	headerLimit     = "X-Ratelimit-Limit"
	headerRemaining = "X-Ratelimit-Remaining"
	headerReset     = "X-Ratelimit-Reset"
)

// SetLineageHeaders writes to header the context of the span that is current in
// ctx, and the lineage of what ctx handles: the workflow, and the event that is
// the cause. A header that is already there stays; an ID that is not 1 to 256
// printable bytes is left out.
func SetLineageHeaders(ctx context.Context, header http.Header) {
	setLineageHeaders(ctx, trace.SpanContextFromContext(ctx), header)
}

// lineageHeaders is how many headers there are.
const lineageHeaders = 4

// setLineageHeaders is SetLineageHeaders for the span sc.
func setLineageHeaders(ctx context.Context, sc trace.SpanContext, header http.Header) {
	values := make([]string, 0, lineageHeaders) // one piece of memory for all
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if sc.IsValid() && header.Get(HeaderTraceparent) == "" {
		set(HeaderTraceparent, FormatTraceparent(sc))
		if sc.TraceState().Len() > 0 {
			set(HeaderTracestate, sc.TraceState().String())
		}
	}
	correlation, causation := currentIDs(ctx)
	if validID(correlation) && header.Get(HeaderCorrelationID) == "" {
		set(HeaderCorrelationID, correlation)
	}
	if validID(causation) && header.Get(HeaderCausationID) == "" {
		set(HeaderCausationID, causation)
	}
}

// currentIDs are the IDs of what is done in ctx: those given explicitly, else
// those of the event being handled; of a batch the workflow that all are of.
func currentIDs(ctx context.Context) (correlation, causation string) {
	explicit, _ := ctx.Value(explicitKey{}).(explicitIDs)
	correlation, causation = explicit.correlation, explicit.causation
	d := DeliveryFromContext(ctx)
	if d == nil {
		return correlation, causation
	}
	if correlation == "" {
		correlation = d.common(func(e *Event) string { return e.Lineage.CorrelationID })
	}
	if causation == "" && len(d.Events) == 1 && !d.Events[0].identified {
		causation = d.Events[0].ID
	}
	return correlation, causation
}
