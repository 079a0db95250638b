package alarms

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Explain describes an alarm in words: its condition, and for each field the line of the
// spec or the row of the pack that sets it.
func Explain(a Alarm, p Prices) string {
	a = a.Normalize()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n", a.Name, a.Description)
	fmt.Fprintf(&b, "  %s in %d of %d datapoints of %d s sets ALARM; missing data are %s\n",
		a.Comparison.Symbol()+" "+Readable(a, a.Threshold), a.DatapointsToAlarm, a.EvaluationPeriods, a.Period(), a.Missing)
	for _, q := range a.Queries {
		if q.Stat != nil {
			fmt.Fprintf(&b, "  %-5s %s %s %s of %s\n", q.ID, q.Stat.Statistic, q.Stat.Namespace, q.Stat.Metric, dimensionText(q.Stat.Dimensions))
		} else {
			fmt.Fprintf(&b, "  %-5s %s\n", q.ID, q.Expression)
		}
	}
	width := 0
	for _, o := range a.Meta.Origins {
		width = max(width, len(o.Field))
	}
	for _, o := range a.Meta.Origins {
		fmt.Fprintf(&b, "  %-*s  %s  (%s)\n", width, o.Field, o.Value, o.Source)
	}
	fmt.Fprintf(&b, "  costs $%.2f a month (metrics evaluated: %d; prices of %s)\n", AlarmCost(a, p), len(a.Stats()), p.Date)
	return b.String()
}

// ExplainComposite is [Explain] for a composite.
func ExplainComposite(c Composite, p Prices) string {
	return fmt.Sprintf("%s\n  %s\n  ALARM while %s\n  severity  %s  (composite, line %d)\n  costs $%.2f a month (prices of %s)\n", c.Name, c.Description, c.Rule, c.Meta.Severity, c.Meta.Line, p.Composite, p.Date)
}

// OverrideText returns an override for a spec that sets an alarm's threshold, in the
// alarm's unit. For an alarm under alarms in the spec, which no override can change, it
// returns a comment.
func OverrideText(a Alarm, threshold float64) string {
	text := a.Comparison.Symbol() + " " + number(threshold) + unitOf(a)
	if a.Meta.Kind == "custom" {
		return fmt.Sprintf("# alarm %s: threshold: %q", a.Meta.Key, text)
	}
	return fmt.Sprintf("- {match: {name: %q}, threshold: %q}", a.Meta.Match, text)
}

// unitOf returns the unit of the alarm's threshold, which its origin records.
func unitOf(a Alarm) string {
	for _, o := range a.Meta.Origins {
		if o.Field != "threshold" {
			continue
		}
		for _, u := range []unit{percent, bytes, milliseconds, seconds} {
			if strings.HasSuffix(o.Value, string(u)) {
				if u == bytes {
					return "B"
				}
				return string(u)
			}
		}
	}
	return ""
}

// Readable formats a value of the alarm's metric in the unit of the spec: 30s, 1%,
// 819KiB. It rounds.
func Readable(a Alarm, value float64) string {
	round := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	switch u := unitOf(a); {
	case u == "B" && math.Abs(value) >= 1<<20:
		return round(value/(1<<20)) + "MiB"
	case u == "B" && math.Abs(value) >= 1<<10:
		return round(value/(1<<10)) + "KiB"
	case u == "ms" && math.Abs(value) >= 1000:
		return round(value/1000) + "s"
	case math.Abs(value) >= 10_000 && math.Abs(value) < 1e15:
		return strconv.FormatFloat(value, 'f', 0, 64) + u
	default:
		return round(value) + u
	}
}
