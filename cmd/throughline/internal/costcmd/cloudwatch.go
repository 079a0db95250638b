package costcmd

import (
	"context"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
)

// monitor has the operations of the CloudWatch client that the command calls.
type monitor interface {
	cloudwatch.ListMetricsAPIClient
	cloudwatch.GetMetricDataAPIClient
}

// fromCloudWatch returns the usage over a time before now, from the metrics of a
// namespace.
func fromCloudWatch(ctx context.Context, api monitor, namespace string, now time.Time, over time.Duration) (usage, error) {
	u := usage{source: "CloudWatch, namespace " + namespace, over: over}
	var sizes, chunks, kilobytes []types.Metric
	list, err := account.ListMetrics(ctx, api, namespace)
	if err != nil {
		return u, err
	}
	for _, m := range list {
		switch {
		case eventType(m) == "":
		case aws.ToString(m.MetricName) == sizeMetric:
			sizes = append(sizes, m)
		case aws.ToString(m.MetricName) == string(metrics.BilledChunks):
			chunks = append(chunks, m)
		case aws.ToString(m.MetricName) == string(metrics.BilledKilobytes):
			kilobytes = append(kilobytes, m)
		}
	}
	u.metrics = len(list)
	exact, exactKB := map[string]float64{}, map[string]float64{}
	if err := account.Statistics(ctx, api, kilobytes, []string{"Sum"}, now, over, func(m types.Metric, hour []float64) { exactKB[eventType(m)] += hour[0] }); err != nil {
		return u, err
	}
	if err := account.Statistics(ctx, api, chunks, []string{"Sum"}, now, over, func(m types.Metric, hour []float64) { exact[eventType(m)] += hour[0] }); err != nil {
		return u, err
	}
	byType := map[string]*typeUsage{}
	var names []string
	err = account.Statistics(ctx, api, sizes, []string{"SampleCount", "Sum"}, now, over, func(m types.Metric, hour []float64) {
		name := eventType(m)
		if byType[name] == nil {
			byType[name] = &typeUsage{eventType: name}
			names = append(names, name)
		}
		t := byType[name]
		t.events, t.bytes = t.events+hour[0], t.bytes+hour[1]
		// CloudWatch does not keep each size, so all events of an hour count as equal in size.
		t.chunks += hour[0] * float64(sizemeter.Chunks(int(math.Ceil(hour[1]/max(hour[0], 1)))))
	})
	for _, name := range names {
		t := byType[name]
		t.kilobytes, t.stamp = average(t.events, t.bytes)
		if sum := exactKB[name]; sum > 0 { // it goes to a new custom bus
			t.kilobytes = sum
		}
		if sum := exact[name]; sum > 0 {
			t.chunks = sum
		} else {
			u.estimated = true
		}
		u.types = append(u.types, *byType[name])
	}
	return u, err
}

func eventType(m types.Metric) string { return account.Dimension(m, metrics.DimensionEventType) }
