package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// victim is a user's function that publishes, and fails as it is told.
func victim(ctx context.Context, in struct{ Do, ID, Text string }) (map[string]any, error) {
	switch in.Do {
	case "fail":
		return nil, fmt.Errorf("no: %s", in.ID)
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Minute)
	case "log":
		line := strings.Repeat("x", 999) + "\n"
		for range 100 << 10 { // 100 MB
			_, _ = io.WriteString(os.Stdout, line)
		}
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	detail := fmt.Sprintf(`{"event_id": %q, "correlation_id": "workflow-1", "n": 12345678901234567890, "text": "< ünï"}`, in.ID)
	out, err := eventbridge.NewFromConfig(c).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: &detail},
	}})
	if err != nil {
		return nil, err
	}
	return map[string]any{"failed": out.FailedEntryCount, "read": len(in.Text)}, nil
}

// harmed is one way in which the surroundings are broken.
type harmed struct {
	env       map[string]string
	backend   func(t *testing.T) string // where spans go
	telemetry lambdalocal.Telemetry
	payloads  []string // what the function is called with; nil for three ordinary calls
	timeout   time.Duration
	hook      func(lambdalocal.Event)
	keys      lambdalocal.Credentials
}

func serving(handle http.HandlerFunc) func(*testing.T) string {
	return func(t *testing.T) string {
		server := httptest.NewServer(handle)
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
		return server.URL
	}
}

// hanging takes connections and never answers.
func hanging(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

// halfClosing answers half of a head.
func halfClosing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le")
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	return "http://" + l.Addr().String()
}

var harms = map[string]harmed{
	"backend refuses":     {backend: func(*testing.T) string { return "http://127.0.0.1:1" }},
	"backend hangs":       {backend: hanging},
	"backend answers 500": {backend: serving(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })},
	"backend answers 429": {backend: serving(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	})},
	"backend answers junk":  {backend: serving(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0, 0x12, 0xff}) })},
	"backend half-closes":   {backend: halfClosing},
	"no such host":          {backend: func(*testing.T) string { return "http://nobody.invalid:4318" }},
	"backend is no URL":     {backend: func(*testing.T) string { return "::nonsense" }},
	"telemetry answers 202": {telemetry: lambdalocal.Telemetry{Answer: lambdalocal.NotSupported}},
	"telemetry answers 400": {telemetry: lambdalocal.Telemetry{Answer: lambdalocal.Refuse}},
	"runtimeDone is lost": {telemetry: lambdalocal.Telemetry{Fault: func(r lambdalocal.Record) lambdalocal.Fault {
		return lambdalocal.Fault{Drop: r.Type == "platform.runtimeDone"}
	}}},
	"telemetry repeats and lags": {telemetry: lambdalocal.Telemetry{Fault: func(lambdalocal.Record) lambdalocal.Fault {
		return lambdalocal.Fault{Repeat: 2, Delay: 50 * time.Millisecond}
	}}},
	"every setting is wrong": {env: map[string]string{
		"THROUGHLINE_STAMP": "everywhere", "THROUGHLINE_TRACE_MODE": "?", "THROUGHLINE_FLUSH": "never", "THROUGHLINE_METRICS": "all", "THROUGHLINE_DEDUPE": "redis:x",
		"THROUGHLINE_ORDER": "A", "THROUGHLINE_DEDUPE_KEYS": "=", "THROUGHLINE_SIZE_LIMIT": "-1", "THROUGHLINE_SIZE_WARN": "many", "THROUGHLINE_EVENT_TYPES_MAX": "0",
		"THROUGHLINE_EVENT_ID": "event_id", "THROUGHLINE_MAX_HOPS": "x", "THROUGHLINE_ALPACA_FAULTS": "storm", "THROUGHLINE_ALPACA_UPSTREAM": "::", "THROUGHLINE_HTTP_HOSTS": ",,",
		"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_TRACES_SAMPLER_ARG": "7", "THROUGHLINE_NEXT_WRAPPER": "/nowhere/at/all",
	}},
	"a table that is not there": {env: map[string]string{"THROUGHLINE_DEDUPE": "dynamodb:nowhere", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"}},
	"ports are taken": {env: map[string]string{
		"THROUGHLINE_OTLP_ADDR": "127.0.0.1:1x", "THROUGHLINE_EVENTS_ADDR": "192.0.2.1:80", "THROUGHLINE_ALPACA_ADDR": "nonsense", "THROUGHLINE_RUNTIME_ADDR": "127.0.0.1:99999",
	}},
	"no room in /tmp": {payloads: []string{`{"do":"exit","id":"a"}`, `{"id":"b"}`, `{"id":"c"}`}, hook: func(e lambdalocal.Event) {
		if e.Point == lambdalocal.InvokeSent { // for the extension that is started after the crash: a file where its folder should be
			dir := filepath.Join(e.Environment.Dir(), "throughline")
			_ = os.RemoveAll(dir)
			_ = os.WriteFile(dir, nil, 0o444)
		}
	}},
	"out of memory": {payloads: []string{`{"id":"a"}`, `{"do":"sleep","id":"b"}`, `{"id":"c"}`}, hook: func(e lambdalocal.Event) {
		if e.Point == lambdalocal.InvokeSent && strings.HasSuffix(e.RequestID, "1") {
			go func() {
				time.Sleep(300 * time.Millisecond)
				_ = e.Environment.OutOfMemory("")
			}()
		}
	}},
	"frozen in the middle of an export": {env: map[string]string{"THROUGHLINE_FLUSH": "periodic"}, backend: serving(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond)
	})},
	"switched off":           {env: map[string]string{"THROUGHLINE_DISABLED": "1"}},
	"the function fails":     {payloads: []string{`{"do":"fail","id":"a"}`, `{"id":"b"}`, `{"do":"fail","id":"c"}`}},
	"the function exits":     {payloads: []string{`{"id":"a"}`, `{"do":"exit","id":"b"}`, `{"id":"c"}`}},
	"the function times out": {payloads: []string{`{"id":"a"}`, `{"do":"sleep","id":"b"}`, `{"id":"c"}`}, timeout: 10 * time.Second}, // which holds an environment's start, on a busy machine too
	"a lot of logs":          {payloads: []string{`{"do":"log","id":"a"}`, `{"id":"b"}`}},
	"events of 6 MB":         {payloads: []string{large("a"), large("b")}},
	"credentials are gone":   {keys: lambdalocal.Credentials{AccessKeyID: "EXPIRED", SecretAccessKey: "x", SessionToken: "y"}},
	"X-Ray without a region's endpoint": {env: map[string]string{
		"THROUGHLINE_TRACES": "xray", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}},
}

func large(id string) string {
	return fmt.Sprintf(`{"id":%q,"text":%q}`, id, strings.Repeat("z", 6<<20-200))
}

// outcome is what a caller sees of one invocation.
type outcome struct{ Error, Kind, Payload string }

// ordeal calls the function and returns what its callers saw, what was
// published, and how long the environments took to shut down.
func ordeal(t *testing.T, h harmed, attached bool) (seen []outcome, details []string, shutdown time.Duration) {
	t.Helper()
	bus := buslocal.New(buslocal.Options{})
	t.Cleanup(bus.Close)
	busURL, err := bus.Start()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		if l.Source != "platform" && len(lines) < 100 {
			lines = append(lines, l.Source+" "+l.Text[:min(len(l.Text), 300)])
		}
	}})
	var ended time.Time
	f := lambdalocal.Function{
		Name: "victim", Handler: "victim", Runtime: []string{self}, Memory: 512, Timeout: max(h.timeout, 0), MaxEnvironments: 1, Telemetry: h.telemetry, Credentials: h.keys,
		Env: map[string]string{"TEST_ROLE": "victim", "GORACE": "atexit_sleep_ms=0", "AWS_EC2_METADATA_DISABLED": "true", "PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")},
		Hook: func(e lambdalocal.Event) {
			if e.Point == lambdalocal.ShutdownSent {
				mu.Lock()
				ended = time.Now()
				mu.Unlock()
			}
			if h.hook != nil {
				h.hook(e)
			}
		},
	}
	if f.Timeout == 0 {
		f.Timeout = 20 * time.Second
	}
	if attached {
		wrapper, err := filepath.Abs("../throughline/wrapper")
		if err != nil {
			t.Fatal(err)
		}
		f.Wrapper, f.Extensions = wrapper, []string{extensionBinary(t)}
		maps.Copy(f.Env, map[string]string{
			"THROUGHLINE_ENDPOINTS": "otlp,events,alpaca,runtime", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_ADDR": "127.0.0.1:0",
			"THROUGHLINE_ALPACA_ADDR": "127.0.0.1:0", "THROUGHLINE_RUNTIME_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_UPSTREAM": busURL,
		})
		if h.backend != nil {
			f.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = h.backend(t)
		}
		maps.Copy(f.Env, h.env)
	}
	// Where an endpoint does not answer the SDK calls EventBridge itself, which here is the bus.
	f.Env["AWS_CONFIG_FILE"] = awsConfig(t, busURL)
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	payloads := h.payloads
	if payloads == nil {
		payloads = []string{`{"id":"a"}`, `{"id":"b"}`, `{"id":"c"}`}
	}
	for i, payload := range payloads {
		result, err := d.Invoke(t.Context(), []byte(payload), lambdalocal.InvokeOptions{Wait: true, RequestID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i)})
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
		}
		seen = append(seen, outcome{result.FunctionError, result.ErrorType, string(result.Payload)})
		if err := svc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := svc.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !ended.IsZero() {
		shutdown = time.Since(ended)
	}
	for _, e := range bus.Ledger().Published {
		details = append(details, e.Detail)
	}
	slices.Sort(details)
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
	return seen, details, shutdown
}

// awsConfig is a shared configuration in which EventBridge is the bus. The
// environment's endpoint, where the wrapper sets one, wins over it.
func awsConfig(t *testing.T, busURL string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("[default]\nservices = here\n[services here]\neventbridge =\n  endpoint_url = "+busURL+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// In none of these does an invocation fail that would not, an event change, or
// the end of an environment take longer than Lambda gives it.
func TestNoHarm(t *testing.T) {
	for name, h := range harms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, wanted, _ := ordeal(t, h, false)
			got, published, shutdown := ordeal(t, h, true)
			if !slices.Equal(got, want) {
				t.Errorf("its callers see %.300v, without us %.300v", got, want)
			}
			if !slices.Equal(published, wanted) {
				t.Errorf("published %q, without us %q", published, wanted)
			}
			if shutdown >= 2*time.Second {
				t.Errorf("the end of the environment took %v", shutdown)
			}
		})
	}
}
