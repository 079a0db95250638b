package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/internal/node"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// ParseCloudFormation reads the alarms of a template back: a text that Ref or
// Fn::Sub fills in becomes one with placeholders. Ref of a rule on a custom bus
// is what CloudFormation gives for it, bus|rule, so that lint can say that no
// metric knows it. Everything but alarms is passed over. It returns an error for
// a document that cannot be read or has no Resources.
func ParseCloudFormation(data []byte) (alarms.Set, error) {
	root, err := node.Parse(data)
	if err != nil {
		return alarms.Set{}, fmt.Errorf("read the template: %w", err)
	}
	resources := root.Get("Resources")
	if resources == nil || resources.Kind != node.Map {
		return alarms.Set{}, fmt.Errorf("read the template: it has no Resources")
	}
	s := alarms.Set{Name: "template", Namespace: "Throughline"}
	for _, p := range pairs(root.Get("Parameters")) {
		s.Parameters = append(s.Parameters, alarms.Parameter{
			Name: p.Key, Default: p.Value.Get("Default").Value(), HasDefault: p.Value.Get("Default") != nil, Description: p.Value.Get("Description").Value(),
		})
	}
	r := reading{resources: resources}
	for _, pair := range resources.Pairs {
		properties := pair.Value.Get("Properties")
		switch pair.Value.Get("Type").Value() {
		case "AWS::CloudWatch::Alarm":
			a := r.alarm(properties)
			a.Meta = alarms.Meta{Kind: "custom", Resource: pair.Key, Line: pair.Line}
			if a.Name == "" {
				a.Name = pair.Key // CloudFormation makes one up
			}
			s.Alarms = append(s.Alarms, a.Normalize())
		case "AWS::CloudWatch::CompositeAlarm":
			c := r.composite(properties)
			c.Meta = alarms.Meta{Kind: "composite", Resource: pair.Key, Line: pair.Line}
			s.Composites = append(s.Composites, c.Normalize())
		}
	}
	return s, nil
}

func pairs(n *node.Node) []node.Pair {
	if n == nil {
		return nil
	}
	return n.Pairs
}

// reading takes alarms out of API input, in CloudFormation's names or the API's
// own, which are the same.
type reading struct{ resources *node.Node }

func (r reading) alarm(n *node.Node) alarms.Alarm {
	a := alarms.Alarm{
		Name: r.text(n.Get("AlarmName")), Description: r.text(n.Get("AlarmDescription")),
		Comparison: alarms.Comparison(n.Get("ComparisonOperator").Value()), Threshold: float(n.Get("Threshold")),
		EvaluationPeriods: int(float(n.Get("EvaluationPeriods"))), DatapointsToAlarm: int(float(n.Get("DatapointsToAlarm"))),
		Missing: alarms.Missing(n.Get("TreatMissingData").Value()), LowSample: n.Get("EvaluateLowSampleCountPercentile").Value(),
		ActionsDisabled: n.Get("ActionsEnabled").Value() == "false",
		Actions:         r.list(n.Get("AlarmActions")), OKActions: r.list(n.Get("OKActions")), NoDataActions: r.list(n.Get("InsufficientDataActions")),
		Tags: r.tags(n.Get("Tags")),
	}
	if metrics := n.Get("Metrics").List(); len(metrics) > 0 {
		for _, m := range metrics {
			q := alarms.Query{ID: m.Get("Id").Value(), Expression: r.text(m.Get("Expression")), Label: m.Get("Label").Value(), Return: m.Get("ReturnData").Value() != "false"}
			if of := m.Get("MetricStat"); of != nil {
				metric := of.Get("Metric")
				q.Stat = &alarms.Stat{Namespace: metric.Get("Namespace").Value(), Metric: metric.Get("MetricName").Value(), Dimensions: r.dimensions(metric.Get("Dimensions")),
					Statistic: of.Get("Stat").Value(), Period: int(float(of.Get("Period")))}
			}
			a.Queries = append(a.Queries, q)
		}
		return a
	}
	if n.Get("MetricName") == nil {
		return a
	}
	s := alarms.Stat{Namespace: r.text(n.Get("Namespace")), Metric: r.text(n.Get("MetricName")), Dimensions: r.dimensions(n.Get("Dimensions")),
		Statistic: n.Get("Statistic").Value() + n.Get("ExtendedStatistic").Value(), Period: int(float(n.Get("Period")))}
	a.Queries = []alarms.Query{{ID: "m1", Stat: &s, Return: true}}
	return a
}

func (r reading) composite(n *node.Node) alarms.Composite {
	return alarms.Composite{
		Name: r.text(n.Get("AlarmName")), Description: r.text(n.Get("AlarmDescription")), Rule: r.text(n.Get("AlarmRule")),
		ActionsDisabled: n.Get("ActionsEnabled").Value() == "false",
		Actions:         r.list(n.Get("AlarmActions")), OKActions: r.list(n.Get("OKActions")), NoDataActions: r.list(n.Get("InsufficientDataActions")),
		Tags: r.tags(n.Get("Tags")),
	}
}

func float(n *node.Node) float64 {
	f, err := n.Float()
	if err != nil {
		return 0
	}
	return f
}

func (r reading) list(n *node.Node) []string {
	var out []string
	for _, item := range n.List() {
		out = append(out, r.text(item))
	}
	return out
}

func (r reading) tags(n *node.Node) []alarms.Tag {
	var out []alarms.Tag
	for _, item := range n.List() {
		out = append(out, alarms.Tag{Key: item.Get("Key").Value(), Value: r.text(item.Get("Value"))})
	}
	return out
}

func (r reading) dimensions(n *node.Node) []alarms.Dimension {
	var out []alarms.Dimension
	for _, item := range n.List() {
		out = append(out, alarms.Dimension{Name: item.Get("Name").Value(), Value: r.text(item.Get("Value"))})
	}
	return out
}

// text is a scalar, a Ref or an Fn::Sub as a text with placeholders. Another
// function stands for itself, as a placeholder that is not declared.
func (r reading) text(n *node.Node) string {
	if n == nil {
		return ""
	}
	if n.Scalar() {
		if r.resources == nil {
			return n.Value() // the shell's, whose placeholders are ours already
		}
		return alarms.Literal(n.Value())
	}
	if ref := n.Get("Ref"); ref != nil {
		return r.ref(ref.Value())
	}
	if sub := n.Get("Fn::Sub"); sub.Scalar() {
		return fromSub(sub.Value())
	}
	if at := n.Get("Fn::GetAtt").List(); len(at) == 2 {
		return "${" + identifier(at[0].Value()+at[1].Value()) + "}"
	}
	return "${Unknown}"
}

// ref is what CloudFormation gives for a Ref, as far as alarms care.
func (r reading) ref(name string) string {
	resource := r.resources.Get(name)
	if resource.Get("Type").Value() == "AWS::Events::Rule" {
		bus := resource.At("Properties", "EventBusName")
		if bus != nil && bus.Value() != "default" {
			return r.text(bus) + "|" + "${" + identifier(name) + "}"
		}
	}
	return "${" + identifier(name) + "}"
}

// identifier is a name as a placeholder can have it: AWS::StackName is
// AWSStackName.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}

// fromSub turns ${!x} into the literal that it stands for.
func fromSub(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if rest, literal := strings.CutPrefix(after, "!"); literal {
			b.WriteString("$${")
			s = rest
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			b.WriteString("$${" + after)
			return b.String()
		}
		b.WriteString("${" + identifier(name) + "}")
		s = rest
	}
}
