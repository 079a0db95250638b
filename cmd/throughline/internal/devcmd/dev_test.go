package devcmd

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/pagestyle"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		cmd := New()
		cmd.SetArgs(os.Args[1:])
		err := cmd.ExecuteContext(ctx)
		stop()
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if path, err := extension(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		os.Exit(code)
	}))
}

type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) { t.mu.Lock(); defer t.mu.Unlock(); return t.b.Write(p) }
func (t *text) String() string              { t.mu.Lock(); defer t.mu.Unlock(); return t.b.String() }

// begin starts the command and returns its addresses, and what ends it.
func begin(t *testing.T, args ...string) (started, func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var out text
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"--json", "--addr", "127.0.0.1:0", "--otlp-addr", "127.0.0.1:0"}, args...))
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	end := sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("%v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(end)
	var s started
	for deadline := time.Now().Add(30 * time.Second); json.Unmarshal([]byte(out.String()), &s) != nil; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not begin: %s", out.String())
		}
	}
	return s, end
}

// request is a request with one span of a workflow.
func request(id string, n int) string {
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"strategy"}}]},"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":"send A","kind":4,`+
		`"startTimeUnixNano":"%d000000000","endTimeUnixNano":"%[3]d500000000","attributes":[{"key":"throughline.correlation.id","value":{"stringValue":"%s"}},{"key":"throughline.event.id","value":{"stringValue":"event-%d"}}]}]}]}]}`, n+1, n+1, 1_795_813_267+n, id, n)
}

func post(t *testing.T, s started, body string, change ...string) int {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, body)
	_ = z.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.OTLP+"/v1/traces", &zipped)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	for i := 0; i < len(change); i += 2 {
		req.Header.Set(change[i], change[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func get(t *testing.T, url string, change ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(change); i += 2 {
		if req.Header.Set(change[i], change[i+1]); change[i] == "Host" {
			req.Host = change[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func workflows(t *testing.T, url string) (l listing) {
	t.Helper()
	if _, body := get(t, url); json.Unmarshal([]byte(body), &l) != nil {
		t.Fatalf("%s", body)
	}
	return l
}

// TestWorkflowsAppear as spans come in, and are there after a restart.
func TestWorkflowsAppear(t *testing.T) {
	dir := t.TempDir()
	s, end := begin(t, "--dir", dir)
	first := workflows(t, s.Page+"/api/workflows")
	if len(first.Workflows) != 0 || first.Found != 0 {
		t.Fatalf("%+v", first)
	}
	later := make(chan listing, 1)
	go func() { later <- workflows(t, fmt.Sprint(s.Page, "/api/workflows?after=", first.Version)) }()
	if status := post(t, s, request("workflow-1", 1)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if l := <-later; len(l.Workflows) != 1 || l.Workflows[0].CorrelationID != "workflow-1" || l.Version == first.Version {
		t.Errorf("%+v", l)
	}
	post(t, s, request("workflow-2", 2))
	post(t, s, request("workflow-1", 0))
	if l := workflows(t, s.Page+"/api/workflows"); len(l.Workflows) != 2 || l.Workflows[0].CorrelationID != "workflow-2" || l.Workflows[1].Changed != l.Version || l.Workflows[0].Changed == l.Version {
		t.Errorf("%+v", l)
	}
	// As where the process was killed while it wrote.
	parts, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	file, err := os.OpenFile(parts[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString(request("workflow-3", 3)[:200])
	_ = file.Close()
	end()
	s, _ = begin(t, "--dir", dir)
	post(t, s, request("workflow-1", 4))
	if l := workflows(t, s.Page+"/api/workflows"); len(l.Workflows) != 2 || l.Workflows[0].CorrelationID != "workflow-1" {
		t.Errorf("after a restart: %+v", l)
	}
	status, page := get(t, s.Page+"/workflow?id=workflow-1")
	if status != http.StatusOK || !strings.Contains(page, `"event-0"`) || !strings.Contains(page, `"event-1"`) || !strings.Contains(page, `"event-4"`) || strings.Contains(page, "event-2") {
		t.Errorf("status %d\n%.3000s", status, page)
	}
}

// plain is a request with a span of another trace that names no workflow.
func plain(n int, name, parent string) string {
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","parentSpanId":"%s","name":"%s","kind":2,`+
		`"startTimeUnixNano":"%d000000000","endTimeUnixNano":"%[5]d500000000"}]}]}]}`, 1000, n+1, parent, name, 1_795_813_267+n)
}

// TestTracesOfNoWorkflow are listed by their first span, until a span of theirs names one.
func TestTracesOfNoWorkflow(t *testing.T) {
	s, _ := begin(t, "--dir", t.TempDir())
	post(t, s, plain(2, "SELECT orders", fmt.Sprintf("%016x", 2)))
	post(t, s, plain(1, "GET /orders", ""))
	post(t, s, strings.Replace(request("", 5), `{"key":"throughline.correlation.id","value":{"stringValue":""}}`, `{"key":"throughline.init.kind","value":{"stringValue":"on-demand"}}`, 1))
	trace := fmt.Sprintf("%032x", 1000)
	l := workflows(t, s.Page+"/api/workflows?find=get%20/OR")
	if l.Found != 1 || l.Workflows[0].TraceID != trace || l.Workflows[0].CorrelationID != "" || l.Workflows[0].Name != "GET /orders" || l.Workflows[0].Spans != 2 {
		t.Errorf("%+v", l)
	}
	if l := workflows(t, s.Page+"/api/workflows"); l.Found != 1 {
		t.Errorf("with the beginning of an environment: %+v", l)
	}
	var documents []workflow.Document
	if _, body := get(t, s.Page+"/api/workflow?trace="+strings.ToUpper(trace)); json.Unmarshal([]byte(body), &documents) != nil || len(documents) != 1 || documents[0].TraceID != trace || len(documents[0].Nodes) != 2 ||
		documents[0].Nodes[0].Span.Name != "GET /orders" || documents[0].Nodes[1].Parent != 0 {
		t.Errorf("%s", body)
	}
	post(t, s, strings.Replace(request("workflow-1", 3), fmt.Sprintf("%032x", 4), trace, 1))
	if l := workflows(t, s.Page+"/api/workflows"); l.Found != 1 || l.Workflows[0].CorrelationID != "workflow-1" {
		t.Errorf("of a workflow: %+v", l)
	}
}

// TestSearch finds by correlation ID, function, type and the ID of an event.
// TestTheNextStepIsPrinted: how the spans of this start are read, wherever they are.
func TestTheNextStepIsPrinted(t *testing.T) {
	for want, s := range map[string]started{
		"--dev\n":          {Page: "http://127.0.0.1:" + devfolder.DefaultPort, App: "http://127.0.0.1:4400/#token=x"},
		"--dev=4400\n":     {Page: "http://127.0.0.1:" + devfolder.DefaultPort},
		"--dev=4401\n":     {Page: "http://127.0.0.1:4401"},
		"--dev=/a/place\n": {Page: "http://127.0.0.1:4401", Dir: "/a/place", named: true},
	} {
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		if err := (options{}).print(cmd, s); err != nil || !strings.Contains(out.String(), "throughline trace --last "+want) {
			t.Errorf("%v\n%s", err, &out)
		}
	}
}

func TestSearch(t *testing.T) {
	s, _ := begin(t, "--dir", t.TempDir())
	for n := range 30 {
		post(t, s, request(fmt.Sprint("workflow-", n%10), n))
	}
	post(t, s, strings.Replace(request("workflow-0", 30), `"attributes":[{"key":"throughline.c`, `"attributes":[{"key":"messaging.destination.name","value":{"stringValue":"trades.fifo"}},{"key":"throughline.c`, 1))
	for text, want := range map[string]int{"trades.FIFO": 1, "WORKFLOW-1": 1, "strateg": 10, "event-17": 1, "event-99": 0, "": 10, "nothing": 0} {
		if l := workflows(t, s.Page+"/api/workflows?find="+text); l.Found != want || len(l.Workflows) != want {
			t.Errorf("%q: %d, %d", text, l.Found, len(l.Workflows))
		}
	}
	if l := workflows(t, s.Page+"/api/workflows?find=event-17"); l.Workflows[0].CorrelationID != "workflow-7" || l.Workflows[0].Spans != 3 {
		t.Errorf("%+v", l)
	}
}

// TestClear removes all spans for whoever has the token, and nobody else.
func TestClear(t *testing.T) {
	dir := t.TempDir()
	s, _ := begin(t, "--dir", dir)
	post(t, s, request("workflow-1", 1))
	_, page := get(t, s.Page+"/")
	token := regexp.MustCompile(`name="throughline-token" content="(\w+)"`).FindStringSubmatch(page)
	if len(token) != 2 {
		t.Fatal("the page has no token")
	}
	clear := func(change ...string) int {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Page+"/api/clear", nil)
		for i := 0; i < len(change); i += 2 {
			if req.Header.Set(change[i], change[i+1]); change[i] == "Host" {
				req.Host = change[i+1]
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for name, change := range map[string][]string{
		"NoToken": nil, "Wrong": {tokenHeader, token[1][1:]}, "Origin": {tokenHeader, token[1], "Origin", "http://127.0.0.1:1"}, "Site": {tokenHeader, token[1], "Sec-Fetch-Site", "same-site"}, "Host": {tokenHeader, token[1], "Host", "evil.example:4400"},
	} {
		if status := clear(change...); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if l := workflows(t, s.Page+"/api/workflows"); l.Found != 1 {
		t.Fatalf("%+v", l)
	}
	before := workflows(t, s.Page+"/api/workflows").Version
	if status := clear(tokenHeader, token[1], "Origin", s.Page, "Sec-Fetch-Site", "same-origin"); status != http.StatusNoContent {
		t.Errorf("with the token: %d", status)
	}
	if l := workflows(t, s.Page+"/api/workflows"); l.Found != 0 || l.Version == before {
		t.Errorf("%+v", l)
	}
	post(t, s, request("workflow-2", 2))
	if l := workflows(t, s.Page+"/api/workflows"); l.Found != 1 || l.Workflows[0].CorrelationID != "workflow-2" {
		t.Errorf("%+v", l)
	}
	if parts, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")); len(parts) != 1 {
		t.Errorf("files: %v", parts)
	}
}

// TestAFolderIsOfOneProcess alone.
func TestAFolderIsOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir, 1e6)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := openStore(dir, 1e6); err == nil || !strings.Contains(err.Error(), "--dir") {
		_ = other.Close()
		t.Errorf("a second store: %v", err)
	}
	cmd := New()
	own, err := os.Executable() // stands for the extension, which is not started
	if err != nil {
		t.Fatal(err)
	}
	cmd.SetArgs([]string{"../../../../examples/sam/template.yaml", "--check", "samples", "--dir", dir, "--extension", own})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("a check beside it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openStore(dir, 1e6); err != nil {
		t.Fatalf("after it was closed: %v", err)
	}
	_ = s.Close()
}

func TestTheOldestGo(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 200 {
		if err := s.Add([]byte(request(fmt.Sprint("workflow-", i), i))); err != nil {
			t.Fatal(err)
		}
	}
	parts, _ := filepath.Glob(filepath.Join(dir, "*"))
	total := int64(0)
	for _, path := range parts {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if l, found, _ := s.List("workflow-199", 10); found != 1 || l[0].spans != 1 {
		t.Errorf("%+v", l)
	}
	known, found, _ := s.List("", 10)
	if total > 20_000 || found < 20 || found > 60 || len(known) != 10 || known[0].id != "workflow-199" {
		t.Errorf("%d bytes in %d files, %d workflows", total, len(parts), found)
	}
	if tree, err := s.Tree(t.Context(), key{id: "workflow-199"}); err != nil || tree.Counts.Events != 1 {
		t.Errorf("%v %+v", err, tree)
	}
}

// TestOtherSitesGetNothing, and change nothing.
func TestOtherSitesGetNothing(t *testing.T) {
	s, _ := begin(t, "--dir", t.TempDir())
	for name, change := range map[string][]string{
		"Origin": {"Origin", "https://evil.example"}, "Rebinding": {"Host", "evil.example:4400"}, "NoPort": {"Host", "127.0.0.1"}, "Fetch": {"Sec-Fetch-Site", "cross-site"}, "Null": {"Origin", "null"},
	} {
		for _, path := range []string{"/", "/api/workflows", "/workflow?id=x", "/api/workflow?id=x", "/map"} {
			if status, body := get(t, s.Page+path, change...); status != http.StatusForbidden || strings.Contains(body, "workflows") {
				t.Errorf("%s of %s: %d", name, path, status)
			}
		}
	}
	if status, body := get(t, s.Page+"/", "Sec-Fetch-Site", "none"); status != http.StatusOK || !strings.Contains(body, "Waiting for spans") || strings.Contains(body, "{{") {
		t.Errorf("its own: %d", status)
	}
	for name, change := range map[string][]string{
		"Origin": {"Origin", "https://evil.example"}, "Simple": {"Content-Type", "text/plain"}, "Fetch": {"Sec-Fetch-Site", "cross-site"},
	} {
		if status := post(t, s, request("workflow-1", 1), change...); status != http.StatusForbidden && status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d", name, status)
		}
	}
	if l := workflows(t, s.Page+"/api/workflows"); len(l.Workflows) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	first, _ := begin(t, "--dir", t.TempDir())
	second, _ := begin(t, "--dir", t.TempDir(), "--addr", strings.TrimPrefix(first.Page, "http://"), "--otlp-addr", strings.TrimPrefix(first.OTLP, "http://"))
	if second.Page == first.Page || second.OTLP == first.OTLP {
		t.Errorf("%+v beside %+v", second, first)
	}
	for _, address := range []string{"0.0.0.0:1", "example.com:1", "127.0.0.1", "127.0.0.1:x"} {
		if l, err := listen(address); err == nil {
			_ = l.Close()
			t.Errorf("it listens on %s", address)
		}
	}
}

func TestPolicyIsOfTheFiles(t *testing.T) {
	if !strings.Contains(policy, pagestyle.Hash(pageJS)) || strings.Contains(pageJS, "</script") || strings.Contains(pageCSS, "</style") {
		t.Error("the page would not run")
	}
}
