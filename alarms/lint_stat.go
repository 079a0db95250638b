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

// stat checks one metric: that it is published, with those dimensions, and that
// the statistic means something of it.
func (l *linter) stat(a Alarm, s Stat) {
	if !slices.Contains(statistics, s.Statistic) && !percentile(s.Statistic) {
		l.errorf("%q is no statistic: %s, or a percentile such as p99%s", s.Statistic, strings.Join(statistics, ", "), nearest.Hint(s.Statistic, statistics))
	}
	if len(s.Dimensions) > 30 {
		l.errorf("%d dimensions: a metric has at most 30", len(s.Dimensions))
	}
	if !catalogued(s.Namespace, l.set.Namespace) {
		if right := properCase(s.Namespace); right != "" {
			l.errorf("it can never fire: there is no namespace %s; it is %s", s.Namespace, right)
		} else if strings.HasPrefix(s.Namespace, "AWS/") {
			l.warnf("nothing is known here of %s: whether %s is published with %s is not checked", s.Namespace, s.Metric, dimensionText(s.Dimensions))
		}
		return
	}
	m, ok := Lookup(s.Namespace, s.Metric, l.set.Namespace, l.set.Profile)
	if !ok {
		message := fmt.Sprintf("%s is not known here to publish %s%s", s.Namespace, s.Metric, nearest.Hint(s.Metric, namesIn(s.Namespace, l.set.Namespace)))
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

// properCase is a namespace that is known, written otherwise; "" where there is none.
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
		l.errorf("%s is a metric in THROUGHLINE_METRICS=full alone: write profile: full where that is set, or leave the alarm out", s.Metric)
		return
	}
	names := make([]string, 0, len(s.Dimensions))
	for _, d := range s.Dimensions {
		names = append(names, d.Name)
		if d.Value == "" {
			l.errorf("the dimension %s has no value", d.Name)
		}
		l.dimensionValue(s.Namespace, d)
		if bus, rule, both := strings.Cut(d.Value, "|"); d.Name == "RuleName" && both {
			l.errorf("RuleName %q is what Ref gives of a rule on a custom bus: the metric has EventBusName=%s and RuleName=%s", d.Value, bus, rule)
		}
	}
	slices.Sort(names)
	if slices.ContainsFunc(s.Dimensions, func(d Dimension) bool { return d.Name == "EventBusName" && d.Value == "default" }) && s.Namespace == "AWS/Events" && slices.Contains(names, "RuleName") {
		l.errorf("it can never fire: rules of the default bus are published with RuleName alone, without EventBusName")
	}
	if slices.ContainsFunc(m.Sets, func(set []string) bool { return slices.Equal(set, names) }) {
		return
	}
	l.errorf("it can never fire: %s is published with %s, not with %s", s.Metric, alternatives(m.Sets), setText(names))
}

// dimensionValue checks that a value is a name: what references of CloudFormation give is
// often another thing.
func (l *linter) dimensionValue(namespace string, d Dimension) {
	what := ""
	switch {
	case namespace == "AWS/EventsV2": // of which AWS's pages name an ARN, a name and name/id
		if d.Name == "Subscriber" && !strings.HasPrefix(d.Value, "arn:") && !strings.Contains(d.Value, "${") {
			l.warnf("Subscriber %q is no ARN, which the metric has", d.Value)
		}
	case strings.HasSuffix(d.Name, "Arn"):
	case strings.HasPrefix(d.Value, "arn:"):
		what = "an ARN"
	case strings.HasPrefix(d.Value, "https://"), strings.HasPrefix(d.Value, "http://"):
		what = "a URL"
	}
	if what != "" {
		l.errorf("it can never fire: %s %q is %s, and the metric has the name: write it, or Fn::GetAtt of the name", d.Name, d.Value, what)
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

// sense checks that statistic, comparison and treatment of missing data can
// mean what they say.
func (l *linter) sense(a Alarm, m Metric, s Stat) {
	alone := len(a.Queries) == 1
	switch {
	case m.Kind == Gauge && s.Statistic == "Sum":
		l.warnf("%s is a level, not a count: its Sum grows with how often it is looked at; take Maximum", s.Metric)
	case s.Namespace == "AWS/Lambda" && s.Metric == "Errors" && (s.Statistic == "Average" || s.Statistic == "Maximum"): // of 0 or 1 an invocation
		if alone && (a.Comparison == Greater && a.Threshold >= 1 || a.Comparison == GreaterOrEqual && a.Threshold > 1) {
			l.errorf("it can never fire: the %s of Errors, which is 0 or 1 of an invocation, is at most 1", s.Statistic)
		}
	case s.Statistic == "Average" && (s.Namespace == "AWS/ApiGateway" || s.Namespace == "AWS/Kinesis"): // the share of requests, as their pages say
	case m.Kind == Counted && (s.Statistic == "Average" || percentile(s.Statistic)):
		l.warnf("%s counts: its %s is not how often it happened; take Sum", s.Metric, s.Statistic)
	case percentile(s.Statistic) && a.LowSample == "ignore":
		l.warnf("%s of few samples is not evaluated: p99 takes 1000 a period; leave lowSample out, or take Maximum", s.Statistic)
	}
	l.values(a, m, s)
	single := m.Kind == Gauge && s.Statistic == "Maximum" || m.Kind == Counted && s.Statistic == "Sum"
	rare := m.OnlyNonZero || s.Metric == "ApproximateNumberOfMessagesVisible"
	if alone && single && rare && a.Comparison == Greater && a.Threshold == 1 {
		l.warnf("> 1 never fires on a single one: write > 0")
	}
	if s.Metric == "ApproximateNumberOfMessagesVisible" && s.Statistic == "Sum" && a.Comparison == Greater && a.Threshold == 1 {
		l.warnf("> 1 never fires on a single message: write >= 1")
	}
	if alone && m.OnlyNonZero {
		l.onlyNonZero(a, s)
	}
	if most, why, bounded := ceiling(s, l.set.Namespace); alone && bounded && (a.Comparison == Greater && a.Threshold >= most || a.Comparison == GreaterOrEqual && a.Threshold > most) {
		l.errorf("it can never fire: %s, and the threshold is %s %s", why, a.Comparison.Symbol(), number(a.Threshold))
	}
	if own, ok := metrics.Lookup(metrics.Name(s.Metric)); ok && own.ReportOnly && s.Namespace == l.set.Namespace {
		l.errorf("%s comes from platform.report alone, up to 45 minutes late: no alarm can wait for it", s.Metric)
	}
	if s.Namespace == "AWS/DynamoDB" && alone {
		l.warnf("an alarm on AWS/DynamoDB alone keeps its state through missing data, whatever is set: write it as the expression FILL(m1,0)")
	}
}

func (l *linter) onlyNonZero(a Alarm, s Stat) {
	low := a.Comparison == Less || a.Comparison == LessOrEqual
	switch {
	case low && a.Missing != Breaching:
		l.errorf("%s is published only where it is not zero: it is never seen to be low, so this can never fire", s.Metric)
	case !low && a.Missing == Breaching:
		l.errorf("%s is published only where it is not zero: with missing data breaching, all is well means alarm", s.Metric)
	case !low && (a.Missing == "" || a.Missing == MissingMissing || a.Missing == Ignore):
		l.warnf("%s is published only where it is not zero: once in alarm it stays so; treat missing data as notBreaching", s.Metric)
	}
}
