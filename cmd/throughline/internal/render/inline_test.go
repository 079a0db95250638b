package render

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/internal/yamltree"
	"github.com/throughline/throughline/peertest"
)

// inTemplate renders the alarms of a template for itself and returns the template with
// them in it. They tell its topic Alerts, if notify is set.
func inTemplate(t *testing.T, text string, notify bool) (whole string, notes []string) {
	t.Helper()
	o := template.Options{Name: "t"}
	spec, err := template.Spec([]byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	if notify {
		spec = []byte(strings.NewReplacer("notify: none", `notify: {critical: ["${Alerts}"]}`, "\nparameters:\n", "\nparameters:\n  Alerts: {}\n").Replace(string(spec)))
	}
	s, err := alarms.Compile(spec)
	if err != nil {
		t.Fatalf("%v\n%s", err, spec)
	}
	stack, err := template.OpenStack([]byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	file, notes, err := Inline(s, stack, "template.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, spec)
	}
	return strings.TrimRight(text, "\n") + "\n" + string(file.Data), notes
}

const stack = `Transform: AWS::Serverless-2016-10-31
Parameters: {Stage: {Type: String, Default: dev}, Cold: {Type: String, Default: "no"}}
Conditions: {Warm: !Equals [!Ref Cold, "no"], Unknown: !Equals [!Ref "AWS::Region", eu-west-1]}
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub "bus-${Stage}"}}
  Alerts: {Type: AWS::SNS::Topic}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "orders-${Stage}"
      Runtime: python3.12
      Handler: a.b
      InlineCode: x
      Events:
        Made: {Type: EventBridgeRule, Properties: {EventBusName: !Ref Bus, Pattern: {source: [a]}, DeadLetterConfig: {Type: SQS}}}
        Any: {Type: EventBridgeRule, Properties: {Pattern: {source: [a]}}}
        Queue: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}
  Plain:
    Type: AWS::Serverless::Function
    Condition: Warm
    Properties: {Runtime: python3.12, Handler: a.b, InlineCode: x, Events: {Maybe: {Type: EventBridgeRule, Properties: {Pattern: {source: [b]}}}}}
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work, RedrivePolicy: {deadLetterTargetArn: !If [Unknown, !GetAtt Dead.Arn, !GetAtt OrdersErrorsAnyAlarm.Arn], maxReceiveCount: 3}}}
  Dead: {Type: AWS::SQS::Queue, Condition: Unknown}
  Table: {Type: AWS::DynamoDB::Table, Condition: Warm, DeletionPolicy: Delete, UpdateReplacePolicy: Delete, Properties: {AttributeDefinitions: [{AttributeName: a, AttributeType: S}], KeySchema: [{AttributeName: a, KeyType: HASH}]}}
  OrdersErrorsAnyAlarm: {Type: AWS::SQS::Queue, Properties: {QueueName: taken}}
`

// TestInline: each name is a reference to what the template calls so, by the function that
// gives it; what is conditional is watched where it is there.
func TestInline(t *testing.T) {
	whole, notes := inTemplate(t, stack, true)
	if len(notes) != 0 {
		t.Errorf("%v", notes)
	}
	root, err := yamltree.Parse([]byte(whole))
	if err != nil {
		t.Fatalf("%v\n%s", err, whole)
	}
	show := func(id string, path ...string) string {
		data, err := json.Marshal(plain0(root.At(append([]string{"Resources", id}, path...)...)))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for want, got := range map[string]string{
		`{"Fn::Sub":"t-${Orders}-errors-any"}`:               show("OrdersErrorsAnyAlarmx", "Properties", "AlarmName"),
		`[{"Name":"FunctionName","Value":{"Ref":"Orders"}}]`: show("OrdersErrorsAnyAlarmx", "Properties", "Dimensions"),
		`"Warm"`:                             show("PlainErrorsAnyAlarm", "Condition"),
		`{"Fn::Sub":"t-${Table}-throttles"}`: show("TableThrottlesAlarm", "Properties", "AlarmName"),
		`[{"Ref":"Alerts"}]`:                 show("OrdersServiceAlarm", "Properties", "AlarmActions"),
		`{"Fn::Sub":"ALARM(\"${OrdersErrorsAnyAlarmx}\") OR ALARM(\"${WorkStuckAlarm}\") OR ALARM(\"${OrdersLostAlarm}\")"}`: show("OrdersServiceAlarm", "Properties", "AlarmRule"),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	lost := show("OrdersLostAlarm", "Properties", "Metrics")
	for _, want := range []string{
		`{"Name":"EventBusName","Value":{"Ref":"Bus"}},{"Name":"RuleName","Value":{"Fn::Select":[1,{"Fn::Split":["|",{"Ref":"OrdersMade"}]}]}}`, `[{"Name":"RuleName","Value":{"Ref":"OrdersAny"}}]`,
		`{"Fn::GetAtt":["OrdersMadeQueue","QueueName"]}`, `{"Fn::If":["Unknown",{"Fn::GetAtt":["Dead","QueueName"]},"none"]}`,
	} {
		if !strings.Contains(lost, want) {
			t.Errorf("no %s in %s", want, lost)
		}
	}
	if again, _ := inTemplate(t, stack, true); again != whole {
		t.Error("other bytes the second time")
	}
}

// plain0 is a tree as values for JSON.
func plain0(n *yamltree.Node) any {
	switch {
	case n == nil:
		return nil
	case n.Kind == yamltree.Map:
		out := map[string]any{}
		for _, p := range n.Pairs {
			out[p.Key] = plain0(p.Value)
		}
		return out
	case n.Kind == yamltree.List:
		out := []any{}
		for _, item := range n.Items {
			out = append(out, plain0(item))
		}
		return out
	case n.Kind == yamltree.Number:
		f, _ := n.Float()
		return f
	}
	return n.Value()
}

// TestInlineRefuses: what has no value, and more than a template holds, is an error; what
// stands in a nested stack is left out and said.
func TestInlineRefuses(t *testing.T) {
	open := func(text, spec string, o template.Options) ([]string, error) {
		s, err := alarms.Compile([]byte(spec))
		if err != nil {
			t.Fatal(err)
		}
		stack, err := template.OpenStack([]byte(text), o)
		if err != nil {
			t.Fatal(err)
		}
		_, notes, err := Inline(s, stack, "template.yaml")
		return notes, err
	}
	if _, err := open(stack, "name: t\nparameters: {Other: {}}\nresources: [{kind: queue, name: \"${Other}\"}]", template.Options{}); err == nil || !strings.Contains(err.Error(), "no parameter and no resource for Other: give --set Other=…") {
		t.Error(err)
	}
	many := stack
	for i := range 499 {
		many += "  Q" + strings.Repeat("x", i) + ": {Type: AWS::SQS::Queue}\n"
	}
	if _, err := open(many, "name: t\nresources: [{kind: account}]", template.Options{}); err == nil || !strings.Contains(err.Error(), "resources with the alarms, and CloudFormation allows 500") {
		t.Error(err)
	}
	const outer = "Resources:\n  Inner: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: inner.yaml}}\n  Own: {Type: AWS::SQS::Queue}\n"
	o := template.Options{Open: func(string) ([]byte, error) { return []byte("Resources: {Q: {Type: AWS::SQS::Queue}}"), nil }}
	notes, err := open(outer, "name: t\nparameters: {InnerQ: {}, Own: {}}\nresources: [{kind: dlq, name: \"${InnerQ}\"}, {kind: dlq, name: \"${Own}\"}]\ncomposites: [{name: c, any: [\"${InnerQ}-depth\"]}]", o)
	if err != nil || len(notes) != 2 || !strings.Contains(notes[0], "InnerQ is in a nested stack") || !strings.Contains(notes[1], "no composite c") {
		t.Error(notes, err)
	}
}

// TestInlineIsTaken: cfn-lint, which has SAM's translator, takes the template with its
// alarms in it.
func TestInlineIsTaken(t *testing.T) {
	path := peertest.Command(t, "cfn-lint")
	data, err := os.ReadFile("../alarmscmd/testdata/system.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, outputs, _ := strings.Cut(string(data), "\nOutputs:")
	dir := t.TempDir()
	args := []string{"--"}
	for name, text := range map[string]string{"stack": stack, "system": text, "outputs": "Outputs:" + outputs + "\n" + text} {
		whole, _ := inTemplate(t, text, false)
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func FuzzInline(f *testing.F) {
	f.Add(stack)
	f.Add("Resources: {R: {Type: AWS::Events::Rule, Properties: {EventBusName: !ImportValue b, Name: '${x}'}}, Q: {Type: AWS::SQS::Queue, Condition: C, Properties: {QueueName: '-'}}}")
	f.Fuzz(func(t *testing.T, text string) {
		o := template.Options{Name: "f"}
		spec, err := template.Spec([]byte(text), o)
		if err != nil {
			return
		}
		s, err := alarms.Compile(spec)
		if err != nil {
			return
		}
		in, err := template.OpenStack([]byte(text), o)
		if err != nil {
			t.Fatal(err)
		}
		file, _, err := Inline(s, in, "template.yaml")
		if err != nil {
			return
		}
		root, err := yamltree.Parse(file.Data)
		if err != nil {
			t.Fatalf("%v\n%s", err, file.Data)
		}
		for _, p := range root.Members() {
			if typ := p.Value.Get("Type").Value(); !strings.HasPrefix(typ, "AWS::CloudWatch::") {
				t.Fatalf("%s is %q", p.Key, typ)
			}
		}
	})
}
