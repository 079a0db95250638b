package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// text is a writer that several goroutines share.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) { t.mu.Lock(); defer t.mu.Unlock(); return t.b.Write(p) }
func (t *text) String() string              { t.mu.Lock(); defer t.mu.Unlock(); return t.b.String() }

// peer is a server that keeps what it is asked.
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
		p.mu.Lock()
		p.bodies, p.headers = append(p.bodies, string(body)), append(p.headers, r.Header)
		p.mu.Unlock()
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for i := range p.bodies {
		b.WriteString(p.bodies[i] + fmt.Sprint(p.headers[i]) + "\n")
	}
	return b.String()
}

// stage is a sidecar with everything around it.
type stage struct {
	t                              *testing.T
	bus, exchange, collector, logs *peer
	emulator                       *httptest.Server
	payloads                       chan string
	out, said                      *text
	stop                           context.CancelFunc
	done                           chan int
	n                              int
}

// sidecar starts one with flags that come after the stage's own.
func sidecar(t *testing.T, flags ...string) *stage {
	t.Helper()
	s := &stage{
		t: t, bus: newPeer(t, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`), exchange: newPeer(t, `{}`), collector: newPeer(t, ""), logs: newPeer(t, `{}`),
		payloads: make(chan string, 10), out: &text{}, said: &text{}, done: make(chan int, 1),
	}
	s.emulator = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/next") {
			payload := <-s.payloads
			s.n++
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("r-", s.n))
			_, _ = io.WriteString(w, payload)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(s.emulator.Close)
	env := map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_LAMBDA_RUNTIME_API": strings.TrimPrefix(s.emulator.URL, "http://"), "TMPDIR": t.TempDir(),
		"OTEL_EXPORTER_OTLP_ENDPOINT": s.collector.URL, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": s.logs.URL,
		"THROUGHLINE_SERVICE": "of the environment",
	}
	args := append([]string{
		"sidecar", "--endpoints", "otlp,events,alpaca,runtime", "--otlp-addr", "127.0.0.1:0", "--events-addr", "127.0.0.1:0", "--alpaca-addr", "127.0.0.1:0",
		"--runtime-addr", "127.0.0.1:0", "--events-upstream", s.bus.URL, "--alpaca-upstream", s.exchange.URL,
	}, flags...)
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	go func() {
		s.done <- run(ctx, args, environment{getenv: func(name string) string { return env[name] }, stdout: s.out, stderr: s.said})
	}()
	last := "runtime"
	if i := slices.Index(args[3:], "--endpoints"); i >= 0 { // another list than the stage's
		last = args[3+i+1]
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.said.String(), last+" answers at"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %s", s.said.String())
		}
	}
	return s
}

// at is an endpoint's URL, empty where it does not answer.
func (s *stage) at(name string) string {
	_, rest, _ := strings.Cut(s.said.String(), "throughline: "+name+" answers at ")
	url, _, _ := strings.Cut(rest, "\n")
	return url
}

// end stops the sidecar and returns what it wrote.
func (s *stage) end() string {
	s.t.Helper()
	s.stop()
	select {
	case code := <-s.done:
		if code != 0 {
			s.t.Errorf("exit %d: %s", code, s.said.String())
		}
	case <-time.After(20 * time.Second):
		s.t.Fatal("it does not end")
	}
	return s.out.String()
}

func (s *stage) publish(detailType, detail string) {
	s.t.Helper()
	if err := publish(s.t.Context(), s.at("events"), detailType, detail); err != nil {
		s.t.Error(err)
	}
}

func publish(ctx context.Context, url, detailType, detail string) error {
	transport := &http.Transport{DisableKeepAlives: true}
	_, err := eventbridge.New(eventbridge.Options{
		Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: transport},
	}).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: &detailType, Detail: &detail}}})
	return err
}

// handle takes an event through the runtime endpoint, as a function would.
func (s *stage) handle(detailType, id string, hops int) {
	s.t.Helper()
	s.payloads <- fmt.Sprintf(`{"version":"0","id":"env-%s","detail-type":%q,"source":"s","time":"2026-11-23T20:45:00Z","resources":["correlation:w","traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","hops:%d"],"detail":{"event_id":%q,"trade":"t-1"}}`, id, detailType, hops, id)
	s.call(http.MethodGet, s.at("runtime")+"/2018-06-01/runtime/invocation/next")
	s.call(http.MethodPost, fmt.Sprintf("%s/2018-06-01/runtime/invocation/r-%d/response", s.at("runtime"), s.n))
}

func (s *stage) call(method, url string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (s *stage) wants(where, what, text string, there bool) {
	s.t.Helper()
	if strings.Contains(text, what) != there {
		s.t.Errorf("%s holds %q: %t, want %t\n%.2000s", where, what, !there, there, text)
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// address is the test of a setting that says where an endpoint is.
func address(flag, name string) func(*testing.T) {
	return func(t *testing.T) {
		where := free(t)
		s := sidecar(t, flag, where)
		if s.at(name) != "http://"+where || s.call(http.MethodGet, "http://"+where+"/healthz") != http.StatusOK {
			t.Errorf("%s answers at %s, want %s", name, s.at(name), where)
		}
		s.end()
	}
}

// published tells of one published event: what reached the bus.
func published(t *testing.T, detail string, flags ...string) string {
	t.Helper()
	s := sidecar(t, flags...)
	s.publish("Planned", detail)
	s.end()
	return s.bus.all()
}

// lines tells of one published and one handled event: what was written.
func lines(t *testing.T, flags ...string) string {
	t.Helper()
	s := sidecar(t, flags...)
	s.publish("Planned", `{"event_id":"plan-1","correlation_id":"w","text":"`+strings.Repeat("x", 400)+`"}`)
	s.handle("SignalGenerated", "signal-1", 3)
	return s.end()
}

func contrast(t *testing.T, what, with, without string) {
	t.Helper()
	if !strings.Contains(with, what) {
		t.Errorf("with the setting there is no %q in %.3000s", what, with)
	}
	if strings.Contains(without, what) {
		t.Errorf("without the setting there is %q in %.3000s", what, without)
	}
}

// does is a test for each setting: that it does what its help says.
var does = map[string]func(*testing.T){
	"DISABLED": func(t *testing.T) {
		contrast(t, "traceparent:", published(t, `{}`), published(t, `{}`, "--disabled", "1"))
		if out := lines(t, "--disabled", "1"); out != "" {
			t.Errorf("wrote %s", out)
		}
	},
	"ENDPOINTS": func(t *testing.T) {
		s := sidecar(t, "--endpoints", "alpaca")
		if s.at("alpaca") == "" || s.at("otlp")+s.at("events")+s.at("runtime") != "" {
			t.Errorf("said %s", s.said.String())
		}
		s.end()
	},
	"OTLP_ADDR": address("--otlp-addr", "otlp"), "EVENTS_ADDR": address("--events-addr", "events"),
	"ALPACA_ADDR": address("--alpaca-addr", "alpaca"), "RUNTIME_ADDR": address("--runtime-addr", "runtime"),
	"EVENTS_UPSTREAM": func(t *testing.T) {
		other := newPeer(t, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`)
		if published(t, `{}`, "--events-upstream", other.URL) != "" || other.all() == "" {
			t.Error("the event did not go there")
		}
	},
	"ALPACA_UPSTREAM": func(t *testing.T) {
		other := newPeer(t, `{}`)
		s := sidecar(t, "--alpaca-upstream", other.URL)
		s.call(http.MethodGet, s.at("alpaca")+"/paper/v2/clock")
		if s.end(); other.all() == "" {
			t.Error("the call did not go there")
		}
	},
	"ALPACA_FAULTS": func(t *testing.T) {
		s := sidecar(t, "--alpaca-faults", "error=503")
		if status := s.call(http.MethodGet, s.at("alpaca")+"/paper/v2/clock"); status != http.StatusServiceUnavailable {
			t.Errorf("status %d", status)
		}
		s.end()
	},
	"STAMP": func(t *testing.T) {
		contrast(t, `_throughline`, published(t, `{}`, "--stamp", "detail"), published(t, `{}`))
		contrast(t, `traceparent:`, published(t, `{}`), published(t, `{}`, "--stamp", "off"))
	},
	"DETAIL_KEY": func(t *testing.T) {
		contrast(t, `_lineage`, published(t, `{}`, "--stamp", "both", "--detail-key", "_lineage"), published(t, `{}`, "--stamp", "both"))
	},
	"STAMP_TRACEHEADER": func(t *testing.T) {
		contrast(t, `"TraceHeader":"Root=`, published(t, `{}`, "--stamp-traceheader", "1"), published(t, `{}`))
	},
	"EVENT_ID": func(t *testing.T) {
		out := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.publish("Planned", `{"meta":{"mine":"plan-7"}}`)
			return s.end()
		}
		contrast(t, `"LargestEventID":"plan-7"`, out("--event-id", "/nothing,/meta/mine"), out())
	},
	"CORRELATION_ID": func(t *testing.T) {
		const detail = `{"meta":{"wf":"workflow-7"}}`
		contrast(t, `"correlation:workflow-7"`, published(t, detail, "--correlation-id", "/meta/wf"), published(t, detail))
	},
	"CAUSATION_ID": func(t *testing.T) {
		const detail = `{"meta":{"why":"order-7"}}`
		contrast(t, `"causation:order-7"`, published(t, detail, "--causation-id", "/meta/why"), published(t, detail))
	},
	"TRACE_MODE": func(t *testing.T) {
		parent := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.handle("SignalGenerated", "signal-1", 0)
			s.end()
			for _, body := range s.collector.bodies {
				for _, found := range otlp.Find(unzip(t, body), "throughline.event.id") {
					return found.TraceID.String() + " " + found.ParentID.String()
				}
			}
			return "no span"
		}
		contrast(t, "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7", parent("--trace-mode", "parent"), parent())
	},
	"TRACES": func(t *testing.T) {
		spans := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.publish("Planned", `{}`)
			s.end()
			return s.collector.all()
		}
		contrast(t, "gzip", spans(), spans("--traces", "off"))
	},
	"HTTP_HOSTS": func(t *testing.T) {
		headers := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.call(http.MethodGet, s.at("alpaca")+"/paper/v2/clock")
			s.end()
			return s.exchange.all()
		}
		contrast(t, "Traceparent", headers(), headers("--http-hosts", "api.example.com"))
	},
	"METRICS": func(t *testing.T) {
		contrast(t, `"Name":"PublishDuration"`, lines(t, "--metrics", "full"), lines(t))
		if out := lines(t, "--metrics", "off"); strings.Contains(out, "_aws") {
			t.Errorf("wrote %s", out)
		}
	},
	"METRICS_SINK": func(t *testing.T) {
		s := sidecar(t, "--metrics-sink", "logs:of-the-function")
		s.publish("Planned", `{}`)
		if out := s.end(); out != "" {
			t.Errorf("wrote %s", out)
		}
		contrast(t, `"logGroupName":"of-the-function"`, s.logs.all(), "")
		contrast(t, `\"EventsPublished\":1`, s.logs.all(), "")
	},
	"EMF_LEVEL": func(t *testing.T) { contrast(t, `"level":"ERROR"`, lines(t, "--emf-level", "ERROR"), lines(t)) },
	"NAMESPACE": func(t *testing.T) { contrast(t, `"Namespace":"Mine"`, lines(t, "--namespace", "Mine"), lines(t)) },
	"SERVICE":   func(t *testing.T) { contrast(t, `"Service":"mine"`, lines(t, "--service", "mine"), lines(t)) },
	"SIZE_LIMIT": func(t *testing.T) {
		contrast(t, `"PayloadLimitUtilizationMax":5`, lines(t, "--metrics", "full", "--size-limit", "1000"), lines(t, "--metrics", "full"))
	},
	"SIZE_WARN": func(t *testing.T) { contrast(t, `"OversizedEvents":1`, lines(t, "--size-warn", "300"), lines(t)) },
	"EVENT_TYPES_MAX": func(t *testing.T) {
		contrast(t, `"EventType":"other"`, lines(t, "--event-types-max", "1"), lines(t))
	},
	"DEDUPE": func(t *testing.T) {
		out := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.handle("SignalGenerated", "signal-1", 0)
			s.handle("SignalGenerated", "signal-1", 0)
			return s.end()
		}
		contrast(t, `"throughline":"repeat"`, out(), out("--dedupe", "off"))
	},
	"DEDUPE_KEYS": func(t *testing.T) {
		out := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.handle("SignalGenerated", "signal-1", 0)
			s.handle("SignalGenerated", "signal-2", 0)
			return s.end()
		}
		contrast(t, `"throughline":"repeat"`, out("--dedupe-keys", "SignalGenerated=/trade"), out())
	},
	"ORDER": func(t *testing.T) {
		contrast(t, `"throughline":"out-of-order"`, lines(t, "--order", "SignalGenerated:Opened"), lines(t))
	},
	"MAX_HOPS": func(t *testing.T) { contrast(t, `"throughline":"loop"`, lines(t, "--max-hops", "2"), lines(t)) },
	"LOG": func(t *testing.T) {
		said := func(flags ...string) string {
			s := sidecar(t, flags...)
			s.publish("Planned", `{}`)
			for deadline := time.Now().Add(20 * time.Second); s.collector.all() == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			}
			s.end()
			return s.said.String()
		}
		contrast(t, "exported 1 spans", said("--log", "debug"), said())
	},
	// Shared between functions alone, or the wrapper's: tested where they are read.
	"DEDUPE_CONSUMER": nil, "FLUSH": nil, "NEXT_WRAPPER": nil, "PYTHONPATH": nil,
}

func TestEverySettingDoesWhatItSays(t *testing.T) {
	for _, s := range settings.Table() {
		test, known := does[s.Name]
		if !known {
			t.Errorf("%s has no test", s.Name)
		}
		if test != nil {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	}
	left := maps.Clone(does)
	for _, s := range settings.Table() {
		delete(left, s.Name)
	}
	if len(left) > 0 {
		t.Errorf("tests of settings that are not there: %v", left)
	}
}

func TestSidecarTakesEverySettingAsAFlag(t *testing.T) {
	code, help, _ := command(t, "sidecar", "--help")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, s := range settings.Table() {
		if there := strings.Contains(help, "--"+s.Flag()+" "); there == inLambda[s.Name] {
			t.Errorf("--%s in its help: %t", s.Flag(), there)
		}
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"Taken":     {[]string{"--endpoints", "events", "--events-addr", "127.0.0.1:x"}, "THROUGHLINE_EVENTS_ADDR"},
		"Outside":   {[]string{"--endpoints", "events", "--events-addr", "0.0.0.0:0"}, "not a loopback address"},
		"Nothing":   {[]string{"--endpoints", "none"}, "otlp, events, alpaca and runtime"},
		"NoRuntime": {[]string{"--endpoints", "runtime"}, "AWS_LAMBDA_RUNTIME_API"},
		"Unknown":   {[]string{"--nonsense"}, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, said := command(t, append([]string{"sidecar"}, tt.args...)...); code == 0 || !strings.Contains(said, tt.want) {
				t.Errorf("exit %d, said %s", code, said)
			}
		})
	}
	// A wrong value is said, and the default holds.
	s := sidecar(t, "--stamp", "everywhere")
	s.publish("Planned", `{}`)
	s.end()
	s.wants("its log", `THROUGHLINE_STAMP="everywhere": it takes resources, detail, both, off; resources is used`, s.said.String(), true)
	s.wants("the bus", "traceparent:", s.bus.all(), true)
}

// SIGTERM lets the call under way finish, exports what is left and exits with 0.
func TestSidecarEndsGracefully(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(started)
		<-release
		_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`)
	}))
	defer bus.Close()
	collector := newPeer(t, "")
	where := free(t)
	var out, said text
	cmd := exec.Command(os.Args[0], "sidecar", "--endpoints", "events", "--events-addr", where, "--events-upstream", bus.URL)
	cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_MAIN=1", "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(said.String(), "events answers at"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer: %s", said.String())
		}
	}
	published := make(chan error, 1)
	go func() { published <- publish(context.WithoutCancel(t.Context()), "http://"+where, "Planned", `{}`) }()
	<-started
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	close(release)
	if err := <-published; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	if !strings.Contains(out.String(), `"EventsPublished":1`) || len(collector.bodies) != 1 {
		t.Errorf("%d exports, wrote %s", len(collector.bodies), out.String())
	}
}

func unzip(t *testing.T, body string) []byte {
	t.Helper()
	zip, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
