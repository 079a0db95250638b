package export

import (
	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/otel/propagation"
)

// Propagator returns a propagator that reads and writes W3C Trace Context and
// X-Ray's tracing header, for who sets OpenTelemetry's global one:
//
//	otel.SetTextMapPropagator(export.Propagator())
//
// Where a request has both headers X-Ray's counts. Throughline itself needs no
// global propagator.
func Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, xray.Propagator{})
}
