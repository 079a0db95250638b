package hop

import (
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Telemetry is what export.Setup hands to the middleware of package hops, whole.
type Telemetry struct {
	Tracing lineage.Config
	Metrics *metrics.Set
	Off     bool // calls are not seen
	Carry   bool // messages to SQS and SNS carry their span
}
