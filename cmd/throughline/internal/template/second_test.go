package template

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/template/templatetest"
	"github.com/throughline/throughline/internal/yamltree"
	"github.com/throughline/throughline/peertest"
)

// reading2 is what a template has to watch, as both readings tell it.
type reading2 struct {
	Functions map[string][4]float64 `json:"functions"` // time-out, reserved concurrency, whether it reads a stream and has a destination, by name
	Queues    map[string]string     `json:"queues"`    // the function that reads each
	DLQs      []string              `json:"dlqs"`
	Rules     map[string][3]string  `json:"rules"` // bus, function and dead-letter queue by name
	Tables    []string              `json:"tables"`
}

// ours is our reading of a template, with every parameter at its default and names that
// CloudFormation makes up as the second reading has them.
func ours(t *testing.T, template string) reading2 {
	t.Helper()
	text, err := Spec([]byte(template), Options{Name: "s", Values: map[string]string{"AWS::StackName": "stack", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, template)
	}
	clean(t, text)
	root, err := yamltree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	value := func(n *yamltree.Node) string {
		text := n.Value()
		for _, p := range root.Get("parameters").Members() {
			with := p.Key + "-physical"
			if d := p.Value.Get("default"); d != nil {
				with = d.Value()
			}
			text = strings.ReplaceAll(text, "${"+p.Key+"}", with)
		}
		return text
	}
	number := func(n *yamltree.Node) float64 {
		f, _ := strconv.ParseFloat(strings.TrimSuffix(n.Value(), "s"), 64)
		return f
	}
	is := func(n *yamltree.Node) float64 {
		if n.True() {
			return 1
		}
		return 0
	}
	out := reading2{Functions: map[string][4]float64{}, Queues: map[string]string{}, DLQs: []string{}, Rules: map[string][3]string{}, Tables: []string{}}
	for _, r := range root.Get("resources").List() {
		switch name := value(r.Get("name")); r.Get("kind").Value() {
		case "lambda":
			out.Functions[name] = [4]float64{number(r.Get("timeout")), number(r.Get("reserved")), is(r.Get("stream")), is(r.Get("destination"))}
		case "queue":
			out.Queues[name] = value(r.Get("of"))
		case "dlq":
			out.DLQs = append(out.DLQs, name)
		case "event-rule":
			out.Rules[name] = [3]string{value(r.Get("bus")), value(r.Get("of")), value(r.Get("dlq"))}
		case "dynamodb":
			out.Tables = append(out.Tables, name)
		}
	}
	slices.Sort(out.DLQs)
	slices.Sort(out.Tables)
	return out
}

// TestTwoReadingsAgree: the SAM translator and a reader in Python, which share nothing
// with ours, find the same functions, queues, dead-letter queues, rules and tables, with
// the same names, numbers and relations.
func TestTwoReadingsAgree(t *testing.T) {
	python := peertest.Module(t, "samtranslator")
	templates := templatetest.Templates()
	if len(templates) < 300 {
		t.Fatalf("%d templates", len(templates))
	}
	in, err := json.Marshal(templates)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/reader.py")
	cmd.Env = append(cmd.Environ(), "AWS_DEFAULT_REGION=eu-west-1")
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var theirs []reading2
	if err := json.Unmarshal(data, &theirs); err != nil || len(theirs) != len(templates) {
		t.Fatalf("%v, %d of %d", err, len(theirs), len(templates))
	}
	wrong := 0
	for i, template := range templates {
		if got := ours(t, template); !reflect.DeepEqual(got, theirs[i]) {
			if wrong++; wrong <= 5 {
				t.Errorf("%s\nours:   %+v\ntheirs: %+v", template, got, theirs[i])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d templates are read differently", wrong, len(templates))
	}
}
