package pythonshim

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// attempt is what is told of an attempt, in short.
func attempt(o stands.Outbound) string {
	class := strings.Replace(o.Error, "SSLCertVerificationError", "SSLError", 1) // urllib3 2 has a name of its own for it
	return strings.TrimSpace(fmt.Sprintf("%s %s %d %d %s", o.Method, o.Path, o.Status, o.Resend, class))
}

var callCases = []struct {
	name     string
	sets     []string // environments that it runs in
	function function
	told     []string // attempts, in the order of their end
	unmarked int      // attempts whose request carries a traceparent of the caller's
}{
	{"calls", both, function{script: "calls.py"}, toldCalls, 0},
	{"retries", both, function{script: "retry.py"}, []string{"GET /v2/limited 429 0", "GET /v2/limited 429 1", "GET /v2/limited 429 2"}, 0},
	{"a body that raises", base, function{script: "body.py"}, []string{"POST /v2/orders 0 0 ValueError"}, 0},
	{"a body that calls", base, function{script: "genbody.py"}, []string{"GET /v2/clock 200 0", "POST /v2/orders 200 0"}, 0},
	{"wrapt's import hook", both, function{script: "hooked.py"}, []string{"GET /v2/clock 200 0"}, 0},
	{"finders that proxy loaders", both, function{script: "proxied.py"}, []string{"GET /v2/clock 200 0"}, 0},
	{"reloaded", both, function{script: "reload.py"}, []string{"GET /v2/clock 200 0", "GET /v2/clock 200 0"}, 0},
	{"imported again", both, function{script: "again.py"}, []string{"GET /v2/clock 200 0", "GET /v2/clock 200 0"}, 0},
	{"from a zip", both, function{script: "zipped.py"}, []string{"GET /v2/clock 200 0"}, 0},
	{"found before it is imported", both, function{script: "lazy.py"}, []string{"GET /v2/clock 200 0"}, 0},
	{"introspection", both, function{script: "introspection.py"}, nil, 0},
	{"an import that raises", base, function{script: "broken.py", env: []string{"BREAK=raise RuntimeError('no')"}}, nil, 0},
	{"an import without a dependency", base, function{script: "broken.py", env: []string{"BREAK=import nowhere_at_all"}}, nil, 0},
	{"an import with a syntax error", base, function{script: "broken.py", env: []string{"BREAK=def"}}, nil, 0},
	{"an import that exits", base, function{script: "broken.py", env: []string{"BREAK=raise SystemExit(3)"}}, nil, 0},
	{"errors", both, function{script: "errors.py"}, []string{
		"GET / 0 0 NewConnectionError", "GET /never 0 0 ReadTimeoutError", "GET /reset 0 0 ConnectionResetError", "GET /close 0 0 RemoteDisconnected", "GET /garbage 0 0 BadStatusLine",
		"GET /half 200 0", "GET /v2/clock 0 0 SSLError", "GET /close 0 0 RemoteDisconnected", "GET /close 0 1 RemoteDisconnected",
	}, 0},
	{"a deadline of the user's", both, function{script: "alarm.py"}, []string{"GET /never 0 0 Deadline"}, 0},
	{"a fork", both, function{script: "forked.py"}, []string{"GET /v2/clock 200 0", "GET /v2/child 200 0", "GET /v2/clock 200 0"}, 0},
	{"through a proxy", both, function{script: "proxyenv.py"}, []string{"GET /v2/clock 200 0"}, 0},
	{"the caller's objects", both, function{script: "caller.py"}, []string{"GET /v2/clock 200 0", "GET /redirect 302 0", "GET /v2/clock 200 1", "POST /v2/orders 200 0", "GET /v2/clock 200 0"}, 1},
	{"warnings are errors", both, function{script: "dev.py", flags: []string{"-X", "dev"}}, []string{"GET /v2/clock 200 0"}, 0},
	{"optimised", base, function{script: "dev.py", flags: []string{"-OO"}}, []string{"GET /v2/clock 200 0"}, 0},
	{"no files", both, function{script: "calls.py", alone: true}, toldCalls, 0},
	{"no extension", base, function{script: "calls.py", gone: true}, nil, 0},
	{"an extension that hangs", base, function{script: "calls.py", answer: hang}, toldCalls, 0},
	{"one that hangs, no files", base, function{script: "calls.py", answer: hang, alone: true}, nil, 0},
	{"an extension that answers rubbish", base, function{script: "calls.py", answer: rubbish, waits: "10", alone: true}, nil, 0},
	{"another server at its address", base, function{script: "calls.py", answer: other, waits: "10", alone: true}, nil, 0},
	{"an answer without end", base, function{script: "calls.py", answer: endless, waits: "10", alone: true}, nil, 0},
}

var toldCalls = []string{"GET /v2/account 200 0", "POST /v2/orders 200 0", "GET /v2/limited 429 0", "GET /v2/clock 200 0", "GET /v2/clock 200 0"}

var (
	base = []string{"base"}
	both = []string{"base", "old"}
)

func hang(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
	<-r.Context().Done()
	return true
}

func rubbish(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	_, _ = w.Write([]byte("[1,{"))
	return true
}

func other(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	http.NotFound(w, r)
	return true
}

func endless(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	w.Header().Set("Content-Length", "99999999999")
	_, _ = w.Write([]byte("{"))
	return true
}

// TestCalls: HTTP calls come out as without the shim, and each attempt is told once.
func TestCalls(t *testing.T) {
	for _, tt := range callCases {
		for _, set := range tt.sets {
			for version, python := range versions(t, set) {
				t.Run(tt.name+" "+set+" "+version, func(t *testing.T) {
					s := newScene(t)
					_, about := s.both(t, python, tt.function)
					checkAttempts(t, about, tt.told, tt.unmarked)
				})
			}
		}
	}
}

func checkAttempts(t *testing.T, about told, want []string, unmarked int) {
	t.Helper()
	var got []string
	for _, o := range about.outbound {
		got = append(got, attempt(o))
		if o.TraceID != stands.TraceID || o.ParentID != stands.SpanID || o.Request != "r-1" || o.End < o.Start || o.Port == 0 || strings.Contains(o.Path, "?") {
			t.Errorf("told %+v", o)
		}
		carried := 0
		for _, span := range about.spans {
			if span == "00-"+stands.TraceID+"-"+o.SpanID+"-01" {
				carried++
			}
		}
		if carried != 1 {
			if o.Status != 0 {
				unmarked--
			}
		}
	}
	if unmarked < 0 {
		t.Errorf("attempts whose span no request carried: %+v of %q", about.outbound, about.spans)
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestThreads: each attempt of many at once is told once.
func TestThreads(t *testing.T) {
	for version, python := range versions(t, "base") {
		t.Run(version, func(t *testing.T) {
			s := newScene(t)
			_, about := s.both(t, python, function{script: "threads.py", sorted: true})
			if len(about.outbound) != 64 {
				t.Errorf("%d attempts told", len(about.outbound))
			}
		})
	}
}

// TestSurroundings: paths, variables and a sitecustomize of the user's are what they were.
func TestSurroundings(t *testing.T) {
	modules, customized := t.TempDir(), t.TempDir()
	for path, content := range map[string]string{
		filepath.Join(modules, "moda.py"): "", filepath.Join(customized, "sitecustomize.py"): "import os\nos.environ['CUSTOMIZED'] = __file__ + __name__ + str(__spec__.loader.__class__)\n",
		filepath.Join(customized, "moda.py"): "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	failing := t.TempDir()
	if err := os.WriteFile(filepath.Join(failing, "sitecustomize.py"), []byte("import nowhere_at_all\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env   []string
		flags []string
	}{
		"no PYTHONPATH":               {nil, nil},
		"PYTHONPATH":                  {[]string{"PYTHONPATH=" + modules + ":/opt/python"}, nil},
		"an empty PYTHONPATH":         {[]string{"PYTHONPATH="}, nil},
		"PYTHONPATH with empty parts": {[]string{"PYTHONPATH=:" + modules + ":"}, nil},
		"PYTHONPATH twice":            {[]string{"PYTHONPATH=" + modules + ":" + modules}, nil},
		"a relative PYTHONPATH":       {[]string{"PYTHONPATH=.:sub"}, nil},
		"a sitecustomize":             {[]string{"PYTHONPATH=" + customized}, nil},
		"a sitecustomize that fails":  {[]string{"PYTHONPATH=" + failing}, nil},
		"verbose failure":             {[]string{"PYTHONPATH=" + failing}, []string{"-W", "error"}},
		"without the user's site":     {[]string{"PYTHONPATH=" + modules}, []string{"-s"}},
	} {
		for version, python := range versions(t, "base") {
			t.Run(name+" "+version, func(t *testing.T) {
				s := newScene(t)
				s.both(t, python, function{script: "env.py", env: tt.env, flags: tt.flags})
			})
		}
	}
	// Python runs no sitecustomize then, or reads no variable: the shim cannot start, nor put PYTHONPATH back.
	for flag, want := range map[string]string{"-S": "moda " + modules, "-E": "No module named 'moda'", "-I": "No module named 'moda'"} {
		for version, python := range versions(t, "base") {
			t.Run(flag+" "+version, func(t *testing.T) {
				with, about := newScene(t).run(t, python, function{script: "env.py", env: []string{"PYTHONPATH=" + modules}, flags: []string{flag}}, true)
				if with.Exit != 0 || !strings.Contains(with.Stdout, plain(want, false)) || with.Stderr != "" || len(about.asked) > 0 {
					t.Errorf("%+v, asked %q", with, about.asked)
				}
			})
		}
	}
	for version, python := range versions(t, "base") {
		t.Run("a subinterpreter "+version, func(t *testing.T) {
			newScene(t).both(t, python, function{script: "subinterpreter.py", env: []string{"PYTHONPATH=" + modules}})
		})
	}
}
