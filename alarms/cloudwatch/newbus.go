package cloudwatch

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
)

const newBuses = "AWS/EventsV2"

// called finds the value that the metrics of a new custom bus have in the dimension
// EventBus, if it differs from the alarm's. AWS's pages name the ARN, the name and
// name/id.
func called(ctx context.Context, api Metrics, e *Existence, pace *Pace) error {
	mine := eventBus(e.Stat)
	values, err := Values(ctx, api, e.Stat.Metric, pace)
	if err != nil {
		return err
	}
	if sibling, ok := alarms.Sibling(e.Stat, ""); ok && len(values) == 0 {
		if values, err = Values(ctx, api, sibling.Metric, pace); err != nil {
			return err
		}
	}
	for _, value := range values {
		if value != mine && BusName(value) == BusName(mine) {
			e.Message = fmt.Sprintf("nothing was published with these dimensions for two weeks, and the metrics have EventBus=%q: write dimension: %q", value, value)
		}
	}
	return nil
}

func eventBus(stat alarms.Stat) string {
	for _, d := range stat.Dimensions {
		if d.Name == "EventBus" {
			return d.Value
		}
	}
	return ""
}

// BusName returns the name of a new custom bus from a value of the dimension EventBus:
// its ARN, name/id or its name.
func BusName(value string) string {
	if _, path, ok := strings.Cut(value, ":event-busv2/"); ok {
		value = path
	}
	name, _, _ := strings.Cut(value, "/")
	return name
}

// Values returns the values of the dimension EventBus with which a metric of the new
// custom buses was published in the last two weeks.
func Values(ctx context.Context, api Metrics, metric string, pace *Pace) ([]string, error) {
	in := &cloudwatch.ListMetricsInput{Namespace: aws.String(newBuses), MetricName: &metric, Dimensions: []types.DimensionFilter{{Name: aws.String("EventBus")}}}
	var values []string
	seen := map[string]bool{}
	pages := cloudwatch.NewListMetricsPaginator(api, in)
	for pages.HasMorePages() {
		if err := pace.wait(ctx, listing); err != nil {
			return nil, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain("look for "+metric, "cloudwatch:ListMetrics", err)
		}
		for _, m := range page.Metrics {
			for _, d := range m.Dimensions {
				if value := aws.ToString(d.Value); aws.ToString(d.Name) == "EventBus" && !seen[value] {
					seen[value] = true
					values = append(values, value)
				}
			}
		}
	}
	return values, nil
}
