package cloudwatch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
)

var statistics = []string{"Sum", "Average", "Minimum", "Maximum", "SampleCount"}

// putMetricAlarm returns the request that creates or changes the alarm. It contains the
// tags, which CloudWatch ignores if the alarm exists.
func putMetricAlarm(a alarms.Alarm) *cloudwatch.PutMetricAlarmInput {
	a = a.Normalize()
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: &a.Name, AlarmDescription: optional(a.Description), ActionsEnabled: aws.Bool(!a.ActionsDisabled),
		ComparisonOperator: types.ComparisonOperator(a.Comparison), Threshold: &a.Threshold,
		EvaluationPeriods: aws.Int32(int32(a.EvaluationPeriods)), DatapointsToAlarm: aws.Int32(int32(a.DatapointsToAlarm)),
		TreatMissingData: aws.String(string(a.Missing)), EvaluateLowSampleCountPercentile: optional(a.LowSample),
		AlarmActions: a.Actions, OKActions: a.OKActions, InsufficientDataActions: a.NoDataActions, Tags: tags(a.Tags),
	}
	if len(a.Queries) == 1 && a.Queries[0].Stat != nil {
		s := a.Queries[0].Stat
		in.Namespace, in.MetricName, in.Dimensions, in.Period = &s.Namespace, &s.Metric, dimensions(s.Dimensions), seconds(s.Period)
		if slices.Contains(statistics, s.Statistic) {
			in.Statistic = types.Statistic(s.Statistic)
		} else {
			in.ExtendedStatistic = &s.Statistic
		}
		return in
	}
	for _, q := range a.Queries {
		m := types.MetricDataQuery{Id: aws.String(q.ID), Label: optional(q.Label), ReturnData: aws.Bool(q.Return)}
		if q.Stat == nil {
			m.Expression = aws.String(q.Expression)
		} else {
			m.MetricStat = metricStat(*q.Stat)
		}
		in.Metrics = append(in.Metrics, m)
	}
	return in
}

func metricStat(s alarms.Stat) *types.MetricStat {
	return &types.MetricStat{Metric: metric(s), Period: seconds(s.Period), Stat: &s.Statistic}
}

func metric(s alarms.Stat) *types.Metric {
	return &types.Metric{Namespace: &s.Namespace, MetricName: &s.Metric, Dimensions: dimensions(s.Dimensions)}
}

func seconds(period int) *int32 { return aws.Int32(int32(period)) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func dimensions(list []alarms.Dimension) []types.Dimension {
	var out []types.Dimension
	for _, d := range list {
		out = append(out, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	return out
}

func tags(list []alarms.Tag) []types.Tag {
	var out []types.Tag
	for _, t := range list {
		out = append(out, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return out
}

// fromMetricAlarm converts an alarm that CloudWatch reports, without its tags.
func fromMetricAlarm(m types.MetricAlarm) alarms.Alarm {
	a := alarms.Alarm{
		Name: aws.ToString(m.AlarmName), Description: aws.ToString(m.AlarmDescription), ActionsDisabled: !aws.ToBool(m.ActionsEnabled),
		Comparison: alarms.Comparison(m.ComparisonOperator), Threshold: aws.ToFloat64(m.Threshold), ThresholdMetric: aws.ToString(m.ThresholdMetricId),
		EvaluationPeriods: int(aws.ToInt32(m.EvaluationPeriods)), DatapointsToAlarm: int(aws.ToInt32(m.DatapointsToAlarm)),
		Missing: alarms.Missing(aws.ToString(m.TreatMissingData)), LowSample: aws.ToString(m.EvaluateLowSampleCountPercentile),
		Actions: m.AlarmActions, OKActions: m.OKActions, NoDataActions: m.InsufficientDataActions,
	}
	for _, q := range m.Metrics {
		query := alarms.Query{ID: aws.ToString(q.Id), Expression: aws.ToString(q.Expression), Label: aws.ToString(q.Label), Return: q.ReturnData == nil || *q.ReturnData, Period: int(aws.ToInt32(q.Period))}
		if s := q.MetricStat; s != nil {
			query.Stat = &alarms.Stat{Statistic: aws.ToString(s.Stat), Period: int(aws.ToInt32(s.Period)), Unit: string(s.Unit)}
			if s.Metric != nil {
				query.Stat.Namespace, query.Stat.Metric = aws.ToString(s.Metric.Namespace), aws.ToString(s.Metric.MetricName)
				query.Stat.Dimensions = fromDimensions(s.Metric.Dimensions)
			}
		}
		a.Queries = append(a.Queries, query)
	}
	if m.MetricName != nil {
		a.Queries = []alarms.Query{{ID: "m1", Return: true, Stat: &alarms.Stat{
			Namespace: aws.ToString(m.Namespace), Metric: *m.MetricName, Dimensions: fromDimensions(m.Dimensions),
			Statistic: string(m.Statistic) + aws.ToString(m.ExtendedStatistic), Period: int(aws.ToInt32(m.Period)), Unit: string(m.Unit),
		}}}
	}
	return a.Normalize()
}

func fromDimensions(list []types.Dimension) []alarms.Dimension {
	var out []alarms.Dimension
	for _, d := range list {
		out = append(out, alarms.Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)})
	}
	return out
}

// fromTags converts tags without those that AWS sets itself and reserves.
func fromTags(list []types.Tag) []alarms.Tag {
	var out []alarms.Tag
	for _, t := range list {
		if strings.HasPrefix(aws.ToString(t.Key), "aws:") {
			continue
		}
		out = append(out, alarms.Tag{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value)})
	}
	return out
}

func putCompositeAlarm(c alarms.Composite) *cloudwatch.PutCompositeAlarmInput {
	c = c.Normalize()
	return &cloudwatch.PutCompositeAlarmInput{
		AlarmName: &c.Name, AlarmDescription: optional(c.Description), AlarmRule: &c.Rule, ActionsEnabled: aws.Bool(!c.ActionsDisabled),
		AlarmActions: c.Actions, OKActions: c.OKActions, InsufficientDataActions: c.NoDataActions, Tags: tags(c.Tags),
	}
}

func fromCompositeAlarm(m types.CompositeAlarm) alarms.Composite {
	return alarms.Composite{
		Name: aws.ToString(m.AlarmName), Description: aws.ToString(m.AlarmDescription), Rule: aws.ToString(m.AlarmRule), ActionsDisabled: !aws.ToBool(m.ActionsEnabled),
		Actions: m.AlarmActions, OKActions: m.OKActions, NoDataActions: m.InsufficientDataActions,
	}.Normalize()
}
