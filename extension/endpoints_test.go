package extension

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/buslocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// desk is an extension's endpoints without its lifecycle.
type desk struct {
	*extension
	t    testing.TB
	out  bytes.Buffer
	said bytes.Buffer

	mu    sync.Mutex
	spans [][]byte
}

func newDesk(t testing.TB, change func(*Config)) *desk {
	t.Helper()
	d := &desk{t: t}
	c := Config{
		Region: "eu-west-1", FunctionName: "portfolio", TempDir: t.TempDir(), Metrics: metrics.Config{Service: "portfolio", Profile: metrics.Full},
		Out: &d.out, Log: &d.said, Now: time.Now, SizeLimit: 1 << 20, SizeWarn: 200_000, Dedupe: dedupe.New(dedupe.Config{}),
		Upstream: otlp.Config{URL: "http://127.0.0.1:1/v1/traces"}, // never flushed
		Credentials: func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"}, nil
		},
	}
	if change != nil {
		change(&c)
	}
	d.extension = newExtension(c)
	record := d.provider.Export
	d.provider.Export = func(request []byte) {
		d.mu.Lock()
		d.spans = append(d.spans, request)
		d.mu.Unlock()
		record(request)
	}
	t.Cleanup(d.extension.close)
	return d
}

// serve opens one endpoint and returns its URL.
func (d *desk) serve(name string) string {
	d.t.Helper()
	d.open(map[string]string{name: "127.0.0.1:0"})
	if d.servers[name] == nil {
		d.t.Fatalf("%s does not answer: %s", name, d.said.String())
	}
	return "http://" + d.servers[name].address
}

// sums are the values of every metric and counted property so far.
func (d *desk) sums() map[string]float64 {
	d.writeMetrics()
	sums := map[string]float64{}
	for _, line := range strings.Split(d.out.String(), "\n") {
		var doc map[string]any
		if json.Unmarshal([]byte(line), &doc) != nil {
			continue
		}
		for name, value := range doc {
			base, _, _ := strings.Cut(name, "_")
			if m, known := metrics.Lookup(metrics.Name(base)); known && m.Kind == metrics.Counter && doc["EventType"] != nil {
				continue // it stands in the service's own line too
			}
			switch v := value.(type) {
			case float64:
				sums[name] += v
			case []any:
				for _, n := range v {
					f, _ := n.(float64)
					sums[name] += f
				}
			}
		}
	}
	return sums
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.spans)
}

func client(url string, c aws.CredentialsProvider) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{Region: "ap-southeast-2", BaseEndpoint: aws.String(url), Credentials: c, RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
}

var ours = credentials.NewStaticCredentialsProvider("AKIDOURS", "secret", "session")

func one(detail string) *eventbridge.PutEventsInput {
	return &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: &detail}}}
}

func startBus(t *testing.T, o buslocal.Options) (*buslocal.Bus, string) {
	t.Helper()
	bus := buslocal.New(o)
	t.Cleanup(bus.Close)
	url, err := bus.Start()
	if err != nil {
		t.Fatal(err)
	}
	return bus, url
}

func TestEventsAreStampedMeasuredAndTraced(t *testing.T) {
	bus, url := startBus(t, buslocal.Options{})
	d := newDesk(t, func(c *Config) { c.EventsUpstream = url })
	api := client(d.serve("events"), ours)
	const detail = `{"event_id": "plan-1", "n": 12345678901234567890, "text": "ünï < \u00fc"}`
	out, err := api.PutEvents(t.Context(), one(detail))
	if err != nil || out.FailedEntryCount != 0 || aws.ToString(out.Entries[0].EventId) == "" {
		t.Fatalf("%v %v", out, err)
	}
	e := bus.Ledger().Published[0]
	if e.Detail != detail || e.Line("correlation") == "" || e.Line("traceparent") == "" || e.Line("hops") != "0" {
		t.Errorf("published %q with %q", e.Detail, e.Resources)
	}
	if sums := d.sums(); sums["EventsPublished"] != 1 || sums["PayloadSize"] != float64(e.Size) || sums["UncorrelatedPublished"] != 1 || d.count() != 1 {
		t.Errorf("sums %v, %d spans", sums, d.count())
	}

	// The decorator has done all of it already.
	stamped := func(o *eventbridge.Options) {
		o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue("Throughline-Stamped", "1"))
	}
	if _, err := api.PutEvents(t.Context(), one(`{}`), stamped); err != nil {
		t.Fatal(err)
	}
	if e := bus.Ledger().Published[1]; len(e.Resources) != 0 || d.sums()["EventsPublished"] != 1 {
		t.Errorf("stamped again: %q", e.Resources)
	}
}

// answers is an EventBridge that answers as it is told and keeps what it gets.
type answers struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	hosts    []string
}

func answering(t *testing.T, handle http.HandlerFunc) *answers {
	t.Helper()
	a := &answers{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.requests, a.bodies, a.hosts = append(a.requests, r), append(a.bodies, string(body)), append(a.hosts, r.Host)
		a.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

const published = `{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}`

func TestSigningAgain(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, published) })
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	endpoint := d.serve("events")
	for name, tt := range map[string]struct {
		key     string
		stamped bool
		skipped string
	}{
		"The function's own role": {"AKIDOURS", true, ""},
		"A second access key":     {"AKIDOTHER", false, "StampSkipped_other-key"},
	} {
		t.Run(name, func(t *testing.T) {
			before := d.sums()
			if _, err := client(endpoint, credentials.NewStaticCredentialsProvider(tt.key, "secret", "")).PutEvents(t.Context(), one(`{"a":1}`)); err != nil {
				t.Fatal(err)
			}
			n := len(a.requests) - 1
			authorization := a.requests[n].Header.Get("Authorization")
			if stamped := strings.Contains(a.bodies[n], "traceparent:"); stamped != tt.stamped {
				t.Errorf("body %s", a.bodies[n])
			}
			if !strings.Contains(authorization, tt.key+"/") || !strings.Contains(authorization, "/ap-southeast-2/events/aws4_request") {
				t.Errorf("signed %s", authorization)
			}
			if tt.skipped != "" {
				// Its signature covers the host that it was made for, and the body.
				if a.hosts[n] != strings.TrimPrefix(endpoint, "http://") || a.bodies[n] != `{"Entries":[{"Detail":"{\"a\":1}","DetailType":"Planned","Source":"s"}]}` {
					t.Errorf("host %s, body %s", a.hosts[n], a.bodies[n])
				}
				if got := d.sums()[tt.skipped] - before[tt.skipped]; got != 1 {
					t.Errorf("%s %v", tt.skipped, got)
				}
			} else if a.requests[n].Header.Get("X-Amz-Security-Token") != "session" {
				t.Error("the session token is missing")
			}
		})
	}
}

func TestUpstreamIsTheCallsRegion(t *testing.T) {
	p := newEventsProxy(newDesk(t, nil).extension)
	for authorization, want := range map[string]string{
		"AWS4-HMAC-SHA256 Credential=A/20261123/eu-central-1/events/aws4_request, SignedHeaders=host, Signature=0": "https://events.eu-central-1.amazonaws.com",
		"AWS4-HMAC-SHA256 Credential=A/20261123/cn-north-1/events/aws4_request, SignedHeaders=host, Signature=0":   "https://events.cn-north-1.amazonaws.com.cn",
		"AWS4-ECDSA-P256-SHA256 Credential=A/20261123/events/aws4_request, SignedHeaders=host, Signature=0":        "https://abcde.veo.endpoint.events.amazonaws.com",
		"": "https://events.eu-west-1.amazonaws.com",
	} {
		call := &eventsCall{scope: readScope(authorization)}
		if call.scope.asymmetric {
			call.endpoint = "abcde.veo"
		}
		if u, err := p.upstream(call); err != nil || u.String() != want {
			t.Errorf("%s: %v %v", authorization, u, err)
		}
	}
	if _, err := p.upstream(&eventsCall{scope: credentialScope{region: "x.evil.example/"}}); err == nil {
		t.Error("a region that is no name was taken")
	}
}

func TestAnswersOfEventBridgeComeThrough(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header string
		body   string
		code   string
		sums   map[string]float64
	}{
		"PartialFailure": {200, "", `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"slow down"}]}`, "", map[string]float64{"EventsFailed": 1, "EventsFailed_ThrottlingException": 1, "EventsThrottled": 1}},
		"Denied":         {400, "AccessDeniedException", `{"__type":"AccessDeniedException","message":"no"}`, "AccessDeniedException", map[string]float64{"EventsFailed": 1, "EventsFailed_AccessDeniedException": 1}},
		"Typed":          {400, "", `{"__type":"com.amazonaws.events#ValidationException","message":"too large"}`, "ValidationException", map[string]float64{"EventsFailed_ValidationException": 1}},
		"Broken":         {500, "", `<html>`, "", map[string]float64{"EventsFailed": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			a := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amzn-Requestid", "aws-1")
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				if tt.header != "" {
					w.Header().Set("X-Amzn-Errortype", tt.header)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
			through, viaUs := client(d.serve("events"), ours).PutEvents(t.Context(), one(`{}`))
			straight, bare := client(a.URL, ours).PutEvents(t.Context(), one(`{}`))
			if fmt.Sprint(viaUs) != fmt.Sprint(bare) || (through == nil) != (straight == nil) {
				t.Errorf("through us %v %v, straight %v %v", through, viaUs, straight, bare)
			}
			var api smithy.APIError
			if tt.code != "" && (!errors.As(viaUs, &api) || api.ErrorCode() != tt.code) {
				t.Errorf("error %v", viaUs)
			}
			sums := d.sums()
			for metric, want := range tt.sums {
				if sums[metric] != want {
					t.Errorf("%s %v, want %v: %v", metric, sums[metric], want, sums)
				}
			}
		})
	}
}

func TestOtherCallsPass(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"EventBuses":[]}`) })
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	if _, err := client(d.serve("events"), ours).ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{NamePrefix: aws.String("t")}); err != nil {
		t.Fatal(err)
	}
	if a.bodies[0] != `{"NamePrefix":"t"}` || !strings.Contains(a.requests[0].Header.Get("Authorization"), "AKIDOURS") {
		t.Errorf("sent %s %v", a.bodies[0], a.requests[0].Header)
	}
}

// An SDK that tries again is counted once, and a connection that breaks breaks
// for it as it would without us.
func TestAttemptsOfOneCallAreCountedOnce(t *testing.T) {
	n := 0
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		switch n++; n {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"__type":"ServiceUnavailable"}`)
		default:
			_, _ = io.WriteString(w, published)
		}
	})
	a.Config.ErrorLog = nil
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	url := d.serve("events")
	api := client(url, ours)
	_, err := api.PutEvents(t.Context(), one(`{"event_id":"e"}`), func(o *eventbridge.Options) {
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) { s.MaxAttempts, s.MaxBackoff = 3, time.Millisecond })
	})
	if err != nil {
		t.Fatal(err)
	}
	if sums := d.sums(); sums["EventsPublished"] != 1 || sums["EventsFailed"] != 0 || n != 3 {
		t.Errorf("%d attempts, sums %v", n, sums)
	}
}

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

// plainClient keeps no connection.
var plainClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := plainClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func post(t *testing.T, url, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
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
	var v view
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

func TestRuntimeIsTransparent(t *testing.T) {
	l := newLambdaAPI(t)
	d := newDesk(t, func(c *Config) { c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://") })
	url := d.serve("runtime")
	for name, payload := range map[string][]byte{
		"6 MB":         append(append([]byte(`{"text":"`), bytes.Repeat([]byte("x"), 6<<20)...), `"}`...),
		"at the bound": bytes.Repeat([]byte(" "), maxEvent),
		"over it":      bytes.Repeat([]byte(" "), maxEvent+1),
		"not JSON":     {0, 1, 2, 0xff},
		"nothing":      {},
	} {
		l.payloads <- payload
		if _, body := get(t, url+runtimePath+"next"); body != string(payload) {
			t.Errorf("%s: %d bytes of %d", name, len(body), len(payload))
		}
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
			var v view
			_, body := get(t, url+"/throughline/v1/current?trace="+strings.ReplaceAll(strings.ReplaceAll(sent, "%", "%25"), ";", "%3B"))
			if json.Unmarshal([]byte(body), &v) != nil || v.CausationID != id {
				t.Errorf("%s: %s", id, body)
			}
		}
	}
	if resp, _ := get(t, url+"/throughline/v1/current"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("without a header: %s", resp.Status)
	}
	var listed []view
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &listed) != nil || len(listed) != 8 || listed[0].Trace == "" {
		t.Errorf("file %s %v", text, err)
	}
	for n := 1; n <= 8; n++ {
		post(t, url+runtimePath+fmt.Sprintf("r-%d/response", n), `{}`)
	}
	if text, _ = os.ReadFile(file); json.Unmarshal(text, &listed) != nil || len(listed) != 1 || listed[0].RequestID != "r-8" {
		t.Errorf("the last stays current: %s", text)
	}
}

func TestOutboundReports(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("runtime") + "/throughline/v1/outbound"
	report := `{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_id":"b7ad6b7169203331","flags":"01","correlation_id":"w",
"start_unix_nano":1700000000000000000,"end_unix_nano":1700000000250000000,"method":"GET","scheme":"https","host":"paper-api.alpaca.markets","port":443,
"path":"/v2/positions/AAPL","resend_count":1,"status":429,"headers":{"x-request-id":"q-1","x-ratelimit-remaining":"0"}}`
	if resp := post(t, url, report); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	until(t, "the span", func() bool { return d.count() == 1 })
	found := otlp.Find(d.spans[0], "url.template", "http.request.method")
	if len(found) != 1 || found[0].Texts[0] != "/v2/positions/{symbol_or_asset_id}" || found[0].End.Sub(found[0].Start) != 250*time.Millisecond || found[0].ParentID.String() != "b7ad6b7169203331" {
		t.Errorf("%+v", found)
	}
	if sums := d.sums(); sums["RequestDuration"] != 250 || sums["RateLimited"] != 1 || sums["RequestErrors_429"] != 1 {
		t.Errorf("sums %v", sums)
	}
	for _, wrong := range []string{"", "{", `{"host":""}`, strings.Repeat("x", 1<<17)} {
		if resp := post(t, url, wrong); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.20q: %s", wrong, resp.Status)
		}
	}
}

func TestAlpacaEndpoint(t *testing.T) {
	var hosts []string
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host+r.URL.Path+" "+r.Header.Get("X-Correlation-ID")+" "+r.Header.Get("APCA-API-KEY-ID"))
		w.Header().Set("X-Request-ID", "q-1")
		_, _ = io.WriteString(w, `{"is_open":true}`)
	}))
	defer exchange.Close()
	d := newDesk(t, func(c *Config) { c.AlpacaUpstream = exchange.URL })
	url := d.serve("alpaca")
	f := &inFlight{request: "r-1"}
	f.Invocation = d.handling.Begin(t.Context(), []byte(stampedEvent(1)), tracingInvocation("r-1"), true)
	d.current.begin(f)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/paper/v2/clock?a=b", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("APCA-API-KEY-ID", "PK")
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != `{"is_open":true}` || len(hosts) != 1 || hosts[0] != "paper-api.alpaca.markets/v2/clock workflow-1 PK" {
		t.Errorf("%s %q", body, hosts)
	}
	found := otlp.Find(d.spans[0], "url.template")
	if len(found) != 1 || found[0].ParentID != f.Span.SpanContext().SpanID() {
		t.Errorf("%+v", found)
	}
	for _, path := range []string{"/evil.example/v2", "/", "//paper", "/paper.evil.example/", "/paper-api.alpaca.markets.evil.example/v2", "/..%2fpaper/v2/clock"} {
		if resp, _ := get(t, url+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}

	t.Run("Faults", func(t *testing.T) {
		put := func(text string) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/throughline/v1/faults", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := plainClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return resp.StatusCode
		}
		for text, want := range map[string]int{"error=503": 503, "error=500:100%": 500, "rate-limit=0,error=429:0%": 200, "delay=1ms": 200, "": 200} {
			if status := put(text); status != http.StatusOK {
				t.Errorf("%s: %d", text, status)
			}
			if resp, _ := get(t, url+"/live/v2/account"); resp.StatusCode != want {
				t.Errorf("%s: %s", text, resp.Status)
			}
		}
		put("rate-limit=2")
		limited := 0
		for range 4 {
			if resp, _ := get(t, url+"/data/v2/stocks"); resp.StatusCode == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited < 2 && limited != 0 || limited == 0 && time.Now().Second() != 0 {
			t.Errorf("%d of 4 calls were limited", limited)
		}
		for _, wrong := range []string{"delay=x", "error=200", "error=500:200%", "storm=1", "delay=2h"} {
			if put(wrong) != http.StatusBadRequest {
				t.Errorf("%s was taken", wrong)
			}
		}
	})
}

// A websocket passes.
func TestAlpacaStreams(t *testing.T) {
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%v %v", err, r.Header)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, "heard "+line)
	}))
	defer exchange.Close()
	d := newDesk(t, func(c *Config) { c.AlpacaUpstream = exchange.URL })
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.serve("alpaca"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /stream/v2/sip HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := r.ReadString('\n'); err != nil || line != "heard hello\n" {
		t.Errorf("%q %v", line, err)
	}
}

func TestOtherSignalsPass(t *testing.T) {
	backend := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	d := newDesk(t, func(c *Config) {
		c.Upstream = otlp.Config{URL: "http://127.0.0.1:1/somewhere/else"}
		c.Signals = Signals{URL: backend.URL + "/base", Headers: map[string]string{"Api-Key": "k", "Team": "t"}}
	})
	url := d.serve("otlp")
	if resp := post(t, url+"/v1/metrics", "bytes", "Content-Type", "application/x-protobuf", "Api-Key", "of metrics alone"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if r := backend.requests[0]; r.URL.Path != "/base/v1/metrics" || backend.bodies[0] != "bytes" || r.Header.Get("Api-Key") != "of metrics alone" || r.Header.Get("Team") != "t" {
		t.Errorf("%s %s %v", r.URL, backend.bodies[0], r.Header)
	}
	// With nowhere to send them to they are taken, in their own encoding, and counted.
	nowhere := newDesk(t, func(c *Config) { c.Upstream = otlp.Config{} })
	url = nowhere.serve("otlp")
	for kind, want := range map[string]string{"application/json": "{}", "application/x-protobuf": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/logs", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		resp, err := plainClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(body) != want || resp.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %s %q %v", kind, resp.Status, body, resp.Header)
		}
	}
	if dropped := nowhere.sums()["TelemetryDropped"]; dropped != 2 {
		t.Errorf("%v dropped", dropped)
	}
	// A backend that is gone is an error that an SDK tries again, as without us.
	gone := newDesk(t, func(c *Config) { c.Signals = Signals{URL: "http://127.0.0.1:1"} })
	if resp := post(t, gone.serve("otlp")+"/v1/metrics", "bytes"); resp.StatusCode != http.StatusBadGateway {
		t.Error(resp.Status)
	}
}

// Whoever reaches an endpoint calls with the function's role.
func TestEndpointsAreOnLoopbackAlone(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "nonsense", ""} {
		for _, name := range endpointNames {
			d := newDesk(t, nil)
			d.open(map[string]string{name: address})
			if d.servers[name] != nil {
				t.Errorf("%s listens on %s", name, address)
			}
			if address != "" && !strings.Contains(d.said.String(), "THROUGHLINE_"+strings.ToUpper(name)+"_ADDR") {
				t.Errorf("%s: said %q", address, d.said.String())
			}
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "127.1.2.3:0"} {
		d := newDesk(t, nil)
		if d.open(map[string]string{"otlp": address}); d.servers["otlp"] == nil {
			t.Errorf("%s: %s", address, d.said.String())
		}
	}
}

// Outside Lambda the runtime endpoint stands before an emulator.
func TestSidecarBeforeAnEmulator(t *testing.T) {
	l := newLambdaAPI(t)
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	addresses, done := make(chan map[string]string, 1), make(chan error, 1)
	go func() {
		done <- Sidecar(ctx, Config{RuntimeAddr: "127.0.0.1:0", RuntimeAPI: strings.TrimPrefix(l.URL, "http://"), TempDir: t.TempDir(), Metrics: metrics.Config{Service: "s"}, Out: &out},
			func(a map[string]string) { addresses <- a })
	}()
	url := "http://" + (<-addresses)["runtime"]
	l.payloads <- []byte(stampedEvent(1))
	if _, body := get(t, url+runtimePath+"next"); body != stampedEvent(1) {
		t.Errorf("next: %s", body)
	}
	post(t, url+runtimePath+"r-1/response", `{}`)
	stop()
	if err := <-done; err != nil || !strings.Contains(out.String(), `"EventType":"SignalGenerated"`) {
		t.Errorf("%v, wrote %s", err, out.String())
	}
	if err := Sidecar(t.Context(), Config{RuntimeAddr: "127.0.0.1:0"}, nil); err == nil || !strings.Contains(err.Error(), "AWS_LAMBDA_RUNTIME_API") {
		t.Errorf("without an emulator: %v", err)
	}
}

// What could be read in two ways is refused or closed, never passed on twice.
func TestRequestSmuggling(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, published) })
	d := newDesk(t, func(c *Config) {
		c.EventsUpstream, c.AlpacaUpstream, c.RuntimeAPI, c.Signals.URL = a.URL, a.URL, strings.TrimPrefix(a.URL, "http://"), a.URL
	})
	for _, endpoint := range endpointNames {
		t.Run(endpoint, func(t *testing.T) { smuggle(t, a, strings.TrimPrefix(d.serve(endpoint), "http://")) })
	}
}

func smuggle(t *testing.T, a *answers, address string) {
	for name, raw := range map[string]string{
		"both lengths":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloGET /smuggled HTTP/1.1\r\n\r\n",
		"odd encoding":     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"header with feed": "POST / HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding : chunked\r\n\r\n",
		"long header":      "POST / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.requests = nil
			a.mu.Unlock()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(conn, raw)
			_, _ = http.ReadResponse(bufio.NewReader(conn), nil)
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, r := range a.requests {
				if len(r.TransferEncoding) > 0 && r.ContentLength > 0 || name != "both lengths" || r.URL.Path == "/smuggled" && len(a.requests) == 1 {
					t.Errorf("passed on: %s %s", r.Method, r.URL)
				}
			}
		})
	}
}

func TestSidecar(t *testing.T) {
	bus, busURL := startBus(t, buslocal.Options{})
	backend := answering(t, func(w http.ResponseWriter, _ *http.Request) {})
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	addresses := make(chan map[string]string, 1)
	done := make(chan error, 1)
	config := Config{
		OTLPAddr: "127.0.0.1:0", EventsAddr: "127.0.0.1:0", AlpacaAddr: "127.0.0.1:0", EventsUpstream: busURL, TempDir: t.TempDir(),
		Upstream: otlp.Config{URL: backend.URL + "/v1/traces"}, Credentials: func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret"}, nil
		}, Metrics: metrics.Config{Service: "sidecar"}, Out: &out, SizeLimit: 1 << 20, SizeWarn: 200_000,
	}
	go func() { done <- Sidecar(ctx, config, func(a map[string]string) { addresses <- a }) }()
	at := <-addresses
	for name, address := range at {
		if resp, _ := get(t, "http://"+address+"/healthz"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if _, err := client("http://"+at["events"], ours).PutEvents(t.Context(), one(`{"event_id":"e"}`)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(bus.Ledger().Published) != 1 || !strings.Contains(out.String(), `"EventsPublished":1`) || len(backend.bodies) != 1 {
		t.Errorf("%s, %d exports", out.String(), len(backend.bodies))
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config.EventsAddr = taken.Addr().String()
	if err := Sidecar(t.Context(), config, nil); err == nil || !strings.Contains(err.Error(), "events") {
		t.Errorf("a taken port: %v", err)
	}
}

func tracingInvocation(id string) tracing.Invocation {
	return tracing.Invocation{RequestID: id, FunctionName: "portfolio"}
}
