// Package otelglobal is OpenTelemetry's global TracerProvider, for callers that
// skip the work for spans if no provider is set.
package otelglobal

import (
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// TracerProvider returns OpenTelemetry's global provider. One that has no SDK
// yet has a method Idle, which reports whether it still has none. Its tracers
// make spans once it has.
func TracerProvider() trace.TracerProvider {
	p := otel.GetTracerProvider()
	if reflect.TypeOf(p).String() == "*global.tracerProvider" { // the API's own, which waits for an SDK
		return waiting{p}
	}
	return p
}

type waiting struct{ trace.TracerProvider }

// Idle reports whether no SDK was set since.
func (w waiting) Idle() bool { return otel.GetTracerProvider() == w.TracerProvider }
