package render

import (
	"math"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// text writes a text with placeholders in the form of an output.
type text func(string) any

// metricAlarm returns the input of PutMetricAlarm, whose names CloudFormation also uses.
func metricAlarm(a alarms.Alarm, say text) map[string]any {
	a = a.Normalize()
	in := map[string]any{
		"AlarmName": say(a.Name), "ActionsEnabled": !a.ActionsDisabled,
		"ComparisonOperator": string(a.Comparison), "Threshold": numeric(a.Threshold),
		"EvaluationPeriods": a.EvaluationPeriods, "DatapointsToAlarm": a.DatapointsToAlarm, "TreatMissingData": string(a.Missing),
	}
	if a.LowSample != "" {
		in["EvaluateLowSampleCountPercentile"] = a.LowSample
	}
	about(in, a.Description, a.Actions, a.OKActions, a.NoDataActions, a.Tags, say)
	if len(a.Queries) == 1 && a.Queries[0].Stat != nil {
		s := *a.Queries[0].Stat
		in["Namespace"], in["MetricName"], in["Period"] = s.Namespace, s.Metric, s.Period
		if dimensions := dimensionList(s.Dimensions, say); len(dimensions) > 0 {
			in["Dimensions"] = dimensions
		}
		if plain(s.Statistic) {
			in["Statistic"] = s.Statistic
		} else {
			in["ExtendedStatistic"] = s.Statistic
		}
		return in
	}
	var list []any
	for _, q := range a.Queries {
		m := map[string]any{"Id": q.ID, "ReturnData": q.Return}
		if q.Label != "" {
			m["Label"] = q.Label
		}
		if q.Stat == nil {
			m["Expression"] = q.Expression
		} else {
			metric := map[string]any{"Namespace": q.Stat.Namespace, "MetricName": q.Stat.Metric}
			if dimensions := dimensionList(q.Stat.Dimensions, say); len(dimensions) > 0 {
				metric["Dimensions"] = dimensions
			}
			m["MetricStat"] = map[string]any{"Metric": metric, "Period": q.Stat.Period, "Stat": q.Stat.Statistic}
		}
		list = append(list, m)
	}
	in["Metrics"] = list
	return in
}

// compositeAlarm returns the input of PutCompositeAlarm.
func compositeAlarm(c alarms.Composite, say text) map[string]any {
	c = c.Normalize()
	in := map[string]any{"AlarmName": say(c.Name), "AlarmRule": say(c.Rule), "ActionsEnabled": !c.ActionsDisabled}
	about(in, c.Description, c.Actions, c.OKActions, c.NoDataActions, c.Tags, say)
	return in
}

func about(in map[string]any, description string, actions, ok, noData []string, tags []alarms.Tag, say text) {
	if description != "" {
		in["AlarmDescription"] = say(description)
	}
	for key, list := range map[string][]string{"AlarmActions": actions, "OKActions": ok, "InsufficientDataActions": noData} {
		if len(list) > 0 {
			in[key] = texts(list, say)
		}
	}
	if len(tags) > 0 {
		var list []any
		for _, t := range tags {
			list = append(list, map[string]any{"Key": t.Key, "Value": say(t.Value)})
		}
		in["Tags"] = list
	}
}

func texts(list []string, say text) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = say(s)
	}
	return out
}

func dimensionList(dimensions []alarms.Dimension, say text) []any {
	var out []any
	for _, d := range dimensions {
		out = append(out, map[string]any{"Name": d.Name, "Value": say(d.Value)})
	}
	return out
}

func plain(statistic string) bool {
	return slices.Contains([]string{"Sum", "Average", "Minimum", "Maximum", "SampleCount"}, statistic)
}

// numeric returns a whole number as an integer. Older YAML readers read a number with an
// exponent and without a point as a text.
func numeric(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

// identifiers gives each name a unique identifier of letters and digits.
type identifiers map[string]bool

func (ids identifiers) of(name string, join string) string {
	words := strings.FieldsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if join == "" {
		for i, w := range words {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	id := strings.Join(words, join)
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		id = "Alarm" + join + id
	}
	if join == "_" {
		id = strings.ToLower(id)
	}
	for ids[id] {
		id += join + "x"
	}
	ids[id] = true
	return id
}
