package handling

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

// function is a function that handles what it is handed.
type function struct {
	Handling
	spans *tracetest.InMemoryExporter
	count int
}

func newFunction(options ...sdk.TracerProviderOption) *function {
	f := &function{spans: tracetest.NewInMemoryExporter()}
	cfg := lineage.Config{TracerProvider: sdk.NewTracerProvider(append(options, sdk.WithSyncer(f.spans))...)}
	f.Handling = Handling{Reader: lineage.NewReader(cfg), Tracing: cfg, Dedupe: dedupe.New(dedupe.Config{}), Now: time.Now, Once: true}
	return f
}

// handle hands over a payload, in an invocation of its own, and returns the
// span. arn is the function's, as it was invoked.
func (f *function) handle(ctx context.Context, payload, arn string, err error) tracetest.SpanStub {
	f.count++
	f.spans.Reset()
	i := f.Begin(ctx, []byte(payload), lineage.Invocation{FunctionName: "f", ARN: arn, RequestID: fmt.Sprint("request-", f.count)}, false)
	if _, refused, _ := i.Claim(); refused {
		i.Span.SetAttributes(attribute.Bool("refused", true))
	}
	i.End(err)
	return f.spans.GetSpans()[0]
}

func attributeOf(s tracetest.SpanStub, key string) string {
	set := attribute.NewSet(s.Attributes...)
	v, _ := set.Value(attribute.Key(key))
	return v.String()
}

func file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Each pair of payloads is handed to one function, one after the other: what the
// second one is, and whether both are of one workflow.
func TestCases(t *testing.T) {
	const function, latest = "arn:aws:lambda:us-east-1:111122223333:function:f", "arn:aws:lambda:us-east-1:111122223333:function:f:$LATEST"
	for _, c := range []struct {
		first, second, arn, kind string
		together                 bool
	}{
		{"aws-rds-same-code-1", "aws-rds-same-code-2", function, "", false},
		{"cloudevent-id-1-orders", "cloudevent-id-1-payments", function, "", false}, // each names itself 1
		{"stepfunctions-poll-1", "stepfunctions-poll-2", latest, "", true},
		{"stepfunctions-poll-1", "stepfunctions-poll-2", function, "redelivery", true}, // at once, as EventBridge delivers it twice
		{"durable-execution", "durable-execution", function, "", true},
		{"sns-sqs-billing", "sns-sqs-billing-again", function, "redelivery", true},
		{"pipes-sqs", "pipes-sqs", function, "redelivery", true},
		{"api-destination-http", "api-destination-http", function, "redelivery", true},
	} {
		t.Run(c.first+" "+c.second, func(t *testing.T) {
			f := newFunction()
			first := f.handle(t.Context(), file(t, c.first), c.arn, nil)
			second := f.handle(t.Context(), file(t, c.second), c.arn, nil)
			if kind := attributeOf(second, lineage.AttrRepeatKind); kind != c.kind || attributeOf(first, lineage.AttrRepeatKind) != "" {
				t.Errorf("kind %q", kind)
			}
			a, b := attributeOf(first, lineage.AttrCorrelationID), attributeOf(second, lineage.AttrCorrelationID)
			if (a == b) != c.together || a == "" {
				t.Errorf("of %q and %q", a, b)
			}
		})
	}
}

// A state machine that asks again and again with the whole event is no delivery,
// however its task names the function; a queue's second delivery is one, however
// late.
func TestCallsWithAnEventAreNoRedeliveries(t *testing.T) {
	for name, kind := range map[string]string{"stepfunctions-poll-1": "", "pipes-sqs": "redelivery", "sns-sqs-billing": "redelivery"} {
		f := newFunction()
		f.Dedupe = dedupe.New(dedupe.Config{Store: new(dedupe.Memory), Wait: time.Minute})
		now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
		f.Now = func() time.Time { return now }
		f.handle(t.Context(), file(t, name), "arn:aws:lambda:us-east-1:111122223333:function:f", nil)
		for range 3 {
			now = now.Add(2 * time.Minute)
			again := f.handle(t.Context(), file(t, name), "arn:aws:lambda:us-east-1:111122223333:function:f", nil)
			refused := attributeOf(again, "refused") == "true"
			if got := attributeOf(again, lineage.AttrRepeatKind); got != kind || refused != (kind != "") {
				t.Errorf("%s: kind %q, refused: %v", name, got, refused)
			}
		}
	}
}

// Neighbours of the pairs of TestCases, each by another way.
func TestMoreCases(t *testing.T) {
	queued := func(id, body string) string {
		return `{"Records":[{"messageId":"` + id + `","body":` + lineagetest.Quoted(body) + `,"attributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q"}]}`
	}
	cloud := func(source string) string {
		return `{"specversion":"1.0","id":"1","source":"` + source + `","type":"t","data":{}}`
	}
	const code = `{"EventCategories":["failover"],"SourceType":"DB_INSTANCE","EventID":"RDS-EVENT-0049"}`
	call := strings.TrimSuffix(lineagetest.Envelope, "}") + `,"status":`
	for name, c := range map[string]struct {
		first, second, kind string
		together            bool
	}{
		"a code of AWS in a detail alone, queued":     {queued("m-1", code), queued("m-2", code), "", false},
		"a code of AWS, the same message":             {queued("m-1", code), queued("m-1", code), "redelivery", true},
		"CloudEvents of two sources, queued":          {queued("m-1", cloud("/orders")), queued("m-2", cloud("/payments")), "", false},
		"a CloudEvent in two messages":                {queued("m-1", cloud("/orders")), queued("m-2", cloud("/orders")), "republish", true},
		"a task with a ResultPath":                    {call + `"PENDING"}`, call + `"PENDING"}`, "", true},
		"a task with a large result":                  {call + `"` + strings.Repeat("x", 100_000) + `"}`, call + `1}`, "", true},
		"a member that EventBridge may have tomorrow": {strings.Replace(call, "status", "event-bus", 1) + `"b"}`, strings.Replace(call, "status", "event-bus", 1) + `"b"}`, "redelivery", true},
	} {
		for _, streamed := range []bool{false, true} {
			f := newFunction()
			handle := func(payload string) tracetest.SpanStub {
				if streamed { // as the runtime endpoint reads it
					s := f.Reader.Stream("r", nil, nil, nil)
					s.Write([]byte(payload))
					if _, rest, _ := s.Close(); rest != nil {
						payload = string(rest)
					}
				}
				return f.handle(t.Context(), payload, "arn:aws:lambda:us-east-1:111122223333:function:f", nil)
			}
			first, second := handle(c.first), handle(c.second)
			if kind := attributeOf(second, lineage.AttrRepeatKind); kind != c.kind {
				t.Errorf("%s, streamed %v: kind %q", name, streamed, kind)
			}
			if a, b := attributeOf(first, lineage.AttrCorrelationID), attributeOf(second, lineage.AttrCorrelationID); (a == b) != c.together || a == "" {
				t.Errorf("%s, streamed %v: of %q and %q", name, streamed, a, b)
			}
		}
	}
}

func TestOneNotificationInTwoQueuesIsOneEvent(t *testing.T) {
	a, b := newFunction(), newFunction()
	billing, shipping := a.handle(t.Context(), file(t, "sns-sqs-billing"), "", nil), b.handle(t.Context(), file(t, "sns-sqs-shipping"), "", nil)
	if x, y := attributeOf(billing, lineage.AttrCorrelationID), attributeOf(shipping, lineage.AttrCorrelationID); x != "sns-0001" || x != y {
		t.Errorf("of %q and %q", x, y)
	}
}

// A thousand repeats in one batch leave the links to what published their
// events, and the links that are left out are counted.
func TestRepeatsDisplaceNoCausation(t *testing.T) {
	const records = 700
	limits := sdk.NewSpanLimits()
	limits.LinkCountLimit = lineage.MaxLinks
	f := newFunction(sdk.WithRawSpanLimits(limits))
	var batch []string
	for n := range records {
		batch = append(batch, fmt.Sprintf(`{"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:1:q","messageId":"m-%d","body":"{\"id\":\"env-%d\",\"detail-type\":\"T\",\"source\":\"s\",\"resources\":[\"correlation:w\",\"traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01\"],\"detail\":{\"event_id\":\"e-%d\"}}"}`, n, n, n+1, n))
	}
	payload := `{"Records":[` + strings.Join(batch, ",") + `]}`
	f.handle(t.Context(), payload, "", nil)
	again := f.handle(t.Context(), payload, "", nil)
	links := map[string]int{}
	for _, link := range again.Links {
		set := attribute.NewSet(link.Attributes...)
		why, _ := set.Value(lineage.AttrLink)
		links[why.AsString()]++
	}
	// 700 causes; 300 of the 700 origins, each of which is its event's publisher.
	if links[lineage.LinkCausation] != records || again.DroppedLinks != 0 {
		t.Errorf("%v, %d dropped by the SDK", links, again.DroppedLinks)
	}
	if total, dropped := 3*records, attributeOf(again, lineage.AttrLinksDropped); dropped != fmt.Sprint(total-lineage.MaxLinks) {
		t.Errorf("%d links, %s dropped, of %d", len(again.Links), dropped, total)
	}
}

func TestErrorTextsAreUTF8(t *testing.T) {
	s := newFunction().handle(t.Context(), `{}`, "", errors.New("bad \xff\xfe byte"))
	set := attribute.NewSet(s.Events[0].Attributes...)
	message, _ := set.Value("exception.message")
	if !utf8.ValidString(s.Status.Description) || !utf8.ValidString(message.AsString()) || !strings.Contains(message.AsString(), "bad ") {
		t.Errorf("%q, %q", s.Status.Description, message.AsString())
	}
}
