package examples

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// mark ends the lines of the template that attach Throughline.
const mark = " # +"

// withoutUs is the template as it was before Throughline was attached, and how
// many lines that took.
func withoutUs(t *testing.T) (path string, lines int) {
	t.Helper()
	text, err := os.ReadFile("sam/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if strings.Contains(line, mark) && !strings.HasPrefix(line, "#") {
			lines++
			continue
		}
		kept = append(kept, line)
	}
	path = filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(kept, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, lines
}

// translated is what the SAM translator makes of a template, as sam deploy does.
const translated = `
import json, sys
from samtranslator.yaml_helper import yaml_parse
from samtranslator.translator.transform import transform
class Policies:
    def load(self): return {}
template = yaml_parse(open(sys.argv[1]).read())
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"  # what sam package does
for r in template["Resources"].values():
    for code in ("ContentUri", "CodeUri"):
        if code in r["Properties"]: r["Properties"][code] = "s3://bucket/key"
print(json.dumps(transform(template, {}, Policies())))
`

type stack struct {
	Resources map[string]struct {
		Type       string
		Properties json.RawMessage
	}
}

func translate(t *testing.T, path string) (s stack) {
	t.Helper()
	cmd := exec.Command(peertest.Module(t, "samtranslator"), "-c", translated, path)
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("translate: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

type functionProperties struct {
	Handler     string
	Runtime     string
	Layers      []json.RawMessage
	Environment struct{ Variables map[string]any }
}

// functions are the properties of the stack's functions, by logical ID.
func (s stack) functions(t *testing.T) map[string]functionProperties {
	t.Helper()
	found := map[string]functionProperties{}
	for id, r := range s.Resources {
		if r.Type == "AWS::Lambda::Function" {
			var p functionProperties
			if err := json.Unmarshal(r.Properties, &p); err != nil {
				t.Fatal(err)
			}
			found[id] = p
		}
	}
	return found
}

func TestSAMIsAttachedInUnderTenLines(t *testing.T) {
	before, lines := withoutUs(t)
	if lines == 0 || lines >= 10 {
		t.Errorf("attaching takes %d lines", lines)
	}
	for name, path := range map[string]string{"before": before, "after": "sam/template.yaml"} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command(peertest.Command(t, "cfn-lint"), "--non-zero-exit-code", "warning", path).CombinedOutput(); err != nil {
				t.Errorf("cfn-lint: %v\n%s", err, out)
			}
			functions := translate(t, path).functions(t)
			if len(functions) != 4 {
				t.Errorf("%d functions", len(functions))
			}
			for id, f := range functions {
				wrapped := f.Environment.Variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/throughline/wrapper"
				if attached := len(f.Layers) == 1 && wrapped; attached != (name == "after") {
					t.Errorf("%s: layers %s, variables %v", id, f.Layers, f.Environment.Variables)
				}
			}
		})
	}
}

// own is a function of the stack behind a runtime of its language.
func own(t *testing.T, p functionProperties) lambdalocal.Function {
	t.Helper()
	switch {
	case strings.HasPrefix(p.Runtime, "python"):
		return python(t, "sam/functions", p.Handler)
	case strings.HasPrefix(p.Runtime, "nodejs"):
		root, err := filepath.Abs("sam/notifications")
		if err != nil {
			t.Fatal(err)
		}
		runtime, err := filepath.Abs("../layer/conformance/testdata/node/bootstrap.mjs")
		if err != nil {
			t.Fatal(err)
		}
		return lambdalocal.Function{Handler: p.Handler, TaskRoot: root, ExecutionEnv: "AWS_Lambda_nodejs22.x", Runtime: []string{peertest.Command(t, "node"), runtime}}
	}
	return lambdalocal.Function{Handler: p.Handler, Runtime: []string{binary(t, "examples/sam/portfolio")}}
}

// TestSAMGivesALinkedWorkflow runs the stack's own functions, with its own
// variables, behind its own rules and queue.
func TestSAMGivesALinkedWorkflow(t *testing.T) {
	stack := translate(t, "sam/template.yaml")
	s := newScene(t)
	deployed := map[string]*lambdalocal.Deployment{}
	for id, p := range stack.functions(t) {
		f := own(t, p)
		f.Name, f.Env = id, map[string]string{"EVENT_BUS_NAME": busName}
		for name, value := range p.Environment.Variables {
			if text, ok := value.(string); ok { // EVENT_BUS_NAME refers to the bus
				f.Env[name] = text
			}
		}
		deployed[id] = s.create(f)
	}
	queue := &buslocal.Queue{QueueName: "Plans", Bus: s.bus, Consume: func(ctx context.Context, payload []byte, ids []string) []string {
		result, err := deployed["Execution"].Invoke(ctx, payload, lambdalocal.InvokeOptions{Wait: true})
		if err != nil {
			t.Errorf("execution: %v", err)
			return ids
		}
		return result.FailedMessages(ids)
	}}
	s.addRules(stack, func(id string) buslocal.Target {
		if f := deployed[id]; f != nil {
			return target{id, f}
		}
		return queue
	})
	if result, err := deployed["Strategy"].Invoke(t.Context(), []byte(`{}`), lambdalocal.InvokeOptions{}); err != nil || result.FunctionError != "" {
		t.Fatalf("%v %s\n%s", err, result.Payload, s.logged())
	}
	s.settle()
	var types []string
	for _, e := range s.bus.Ledger().Published {
		types = append(types, e.DetailType)
	}
	if want := []string{"SignalGenerated", "RebalancePlanned", "TradeExecuted", "TradeExecuted"}; !slices.Equal(types, want) {
		t.Fatalf("published %q\n%s", types, s.logged())
	}
	tree := s.tree("--last")
	for _, want := range []string{"4 events, 4 functions", "⇢ Portfolio", "⇢ Execution", "POST /v2/orders  200", "⇢ Notifications"} {
		if !strings.Contains(tree, want) {
			t.Errorf("the tree has no %q:\n%s\n%s", want, tree, s.logged())
		}
	}
	if strings.Contains(tree, "not seen") {
		t.Errorf("a cause is missing:\n%s", tree)
	}
}

// addRules puts the stack's rules on the bus.
func (s *scene) addRules(stack stack, target func(id string) buslocal.Target) {
	s.t.Helper()
	for id, r := range stack.Resources {
		if r.Type != "AWS::Events::Rule" {
			continue
		}
		var p struct {
			EventPattern json.RawMessage
			Targets      []struct {
				Arn struct {
					GetAtt []string `json:"Fn::GetAtt"`
				}
			}
		}
		if err := json.Unmarshal(r.Properties, &p); err != nil {
			s.t.Fatal(err)
		}
		rule := buslocal.Rule{Name: id, Bus: busName, Pattern: string(p.EventPattern)}
		for _, to := range p.Targets {
			rule.Targets = append(rule.Targets, buslocal.RuleTarget{Target: target(to.Arn.GetAtt[0])})
		}
		if err := s.bus.AddRule(rule); err != nil {
			s.t.Fatal(err)
		}
	}
}
