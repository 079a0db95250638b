package handler

import (
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// MeasureCalls records the durations, errors and rate limits of outbound HTTP
// calls into set, for each host. It is an option of tracing.NewTransport and
// tracing.Client; tracing.WithTelemetry includes it.
func MeasureCalls(set *metrics.Set) tracing.Option { return handling.MeasureCalls(set) }
