package lineage

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage/lineagetest"
)

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sqsRecord is a record of an SQS event source.
func sqsRecord(body string, attributes ...string) string {
	all := append([]string{`"ApproximateReceiveCount":"2"`, `"SentTimestamp":"1545082649183"`, `"SenderId":"AIDAIENQZJOLO23YVJ4VO"`}, attributes...)
	return `{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEB","body":` + quoted(body) + `,"attributes":{` + strings.Join(all, ",") +
		`},"messageAttributes":{"RULE_ARN":{"stringValue":"arn:aws:events:us-east-1:1:rule/r","dataType":"String"}},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3",` +
		`"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:trades-dlq","awsRegion":"us-east-2"}`
}

// snsRecord is what SNS hands a function, snsBody what it sends to a queue.
func snsRecord(message string) string {
	return `{"EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:us-east-1:123456789012:sns-lambda:21be56ed","EventSource":"aws:sns","Sns":` + snsBody(message) + `}`
}

func snsBody(message string) string {
	return `{"Type":"Notification","MessageId":"95df01b4-ee98-5cb9-9903-4c221d41eb5e","TopicArn":"arn:aws:sns:us-east-1:123456789012:trades","Subject":null,"Message":` +
		quoted(message) + `,"Timestamp":"2019-01-02T12:45:07.000Z","SignatureVersion":"1","MessageAttributes":{}}`
}

func records(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func TestReadShapes(t *testing.T) {
	sampled, origin := mustParse(t, sampledContext), mustParse(t, unsampledContext)
	stamped := Lineage{CorrelationID: "workflow-1", CausationID: "plan-1", ParentID: "signal-1", Publisher: sampled, Origin: origin, Hops: 3,
		Correlated: true, Stamped: true, Carrier: CarrierResources}
	const envelopeID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
	const messageID, sent = "059f36b4-87a3-44ab-83d2-661975830a7d", "2018-12-17T21:37:29Z"
	trade := Event{ID: "trade-1", EnvelopeID: envelopeID, Type: "TradeExecuted", Source: "alchemiser.execution", Lineage: stamped}
	domain := Lineage{CorrelationID: "workflow-1", CausationID: "plan-1", Correlated: true}
	with := func(e Event, change func(*Event)) Event { change(&e); return e }
	queued := func(e *Event) { e.MessageID, e.Queue, e.ReceiveCount = messageID, "trades-dlq", 2 }
	own := func(id string) Lineage { return Lineage{CorrelationID: id} }
	fromXRay := domain
	fromXRay.Publisher, fromXRay.Carrier = sampled, CarrierXRay
	failed := stamped
	failed.CausationID, failed.ParentID, failed.Hops = "trade-1", "trade-1", 4

	for _, c := range []struct {
		name, payload string
		shape         Shape
		want          []Event
		time          string
	}{
		{"EventBridge", envelopeOfTrade, ShapeEventBridge, []Event{trade}, "2026-11-23T10:00:00Z"},
		{"EventBridgeUncorrelated", bareEnvelope, ShapeEventBridge, []Event{{ID: envelopeID, EnvelopeID: envelopeID, Type: "ScheduleCreated",
			Source: "alchemiser.coordinator", Lineage: own(envelopeID)}}, "2026-11-23T10:00:00Z"},
		{"Replay", replayedTrade, ShapeEventBridge, []Event{with(trade, func(e *Event) { e.ReplayName = "after-the-outage" })}, "2026-11-23T10:00:00Z"},
		{"QueueWholeEvent", records(sqsRecord(envelopeOfTrade), sqsRecord(bareEnvelope)), ShapeSQS, []Event{with(trade, queued),
			with(Event{ID: envelopeID, EnvelopeID: envelopeID, Type: "ScheduleCreated", Source: "alchemiser.coordinator", Lineage: own(envelopeID)}, queued)}, "2026-11-23T10:00:00Z"},
		{"QueueDetailAlone", records(sqsRecord(detailOfTrade, `"AWSTraceHeader":"`+xraySample+`"`)), ShapeSQS,
			[]Event{with(Event{ID: "trade-1", Lineage: fromXRay}, queued)}, sent},
		{"QueueDomainMessage", records(sqsRecord(`{"trade_id":"t","correlation_id":"workflow-1","causation_id":"plan-1","type":"TradeMessage"}`)), ShapeSQS,
			[]Event{with(Event{ID: messageID, Type: "TradeMessage", Lineage: domain}, queued)}, sent},
		{"QueueNotJSON", records(sqsRecord(`plain text`)), ShapeSQS, []Event{with(Event{ID: messageID, Lineage: own(messageID)}, queued)}, sent},
		{"Topic", records(snsRecord(envelopeOfTrade)), ShapeSNS, []Event{with(trade, func(e *Event) {
			e.MessageID, e.Queue = "95df01b4-ee98-5cb9-9903-4c221d41eb5e", "trades"
		})}, "2026-11-23T10:00:00Z"},
		{"TopicToQueue", records(sqsRecord(snsBody(envelopeOfTrade))), ShapeSQS, []Event{with(with(trade, queued), func(e *Event) { e.MessageID = "95df01b4-ee98-5cb9-9903-4c221d41eb5e" })}, "2026-11-23T10:00:00Z"},
		{"TopicToQueueRaw", records(sqsRecord(envelopeOfTrade)), ShapeSQS, []Event{with(trade, queued)}, "2026-11-23T10:00:00Z"},
		{"Direct", workerInput, ShapeDirect, []Event{{Lineage: Lineage{CorrelationID: "workflow-1", Correlated: true}}}, ""},
		{"DirectDetail", detailOfTrade, ShapeDirect, []Event{{ID: "trade-1", Lineage: domain}}, ""},
		{"DirectEnvelopeWithoutID", imitatedEnvelope, ShapeDirect, []Event{{ID: "fetch-1", Type: "MarketDataFetchRequested", Source: "alchemiser.strategy",
			Lineage: Lineage{CorrelationID: "sync-refresh-SPY", Correlated: true}}}, ""},
		{"Destination", failedInvocation, ShapeDestination, []Event{{ID: "e4b46cbf-b738-xmpl-8880-a18cdf61200e", Type: "TradeExecuted", Lineage: failed}}, "2019-11-14T18:16:05.568Z"},
		{"DestinationOnBus", failureOnBus, ShapeDestination, []Event{{ID: "0f1e2d3c-0000-4000-8000-000000000001", EnvelopeID: "0f1e2d3c-0000-4000-8000-000000000001",
			Type: "Lambda Function Invocation Result - Failure", Source: "lambda", Lineage: failed}}, "2019-11-14T18:16:06Z"},
		{"AlarmOnBus", alarmOnBus, ShapeAlarm, []Event{{ID: "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92", EnvelopeID: "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
			Type: alarmType, Source: alarmSource, Lineage: own("c4c1c1c9-6542-e61b-6ef0-8c4d36933a92")}}, "2019-10-02T17:04:40Z"},
		{"AlarmOnLambda", alarmOnLambda, ShapeAlarm, []Event{{Type: alarmType, Source: alarmSource}}, "2023-08-04T12:36:15.49Z"},
		{"ScheduledRule", scheduledRule, ShapeSchedule, []Event{{ID: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", EnvelopeID: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
			Type: scheduleType, Source: "aws.events", Lineage: own("53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa")}}, "2015-10-08T16:53:06Z"},
		{"Scheduler", scheduler, ShapeSchedule, []Event{{ID: "89afaf26-0d0f-4d8c-a4a0-4a2f66d1d7e7", EnvelopeID: "89afaf26-0d0f-4d8c-a4a0-4a2f66d1d7e7",
			Type: scheduleType, Source: "aws.scheduler", Lineage: own("89afaf26-0d0f-4d8c-a4a0-4a2f66d1d7e7")}}, "2026-11-23T14:00:00Z"},
		{"SchedulerInput", `{"source": "schedule"}`, ShapeSchedule, []Event{{}}, ""},
		{"SchedulerInputWithIDs", `{"source": "schedule", "correlation_id": "schedule-1"}`, ShapeDirect,
			[]Event{{Lineage: Lineage{CorrelationID: "schedule-1", Correlated: true}}}, ""},
		{"Gateway", gatewayRequest, ShapeUnknown, nil, ""},
		{"UnknownSource", records(`{"eventVersion":"1.0","eventSource":"aws:codecommit"}`), ShapeUnknown, nil, ""},
		{"Mixed", records(sqsRecord(envelopeOfTrade), `{"eventSource":"aws:codecommit"}`), ShapeUnknown, nil, ""},
		{"Null", `null`, ShapeUnknown, nil, ""},
		{"Array", `[1]`, ShapeUnknown, nil, ""},
		{"Empty", ``, ShapeUnknown, nil, ""},
		{"EmptyObject", `{}`, ShapeUnknown, nil, ""},
		{"Truncated", envelopeOfTrade[:len(envelopeOfTrade)-1], ShapeUnknown, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewReader(Config{}).Read([]byte(c.payload))
			if d.Shape != c.shape || len(d.Events) != len(c.want) || d.Malformed != 0 {
				t.Fatalf("shape %s, %d events, %d malformed; want %s, %d, 0", d.Shape, len(d.Events), d.Malformed, c.shape, len(c.want))
			}
			if c.time != "" {
				if want, err := time.Parse(time.RFC3339, c.time); err != nil || d.Events[0].Time.Truncate(time.Second) != want.Truncate(time.Second) {
					t.Errorf("time %v, want %v", d.Events[0].Time, want)
				}
			}
			for i, event := range d.Events {
				event.Time, event.Detail, event.Resources = time.Time{}, nil, nil
				event.Arrival = Arrival{} // TestArrivals
				if !reflect.DeepEqual(event, c.want[i]) {
					t.Errorf("event %d:\n got %+v\nwant %+v", i, event, c.want[i])
				}
			}
		})
	}
}

func TestReadDetail(t *testing.T) {
	for name, payload := range map[string]string{
		"EventBridge":  envelopeOfTrade,
		"Queue":        records(sqsRecord(envelopeOfTrade)),
		"QueueDetail":  records(sqsRecord(detailOfTrade)),
		"TopicToQueue": records(sqsRecord(snsBody(envelopeOfTrade))),
	} {
		if got := string(NewReader(Config{}).Read([]byte(payload)).Events[0].Detail); got != detailOfTrade {
			t.Errorf("%s: detail %s", name, got)
		}
	}
	if got := string(NewReader(Config{}).Read([]byte(records(sqsRecord("plain")))).Events[0].Detail); got != "plain" {
		t.Errorf("not JSON: detail %s", got)
	}
}

func TestReadDetailAliasesPayload(t *testing.T) {
	payload := []byte(envelopeOfTrade)
	event := NewReader(Config{}).Read(payload).Events[0]
	before := fmt.Sprintf("%+v", event.Lineage) + event.ID + event.Type
	payload[len(payload)-3] = 'X'
	if event.Detail[len(event.Detail)-2] != 'X' {
		t.Error("the detail is a copy")
	}
	for i := range payload {
		payload[i] = 'Z'
	}
	if after := fmt.Sprintf("%+v", event.Lineage) + event.ID + event.Type; after != before {
		t.Error("what is no detail changed with the payload")
	}
}

func TestReadCarriers(t *testing.T) {
	resources, detailKey := mustParse(t, sampledContext), mustParse(t, unsampledContext)
	other := "00-11111111111111111111111111111111-2222222222222222-01"
	const stamp = `"_throughline":{"correlation":"dc","causation":"dx","parent":"dp","traceparent":"` + unsampledContext + `","origin":"` + sampledContext + `","hops":7}`
	datadog := `"_datadog":{"x-datadog-trace-id":"1234","x-datadog-parent-id":"5678","x-datadog-sampling-priority":"1","x-datadog-tags":"_dd.p.dm=-1,_dd.p.tid=640cfd8d00000000"}`
	datadogContext := mustParse(t, "00-640cfd8d0000000000000000000004d2-000000000000162e-01")
	line := func(s string) string { return `["` + s + `"]` }
	state, err := trace.ParseTraceState("vendor=value")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, resources, detail, header string
		carrier                         Carrier
		publisher                       trace.SpanContext
		malformed                       int
	}{
		{"ResourcesFirst", line("traceparent:" + sampledContext), `{` + stamp + `,"traceparent":"` + other + `",` + datadog + `}`, xraySample, CarrierResources, resources, 0},
		{"DetailKeySecond", `[]`, `{"traceparent":"` + other + `",` + datadog + `,` + stamp + `}`, xraySample, CarrierDetail, detailKey, 0},
		{"CloudEventsThird", `[]`, `{` + datadog + `,"traceparent":"` + other + `","tracestate":"vendor=value"}`, xraySample, CarrierCloudEvents, mustParse(t, other).WithTraceState(state), 0},
		{"MalformedTracestate", `[]`, `{"traceparent":"` + other + `","tracestate":"="}`, "", CarrierCloudEvents, mustParse(t, other), 1},
		{"DatadogFourth", `[]`, `{` + datadog + `}`, xraySample, CarrierDatadog, datadogContext, 0},
		{"DatadogTraceparent", `[]`, `{"_datadog":{"x-datadog-trace-id":"1","traceparent":"` + other + `"}}`, "", CarrierDatadog, mustParse(t, other), 0},
		{"XRayLast", `[]`, `{}`, xraySample, CarrierXRay, resources, 0},
		{"None", `[]`, `{}`, "", "", trace.SpanContext{}, 0},
		{"RootOnlyHeader", `[]`, `{}`, xrayRoot + ";Sampled=0", "", trace.SpanContext{}, 0},
		{"MalformedResources", line("traceparent:nonsense"), `{"traceparent":"` + other + `"}`, "", CarrierCloudEvents, mustParse(t, other), 1},
		{"MalformedDetailKey", `[]`, `{"_throughline":"text","traceparent":"` + other + `"}`, "", CarrierCloudEvents, mustParse(t, other), 1},
		{"MalformedFields", `["hops:many","correlation:","origin:x","parent:\u00fc"]`, `{"_throughline":{"hops":-1}}`, "", "", trace.SpanContext{}, 5},
		{"MalformedCloudEvents", `[]`, `{"traceparent":7,` + datadog + `}`, "", CarrierDatadog, datadogContext, 1},
		{"MalformedDatadog", `[]`, `{"_datadog":{"x-datadog-trace-id":"x"}}`, xraySample, CarrierXRay, resources, 1},
		{"MalformedHeader", `[]`, `{}`, "Root=nonsense", "", trace.SpanContext{}, 1},
		{"StrangersResources", `["arn:aws:s3:::b","team:trading","hops"]`, `{}`, "", "", trace.SpanContext{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := `{"id":"e","detail-type":"T","source":"s","resources":` + c.resources + `,"detail":` + c.detail + `}`
			var attributes []string
			if c.header != "" {
				attributes = []string{`"AWSTraceHeader":"` + c.header + `"`}
			}
			d := NewReader(Config{}).Read([]byte(records(sqsRecord(body, attributes...))))
			l := d.Events[0].Lineage
			if l.Carrier != c.carrier || !l.Publisher.Equal(c.publisher) || d.Malformed != c.malformed {
				t.Errorf("carrier %q, publisher %v, %d malformed; want %q, %v, %d", l.Carrier, l.Publisher, d.Malformed, c.carrier, c.publisher, c.malformed)
			}
			if l.Stamped != (c.carrier == CarrierResources || c.carrier == CarrierDetail) {
				t.Errorf("stamped %v", l.Stamped)
			}
			if c.publisher.IsValid() && l.Origin.IsValid() == (l.Carrier == CarrierXRay) { // the sender of a message may stand anywhere in its workflow
				t.Error("no origin")
			}
		})
	}
}

func TestReadDetailStamp(t *testing.T) {
	event := NewReader(Config{DetailKey: "_ours"}).Read([]byte(`{"id":"e","detail-type":"T","source":"s","resources":[],"detail":{"n":1,` +
		`"_ours":{"correlation":"c\"1","causation":"x","traceparent":"` + sampledContext + `","origin":"` + unsampledContext + `","hops":2}}}`)).Events[0]
	want := Lineage{CorrelationID: `c"1`, CausationID: "x", ParentID: "x", Publisher: mustParse(t, sampledContext), Origin: mustParse(t, unsampledContext),
		Hops: 2, Correlated: true, Stamped: true, Carrier: CarrierDetail}
	if !reflect.DeepEqual(event.Lineage, want) {
		t.Errorf("\n got %+v\nwant %+v", event.Lineage, want)
	}
}

// A stale stamp in the detail, left there by a bus that stamps both, must not
// mix with the one in the resources.
func TestReadTakesOneStamp(t *testing.T) {
	event := NewReader(Config{}).Read([]byte(`{"id":"e","detail-type":"T","source":"s","resources":["correlation:c","traceparent:` + sampledContext + `","hops:0"],` +
		`"detail":{"_throughline":{"correlation":"old","causation":"old","parent":"old","traceparent":"` + unsampledContext + `","origin":"` + unsampledContext + `","hops":4}}}`)).Events[0]
	l := event.Lineage
	if l.CorrelationID != "c" || l.ParentID != "" || l.Hops != 0 || !sameSpan(l.Publisher, mustParse(t, sampledContext)) || !sameSpan(l.Origin, l.Publisher) {
		t.Errorf("%+v", l)
	}
}

func TestReadNestedDestinations(t *testing.T) {
	wrap := func(payload string) string {
		return `{"requestContext":{"requestId":"r"},"requestPayload":` + payload + `}`
	}
	payload := envelopeOfTrade
	for range 5 {
		payload = wrap(payload)
	}
	l := NewReader(Config{}).Read([]byte(payload)).Events[0].Lineage
	if l.CorrelationID != "workflow-1" || l.Hops != 3+5 {
		t.Errorf("five failures deep: %+v", l)
	}
	fromTopic := NewReader(Config{}).Read([]byte(wrap(records(snsRecord(envelopeOfTrade))))).Events[0].Lineage
	if fromTopic.CorrelationID != "workflow-1" || fromTopic.ParentID != "trade-1" {
		t.Errorf("a failed notification: %+v", fromTopic)
	}
	for range maxNesting {
		payload = wrap(payload)
	}
	if d := NewReader(Config{}).Read([]byte(payload)); d.Shape != ShapeDestination {
		t.Errorf("too deep: %+v", d)
	}
}

func TestIdentify(t *testing.T) {
	d := NewReader(Config{}).Read([]byte(`{"source": "schedule"}`))
	d.Identify("request-1")
	if e := d.Events[0]; e.ID != "request-1" || e.Lineage.CorrelationID != "request-1" || e.Lineage.Correlated {
		t.Errorf("%+v", e)
	}
	d = NewReader(Config{}).Read([]byte(envelopeOfTrade))
	d.Identify("request-1")
	if e := d.Events[0]; e.ID != "trade-1" || e.Lineage.CorrelationID != "workflow-1" {
		t.Errorf("%+v", e)
	}
}

// FuzzRead: Read never panics, an unknown payload has no events, a known one but an
// HTTP request has some, and it is read alike twice.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{envelopeOfTrade, replayedTrade, bareEnvelope, scheduledRule, scheduler, alarmOnBus, alarmOnLambda, failedInvocation, failureOnBus,
		workerInput, imitatedEnvelope, gatewayRequest, bucketRecords, records(sqsRecord(envelopeOfTrade), sqsRecord(detailOfTrade, `"AWSTraceHeader":"`+xraySample+`"`)),
		records(snsRecord(envelopeOfTrade)), records(sqsRecord(snsBody(envelopeOfTrade))), records(), `{"Records":[{}]}`, `{"Records":{}}`,
		`{"detail-type":1,"detail":2,"resources":3,"id":4}`, `{"detail-type":"a","detail":"","id":""}`, `{"requestPayload":1,"requestContext":2}`} {
		f.Add([]byte(seed))
	}
	for _, c := range lineagetest.Corpus() {
		f.Add([]byte(c.Payload))
	}
	r := NewReader(Config{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := r.Read(payload)
		if d.Shape != ShapeHTTP && (d.Shape == ShapeUnknown) != (len(d.Events) == 0) {
			t.Fatalf("%q: %s with %d events", payload, d.Shape, len(d.Events))
		}
		if again := r.Read(payload); !reflect.DeepEqual(again, d) {
			t.Fatalf("%q: read as %+v, then as %+v", payload, d, again)
		}
		for _, e := range d.Events {
			if e.ID != "" && e.Lineage.CorrelationID == "" {
				t.Fatalf("%q: an event with an ID and no workflow: %+v", payload, e)
			}
		}
	})
}
