package alarms

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/nearest"
	"github.com/throughline/throughline/metrics"
)

var statistics = []string{"Sum", "Average", "Minimum", "Maximum", "SampleCount"}

var percentiles = regexp.MustCompile(`^(p|tm|wm|tc|ts)(100|[0-9]{1,2}(\.[0-9]{1,10})?)$|^(TM|WM|TC|TS|PR)\(.*\)$|^IQM$`)

func percentile(statistic string) bool { return percentiles.MatchString(statistic) }

// counting reports whether a statistic counts samples, adds them, or is a share of them,
// so that it is not a value of the metric.
func counting(statistic string) bool {
	kind := strings.ToUpper(statistic)
	return kind == "SUM" || kind == "SAMPLECOUNT" || strings.HasPrefix(kind, "TC") || strings.HasPrefix(kind, "TS") || strings.HasPrefix(kind, "PR(")
}

// stat checks one metric: that it is published with these dimensions, and that the
// statistic has a meaning for it.
func (l *linter) stat(a Alarm, s Stat) {
	if !slices.Contains(statistics, s.Statistic) && !percentile(s.Statistic) {
		l.errorf("%q is not a statistic: write %s, or a percentile such as p99%s", s.Statistic, strings.Join(statistics, ", "), nearest.Hint(s.Statistic, statistics))
	}
	if len(s.Dimensions) > 30 {
		l.errorf("%d dimensions: a metric has at most 30", len(s.Dimensions))
	}
	if !catalogued(s.Namespace, l.set.Namespace) {
		if right := properCase(s.Namespace); right != "" {
			l.errorf("it can never fire: there is no namespace %s: write %s", s.Namespace, right)
		} else if strings.HasPrefix(s.Namespace, "AWS/") {
			l.warnf("%s is not in Throughline's catalogue: whether %s is published with %s is not checked", s.Namespace, s.Metric, dimensionText(s.Dimensions))
		}
		return
	}
	m, ok := Lookup(s.Namespace, s.Metric, l.set.Namespace, l.set.Profile)
	if !ok {
		message := fmt.Sprintf("%s has no metric %s in Throughline's catalogue%s", s.Namespace, s.Metric, nearest.Hint(s.Metric, namesIn(s.Namespace, l.set.Namespace)))
		if s.Namespace == l.set.Namespace {
			l.errorf("%s", message)
		} else {
			l.warnf("%s", message)
		}
		return
	}
	l.dimensions(m, s)
	l.sense(a, m, s)
}

// properCase returns the catalogue's spelling of a namespace that is written in other
// case, or "".
func properCase(namespace string) string {
	for _, m := range aws() {
		if strings.EqualFold(m.Namespace, namespace) {
			return m.Namespace
		}
	}
	return ""
}

func (l *linter) dimensions(m Metric, s Stat) {
	if len(m.Sets) == 0 {
		l.errorf("only THROUGHLINE_METRICS=full emits %s: write profile: full if that is set, or remove the alarm", s.Metric)
		return
	}
	names := make([]string, 0, len(s.Dimensions))
	for _, d := range s.Dimensions {
		names = append(names, d.Name)
		if d.Value == "" {
			l.errorf("the dimension %s has no value", d.Name)
		}
		d.Value = substitute(d.Value, l.defaults, map[string]bool{})
		l.dimensionValue(s.Namespace, d)
		if bus, rule, both := strings.Cut(d.Value, "|"); d.Name == "RuleName" && both {
			l.errorf("RuleName %q is what Ref returns for a rule on a custom bus: write EventBusName=%s and RuleName=%s, as the metric has them", d.Value, bus, rule)
		}
	}
	slices.Sort(names)
	if slices.ContainsFunc(s.Dimensions, func(d Dimension) bool { return d.Name == "EventBusName" && d.Value == "default" }) && s.Namespace == "AWS/Events" && slices.Contains(names, "RuleName") {
		l.errorf("it can never fire: rules on the default bus publish with RuleName only: remove EventBusName")
	}
	if slices.ContainsFunc(m.Sets, func(set []string) bool { return slices.Equal(set, names) }) {
		l.qualified(s)
		return
	}
	l.errorf("it can never fire: %s is published with %s, not with %s", s.Metric, alternatives(m.Sets), setText(names))
}

// dimensionValue checks that a value is a name. References in CloudFormation often return
// an ARN or an ID instead.
func (l *linter) dimensionValue(namespace string, d Dimension) {
	what := ""
	switch {
	case namespace == "AWS/EventsV2": // AWS's pages show an ARN, a name and name/id
		if d.Name == "Subscriber" && !strings.HasPrefix(d.Value, "arn:") && !strings.Contains(d.Value, "${") {
			l.warnf("Subscriber %q is not an ARN: the metric has the subscriber's ARN", d.Value)
		}
	case strings.HasSuffix(d.Name, "Arn"):
		if !strings.HasPrefix(d.Value, "arn:") && !strings.ContainsAny(d.Value, "{") {
			l.errorf("it can never fire: %s %q is not an ARN, and the metric has the ARN", d.Name, d.Value)
		}
	case strings.HasPrefix(d.Value, "arn:"):
		what = "an ARN"
	case strings.HasPrefix(d.Value, "https://"), strings.HasPrefix(d.Value, "http://"):
		what = "a URL"
	case slices.Contains(plainNames, d.Name) && strings.ContainsAny(withoutPlaceholders(d.Value), ":/"):
		what = "a part of an ARN or of a URL"
		if d.Name == "FunctionName" {
			what = "a name with an account or an alias"
		}
	}
	if what != "" {
		l.errorf("it can never fire: %s %q is %s, and the metric has the name: write the name, or Fn::GetAtt of the name", d.Name, d.Value, what)
	}
}

// plainNames are the dimensions whose values have neither a colon nor a slash.
var plainNames = []string{"FunctionName", "QueueName", "TopicName", "TableName", "RuleName", "StreamName", "PipeName", "ScheduleGroup"}

// withoutPlaceholders returns a text without its placeholders, and nothing of a text with
// a dynamic reference of CloudFormation.
func withoutPlaceholders(text string) string {
	var b strings.Builder
	if parts, err := Parts(text); err == nil && !strings.Contains(text, "{{resolve:") {
		for _, p := range parts {
			if !p.Placeholder {
				b.WriteString(p.Text)
			}
		}
	}
	return b.String()
}

// qualified checks the dimension Resource of a function: the name, with an alias or a
// version.
func (l *linter) qualified(s Stat) {
	value := func(name string) string {
		for _, d := range s.Dimensions {
			if d.Name == name {
				return d.Value
			}
		}
		return ""
	}
	function, resource := value("FunctionName"), value("Resource")
	if s.Namespace != "AWS/Lambda" || resource == "" || resource == function || strings.Contains(resource, "{") && !strings.HasPrefix(resource, "arn:") {
		return
	}
	if !strings.Contains(function, "{") && !strings.HasPrefix(resource, function+":") || !strings.Contains(resource, ":") {
		l.errorf("it can never fire: Resource %q is not the function's name with an alias or a version: write %s:%s", resource, function, resource[strings.LastIndexByte(resource, ':')+1:])
	}
}

func setText(names []string) string {
	if len(names) == 0 {
		return "no dimension"
	}
	return strings.Join(names, " and ")
}

func alternatives(sets [][]string) string {
	texts := make([]string, len(sets))
	for i, set := range sets {
		texts[i] = setText(set)
	}
	return strings.Join(texts, ", or ")
}

// sense checks that the statistic, the comparison and the treatment of missing data fit
// the metric.
func (l *linter) sense(a Alarm, m Metric, s Stat) {
	alone := len(a.Queries) == 1
	switch {
	case m.Kind == Gauge && s.Statistic == "Sum":
		l.warnf("%s is a level, not a count: its Sum grows with the number of samples; use Maximum", s.Metric)
	case s.Namespace == "AWS/Lambda" && s.Metric == "Errors" && !counting(s.Statistic): // of 0 or 1 an invocation
		if alone && (a.Comparison == Greater && a.Threshold >= 1 || a.Comparison == GreaterOrEqual && a.Threshold > 1) {
			l.errorf("it can never fire: Errors is 0 or 1 for each invocation, so its %s is at most 1", s.Statistic)
		}
	case s.Statistic == "Average" && (s.Namespace == "AWS/ApiGateway" || s.Namespace == "AWS/Kinesis"): // the share of requests, as their pages say
	case m.Kind == Counted && (s.Statistic == "Average" || percentile(s.Statistic)):
		l.warnf("%s is a count: its %s is not the number of occurrences; use Sum", s.Metric, s.Statistic)
	case percentile(s.Statistic) && a.LowSample == "ignore":
		l.warnf("%s is not evaluated with few samples: p99 needs 1000 in a period; remove lowSample, or use Maximum", s.Statistic)
	}
	l.values(a, m, s)
	single := m.Kind == Gauge && s.Statistic == "Maximum" || m.Kind == Counted && s.Statistic == "Sum"
	rare := m.OnlyNonZero || s.Metric == "ApproximateNumberOfMessagesVisible"
	if alone && single && rare && a.Comparison == Greater && a.Threshold == 1 {
		l.warnf("> 1 does not fire on a single occurrence: write > 0")
	}
	if s.Metric == "ApproximateNumberOfMessagesVisible" && s.Statistic == "Sum" && a.Comparison == Greater && a.Threshold == 1 {
		l.warnf("> 1 does not fire on a single message: write >= 1")
	}
	if alone && m.OnlyNonZero {
		l.onlyNonZero(a, s)
	}
	if most, why, bounded := ceiling(s, l.set.Namespace); alone && bounded && (a.Comparison == Greater && a.Threshold >= most || a.Comparison == GreaterOrEqual && a.Threshold > most) {
		l.errorf("it can never fire: %s, and the threshold is %s %s", why, a.Comparison.Symbol(), number(a.Threshold))
	}
	if own, ok := metrics.Lookup(metrics.Name(s.Metric)); ok && own.ReportOnly && s.Namespace == l.set.Namespace {
		l.errorf("%s is computed from platform.report only, which can arrive 45 minutes late: no alarm can wait for it", s.Metric)
	}
	if s.Namespace == "AWS/DynamoDB" && alone {
		l.warnf("CloudWatch ignores missing data of an alarm on a single AWS/DynamoDB metric, whatever the setting: use the expression FILL(m1,0)")
	}
}

func (l *linter) onlyNonZero(a Alarm, s Stat) {
	low := a.Comparison == Less || a.Comparison == LessOrEqual
	switch {
	case low && a.Missing != Breaching:
		l.errorf("%s is published only when it is not zero: it is never low, so this alarm can never fire", s.Metric)
	case !low && a.Missing == Breaching:
		l.errorf("%s is published only when it is not zero: with missing data breaching, a healthy resource is in ALARM", s.Metric)
	case !low && (a.Missing == "" || a.Missing == MissingMissing || a.Missing == Ignore):
		l.warnf("%s is published only when it is not zero: the alarm would stay in ALARM; treat missing data as notBreaching", s.Metric)
	}
}
