package stamping

import (
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Telemetry is the configuration that export.Setup passes to a publisher.
type Telemetry struct {
	Tracing     lineage.Config
	Metrics     *metrics.Set
	Limit, Warn int // bytes: see Stamping
}
