package costcmd

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
)

// monitor is the part of the CloudWatch client that is used.
type monitor interface {
	cloudwatch.ListMetricsAPIClient
	cloudwatch.GetMetricDataAPIClient
}

// fromCloudWatch is the usage that the metrics of a namespace tell, of the time
// over before now.
func fromCloudWatch(ctx context.Context, api monitor, namespace string, now time.Time, over time.Duration) (usage, error) {
	u := usage{source: "CloudWatch, namespace " + namespace, over: over}
	var sizes, chunks []types.Metric
	known := map[string]bool{}
	pages := cloudwatch.NewListMetricsPaginator(api, &cloudwatch.ListMetricsInput{Namespace: &namespace})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return u, fmt.Errorf("list metrics: %w", err)
		}
		for _, m := range page.Metrics {
			name := identity(m)
			if known[name] { // stand-ins name a metric once a datum
				continue
			}
			known[name] = true
			switch {
			case eventType(m) == "":
			case aws.ToString(m.MetricName) == sizeMetric:
				sizes = append(sizes, m)
			case aws.ToString(m.MetricName) == string(metrics.BilledChunks):
				chunks = append(chunks, m)
			}
		}
	}
	u.metrics = len(known)
	exact := map[string]float64{}
	if err := statistics(ctx, api, chunks, []string{"Sum"}, now, over, func(m types.Metric, hour []float64) { exact[eventType(m)] += hour[0] }); err != nil {
		return u, err
	}
	byType := map[string]*typeUsage{}
	var names []string
	err := statistics(ctx, api, sizes, []string{"SampleCount", "Sum"}, now, over, func(m types.Metric, hour []float64) {
		name := eventType(m)
		if byType[name] == nil {
			byType[name] = &typeUsage{eventType: name}
			names = append(names, name)
		}
		t := byType[name]
		t.events, t.bytes = t.events+hour[0], t.bytes+hour[1]
		// The sizes themselves are not kept: an hour's events are taken to be alike.
		t.chunks += hour[0] * float64(sizemeter.Chunks(int(math.Ceil(hour[1]/max(hour[0], 1)))))
	})
	for _, name := range names {
		if sum, ok := exact[name]; ok && sum > 0 {
			byType[name].chunks = sum
		} else {
			u.estimated = true
		}
		u.types = append(u.types, *byType[name])
	}
	return u, err
}

// identity tells metrics apart.
func identity(m types.Metric) string {
	parts := []string{}
	for _, d := range m.Dimensions {
		parts = append(parts, aws.ToString(d.Name)+"="+aws.ToString(d.Value))
	}
	slices.Sort(parts)
	return aws.ToString(m.MetricName) + " " + strings.Join(parts, " ")
}

func eventType(m types.Metric) string {
	for _, d := range m.Dimensions {
		if aws.ToString(d.Name) == metrics.DimensionEventType {
			return aws.ToString(d.Value)
		}
	}
	return ""
}

// statistics calls f with the given statistics of each metric and hour that has data.
func statistics(ctx context.Context, api monitor, list []types.Metric, stats []string, now time.Time, over time.Duration, f func(types.Metric, []float64)) error {
	const queries, hour = 500, 3600 // of a request (API reference, GetMetricData); a period
	for per := queries / len(stats); len(list) > 0; {
		part := list[:min(per, len(list))]
		list = list[len(part):]
		input := &cloudwatch.GetMetricDataInput{EndTime: aws.Time(now), StartTime: aws.Time(now.Add(-over))}
		for i := range part {
			for s, stat := range stats {
				input.MetricDataQueries = append(input.MetricDataQueries, types.MetricDataQuery{
					Id: aws.String("m" + strconv.Itoa(i) + "_" + strconv.Itoa(s)), MetricStat: &types.MetricStat{Metric: &part[i], Period: aws.Int32(hour), Stat: aws.String(stat)},
				})
			}
		}
		type cell struct {
			metric int
			at     int64
		}
		values := map[cell][]float64{}
		pages := cloudwatch.NewGetMetricDataPaginator(api, input)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("get metric data: %w", err)
			}
			for _, r := range page.MetricDataResults {
				var metric, stat int
				if _, err := fmt.Sscanf(aws.ToString(r.Id), "m%d_%d", &metric, &stat); err != nil || metric >= len(part) || stat >= len(stats) {
					return fmt.Errorf("get metric data: an answer to no question, %q", aws.ToString(r.Id))
				}
				for i := range min(len(r.Values), len(r.Timestamps)) {
					c := cell{metric, r.Timestamps[i].Unix()}
					if values[c] == nil {
						values[c] = make([]float64, len(stats))
					}
					values[c][stat] = r.Values[i]
				}
			}
		}
		for c, hour := range values {
			f(part[c.metric], hour)
		}
	}
	return nil
}
