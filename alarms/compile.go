package alarms

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/metrics"
)

// Compile turns a spec, which is YAML or JSON, into the alarms that it means.
// Placeholders stay: [Set.Resolve] replaces them. Errors are [Problems], all of
// them at once; whether CloudWatch would take the alarms, and whether they can
// ever fire, is for [Lint] to say. It may be called concurrently: nothing of one
// spec reaches another.
func Compile(data []byte) (Set, error) {
	s, _, err := compileWithout(data, nil)
	return s, err
}

// compileWithout leaves out what some parameters are needed for.
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

// silence notes that nobody is told of any alarm.
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
	c.set.Notes = append(c.set.Notes, Note{Message: "nobody is told of any alarm: name SNS topics under notify"})
}

type compiler struct {
	spec
	r      *reader
	set    Set
	groups map[string]*group // by function, under watch: essential
	// unknown are the parameters without which the set is compiled; what they would have
	// been for may be missing.
	unknown []string
}

func (c *compiler) resource(res resource) {
	if res.kind.rows == nil {
		return // refused when it was read
	}
	rows, notes := res.kind.rows(res, context{c.namespace, c.profile, c.limit})
	if c.essential {
		notes = nil // of rows that it leaves out as well
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

// row makes an alarm of a row, unless it is off: pack, defaults, overrides in
// their order.
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
		c.set.Notes = append(c.set.Notes, Note{res.line, fmt.Sprintf("%s: no %s alarm: %s is a metric in THROUGHLINE_METRICS=full alone; where that is set, write profile: full", res.label(), row.key, row.full)})
	case enabled:
		c.finish(&p, row.help)
	}
}

// shape fits a row to the traffic. Of a burst, one minute of failure must be enough,
// and few samples are all that there are. The window covers what comes late.
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

// late is how many of the newest datapoints may not be there yet when CloudWatch
// evaluates.
const late = 2

// afterFill widens the window of an alarm that fills missing datapoints with good ones.
// FILL fills the newest as well, before it is published, so that an alarm that needs the
// newest could never fire: AWS's page on metric math says to take M out of N.
func afterFill(queries []Query, missing Missing, m, n int) (int, int) {
	fills := slices.ContainsFunc(queries, func(q Query) bool { return strings.Contains(q.Expression, "FILL(") })
	if fills && missing != Breaching {
		n = max(n, m+late)
	}
	return m, n
}

// guard sets the least number of samples of a rate.
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

// called is an alarm's name after the prefix.
func (c *compiler) called(kind, resource string, row row) string {
	if row.suffix != "" && !strings.Contains(c.names, "{detail}") {
		resource += "-" + row.suffix
	}
	if c.names == "" {
		return resource + "-" + row.key
	}
	return strings.NewReplacer("{resource}", resource, "{detail}", row.suffix, "{key}", row.key, "{kind}", kind, "{severity}", string(row.severity)).Replace(c.names)
}

// matches says whether the override is of the row; its name may be the
// resource's or, without the prefix, the alarm's own.
func (o override) matches(res resource, row row, alarm string) bool {
	return (o.kind == "" || o.kind == res.kind.name) && (o.key == "" || o.key == row.key) &&
		(o.name == "" || o.name == res.label() || o.name == res.name || o.name == alarm) && (len(o.enable)+len(o.disable) == 0 || o.key != "" || o.threshold != nil || o.window != nil ||
		slices.Contains(o.enable, row.key) || slices.Contains(o.disable, row.key))
}

// pending is an alarm while changes are applied to it.
type pending struct {
	alarm Alarm
	row   row
	given []string // actions that a change named
	named bool
	hours string // as they were written, "" for always
	// window says that a change gave the datapoints, which then stay.
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

// apply makes one change.
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

// finish gives the alarm what depends on its severity and its key, and adds it.
func (c *compiler) finish(p *pending, help string) {
	a := p.alarm
	a.Actions = c.notify[a.Meta.Severity]
	if p.named {
		a.Actions = p.given
	}
	a.Actions, a.OKActions, a.NoDataActions = slices.Clone(a.Actions), slices.Clone(c.ok), slices.Clone(c.noData)
	a.Description = strings.TrimSpace(string(a.Meta.Severity) + ": " + help)
	if c.runbook != "" {
		runbook := strings.NewReplacer("{key}", a.Meta.Key, "{kind}", a.Meta.Kind, "{resource}", a.Meta.Resource).Replace(c.runbook)
		a.Description += ". Runbook: " + runbook
	}
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

// lowSample keeps what is said of percentiles off alarms that have none.
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
