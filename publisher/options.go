package publisher

import (
	"maps"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Option changes what New, NewBus and Middleware make.
type Option interface{ apply(*core) }

type optionFunc func(*core)

func (f optionFunc) apply(c *core) { f(c) }

// WithTracing sets how events are stamped and traced. Without it, and where cfg
// has no TracerProvider, OpenTelemetry's global provider makes the spans; give
// noop.NewTracerProvider() for none. Stamps then have minted contexts.
func WithTracing(cfg tracing.Config) Option {
	return optionFunc(func(c *core) { c.tracing = cfg })
}

// WithMetrics records into set. Without it nothing is recorded.
func WithMetrics(set *metrics.Set) Option {
	return optionFunc(func(c *core) { c.stamping.Metrics = set })
}

// WithWarning says from which size an event counts as oversized, in bytes; the
// default is sizemeter.WarnDefault. No event types means those without a size
// of their own. It is published all the same: see WithRefusal and WithClaims.
func WithWarning(size int, eventTypes ...string) Option {
	return optionFunc(func(c *core) {
		if len(eventTypes) == 0 {
			c.stamping.Warn = size
			return
		}
		types := maps.Clone(c.stamping.WarnTypes)
		if types == nil {
			types = map[string]int{}
		}
		for _, name := range eventTypes {
			types[name] = size
		}
		c.stamping.WarnTypes = types
	})
}

// WithClock tells the time of metrics, and of the deadlines that waits between
// attempts keep. The default is time.Now.
func WithClock(now func() time.Time) Option {
	return optionFunc(func(c *core) { c.stamping.Now = now })
}
