package handler

import (
	"context"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// MeasureCalls records outbound HTTP calls into set: durations, errors and rate
// limits per host. It is an option of tracing.NewTransport and tracing.Client.
func MeasureCalls(set *metrics.Set) tracing.TransportOption {
	return tracing.WithObserver(func(ctx context.Context, c tracing.Call) {
		correlation := ""
		if d := tracing.DeliveryFromContext(ctx); d != nil && len(d.Events) == 1 {
			correlation = d.Events[0].Lineage.CorrelationID
		}
		handling.RecordCall(set, c, correlation)
	})
}
