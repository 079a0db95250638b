package stamping

import (
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Telemetry is what export.Setup hands to a publisher, whole.
type Telemetry struct {
	Tracing     lineage.Config
	Metrics     *metrics.Set
	Limit, Warn int // bytes: see Stamping
}
