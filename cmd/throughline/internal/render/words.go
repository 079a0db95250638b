package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

// what returns an alarm's description as a sentence, and the address of its runbook.
func what(a alarms.Alarm) (sentence, runbook string) {
	sentence, runbook, _ = strings.Cut(a.Description, ". Runbook: ")
	sentence = strings.TrimPrefix(sentence, string(a.Meta.Severity)+": ")
	if sentence == "" {
		return "", runbook
	}
	return strings.ToUpper(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".") + ".", runbook
}

// rule describes when an alarm is in ALARM: "above 27s in 3 of 5 periods of 1m".
func rule(a alarms.Alarm) string {
	words := map[alarms.Comparison]string{alarms.Greater: "above ", alarms.GreaterOrEqual: "at or above ", alarms.Less: "below ", alarms.LessOrEqual: "at or below "}
	how := words[a.Comparison]
	if how == "" {
		how = string(a.Comparison) + " "
	}
	m, period := a.DatapointsToAlarm, periodOf(a)
	switch n := a.EvaluationPeriods; {
	case n <= 1:
		return how + alarms.Readable(a, a.Threshold) + " in one period of " + period
	case m == 0 || m == n:
		return fmt.Sprintf("%s%s in %d periods of %s in a row", how, alarms.Readable(a, a.Threshold), n, period)
	default:
		return fmt.Sprintf("%s%s in %d of %d periods of %s", how, alarms.Readable(a, a.Threshold), m, n, period)
	}
}

// periodOf returns the alarm's period: "1m", "5m", "1h".
func periodOf(a alarms.Alarm) string { return minutes(time.Duration(a.Period()) * time.Second) }

// minutes formats a duration without a trailing zero: "10m", "1h30m".
func minutes(d time.Duration) string {
	text := phrase.Duration(d)
	if strings.HasSuffix(text, "m0s") {
		return strings.TrimSuffix(text, "0s")
	}
	return text
}

// shown describes the line of an alarm's graph: the statistic of a metric with its
// dimensions, or an expression and its metrics.
func shown(a alarms.Alarm) string {
	var text string
	var parts []string
	for _, q := range a.Queries {
		switch {
		case q.Stat == nil && q.Return:
			text = q.Expression
		case q.Stat == nil:
			parts = append(parts, q.ID+" = "+q.Expression)
		case q.Return || len(a.Queries) == 1:
			text = of(*q.Stat)
		default:
			parts = append(parts, q.ID+" = "+of(*q.Stat))
		}
	}
	if len(parts) > 0 {
		text += ", where " + strings.Join(parts, ", ")
	}
	return text + ", each " + periodOf(a)
}

func of(s alarms.Stat) string {
	var names []string
	for _, d := range s.Dimensions {
		names = append(names, d.Name+" "+d.Value)
	}
	text := s.Statistic + " of " + s.Namespace + " " + s.Metric
	if len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return text
}
