package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/template/templatetest"
	"github.com/throughline/throughline/internal/yamltree"
	"github.com/throughline/throughline/peertest"
)

// shells are four that take POSIX scripts.
var shells = [][]string{{"dash"}, {"bash"}, {"zsh"}, {"busybox", "sh"}}

// outputs are those of one template.
type outputs struct {
	Templates map[string]string `json:"templates"` // CloudFormation and SAM
	Inline    string            `json:"inline"`    // the template with its alarms in it
	Own       []string          `json:"own"`       // their logical IDs
	terraform []byte
	shell     string
	set       alarms.Set
}

// rendered renders a set in every form, and again: the bytes must be the same.
func rendered(t *testing.T, text string) outputs {
	t.Helper()
	o := template.Options{Name: "t"}
	spec, err := template.Spec([]byte(text), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var first outputs
	for range 2 {
		s, err := alarms.Compile(spec)
		if err != nil {
			t.Fatalf("%v\n%s", err, spec)
		}
		stack, err := template.OpenStack([]byte(text), o)
		if err != nil {
			t.Fatal(err)
		}
		out := outputs{Templates: map[string]string{}, set: s}
		one := func(files []File, err error) []byte {
			if err != nil || len(files) != 1 {
				t.Fatalf("%d files, %v", len(files), err)
			}
			return files[0].Data
		}
		out.Templates["cloudformation"] = string(one(CloudFormation(s, nil)))
		out.Templates["sam"] = string(one(SAM(s, nil)))
		out.terraform, out.shell = one(Terraform(s)), string(one(Shell(s)))
		inline, notes, err := Inline(s, stack, "template.yaml")
		if err != nil || len(notes) != 0 {
			t.Fatalf("%v %v\n%s", notes, err, text)
		}
		root, err := yamltree.Parse(inline.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range root.Members() {
			out.Own = append(out.Own, p.Key)
		}
		out.Inline = text + string(inline.Data)
		if first.set.Name == "" {
			first = out
		}
		if out.Inline != first.Inline || out.shell != first.shell || !bytes.Equal(out.terraform, first.terraform) || out.Templates["cloudformation"] != first.Templates["cloudformation"] || out.Templates["sam"] != first.Templates["sam"] {
			t.Errorf("other bytes the second time:\n%s", text)
		}
	}
	return first
}

// described are a resolved set's alarms with their metrics, as accept.py tells them.
func described(s alarms.Set) []string {
	var out []string
	for _, a := range s.Alarms {
		var stats []string
		for _, stat := range a.Stats() {
			var dimensions []string
			for _, d := range stat.Dimensions {
				dimensions = append(dimensions, d.Name+"="+d.Value)
			}
			slices.Sort(dimensions)
			stats = append(stats, stat.Metric+" "+strings.Join(dimensions, ", "))
		}
		slices.Sort(stats)
		out = append(out, a.Name+": "+strings.Join(stats, "; "))
	}
	slices.Sort(out)
	return out
}

// TestOutputsAreAccepted: what is rendered for each of the generated templates is taken by
// HashiCorp's parser of Terraform's grammar, by four shells, by cfn-lint and by moto's
// CloudWatch; the alarms that this has then, and those that stand in the template itself
// as a second reader resolves it, are those of the set. Shells, cfn-lint and moto see one
// template in 48, all of them under make soak.
func TestOutputsAreAccepted(t *testing.T) {
	python := peertest.Module(t, "cfnlint")
	peertest.Module(t, "moto")
	step := 48
	if os.Getenv("THROUGHLINE_SOAK") == "1" {
		step = 1
	}
	var cases []outputs
	for i, text := range templatetest.Templates() {
		out := rendered(t, text)
		if _, diags := hclparse.NewParser().ParseHCL(out.terraform, "alarms.tf"); diags.HasErrors() {
			t.Errorf("%v\n%s", diags, out.terraform)
		}
		if (i+i/48)%step == 0 { // other features each time
			inShells(t, out)
			cases = append(cases, out)
		}
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/accept.py")
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var results []struct {
		Matches        [][]string
		Made, Standing []string
	}
	if err := json.Unmarshal(data, &results); err != nil || len(results) != len(cases) {
		t.Fatalf("%v\n%s", err, data)
	}
	for i, r := range results {
		for _, m := range r.Matches {
			t.Errorf("cfn-lint: %s\n%s", m, cases[i].Inline)
		}
		given := map[string]string{}
		for _, p := range cases[i].set.Parameters {
			if !p.HasDefault {
				given[p.Name] = p.Name + "-physical"
			}
		}
		s, err := cases[i].set.Resolve(given)
		if err != nil {
			t.Fatal(err)
		}
		if want := described(s); !slices.Equal(r.Made, want) {
			t.Errorf("moto made\n%s\nnot\n%s", strings.Join(r.Made, "\n"), strings.Join(want, "\n"))
		}
		if p := slices.IndexFunc(cases[i].set.Parameters, func(p alarms.Parameter) bool { return p.Name == "AWSStackName" }); p >= 0 {
			given["AWSStackName"] = "stack"
			if s, err = cases[i].set.Resolve(given); err != nil {
				t.Fatal(err)
			}
		}
		if want := described(s); !slices.Equal(r.Standing, want) {
			t.Errorf("in the template stand\n%s\nnot\n%s\n%s", strings.Join(r.Standing, "\n"), strings.Join(want, "\n"), cases[i].Inline)
		}
	}
}

// inShells runs the script in four shells with an aws that prints what it is given.
func inShells(t *testing.T, out outputs) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "alarms.sh")
	if err := os.WriteFile(script, []byte(strings.Replace(out.shell, "\nset -eu\n", "\nset -eu\naws() { printf '%s\\n' \"$*\"; }\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{"PATH=" + os.Getenv("PATH")}
	given := map[string]string{}
	for _, p := range out.set.Parameters {
		if !p.HasDefault {
			given[p.Name] = p.Name + `-"it's"`
			environment = append(environment, shellVariable(p.Name)+"="+given[p.Name])
		}
	}
	s, err := out.set.Resolve(given)
	if err != nil {
		t.Fatal(err)
	}
	var said string
	for _, shell := range shells {
		cmd := exec.CommandContext(t.Context(), peertest.Command(t, shell[0]), append(shell[1:], script)...)
		cmd.Env = environment
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", shell, err, got)
			continue
		}
		if said == "" {
			said = string(got)
		}
		if string(got) != said {
			t.Errorf("%s says\n%s\nnot\n%s", shell, got, said)
		}
	}
	names := map[string]bool{}
	for line := range strings.Lines(said) {
		_, document, ok := strings.Cut(line, "-alarm --cli-input-json ")
		var in struct{ AlarmName string }
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(document), &in); err != nil {
			t.Errorf("%v: %s", err, document)
		}
		names[in.AlarmName] = true
	}
	for _, a := range s.Alarms {
		if !names[a.Name] {
			t.Errorf("no %s in %s", a.Name, fmt.Sprint(names))
		}
	}
	if len(names) != len(s.Alarms)+len(s.Composites) {
		t.Errorf("%d calls for %d alarms", len(names), len(s.Alarms)+len(s.Composites))
	}
}
