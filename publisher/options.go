package publisher

import (
	"maps"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Option configures New, NewBus, Middleware and Decorate.
type Option interface{ apply(*core) }

type optionFunc func(*core)

func (f optionFunc) apply(c *core) { f(c) }

// WithTracing sets how events are stamped and traced. Without it, or if cfg has
// no TracerProvider, OpenTelemetry's global provider makes the spans. For no
// spans set noop.NewTracerProvider(); stamps then have random trace contexts.
func WithTracing(cfg tracing.Config) Option {
	return optionFunc(func(c *core) { c.tracing = cfg })
}

// WithMetrics records into set. Without it nothing is recorded.
func WithMetrics(set *metrics.Set) Option {
	return optionFunc(func(c *core) { c.stamping.Metrics = set })
}

// WithWarning sets the size in bytes above which an event counts as oversized;
// the default is sizemeter.WarnDefault. Without eventTypes it applies to all
// types that have no size of their own. An oversized event is still published:
// see WithRefusal and WithClaims.
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

// WithClock sets the clock for metrics and for the deadlines of waits between
// attempts. The default is time.Now.
func WithClock(now func() time.Time) Option {
	return optionFunc(func(c *core) { c.stamping.Now = now })
}
