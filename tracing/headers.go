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
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() && header.Get(HeaderTraceparent) == "" {
		header[HeaderTraceparent] = []string{FormatTraceparent(sc)}
		if state := sc.TraceState().String(); state != "" {
			header[HeaderTracestate] = []string{state}
		}
	}
	correlation, causation := currentIDs(ctx)
	if validID(correlation) && header.Get(HeaderCorrelationID) == "" {
		header[HeaderCorrelationID] = []string{correlation}
	}
	if validID(causation) && header.Get(HeaderCausationID) == "" {
		header[HeaderCausationID] = []string{causation}
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
