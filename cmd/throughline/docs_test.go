package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
)

const repository = "../.."

// pages are the documents that a user reads, relative to the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
	found, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil || len(found) < 3 {
		t.Fatalf("docs: %v %v", found, err)
	}
	for _, path := range found {
		paths = append(paths, filepath.Join("docs", filepath.Base(path)))
	}
	texts := map[string]string{}
	for _, path := range paths {
		texts[path] = read(t, filepath.Join(repository, path))
	}
	return texts
}

// block is a fenced block of a page.
type block struct {
	line     int
	language string
	text     string
}

var fence = regexp.MustCompile("^\\s*```(\\w*)")

// blocks are the fenced blocks, and prose is the rest, line by line.
func blocks(text string) (found []block, prose []string) {
	var open *block
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			open = &block{line: i + 1, language: m[1]}
		case m != nil:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			prose = append(prose, line)
		}
	}
	return found, prose
}

// script is what a reader would type of a block: the lines after "$ " of a
// console, all of a shell script.
func (b block) script() string {
	switch b.language {
	case "sh", "bash", "shell":
		return b.text
	case "console":
		var typed []string
		continued := false
		for _, line := range strings.Split(b.text, "\n") {
			command, ok := strings.CutPrefix(line, "$ ")
			if ok || continued {
				if !ok {
					command = line
				}
				typed = append(typed, command)
				continued = strings.HasSuffix(command, "\\")
			}
		}
		return strings.Join(typed, "\n")
	default:
		return ""
	}
}

// printed are the lines of a console that are no command: what the reader is told to expect.
func (b block) printed() (lines []string) {
	if b.language != "console" {
		return nil
	}
	continued := false
	for _, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		if command := strings.HasPrefix(line, "$ "); command || continued {
			continued = strings.HasSuffix(line, "\\")
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// varies is what differs from run to run in an output: IDs that are made, numbers, times.
var varies = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8}\b|[0-9]+(?:[.,:][0-9]+)*(?: ?[µm]?s\b)?`)

// holdOutput holds each line that a page shows of an output to the lines that were printed,
// in their order. "…" stands for anything; a line of it alone, or with "┆", for any lines.
func holdOutput(t *testing.T, shown []string, out string) {
	t.Helper()
	alike := func(s string) string { return varies.ReplaceAllString(s, "0") }
	lines := strings.Split(alike(out), "\n")
	for _, line := range shown {
		if strings.Trim(line, " …┆│") == "" {
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(alike(line)), "…", ".*") + "$")
		at := slices.IndexFunc(lines, pattern.MatchString)
		if at < 0 {
			t.Errorf("it is shown, and not printed (here):\n%s\n%s", line, out)
			return
		}
		lines = lines[at+1:]
	}
}

// stubs stand in for what a test cannot run of a reader's shell: each still
// checks what it can. Everything else, throughline and aws among it, is real.
const stubs = `
set -e -o pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
make() { while [[ $1 == *=* ]]; do shift; done; grep -qE "^$1:" "$REPOSITORY/Makefile" || { echo "no make target $1" >&2; return 1; }
  if [ "$1" = layer ]; then mkdir -p build/layer; for a in "" -amd64 -arm64; do
    printf 'PK\005\006%018d' 0 | tr 0 '\000' > build/layer/throughline$a.zip
    (cd build/layer; sha256sum throughline$a.zip > throughline$a.zip.sha256); done; fi; }
sam() { case "$1" in build|deploy|local|logs) ;; *) echo "no sam command $1" >&2; return 1;; esac; }
git() { case "$1" in clone) [ -z "${3:-}" ] || ln -sfn "$REPOSITORY" "$3" ;; *) echo "git $1 is not expected here" >&2; return 1;; esac; }
cd() { [ "$1" = throughline ] || builtin cd "$@"; }
go() { case "$1" in mod) [ -e go.mod ] || command go mod init example.com/function; GOFLAGS= command go "$@" ;; get) command go list "${2%@*}/..." >/dev/null ;; *) (builtin cd "$REPOSITORY" && command go "$@") ;; esac; }
docker() { :; }
aws() { set -- "${@/#VERSION/1}"; command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; } # older ones read no variable
`

// reader stands in for the command in a reader's shell: the real one, but that dev, which
// plays until it is told to stop and has tests of its own, checks its flags alone, as does
// what reads spans from a backend, that no line matching is no failure, because moto's Logs
// Insights match none, and that dlq finds messages.
const reader = `#!/usr/bin/env bash
case "$*" in *--jaeger*|*--transaction-search*|dlq*--dev*) exec "$THROUGHLINE" "$@" --help >/dev/null ;; esac
case "$1" in
dev) exec "$THROUGHLINE" "$@" --help >/dev/null ;;
dlq) "$THROUGHLINE" "$@" || [ $? = 1 ] ;;
queries) "$THROUGHLINE" "$@" || [ "$2 $?" = "run 1" ] ;;
*) exec "$THROUGHLINE" "$@" ;;
esac
`

// exampleAccount makes what the pages' examples name.
const exampleAccount = `
for group in lambda/portfolio lambda/execution vendedlogs/events/orders; do aws logs create-log-group --log-group-name /aws/$group; done
for queue in plans-failed QUEUE; do
  aws sqs create-queue --queue-name $queue
  for n in 1 2 3; do aws sqs send-message --queue-url "${DLQ%/*}/$queue" --message-body "$(head -1 "$RESULTS/events.jsonl")"; done
done
aws sqs create-queue --queue-name plans \
  --attributes '{"RedrivePolicy": "{\"deadLetterTargetArn\": \"arn:aws:sqs:eu-west-1:123456789012:QUEUE\", \"maxReceiveCount\": 3}"}'
aws sns create-topic --name alerts
aws events create-event-bus --name trading
aws iam create-role --role-name functions --assume-role-policy-document '{}'
make layer
aws lambda create-function --function-name execution --runtime python3.12 --handler execution.handle \
  --role arn:aws:iam::123456789012:role/functions --zip-file fileb://build/layer/throughline.zip
aws lambda create-alias --function-name execution --name live --function-version '$LATEST'
`

// TestEveryCommandOfTheDocumentsRuns types what the README and docs say into a
// real bash: in a folder with the demo's results, with moto for AWS. What
// stands in one page runs in that page's order.
func TestEveryCommandOfTheDocumentsRuns(t *testing.T) {
	bash := peertest.Command(t, "bash")
	peertest.Command(t, "aws")
	moto := peertest.Moto(t)
	reset, err := http.Post(moto+"/moto-api/reset", "", nil) // of what an earlier run of the test made
	if err != nil {
		t.Fatal(err)
	}
	_ = reset.Body.Close()
	results := playDemo(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "throughline"), []byte(reader), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing of the tester's own AWS, nor of what other tests set.
	environ := append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "AWS_") }), "THROUGHLINE_TEST_MAIN=1", "THROUGHLINE="+self, "GORACE=atexit_sleep_ms=0", "REPOSITORY="+root, "RESULTS="+results, "PATH="+tools+":"+os.Getenv("PATH"),
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOPATH="+goEnv(t, "GOPATH"), "AWS_ENDPOINT_URL="+moto, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"DLQ="+moto+"/123456789012/plans-failed", "TOPIC=arn:aws:sns:eu-west-1:123456789012:alerts")
	enter := func(t *testing.T, dir, script string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bash, "-c", stubs+script)
		cmd.Dir, cmd.Env = dir, append(environ, "HOME="+dir)
		cmd.WaitDelay = 10 * time.Second // what a page starts in the background holds the pipe
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
		return string(out)
	}
	enter(t, t.TempDir(), exampleAccount)
	for page, text := range pages(t) {
		found, _ := blocks(text)
		dir := t.TempDir()
		setUpReader(t, dir, results, root)
		for _, b := range found {
			if script := b.script(); strings.TrimSpace(script) != "" {
				t.Run(fmt.Sprintf("%s:%d", page, b.line), func(t *testing.T) { holdOutput(t, b.printed(), enter(t, dir, script)) })
			}
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// played keeps the folder of playDemo, and what the demo printed on a terminal of 80
// columns, for the tests after the first. TestMain removes it.
var played, playedReport string

// playDemo returns a folder that holds what `make demo` would leave, which no test changes.
func playDemo(t *testing.T) string {
	t.Helper()
	if played != "" {
		return filepath.Join(played, "build", "demo")
	}
	var err error
	if played, err = os.MkdirTemp("", "throughline-demo"); err != nil { //nolint:usetesting // it outlives the test
		t.Fatal(err)
	}
	dir := filepath.Join(played, "build", "demo")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	built := map[string]string{}
	for name, pkg := range map[string]string{"extension": "./cmd/throughline-extension", "function": "./examples/tradingday"} {
		built[name] = filepath.Join(t.TempDir(), name)
		cmd := exec.Command("go", "build", "-o", built[name], pkg)
		cmd.Dir, cmd.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	code, report := onTerminal(t, "demo", "--dir", dir, "--extension", built["extension"], "--function", built["function"], "--events", filepath.Join(repository, "testdata", "events"))
	if code != 0 {
		t.Fatalf("demo: %s", report)
	}
	playedReport = report
	if err := os.RemoveAll(filepath.Join(dir, "environments")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// setUpReader lays out the folder in which a reader types.
func setUpReader(t *testing.T, dir, results, root string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(dir, "build", "demo"), os.DirFS(results)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "examples", "sam"), os.DirFS(filepath.Join(root, "examples", "sam"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "throughline"), []byte(reader), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"events.jsonl", "metrics.jsonl"} { // as the reader's own
		data, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	template, err := os.ReadFile(filepath.Join(root, "examples", "sam", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "template.yaml"), template, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryCommandThatIsNamedParses holds each `throughline …` in prose and in
// blocks that show forms, and each example of --help, to the commands and flags
// that there are.
func TestEveryCommandThatIsNamedParses(t *testing.T) {
	named := map[string][]string{}
	inline := regexp.MustCompile("`((?:bin/)?throughline(?: [^`]*)?)`")
	for page, text := range pages(t) {
		found, prose := blocks(text)
		for _, b := range found { // a block of no language shows forms, with names to fill in
			for _, line := range strings.Split(b.text, "\n") {
				if b.language == "" && strings.HasPrefix(line, "throughline ") {
					named[page] = append(named[page], strings.TrimSuffix(line, " &"))
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(strings.Join(prose, "\n"), -1) {
			named[page] = append(named[page], strings.ReplaceAll(m[1], "\n", " "))
		}
	}
	walk(newRoot(environment{}), func(cmd *cobra.Command) {
		for _, line := range strings.Split(strings.ReplaceAll(cmd.Example, "\\\n", " "), "\n") {
			if i := strings.Index(line, "throughline "); i >= 0 {
				named[cmd.CommandPath()+" --help"] = append(named[cmd.CommandPath()+" --help"], line[i:])
			}
		}
	})
	for where, lines := range named {
		for _, line := range lines {
			for _, call := range regexp.MustCompile(`(?:\||&&|<\()`).Split(line, -1) {
				call = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(call), ")"))
				if call = strings.TrimPrefix(call, "bin/"); !strings.HasPrefix(call, "throughline") {
					continue
				}
				call, _, _ = strings.Cut(call, "   ") // what follows explains it
				call, _, _ = strings.Cut(call, " > ")
				call, _, _ = strings.Cut(call, " >> ")
				call = quoted.ReplaceAllStringFunc(call, func(text string) string { return strings.ReplaceAll(text[1:len(text)-1], " ", "") })
				if err := parses(strings.Fields(call)[1:]); err != nil {
					t.Errorf("%s: `%s`: %v", where, call, err)
				}
			}
		}
	}
}

// quoted is an argument in quotes.
var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"`)

// parses says what the real commands have against the words.
func parses(args []string) error {
	root := newRoot(environment{})
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if err := cmd.ParseFlags(rest); err != nil && !strings.HasPrefix(err.Error(), "flag needs an argument") { // prose names a flag alone
		return err
	}
	if help, _ := cmd.Flags().GetBool("help"); help || len(rest) == 0 {
		return nil // prose names a command without its arguments
	}
	if words := cmd.Flags().Args(); len(words) > 0 {
		return cmd.ValidateArgs(words)
	}
	return cmd.ValidateFlagGroups()
}

// TestEverySettingThatIsNamedExists holds each THROUGHLINE_… of the pages to
// the table of settings.
func TestEverySettingThatIsNamedExists(t *testing.T) {
	known := []string{"THROUGHLINE_UPDATE", "THROUGHLINE_SOAK", "THROUGHLINE_PYTHONPATH"} // of make and between our own processes
	for _, s := range settings.Table() {
		known = append(known, s.Variable())
	}
	for page, text := range pages(t) {
		for _, name := range regexp.MustCompile(`THROUGHLINE_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, and there is no such setting", page, name)
			}
		}
	}
}

// TestMetricsAreNamedAsTheyAre: CloudWatch tells metrics apart by case. A name in the pages
// that is a metric's but for its case or an s at its end is misspelt.
func TestMetricsAreNamedAsTheyAre(t *testing.T) {
	alike := func(name string) string { return strings.TrimSuffix(strings.ToLower(name), "s") }
	spelt := map[string][]string{}
	for _, m := range metrics.Catalogue() {
		spelt[alike(string(m.Name))] = append(spelt[alike(string(m.Name))], string(m.Name))
	}
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile("`([A-Z][A-Za-z]+)(?:_[a-z-]+)?`").FindAllStringSubmatch(text, -1) {
			if known := spelt[alike(m[1])]; known != nil && m[1] != strings.ToUpper(m[1]) && !slices.Contains(known, m[1]) {
				t.Errorf("%s names the metric %s, which is %s", page, m[1], strings.Join(known, " or "))
			}
		}
	}
}

// anchor is the fragment by which GitHub reaches a heading.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TestEveryLinkResolves holds every link of the pages: to a file, to a heading
// of a file, or to another site by https.
func TestEveryLinkResolves(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	texts := pages(t)
	anchors := map[string][]string{}
	for page, text := range texts {
		_, prose := blocks(text)
		for _, line := range prose {
			if m := regexp.MustCompile(`^#+ (.*)`).FindStringSubmatch(line); m != nil {
				anchors[page] = append(anchors[page], anchor(m[1]))
			}
		}
	}
	for page, text := range texts {
		_, prose := blocks(text)
		for _, m := range link.FindAllStringSubmatch(strings.Join(prose, "\n"), -1) {
			to := m[1] + m[2]
			if strings.HasPrefix(to, "https://") {
				continue
			}
			path, fragment, _ := strings.Cut(to, "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join(repository, target)); err != nil {
				t.Errorf("%s links to %s: %v", page, to, err)
				continue
			}
			if fragment != "" && !slices.Contains(anchors[target], fragment) {
				t.Errorf("%s links to %s, and %s has no such heading", page, to, target)
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	found, prose := blocks("a\n```console\n$ one \\\n  two\nout\n$ three\n```\nb\n```sh\nfour\n```\n")
	if got := fmt.Sprintf("%q %q %q", found[0].script(), found[1].script(), prose); got != `"one \\\n  two\nthree" "four\n" ["a" "b" ""]` {
		t.Error(got)
	}
	if got := fmt.Sprintf("%q", found[0].printed()); got != `["out"]` {
		t.Error(got)
	}
	if got := anchor("Kill switch, upgrade: `lambda-errors`"); got != "kill-switch-upgrade-lambda-errors" {
		t.Error(got)
	}
}
