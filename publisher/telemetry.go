package publisher

import "github.com/throughline/throughline/internal/stamping"

// WithTelemetry makes the publisher follow what export.Setup found: how events
// are stamped and traced, where they are measured, and the sizes of
// THROUGHLINE_SIZE_LIMIT and THROUGHLINE_SIZE_WARN. It comes before other options.
func WithTelemetry(t interface{ Publisher() stamping.Telemetry }) Option {
	p := t.Publisher()
	return optionFunc(func(c *core) {
		c.tracing = p.Tracing
		c.stamping.Metrics, c.stamping.Limit, c.stamping.Warn = p.Metrics, p.Limit, p.Warn
	})
}
