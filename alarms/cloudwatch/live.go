package cloudwatch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
)

// API has the operations of CloudWatch's client that [Make], [Apply] and [Drift] call.
type API interface {
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
	ListTagsForResource(context.Context, *cloudwatch.ListTagsForResourceInput, ...func(*cloudwatch.Options)) (*cloudwatch.ListTagsForResourceOutput, error)
	PutMetricAlarm(context.Context, *cloudwatch.PutMetricAlarmInput, ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricAlarmOutput, error)
	PutCompositeAlarm(context.Context, *cloudwatch.PutCompositeAlarmInput, ...func(*cloudwatch.Options)) (*cloudwatch.PutCompositeAlarmOutput, error)
	DeleteAlarms(context.Context, *cloudwatch.DeleteAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DeleteAlarmsOutput, error)
	TagResource(context.Context, *cloudwatch.TagResourceInput, ...func(*cloudwatch.Options)) (*cloudwatch.TagResourceOutput, error)
	UntagResource(context.Context, *cloudwatch.UntagResourceInput, ...func(*cloudwatch.Options)) (*cloudwatch.UntagResourceOutput, error)
}

// live is an alarm or a composite that is in the account.
type live struct {
	arn       string
	composite bool
	alarm     alarms.Alarm
	over      alarms.Composite
	tags      []alarms.Tag
	state     types.StateValue
}

func (l live) hash() string {
	if l.composite {
		return l.over.Hash()
	}
	return l.alarm.Hash()
}

func (l live) muted() bool {
	if l.composite {
		return l.over.ActionsDisabled
	}
	return l.alarm.ActionsDisabled
}

func (l live) tag(key string) string {
	for _, t := range l.tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// owned reports whether the tags mark the alarm as one of the spec.
func (l live) owned(spec string) bool {
	return l.tag(alarms.TagManagedBy) == alarms.ManagedBy && l.tag(alarms.TagSpec) == spec
}

// read returns every alarm whose name begins with the set's prefix, with its tags.
func read(ctx context.Context, api API, s alarms.Set, pace *Pace) (map[string]live, error) {
	all := map[string]live{}
	in := &cloudwatch.DescribeAlarmsInput{
		AlarmNamePrefix: &s.Prefix, MaxRecords: aws.Int32(100),
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, // the default leaves out composites
	}
	pages := cloudwatch.NewDescribeAlarmsPaginator(api, in)
	for pages.HasMorePages() {
		if err := pace.wait(ctx, describing); err != nil {
			return nil, err
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain("read the alarms", "cloudwatch:DescribeAlarms", err)
		}
		for _, m := range out.MetricAlarms {
			all[aws.ToString(m.AlarmName)] = live{arn: aws.ToString(m.AlarmArn), alarm: fromMetricAlarm(m), state: m.StateValue}
		}
		for _, c := range out.CompositeAlarms {
			all[aws.ToString(c.AlarmName)] = live{arn: aws.ToString(c.AlarmArn), composite: true, over: fromCompositeAlarm(c), state: c.StateValue}
		}
	}
	done := 0
	for name, l := range all {
		pace.progress(done, len(all))
		done++
		if err := pace.wait(ctx, tagging); err != nil {
			return nil, err
		}
		out, err := api.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: aws.String(l.arn)})
		if err != nil {
			return nil, Explain(fmt.Sprintf("read the tags of %s", name), "cloudwatch:ListTagsForResource", err)
		}
		l.tags = fromTags(out.Tags)
		all[name] = l
	}
	return all, nil
}
