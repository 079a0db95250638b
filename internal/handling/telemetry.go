package handling

import (
	"context"
	"io"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/metrics"
)

// Telemetry is the configuration that export.Setup passes to a handler.
type Telemetry struct {
	Tracing   lineage.Config
	Metrics   *metrics.Set
	Out       io.Writer       // gets the metric lines
	Dedupe    *dedupe.Checker // nil detects no repeats
	Flush     func(context.Context) error
	Extension bool   // the extension is attached
	InitKind  string // AWS_LAMBDA_INITIALIZATION_TYPE
}

// MeasureCalls records outbound HTTP calls into set, with the correlation ID of
// the event being handled.
func MeasureCalls(set *metrics.Set) outbound.Option {
	return outbound.WithObserver(func(ctx context.Context, c outbound.Call) {
		correlation := ""
		if d := lineage.DeliveryFromContext(ctx); d != nil && len(d.Events) == 1 {
			correlation = d.Events[0].Lineage.CorrelationID
		}
		RecordCall(set, c, correlation)
	})
}
