package export

import (
	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/otel/propagation"
)

// Propagator returns a propagator that reads and writes W3C Trace Context and
// X-Ray's tracing header. Use it as OpenTelemetry's global propagator:
//
//	otel.SetTextMapPropagator(export.Propagator())
//
// If a request has both headers, X-Ray's header has precedence. Throughline
// itself needs no global propagator.
func Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, xray.Propagator{})
}
