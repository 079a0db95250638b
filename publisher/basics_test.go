package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
	"github.com/throughline/throughline/tracing"
)

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
	if _, ok := lineage.ParseTraceparent(e.line("traceparent")); !ok {
		t.Errorf("traceparent %q", e.line("traceparent"))
	}
}

// The codes that AWS documents: of entries (API reference, PutEvents, and
// PutEventsResultEntry), of the operation, and common to all services (API
// reference, Common Errors).
var (
	entryCodes = []string{"InternalFailure", "ThrottlingException", "AccessDeniedException", "InvalidAccountIdException", "InvalidArgument", "MalformedDetail",
		"RedactionFailure", "NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "InternalException"}
	requestCodes = map[string]int{
		"InternalException": 500, "AccessDeniedException": 400, "ExpiredTokenException": 403, "IncompleteSignature": 403, "InternalFailure": 500,
		"MalformedHttpRequestException": 400, "NotAuthorized": 401, "OptInRequired": 403, "RequestAbortedException": 400, "RequestEntityTooLargeException": 413,
		"RequestExpired": 400, "RequestTimeoutException": 408, "ServiceUnavailable": 503, "ThrottlingException": 400, "UnknownOperationException": 404,
		"UnrecognizedClientException": 403, "ValidationError": 400, "ValidationException": 400,
	}
)

// TestWhatFitsOneRequestBehavesAsTheClient compares the two for every documented code.
func TestWhatFitsOneRequestBehavesAsTheClient(t *testing.T) {
	for _, code := range append([]string{"", "SomethingNew"}, entryCodes...) {
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
	for code, status := range requestCodes {
		t.Run("Request"+code, func(t *testing.T) {
			s := newServer(t)
			s.fault, s.status = func(int) string { return code }, status
			same(t, s, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("A", `{}`), entry("B", `{}`)}})
		})
	}
	t.Run("NoServer", func(t *testing.T) {
		s := newServer(t)
		s.Close()
		same(t, s, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("A", `{}`)}})
	})
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
	for a, b := err, wantErr; ; a, b = errors.Unwrap(a), errors.Unwrap(b) { // the whole chain, so that errors.As finds the same
		if fmt.Sprintf("%T", a) != fmt.Sprintf("%T", b) || a != nil && a.Error() != b.Error() {
			t.Fatalf("error %T %v, the client's %T %v", a, a, b, b)
		}
		if a == nil || b == nil {
			break
		}
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

// TestAnEntryTooLargeIsSentAlone between its neighbours, and gets EventBridge's
// own answer while they are published.
func TestAnEntryTooLargeIsSentAlone(t *testing.T) {
	s := newServer(t)
	s.fault = func(int) string {
		for _, e := range s.requests[len(s.requests)-1] {
			if e.size() > 1<<20 {
				return "ValidationException"
			}
		}
		return ""
	}
	set := metrics.New(metrics.Config{})
	input := entries("A", "Huge", "B", "C")
	input.Entries[1].Detail = aws.String(large(1 << 20))
	output, err := New(s.client(), WithMetrics(set)).PutEvents(t.Context(), input)
	if err != nil || output.FailedEntryCount != 1 || aws.ToString(output.Entries[1].ErrorCode) != "ValidationException" || len(s.requests) != 3 {
		t.Fatalf("output %+v, %v, %d requests", output, err, len(s.requests))
	}
	for i, name := range []string{"A", "", "B", "C"} {
		if id := aws.ToString(output.Entries[i].EventId); id == "" != (name == "") || !strings.Contains(id, name) {
			t.Errorf("entry %d is %s", i, id)
		}
	}
	if huge := s.requests[1]; len(huge) != 1 || len(huge[0].Resources) != 0 || huge[0].Detail != large(1<<20) {
		t.Errorf("sent %d entries with the lines %v", len(huge), huge[0].Resources)
	}
	if got := sums(t, set, "EventsPublished", "EventsFailed", "StampSkipped", "OversizedEvents"); got != "[3 1 1 1]" {
		t.Errorf("counted %s", got)
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
		failed := i >= 10 && i < 20
		if (aws.ToString(e.ErrorCode) == "AccessDeniedException") != failed || strings.Contains(aws.ToString(e.ErrorMessage), "on purpose") != failed || (e.EventId == nil) != failed {
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
			Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, Credentials: peertest.Credentials("AKIALOCAL", "local", ""),
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
	batch := &tracing.Delivery{Events: []tracing.Event{{ID: "a", Lineage: tracing.Lineage{CorrelationID: "w-1"}}, {ID: "b", Lineage: tracing.Lineage{CorrelationID: "w-2"}}}}
	if _, err := p.PutEvents(tracing.ContextWithDelivery(t.Context(), batch), input); err != nil {
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
		if span.SpanKind != trace.SpanKindProducer || s.entries()[i].line("traceparent") != lineage.FormatTraceparent(span.SpanContext) || (span.Status.Code == codes.Error) != (i == 1) {
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

// OpenTelemetry's global provider makes the spans where no other is given, also
// where it is set after the publisher was made. The test has a process of its own
// for it, as the provider is set once.
func TestTheGlobalProviderMakesSpans(t *testing.T) {
	if os.Getenv("TEST_GLOBAL_PROVIDER") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTheGlobalProviderMakesSpans$")
		cmd.Env = append(os.Environ(), "TEST_GLOBAL_PROVIDER=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	api := &script{}
	p := New(api)
	if _, err := p.PutEvents(t.Context(), entries("A")); err != nil {
		t.Fatal(err)
	}
	exporter := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	if _, err := p.PutEvents(t.Context(), entries("B")); err != nil {
		t.Fatal(err)
	}
	if spans := exporter.GetSpans(); len(spans) != 1 || spans[0].Name != "send B" {
		t.Errorf("spans %+v", spans)
	}
}
