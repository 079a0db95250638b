package publisher

import "github.com/throughline/throughline/internal/stamping"

// WithTelemetry configures the publisher with the result of export.Setup: how
// events are stamped and traced, the metrics, and the sizes of
// THROUGHLINE_SIZE_LIMIT and THROUGHLINE_SIZE_WARN. Put it before other options.
func WithTelemetry(t interface{ Publisher() stamping.Telemetry }) Option {
	p := t.Publisher()
	return optionFunc(func(c *core) {
		c.tracing = p.Tracing
		c.stamping.Metrics, c.stamping.Limit, c.stamping.Warn = p.Metrics, p.Limit, p.Warn
	})
}
