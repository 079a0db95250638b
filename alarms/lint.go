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

// Finding is something that [Lint] has against an alarm.
type Finding struct {
	Line    int    `json:"line,omitempty"` // of the spec
	Alarm   string `json:"alarm"`
	Warning bool   `json:"warning,omitempty"` // it may be meant; an error cannot be
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

// linter collects what is found of one alarm.
type linter struct {
	set      Set
	alarm    string
	line     int
	allowed  bool // its warnings are not given
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

// Lint says what CloudWatch would refuse of the set, and which of its alarms
// would be taken and could never fire: a metric that nothing publishes,
// dimensions that it is not published with, a sum of a gauge. It follows the
// API reference of PutMetricAlarm and the metrics' own pages.
func Lint(s Set) []Finding {
	l := &linter{set: s}
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
		l.warnf("%d alarms: an account has 5000 a Region unless AWS raised that", n)
	}
	if n := len(s.LogGroups); n > 50 {
		l.warnf("%d log groups: a query of Logs Insights reads 50", n)
	}
	return l.findings
}

// Errors says whether any of the findings is more than a warning.
func Errors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return !f.Warning })
}

func (l *linter) unique(lines map[string]int) {
	if first, ok := lines[l.alarm]; ok {
		if first > 0 {
			l.errorf("the name is taken by the alarm of line %d: give one of them `as: another-name`", first)
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
	if len(tags) > 47 { // three are ours
		l.errorf("%d tags: an alarm has at most 50, three of them Throughline's", len(tags))
	}
	for _, list := range lists {
		if len(list) > 5 {
			l.errorf("%d actions: CloudWatch takes five for each state", len(list))
		}
		for _, action := range list {
			if parts, _ := Parts(action); len(parts) == 1 && !parts[0].Placeholder && !strings.HasPrefix(action, "arn:") {
				l.errorf("the action %q is no ARN: write arn:aws:sns:<Region>:<account>:<topic>, or a placeholder", action)
			}
		}
	}
}

func (l *linter) evaluation(a Alarm) {
	n, m := a.EvaluationPeriods, a.Normalize().DatapointsToAlarm
	switch {
	case n == 0:
		l.errorf("no evaluation periods: say over how many datapoints, as in for: 3 of 5")
	case m > n:
		l.errorf("%d datapoints to alarm of %d: it can never fire", m, n)
	case m < 1:
		l.errorf("%d datapoints to alarm: at least one", m)
	}
	period := a.Period()
	switch {
	case period == 0: // said by queries
	case period != 10 && period != 20 && period != 30 && (period < 60 || period%60 != 0):
		l.errorf("a period of %d s: it is 10, 20, 30 or a multiple of 60", period)
	case period < 3600 && period*n > 86400:
		l.errorf("%d periods of %d s are more than a day: take periods of an hour, of which seven days are allowed", n, period)
	case period*n > 7*86400:
		l.errorf("%d periods of %d s are more than seven days", n, period)
	}
	if math.IsNaN(a.Threshold) || math.IsInf(a.Threshold, 0) {
		l.errorf("the threshold is not a finite number")
	}
	switch a.Missing {
	case "", MissingMissing, NotBreaching, Breaching, Ignore:
	default:
		l.errorf("missing data cannot be treated as %q: notBreaching, breaching, ignore or missing", a.Missing)
	}
	switch band := slices.Contains(bands, a.Comparison); {
	case a.Comparison.Symbol() == string(a.Comparison) && !band:
		l.errorf("%q is no comparison: >, >=, < or <=", a.Comparison)
	case band != (a.ThresholdMetric != ""):
		l.errorf("an anomaly detection band takes ThresholdMetricId and a comparison with a band: both or neither")
	case band && !slices.ContainsFunc(a.Queries, func(q Query) bool { return q.ID == a.ThresholdMetric }):
		l.errorf("there is no %s, which ThresholdMetricId names", a.ThresholdMetric)
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
			l.errorf("the ID %s stands twice", q.ID)
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
			l.errorf("its metrics have periods of %d s and %d s: one alarm has one", a.Period(), q.Stat.Period)
		}
		l.stat(a, *q.Stat)
	}
	switch {
	case stats == 0 && a.Period() > 0: // Metrics Insights and Contributor Insights bring their own
	case stats == 0:
		l.errorf("it has no metric, expressions alone")
	case stats > 10:
		l.errorf("%d metrics: an alarm takes ten", stats)
	case expressions > 10:
		l.errorf("%d expressions: an alarm takes ten", expressions)
	}
	if m := a.Normalize().DatapointsToAlarm; m > 0 {
		if _, n := afterFill(a.Queries, a.Missing, m, a.EvaluationPeriods); n > a.EvaluationPeriods {
			l.warnf("it may never fire: FILL fills the newest datapoints as well, before they are published, and %d of %d need them; take %d of %d", m, a.EvaluationPeriods, m, n)
		}
	}
	if a.ThresholdMetric != "" {
		returned-- // the band
	}
	if returned != 1 {
		l.errorf("%d of its metrics and expressions are held against the threshold: it must be one", returned)
	}
	for _, q := range a.Queries {
		if q.Stat == nil && !insights(q.Expression) {
			l.expression(q, ids)
			l.share(a, q)
		}
		if !lowerID(q.ID) {
			l.errorf("%q is no ID: a lower-case letter, then letters, digits and _", q.ID)
		}
	}
}

// insights says whether an expression is a query of Metrics Insights.
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
		l.errorf("the rule has %d characters: CloudWatch takes 10240", len(c.Rule))
	}
	if n := strings.Count(c.Rule, "ALARM(") + strings.Count(c.Rule, "OK(") + strings.Count(c.Rule, "INSUFFICIENT_DATA("); n > 100 {
		l.errorf("%d alarms in the rule: CloudWatch takes 100", n)
	} else if n == 0 {
		l.errorf("the rule names no alarm")
	}
	if strings.Contains(c.Rule, strconv.Quote(c.Name)) {
		l.errorf("the rule names itself")
	}
}
