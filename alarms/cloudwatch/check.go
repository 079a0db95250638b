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

// Metrics is what of CloudWatch's client [Check] needs.
type Metrics interface {
	ListMetrics(context.Context, *cloudwatch.ListMetricsInput, ...func(*cloudwatch.Options)) (*cloudwatch.ListMetricsOutput, error)
}

// Verdict is what is known of a metric that an alarm watches.
type Verdict string

// The verdicts. Found, Active and Quiet are good news.
const (
	Found  Verdict = "found"  // it was published within two weeks
	Active Verdict = "active" // it is published only when it is not zero, and its sibling is there
	Quiet  Verdict = "quiet"  // a dead-letter queue to which nothing was sent: it publishes nothing
	Idle   Verdict = "idle"   // neither it nor its sibling: an idle resource, or wrong dimensions
	Absent Verdict = "absent" // it should always be there, and is not
)

// Existence is what [Check] found of one metric.
type Existence struct {
	Alarm   string      `json:"alarm"`
	Stat    alarms.Stat `json:"metric"`
	Verdict Verdict     `json:"verdict"`
	Message string      `json:"message"`
}

// Good says whether the metric is known to be published with its dimensions.
func (e Existence) Good() bool {
	return e.Verdict == Found || e.Verdict == Active || e.Verdict == Quiet
}

// Check asks for each metric of the set whether CloudWatch knows it with exactly
// its dimensions; it lists what was published in the last two weeks, up to a
// quarter of an hour late. It never takes silence for health.
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
	case len(stat.Dimensions) > 0 && (stat.Namespace == own || strings.HasPrefix(stat.Namespace, "AWS/")): // it is what shows activity itself
		e.Verdict = Idle
		e.Message = "nothing was published with these dimensions for two weeks: is the resource idle, or does it have another name?"
		return e, nil
	default:
		e.Verdict = Absent
		e.Message = "nothing published it with these dimensions for two weeks: is the resource's name right, is it in use, and is this its Region?"
		return e, nil
	}
	if found, err = exists(sibling); err != nil {
		return e, err
	}
	switch {
	case found:
		e.Verdict, e.Message = Active, fmt.Sprintf("published only when there is something to tell; %s has these dimensions, so they are right", sibling.Metric)
		return e, nil
	case stat.Namespace == "AWS/SQS" && (a.Meta.Kind == "dlq" || a.Meta.Key == "lost"):
		e.Verdict, e.Message = Quiet, "a dead-letter queue to which nothing is sent publishes nothing"
		return e, nil
	}
	e.Verdict = Idle
	e.Message = fmt.Sprintf("neither it nor %s was published with these dimensions for two weeks: is the resource idle, or does it have another name?", sibling.Metric)
	return e, nil
}

// published asks for the metric with its dimensions and no others.
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
			if len(m.Dimensions) == len(stat.Dimensions) { // the filter takes those with more
				return true, nil
			}
		}
	}
	return false, nil
}
