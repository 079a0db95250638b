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

// Metrics has the operations of CloudWatch's client that [Check] calls.
type Metrics interface {
	ListMetrics(context.Context, *cloudwatch.ListMetricsInput, ...func(*cloudwatch.Options)) (*cloudwatch.ListMetricsOutput, error)
}

// Verdict is whether CloudWatch has a metric that an alarm watches.
type Verdict string

// The verdicts. Found, Active and Quiet are good.
const (
	Found  Verdict = "found"  // the metric was published in the last two weeks
	Active Verdict = "active" // the metric is published only when it is not zero, and its sibling was published
	Quiet  Verdict = "quiet"  // an unused dead-letter queue, which publishes nothing
	Idle   Verdict = "idle"   // neither the metric nor its sibling was published: an idle resource, or wrong dimensions
	Absent Verdict = "absent" // the metric should always be published and was not
)

// Existence is the result of [Check] for one metric.
type Existence struct {
	Alarm   string      `json:"alarm"`
	Stat    alarms.Stat `json:"metric"`
	Verdict Verdict     `json:"verdict"`
	Message string      `json:"message"`
}

// Good reports whether the metric is known to be published with its dimensions.
func (e Existence) Good() bool {
	return e.Verdict == Found || e.Verdict == Active || e.Verdict == Quiet
}

// Check looks up each metric of the set in CloudWatch with exactly its dimensions.
// CloudWatch lists the metrics that were published in the last two weeks; a new one
// appears after up to 15 minutes. Check never takes missing data for health.
func Check(ctx context.Context, api Metrics, s alarms.Set, pace *Pace) ([]Existence, error) {
	known := map[string]bool{}
	exists := func(stat alarms.Stat) (bool, error) {
		key := fmt.Sprintf("%s %s %v", stat.Namespace, stat.Metric, stat.Dimensions)
		if found, asked := known[key]; asked {
			return found, nil
		}
		found, err := published(ctx, api, stat, pace)
		known[key] = found
		return found, err
	}
	var out []Existence
	for i, a := range s.Alarms {
		pace.progress(i, len(s.Alarms))
		for _, stat := range a.Normalize().Stats() {
			e, err := examine(a, stat, s.Namespace, exists)
			if err != nil {
				return out, err
			}
			e.Alarm = a.Name
			if e.Verdict == Idle && stat.Namespace == newBuses {
				if err := called(ctx, api, &e, pace); err != nil {
					return out, err
				}
			}
			out = append(out, e)
		}
	}
	return out, nil
}

func examine(a alarms.Alarm, stat alarms.Stat, own string, exists func(alarms.Stat) (bool, error)) (Existence, error) {
	e := Existence{Stat: stat}
	found, err := exists(stat)
	if err != nil {
		return e, err
	}
	if found {
		e.Verdict, e.Message = Found, "published with these dimensions"
		return e, nil
	}
	sibling, ok := alarms.Sibling(stat, own)
	switch {
	case ok:
	case len(stat.Dimensions) > 0 && (stat.Namespace == own || strings.HasPrefix(stat.Namespace, "AWS/")): // the metric itself shows activity
		e.Verdict = Idle
		e.Message = "nothing was published with these dimensions for two weeks: is the resource idle, or does it have another name?"
		return e, nil
	default:
		e.Verdict = Absent
		e.Message = "the metric was not published with these dimensions for two weeks: check the resource's name, its use and the Region"
		return e, nil
	}
	if found, err = exists(sibling); err != nil {
		return e, err
	}
	switch {
	case found:
		e.Verdict, e.Message = Active, fmt.Sprintf("published only when it is not zero; %s has these dimensions, so they are right", sibling.Metric)
		return e, nil
	case stat.Namespace == "AWS/SQS" && (a.Meta.Kind == "dlq" || a.Meta.Key == "lost"):
		e.Verdict, e.Message = Quiet, "a dead-letter queue to which nothing is sent publishes nothing"
		return e, nil
	}
	e.Verdict = Idle
	e.Message = fmt.Sprintf("neither this metric nor %s was published with these dimensions for two weeks: is the resource idle, or does it have another name?", sibling.Metric)
	return e, nil
}

// published reports whether CloudWatch lists the metric with its dimensions and no
// others.
func published(ctx context.Context, api Metrics, stat alarms.Stat, pace *Pace) (bool, error) {
	in := &cloudwatch.ListMetricsInput{Namespace: &stat.Namespace, MetricName: &stat.Metric}
	for _, d := range stat.Dimensions {
		in.Dimensions = append(in.Dimensions, types.DimensionFilter{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	pages := cloudwatch.NewListMetricsPaginator(api, in)
	for pages.HasMorePages() {
		if err := pace.wait(ctx, listing); err != nil {
			return false, err
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return false, Explain("look for "+stat.Metric, "cloudwatch:ListMetrics", err)
		}
		for _, m := range out.Metrics {
			if len(m.Dimensions) == len(stat.Dimensions) { // the filter also returns metrics with more dimensions
				return true, nil
			}
		}
	}
	return false, nil
}
