// Package otelglobal is OpenTelemetry's global TracerProvider, for callers that
// skip the work for spans if no provider is set.
package otelglobal

import (
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// TracerProvider returns OpenTelemetry's global provider. If no SDK is set, the
// provider has a method Idle, which reports whether that is still so. Its tracers make
// spans as soon as an SDK is set.
func TracerProvider() trace.TracerProvider {
	p := otel.GetTracerProvider()
	if reflect.TypeOf(p).String() == "*global.tracerProvider" { // the API's default provider, which delegates to an SDK later
		return waiting{p}
	}
	return p
}

type waiting struct{ trace.TracerProvider }

// Idle reports whether no SDK has been set since.
func (w waiting) Idle() bool { return otel.GetTracerProvider() == w.TracerProvider }
