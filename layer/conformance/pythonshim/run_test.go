// Package pythonshim runs Python functions without and with the layer's Python
// shim, in the same surroundings, and compares all that can be seen of them.
package pythonshim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/peertest"
)

const environments = "../../../build/python"

// versions are the Pythons that have an environment of this name: the oldest
// and the newest, or all with THROUGHLINE_SOAK.
func versions(t *testing.T, name string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(environments, "3.*", name, "requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	minor := func(path string) int {
		_, version, _ := strings.Cut(filepath.Base(filepath.Dir(filepath.Dir(path))), ".")
		n, _ := strconv.Atoi(version)
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return minor(a) - minor(b) })
	if len(found) == 0 {
		peertest.Missing(t, "Python environments with "+name+" (`make python` installs them)")
	}
	if os.Getenv("THROUGHLINE_SOAK") == "" && len(found) > 2 {
		found = []string{found[0], found[len(found)-1]}
	}
	pythons := map[string]string{}
	for _, path := range found {
		python, err := filepath.Abs(filepath.Join(filepath.Dir(path), "bin", "python"))
		if err != nil {
			t.Fatal(err)
		}
		pythons["3."+strconv.Itoa(minor(path))] = python
	}
	return pythons
}

// scene is what surrounds a function.
type scene struct {
	extension *stands.Extension
	outside   *stands.Outside
	dir       string // the function's folder for files, and its HOME
	empty     string // a folder for temporary files that nothing is shared in
	wrapper   string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{extension: stands.NewExtension(t), outside: stands.NewOutside(t), dir: t.TempDir(), empty: t.TempDir()}
	s.extension.Share(t, s.dir)
	layer := t.TempDir() // a copy: Python would write what it compiled beside the source
	if err := os.CopyFS(layer, os.DirFS("../../throughline")); err != nil {
		t.Fatal(err)
	}
	stands.Wait(t, layer, `float(os.environ.get("TEST_DEADLINE") or 10)`, "40")
	s.wrapper = filepath.Join(layer, "wrapper")
	if err := os.Chmod(s.wrapper, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// function is one way to run a case.
type function struct {
	python  string   // the interpreter, where it goes with the rest
	script  string   // in testdata
	flags   []string // of the interpreter
	env     []string
	bus     stands.Bus
	answer  func(w http.ResponseWriter, r *http.Request, body []byte) bool
	gone    bool        // there is no extension
	real    stands.Real // the extension itself, in the place of the stand-in
	alone   bool        // the extension shares no files
	current string      // what it says is handled, in the place of what is usual
	behind  bool        // the shim's folder stands behind PYTHONPATH instead of in front
	traced  bool        // a tracer puts IDs into the body
	slow    bool        // the extension answers too late for a shim that waits for it for 10 s
	waits   string      // how many seconds the shim waits for answer; empty for as long as it does
	carry   bool        // messages to SQS and SNS carry a span
	hops    int         // calls that leave the bus
	sorted  bool        // threads: requests and lines of output come in any order
}

// seen is all that can be seen of one run.
type seen struct {
	Exit     int
	Stdout   string
	Stderr   string
	State    map[string]any
	Received []received
}

type received struct {
	Scheme, Host, Method, URI, Signed string
	Via                               bool
	Header                            http.Header
	Body                              string
}

// told is what the extension was told.
type told struct {
	asked    []string
	outbound []stands.Outbound
	outcomes []stands.Outcome
	hops     []stands.Hop
	stamped  int      // requests that arrived stamped
	carried  int      // requests that arrived with the header that the extension gave
	spans    []string // traceparent of each request, as it arrived
}

func (s *scene) run(t *testing.T, python string, f function, shim bool) (seen, told) {
	t.Helper()
	answer := f.answer
	if f.slow {
		answer = hang
	}
	s.extension.Begin(answer)
	s.outside.Begin(f.bus)
	script, err := filepath.Abs(filepath.Join("testdata", f.script))
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state.json")
	argv := slices.Concat([]string{python}, f.flags, []string{filepath.Join(filepath.Dir(script), "run.py"), script})
	if shim && !f.behind {
		argv = slices.Concat([]string{s.wrapper, "--python-shim"}, argv)
	} else {
		argv = slices.Concat([]string{"/bin/sh", "-c", `exec "$@"`, "sh"}, argv) // sets what any shell sets
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = s.dir
	runtime, tmp := s.extension.Address(), s.dir
	if f.gone {
		runtime = "127.0.0.1:1"
	}
	if f.gone || f.alone {
		tmp = s.empty
	}
	if f.real.API != "" {
		runtime, tmp = f.real.API, f.real.Dir
	}
	stands.Handle(t, s.dir, cmp.Or(f.current, "["+stands.Current+"]"))
	cmd.Env = slices.Concat([]string{
		"PATH=" + filepath.Dir(python) + ":/usr/bin:/bin", "HOME=" + s.dir, "TMPDIR=" + tmp, "STATE=" + state, "API=" + s.outside.API, "APIS=https://" + s.outside.TLS,
		"CA=" + s.outside.CA, "PROXY=" + s.outside.Proxy, "THROUGHLINE_HTTP_HOSTS=127.0.0.1,*.example.test", "AWS_LAMBDA_RUNTIME_API=" + runtime,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDOURS", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=session",
		"AWS_EC2_METADATA_DISABLED=true", "PYTHONHASHSEED=0", "AWS_CA_BUNDLE=" + s.outside.CA, "HTTPS_PROXY=" + s.outside.Proxy, "https_proxy=" + s.outside.Proxy, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	}, f.env)
	if shim && f.behind {
		for i, variable := range cmd.Env {
			if strings.HasPrefix(variable, "PYTHONPATH=") {
				cmd.Env[i] += ":" + filepath.Join(filepath.Dir(s.wrapper), "python")
			}
		}
	}
	if f.answer != nil {
		cmd.Env = append(cmd.Env, "TEST_DEADLINE="+cmp.Or(f.waits, "0.04"))
	}
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	got := seen{Exit: cmd.ProcessState.ExitCode(), Stdout: plain(out.String(), f.sorted), Stderr: plain(problems.String(), f.sorted)}
	if data, err := os.ReadFile(state); err == nil {
		if err := json.Unmarshal([]byte(plain(string(data), false)), &got.State); err != nil {
			t.Fatal(err)
		}
	}
	var about told
	for _, r := range s.outside.Received() {
		about.spans = append(about.spans, r.Header.Get("Traceparent"))
		body, stamped := stands.Unstamp(r.Body)
		if stamped {
			about.stamped++
		}
		if f.traced {
			body = ids.ReplaceAll(body, []byte("…"))
			if r.Header.Get("Content-Length") != "" {
				r.Header.Set("Content-Length", "…")
			}
		}
		about.carried += f.uncarry(r.Header)
		got.Received = append(got.Received, received{r.Scheme, r.Host, r.Method, r.URI, r.Signed, r.Via, comparable(r.Header, len(body), f.traced), string(body)})
	}
	if f.sorted {
		slices.SortFunc(got.Received, func(a, b received) int { return strings.Compare(a.URI+a.Body, b.URI+b.Body) })
	}
	s.extension.Settle(t)
	about.asked, about.outbound, about.outcomes = s.settled()
	about.hops = s.hops(f.hops)
	return got, about
}

// settled waits for reports, which the shim does not wait for: until each
// question has its outcome, or for a moment.
func (s *scene) settled() (asked []string, outbound []stands.Outbound, outcomes []stands.Outcome) {
	for range 50 {
		asked, outbound, outcomes = s.extension.Told()
		questions, reports := 0, len(outbound)+len(outcomes)
		for _, path := range asked {
			if path == "/throughline/v1/current" || path == "/throughline/v1/events" {
				questions++
			}
		}
		if reports >= questions {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return asked, outbound, outcomes
}

// uncarry puts the header back that the function's SDK would have sent, and
// counts it.
func (f *function) uncarry(h http.Header) int {
	if !f.carry {
		return 0
	}
	rest, ok := strings.CutPrefix(h.Get("X-Amzn-Trace-Id"), carriedRoot)
	if !ok || !hexadecimal.MatchString(rest[:min(16, len(rest))]) {
		return 0
	}
	switch rest[16:] {
	case lineagePart: // botocore of 2020 sends no header by itself
		h.Del("X-Amzn-Trace-Id")
	case strings.ReplaceAll(lineagePart, "|", "%7C"):
		h.Set("X-Amzn-Trace-Id", boto3Trace)
	default:
		return 0
	}
	return 1
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{16}$`)

// hops waits for so many reports of calls that leave the bus.
func (s *scene) hops(n int) []stands.Hop {
	for range 100 {
		if len(s.extension.Hops()) >= n {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s.extension.Hops()
}

var (
	addresses = regexp.MustCompile(`0x[0-9a-f]{6,}`)
	clocks    = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,\d]*`)
	seconds   = regexp.MustCompile(`\d+\.\d{3,}`)
	processes = regexp.MustCompile(`\b(pid|thread|NewThread|PID)[ =-]*\d+`)
	ids       = regexp.MustCompile(`\d{10,}|[0-9a-f]{14,}`)
	temporary = regexp.MustCompile(`/tmp[a-z0-9_]{8}\b`)
)

// plain is text without what differs between any two runs.
func plain(text string, sorted bool) string {
	text = temporary.ReplaceAllString(processes.ReplaceAllString(seconds.ReplaceAllString(clocks.ReplaceAllString(addresses.ReplaceAllString(text, "0x…"), "…"), "…"), "$1 …"), "/tmp…")
	if sorted {
		lines := strings.Split(text, "\n")
		slices.Sort(lines)
		text = strings.Join(lines, "\n")
	}
	return text
}

// volatile are headers whose values differ between any two runs: signatures,
// clocks, and what tracers add.
var volatile = []string{"Authorization", "X-Amz-Date", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "X-Amzn-Trace-Id", "Tracestate", "Baggage", "Sentry-Trace", "Newrelic",
	"X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Tags", "X-Amz-Content-Sha256"}

// comparable are the headers without what the shim adds, and without what
// differs between any two runs. Their body had this length before it was stamped.
func comparable(h http.Header, length int, traced bool) http.Header {
	h = h.Clone()
	for _, name := range []string{"Traceparent", "X-Correlation-Id", "X-Causation-Id"} {
		if value := h.Get(name); value != "mine" {
			h.Del(name)
		}
	}
	for _, name := range volatile {
		if h.Get(name) != "" && (traced || name != "X-Amzn-Trace-Id") {
			h.Set(name, "…")
		}
	}
	if value := h.Get("Content-Length"); value != "" && value != "…" {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	return h
}

// both runs a function without and with the shim, and fails the test where
// anything differs. It returns what was seen with it, and what the extension was told.
func (s *scene) both(t *testing.T, python string, f function) (seen, told) {
	t.Helper()
	without, _ := s.run(t, python, f, false)
	with, about := s.run(t, python, f, true)
	a, b := reflect.ValueOf(without), reflect.ValueOf(with)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			one, other := shown(a.Field(i).Interface()), shown(b.Field(i).Interface())
			t.Errorf("%s differs\nonly without us:\n%s\nonly with us:\n%s", a.Type().Field(i).Name, lacking(one, other), lacking(other, one))
		}
	}
	if t.Failed() {
		t.Logf("stdout %s\nstderr %s\ntold %+v", with.Stdout, with.Stderr, about)
	}
	return with, about
}

// lacking are the lines of text that other does not have.
func lacking(text, other string) string {
	have := strings.Split(other, "\n")
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return slices.Contains(have, line) }), "\n")
}

func shown(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(data)
}
