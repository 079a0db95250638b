package logs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/metrics/logs"
	"github.com/throughline/throughline/peertest"
)

var keys = peertest.Credentials("AKID", "secret", "session")

// service is as much of CloudWatch Logs as a writer meets.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	calls    []string
	events   []string
	headers  []http.Header
	answer   func(operation string) (int, string)
	requests int
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			LogGroupName, LogStreamName string
			LogEvents                   []struct{ Message string }
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		s.mu.Lock()
		defer s.mu.Unlock()
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
		s.requests++
		if s.answer != nil {
			if status, body := s.answer(operation); status != http.StatusOK {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
				return
			}
		}
		s.calls, s.headers = append(s.calls, operation+" "+in.LogGroupName+" "+in.LogStreamName[:min(12, len(in.LogStreamName))]), append(s.headers, r.Header)
		for _, e := range in.LogEvents {
			s.events = append(s.events, e.Message)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	return s
}

func writer(t *testing.T, s *service, change func(*logs.Config)) *logs.Writer {
	t.Helper()
	c := logs.Config{Patience: time.Minute, Group: "/aws/lambda/f", Region: "eu-west-1", Credentials: keys, Endpoint: s.URL}
	if change != nil {
		change(&c)
	}
	w, err := logs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLinesBecomeLogEvents(t *testing.T) {
	s := newService(t)
	w := writer(t, s, nil)
	for range 2 {
		if n, err := w.Write([]byte("{\"a\":1}\n{\"b\":\"<ü>\"}\n")); err != nil || n != 21 {
			t.Errorf("%d %v", n, err)
		}
	}
	if fmt.Sprint(s.calls) != "[CreateLogStream /aws/lambda/f throughline/ PutLogEvents /aws/lambda/f throughline/ PutLogEvents /aws/lambda/f throughline/]" {
		t.Errorf("calls %q", s.calls)
	}
	if fmt.Sprint(s.events) != `[{"a":1} {"b":"<ü>"} {"a":1} {"b":"<ü>"}]` {
		t.Errorf("events %q", s.events)
	}
	if h := s.headers[1]; h.Get("X-Amzn-Logs-Format") != "json/emf" || !strings.Contains(h.Get("Authorization"), "/eu-west-1/logs/aws4_request") {
		t.Errorf("headers %v", h)
	}
}

func TestManyLinesAreSeveralRequests(t *testing.T) {
	s := newService(t)
	line := strings.Repeat("x", 300_000)
	if _, err := writer(t, s, nil).Write([]byte(strings.Repeat(line+"\n", 7))); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 7 || s.events[6] != line || s.requests != 1+3 {
		t.Errorf("%d events in %d requests", len(s.events), s.requests)
	}
}

func TestARefusalIsAnErrorThatSaysWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"Denied":   {400, `{"__type":"AccessDeniedException","message":"no"}`, "grant logs:CreateLogStream and logs:PutLogEvents"},
		"NoGroup":  {400, `{"__type":"com.amazonaws.logs#ResourceNotFoundException","message":"The specified log group does not exist."}`, "THROUGHLINE_METRICS_SINK=logs:<group>"},
		"Throttle": {400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, "ThrottlingException Rate exceeded"},
		"Garbage":  {500, `<html>`, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.answer = func(string) (int, string) { return tt.status, tt.body }
			warned := ""
			w := writer(t, s, func(c *logs.Config) { c.Warn = func(text string) { warned += text } })
			for range 2 {
				if _, err := w.Write([]byte("{}\n")); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v", err)
				}
			}
			if strings.Count(warned, "metric lines") != 1 {
				t.Errorf("warned %q", warned)
			}
		})
	}
}

// A service that does not answer costs three waits, and then none for a while
// of the wall clock.
func TestItIsLeftAloneAfterFailures(t *testing.T) {
	s := newService(t)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	failing := true
	s.answer = func(string) (int, string) {
		if failing {
			return 503, "{}"
		}
		return 200, ""
	}
	w := writer(t, s, func(c *logs.Config) { c.Now = func() time.Time { return now } })
	for range 10 {
		if _, err := w.Write([]byte("{}\n")); err == nil {
			t.Error("it was taken")
		}
	}
	if s.requests != 3 {
		t.Errorf("%d requests", s.requests)
	}
	now, failing = now.Add(2*time.Second), false
	if _, err := w.Write([]byte("{}\n")); err != nil {
		t.Error(err)
	}
}

func TestItHangsNoLongerThanItsPatience(t *testing.T) {
	s := newService(t)
	block := make(chan struct{})
	s.answer = func(string) (int, string) { <-block; return 200, "" }
	defer close(block)
	w := writer(t, s, func(c *logs.Config) { c.Patience = 0 })
	start := time.Now()
	if _, err := w.Write([]byte("{}\n")); err == nil {
		t.Error("it was taken")
	}
	if took := time.Since(start); took > 20*logs.Patience {
		t.Errorf("it took %v", took)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	for want, c := range map[string]logs.Config{
		"THROUGHLINE_METRICS_SINK=logs:<group>": {Region: "r", Credentials: keys},
		"AWS_REGION":                            {Group: "g", Credentials: keys},
		"credentials":                           {Group: "g", Region: "r"},
	} {
		if _, err := logs.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// moto's CloudWatch Logs takes what is written, as the AWS CLI reads it.
func TestOverMoto(t *testing.T) {
	aws, url := peertest.Command(t, "aws"), peertest.Moto(t)
	run := func(args ...string) string {
		cmd := exec.Command(aws, append([]string{"logs", "--endpoint-url", url, "--region", "eu-west-1"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	group := fmt.Sprintf("/aws/lambda/sink-%d", time.Now().UnixNano())
	run("create-log-group", "--log-group-name", group)
	w, err := logs.New(logs.Config{Group: group, Region: "eu-west-1", Credentials: keys, Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	set := metrics.New(metrics.Config{Service: "portfolio"})
	set.Record(metrics.Observation{At: time.Now(), Name: metrics.ColdStart, Value: 1})
	var err2 error
	for range 20 { // a moto that is busy takes longer than a Lambda environment is made to wait
		if err2 = set.Flush(w, time.Now()); err2 == nil {
			break
		}
		set.Record(metrics.Observation{At: time.Now(), Name: metrics.ColdStart, Value: 1})
		time.Sleep(2 * time.Second)
	}
	if err2 != nil {
		t.Fatal(err2)
	}
	if out := run("filter-log-events", "--log-group-name", group); !strings.Contains(out, `\"ColdStart\":`) || !strings.Contains(out, "throughline/") {
		t.Errorf("it holds %s", out)
	}
}

func Example() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		fmt.Println(r.Header.Get("X-Amz-Target"))
		_, _ = io.WriteString(w, "{}")
	}))
	defer service.Close()
	w, err := logs.New(logs.Config{Group: "/aws/lambda/portfolio", Region: "eu-west-1", Credentials: keys, Endpoint: service.URL})
	if err != nil {
		panic(err)
	}
	set := metrics.New(metrics.Config{Service: "portfolio"})
	set.Record(metrics.Observation{At: time.Now(), Name: metrics.ColdStart, Value: 1})
	if err := set.Flush(w, time.Now()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Logs_20140328.CreateLogStream
	// Logs_20140328.PutLogEvents
}
