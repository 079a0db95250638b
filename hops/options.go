package hops

import (
	"github.com/throughline/throughline/internal/hop"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Option changes what Middleware makes.
type Option interface{ apply(*seen) }

type optionFunc func(*seen)

func (f optionFunc) apply(m *seen) { f(m) }

// WithTelemetry makes the middleware follow what export.Setup found: the spans,
// the metrics, and what THROUGHLINE_HOPS says. It comes before other options.
func WithTelemetry(t interface{ Hops() hop.Telemetry }) Option {
	of := t.Hops()
	return optionFunc(func(m *seen) { m.Telemetry = of })
}

// WithTracing sets who makes the spans, and whether they go to X-Ray. Without
// it, and where cfg has no TracerProvider, OpenTelemetry's global provider does.
func WithTracing(cfg tracing.Config) Option { return optionFunc(func(m *seen) { m.Tracing = cfg }) }

// WithMetrics records into set. Without it nothing is recorded.
func WithMetrics(set *metrics.Set) Option { return optionFunc(func(m *seen) { m.Metrics = set }) }

// WithCarrying has messages to SQS and SNS carry their span in the header
// X-Amzn-Trace-Id, as THROUGHLINE_HOPS=carry does. A header that another tracer
// wrote is left alone, and so is one with Sampled=1 unless spans go to X-Ray. The
// call's context is to be that of the invocation, or made from it: else its header
// is not known.
func WithCarrying() Option { return optionFunc(func(m *seen) { m.Carry = true }) }
