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

// HeaderCount is the maximum number of headers that SetHeaders sets.
const HeaderCount = 4

// SetHeaders writes to header the span context sc, if it is valid, and the lineage
// of the events that are handled in ctx: the correlation ID of the workflow and the
// ID of the event that is the cause. It does not change a header that is present.
// It leaves out an ID that is not 1 to 256 printable bytes.
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

// currentIDs returns the IDs of the work in ctx: those given explicitly, else those
// of the event being handled. For a batch, correlation is that of all events.
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
