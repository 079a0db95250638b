package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// wireEntry is an entry as it reached the server.
type wireEntry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
	Time                                     *json.Number
}

func (e wireEntry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, r := range e.Resources {
		n += len(r)
	}
	if e.Time != nil {
		n += 14
	}
	return n
}

func (e wireEntry) line(name string) string {
	for _, r := range e.Resources {
		if value, ok := strings.CutPrefix(r, name+":"); ok {
			return value
		}
	}
	return ""
}

// server stands in for EventBridge.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests [][]wireEntry
	headers  []http.Header
	code     func(e wireEntry) string  // of an entry; empty is success
	fault    func(n int) (code string) // of the n-th request, from 1; empty is none
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Entries []wireEntry }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &request)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, request.Entries)
		s.headers = append(s.headers, r.Header.Clone())
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if s.fault != nil {
			if code := s.fault(len(s.requests)); code != "" {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "on purpose"})
				return
			}
		}
		answer := struct {
			FailedEntryCount int
			Entries          []map[string]string
		}{}
		for i, e := range request.Entries {
			if s.code != nil && s.code(e) != "" {
				answer.FailedEntryCount++
				answer.Entries = append(answer.Entries, map[string]string{"ErrorCode": s.code(e), "ErrorMessage": "on purpose"})
				continue
			}
			answer.Entries = append(answer.Entries, map[string]string{"EventId": fmt.Sprintf("id-%d-%s-%d", len(s.requests), e.DetailType, i)})
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) entries() (all []wireEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		all = append(all, r...)
	}
	return all
}

func (s *server) client() *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", ""),
	})
}

func entry(eventType, detail string, resources ...string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		Source: aws.String("alchemiser.strategy"), DetailType: aws.String(eventType), Detail: aws.String(detail),
		EventBusName: aws.String("trading"), Resources: resources,
	}
}

const spaced = `{"b": 1.50, "event_id": "signal-1",  "correlation_id": "workflow-1", "big": 12345678901234567890, "ü": "\u2713"}`

func TestEntriesAreStampedAndDetailsAreNotTouched(t *testing.T) {
	s := newServer(t)
	input := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("SignalGenerated", spaced, "arn:mine")}}
	before := fmt.Sprintf("%#v", *input)
	resources := input.Entries[0].Resources
	if _, err := New(s.client()).PutEvents(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprintf("%#v", *input); after != before || len(resources) != 1 {
		t.Errorf("the input was changed:\n%s\n%s", before, after)
	}
	e := s.entries()[0]
	if e.Detail != spaced || e.Resources[0] != "arn:mine" || e.line("correlation") != "workflow-1" || e.line("hops") != "0" {
		t.Errorf("on the wire %+v", e)
	}
	if _, ok := tracing.ParseTraceparent(e.line("traceparent")); !ok {
		t.Errorf("traceparent %q", e.line("traceparent"))
	}
}

// TestWhatFitsOneRequestBehavesAsTheClient compares the two for every documented code.
func TestWhatFitsOneRequestBehavesAsTheClient(t *testing.T) {
	codesOfEntries := []string{"", "InternalFailure", "ThrottlingException", "AccessDeniedException", "InvalidAccountIdException", "InvalidArgument", "MalformedDetail", "RedactionFailure", "NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException"}
	for _, code := range codesOfEntries {
		t.Run("Entry"+code, func(t *testing.T) {
			s := newServer(t)
			s.code = func(e wireEntry) string {
				if e.DetailType == "B" {
					return code
				}
				return ""
			}
			same(t, s, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("A", `{}`), entry("B", `{}`)}})
		})
	}
	for _, code := range []string{"ThrottlingException", "InternalException", "ValidationException", "AccessDeniedException"} {
		t.Run("Request"+code, func(t *testing.T) {
			s := newServer(t)
			s.fault = func(int) string { return code }
			same(t, s, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("A", `{}`)}})
		})
	}
	t.Run("NilInput", func(t *testing.T) { same(t, newServer(t), nil) })
	t.Run("NoEntries", func(t *testing.T) { same(t, newServer(t), &eventbridge.PutEventsInput{}) })
}

// same publishes with the bare client and through a Publisher and compares.
func same(t *testing.T, s *server, input *eventbridge.PutEventsInput) {
	t.Helper()
	cfg := config(s.URL)
	cfg.APIOptions = append(cfg.APIOptions, Middleware())
	for name, api := range map[string]API{"decorator": New(s.client()), "middleware": eventbridge.NewFromConfig(cfg), "loops": New(s.client(), WithLoopRefusal(LoopRule{}), WithRefusal(1<<20))} {
		t.Run(name, func(t *testing.T) { sameBy(t, s, api, input) })
	}
}

func sameBy(t *testing.T, s *server, api API, input *eventbridge.PutEventsInput) {
	t.Helper()
	want, wantErr := s.client().PutEvents(t.Context(), input)
	got, err := api.PutEvents(t.Context(), input)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, the client's %v", err, wantErr)
	}
	var a, b smithy.APIError
	if errors.As(wantErr, &a) && (!errors.As(err, &b) || a.ErrorCode() != b.ErrorCode() || a.ErrorMessage() != b.ErrorMessage()) {
		t.Errorf("error %v, the client's %v", err, wantErr)
	}
	if want == nil || got == nil {
		if want != nil || got != nil {
			t.Errorf("output %v, the client's %v", got, want)
		}
		return
	}
	for i := range got.Entries {
		if got.Entries[i].EventId != nil { // of another request, so another ID
			got.Entries[i].EventId, want.Entries[i].EventId = nil, nil
		}
	}
	if got.FailedEntryCount != want.FailedEntryCount || !reflect.DeepEqual(got.Entries, want.Entries) {
		t.Errorf("output %+v, the client's %+v", got, want)
	}
}

func TestMoreThanOneRequestIsSplitInOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		n, size, requests int
	}{"ByNumber": {25, 10, 3}, "ByBytes": {7, 300_000, 3}, "OneTooLarge": {1, 1_200_000, 1}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			input := &eventbridge.PutEventsInput{}
			for i := range tt.n {
				input.Entries = append(input.Entries, entry(fmt.Sprint("T", i), `{"x":"`+strings.Repeat("x", tt.size)+`"}`))
			}
			output, err := New(s.client()).PutEvents(t.Context(), input)
			if err != nil || len(output.Entries) != tt.n || output.FailedEntryCount != 0 {
				t.Fatalf("output %+v, %v", output, err)
			}
			if len(s.requests) != tt.requests {
				t.Errorf("%d requests, want %d", len(s.requests), tt.requests)
			}
			for i, e := range s.entries() {
				if e.DetailType != fmt.Sprint("T", i) || !strings.Contains(aws.ToString(output.Entries[i].EventId), "-"+e.DetailType+"-") {
					t.Errorf("entry %d is %s, its result %s", i, e.DetailType, aws.ToString(output.Entries[i].EventId))
				}
			}
			for _, r := range s.requests {
				sum := 0
				for _, e := range r {
					sum += e.size()
				}
				if len(r) > 10 || sum > 1_000_000 && len(r) > 1 {
					t.Errorf("a request of %d entries and %d bytes", len(r), sum)
				}
			}
		})
	}
}

func TestARequestThatFailsAsAWholeMarksItsEntries(t *testing.T) {
	s := newServer(t)
	s.fault = func(n int) string {
		if n == 2 {
			return "AccessDeniedException"
		}
		return ""
	}
	input := &eventbridge.PutEventsInput{}
	for range 25 {
		input.Entries = append(input.Entries, entry("T", `{}`))
	}
	output, err := New(s.client()).PutEvents(t.Context(), input)
	if err != nil || output.FailedEntryCount != 10 {
		t.Fatalf("output %+v, %v", output, err)
	}
	for i, e := range output.Entries {
		if failed := i >= 10 && i < 20; (aws.ToString(e.ErrorCode) == "AccessDeniedException") != failed || (e.EventId == nil) != failed {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	s.fault = func(int) string { return "AccessDeniedException" }
	var api smithy.APIError
	if output, err := New(s.client()).PutEvents(t.Context(), input); output != nil || !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" {
		t.Errorf("when every request fails: %v, %v", output, err)
	}
}

// TestTheHeaderGoesToLoopbackAlone, and is not signed: the endpoint takes it off.
func TestTheHeaderGoesToLoopbackAlone(t *testing.T) {
	for endpoint, want := range map[string]string{"http://127.0.0.1:4319": "1", "http://localhost:4319": "1", "http://[::1]:4319": "1", "https://events.us-east-1.amazonaws.com": "", "http://10.0.0.1:80": ""} {
		var got http.Header
		client := eventbridge.New(eventbridge.Options{
			Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", ""),
			HTTPClient: roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.Header.Clone()
				return nil, errors.New("no network here")
			}),
		})
		_, _ = New(client).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("T", `{}`)}})
		if got.Get("Throughline-Stamped") != want || strings.Contains(strings.ToLower(got.Get("Authorization")), "throughline") {
			t.Errorf("%s: %v", endpoint, got)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestMetrics(t *testing.T) {
	s := newServer(t)
	s.code = func(e wireEntry) string {
		return map[string]string{"Bad": "MalformedDetail", "Busy": "ThrottlingException"}[e.DetailType]
	}
	set := metrics.New(metrics.Config{Service: "strategy"})
	p := New(s.client(), WithMetrics(set), WithWarning(5_000))
	input := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("Good", spaced), entry("Bad", spaced), entry("Busy", spaced), entry("Large", `{"correlation_id":"workflow-1","x":"`+strings.Repeat("x", 6_000)+`"}`), entry("Lonely", `{}`),
	}}
	if _, err := p.PutEvents(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := set.Flush(&out, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"EventsPublished":3`, `"EventsFailed":2`, `"EventsFailed_MalformedDetail":1`, `"EventsFailed_ThrottlingException":1`, `"OversizedEvents":1`, `"UncorrelatedPublished":1`, `"throughline":"oversize"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	for _, e := range s.entries() { // sizes as the wire has them, stamp included
		if want := fmt.Sprintf(`"EventType":%q,"PayloadLimitUtilization"`, e.DetailType); !strings.Contains(out.String(), fmt.Sprintf(`"PayloadSize":%d`, e.size())) {
			t.Errorf("no size %d of %s (%s) in\n%s", e.size(), e.DetailType, want, out.String())
		}
	}
}

func TestSpans(t *testing.T) {
	s := newServer(t)
	s.code = func(e wireEntry) string { return map[string]string{"Bad": "MalformedDetail"}[e.DetailType] }
	exporter := tracetest.NewInMemoryExporter()
	cfg := tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))}
	p := New(s.client(), WithTracing(cfg))
	if _, err := p.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("Good", spaced), entry("Bad", `{}`)}}); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	names := map[string]tracetest.SpanStub{}
	for _, span := range spans {
		names[span.Name] = span
	}
	send := names["send trading"]
	if len(spans) != 3 || send.SpanKind != trace.SpanKindClient || len(send.Links) != 2 || send.Status.Code != codes.Error {
		t.Errorf("spans %v", names)
	}
	for i, name := range []string{"create Good", "create Bad"} {
		span := names[name]
		if span.SpanKind != trace.SpanKindProducer || s.entries()[i].line("traceparent") != tracing.FormatTraceparent(span.SpanContext) || (span.Status.Code == codes.Error) != (i == 1) {
			t.Errorf("%s: %v, on the wire %s", name, span.SpanContext, s.entries()[i].line("traceparent"))
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	s := newServer(t)
	p := New(s.client(), WithMetrics(metrics.New(metrics.Config{})))
	input := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("T", spaced, slices.Grow([]string{"mine"}, 20)...)}}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if _, err := p.PutEvents(t.Context(), input); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.entries()); n != 160 {
		t.Errorf("%d entries", n)
	}
}

// stub answers at once.
type stub struct{}

func (stub) PutEvents(_ context.Context, input *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	return &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(input.Entries))}, nil
}

func FuzzPutEvents(f *testing.F) {
	f.Add("alchemiser.strategy", "SignalGenerated", spaced, "correlation:x", uint8(3))
	f.Add("", "", "\xff{", ":", uint8(30))
	f.Fuzz(func(t *testing.T, source, eventType, detail, resource string, n uint8) {
		input := &eventbridge.PutEventsInput{}
		for range n {
			e := entry(eventType, detail, resource)
			e.Source = &source
			input.Entries = append(input.Entries, e)
		}
		output, err := New(stub{}, WithMetrics(metrics.New(metrics.Config{}))).PutEvents(t.Context(), input)
		if err != nil || len(output.Entries) != int(n) {
			t.Errorf("output %v, %v", output, err)
		}
		for _, e := range input.Entries {
			if *e.Detail != detail || len(e.Resources) != 1 || e.Resources[0] != resource {
				t.Errorf("the input was changed: %v", e)
			}
		}
	})
}

func ExamplePublisher_PutEvents() {
	p := New(stub{}) // in a function: eventbridge.NewFromConfig(cfg)
	output, err := p.PutEvents(context.Background(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: aws.String("alchemiser.strategy"), DetailType: aws.String("SignalGenerated"), Detail: aws.String(`{"signal_count":3}`),
	}}})
	fmt.Println(len(output.Entries), output.FailedEntryCount, err)
	// Output: 1 0 <nil>
}
