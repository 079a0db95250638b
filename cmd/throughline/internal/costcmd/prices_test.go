package costcmd

import (
	"testing"

	"github.com/throughline/throughline/metrics"
)

// The price of a metric is in docs/metrics.md too, by the catalogue.
func TestAMetricHasOnePrice(t *testing.T) {
	p, err := readPrices(nil)
	if err != nil || p.MetricMonths[0].Each != metrics.PricePerMetric {
		t.Errorf("the first tier is %v, the catalogue has %v: %v", p.MetricMonths, metrics.PricePerMetric, err)
	}
}
