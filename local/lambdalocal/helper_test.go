package lambdalocal

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also what the processes under test run: this binary again, as an
// extension when it is started by an extension's name, as a runtime otherwise.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		os.Exit(play(filepath.Base(os.Args[0])))
	}
	goleak.VerifyTestMain(m)
}

// seen is something that a process told the test.
type seen struct {
	From, Kind string
	Status     int
	Header     http.Header
	Body       json.RawMessage
}

// world is a service and what its processes tell.
type world struct {
	t       *testing.T
	svc     *Service
	dir     string
	url     string
	mu      sync.Mutex
	changed chan struct{}
	all     []seen
	lines   []LogLine
	gates   map[string]chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // worlds share nothing, and most of their time is waiting
	w := &world{t: t, dir: t.TempDir(), changed: make(chan struct{}), gates: map[string]chan struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /seen", func(_ http.ResponseWriter, r *http.Request) {
		var s seen
		if json.NewDecoder(r.Body).Decode(&s) == nil {
			w.add(func() { w.all = append(w.all, s) })
		}
	})
	mux.HandleFunc("GET /gate/{name}", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-w.gate(r.PathValue("name")):
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	w.url = server.URL
	w.svc = New(Options{Dir: w.dir, OnLog: func(line LogLine) { w.add(func() { w.lines = append(w.lines, line) }) }})
	t.Cleanup(func() {
		if err := w.svc.Close(); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return w
}

func (w *world) add(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) gate(name string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates[name] == nil {
		w.gates[name] = make(chan struct{})
	}
	return w.gates[name]
}

func (w *world) open(name string) { close(w.gate(name)) }

// function is one of the test binary, with extensions of the given names.
func (w *world) function(name string, env map[string]string, extensions ...string) Function {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	// The race detector would keep every process a second at its exit.
	all := map[string]string{"TEST_WORLD": w.url, "GORACE": "atexit_sleep_ms=0", "PATH": os.Getenv("PATH")}
	maps.Copy(all, env)
	f := Function{Name: name, Handler: "main.handle", Runtime: []string{self}, Env: all, Memory: 1024, Timeout: 20 * time.Second}
	for _, extension := range extensions {
		path := filepath.Join(w.dir, extension)
		if err := os.Symlink(self, path); err != nil && !os.IsExist(err) {
			w.t.Fatal(err)
		}
		f.Extensions = append(f.Extensions, path)
	}
	return f
}

func (w *world) create(f Function) *Deployment {
	w.t.Helper()
	d, err := w.svc.Create(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) invoke(d *Deployment, payload string) Result {
	w.t.Helper()
	result, err := d.Invoke(w.t.Context(), []byte(payload), InvokeOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

// settled waits until no invocation is running or queued.
func (w *world) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := w.svc.Wait(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a condition over what was seen, logged or invoked.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-time.After(5 * time.Millisecond): // not everything tells
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range w.all {
				if s.Kind == "environment" {
					continue
				}
				w.t.Logf("%s %s %d %s", s.From, s.Kind, s.Status, s.Body)
			}
			for _, line := range w.lines {
				w.t.Logf("%s: %s", line.Source, line.Text)
			}
			w.t.Fatalf("never: %s", what)
		}
	}
}

func (w *world) saw(from, kind string) []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []seen
	for _, s := range w.all {
		if s.From == from && s.Kind == kind {
			found = append(found, s)
		}
	}
	return found
}

func (w *world) untilSaw(from, kind string, n int) []seen {
	w.t.Helper()
	w.until(from+" "+kind, func() bool { return len(w.saw(from, kind)) >= n })
	return w.saw(from, kind)
}

func (w *world) logged(source string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, line := range w.lines {
		if line.Source == source {
			texts = append(texts, line.Text)
		}
	}
	return texts
}

// told is one telemetry record as an extension received it.
type told struct {
	Time   time.Time       `json:"time"`
	Type   string          `json:"type"`
	Record json.RawMessage `json:"record"`
}

func (w *world) records(extension, kind string) []told {
	w.t.Helper()
	var found []told
	for _, s := range w.saw(extension, "telemetry") {
		var batch []told
		if err := json.Unmarshal(s.Body, &batch); err != nil {
			w.t.Fatalf("telemetry is not an array of records: %v: %s", err, s.Body)
		}
		for _, r := range batch {
			if kind == "" || r.Type == kind {
				found = append(found, r)
			}
		}
	}
	return found
}

func (w *world) untilRecords(extension, kind string, n int) []told {
	w.t.Helper()
	w.until(extension+" "+kind, func() bool { return len(w.records(extension, kind)) >= n })
	return w.records(extension, kind)
}

// decode reads JSON into a T.
func decode[T any](t *testing.T, document []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(document, &v); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	return v
}

// call is one HTTP request to an environment's API, as any process in it could make.
func call(t *testing.T, e *Environment, method, path, id, body string, headers ...string) (int, apiError, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.API()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		request.Header.Set(extensionIdentifier, id)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(response.Body)
	var refusal apiError
	_ = json.Unmarshal(bytes.TrimSpace(content), &refusal)
	return response.StatusCode, refusal, response.Header
}

func closeIdle(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}
