package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
)

// fake is CloudWatch as its API reference has it where moto differs: tags are
// passed over where an alarm is changed, pages are short, one composite goes at
// a call, three changes a second are taken by its clock.
type fake struct {
	metric    map[string]types.MetricAlarm
	composite map[string]types.CompositeAlarm
	tags      map[string][]types.Tag
	calls     int
	failAfter int   // 0 never: that many calls are taken
	fail      error // what the next gives
	now       time.Time
	changes   []time.Time
	unpaced   int // changes that came faster than three a second
	refuse    map[string]error
}

func newFake() *fake {
	return &fake{metric: map[string]types.MetricAlarm{}, composite: map[string]types.CompositeAlarm{}, tags: map[string][]types.Tag{}, now: time.Unix(1_000_000, 0), refuse: map[string]error{}}
}

// pace is a Pace by the fake's clock, which waiting moves.
func (f *fake) pace() *Pace {
	return &Pace{Now: func() time.Time { return f.now }, Sleep: func(ctx context.Context, d time.Duration) error {
		if d > 0 {
			f.now = f.now.Add(d)
		}
		return ctx.Err()
	}}
}

var errKilled = fmt.Errorf("killed: %w", context.Canceled)

func (f *fake) call(changing bool) error {
	f.calls++
	if f.failAfter > 0 && f.calls > f.failAfter {
		if f.fail != nil {
			return f.fail
		}
		return errKilled
	}
	if changing {
		f.changes = append(f.changes, f.now)
		if n := len(f.changes); n > 3 && f.now.Sub(f.changes[n-4]) < time.Second-time.Millisecond {
			f.unpaced++
		}
	}
	return nil
}

func arn(name string) string { return "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:" + name }

func (f *fake) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	if err := f.call(false); err != nil {
		return nil, err
	}
	var names []string
	for name := range f.metric {
		names = append(names, name)
	}
	if slices.Contains(in.AlarmTypes, types.AlarmTypeCompositeAlarm) {
		for name := range f.composite {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, aws.ToString(in.AlarmNamePrefix)) })
	start := 0
	if in.NextToken != nil {
		fmt.Sscan(*in.NextToken, &start)
	}
	out := &cloudwatch.DescribeAlarmsOutput{}
	end := min(len(names), start+7)
	for _, name := range names[start:end] {
		if a, ok := f.metric[name]; ok {
			out.MetricAlarms = append(out.MetricAlarms, a)
		} else {
			out.CompositeAlarms = append(out.CompositeAlarms, f.composite[name])
		}
	}
	if end < len(names) {
		out.NextToken = aws.String(fmt.Sprint(end))
	}
	return out, nil
}

func (f *fake) ListTagsForResource(_ context.Context, in *cloudwatch.ListTagsForResourceInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.ListTagsForResourceOutput, error) {
	if err := f.call(false); err != nil {
		return nil, err
	}
	return &cloudwatch.ListTagsForResourceOutput{Tags: f.tags[*in.ResourceARN]}, nil
}

func (f *fake) PutMetricAlarm(_ context.Context, in *cloudwatch.PutMetricAlarmInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricAlarmOutput, error) {
	if err := f.call(true); err != nil {
		return nil, err
	}
	if err := f.refuse[*in.AlarmName]; err != nil {
		return nil, err
	}
	a := types.MetricAlarm{
		AlarmName: in.AlarmName, AlarmArn: aws.String(arn(*in.AlarmName)), AlarmDescription: in.AlarmDescription, ActionsEnabled: in.ActionsEnabled, ComparisonOperator: in.ComparisonOperator, Threshold: in.Threshold,
		EvaluationPeriods: in.EvaluationPeriods, DatapointsToAlarm: in.DatapointsToAlarm, TreatMissingData: in.TreatMissingData, EvaluateLowSampleCountPercentile: in.EvaluateLowSampleCountPercentile,
		AlarmActions: in.AlarmActions, OKActions: in.OKActions, InsufficientDataActions: in.InsufficientDataActions, Namespace: in.Namespace, MetricName: in.MetricName, Dimensions: in.Dimensions,
		Period: in.Period, Statistic: in.Statistic, ExtendedStatistic: in.ExtendedStatistic, Metrics: in.Metrics, StateValue: types.StateValueInsufficientData,
	}
	if old, ok := f.metric[*in.AlarmName]; ok {
		a.StateValue = old.StateValue // its state stays, and the tags of the call are passed over
	} else {
		f.tags[arn(*in.AlarmName)] = in.Tags
	}
	f.metric[*in.AlarmName] = a
	return &cloudwatch.PutMetricAlarmOutput{}, nil
}

func (f *fake) PutCompositeAlarm(_ context.Context, in *cloudwatch.PutCompositeAlarmInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.PutCompositeAlarmOutput, error) {
	if err := f.call(true); err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(*in.AlarmRule, `"`) {
		if strings.Contains(part, "/") && f.metric[part].AlarmName == nil && f.composite[part].AlarmName == nil {
			return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "no alarm " + part}
		}
	}
	if _, ok := f.composite[*in.AlarmName]; !ok {
		f.tags[arn(*in.AlarmName)] = in.Tags
	}
	f.composite[*in.AlarmName] = types.CompositeAlarm{
		AlarmName: in.AlarmName, AlarmArn: aws.String(arn(*in.AlarmName)), AlarmDescription: in.AlarmDescription, ActionsEnabled: in.ActionsEnabled, AlarmRule: in.AlarmRule,
		AlarmActions: in.AlarmActions, OKActions: in.OKActions, InsufficientDataActions: in.InsufficientDataActions,
	}
	return &cloudwatch.PutCompositeAlarmOutput{}, nil
}

func (f *fake) DeleteAlarms(_ context.Context, in *cloudwatch.DeleteAlarmsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.DeleteAlarmsOutput, error) {
	if err := f.call(true); err != nil {
		return nil, err
	}
	composites := 0
	for _, name := range in.AlarmNames {
		if _, ok := f.composite[name]; ok {
			composites++
		}
		for _, c := range f.composite {
			if _, ok := f.metric[name]; ok && strings.Contains(*c.AlarmRule, `"`+name+`"`) {
				return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: name + " is used by " + *c.AlarmName}
			}
		}
	}
	if len(in.AlarmNames) > 100 || composites > 1 || composites == 1 && len(in.AlarmNames) > 1 {
		return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "one composite a call, a hundred alarms"}
	}
	for _, name := range in.AlarmNames {
		delete(f.metric, name)
		delete(f.composite, name)
		delete(f.tags, arn(name))
	}
	return &cloudwatch.DeleteAlarmsOutput{}, nil
}

func (f *fake) TagResource(_ context.Context, in *cloudwatch.TagResourceInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.TagResourceOutput, error) {
	if err := f.call(false); err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		list := slices.DeleteFunc(slices.Clone(f.tags[*in.ResourceARN]), func(o types.Tag) bool { return *o.Key == *t.Key })
		f.tags[*in.ResourceARN] = append(list, t)
	}
	return &cloudwatch.TagResourceOutput{}, nil
}

func (f *fake) UntagResource(_ context.Context, in *cloudwatch.UntagResourceInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.UntagResourceOutput, error) {
	if err := f.call(false); err != nil {
		return nil, err
	}
	f.tags[*in.ResourceARN] = slices.DeleteFunc(slices.Clone(f.tags[*in.ResourceARN]), func(t types.Tag) bool { return slices.Contains(in.TagKeys, *t.Key) })
	return &cloudwatch.UntagResourceOutput{}, nil
}
