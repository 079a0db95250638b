package nodeshim

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// httpCases are those of testdata/http.cjs, with what the extension is told of
// each: method, path, status, error.
var httpCases = []struct {
	name  string
	since string // version of Node.js
	told  []string
}{
	{name: "get", told: []string{"GET /v2/account 200 "}},
	{name: "post", told: []string{"POST /v2/orders 200 "}},
	{name: "limited", told: []string{"GET /v2/limited 429 "}},
	{name: "redirected", told: []string{"GET /redirect 302 "}},
	{name: "without a response listener", told: []string{"POST /big 200 "}},
	{name: "one socket, nobody reads", told: []string{"GET /v2/clock 200 ", "POST /big 200 "}},
	{name: "beacons", told: slices.Repeat([]string{"POST /big 200 "}, 40)},
	{name: "listeners", told: []string{"GET /v2/clock 200 "}},
	{name: "identity"},
	{name: "an error that nobody handles", told: []string{"GET /v2/clock 0 ECONNREFUSED"}},
	{name: "an error that is handled", told: []string{"GET /close 0 ECONNRESET", "GET /garbage 0 HPE_INVALID_CONSTANT", "GET /reset 0 ECONNRESET", "GET /v2/clock 0 ECONNREFUSED"}},
	{name: "errors that are thrown", told: []string{"POST /v2/orders 200 "}},
	{name: "a listener that throws", told: []string{"GET /v2/clock 200 "}},
	{name: "a data listener that throws", told: []string{"GET /v2/clock 200 "}},
	{name: "aborted", told: []string{"GET /never 0 aborted"}},
	{name: "aborted at once", told: []string{"GET /never 0 aborted"}},
	{name: "destroyed", told: []string{"GET /never 0 Error", "GET /never 0 aborted"}},
	{name: "timed out", told: []string{"GET /never 0 aborted"}},
	{name: "half a response", told: []string{"GET /half 200 "}},
	{name: "flushed headers", told: []string{"POST /v2/orders 200 "}},
	{name: "header arrays", told: []string{"POST /v2/orders 200 "}},
	{name: "expect", told: []string{"POST /v2/orders 200 "}},
	{name: "interim responses", told: []string{"GET /interim 200 "}},
	{name: "a tunnel", told: []string{"CONNECT example.com:443 200 "}},
	{name: "an upgrade", told: []string{"GET /upgrade 101 "}},
	{name: "an upgrade that nobody takes", told: []string{"GET /upgrade 101 "}},
	{name: "headers that the caller set", told: []string{"GET /v2/clock 200 "}},
	{name: "emit replaced", told: []string{"GET /v2/clock 200 "}},
	{name: "after a pause", told: slices.Repeat([]string{"GET /v2/clock 200 "}, 3)},
	{name: "fetch", told: []string{"GET /v2/limited 429 "}},
	{name: "undici", told: []string{"GET /never 0 aborted", "GET /v2/limited 429 "}},
	{name: "fetch aborted", told: []string{"GET /never 0 aborted", "GET /v2/clock 200 "}},
	{name: "fetch timed out", told: []string{"GET /never 0 aborted", "GET /v2/clock 200 "}},
	{name: "fetch refused", told: []string{"GET /v2/clock 0 ECONNREFUSED"}},
	{name: "a WebSocket of ws", told: []string{"GET /stream 101 "}},
	{name: "a WebSocket of Node.js", since: "22", told: []string{"GET /stream 101 "}},
}

// An HTTP client does with the shim what it does without, and each attempt of
// it is told once.
func TestHTTP(t *testing.T) {
	for _, version := range nodes() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			world := newWorld(t, version)
			for _, tt := range httpCases {
				if version < tt.since {
					continue
				}
				t.Run(tt.name, func(t *testing.T) {
					w := *world
					w.T = t
					w.extension.Begin(nil)
					with := w.both(program{args: []string{"http.cjs", tt.name}})
					attempts, _ := w.told(len(tt.told), 0)
					checkAttempts(t, attempts, with.received, tt.told)
				})
			}
		})
	}
}

func checkAttempts(t *testing.T, attempts []stands.Outbound, received []stands.Request, want []string) {
	t.Helper()
	var got []string
	for _, a := range attempts {
		got = append(got, fmt.Sprintf("%s %s %d %s", a.Method, a.Path, a.Status, a.Error))
		if a.TraceID != stands.TraceID || a.ParentID != stands.SpanID || a.Request != "r-1" || a.End < a.Start || a.Host == "" || a.Port == 0 || a.Scheme != "http" {
			t.Errorf("told %+v", a)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, r := range received {
		parent := r.Header.Get("Traceparent")
		if strings.HasPrefix(parent, "00-1111") || strings.Contains(string(r.Raw), "X-A: 1") || r.Header.Get("Expect") != "" {
			continue // the caller's own, or headers that were written before we see them
		}
		at := slices.IndexFunc(attempts, func(a stands.Outbound) bool { return "00-"+stands.TraceID+"-"+a.SpanID+"-01" == parent })
		if at < 0 || r.Header.Get("X-Correlation-ID") != "workflow-1" || r.Header.Get("X-Causation-ID") != "signal-1" {
			t.Errorf("%s carries %q, of no attempt that was told, and %v", r.URI, parent, r.Header)
		}
	}
}

// A process that is frozen between a call and its report, and longer than any
// deadline of the shim, tells all of its calls, and goes on telling.
func TestFrozen(t *testing.T) {
	for _, version := range nodes() {
		for _, way := range []string{"pipe", "requests"} {
			t.Run(version+" "+way, func(t *testing.T) { frozen(t, version, way) })
		}
	}
}

func frozen(t *testing.T, version, way string) {
	w := newWorld(t, version)
	if way == "requests" {
		w.pipeless()
	}
	w.extension.Begin(nil)
	cmd, in, out := w.start("frozen.cjs")
	line := func() {
		t.Helper()
		if text, err := out.ReadString('\n'); err != nil || text != "200\n" {
			t.Fatalf("%q, %v", text, err)
		}
	}
	for range 3 {
		fmt.Fprintln(in, "call")
		line()
		signal(t, cmd, syscall.SIGSTOP)
		time.Sleep(1500 * time.Millisecond) // longer than a report waits for its answer
		signal(t, cmd, syscall.SIGCONT)
	}
	fmt.Fprintln(in, "call")
	line()
	w.told(4, 0)
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func signal(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
