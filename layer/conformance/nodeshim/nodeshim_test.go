// Package nodeshim runs Node.js programs without and with the Node.js shim, in
// the same surroundings, and compares all that can be seen of them.
package nodeshim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/peertest"
)

// nodes are the versions of Node.js that the cases run on: the oldest and the
// newest of Lambda's, or all of them.
func nodes() []string {
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		return []string{"18", "20", "22", "24"}
	}
	return []string{"18", "24"}
}

// installed returns a path below the folder that `make node` fills.
func installed(t testing.TB, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"../../../build/node"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		peertest.Missing(t, strings.Join(elements, "/")+" (`make node` installs it)")
	}
	return path
}

func interpreter(t testing.TB, version string) string {
	t.Helper()
	return installed(t, "v"+version, "node_modules", "node", "bin", "node")
}

// packages are the npm packages that go with a version: those of the time of
// Node.js 18, or today's.
func packages(t testing.TB, version string) string {
	t.Helper()
	if version < "22" {
		return installed(t, "old", "node_modules")
	}
	return installed(t, "new", "node_modules")
}

func shim(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../throughline/node")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.cjs"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	for _, file := range files { // go test's cache goes by the files that a test itself opens
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "shim.cjs")
}

// patient has the shim wait 10 s for the extension, for tests of what it does with
// answers that come: on a busy machine they come late.
func (w *world) patient() { w.waits(10 * time.Second) }

// waits has the shim wait for the extension for so long.
func (w *world) waits(d time.Duration) {
	w.Helper()
	dir := w.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../throughline")); err != nil {
		w.Fatal(err)
	}
	stands.Wait(w, dir, "0.04", fmt.Sprint(d.Milliseconds()))
	w.shim = filepath.Join(dir, "node", "shim.cjs")
}

// world is what surrounds the processes of one test.
type world struct {
	*testing.T
	extension *stands.Extension
	outside   *stands.Outside
	node      string // the interpreter
	dir       string // of the programs; node_modules is below it
	tmp       string
	shim      string
}

func newWorld(t *testing.T, version string) *world {
	t.Helper()
	w := &world{T: t, extension: stands.NewExtension(t), outside: stands.NewOutside(t), node: interpreter(t, version), dir: t.TempDir(), tmp: t.TempDir(), shim: shim(t)}
	if err := os.CopyFS(w.dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if version >= "18" {
		if err := os.Symlink(packages(t, version), filepath.Join(w.dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	w.extension.Share(t, w.tmp)
	return w
}

// handle tells which events are handled, as the extension does.
func (w *world) handle(list string) {
	w.Helper()
	stands.Handle(w, w.tmp, list)
}

// pipeless takes the pipe away: reports are requests then.
func (w *world) pipeless() {
	w.Helper()
	if err := os.Remove(w.extension.Pipe(w.tmp)); err != nil {
		w.Fatal(err)
	}
}

// seen is all that can be seen of a process.
type seen struct {
	code           int
	stdout, stderr string
	received       []stands.Request
}

// program is one to run: arguments of node, and settings beside the usual ones.
type program struct {
	args []string
	env  []string
	bus  stands.Bus
}

var pids = regexp.MustCompile(`\(node:\d+\)`)

// run runs the program without or with the shim.
func (w *world) run(shimmed bool, p program) seen {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	args := p.args
	if shimmed {
		args = append([]string{"--require", w.shim}, args...)
	}
	cmd := exec.CommandContext(ctx, w.node, args...)
	cmd.Dir = w.dir
	cmd.Env = append(w.environ(), p.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	w.outside.Begin(p.bus)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		w.Fatalf("%s %v: %v %v\n%s%s", w.node, args, err, ctx.Err(), &stdout, &stderr)
	}
	return seen{cmd.ProcessState.ExitCode(), stdout.String(), pids.ReplaceAllString(stderr.String(), "(node)"), w.outside.Received()}
}

// start starts a program with the shim, to be told what to do by its input.
func (w *world) start(args ...string) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	w.Helper()
	cmd := exec.Command(w.node, append([]string{"--require", w.shim}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = w.dir, w.environ(), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, in, bufio.NewReader(out)
}

func (w *world) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.tmp, "TMPDIR=" + w.tmp, "NODE_NO_WARNINGS=1",
		"API=" + w.outside.API, "PROXY=" + w.outside.Proxy, "THROUGHLINE_HTTP_HOSTS=127.0.0.1", "AWS_LAMBDA_RUNTIME_API=" + w.extension.Address(),
		"GATEWAY=" + w.outside.TLS, "NODE_EXTRA_CA_CERTS=" + w.outside.CA, "AWS_EC2_METADATA_DISABLED=true", "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=session",
	}
}

// both runs the program without the shim and with it, and compares. It returns
// what was seen with it.
func (w *world) both(p program) seen {
	w.Helper()
	bare := w.bare(p)
	with := w.run(true, p)
	w.compare(with, bare)
	return with
}

// bare runs the program without the shim.
func (w *world) bare(p program) seen {
	w.Helper()
	bare := w.run(false, p)
	asked, told, outcomes := w.extension.Told()
	if len(asked)+len(told)+len(outcomes) != 0 {
		w.Fatalf("the extension was asked %v without the shim", asked)
	}
	return bare
}

// compare says where a run with the shim differs from one without.
func (w *world) compare(with, bare seen) {
	w.Helper()
	if with.code != bare.code || with.stdout != bare.stdout || with.stderr != bare.stderr {
		w.Errorf("with the shim: exit code %d\n%s%s\nwithout: %d\n%s%s", with.code, with.stdout, with.stderr, bare.code, bare.stdout, bare.stderr)
	}
	if got, want := raw(with.received), raw(bare.received); !slices.Equal(got, want) {
		w.Errorf("with the shim there arrived\n%s\nwithout\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// ours are the headers that the shim adds for the configured hosts.
var ours = regexp.MustCompile(`(?i)\r\n(traceparent|x-correlation-id|x-causation-id): [^\r]*`)

// changing are the headers that differ from one run to the next.
var changing = regexp.MustCompile(`(?i)\r\n(authorization|x-amz-date|amz-sdk-invocation-id|x-amz-content-sha256|content-length|sec-websocket-key): [^\r]*`)

// raw are requests as they arrived, without the stamp and without what our
// headers and the hour change.
func raw(requests []stands.Request) []string {
	var texts []string
	for _, r := range requests {
		head, _, _ := bytes.Cut(r.Raw, []byte("\r\n\r\n"))
		text := ours.ReplaceAllString(string(head), "")
		if r.Header.Get("X-Amz-Target")+r.Header.Get("Smithy-Protocol") != "" {
			text = changing.ReplaceAllString(text, "\r\n$1")
		}
		body, _ := stands.Unstamp(r.Body)
		texts = append(texts, fmt.Sprintf("%s %t %s\n%s\n%.200q %d", r.Scheme, r.Via, r.Signed, text, body, len(body)))
	}
	slices.Sort(texts)
	return texts
}

// told waits until the extension was told of n attempts and m outcomes.
func (w *world) told(n, m int) ([]stands.Outbound, []stands.Outcome) {
	w.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, attempts, outcomes := w.extension.Told()
		if len(attempts) >= n && len(outcomes) >= m || time.Now().After(deadline) {
			if len(attempts) != n || len(outcomes) != m {
				w.Errorf("%d attempts and %d outcomes told, want %d and %d: %+v %+v", len(attempts), len(outcomes), n, m, attempts, outcomes)
			}
			return attempts, outcomes
		}
	}
}

func isStamped(body []byte) bool {
	_, stamped := stands.Unstamp(body)
	return stamped
}

// promptly runs until no question of the shim's was answered too late, as
// happens on a busy machine, and checks what was seen and told then.
func (w *world) promptly(run func() seen, check func(seen, []stands.Outcome)) {
	w.Helper()
	for tries := 1; ; tries++ {
		w.extension.Begin(nil)
		with := run()
		puts := 0
		for _, r := range with.received {
			puts += bit(strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutEvents"))
		}
		outcomes := w.outcomes(puts)
		if tries == 6 || !slices.ContainsFunc(outcomes, func(o stands.Outcome) bool { return o.Reason == "late" || o.Reason == "busy" }) {
			check(with, outcomes)
			return
		}
	}
}

// outcomes waits until n outcomes are told.
func (w *world) outcomes(n int) []stands.Outcome {
	w.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, _, outcomes := w.extension.Told()
		if len(outcomes) >= n || time.Now().After(deadline) {
			return outcomes
		}
	}
}

// prompt runs the program both ways, with the shim until no question of its was
// answered too late, as happens on a busy machine, and returns what was seen
// with the shim and told. n is the number of outcomes; below 0 for one a request.
func (w *world) prompt(p program, n int) (seen, []stands.Outcome) {
	w.Helper()
	w.extension.Begin(nil)
	bare := w.bare(p)
	for tries := 1; ; tries++ {
		w.extension.Begin(nil)
		with := w.run(true, p)
		w.compare(with, bare)
		if n < 0 {
			n = len(with.received)
		}
		_, outcomes := w.told(0, n)
		late := slices.ContainsFunc(outcomes, func(o stands.Outcome) bool { return o.Reason == "late" || o.Reason == "busy" })
		if !late || tries == 6 {
			return with, outcomes
		}
	}
}
