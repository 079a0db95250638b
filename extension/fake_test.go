package extension

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

func TestMain(m *testing.M) {
	// It ends by itself, half a second after a connection was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// lambda is a fake of the Extensions and Telemetry APIs, for what the local
// Lambda service does not do on demand.
type lambda struct {
	t      *testing.T
	server *httptest.Server
	tmp    string

	mu         sync.Mutex
	registered []string // events asked for
	announced  string   // the endpoints file when it registered
	schemas    []string
	target     string // where telemetry goes
	nexts      int
	refuse     func(schema string) int // status; nil: 200

	events chan event
}

func newLambda(t *testing.T) *lambda {
	t.Helper()
	l := &lambda{t: t, tmp: t.TempDir(), events: make(chan event, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Events []string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		file, _ := os.ReadFile(filepath.Join(l.tmp, "throughline", "endpoints"))
		l.mu.Lock()
		l.registered, l.announced = body.Events, string(file)
		l.mu.Unlock()
		w.Header().Set("Lambda-Extension-Identifier", "id-1")
		_, _ = io.WriteString(w, `{"functionName":"portfolio","functionVersion":"$LATEST","handler":"h"}`)
	})
	mux.HandleFunc("PUT /2022-07-01/telemetry", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			SchemaVersion string
			Destination   struct{ URI string }
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.schemas = append(l.schemas, body.SchemaVersion)
		if l.refuse != nil {
			if status := l.refuse(body.SchemaVersion); status != http.StatusOK {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"errorType":"ValidationError"}`)
				return
			}
		}
		l.target = strings.Replace(body.Destination.URI, "sandbox.localdomain", "127.0.0.1", 1)
		_, _ = io.WriteString(w, `"OK"`)
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.nexts++
		l.mu.Unlock()
		select {
		case e := <-l.events:
			_ = json.NewEncoder(w).Encode(e)
		case <-r.Context().Done():
		}
	})
	l.server = httptest.NewServer(mux)
	t.Cleanup(l.server.Close)
	return l
}

func (l *lambda) state() (nexts int, target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nexts, l.target
}

// until waits for a condition, which every test's own time-out bounds.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

func invoke(id string, deadline time.Time) event {
	return event{EventType: "INVOKE", RequestID: id, DeadlineMS: deadline.UnixMilli(), InvokedFunctionARN: "arn:aws:lambda:us-east-1:123456789012:function:portfolio"}
}

func shutdown(reason string) event {
	return event{EventType: "SHUTDOWN", ShutdownReason: reason, DeadlineMS: time.Now().Add(2 * time.Second).UnixMilli()}
}

// records are what Lambda tells of one successful invocation (Telemetry API reference).
func records(id string) string {
	return fmt.Sprintf(`[{"time":"2026-11-23T20:45:00.000Z","type":"platform.start","record":{"requestId":%[1]q,"version":"$LATEST"}},
{"time":"2026-11-23T20:45:00.140Z","type":"platform.runtimeDone","record":{"requestId":%[1]q,"status":"success","metrics":{"durationMs":140.0,"producedBytes":16}}}]`, id)
}

func (l *lambda) tell(batch string) {
	l.t.Helper()
	_, target := l.state()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post(target, "application/json", strings.NewReader(batch))
	if err != nil {
		l.t.Error(err)
		return
	}
	resp.Body.Close()
}

// running is an extension on its way.
type running struct {
	t    *testing.T
	out  *buffer
	log  *buffer
	done chan error
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }

func (b *buffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func (l *lambda) run(change func(*Config)) *running {
	l.t.Helper()
	r := &running{t: l.t, out: &buffer{}, log: &buffer{}, done: make(chan error, 1)}
	c := Config{
		RuntimeAPI: strings.TrimPrefix(l.server.URL, "http://"), Name: "throughline-extension", FunctionName: "portfolio", TempDir: l.tmp,
		API: alpaca.API(nil), OTLPAddr: "127.0.0.1:0", Metrics: metrics.Config{Service: "portfolio"}, Out: r.out, Log: r.log,
	}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	go func() { r.done <- Run(ctx, c) }()
	return r
}

// ended waits for the extension to end after SHUTDOWN.
func (r *running) ended() {
	r.t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("it did not end after SHUTDOWN")
	}
}

// sums adds up each metric over what was written.
func (r *running) sums() map[string]float64 {
	r.t.Helper()
	sums := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(r.out.String()), "\n") {
		var doc map[string]any
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			r.t.Fatalf("%v in %s", err, line)
		}
		for name, value := range doc {
			switch v := value.(type) {
			case float64:
				sums[name] += v
			case []any:
				for _, item := range v {
					if n, ok := item.(float64); ok {
						sums[name] += n
					}
				}
			}
		}
	}
	return sums
}

// backend takes spans and answers as told.
func backend(t *testing.T, answer http.HandlerFunc) (*httptest.Server, func() int) {
	t.Helper()
	var mu sync.Mutex
	spans := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil {
			answer(w, r)
			return
		}
		body, err := readBody(r)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("Content-Type") == "application/json" {
			return
		}
		n, err := otlp.CountSpans(body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		spans += n
		mu.Unlock()
	}))
	t.Cleanup(s.Close)
	return s, func() int { mu.Lock(); defer mu.Unlock(); return spans }
}

func to(t *testing.T, url string) otlp.Config {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return otlp.Config{URL: url, Client: &http.Client{Transport: transport}}
}

// readBody reads a body, unpacked.
func readBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}
