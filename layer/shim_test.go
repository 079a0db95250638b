package layer

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/peertest"
)

const (
	traceID       = "4bf92f3577b34da6a3ce929d0e0e4736"
	processSpanID = "00f067aa0ba902b7"
	currentAnswer = `{"request_id":"r-1","traceparent":"00-` + traceID + `-` + processSpanID + `-01","correlation_id":"workflow-1","causation_id":"signal-1","events":1}`
)

// outbound is one attempt as a shim tells it to the extension.
type outbound struct {
	TraceID  string `json:"trace_id"`
	SpanID   string `json:"span_id"`
	ParentID string `json:"parent_id"`
	Request  string `json:"request_id"`
	Start    int64  `json:"start_unix_nano"`
	End      int64  `json:"end_unix_nano"`
	Method   string
	Host     string
	Port     int
	Path     string
	Resend   int `json:"resend_count"`
	Status   int
	Error    string
	Headers  map[string]string
}

// shimmed stands in for what surrounds a shim: the extension's runtime
// endpoint, and the API that the function calls.
type shimmed struct {
	runtime, api *httptest.Server
	mu           sync.Mutex
	told         []outbound
	received     []http.Header
}

func surround(t *testing.T) *shimmed {
	t.Helper()
	s := &shimmed{}
	s.runtime = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/throughline/v1/current" {
			_, _ = io.WriteString(w, currentAnswer)
			return
		}
		var o outbound
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		s.mu.Lock()
		s.told = append(s.told, o)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	s.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.received = append(s.received, r.Header.Clone())
		s.mu.Unlock()
		w.Header().Set("X-Request-ID", "req-7")
		w.Header().Set("X-Ratelimit-Remaining", "199")
		if r.URL.Path == "/v2/limited" {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.runtime.Close)
	t.Cleanup(s.api.Close)
	return s
}

func (s *shimmed) environ(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "API=" + s.api.URL, "THROUGHLINE_HTTP_HOSTS=127.0.0.1",
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(s.runtime.URL, "http://"),
	}, more...)
}

// attempts waits for n attempts, which some shims tell after the call returned.
func (s *shimmed) attempts(t *testing.T, n int) ([]outbound, []http.Header) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		told, received := slices.Clone(s.told), slices.Clone(s.received)
		s.mu.Unlock()
		if len(told) >= n || time.Now().After(deadline) {
			if len(told) != n || len(received) != n {
				t.Fatalf("%d attempts told and %d received, want %d", len(told), len(received), n)
			}
			return told, received
		}
	}
}

func (s *shimmed) check(t *testing.T, n int) []outbound {
	t.Helper()
	told, received := s.attempts(t, n)
	for i, o := range told {
		at := slices.IndexFunc(received, func(h http.Header) bool { return strings.Contains(h.Get("traceparent"), o.SpanID) })
		if at < 0 {
			t.Fatalf("attempt %d: no call carried its span %s", i, o.SpanID)
		}
		if h := received[at]; h.Get("X-Correlation-ID") != "workflow-1" || h.Get("X-Causation-ID") != "signal-1" || h.Get("traceparent") != "00-"+traceID+"-"+o.SpanID+"-01" {
			t.Errorf("attempt %d: headers %v", i, h)
		}
		if o.TraceID != traceID || o.ParentID != processSpanID || o.Request != "r-1" || o.End < o.Start || o.Host != "127.0.0.1" || o.Port == 0 {
			t.Errorf("attempt %d: told %+v", i, o)
		}
		if o.Headers["x-request-id"] != "req-7" || o.Headers["x-ratelimit-remaining"] != "199" {
			t.Errorf("attempt %d: headers told %v", i, o.Headers)
		}
		if strings.Contains(o.Path, "?") {
			t.Errorf("attempt %d: a query left the process: %s", i, o.Path)
		}
	}
	return told
}

func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func pythonShim(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("throughline/python")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// pythons are the interpreters of this machine that Lambda has runtimes for.
// Only the one that has requests and urllib3 is asked to have them: the others borrow its by path.
func pythons(t *testing.T) (interpreters map[string]string, libraries string) {
	t.Helper()
	interpreters = map[string]string{}
	for _, version := range []string{"3.11", "3.12", "3.13"} {
		if path := peertest.Python(version); path != "" {
			interpreters[version] = path
		}
	}
	for _, path := range interpreters {
		out, err := exec.Command(path, "-c", "import os, requests, urllib3; print(os.path.dirname(os.path.dirname(requests.__file__)))").Output()
		if err == nil {
			return interpreters, strings.TrimSpace(string(out))
		}
	}
	peertest.Missing(t, "Python with requests")
	return nil, ""
}

func TestPythonShim(t *testing.T) {
	interpreters, libraries := pythons(t)
	const script = `
import os, sys, threading
import requests, urllib3
api = os.environ["API"]
assert requests.get(api + "/v2/account?secret=1", headers={"APCA-API-KEY-ID": "k"}).status_code == 200
session = requests.Session()
assert session.post(api + "/v2/orders", json={"symbol": "AAPL"}).status_code == 200
assert urllib3.PoolManager().request("GET", api + "/v2/limited", retries=False).status == 429
t = threading.Thread(target=lambda: requests.get(api + "/v2/clock")); t.start(); t.join()
`
	for version, python := range interpreters {
		t.Run(version, func(t *testing.T) {
			s := surround(t)
			command(t, s.environ(t, "PYTHONPATH="+pythonShim(t), "THROUGHLINE_PYTHONPATH="+libraries), python, "-c", script)
			told := s.check(t, 4)
			if told[0].Method != "GET" || told[0].Path != "/v2/account" || told[0].Status != 200 || told[1].Method != "POST" || told[2].Status != 429 {
				t.Errorf("told %+v", told)
			}
		})
	}
}

func TestPythonShimTellsEachAttempt(t *testing.T) {
	interpreters, libraries := pythons(t)
	const script = `
import os, urllib3
from urllib3.util import Retry
r = urllib3.PoolManager().request("GET", os.environ["API"] + "/v2/limited", retries=Retry(total=2, backoff_factor=0, status_forcelist=[429], raise_on_status=False))
assert r.status == 429
`
	for version, python := range interpreters {
		t.Run(version, func(t *testing.T) {
			s := surround(t)
			command(t, s.environ(t, "PYTHONPATH="+pythonShim(t), "THROUGHLINE_PYTHONPATH="+libraries), python, "-c", script)
			told, _ := s.attempts(t, 3)
			for i, o := range told {
				if o.Resend != i {
					t.Errorf("attempt %d says it is resend %d", i, o.Resend)
				}
			}
		})
	}
}

func TestPythonShimLeavesNoTrace(t *testing.T) {
	interpreters, _ := pythons(t)
	const script = `import sys, os, json; print(json.dumps([sys.path, {k: v for k, v in os.environ.items()}, "throughline_shim" in sys.modules]))`
	type state struct {
		Path []string
		Env  map[string]string
		Shim bool
	}
	read := func(t *testing.T, env []string, python string) (s state) {
		t.Helper()
		fields := []any{&s.Path, &s.Env, &s.Shim}
		if err := json.Unmarshal([]byte(command(t, env, python, "-c", script)), &fields); err != nil {
			t.Fatal(err)
		}
		return s
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "sitecustomize.py"), []byte("import os\nos.environ['OTHER_RAN'] = str(__file__)\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for version, python := range interpreters {
		for name, found := range map[string]string{"Absent": "", "Found": other + ":/opt/python", "Empty": "(empty)"} {
			t.Run(version+name, func(t *testing.T) {
				plain := []string{"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"}
				with := append(slices.Clone(plain), "PYTHONPATH="+pythonShim(t))
				switch found {
				case "":
				case "(empty)":
					plain, with = append(plain, "PYTHONPATH="), append(with, "THROUGHLINE_PYTHONPATH=")
				default:
					plain, with = append(plain, "PYTHONPATH="+found), append(with, "THROUGHLINE_PYTHONPATH="+found)
				}
				without, got := read(t, plain, python), read(t, with, python)
				if !slices.Equal(got.Path, without.Path) {
					t.Errorf("sys.path\n%v, without us\n%v", got.Path, without.Path)
				}
				for k, v := range without.Env {
					if got.Env[k] != v {
						t.Errorf("%s=%q, without us %q", k, got.Env[k], v)
					}
				}
				for k := range got.Env {
					if _, ok := without.Env[k]; !ok {
						t.Errorf("%s is set, without us it is not", k)
					}
				}
				if !got.Shim {
					t.Error("the shim did not start")
				}
			})
		}
	}
}

// TestPythonShimWithoutAnExtension: whoever listens at the address, or nobody,
// the call goes through unchanged.
func TestPythonShimWithoutAnExtension(t *testing.T) {
	interpreters, libraries := pythons(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[1,{") }))
	t.Cleanup(silent.Close)
	t.Cleanup(garbage.Close)
	for name, address := range map[string]string{"Nobody": "127.0.0.1:1", "Silent": strings.TrimPrefix(silent.URL, "http://"), "Garbage": strings.TrimPrefix(garbage.URL, "http://"), "Nonsense": "nonsense"} {
		t.Run(name, func(t *testing.T) {
			s := surround(t)
			env := append(s.environ(t), "AWS_LAMBDA_RUNTIME_API="+address, "PYTHONPATH="+pythonShim(t), "THROUGHLINE_PYTHONPATH="+libraries)
			for _, python := range interpreters {
				command(t, env, python, "-c", `import os, requests; assert requests.get(os.environ["API"] + "/v2/clock").status_code == 200`)
				break
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.received) != 1 || len(s.told) != 0 {
				t.Errorf("%d calls, %d told", len(s.received), len(s.told))
			}
		})
	}
}

func TestNodeShim(t *testing.T) {
	node := peertest.Command(t, "node")
	shim, err := filepath.Abs("throughline/node/shim.cjs")
	if err != nil {
		t.Fatal(err)
	}
	const script = `
const http = require('node:http');
const api = process.env.API;
const call = (make) => new Promise((resolve, reject) => { const r = make(resolve); r.on('error', reject); });
(async () => {
  const a = await call((done) => http.get(api + '/v2/account?secret=1', done)); a.resume();
  if (a.statusCode !== 200) throw new Error('get');
  const b = await call((done) => http.request(api + '/v2/orders', { method: 'POST' }, done).end('{}')); b.resume();
  const c = await fetch(api + '/v2/limited'); await c.text();
  if (c.status !== 429) throw new Error('fetch');
  const http2 = await import('node:http');
  const d = await call((done) => http2.get(api + '/v2/clock', done)); d.resume();
  await new Promise((done) => setTimeout(done, 200));
})();
`
	s := surround(t)
	env := s.environ(t, "NODE_OPTIONS=--require "+shim)
	tmp := strings.TrimPrefix(env[slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") })], "TMPDIR=")
	if err := os.Mkdir(filepath.Join(tmp, "throughline"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := "[" + currentAnswer + "]"
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, list)
	if err := os.WriteFile(filepath.Join(tmp, "throughline", "current"), fmt.Appendf(nil, "%08x\n%s\nwhat a longer writing left", sum.Sum32(), list), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, env, node, "-e", script)
	told := s.check(t, 4)
	if told[0].Path != "/v2/account" || told[1].Method != "POST" || told[2].Status != 429 || told[3].Path != "/v2/clock" {
		t.Errorf("told %+v", told)
	}
}
