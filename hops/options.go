package hops

import (
	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Option configures Middleware.
type Option interface{ apply(*seen) }

type optionFunc func(*seen)

func (f optionFunc) apply(m *seen) { f(m) }

// WithTelemetry configures the middleware with the result of export.Setup: the
// TracerProvider, the metrics, and THROUGHLINE_HOPS. Put it before other
// options.
func WithTelemetry(t interface{ Hops() hop.Telemetry }) Option {
	of := t.Hops()
	return optionFunc(func(m *seen) { m.Telemetry = of })
}

// WithTracing sets the TracerProvider, and whether spans go to X-Ray. Without
// it, or if cfg has no TracerProvider, OpenTelemetry's global provider makes the
// spans.
func WithTracing(cfg tracing.Config) Option { return optionFunc(func(m *seen) { m.Tracing = cfg }) }

// WithMetrics records into set. Without it nothing is recorded.
func WithMetrics(set *metrics.Set) Option { return optionFunc(func(m *seen) { m.Metrics = set }) }

// WithCarrying writes the span of messages to SQS and SNS into the header
// X-Amzn-Trace-Id, as THROUGHLINE_HOPS=carry does. A header that another tracer
// wrote does not change, nor does one with Sampled=1 unless spans go to X-Ray. The
// context of the call must be that of the invocation, or derived from it:
// otherwise its header is not known.
func WithCarrying() Option { return optionFunc(func(m *seen) { m.Carry = true }) }
