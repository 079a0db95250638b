package settings_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/internal/eventsv2test"
)

// text is a writer that several goroutines share.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) { t.mu.Lock(); defer t.mu.Unlock(); return t.b.Write(p) }
func (t *text) String() string              { t.mu.Lock(); defer t.mu.Unlock(); return t.b.String() }

// peer is a server that keeps what it is asked, unzipped.
type peer struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	headers []http.Header
}

func newPeer(t *testing.T, answer string) *peer {
	t.Helper()
	p := &peer{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if zip, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(zip)
		}
		p.mu.Lock()
		p.bodies, p.headers = append(p.bodies, string(body)), append(p.headers, r.Header)
		p.mu.Unlock()
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(p.Close)
	return p
}

// all is every request: its body and its headers.
func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for i := range p.bodies {
		b.WriteString(p.bodies[i] + fmt.Sprint(p.headers[i]) + "\n")
	}
	return b.String()
}

// The three ways in which a setting takes effect.
const (
	library   = "library"   // README's wiring in a function of its own
	extension = "extension" // the layer's binary beside a function
	sidecar   = "sidecar"   // the operator's command
)

// stage is one process, run in one of the ways, with everything around it.
type stage struct {
	t                                     *testing.T
	way                                   string
	bus, exchange, collector, logs, table *peer
	lambda                                *lambdaAPI
	out, said                             *text
	process                               *exec.Cmd
	tmp                                   string
	n                                     int
}

// start runs a process with settings, each NAME=value without its prefix.
func start(t *testing.T, way string, set ...string) *stage {
	t.Helper()
	s := &stage{
		t: t, way: way, bus: newPeer(t, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`), exchange: newPeer(t, `{}`), collector: newPeer(t, ""),
		logs: newPeer(t, `{}`), table: newPeer(t, `{}`), lambda: newLambdaAPI(t), out: &text{}, said: &text{}, tmp: t.TempDir(),
	}
	settings := append([]string{
		"ENDPOINTS=otlp,events,alpaca,runtime", "OTLP_ADDR=127.0.0.1:0", "EVENTS_ADDR=127.0.0.1:0", "ALPACA_ADDR=127.0.0.1:0", "RUNTIME_ADDR=127.0.0.1:0",
		"EVENTS_UPSTREAM=" + s.bus.URL, "ALPACA_UPSTREAM=" + s.exchange.URL, "SERVICE=portfolio",
	}, set...)
	env := []string{
		"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true", "AWS_LAMBDA_FUNCTION_NAME=portfolio",
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(s.lambda.URL, "http://"), "TMPDIR=" + s.tmp, "OTEL_EXPORTER_OTLP_ENDPOINT=" + s.collector.URL,
		"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=" + s.logs.URL, "AWS_ENDPOINT_URL_DYNAMODB=" + s.table.URL, "AWS_ENDPOINT_URL_EVENTBRIDGE=" + s.bus.URL,
		"HTTP_PROXY=" + s.exchange.URL, "HOME=" + s.tmp, "GORACE=atexit_sleep_ms=0",
	}
	switch way {
	case library:
		s.process = exec.Command(os.Args[0])
		env = append(env, asLibrary+"=1")
	case extension:
		s.process = exec.Command(built(t, "throughline-extension"))
	case sidecar:
		s.process = exec.Command(built(t, "throughline"), "sidecar")
	}
	on := 0 // endpoints
	for _, pair := range settings {
		name, value, _ := strings.Cut(pair, "=")
		if name == "ENDPOINTS" {
			on = len(strings.Split(value, ","))
		}
		if way == sidecar {
			s.process.Args = append(s.process.Args, "--"+strings.ReplaceAll(strings.ToLower(name), "_", "-"), value)
		} else {
			env = append(env, "THROUGHLINE_"+name+"="+value)
		}
	}
	s.process.Env, s.process.Stdout, s.process.Stderr = env, s.out, s.said
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.process.Process.Kill(); _ = s.process.Wait() })
	s.until("its start", func() bool {
		switch way {
		case library:
			return s.lambda.asked("runtime") == 1
		case extension:
			return s.lambda.asked("extension") == 1
		default:
			said := s.said.String()
			return strings.Count(said, " answers at ")+strings.Count(said, " endpoint is off") == on
		}
	})
	return s
}

// until waits for a condition; the bound is for a process that is stuck.
func (s *stage) until(what string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not come: %s", what, s.said.String())
		}
	}
}

// at is an endpoint's URL, empty where it does not answer.
func (s *stage) at(name string) string {
	if s.way == extension {
		file, _ := os.ReadFile(filepath.Join(s.tmp, "throughline", "endpoints"))
		for line := range strings.Lines(string(file)) {
			if address, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
				return "http://" + address
			}
		}
		return ""
	}
	_, rest, _ := strings.Cut(s.said.String(), "throughline: "+name+" answers at ")
	url, _, _ := strings.Cut(rest, "\n")
	return url
}

// end stops the process, as whoever runs it does, and returns what it wrote.
func (s *stage) end() string {
	s.t.Helper()
	switch s.way {
	case library:
		_ = s.process.Process.Kill() // Lambda says no more to a function
		_ = s.process.Wait()
		return s.out.String()
	case extension:
		s.lambda.events <- map[string]any{"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": time.Now().Add(2 * time.Second).UnixMilli()}
	default:
		if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Error(err)
		}
	}
	if err := s.process.Wait(); err != nil {
		s.t.Errorf("%v: %s", err, s.said.String())
	}
	return s.out.String()
}

// publish publishes an event, outside of the handling of any other.
func (s *stage) publish(detailType, detail string) {
	s.t.Helper()
	if s.way == library {
		s.invoke(order{Publish: []string{detailType, detail}})
		return
	}
	url := s.at("events")
	if url == "" {
		url = s.bus.URL // nobody points the SDK elsewhere
	}
	if err := publish(s.t.Context(), eventbridge.New(eventbridge.Options{
		Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}), detailType, detail); err != nil {
		s.t.Error(err)
	}
}

// publishDeduplicated publishes an event on a new custom bus, which is to tell
// repeats by their content.
func (s *stage) publishDeduplicated() {
	s.t.Helper()
	if s.way == library {
		s.invoke(order{Deduplicated: true})
		return
	}
	url := s.at("events")
	if url == "" {
		url = s.bus.URL
	}
	publishDeduplicated(s.t.Context(), eventsv2test.Options{
		Region: "eu-west-1", BaseEndpoint: url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

func publishDeduplicated(ctx context.Context, o eventsv2test.Options) {
	o.Retryer = aws.NopRetryer{}
	_, _ = eventsv2test.New(o).PutEvents(ctx, &eventsv2test.PutEventsInput{ // the bus answers in JSON, which is none of this client's
		EventBusArn:                aws.String("arn:aws:events:eu-west-1:123456789012:event-bus/orders"),
		Entries:                    []eventsv2test.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: aws.String(`{}`)}},
		DeduplicationConfiguration: &eventsv2test.DeduplicationConfiguration{DeduplicationType: eventsv2test.DeduplicationTypeContentBased},
	})
}

type putter interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

func publish(ctx context.Context, bus putter, detailType, detail string) error {
	_, err := bus.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: &detailType, Detail: &detail}}})
	return err
}

// get calls Alpaca, and returns the status.
func (s *stage) get(path string) int {
	s.t.Helper()
	if s.way == library {
		s.invoke(order{Get: "http://paper-api.alpaca.markets" + path})
		return 0
	}
	return s.call(http.MethodGet, s.at("alpaca")+"/paper"+path)
}

// handle has an event handled.
func (s *stage) handle(detailType, id string, hops int) {
	s.t.Helper()
	s.invoke(fmt.Sprintf(`{"version":"0","id":"env-%s","detail-type":%q,"source":"s","time":"2026-11-23T20:45:00Z","resources":["correlation:w","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:%d"],"detail":{"event_id":%q,"trade":"t-1"}}`, id, detailType, hops, id))
}

// invoke invokes the function, and returns once Lambda could invoke it again.
func (s *stage) invoke(payload any) {
	s.t.Helper()
	raw, isText := payload.(string)
	if !isText {
		data, err := json.Marshal(payload)
		if err != nil {
			s.t.Fatal(err)
		}
		raw = string(data)
	}
	s.n++
	request := fmt.Sprint("r-", s.n)
	if s.way == extension {
		s.lambda.events <- map[string]any{
			"eventType": "INVOKE", "requestId": request, "deadlineMs": time.Now().Add(time.Minute).UnixMilli(), "invokedFunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:portfolio",
		}
	}
	s.lambda.payloads <- raw
	if s.way != library {
		s.call(http.MethodGet, s.at("runtime")+"/2018-06-01/runtime/invocation/next")
		s.call(http.MethodPost, s.at("runtime")+"/2018-06-01/runtime/invocation/"+request+"/response")
	}
	switch s.way {
	case library:
		s.until("the next invocation", func() bool { return s.lambda.asked("runtime") == s.n+1 })
	case extension:
		s.until("the next invocation", func() bool { return s.lambda.asked("extension") == s.n+1 })
	}
}

func (s *stage) call(method, url string) int {
	s.t.Helper()
	return s.send(method, url, "{}", "")
}

// report says to the runtime endpoint what a shim says, and returns the status.
func (s *stage) report(path, body string) int {
	s.t.Helper()
	return s.send(http.MethodPost, s.at("runtime")+"/throughline/v1/"+path, body, "application/json")
}

func (s *stage) send(method, url, body, contentType string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// lambdaAPI is Lambda's Runtime, Extensions and Telemetry APIs of one environment.
type lambdaAPI struct {
	*httptest.Server
	payloads chan string
	events   chan map[string]any
	trace    string // the trace header of invocations, empty for none

	mu    sync.Mutex
	nexts map[string]int // how often the runtime or the extension asked for the next
	n     int
}

func newLambdaAPI(t *testing.T) *lambdaAPI {
	l := &lambdaAPI{payloads: make(chan string, 10), events: make(chan map[string]any, 10), nexts: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		l.ask("runtime")
		select {
		case payload := <-l.payloads:
			l.mu.Lock()
			l.n++
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("r-", l.n))
			l.mu.Unlock()
			if l.trace != "" {
				w.Header().Set("Lambda-Runtime-Trace-Id", l.trace)
			}
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:portfolio")
			_, _ = io.WriteString(w, payload)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{end}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", "id-1")
		_, _ = io.WriteString(w, `{"functionName":"portfolio","functionVersion":"$LATEST","handler":"h"}`)
	})
	mux.HandleFunc("PUT /2022-07-01/telemetry", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"OK"`) })
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(w http.ResponseWriter, r *http.Request) {
		l.ask("extension")
		select {
		case event := <-l.events:
			_ = json.NewEncoder(w).Encode(event)
		case <-r.Context().Done():
		}
	})
	l.Server = httptest.NewServer(mux)
	t.Cleanup(func() { l.CloseClientConnections(); l.Close() })
	return l
}

func (l *lambdaAPI) ask(who string) { l.mu.Lock(); defer l.mu.Unlock(); l.nexts[who]++ }

func (l *lambdaAPI) asked(who string) int { l.mu.Lock(); defer l.mu.Unlock(); return l.nexts[who] }

// built is one of the repository's commands, built once for all tests.
func built(t *testing.T, name string) string {
	t.Helper()
	once, _ := commands.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		path := filepath.Join(folder, name)
		out, err := exec.Command("go", "build", "-o", path, "github.com/throughline/throughline/cmd/"+name).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		return path, nil
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	commands sync.Map
	folder   string // of what was built
)

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
