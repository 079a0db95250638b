package render

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/alarmparse"
	"github.com/throughline/throughline/peertest"
)

// queues is a set with an alarm on each of the queues that parameters name.
func queues(t *testing.T, parameters ...string) alarms.Set {
	t.Helper()
	var b strings.Builder
	b.WriteString("name: s\nparameters:\n")
	for _, p := range parameters {
		fmt.Fprintf(&b, "  %s: {}\n", p)
	}
	b.WriteString("resources:\n")
	for _, p := range parameters {
		fmt.Fprintf(&b, "  - {kind: dlq, name: \"${%s}\"}\n", p)
	}
	s, err := alarms.Compile([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestParametersOfATemplate: a template has 200 at most, and no alarm is lost.
func TestParametersOfATemplate(t *testing.T) {
	var names []string
	for i := range 450 {
		names = append(names, fmt.Sprintf("Queue%d", i))
	}
	s := queues(t, names...)
	files, err := CloudFormation(s, nil)
	if err != nil || len(files) != 3 {
		t.Fatal(len(files), err)
	}
	total := 0
	for _, f := range files {
		part, err := alarmparse.CloudFormation(f.Data, nil)
		if err != nil || len(part.Parameters) > 200 || len(part.Parameters) != len(part.Alarms) {
			t.Errorf("%s: %d parameters, %d alarms, %v", f.Name, len(part.Parameters), len(part.Alarms), err)
		}
		total += len(part.Alarms)
	}
	if total != 450 {
		t.Errorf("%d alarms", total)
	}
	dashboard, err := DashboardResource(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CloudFormation(s, map[string]any{"Dashboard": dashboard}); err == nil || !strings.Contains(err.Error(), "Dashboard uses 450 parameters, and a template has at most 200") {
		t.Error(err)
	}
}

// awkward are parameters that Terraform or shells would take for something else, or for
// each other.
var awkward = []string{"BASHPID", "SRANDOM", "EPOCHSECONDS", "EPOCHREALTIME", "HISTCMD", "FUNCNEST", "CPUTYPE", "VENDOR", "ERRNO", "TTY", "TTYIDLE", "KEYTIMEOUT", "LISTMAX", "SAVEHIST", "HISTCHARS", "histchars",
	"OrdersDLQ", "OrdersDlq", "base", "json", "tag", "PATH", "IFS", "UID", "HOME", "path", "status", "Version", "Count", "ForEach", "DependsOn", "Source", "No", "Yes", "On", "y", "Null"}

func TestReservedNamesInTerraform(t *testing.T) {
	files, err := Terraform(queues(t, awkward...))
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclparse.NewParser().ParseHCL(files[0].Data, "alarms.tf")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	seen := map[string]bool{}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		name := strings.Join(block.Labels, ".")
		if seen[name] {
			t.Errorf("%s occurs twice", name)
		}
		seen[name] = true
		if block.Type == "variable" {
			for _, word := range reserved {
				if name == word {
					t.Errorf("variable %s", name)
				}
			}
			if !strings.Contains(string(files[0].Data), "var."+name) {
				t.Errorf("variable %s is used by nothing", name)
			}
		}
	}
	if len(seen) != 2*len(awkward) {
		t.Errorf("%d blocks", len(seen))
	}
}

// TestReservedNamesInTemplates: what a YAML 1.1 reader takes for a boolean or nothing is
// in quotes.
func TestReservedNamesInTemplates(t *testing.T) {
	python := peertest.Module(t, "yaml")
	files, err := CloudFormation(queues(t, awkward...), nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import sys, yaml
t = yaml.safe_load(sys.stdin)
for part in "Parameters", "Resources":
    print(len([k for k in t[part] if isinstance(k, str)]))`)
	cmd.Stdin = strings.NewReader(string(files[0].Data))
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("%d\n%d\n", len(awkward), len(awkward)); err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDefaultsInShells: a default is what it is in every shell, and in the environment too.
func TestDefaultsInShells(t *testing.T) {
	defaults := []string{"it's", `"q"`, "$HOME", "`id`", "a}b", "{c}", `a\b`, "~", "*", "!x", "#y", "a b", "${X}", "$(id)", `a\}b`, `\`, "'", "-n", "%s", `\n`, "=x", "{a,b}", "$", "}"}
	var spec, names strings.Builder
	environment := []string{"PATH=" + os.Getenv("PATH")}
	for i, value := range defaults {
		fmt.Fprintf(&spec, "  P%d: {default: %q}\n", i, value)
		fmt.Fprintf(&names, "  - {kind: dlq, as: q%d, name: \"${P%d}\"}\n", i, i)
		environment = append(environment, fmt.Sprintf("P%d=%s", i, value))
	}
	s, err := alarms.Compile([]byte("name: s\nparameters:\n" + spec.String() + "resources:\n" + names.String()))
	if err != nil {
		t.Fatal(err)
	}
	files, err := Shell(s)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "alarms.sh")
	if err := os.WriteFile(script, []byte(strings.Replace(string(files[0].Data), "\nset -eu\n", "\nset -eu\naws() { printf '%s\\n' \"$4\"; }\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range append([][]string{{"bash", "--posix"}}, shells...) {
		for _, env := range [][]string{environment[:1], environment} {
			cmd := exec.CommandContext(t.Context(), peertest.Command(t, shell[0]), append(shell[1:], script)...)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", shell, err, out)
			}
			for _, value := range defaults {
				if text, _ := json.Marshal(value); !strings.Contains(string(out), `"Value":`+string(text)) {
					t.Errorf("%s: no %s in\n%s", shell, text, out)
				}
			}
		}
	}
}

// TestAmbiguousTexts: a name that YAML 1.1 takes for a number, a date, a merge or nothing
// is read as the text that it is.
func TestAmbiguousTexts(t *testing.T) {
	python := peertest.Module(t, "yaml")
	texts := []string{"=", "<<", "~", "yes", "No", "on", "OFF", "y", "n", "null", "1e3", "0x10", "0o17", "017", "1_000", "12:30:45", "2001-01-01", ".inf", "-", ".5", "+1", "1.", "0b101", "!x", "&a", "*b", "@c", "`d", "%e", "a: b", "a #b", "'q'", `"q"`, " a", "a ", "#c", "[x", "{y", "? z", "- w", "|", "$HOME", "a\\b", "é"}
	var spec strings.Builder
	spec.WriteString("name: s\nresources:\n")
	for i, text := range texts {
		fmt.Fprintf(&spec, "  - {kind: dlq, as: q%d, name: %q}\n", i, text)
	}
	s, err := alarms.Compile([]byte(spec.String()))
	if err != nil {
		t.Fatal(err)
	}
	files, err := CloudFormation(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", `
import json, sys, yaml
print(json.dumps([r["Properties"]["Dimensions"][0]["Value"] for r in yaml.safe_load(sys.stdin)["Resources"].values()]))`)
	cmd.Stdin = strings.NewReader(string(files[0].Data))
	out, err := cmd.CombinedOutput()
	var got []string
	if err != nil || json.Unmarshal(out, &got) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		t.Errorf("%q, not %q", got, texts)
	}
}

// TestReservedNamesInShells: the script runs, in every shell that is there, with values
// for such parameters.
func TestReservedNamesInShells(t *testing.T) {
	files, err := Shell(queues(t, awkward...))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script, stub := filepath.Join(dir, "alarms.sh"), filepath.Join(dir, "aws")
	if err := os.WriteFile(script, files[0].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stub, []byte("#!/bin/sh\nprintf '%s\\n' \"$4\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, shell := range [][]string{{"sh"}, {"dash"}, {"bash", "--posix"}, {"bash"}, {"zsh"}, {"ksh"}, {"mksh"}, {"busybox", "sh"}} {
		path, err := exec.LookPath(shell[0])
		if err != nil {
			continue
		}
		ran++
		cmd := exec.CommandContext(t.Context(), path, append(shell[1:], script)...)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		for _, p := range awkward {
			cmd.Env = append(cmd.Env, shellVariable(p)+"=it's \"of\" "+p)
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
			continue
		}
		for _, p := range awkward {
			if want := `"Value":"it's \"of\" ` + p + `"`; !strings.Contains(string(out), want) {
				t.Errorf("%s: no %s in\n%s", shell, want, out)
			}
		}
	}
	if ran == 0 {
		peertest.Missing(t, "a shell")
	}
}
