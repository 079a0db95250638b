package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/peertest"
)

func TestRootHelpFitsAScreen(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {}} {
		code, stdout, _ := command(t, args...)
		lines := strings.Split(strings.TrimRight(stdout, "\n"), "\n")
		if code != 0 || len(lines) > 30 {
			t.Errorf("%q: exit %d, %d lines", args, code, len(lines))
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
			}
		}
		for _, cmd := range newRoot(environment{}).Commands() {
			if !cmd.Hidden && !strings.Contains(stdout, "\n  "+cmd.Name()+" ") {
				t.Errorf("%q does not list %s", args, cmd.Name())
			}
		}
	}
}

// withoutJSON are the commands whose output is a document of its own kind, or
// that print no result.
var withoutJSON = map[string]string{
	"throughline completion":    "a script for a shell",
	"throughline help":          "text for people",
	"throughline sidecar":       "it serves, and its output is the metrics",
	"throughline alarms init":   "a spec",
	"throughline check policy":  "a policy, JSON already",
	"throughline alarms policy": "a policy, JSON already",
	"throughline dlq policy":    "a policy, JSON already",
	"throughline rules policy":  "a policy, JSON already",
	"throughline why policy":    "a policy, JSON already",
}

func TestEveryCommandSaysHow(t *testing.T) {
	root := newRoot(environment{})
	root.InitDefaultHelpCmd()
	seen := map[string]bool{}
	walk(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		seen[path] = true
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short help is %q", path, cmd.Short)
		}
		if !cmd.Runnable() {
			t.Errorf("%s does nothing by itself: let it print its help", path)
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", path)
		}
		var help strings.Builder
		if writeHelp(&help, cmd); regexp.MustCompile(`\(default\s+(\[\])?\)`).MatchString(help.String()) {
			t.Errorf("%s: its help has a default that is none", path)
		}
		if cmd.HasParent() && !strings.Contains(cmd.Example, path) && path != "throughline demo" {
			t.Errorf("%s: its examples do not call it:\n%s", path, cmd.Example)
		}
		_, excepted := withoutJSON[path]
		if has := cmd.Flags().Lookup("json") != nil; !cmd.HasSubCommands() && has == excepted {
			t.Errorf("%s: has --json %t, excepted %t", path, has, excepted)
		}
		if cmd.HasParent() && !cmd.Parent().HasParent() && !cmd.Hidden && cmd.GroupID == "" {
			t.Errorf("%s is in no group of the root's help", path)
		}
	})
	for path := range withoutJSON {
		if !seen[path] {
			t.Errorf("%s is excepted, and there is no such command", path)
		}
	}
}

// TestFlagsNameTheirValues holds the word behind each flag: a name in capitals, or the
// type of its value.
func TestFlagsNameTheirValues(t *testing.T) {
	types := []string{"", "string", "strings", "stringArray", "duration", "int", "float"}
	walk(newRoot(environment{}), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name, _ := pflag.UnquoteUsage(f)
			if !slices.Contains(types, name) && !regexp.MustCompile(`^[A-Z][A-Z=:%@\[\]]*$`).MatchString(name) {
				t.Errorf("%s --%s %s", cmd.CommandPath(), f.Name, name)
			}
		})
	})
}

func TestWhatCobraRefusesNamesTheNextStep(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"Command":      {[]string{"trcae"}, "did you mean `throughline trace`?"},
		"SubCommand":   {[]string{"alarms", "lnit"}, "or `throughline alarms lint`?"},
		"FarCommand":   {[]string{"alarms", "xyzzy"}, "`throughline alarms --help` lists them"},
		"Template":     {[]string{"check", "app/template.yaml"}, "a template is named by --template app/template.yaml"},
		"HelpTopic":    {[]string{"help", "trcae"}, "did you mean `throughline trace`?"},
		"Flag":         {[]string{"trace", "--fiel", "x"}, "`throughline trace --help` lists the flags"},
		"TooFew":       {[]string{"repeats"}, "the usage is `throughline repeats FILE"},
		"TooMany":      {[]string{"trace", "a", "b"}, "[CORRELATION_ID]"},
		"MissingFlag":  {[]string{"dedupe", "create-table"}, "`throughline dedupe create-table --help` shows examples"},
		"FlagsTogther": {[]string{"trace", "--last", "--slowest"}, "`throughline trace --help` shows examples"},
		"RulesOfBoth":  {[]string{"rules", "test", "x", "--bus", "a", "--template", "b"}, "`throughline rules test --help` shows examples"},
		"Shell":        {[]string{"completion", "tcsh"}, "bash|zsh|fish|powershell"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, tt.args...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	var told struct{ Version, Go string }
	if code, stdout, _ := command(t, "version", "--json"); code != 0 || json.Unmarshal([]byte(stdout), &told) != nil || told.Version == "" || told.Go == "" {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestCompletion(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o default -F __start_throughline throughline", "zsh": "#compdef throughline",
		"fish": "complete -c throughline", "powershell": "Register-ArgumentCompleter -CommandName 'throughline'",
	} {
		if code, stdout, stderr := command(t, "completion", shell); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit %d, %s, no %q in %d bytes", shell, code, stderr, want, len(stdout))
		}
	}
}

// TestDevCompletesFiles: the template of throughline dev is a file, and it has commands too.
func TestDevCompletesFiles(t *testing.T) {
	for words, want := range map[string]string{"tem": ":0\n", "": ":0\n", "template.yaml ": ":4\n"} {
		code, stdout, _ := command(t, append([]string{"__complete", "dev"}, strings.Split(words, " ")...)...)
		if code != 0 || !strings.HasSuffix(stdout, want) || (words == "") != strings.Contains(stdout, "send\t") {
			t.Errorf("dev %q: %d %s", words, code, stdout)
		}
	}
}

// TestBashCompletes has a real bash ask for words, as it does on Tab.
func TestBashCompletes(t *testing.T) {
	bash := peertest.Command(t, "bash")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "throughline")); err != nil {
		t.Fatal(err)
	}
	// What the script needs of the package bash-completion, which a machine may lack.
	const ask = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }
__ltrim_colon_completions() { :; }
compopt() { :; } # speaks to readline, which is not here
source <(throughline completion bash)
COMP_WORDS=($1 "$2"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); COMP_LINE="$1 $2"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_throughline
printf '%s\n' "${COMPREPLY[@]}"
`
	for _, tt := range []struct{ before, word, want string }{
		{"throughline", "tra", "trace"}, {"throughline", "ala", "alarms"}, {"throughline alarms", "backt", "backtest"},
		{"throughline trace", "--slow", "--slowest"}, {"throughline completion", "z", "zsh"},
	} {
		cmd := exec.Command(bash, "-c", ask, "bash", tt.before, tt.word)
		cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_MAIN=1", "GORACE=atexit_sleep_ms=0", "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != tt.want {
			t.Errorf("%s %s⇥: %v, %q, want %s", tt.before, tt.word, err, out, tt.want)
		}
	}
}
