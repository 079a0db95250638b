package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/extension/internal/sigv4"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
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
		API: alpaca.API(nil), Region: "eu-west-1", FunctionName: "portfolio", TempDir: t.TempDir(), Metrics: metrics.Config{Service: "portfolio", Profile: metrics.Full},
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
	return "http://" + d.servers[name].Address
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

var ours = peertest.Credentials("AKIDOURS", "secret", "session")

func one(detail string) *eventbridge.PutEventsInput {
	return &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("Planned"), Detail: &detail}}}
}

// aBus is an EventBridge that takes every entry and keeps them.
type aBus struct {
	mu        sync.Mutex
	published []entry
}

type entry struct {
	Source, DetailType, Detail string
	Resources                  []string
}

func (e entry) line(name string) string {
	for _, r := range e.Resources {
		if value, ok := strings.CutPrefix(r, name+":"); ok {
			return value
		}
	}
	return ""
}

func (e entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func startBus(t *testing.T) (*aBus, string) {
	t.Helper()
	bus := &aBus{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Entries []entry }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		bus.mu.Lock()
		defer bus.mu.Unlock()
		results := make([]map[string]string, len(request.Entries))
		for i := range results {
			results[i] = map[string]string{"EventId": fmt.Sprint("id-", len(bus.published)+i)}
		}
		bus.published = append(bus.published, request.Entries...)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": 0, "Entries": results})
	}))
	t.Cleanup(server.Close)
	return bus, server.URL
}

func (b *aBus) ledger() []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.published)
}

func TestEventsAreStampedMeasuredAndTraced(t *testing.T) {
	bus, url := startBus(t)
	d := newDesk(t, func(c *Config) { c.EventsUpstream = url })
	api := client(d.serve("events"), ours)
	const detail = `{"event_id": "plan-1", "n": 12345678901234567890, "text": "ünï < \u00fc"}`
	out, err := api.PutEvents(t.Context(), one(detail))
	if err != nil || out.FailedEntryCount != 0 || aws.ToString(out.Entries[0].EventId) == "" {
		t.Fatalf("%v %v", out, err)
	}
	e := bus.ledger()[0]
	if e.Detail != detail || e.line("correlation") == "" || e.line("traceparent") == "" || e.line("hops") != "0" {
		t.Errorf("published %q with %q", e.Detail, e.Resources)
	}
	if sums := d.sums(); sums["EventsPublished"] != 1 || sums["PayloadSize"] != float64(e.size()) || sums["UncorrelatedPublished"] != 0 || d.count() != 1 {
		t.Errorf("sums %v, %d spans", sums, d.count())
	}

	// The decorator has done all of it already.
	stamped := func(o *eventbridge.Options) {
		o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue("Throughline-Stamped", "1"))
	}
	if _, err := api.PutEvents(t.Context(), one(`{}`), stamped); err != nil {
		t.Fatal(err)
	}
	if e := bus.ledger()[1]; len(e.Resources) != 0 || d.sums()["EventsPublished"] != 1 {
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
		"A second access key":     {"AKIDOTHER", false, "StampSkipped_key"},
	} {
		t.Run(name, func(t *testing.T) {
			before := d.sums()
			if _, err := client(endpoint, peertest.Credentials(tt.key, "secret", "session")).PutEvents(t.Context(), one(`{"a":1}`)); err != nil {
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
	var n atomic.Int32 // each attempt has a connection of its own
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) {
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
	if sums := d.sums(); sums["EventsPublished"] != 1 || sums["EventsFailed"] != 0 || n.Load() != 3 {
		t.Errorf("%d attempts, sums %v", n.Load(), sums)
	}
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
	if resp := post(t, gone.serve("otlp")+"/v1/metrics", "bytes", "Content-Type", "application/json"); resp.StatusCode != http.StatusBadGateway {
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

func tracingInvocation(id string) lineage.Invocation {
	return lineage.Invocation{RequestID: id, FunctionName: "portfolio"}
}

// What is not signed with our key goes byte for byte as it came, and so does
// every operation but PutEvents.
func TestWhatPassesAsItCame(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, published) })
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	url := d.serve("events") + "/"
	ours := "AWS4-HMAC-SHA256 Credential=AKIDOURS/20261129/eu-west-1/events/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
	for name, tt := range map[string]struct{ target, authorization, body, reason string }{
		"Forged":         {"AWSEvents.PutEvents", ours, unstamped, "signature"},
		"SigV4a":         {"AWSEvents.PutEvents", strings.Replace(ours, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1), strings.Replace(unstamped, `{"E`, `{"EndpointId":"127.0.0.1:1/x?","E`, 1), "algorithm"},
		"Another action": {"AWSEvents.PutPermission", ours, "{}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := d.sums()["StampSkipped_"+tt.reason]
			post(t, url, tt.body, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", tt.target, "Authorization", tt.authorization, "X-Amz-Date", "20261129T000000Z")
			n := len(a.requests) - 1
			if a.bodies[n] != tt.body || a.requests[n].Header.Get("Authorization") != tt.authorization || a.hosts[n] != strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/") {
				t.Errorf("sent %s to %s with %v", a.bodies[n], a.hosts[n], a.requests[n].Header)
			}
			if got := d.sums()["StampSkipped_"+tt.reason] - before; tt.reason != "" && got != 1 {
				t.Errorf("%v skipped for %s", got, tt.reason)
			}
		})
	}
}

// What is signed again keeps the date and the headers that its signature covers.
func TestSigningAgainKeepsDateAndHeaders(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, published) })
	d := newDesk(t, func(c *Config) { c.EventsUpstream = a.URL })
	var date, signed string
	_, err := client(d.serve("events"), ours).PutEvents(t.Context(), one(`{"event_id":"e"}`), func(o *eventbridge.Options) {
		o.HTTPClient = smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			date, signed = r.Header.Get("X-Amz-Date"), r.Header.Get("Authorization")
			return plainClient.Do(r)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	was, _ := sigv4.Parse(signed)
	r := a.requests[0]
	is, err := sigv4.Parse(r.Header.Get("Authorization"))
	covered := sigv4.Request{Method: r.Method, Path: "/", PayloadHash: sigv4.Hash([]byte(a.bodies[0])), Header: func(name string) []string {
		switch name {
		case "host":
			return []string{a.hosts[0]}
		case "content-length":
			return []string{fmt.Sprint(len(a.bodies[0]))}
		}
		return r.Header.Values(name)
	}}
	if err != nil || r.Header.Get("X-Amz-Date") != date || !slices.Equal(was.SignedHeaders, is.SignedHeaders) || is.Signature == was.Signature || !is.Verify("secret", covered) {
		t.Errorf("signed %q, then %q, at %s and %s: %v", signed, r.Header.Get("Authorization"), date, r.Header.Get("X-Amz-Date"), err)
	}
}
