package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/internal/eventsv2test"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/peertest"
	"github.com/throughline/throughline/tracing"
)

const ordersBus = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"

// newBusServer is a new custom bus: it takes up to 100 entries, answers with
// DEDUPLICATED where a detail comes again, and with an error where it is "bad".
type newBusServer struct {
	*httptest.Server
	mu       sync.Mutex
	fault    func(request int) string // the code that a request fails with
	requests []cbor.Map
	headers  []http.Header
	seen     map[string]bool
}

func startNewBus(t *testing.T) *newBusServer {
	s := &newBusServer{fault: func(int) string { return "" }, seen: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v, err := cbor.Decode(body)
		if err != nil {
			t.Error(err)
		}
		request, _ := v.(cbor.Map)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests, s.headers = append(s.requests, request), append(s.headers, r.Header)
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		entries, _ := request["Entries"].(cbor.List)
		code := s.fault(len(s.requests))
		if code == "" && (len(entries) < 1 || len(entries) > 100 || request["EventBusArn"] == nil) {
			code = "InvalidInputException"
		}
		if code != "" {
			w.WriteHeader(map[string]int{"ThrottlingException": 429}[code] | 400)
			_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String(code), "Message": cbor.String("on purpose")}))
			return
		}
		_, _ = w.Write(cbor.Encode(s.answer(entries)))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *newBusServer) answer(entries cbor.List) cbor.Map {
	results, failed := cbor.List{}, cbor.Uint(0)
	for i, item := range entries {
		e, _ := item.(cbor.Map)
		detail, _ := e["Detail"].(cbor.String)
		if data, ok := e["Data"].(cbor.Slice); ok {
			detail = cbor.String(data)
		}
		id := cbor.String(fmt.Sprint(len(s.requests), "-", i))
		switch {
		case detail == "bad":
			failed++
			results = append(results, cbor.Map{"ErrorCode": cbor.String("VALIDATION_ERROR"), "ErrorMessage": cbor.String("no JSON")})
		case s.seen[string(detail)]:
			results = append(results, cbor.Map{"EventId": id, "SuccessCode": cbor.String("DEDUPLICATED")})
		default:
			s.seen[string(detail)] = true
			results = append(results, cbor.Map{"EventId": id, "SuccessCode": cbor.String("PUBLISHED"), "SequenceNumber": cbor.String("10000000000000011000")})
		}
	}
	answer := cbor.Map{"Entries": results}
	if failed > 0 { // it is absent where none failed
		answer["FailedEntryCount"] = failed
	}
	return answer
}

// steady hides the WriteTo method of a request's body: with it, smithy-go 1.28.9 fails a
// request whose answer arrives before the last write of the body has returned.
type steady struct{ http.RoundTripper }

func (s steady) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body = struct{ io.ReadCloser }{r.Body}
	return s.RoundTripper.RoundTrip(r)
}

func (s *newBusServer) client(options ...func(*middleware.Stack) error) *eventsv2test.Client {
	return eventsv2test.New(eventsv2test.Options{Region: "us-east-1", BaseEndpoint: s.URL, Credentials: peertest.Credentials("AKIALOCAL", "local", ""), APIOptions: options, Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Transport: steady{s.Server.Client().Transport}}})
}

// entries are those of the n-th request.
func (s *newBusServer) entries(n int) (entries []cbor.Map) {
	list, _ := s.requests[n]["Entries"].(cbor.List)
	for _, e := range list {
		m, _ := e.(cbor.Map)
		entries = append(entries, m)
	}
	return entries
}

func resources(e cbor.Map) (lines []string) {
	list, _ := e["Resources"].(cbor.List)
	for _, line := range list {
		text, _ := line.(cbor.String)
		lines = append(lines, string(text))
	}
	return lines
}

func putOf(details ...string) *eventsv2test.PutEventsInput {
	input := &eventsv2test.PutEventsInput{EventBusArn: aws.String(ordersBus)}
	for _, detail := range details {
		input.Entries = append(input.Entries, eventsv2test.PutEventsRequestEntry{Source: aws.String("shop"), DetailType: aws.String("OrderPlaced"), Detail: aws.String(detail),
			Resources: []string{"arn:aws:s3:::b"}, SystemMetadata: &eventsv2test.PutEventsSystemMetadata{EventGroupId: aws.String("c-7")}})
	}
	return input
}

// each is a way to put events on a new bus: the middleware, and the decorated method.
func each(t *testing.T, s *newBusServer, options ...Option) map[string]func(context.Context, *eventsv2test.PutEventsInput, ...func(*eventsv2test.Options)) (*eventsv2test.PutEventsOutput, error) {
	t.Helper()
	decorated, err := Decorate(s.client().PutEvents, options...)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(context.Context, *eventsv2test.PutEventsInput, ...func(*eventsv2test.Options)) (*eventsv2test.PutEventsOutput, error){
		"Middleware": s.client(Middleware(options...)).PutEvents, "Decorate": decorated,
	}
}

func TestPutEventsOnANewBus(t *testing.T) {
	for _, name := range []string{"Middleware", "Decorate"} {
		t.Run(name, func(t *testing.T) {
			s := startNewBus(t)
			set, exporter := metrics.New(metrics.Config{}), tracetest.NewInMemoryExporter()
			put := each(t, s, WithMetrics(set), WithTracing(tracing.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))}))[name]
			var details []string
			for n := range 230 {
				details = append(details, fmt.Sprintf(`{"event_id":"o-%d"}`, n%229))
			}
			details[150] = "bad"
			input := putOf(details...)
			out, err := put(t.Context(), input)
			if err != nil || len(out.Entries) != 230 || out.FailedEntryCount != 1 || len(s.requests) != 3 || len(s.entries(2)) != 30 {
				t.Fatalf("%+v, %v, %d requests", out, err, len(s.requests))
			}
			if out.Entries[229].SuccessCode != "DEDUPLICATED" || out.Entries[228].SuccessCode != "PUBLISHED" || aws.ToString(out.Entries[228].SequenceNumber) == "" ||
				aws.ToString(out.Entries[150].ErrorCode) != "VALIDATION_ERROR" || out.Entries[228].ErrorCode != nil || aws.ToString(out.Entries[228].EventId) != "3-28" {
				t.Errorf("%+v %+v %+v", out.Entries[150], out.Entries[228], out.Entries[229])
			}
			if len(input.Entries[0].Resources) != 1 || s.headers[0].Get(stampedHeader) != "1" {
				t.Errorf("the input has %q, headers %v", input.Entries[0].Resources, s.headers[0])
			}
			e := s.entries(1)[3]
			stamp := resources(e)
			if stamp[0] != "arn:aws:s3:::b" || !strings.HasPrefix(stamp[1], "correlation:") || !slices.Contains(stamp, "hops:0") || e["Detail"] != cbor.String(`{"event_id":"o-103"}`) || e["TraceHeader"] != nil {
				t.Errorf("sent %v", e)
			}
			if got := sums(t, set, "EventsPublished", "EventsDeduplicated", "EventsFailed"); got != "[228 1 1]" {
				t.Errorf("counted %s", got)
			}
			checkSpans(t, exporter.GetSpans())
		})
	}
}

func checkSpans(t *testing.T, spans tracetest.SpanStubs) {
	t.Helper()
	deduplicated := 0
	for _, span := range spans {
		set := attribute.NewSet(span.Attributes...)
		if v, ok := set.Value("throughline.deduplicated"); ok && v.AsBool() {
			deduplicated++
		}
		if bus, _ := set.Value("messaging.destination.name"); bus.AsString() != "orders" {
			t.Errorf("%s is to the bus %q", span.Name, bus.AsString())
		}
		if group, ok := set.Value("throughline.event.group"); span.Name == "create OrderPlaced" && (!ok || group.AsString() != "c-7") {
			t.Errorf("%s has the group %q", span.Name, group.AsString())
		}
	}
	if deduplicated != 1 {
		t.Errorf("%d spans are deduplicated", deduplicated)
	}
}

// What fits one request returns what the client returns, errors included.
func TestANewBussAnswersAreTheClients(t *testing.T) {
	s := startNewBus(t)
	for name, put := range each(t, s) {
		out, err := put(t.Context(), putOf(`{"n":"`+name+`"}`))
		if err != nil || len(out.Entries) != 1 || out.FailedEntryCount != 0 || out.Entries[0].SuccessCode != "PUBLISHED" {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
		s.fault = func(int) string { return "ResourceNotFoundException" }
		var refused smithy.APIError
		if out, err := put(t.Context(), putOf("{}")); !errors.As(err, &refused) || refused.ErrorCode() != "ResourceNotFoundException" || out != nil || !strings.Contains(err.Error(), "EventBridgeV2: PutEvents") {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		s.fault = func(int) string { return "" }
		for _, none := range []*eventsv2test.PutEventsInput{nil, {}} {
			if _, err := put(t.Context(), none); !errors.As(err, &refused) || refused.ErrorCode() != "InvalidInputException" {
				t.Errorf("%s, without entries: %v", name, err)
			}
		}
	}
}

func TestPutRawEventsOnANewBus(t *testing.T) {
	s := startNewBus(t)
	set := metrics.New(metrics.Config{})
	decorated, err := Decorate(s.client().PutRawEvents, WithMetrics(set))
	if err != nil {
		t.Fatal(err)
	}
	kind := func(s string) *eventsv2test.PutRawEventsSystemMetadata {
		return &eventsv2test.PutRawEventsSystemMetadata{ContentType: aws.String(s)}
	}
	for name, put := range map[string]func(context.Context, *eventsv2test.PutRawEventsInput, ...func(*eventsv2test.Options)) (*eventsv2test.PutRawEventsOutput, error){
		"Decorate": decorated, "Middleware": s.client(Middleware(WithMetrics(set))).PutRawEvents,
	} {
		data := []byte(`{"event_type":"OrderPlaced","correlation_id":"w-1","by":"` + name + `"}`)
		input := &eventsv2test.PutRawEventsInput{EventBusArn: aws.String(ordersBus), Entries: []eventsv2test.PutRawEventsRequestEntry{
			{Data: data, SystemMetadata: kind("application/json"), Metadata: map[string]string{"tenant": "t", "traceparent": "mine"}},
			{Data: []byte("\x00" + name), SystemMetadata: kind("application/avro")},
		}}
		out, err := put(t.Context(), input)
		if err != nil || len(out.Entries) != 2 || out.FailedEntryCount != 0 {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		sent := s.entries(len(s.requests) - 1)
		first, _ := sent[0]["Metadata"].(cbor.Map)
		second, _ := sent[1]["Metadata"].(cbor.Map)
		if string(sent[0]["Data"].(cbor.Slice)) != string(data) || first["tenant"] != cbor.String("t") || first["traceparent"] != cbor.String("mine") || first["correlationid"] != cbor.String("w-1") || first["hops"] != cbor.String("0") {
			t.Errorf("%s: sent %v", name, sent[0])
		}
		if second["traceparent"] == nil || second["correlationid"] == nil || len(input.Entries[1].Metadata) != 0 || len(input.Entries[0].Metadata) != 2 {
			t.Errorf("%s: sent %v; the input has %v", name, sent[1], input.Entries[1].Metadata)
		}
	}
	if got := sums(t, set, "EventsPublished", "EventsFailed"); got != "[4 0]" {
		t.Errorf("counted %s", got)
	}
}

func TestANewBusIsNotStampedWhereItDeduplicatesByContent(t *testing.T) {
	for _, name := range []string{"Middleware", "Decorate"} {
		for stamps, want := range map[bool]string{false: "[1]", true: "[0]"} {
			s, set := startNewBus(t), metrics.New(metrics.Config{})
			put := each(t, s, WithMetrics(set), WithTracing(tracing.Config{StampContentBased: stamps}))[name]
			input := putOf("{}")
			input.DeduplicationConfiguration = &eventsv2test.DeduplicationConfiguration{DeduplicationType: eventsv2test.DeduplicationTypeContentBased}
			if _, err := put(t.Context(), input); err != nil {
				t.Fatal(err)
			}
			if stamped := len(resources(s.entries(0)[0])) > 1; stamped != stamps || s.requests[0]["DeduplicationConfiguration"] == nil {
				t.Errorf("%s: sent %v", name, s.requests[0])
			}
			if got := sums(t, set, "StampSkipped"); got != want {
				t.Errorf("%s: counted %s", name, got)
			}
		}
	}
}

// What an option refuses fails alone, and where it refuses everything nothing is sent.
func TestRefusalsOnANewBus(t *testing.T) {
	s := startNewBus(t)
	large := `{"x":"` + strings.Repeat("y", 200) + `"}`
	for name, put := range each(t, s, WithRefusal(100)) {
		out, err := put(t.Context(), putOf(`{"n":"`+name+`"}`, large))
		if err != nil || out.FailedEntryCount != 1 || out.Entries[0].SuccessCode != "PUBLISHED" || aws.ToString(out.Entries[1].ErrorCode) != CodeTooLarge {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
		before := len(s.requests)
		out, err = put(t.Context(), putOf(large))
		var coded interface{ ErrorCode() string }
		if alone := name == "Middleware"; alone != errors.As(err, &coded) || !alone && (err != nil || aws.ToString(out.Entries[0].ErrorCode) != CodeTooLarge) || len(s.requests) != before {
			t.Errorf("%s, of nothing but refusals: %+v, %v", name, out, err)
		}
	}
}

func TestAServiceOfEventBridgeV2(t *testing.T) {
	s := startNewBus(t)
	set := metrics.New(metrics.Config{})
	service, err := EventBridgeV2(s.client().PutEvents, ordersBus)
	if err != nil {
		t.Fatal(err)
	}
	results, err := NewBus(service, WithMetrics(set)).Publish(t.Context(), []BusEntry{
		{Source: "shop", DetailType: "T", Detail: `{"n":1}`, Group: "c-7"}, {Source: "shop", DetailType: "T", Detail: `{"n":1}`}, {Source: "shop", DetailType: "T", Detail: "bad"}})
	if err != nil || results[0].SuccessCode != "PUBLISHED" || results[1].SuccessCode != "DEDUPLICATED" || results[2].ErrorCode != "VALIDATION_ERROR" {
		t.Fatalf("%+v, %v", results, err)
	}
	e := s.entries(0)[0]
	system, _ := e["SystemMetadata"].(cbor.Map)
	if !slices.Contains(resources(e), "hops:0") || s.requests[0]["EventBusArn"] != cbor.String(ordersBus) || system["EventGroupId"] != cbor.String("c-7") || s.headers[0].Get(stampedHeader) != "1" {
		t.Errorf("sent %v", s.requests[0])
	}
	if got := sums(t, set, "EventsPublished", "EventsDeduplicated", "EventsFailed"); got != "[1 1 1]" {
		t.Errorf("counted %s", got)
	}
	s.fault = func(int) string { return "AccessDeniedException" }
	if results, err := NewBus(service).Publish(t.Context(), []BusEntry{{Source: "s"}}); err == nil || results[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("%+v, %v", results, err)
	}
	// Over a client with the middleware an event is stamped and counted once.
	s.fault = func(int) string { return "" }
	once := metrics.New(metrics.Config{})
	over, err := EventBridgeV2(s.client(Middleware(WithMetrics(once))).PutEvents, ordersBus)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewBus(over, WithMetrics(once)).Publish(t.Context(), []BusEntry{{Source: "s", DetailType: "T", Detail: `{"n":2}`}}); err != nil {
		t.Fatal(err)
	}
	if got := sums(t, once, "EventsPublished"); got != "[1]" || len(resources(s.entries(len(s.requests) - 1)[0])) != 4 {
		t.Errorf("counted %s, sent %v", got, s.requests[len(s.requests)-1])
	}
}

// What is no input or output of EventBridgeV2 is named when a client is decorated,
// and sent as it is where a client has the middleware.
func TestWhatIsNoEventBridgeV2(t *testing.T) {
	type other struct{ EventBusArn, Entries *string }
	type entries struct {
		EventBusArn *string
		Entries     []struct{ Source string }
	}
	for _, err := range []error{
		second(Decorate(func(context.Context, *other, ...func(*int)) (*other, error) { return nil, nil })),
		second(Decorate(func(context.Context, *entries, ...func(*int)) (*entries, error) { return nil, nil })),
		second(Decorate(func(context.Context, *eventsv2test.PutEventsInput, ...func(*int)) (*int, error) { return nil, nil })),
		second(EventBridgeV2((&eventsv2test.Client{}).PutRawEvents, ordersBus)),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	c := newCore(newBus)
	c.configure(nil)
	for _, input := range []any{nil, 1, &other{}, &entries{}, (*eventsv2test.PutEventsInput)(nil), "text"} {
		sent := any("nothing")
		if _, err := c.putNewBus(t.Context(), input, nil, func(_ context.Context, in any) (any, error) { sent = in; return nil, nil }); err != nil || sent != input {
			t.Errorf("%T: sent %v, %v", input, sent, err)
		}
	}
	if out := taken(nil); out != nil {
		t.Errorf("took %v", out)
	}
}

func second[T any](_ T, err error) error { return err }
