package alarmparse

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/internal/yamltree"
)

// CloudFormation reads the alarms of a template and ignores everything else. It resolves
// numbers and words, with values for parameters before their defaults. For Fn::If it uses
// the first branch that is possible. A text with Ref or Fn::Sub gets placeholders.
// References to resources keep the form that CloudFormation returns (a queue's URL, an
// ARN, bus|rule), so that lint can report that no metric has it. It returns an error for
// a document that cannot be read or has no Resources.
func CloudFormation(data []byte, values map[string]string) (alarms.Set, error) {
	t, err := template.Open(data, values)
	if err != nil {
		return alarms.Set{}, err
	}
	s := alarms.Set{Name: "template", Namespace: "Throughline"}
	for _, p := range t.Root().Get("Parameters").Members() {
		s.Parameters = append(s.Parameters, alarms.Parameter{
			Name: p.Key, Default: p.Value.Get("Default").Value(), HasDefault: p.Value.Get("Default") != nil, Description: p.Value.Get("Description").Value(),
		})
	}
	r := reading{text: t.Given, scalar: t.Scalar}
	for _, pair := range t.Root().Get("Resources").Members() {
		properties := pair.Value.Get("Properties")
		switch pair.Value.Get("Type").Value() {
		case "AWS::CloudWatch::Alarm":
			a := r.alarm(properties)
			a.Meta = alarms.Meta{Kind: "custom", Resource: pair.Key, Line: pair.Line}
			a.Name = cmp.Or(a.Name, pair.Key) // CloudFormation generates one
			if list := properties.Get("AlarmActions"); list != nil && list.Kind == yamltree.List && len(list.Items) == 0 {
				s.Notes = append(s.Notes, alarms.Note{Line: pair.Line, Message: pair.Key + ": AlarmActions is an empty list: the alarm notifies nobody"})
			}
			if a.ActionsDisabled && len(a.Actions) > 0 {
				s.Notes = append(s.Notes, alarms.Note{Line: pair.Line, Message: pair.Key + ": ActionsEnabled is false: the alarm notifies nobody"})
			}
			s.Found = append(s.Found, wrongReferences(t, a, properties)...)
			s.Alarms = append(s.Alarms, a.Normalize())
		case "AWS::CloudWatch::CompositeAlarm":
			c := r.composite(properties)
			c.Meta = alarms.Meta{Kind: "composite", Resource: pair.Key, Line: pair.Line}
			s.Composites = append(s.Composites, c.Normalize())
		}
	}
	return s, nil
}

// wrongReferences returns the dimensions whose reference returns another name of the
// resource than the metric has.
func wrongReferences(t *template.Template, a alarms.Alarm, properties *yamltree.Node) []alarms.Finding {
	var found []alarms.Finding
	lists := []*yamltree.Node{properties.Get("Dimensions")}
	for _, m := range properties.Get("Metrics").List() {
		lists = append(lists, m.At("MetricStat", "Metric", "Dimensions"))
	}
	for _, list := range lists {
		for _, d := range list.List() {
			name := t.Scalar(d.Get("Name"))
			resource, attribute := t.Target(d.Get("Value"))
			api := resource == "AWS::ApiGateway::RestApi" || resource == "AWS::Serverless::Api"
			machine := resource == "AWS::StepFunctions::StateMachine" || resource == "AWS::Serverless::StateMachine"
			wrong := ""
			switch {
			case name == "ApiName" && api && attribute != "Name":
				wrong = "is the API's ID, and the metric has the API's name"
			case name == "ApiName" && (resource == "AWS::ApiGatewayV2::Api" || resource == "AWS::Serverless::HttpApi"):
				wrong = "is the ID of an HTTP API, whose metrics have ApiId"
			case name == "StateMachineArn" && machine && attribute == "Name":
				wrong = "is the state machine's name, and the metric has its ARN: write Ref"
			default:
				continue
			}
			found = append(found, alarms.Finding{Line: a.Meta.Line, Alarm: a.Name, Message: "it can never fire: the value of " + name + " " + wrong})
		}
	}
	return found
}

// reading reads alarms from API input. CloudFormation and the API use the same names.
type reading struct {
	text   func(*yamltree.Node) string // reads a text that can have placeholders
	scalar func(*yamltree.Node) string // reads a number or a word
}

func (r reading) alarm(n *yamltree.Node) alarms.Alarm {
	a := alarms.Alarm{
		Name: r.text(n.Get("AlarmName")), Description: r.text(n.Get("AlarmDescription")),
		Comparison: alarms.Comparison(r.scalar(n.Get("ComparisonOperator"))), Threshold: r.float(n.Get("Threshold")), ThresholdMetric: r.scalar(n.Get("ThresholdMetricId")),
		EvaluationPeriods: int(r.float(n.Get("EvaluationPeriods"))), DatapointsToAlarm: int(r.float(n.Get("DatapointsToAlarm"))),
		Missing: alarms.Missing(r.scalar(n.Get("TreatMissingData"))), LowSample: r.scalar(n.Get("EvaluateLowSampleCountPercentile")),
		ActionsDisabled: r.scalar(n.Get("ActionsEnabled")) == "false",
		Actions:         r.list(n.Get("AlarmActions")), OKActions: r.list(n.Get("OKActions")), NoDataActions: r.list(n.Get("InsufficientDataActions")),
		Tags: r.tags(n.Get("Tags")),
	}
	if metrics := n.Get("Metrics").List(); len(metrics) > 0 {
		for _, m := range metrics {
			q := alarms.Query{ID: r.scalar(m.Get("Id")), Expression: r.text(m.Get("Expression")), Label: r.scalar(m.Get("Label")), Return: r.scalar(m.Get("ReturnData")) != "false", Period: int(r.float(m.Get("Period")))}
			if of := m.Get("MetricStat"); of != nil {
				metric := of.Get("Metric")
				q.Stat = &alarms.Stat{Namespace: r.scalar(metric.Get("Namespace")), Metric: r.scalar(metric.Get("MetricName")), Dimensions: r.dimensions(metric.Get("Dimensions")),
					Statistic: r.scalar(of.Get("Stat")), Period: int(r.float(of.Get("Period"))), Unit: r.scalar(of.Get("Unit"))}
			}
			a.Queries = append(a.Queries, q)
		}
		return a
	}
	if n.Get("MetricName") == nil {
		return a
	}
	s := alarms.Stat{Namespace: r.text(n.Get("Namespace")), Metric: r.text(n.Get("MetricName")), Dimensions: r.dimensions(n.Get("Dimensions")),
		Statistic: r.scalar(n.Get("Statistic")) + r.scalar(n.Get("ExtendedStatistic")), Period: int(r.float(n.Get("Period"))), Unit: r.scalar(n.Get("Unit"))}
	a.Queries = []alarms.Query{{ID: "m1", Stat: &s, Return: true}}
	return a
}

func (r reading) composite(n *yamltree.Node) alarms.Composite {
	return alarms.Composite{
		Name: r.text(n.Get("AlarmName")), Description: r.text(n.Get("AlarmDescription")), Rule: r.text(n.Get("AlarmRule")),
		ActionsDisabled: r.scalar(n.Get("ActionsEnabled")) == "false",
		Actions:         r.list(n.Get("AlarmActions")), OKActions: r.list(n.Get("OKActions")), NoDataActions: r.list(n.Get("InsufficientDataActions")),
		Tags: r.tags(n.Get("Tags")),
	}
}

func (r reading) float(n *yamltree.Node) float64 {
	f, err := strconv.ParseFloat(r.scalar(n), 64)
	if err != nil {
		return 0
	}
	return f
}

func (r reading) list(n *yamltree.Node) []string {
	var out []string
	for _, item := range n.List() {
		out = append(out, r.text(item))
	}
	return out
}

func (r reading) tags(n *yamltree.Node) []alarms.Tag {
	var out []alarms.Tag
	for _, item := range n.List() {
		out = append(out, alarms.Tag{Key: r.scalar(item.Get("Key")), Value: r.text(item.Get("Value"))})
	}
	return out
}

func (r reading) dimensions(n *yamltree.Node) []alarms.Dimension {
	var out []alarms.Dimension
	for _, item := range n.List() {
		out = append(out, alarms.Dimension{Name: r.scalar(item.Get("Name")), Value: r.text(item.Get("Value"))})
	}
	return out
}

// identifier returns a name in the form of a placeholder: AWS::StackName becomes
// AWSStackName.
func identifier(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}
