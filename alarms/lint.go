package alarms

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Finding is a problem that [Lint] found in an alarm.
type Finding struct {
	Line    int    `json:"line,omitempty"` // the line in the spec
	Alarm   string `json:"alarm"`
	Warning bool   `json:"warning,omitempty"` // the alarm works as it is, perhaps as intended; false for an error
	Message string `json:"message"`
}

func (f Finding) String() string {
	text := f.Message
	if f.Alarm != "" {
		text = f.Alarm + ": " + text
	}
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, text)
	}
	return text
}

// linter collects the findings of one alarm.
type linter struct {
	set      Set
	alarm    string
	line     int
	allowed  bool // suppress warnings
	defaults map[string]string
	findings []Finding
}

func (l *linter) errorf(format string, args ...any) {
	l.findings = append(l.findings, Finding{l.line, l.alarm, false, fmt.Sprintf(format, args...)})
}

func (l *linter) warnf(format string, args ...any) {
	if l.allowed {
		return
	}
	l.findings = append(l.findings, Finding{l.line, l.alarm, true, fmt.Sprintf(format, args...)})
}

// Lint checks a set. It reports what CloudWatch would refuse, and alarms that CloudWatch
// accepts and that can never fire: on a metric that nothing publishes, on dimensions that
// the metric is not published with, on the sum of a gauge. It follows the API reference
// of PutMetricAlarm and the pages of the metrics.
func Lint(s Set) []Finding {
	l := &linter{set: s, findings: slices.Clone(s.Found)}
	l.defaults = map[string]string{}
	for _, p := range s.Parameters {
		if p.HasDefault {
			l.defaults[p.Name] = p.Default
		}
	}
	lines := map[string]int{}
	for _, a := range s.Alarms {
		l.alarm, l.line, l.allowed = a.Name, a.Meta.Line, a.Meta.Allow != ""
		l.unique(lines)
		l.texts(a.Description, a.Tags, a.Actions, a.OKActions, a.NoDataActions)
		l.evaluation(a)
		l.queries(a)
	}
	for _, c := range s.Composites {
		l.alarm, l.line, l.allowed = c.Name, c.Meta.Line, false
		l.unique(lines)
		l.texts(c.Description, c.Tags, c.Actions, c.OKActions, c.NoDataActions)
		l.rule(c)
	}
	l.alarm, l.line = "", 0
	if n := len(s.Alarms) + len(s.Composites); n > 5000 {
		l.warnf("%d alarms: an account has a quota of 5000 in a Region, which AWS can raise", n)
	}
	if n := len(s.LogGroups); n > 50 {
		l.warnf("%d log groups: a Logs Insights query reads at most 50", n)
	}
	return l.findings
}

// Errors reports whether any of the findings is an error.
func Errors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return !f.Warning })
}

func (l *linter) unique(lines map[string]int) {
	if first, ok := lines[l.alarm]; ok {
		if first > 0 {
			l.errorf("the alarm on line %d has the same name: give one of them `as: another-name`", first)
		} else {
			l.errorf("two alarms have this name")
		}
	}
	lines[l.alarm] = l.line
	if n := utf8.RuneCountInString(l.alarm); n < 1 || n > 255 {
		l.errorf("the name has %d characters: CloudWatch takes 1 to 255", n)
	}
	if strings.ContainsFunc(l.alarm, unicode.IsControl) {
		l.errorf("the name %q holds a control character, which CloudWatch refuses", l.alarm)
	}
}

func (l *linter) texts(description string, tags []Tag, lists ...[]string) {
	if n := utf8.RuneCountInString(description); n > 1024 {
		l.errorf("the description has %d characters: CloudWatch takes 1024; shorten the runbook's address", n)
	}
	if len(tags) > 47 { // Throughline adds three
		l.errorf("%d tags: an alarm has at most 50, and Throughline uses three of them", len(tags))
	}
	for _, list := range lists {
		if len(list) > 5 {
			l.errorf("%d actions: CloudWatch takes five for each state", len(list))
		}
		for _, action := range list {
			if parts, _ := Parts(action); len(parts) == 1 && !parts[0].Placeholder && !strings.HasPrefix(action, "arn:") {
				l.errorf("the action %q is not an ARN: write arn:aws:sns:<Region>:<account>:<topic>, or a placeholder", action)
			}
		}
	}
}

func (l *linter) evaluation(a Alarm) {
	n, m := a.EvaluationPeriods, a.Normalize().DatapointsToAlarm
	switch {
	case n == 0:
		l.errorf("no evaluation periods: give the number of datapoints, as in for: 3 of 5")
	case m > n:
		l.errorf("%d datapoints to alarm out of %d: it can never fire", m, n)
	case m < 1:
		l.errorf("%d datapoints to alarm: at least one", m)
	}
	period := a.Period()
	switch {
	case period == 0: // queries reports it
	case period != 10 && period != 20 && period != 30 && (period < 60 || period%60 != 0):
		l.errorf("a period of %d s: give 10, 20, 30 or a multiple of 60", period)
	case period < 3600 && period*n > 86400:
		l.errorf("%d periods of %d s are more than a day: use a period of at least an hour, which allows seven days", n, period)
	case period*n > 7*86400:
		l.errorf("%d periods of %d s are more than seven days", n, period)
	}
	if math.IsNaN(a.Threshold) || math.IsInf(a.Threshold, 0) {
		l.errorf("the threshold is not a finite number")
	}
	switch a.Missing {
	case "", MissingMissing, NotBreaching, Breaching, Ignore:
	default:
		l.errorf("%q is not a treatment of missing data: write notBreaching, breaching, ignore or missing", a.Missing)
	}
	switch band := slices.Contains(bands, a.Comparison); {
	case a.Comparison.Symbol() == string(a.Comparison) && !band:
		l.errorf("%q is not a comparison: write >, >=, < or <=", a.Comparison)
	case band != (a.ThresholdMetric != ""):
		l.errorf("an anomaly detection band needs both ThresholdMetricId and a comparison with a band")
	case band && !slices.ContainsFunc(a.Queries, func(q Query) bool { return q.ID == a.ThresholdMetric }):
		l.errorf("ThresholdMetricId names %s, which does not exist", a.ThresholdMetric)
	}
}

func (l *linter) queries(a Alarm) {
	if len(a.Queries) == 0 {
		l.errorf("it has no metric")
		return
	}
	stats, expressions, returned := 0, 0, 0
	ids := map[string]bool{}
	for _, q := range a.Queries {
		if ids[q.ID] {
			l.errorf("the ID %s is used twice", q.ID)
		}
		ids[q.ID] = true
		if q.Return || len(a.Queries) == 1 {
			returned++
		}
		if q.Stat == nil {
			expressions++
			continue
		}
		stats++
		if q.Stat.Period != a.Period() {
			l.errorf("its metrics have periods of %d s and %d s: an alarm has one period", a.Period(), q.Stat.Period)
		}
		l.stat(a, *q.Stat)
	}
	switch {
	case stats == 0 && a.Period() > 0: // Metrics Insights and Contributor Insights bring their own
	case stats == 0:
		l.errorf("it has expressions and no metric")
	case stats > 10:
		l.errorf("%d metrics: an alarm has at most ten", stats)
	case expressions > 10:
		l.errorf("%d expressions: an alarm has at most ten", expressions)
	}
	if m := a.Normalize().DatapointsToAlarm; m > 0 {
		if _, n := afterFill(a.Queries, a.Missing, m, a.EvaluationPeriods); n > a.EvaluationPeriods {
			l.warnf("it may never fire: FILL also fills the newest datapoints, before they are published, and %d of %d needs them; use %d of %d", m, a.EvaluationPeriods, m, n)
		}
	}
	if a.ThresholdMetric != "" {
		returned-- // the band
	}
	if returned != 1 {
		l.errorf("%d of its metrics and expressions are compared with the threshold: it must be one", returned)
	}
	for _, q := range a.Queries {
		if q.Stat == nil && !insights(q.Expression) {
			l.expression(q, ids)
			l.reach(a, q)
		}
		if !lowerID(q.ID) {
			l.errorf("%q is not an ID: write a lower-case letter, then letters, digits and _", q.ID)
		}
	}
}

// insights reports whether an expression is a query of Metrics Insights.
func insights(expression string) bool {
	return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(expression)), "SELECT ")
}

func lowerID(id string) bool {
	for i, r := range id {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')) {
			return false
		}
	}
	return id != ""
}

func (l *linter) rule(c Composite) {
	if len(c.Rule) > 10_240 {
		l.errorf("the rule has %d characters: CloudWatch takes at most 10240", len(c.Rule))
	}
	if n := strings.Count(c.Rule, "ALARM(") + strings.Count(c.Rule, "OK(") + strings.Count(c.Rule, "INSUFFICIENT_DATA("); n > 100 {
		l.errorf("%d alarms in the rule: CloudWatch takes at most 100", n)
	} else if n == 0 {
		l.errorf("the rule names no alarm")
	}
	if strings.Contains(c.Rule, strconv.Quote(c.Name)) {
		l.errorf("the rule names itself")
	}
}
