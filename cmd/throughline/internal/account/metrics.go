package account

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// ListMetrics returns the metrics of a namespace, each once.
func ListMetrics(ctx context.Context, api cloudwatch.ListMetricsAPIClient, namespace string) ([]types.Metric, error) {
	var list []types.Metric
	known := map[string]bool{}
	pages := cloudwatch.NewListMetricsPaginator(api, &cloudwatch.ListMetricsInput{Namespace: &namespace})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list metrics: %w", err)
		}
		for _, m := range page.Metrics {
			if id := identity(m); !known[id] { // stand-ins return a metric for each datapoint
				known[id] = true
				list = append(list, m)
			}
		}
	}
	return list, nil
}

// identity returns a text that is different for each metric.
func identity(m types.Metric) string {
	parts := []string{}
	for _, d := range m.Dimensions {
		parts = append(parts, aws.ToString(d.Name)+"="+aws.ToString(d.Value))
	}
	slices.Sort(parts)
	return aws.ToString(m.MetricName) + " " + strings.Join(parts, " ")
}

// Dimension returns the value of a metric's dimension, or "" if it has none.
func Dimension(m types.Metric, name string) string {
	for _, d := range m.Dimensions {
		if aws.ToString(d.Name) == name {
			return aws.ToString(d.Value)
		}
	}
	return ""
}

// Statistics calls f with the given statistics of each metric for each hour with data, in
// the time over before now. It calls f in the order of the metrics, then of time.
func Statistics(ctx context.Context, api cloudwatch.GetMetricDataAPIClient, list []types.Metric, stats []string, now time.Time, over time.Duration, f func(types.Metric, []float64)) error {
	const queries, hour = 500, 3600 // the limit of a request (API reference, GetMetricData); a period in seconds
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
					return fmt.Errorf("get metric data: the response has an unknown ID, %q", aws.ToString(r.Id))
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
		// Cells are sorted so that sums of fractions and the printed order are the same
		// in each run.
		cells := slices.SortedFunc(maps.Keys(values), func(a, b cell) int { return cmp.Or(a.metric-b.metric, cmp.Compare(a.at, b.at)) })
		for _, c := range cells {
			f(part[c.metric], values[c])
		}
	}
	return nil
}
