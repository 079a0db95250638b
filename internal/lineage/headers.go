package lineage

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

// The headers that carry lineage. Traceparent and Tracestate follow W3C Trace Context.
const (
	HeaderTraceparent   = "Traceparent"
	HeaderTracestate    = "Tracestate"
	HeaderCorrelationID = "X-Correlation-Id"
	HeaderCausationID   = "X-Causation-Id"
)

// HeaderCount is how many headers SetHeaders sets at most.
const HeaderCount = 4

// SetHeaders writes to header the span context sc, where it is valid, and the
// lineage of what is handled in ctx: the correlation ID of the workflow and the
// ID of the event that is the cause. A header that is present stays as it is.
// An ID that is not 1 to 256 printable bytes is left out.
func SetHeaders(ctx context.Context, sc trace.SpanContext, header http.Header) {
	values := make([]string, 0, HeaderCount) // one allocation for all values
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
	if ValidID(correlation) && header.Get(HeaderCorrelationID) == "" {
		set(HeaderCorrelationID, correlation)
	}
	if ValidID(causation) && header.Get(HeaderCausationID) == "" {
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
		correlation = d.correlationID()
	}
	if causation == "" && len(d.Events) == 1 && !d.Events[0].identified {
		causation = d.Events[0].ID
	}
	return correlation, causation
}
