package alarms

import (
	"fmt"
	"strings"
)

// Change is one field in which two alarms differ.
type Change struct {
	Field string `json:"field"`
	Was   string `json:"was"`
	Is    string `json:"is"`
}

// Diff returns the fields in which is differs from was, tags included, in reading order.
// It is empty if the alarms are [Equal].
func Diff(was, is Alarm) []Change {
	was, is = was.Normalize(), is.Normalize()
	var d differ
	d.add("metric", queryText(was.Queries), queryText(is.Queries))
	d.add("threshold", was.Comparison.Symbol()+" "+number(was.Threshold), is.Comparison.Symbol()+" "+number(is.Threshold))
	d.add("threshold metric", was.ThresholdMetric, is.ThresholdMetric)
	d.add("for", windowText(was), windowText(is))
	d.add("missing", string(was.Missing), string(is.Missing))
	d.add("low samples", was.LowSample, is.LowSample)
	d.common(was.ActionsDisabled, is.ActionsDisabled, was.Description, is.Description, was.Tags, is.Tags)
	d.actions(was.Actions, is.Actions, was.OKActions, is.OKActions, was.NoDataActions, is.NoDataActions)
	return d
}

// DiffComposite is [Diff] for composites.
func DiffComposite(was, is Composite) []Change {
	was, is = was.Normalize(), is.Normalize()
	var d differ
	d.add("rule", was.Rule, is.Rule)
	d.common(was.ActionsDisabled, is.ActionsDisabled, was.Description, is.Description, was.Tags, is.Tags)
	d.actions(was.Actions, is.Actions, was.OKActions, is.OKActions, was.NoDataActions, is.NoDataActions)
	return d
}

type differ []Change

func (d *differ) add(field, was, is string) {
	if was != is {
		*d = append(*d, Change{field, was, is})
	}
}

func (d *differ) common(wasOff, isOff bool, wasText, isText string, wasTags, isTags []Tag) {
	d.add("actions enabled", fmt.Sprint(!wasOff), fmt.Sprint(!isOff))
	d.add("description", wasText, isText)
	d.add("tags", tagText(wasTags), tagText(isTags))
}

func (d *differ) actions(lists ...[]string) {
	for i, field := range []string{"actions", "ok actions", "no-data actions"} {
		d.add(field, strings.Join(lists[2*i], ", "), strings.Join(lists[2*i+1], ", "))
	}
}

func windowText(a Alarm) string {
	return fmt.Sprintf("%d of %d", a.DatapointsToAlarm, a.EvaluationPeriods)
}

func tagText(tags []Tag) string {
	parts := make([]string, len(tags))
	for i, t := range tags {
		parts[i] = t.Key + "=" + t.Value
	}
	return strings.Join(parts, ", ")
}

// queryText describes queries completely, for a comparison.
func queryText(queries []Query) string {
	parts := make([]string, len(queries))
	for i, q := range queries {
		text := q.Expression
		if q.Stat != nil {
			text = fmt.Sprintf("%s %s %s of %s @%d s", q.Stat.Statistic, q.Stat.Namespace, q.Stat.Metric, dimensionText(q.Stat.Dimensions), q.Stat.Period)
			if q.Stat.Unit != "" {
				text += " in " + q.Stat.Unit
			}
		}
		if len(queries) > 1 {
			text = q.ID + " = " + text
			if q.Label != "" {
				text += " (" + q.Label + ")"
			}
			if q.Return {
				text += " (returned)"
			}
		}
		parts[i] = text
	}
	return strings.Join(parts, "; ")
}
