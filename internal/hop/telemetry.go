package hop

import (
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Telemetry is the configuration that export.Setup passes to the middleware of package
// hops.
type Telemetry struct {
	Tracing lineage.Config
	Metrics *metrics.Set
	Off     bool // calls are not traced
	Carry   bool // messages to SQS and SNS carry their span
}
