package handling

import (
	"strconv"

	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/metrics"
)

// RecordCall records one attempt at an outbound HTTP call.
func RecordCall(set *metrics.Set, c outbound.Call, correlationID string) {
	at := c.Start.Add(c.Duration)
	record := func(name metrics.Name, value float64, kind string) {
		set.Record(metrics.Observation{At: at, Name: name, Value: value, Host: c.Host, Kind: kind, CorrelationID: correlationID})
	}
	record(metrics.RequestDuration, Millis(c.Duration), "")
	switch {
	case c.Status >= 400:
		record(metrics.RequestErrors, 1, strconv.Itoa(c.Status))
	case c.Status == 0:
		record(metrics.RequestErrors, 1, "no_answer")
	}
	if c.RateLimited {
		record(metrics.RateLimited, 1, "")
	}
	if c.Remaining >= 0 {
		record(metrics.RateLimitRemaining, float64(c.Remaining), "")
	}
}
