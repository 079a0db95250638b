package alarms

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/metrics"
)

// Compile compiles a spec, in YAML or JSON, into alarms. Placeholders stay: [Set.Resolve]
// replaces them. The error is [Problems], which has every problem of the spec. Compile
// does not check whether CloudWatch accepts the alarms and whether they can fire: [Lint]
// does. It is safe for concurrent use.
func Compile(data []byte) (Set, error) {
	s, _, err := compileWithout(data, nil)
	return s, err
}

// compileWithout compiles a spec without the resources that need an unknown parameter.
func compileWithout(data []byte, unknown []string) (Set, []Note, error) {
	s, r, err := read(data)
	if err != nil {
		return Set{}, nil, err
	}
	left := s.leaveOut(unknown)
	c := compiler{unknown: unknown, spec: s, r: r, set: Set{
		Name: s.name, Prefix: s.prefix, Region: s.region, Namespace: s.namespace, Profile: s.profile,
		Parameters: s.parameters, LogGroups: s.logGroups, Dashboard: s.dashboard,
	}}
	if c.essential {
		c.group()
	}
	for _, res := range s.resources {
		c.resource(res)
	}
	if c.essential {
		c.services()
	}
	for _, a := range s.custom {
		c.custom(a)
	}
	for _, o := range s.overrides {
		c.checkOverride(o)
	}
	for _, composite := range s.composites {
		c.composite(composite)
	}
	c.placeholders()
	c.silence()
	c.set.sort()
	return c.set, left, c.r.err()
}

// silence adds a note if the spec names no topic to notify.
func (c *compiler) silence() {
	told := func(actions []string) bool { return len(actions) > 0 }
	for _, a := range c.set.Alarms {
		if told(a.Actions) {
			return
		}
	}
	for _, composite := range c.set.Composites {
		if told(composite.Actions) {
			return
		}
	}
	c.set.Notes = append(c.set.Notes, Note{Message: "no alarm notifies anybody: name SNS topics under notify"})
}

type compiler struct {
	spec
	r      *reader
	set    Set
	groups map[string]*group // by function, under watch: essential
	// unknown are the parameters without a value. Alarms that need one are left out.
	unknown []string
}

func (c *compiler) resource(res resource) {
	if res.kind.rows == nil {
		return // refused when it was read
	}
	rows, notes := res.kind.rows(res, context{c.namespace, c.profile, c.limit})
	if c.essential {
		notes = nil // they are about rows that are left out as well
	}
	for _, note := range notes {
		c.set.Notes = append(c.set.Notes, Note{res.line, res.label() + ": " + note})
	}
	for _, row := range rows {
		if c.essential {
			c.essentialRow(res, &row)
		}
		c.row(res, row)
	}
}

// row makes the alarm of a row, unless the row is off. It applies the pack, then the
// defaults, then the overrides in order.
func (c *compiler) row(res resource, row row) {
	row.shape(c.steady)
	enabled, why := !row.off, fmt.Sprintf("pack %s, row %s", res.kind.name, row.key)
	p := pending{row: row, alarm: Alarm{
		Name: c.alarmName(res, row), Queries: row.queries,
		Comparison: row.comparison, Threshold: row.threshold, EvaluationPeriods: row.n, DatapointsToAlarm: row.m, Missing: row.missing, LowSample: row.lowSample,
		Tags: slices.Clone(c.tags), Meta: Meta{Kind: res.kind.name, Resource: res.label(), Key: row.key, Severity: row.severity, Line: res.line},
	}}
	p.alarm.Meta.Match = strings.TrimPrefix(p.alarm.Name, c.prefix)
	for _, field := range []string{"metric", "threshold", "for", "missing", "severity"} {
		p.origin(field, why)
	}
	c.apply(&p, c.defaults, fmt.Sprintf("defaults, line %d", c.defaults.at))
	for i := range c.overrides {
		o := &c.overrides[i]
		if !o.matches(res, row, p.alarm.Meta.Match) {
			continue
		}
		o.used = true
		c.apply(&p, o.change, fmt.Sprintf("override, line %d", o.at))
		if slices.Contains(o.disable, row.key) {
			enabled = false
		}
		if slices.Contains(o.enable, row.key) {
			enabled = true
		}
	}
	switch {
	case enabled && row.full != "" && c.profile != metrics.Full:
		c.set.Notes = append(c.set.Notes, Note{res.line, fmt.Sprintf("%s: no %s alarm: only THROUGHLINE_METRICS=full emits %s; if the function has that setting, write profile: full", res.label(), row.key, row.full)})
	case enabled:
		c.finish(&p, row.help)
	}
}

// shape adapts the window of a row to the traffic. Bursts have few samples, so one minute
// of failure has to be enough. The window includes datapoints that arrive late.
func (row *row) shape(steady bool) {
	if !steady && !row.sustained {
		row.m, row.n = 1, 1
		if row.minSamples > 0 {
			row.guard(1)
		}
	}
	period := time.Minute
	if row.period > 0 {
		period = time.Duration(row.period) * time.Second
	}
	if row.lag >= period {
		row.n += int((row.lag + period - 1) / period)
	}
	row.m, row.n = afterFill(row.queries, row.missing, row.m, row.n)
}

// late is the number of newest datapoints that CloudWatch may not have yet when it
// evaluates.
const late = 2

// afterFill widens the window of an alarm that fills missing datapoints with good values.
// FILL also fills the newest datapoints, before they are published, so an alarm that
// needs the newest one could never fire. AWS's page on metric math recommends M out of N.
func afterFill(queries []Query, missing Missing, m, n int) (int, int) {
	fills := slices.ContainsFunc(queries, func(q Query) bool { return strings.Contains(q.Expression, "FILL(") })
	if fills && missing != Breaching {
		n = max(n, m+late)
	}
	return m, n
}

// guard sets the minimum number of samples of a rate.
func (row *row) guard(least float64) {
	row.minSamples = least
	row.queries = slices.Clone(row.queries)
	for i := range row.queries {
		if q := &row.queries[i]; q.Return {
			q.Expression = guard("100*FILL(part,0)/n", least)
		}
	}
}

func (c *compiler) alarmName(res resource, row row) string {
	parts := []string{res.label()}
	if res.kind.name == "event-rule" && res.as == "" && res.bus != "" && res.bus != "default" {
		parts = []string{res.bus, res.name}
	}
	return c.prefix + c.called(res.kind.name, strings.Join(parts, "-"), row)
}

// called returns an alarm's name after the prefix.
func (c *compiler) called(kind, resource string, row row) string {
	if row.suffix != "" && !strings.Contains(c.names, "{detail}") {
		resource += "-" + row.suffix
	}
	if c.names == "" {
		return resource + "-" + row.key
	}
	return strings.NewReplacer("{resource}", resource, "{detail}", row.suffix, "{key}", row.key, "{kind}", kind, "{severity}", string(row.severity)).Replace(c.names)
}

// matches reports whether the override selects the row. The override's name can be that
// of the resource, or the alarm's own without the prefix.
func (o override) matches(res resource, row row, alarm string) bool {
	return (o.kind == "" || o.kind == res.kind.name) && (o.key == "" || o.key == row.key) &&
		(o.name == "" || o.name == res.label() || o.name == res.name || o.name == alarm) && (len(o.enable)+len(o.disable) == 0 || o.key != "" || o.threshold != nil || o.window != nil ||
		slices.Contains(o.enable, row.key) || slices.Contains(o.disable, row.key))
}

// pending is an alarm while changes are applied to it.
type pending struct {
	alarm Alarm
	row   row
	given []string // the actions that a change names
	named bool
	hours string // as the spec writes them; "" means always
	// window reports that a change sets the datapoints, which then stay as they are.
	window bool
}

func (p *pending) origin(field, source string) {
	value := ""
	switch field {
	case "metric":
		value = describeQueries(p.alarm.Queries)
	case "threshold":
		value = p.alarm.Comparison.Symbol() + " " + number(p.alarm.Threshold) + unitSuffix(p.row.scale.unit)
	case "for":
		value = fmt.Sprintf("%d of %d", p.alarm.DatapointsToAlarm, p.alarm.EvaluationPeriods)
	case "missing":
		value = string(p.alarm.Missing)
	case "severity":
		value = string(p.alarm.Meta.Severity)
	case "minSamples":
		value = number(p.row.minSamples)
	case "actions":
		value = strings.Join(p.given, ", ")
	case "period":
		value = fmt.Sprintf("%d s", p.alarm.Period())
	case "lowSample":
		value = p.alarm.LowSample
	case "hours":
		value = p.hours
	}
	origins := p.alarm.Meta.Origins
	if i := slices.IndexFunc(origins, func(o Origin) bool { return o.Field == field }); i >= 0 {
		origins[i] = Origin{field, value, source}
		return
	}
	p.alarm.Meta.Origins = append(origins, Origin{field, value, source})
}

func unitSuffix(u unit) string {
	if u == count {
		return ""
	}
	if u == percent {
		return "%"
	}
	return " " + string(u)
}

func describeQueries(queries []Query) string {
	var parts []string
	for _, q := range queries {
		if q.Stat != nil {
			parts = append(parts, fmt.Sprintf("%s %s of %s", q.Stat.Statistic, q.Stat.Metric, dimensionText(q.Stat.Dimensions)))
		} else {
			parts = append(parts, q.Expression)
		}
	}
	return strings.Join(parts, "; ")
}

func dimensionText(dimensions []Dimension) string {
	if len(dimensions) == 0 {
		return "the account"
	}
	parts := make([]string, len(dimensions))
	for i, d := range dimensions {
		parts[i] = d.Name + "=" + d.Value
	}
	return strings.Join(parts, ", ")
}

// apply applies one change.
func (c *compiler) apply(p *pending, ch change, source string) {
	if ch.threshold != nil {
		comparison, value, err := p.row.scale.threshold(ch.threshold.Value())
		if err != nil {
			c.r.fail(ch.threshold.Line, "threshold of %s: %v", p.alarm.Name, err)
		}
		if comparison != "" {
			p.alarm.Comparison = comparison
		}
		p.alarm.Threshold = value
		p.origin("threshold", source)
	}
	if ch.window != nil {
		m, n, err := window(ch.window.Value())
		if err != nil {
			c.r.fail(ch.window.Line, "for: %v", err)
		}
		p.alarm.DatapointsToAlarm, p.alarm.EvaluationPeriods, p.window = m, n, true
		p.origin("for", source)
	}
	if ch.missing != nil {
		p.alarm.Missing = Missing(c.r.choice(ch.missing, "missing", string(NotBreaching), string(Breaching), string(Ignore), string(MissingMissing)))
		p.origin("missing", source)
	}
	if ch.severity != nil {
		p.alarm.Meta.Severity = Severity(c.r.choice(ch.severity, "severity", string(Critical), string(Warning)))
		p.origin("severity", source)
	}
	if ch.actions != nil {
		p.given, p.named = c.r.texts(ch.actions, "actions"), true
		p.origin("actions", source)
	}
	if ch.allow != "" {
		p.alarm.Meta.Allow = ch.allow
	}
	if ch.minSamples != nil {
		c.minSamples(p, ch, source)
	}
	c.applyMetric(p, ch, source)
}

// finish sets what depends on the alarm's severity and key, and adds the alarm to the
// set.
func (c *compiler) finish(p *pending, help string) {
	a := p.alarm
	a.Actions = c.notify[a.Meta.Severity]
	if p.named {
		a.Actions = p.given
	}
	a.Actions, a.OKActions, a.NoDataActions = slices.Clone(a.Actions), slices.Clone(c.ok), slices.Clone(c.noData)
	a.Description = c.withRunbook(strings.TrimSpace(string(a.Meta.Severity)+": "+help), a.Meta)
	if len(a.Queries) == 1 {
		a.LowSample = lowSample(a)
	} else {
		a.LowSample = ""
	}
	if h, err := parseHours(p.hours); err == nil {
		h.within(&a)
		if !p.window {
			a.DatapointsToAlarm, a.EvaluationPeriods = afterFill(a.Queries, a.Missing, a.DatapointsToAlarm, a.EvaluationPeriods)
		}
	}
	if g := c.groups[p.row.service]; g != nil {
		g.members = append(g.members, a.Name)
	}
	c.set.Alarms = append(c.set.Alarms, a.Normalize())
}

// withRunbook adds the address of the runbook to a description, if the spec has one.
func (c *compiler) withRunbook(description string, of Meta) string {
	if c.runbook == "" {
		return description
	}
	return description + ". Runbook: " + strings.NewReplacer("{key}", of.Key, "{kind}", of.Kind, "{resource}", of.Resource).Replace(c.runbook)
}

// lowSample returns "" for an alarm without a percentile.
func lowSample(a Alarm) string {
	if s := a.Queries[0].Stat; s != nil && percentile(s.Statistic) {
		return a.LowSample
	}
	return ""
}

func (c *compiler) custom(in custom) {
	p := pending{row: row{scale: scale{unit: count}, severity: Warning}, alarm: Alarm{
		Name: c.prefix + in.name, Queries: in.queries, Comparison: Greater,
		Tags: slices.Clone(c.tags), Meta: Meta{Kind: "custom", Resource: in.name, Key: in.name, Severity: Warning, Line: in.line},
	}}
	if in.threshold == nil {
		c.r.fail(in.line, "alarm %s has no threshold: write threshold: \"> 5\"", in.name)
	}
	for i := range p.alarm.Queries {
		if s := p.alarm.Queries[i].Stat; s != nil {
			s.Period = in.period
		}
	}
	source := fmt.Sprintf("line %d", in.line)
	p.origin("metric", source)
	c.apply(&p, in.change, source)
	help := in.description
	if help == "" {
		help = describeQueries(in.queries)
	}
	c.finish(&p, help)
}
