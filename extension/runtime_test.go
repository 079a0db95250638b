package extension

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/tracing/otlp"
)

// lambdaAPI is a Runtime API that hands out payloads and keeps answers.
type lambdaAPI struct {
	*httptest.Server
	payloads chan []byte
	mu       sync.Mutex
	n        int
	answers  map[string]string
	trailers http.Header
}

func newLambdaAPI(t testing.TB) *lambdaAPI {
	t.Helper()
	l := &lambdaAPI{payloads: make(chan []byte, 100), answers: map[string]string{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/next") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.answers[r.URL.Path], l.trailers = string(body), r.Trailer
			l.mu.Unlock()
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"status":"OK"}`)
			return
		}
		select {
		case payload := <-l.payloads:
			l.mu.Lock()
			l.n++
			id := fmt.Sprint("r-", l.n)
			l.mu.Unlock()
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
			w.Header().Set("Lambda-Runtime-Trace-Id", fmt.Sprintf("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e7%02d;Parent=9a9197af755a63%02d;Sampled=0", l.n, l.n))
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			_, _ = w.Write(payload)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(l.Close)
	return l
}

const runtimePath = "/2018-06-01/runtime/invocation/"

func stampedEvent(n int) string {
	return fmt.Sprintf(`{"version":"0","id":"env-%d","detail-type":"SignalGenerated","source":"s","time":"2026-11-23T20:45:00Z",`+
		`"resources":["correlation:workflow-%d","traceparent:00-%032x-%016x-01","hops:0"],"detail":{"event_id":"signal-%d"}}`, n, n, n, n, n)
}

func TestRuntimeEndpoint(t *testing.T) {
	l := newLambdaAPI(t)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	if resp, _ := get(t, url+"/throughline/v1/current"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("before any event: %s", resp.Status)
	}

	l.payloads <- []byte(stampedEvent(1))
	resp, body := get(t, url+runtimePath+"next")
	if body != stampedEvent(1) || resp.Header.Get("Lambda-Runtime-Aws-Request-Id") != "r-1" {
		t.Errorf("next: %s %v", body, resp.Header)
	}
	var v inflight.View
	if _, body := get(t, url+"/throughline/v1/current"); json.Unmarshal([]byte(body), &v) != nil || v.RequestID != "r-1" || v.CorrelationID != "workflow-1" || v.CausationID != "signal-1" || v.Events != 1 || v.Traceparent == "" {
		t.Errorf("current: %s", body)
	}
	if resp := post(t, url+runtimePath+"r-1/response", `{"statusCode":500}`); resp.StatusCode != http.StatusAccepted || l.answers[runtimePath+"r-1/response"] != `{"statusCode":500}` {
		t.Errorf("response: %s %v", resp.Status, l.answers)
	}
	found := otlp.Find(d.spans[0], "faas.invocation_id")
	if len(found) != 1 || found[0].Texts[0] != "r-1" || !found[0].Sampled {
		t.Errorf("found %+v", found)
	}

	// The same event once more, and an error.
	l.payloads <- []byte(stampedEvent(1))
	get(t, url+runtimePath+"next")
	post(t, url+runtimePath+"r-2/error", `{"errorType":"ValueError","errorMessage":"bad"}`, "Lambda-Runtime-Function-Error-Type", "ValueError")
	sums := d.sums()
	if sums["SoftErrors"] != 1 || sums["DuplicateEvents_redelivery"] != 1 || sums["HandlerDuration"] <= 0 || sums["EventsReceived"] != 2 {
		t.Errorf("sums %v", sums)
	}
}

// slow has ten more parts to read, a little apart.
type slow struct{ read int }

func (s *slow) Read(p []byte) (int, error) {
	if s.read++; s.read > 10 {
		return 0, io.EOF
	}
	time.Sleep(time.Millisecond)
	return copy(p, "part"), nil
}

// longestRead is the length of the longest payload that is held for reading; a
// longer one is read as it passes.
const longestRead = 1<<20 + 64<<10

func TestRuntimeIsTransparent(t *testing.T) {
	l := newLambdaAPI(t)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	for name, payload := range map[string][]byte{
		"6 MB":         append(append([]byte(`{"text":"`), bytes.Repeat([]byte("x"), 6<<20)...), `"}`...),
		"at the bound": bytes.Repeat([]byte(" "), longestRead),
		"over it":      bytes.Repeat([]byte(" "), longestRead+1),
		"not JSON":     {0, 1, 2, 0xff},
		"nothing":      {},
	} {
		l.payloads <- payload
		if _, body := get(t, url+runtimePath+"next"); body != string(payload) {
			t.Errorf("%s: %d bytes of %d", name, len(body), len(payload))
		}
	}
	if sums := d.sums(); sums["InvocationsUnread"] != 0 {
		t.Errorf("unread: %v", sums)
	}
	if !d.budget.Take(requestBudget) {
		t.Fatal("what was read is still held")
	}
	l.payloads <- []byte(stampedEvent(1))
	if _, body := get(t, url+runtimePath+"next"); body != stampedEvent(1) {
		t.Errorf("without room: %s", body)
	}
	d.budget.Give(requestBudget)
	if sums := d.sums(); sums["InvocationsUnread_busy"] != 1 || sums["InvocationsUnread"] != 1 {
		t.Errorf("unread: %v", sums)
	}
	answer := strings.Repeat("y", 6<<20)
	post(t, url+runtimePath+"r-1/response", answer)
	if l.answers[runtimePath+"r-1/response"] != answer {
		t.Error("the answer was changed")
	}

	t.Run("Trailers", func(t *testing.T) {
		pipe, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+runtimePath+"r-2/response", pipe)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
		req.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": nil}
		go func() {
			_, _ = io.WriteString(w, "half of it")
			req.Trailer.Set("Lambda-Runtime-Function-Error-Type", "Runtime.Broken")
			_ = w.Close()
		}()
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if l.answers[runtimePath+"r-2/response"] != "half of it" || l.trailers.Get("Lambda-Runtime-Function-Error-Type") != "Runtime.Broken" {
			t.Errorf("answer %q, trailers %v", l.answers[runtimePath+"r-2/response"], l.trailers)
		}
	})
	t.Run("Answered before the end", func(t *testing.T) {
		hasty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex() // or it would read the body first
			w.WriteHeader(http.StatusAccepted)
			_ = http.NewResponseController(w).Flush()
		}))
		defer hasty.Close()
		url := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(hasty.URL, "http://") }).serve("runtime")
		for range 20 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+runtimePath+"r-1/response", io.MultiReader(strings.NewReader("half"), &slow{}))
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": {"Runtime.Broken"}}
			resp, err := plainClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				t.Error(resp.Status)
			}
		}
	})
	t.Run("Empty answer", func(t *testing.T) {
		l.payloads <- []byte(stampedEvent(7))
		resp, _ := get(t, url+runtimePath+"next")
		before := d.sums()["HandlerDuration"]
		if resp := post(t, url+runtimePath+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", ""); resp.StatusCode != http.StatusAccepted {
			t.Error(resp.Status)
		}
		if sums := d.sums(); sums["HandlerDuration"] <= before || sums["TelemetryDropped"] != 0 {
			t.Errorf("sums %v", sums)
		}
	})
	t.Run("Init error", func(t *testing.T) {
		if resp := post(t, url+"/2018-06-01/runtime/init/error?a=%zz", `{}`); resp.StatusCode != http.StatusAccepted || l.answers["/2018-06-01/runtime/init/error"] != `{}` {
			t.Errorf("%s %v", resp.Status, l.answers)
		}
	})
}

// Many in flight: a call belongs to the one whose header it carries, and to
// none where that cannot be told.
func TestCurrentUnderConcurrency(t *testing.T) {
	l := newLambdaAPI(t)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	file := filepath.Join(d.config.TempDir, "throughline", "current")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{}
	for n := 1; n <= 8; n++ {
		l.payloads <- []byte(stampedEvent(n))
		resp, body := get(t, url+runtimePath+"next")
		if !strings.Contains(body, fmt.Sprintf("signal-%d", n)) {
			t.Fatal(body)
		}
		headers[fmt.Sprintf("signal-%d", n)] = resp.Header.Get("Lambda-Runtime-Trace-Id")
	}
	for id, header := range headers {
		for _, sent := range []string{header, strings.ReplaceAll(header, ";", "%3B")} {
			var v inflight.View
			_, body := get(t, url+"/throughline/v1/current?trace="+strings.ReplaceAll(strings.ReplaceAll(sent, "%", "%25"), ";", "%3B"))
			if json.Unmarshal([]byte(body), &v) != nil || v.CausationID != id {
				t.Errorf("%s: %s", id, body)
			}
		}
	}
	if resp, _ := get(t, url+"/throughline/v1/current"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("without a header: %s", resp.Status)
	}
	if listed := readCurrent(t, file); len(listed) != 8 || listed[0].Trace == "" {
		t.Errorf("file %+v", listed)
	}
	for n := 1; n <= 8; n++ {
		post(t, url+runtimePath+fmt.Sprintf("r-%d/response", n), `{}`)
	}
	if listed := readCurrent(t, file); len(listed) != 1 || listed[0].RequestID != "r-8" {
		t.Errorf("the last stays current: %+v", listed)
	}
}

// readCurrent reads the file as the shims do.
func readCurrent(t *testing.T, file string) (listed []inflight.View) {
	t.Helper()
	for range 1000 {
		read, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(string(read), "\n", 3)
		if len(parts) < 3 { // it grows just now
			continue
		}
		if parts[0] != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(parts[1]))) {
			continue
		}
		if err := json.Unmarshal([]byte(parts[1]), &listed); err != nil {
			t.Fatalf("%s: %v", read, err)
		}
		return listed
	}
	t.Fatal("it is never whole")
	return nil
}

// Who reads the file while it is written gets what was written at one time.
func TestCurrentFileIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "throughline", "current")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := inflight.New(file)
	defer c.Close()
	handle := func(n int) {
		id := strings.Repeat(fmt.Sprint(n), 1+n%200)
		f := &inflight.Invocation{Header: id, Invocation: &handling.Invocation{Context: t.Context(), Request: id}}
		c.Begin(f)
		c.End(id)
	}
	handle(1)
	if err := os.RemoveAll(filepath.Dir(file)); err != nil { // as a function does that cleans its /tmp
		t.Fatal(err)
	}
	handle(2)
	if listed := readCurrent(t, file); listed[0].Trace != strings.Repeat("2", 3) {
		t.Errorf("after a cleaning: %+v", listed)
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 3; ; n++ {
			select {
			case <-stop:
				return
			default:
				handle(n)
			}
		}
	})
	for range 2000 {
		if listed := readCurrent(t, file); len(listed) != 1 || listed[0].RequestID != listed[0].Trace {
			t.Errorf("read %+v", listed)
		}
	}
	close(stop)
	writer.Wait()
}
