package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/alarmparse"
	"github.com/throughline/throughline/peertest"
)

func every(t *testing.T) alarms.Set {
	t.Helper()
	text, err := os.ReadFile("../../../../alarms/testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := alarms.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	// Texts that each output has to escape in its own way.
	s.Alarms[0].Description = "it's \"quoted\" \\ $HOME `id` $${literal} %{if} <é> ${OrdersFn}."
	s.Alarms[1].Tags = []alarms.Tag{{Key: "team", Value: "trade's $(whoami)"}, {Key: "a:b", Value: "${OrdersFn}"}}
	s.Alarms[2].ActionsDisabled, s.Alarms[2].OKActions, s.Alarms[2].NoDataActions = true, []string{"${AlertTopic}"}, []string{"arn:aws:sns:eu-west-1:1:a", "arn:aws:sns:eu-west-1:1:b"}
	s.Alarms[3].Threshold = 0.125
	s.Composites[0].Tags = []alarms.Tag{{Key: "team", Value: "trade"}}
	return s
}

// same holds what was read back to the set.
func same(t *testing.T, format string, got, want alarms.Set) {
	t.Helper()
	if len(got.Alarms) != len(want.Alarms) || len(got.Composites) != len(want.Composites) {
		t.Fatalf("%s: %d alarms and %d composites, not %d and %d", format, len(got.Alarms), len(got.Composites), len(want.Alarms), len(want.Composites))
	}
	byName := map[string]alarms.Alarm{}
	for _, a := range got.Alarms {
		byName[a.Name] = a
	}
	for _, a := range want.Alarms {
		if !alarms.Equal(byName[a.Name], a) {
			t.Errorf("%s: %s: %+v", format, a.Name, alarms.Diff(a, byName[a.Name]))
		}
	}
	for i, c := range want.Composites {
		if d := alarms.DiffComposite(c, got.Composites[i]); len(d) > 0 || c.Name != got.Composites[i].Name {
			t.Errorf("%s: %s: %+v", format, c.Name, d)
		}
	}
}

// TestFourOutputsAreTheSet: each is read back and compared, placeholders and all.
func TestFourOutputsAreTheSet(t *testing.T) {
	s := every(t)
	resolved, err := s.Resolve(map[string]string{"OrdersFn": "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]alarms.Set{"unresolved": s, "resolved": literal(resolved)} {
		for format, render := range map[string]func(alarms.Set) ([]File, error){
			"cloudformation": func(s alarms.Set) ([]File, error) { return CloudFormation(s, nil) },
			"sam":            func(s alarms.Set) ([]File, error) { return SAM(s, nil) },
		} {
			files, err := render(set)
			if err != nil {
				t.Fatal(err)
			}
			got, err := alarmparse.CloudFormation(files[0].Data, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, name+" "+format, got, set)
		}
		files, err := Terraform(set)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name+" terraform", parseTerraform(t, files[0].Data, set), set)
		if files, err = Shell(set); err != nil {
			t.Fatal(err)
		}
		got, err := alarmparse.Shell(files[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Parameters) == 0 {
			set = literal(resolved.Owned())
		}
		same(t, name+" sh", got, set)
	}
}

// literal is a resolved set as an unresolved one of the same meaning.
func literal(s alarms.Set) alarms.Set { return s.Map(alarms.Literal) }

// parseTerraform reads the output with HashiCorp's own parser. Each variable has
// its placeholder for a value.
func parseTerraform(t *testing.T, data []byte, s alarms.Set) alarms.Set {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL(data, "alarms.tf")
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, data)
	}
	variables, names := map[string]cty.Value{}, variables(s.Parameters)
	for _, p := range s.Parameters {
		variables[names[p.Name]] = cty.StringVal(begin + p.Name + end)
	}
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{"var": cty.ObjectVal(variables)}}
	var out alarms.Set
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "resource" {
			continue
		}
		h := hclBody{t, block.Body, ctx}
		if block.Labels[0] == "aws_cloudwatch_composite_alarm" {
			out.Composites = append(out.Composites, alarms.Composite{Name: h.text("alarm_name"), Rule: h.text("alarm_rule"), Description: h.text("alarm_description"), ActionsDisabled: h.off(),
				Actions: h.list("alarm_actions"), OKActions: h.list("ok_actions"), NoDataActions: h.list("insufficient_data_actions"), Tags: h.tags()})
			continue
		}
		a := alarms.Alarm{Name: h.text("alarm_name"), Description: h.text("alarm_description"), Comparison: alarms.Comparison(h.text("comparison_operator")), Threshold: h.number("threshold"),
			EvaluationPeriods: int(h.number("evaluation_periods")), DatapointsToAlarm: int(h.number("datapoints_to_alarm")), Missing: alarms.Missing(h.text("treat_missing_data")),
			LowSample: h.text("evaluate_low_sample_count_percentiles"), ActionsDisabled: h.off(),
			Actions: h.list("alarm_actions"), OKActions: h.list("ok_actions"), NoDataActions: h.list("insufficient_data_actions"), Tags: h.tags()}
		if h.text("metric_name") != "" {
			stat := h.stat()
			stat.Statistic = h.text("statistic") + h.text("extended_statistic")
			a.Queries = []alarms.Query{{ID: "m1", Stat: &stat, Return: true}}
		}
		for _, inner := range block.Body.Blocks {
			m := hclBody{t, inner.Body, ctx}
			q := alarms.Query{ID: m.text("id"), Expression: m.text("expression"), Label: m.text("label"), Return: m.value("return_data").True()}
			for _, metric := range inner.Body.Blocks {
				b := hclBody{t, metric.Body, ctx}
				stat := b.stat()
				stat.Statistic = b.text("stat")
				q.Stat = &stat
			}
			a.Queries = append(a.Queries, q)
		}
		out.Alarms = append(out.Alarms, a)
	}
	return out
}

type hclBody struct {
	t    *testing.T
	body *hclsyntax.Body
	ctx  *hcl.EvalContext
}

func (h hclBody) value(key string) cty.Value {
	attribute, ok := h.body.Attributes[key]
	if !ok {
		return cty.NilVal
	}
	v, diags := attribute.Expr.Value(h.ctx)
	if diags.HasErrors() {
		h.t.Fatalf("%s: %v", key, diags)
	}
	return v
}

// unmark turns what a variable gave into the placeholder that it was.
func unmark(s string) string {
	return strings.NewReplacer(begin, "${", end, "}").Replace(alarms.Literal(s))
}

func (h hclBody) text(key string) string {
	if v := h.value(key); v != cty.NilVal {
		return unmark(v.AsString())
	}
	return ""
}

func (h hclBody) number(key string) float64 {
	f, _ := h.value(key).AsBigFloat().Float64()
	return f
}

func (h hclBody) off() bool {
	v := h.value("actions_enabled")
	return v != cty.NilVal && v.False()
}

func (h hclBody) list(key string) (out []string) {
	if v := h.value(key); v != cty.NilVal {
		for _, item := range v.AsValueSlice() {
			out = append(out, unmark(item.AsString()))
		}
	}
	return out
}

func (h hclBody) pairs(key string) (out []alarms.Tag) {
	if v := h.value(key); v != cty.NilVal {
		for k, item := range v.AsValueMap() {
			out = append(out, alarms.Tag{Key: k, Value: unmark(item.AsString())})
		}
	}
	return out
}

func (h hclBody) tags() []alarms.Tag { return h.pairs("tags") }

func (h hclBody) stat() alarms.Stat {
	s := alarms.Stat{Namespace: h.text("namespace"), Metric: h.text("metric_name"), Period: int(h.number("period"))}
	for _, p := range h.pairs("dimensions") {
		s.Dimensions = append(s.Dimensions, alarms.Dimension{Name: p.Key, Value: p.Value})
	}
	return s
}

func TestDeterministic(t *testing.T) {
	render := func() string {
		var b bytes.Buffer
		s := every(t)
		for _, f := range []func() ([]File, error){
			func() ([]File, error) { return CloudFormation(s, nil) }, func() ([]File, error) { return Terraform(s) }, func() ([]File, error) { return Shell(s) },
		} {
			files, err := f()
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				b.Write(file.Data)
			}
		}
		return b.String()
	}
	first := render()
	for range 5 {
		if render() != first {
			t.Fatal("the same set gives other bytes")
		}
	}
}

// TestShardsAreTheSameEachTime: resources beside the alarms are in the same file
// each time.
func TestShardsAreTheSameEachTime(t *testing.T) {
	s := every(t)
	a := s.Alarms[5]
	for i := range 450 {
		a.Name = fmt.Sprintf("orders/many-%d", i)
		s.Alarms = append(s.Alarms, a)
	}
	extra := map[string]any{}
	for i := range 40 {
		extra[fmt.Sprintf("Query%d", i)] = map[string]any{"Type": "AWS::Logs::QueryDefinition"}
	}
	var first string
	for range 5 {
		files, err := CloudFormation(s, extra)
		if err != nil || len(files) != 2 {
			t.Fatal(len(files), err)
		}
		text := fmt.Sprintf("%s", files)
		if first == "" {
			first = text
		}
		if text != first {
			t.Fatal("the same set gives other files")
		}
	}
}

// TestShards: a template has at most 500 resources, and no alarm is lost.
func TestShards(t *testing.T) {
	s := every(t)
	a := s.Alarms[5]
	for i := range 1200 {
		a.Name = fmt.Sprintf("orders/many-%d", i)
		s.Alarms = append(s.Alarms, a)
	}
	files, err := CloudFormation(s, nil)
	if err != nil || len(files) != 3 || files[2].Name != "alarms-3.yaml" {
		t.Fatal(len(files), err)
	}
	total, composites := 0, 0
	for _, f := range files {
		part, err := alarmparse.CloudFormation(f.Data, nil)
		if err != nil || len(part.Alarms)+len(part.Composites) > 500 {
			t.Fatal(len(part.Alarms), err)
		}
		total, composites = total+len(part.Alarms), composites+len(part.Composites)
	}
	if total != len(s.Alarms) || composites != len(s.Composites) {
		t.Errorf("%d of %d alarms", total, len(s.Alarms))
	}
}

func TestCfnLint(t *testing.T) {
	path := peertest.Command(t, "cfn-lint")
	s := every(t)
	s.Alarms[2].NoDataActions = nil
	dashboard, err := DashboardResource(s)
	if err != nil {
		t.Fatal(err)
	}
	extra := QueryDefinitions(s)
	extra["Dashboard"] = dashboard
	dir := t.TempDir()
	var args []string
	for name, render := range map[string]func(alarms.Set, map[string]any) ([]File, error){"cloudformation": CloudFormation, "sam": SAM} {
		files, err := render(s, extra)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, files[0].Data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTerraformFmt(t *testing.T) {
	path := peertest.Command(t, "terraform")
	files, err := Terraform(every(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "fmt", "-check", "-diff", "-")
	cmd.Stdin = bytes.NewReader(files[0].Data)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInputShapes: for every alarm and composite, aws cloudwatch put-… with
// --generate-cli-skeleton output ends with 0, and with another for an input that
// is wrong. One process runs the CLI for all of them.
func TestInputShapes(t *testing.T) {
	python := peertest.Module(t, "awscli")
	resolved, err := every(t).Resolve(map[string]string{"OrdersFn": "fn-1"})
	if err != nil {
		t.Fatal(err)
	}
	say := func(s string) any { return s }
	var calls [][2]any
	for _, a := range resolved.Alarms {
		calls = append(calls, [2]any{"put-metric-alarm", metricAlarm(a, say)})
	}
	for _, c := range resolved.Composites {
		calls = append(calls, [2]any{"put-composite-alarm", compositeAlarm(c, say)})
	}
	wrong := metricAlarm(resolved.Alarms[0], say)
	wrong["Periods"] = 60
	calls = append(calls, [2]any{"put-metric-alarm", wrong})
	text, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
codes, drivers = [], {}
for verb, document in json.load(sys.stdin):
    # a driver keeps the shape of the first operation that it was called with
    if verb not in drivers:
        drivers[verb] = create_clidriver()
    driver = drivers[verb]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        codes.append(driver.main(["cloudwatch", verb, "--region", "eu-west-1", "--cli-input-json", json.dumps(document), "--generate-cli-skeleton", "output"]))
    if codes[-1]:
        print(document["AlarmName"], said.getvalue(), file=sys.stderr)
print(json.dumps(codes))`)
	cmd.Stdin = bytes.NewReader(text)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var codes []int
	if err := json.Unmarshal(out, &codes); err != nil || len(codes) != len(calls) {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, code := range codes[:len(codes)-1] {
		if code != 0 {
			t.Errorf("%v: the CLI ends with %d\n%s", calls[i], code, said.String())
		}
	}
	if codes[len(codes)-1] == 0 {
		t.Error("the CLI takes a member that there is not")
	}
}
