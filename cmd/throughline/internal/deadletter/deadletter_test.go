package deadletter

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

const event = `{"version":"0","id":"env-1","detail-type":"OrderPlaced","source":"shop","account":"1","time":"2026-11-23T10:00:00Z","region":"eu-west-1","resources":[],"detail":{"event_id":"order-1","correlation_id":"flow-1"}}`

func text(s string) Attribute { return Attribute{Type: "String", String: s} }

func TestRead(t *testing.T) {
	sent := map[string]string{"SentTimestamp": "1795813267000"}
	rule := map[string]Attribute{
		"RULE_ARN": text("arn:aws:events:eu-west-1:1:rule/orders/placed"), "TARGET_ARN": text("arn:aws:lambda:eu-west-1:1:function:fulfil:live"),
		"ERROR_CODE": text("NO_PERMISSIONS"), "ERROR_MESSAGE": text("not authorized"), "RETRY_ATTEMPTS": text("2"), "EXHAUSTED_RETRY_CONDITION": text("MaximumRetryAttempts"),
	}
	toQueue := map[string]Attribute{"RULE_ARN": rule["RULE_ARN"], "TARGET_ARN": text("arn:aws:sqs:eu-west-1:1:work"), "EXHAUSTED_RETRY_CONDITION": text("MaximumEventAgeInSeconds")}
	quoted, _ := json.Marshal(event)
	for name, c := range map[string]struct {
		message Message
		want    Letter
		who     string
		says    string
	}{
		"Rule": {Message{ID: "m", Body: event, System: sent, Attributes: rule}, Letter{Kind: OfRule, Cause: "NO_PERMISSIONS", EventID: "order-1", EnvelopeID: "env-1", Type: "OrderPlaced", CorrelationID: "flow-1"},
			"function fulfil", "NO_PERMISSIONS: not authorized (after 3 deliveries)"},
		"RuleOfAQueue": {Message{ID: "m", Body: event, System: sent, Attributes: toQueue}, Letter{Kind: OfRule, Cause: "MaximumEventAgeInSeconds", EventID: "order-1", EnvelopeID: "env-1", Type: "OrderPlaced", CorrelationID: "flow-1"},
			"queue work", "MaximumEventAgeInSeconds"},
		"Function": {Message{ID: "m", Body: event, System: sent, Attributes: map[string]Attribute{"RequestID": text("r"), "ErrorCode": {Type: "Number", String: "200"}, "ErrorMessage": text("boom")}},
			Letter{Kind: OfFunction, Cause: "error 200", EventID: "order-1", EnvelopeID: "env-1", Type: "OrderPlaced", CorrelationID: "flow-1"}, "unknown", "error 200: boom"},
		"Destination": {Message{ID: "m", System: sent, Body: fmt.Sprintf(`{"version":"1.0","requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:eu-west-1:1:function:fulfil:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},`+
			`"requestPayload":%s,"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{"errorMessage":"boom"}}`, event)},
			Letter{Kind: OfDestination, Cause: "Unhandled", EventID: "order-1", EnvelopeID: "env-1", Type: "OrderPlaced", CorrelationID: "flow-1"}, "function fulfil", "Unhandled: boom (after 3 deliveries)"},
		"Stream": {Message{ID: "m", System: sent, Body: `{"requestContext":{"functionArn":"arn:aws:lambda:eu-west-1:1:function:fulfil","condition":"RetryAttemptsExhausted","approximateInvokeCount":1},"KinesisBatchInfo":{"shardId":"s"}}`},
			Letter{Kind: OfStream, Cause: "RetryAttemptsExhausted"}, "function fulfil", "RetryAttemptsExhausted"},
		"Topic": {Message{ID: "m", System: sent, Body: fmt.Sprintf(`{"Type":"Notification","MessageId":"n","TopicArn":"arn:aws:sns:eu-west-1:1:alerts","Message":%s}`, quoted)},
			Letter{Kind: OfTopic, Cause: "not delivered", EventID: "order-1", EnvelopeID: "env-1", Type: "OrderPlaced", CorrelationID: "flow-1"}, "topic alerts", "not delivered"},
		"Queue": {Message{ID: "m", Body: `{"event_id":"trade-1","event_type":"Trade","correlation_id":"flow-2"}`, System: map[string]string{"SentTimestamp": "1795813267000", "DeadLetterQueueSourceArn": "arn:aws:sqs:eu-west-1:1:trades", "ApproximateReceiveCount": "4"}},
			Letter{Kind: OfQueue, Cause: "received too often", EventID: "trade-1", Type: "Trade", CorrelationID: "flow-2"}, "queue trades", "received too often (after 4 deliveries)"},
		"Subscriber": {Message{ID: "m", System: sent, Body: `{"version":"1.0","busArn":"arn:aws:events:eu-west-1:1:event-busv2/orders/abc","subscriberArn":"arn:aws:events:eu-west-1:1:subscriber/placed/def","targetArn":"arn:aws:lambda:eu-west-1:1:function:fulfil",` +
			`"errorCode":"ACCESS_DENIED","errorMessage":"no","exhaustedRetryCondition":"MaximumRetryAttempts","retryAttempts":5,"failedMessages":[{"eventId":"bus-1","eventGroupId":"g","timestamp":"2026-11-23T10:00:00.5Z"},{"eventId":"bus-2","timestamp":17},{"eventId":""}]}`},
			Letter{Kind: OfSubscriber, Cause: "ACCESS_DENIED"}, "subscriber placed to function fulfil", "ACCESS_DENIED: no (after 6 deliveries)"},
		"Unknown": {Message{ID: "m", Body: "words", System: sent}, Letter{Kind: Unknown, Cause: "unknown"}, "unknown", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			l := Read(c.message)
			got := Letter{Kind: l.Kind, Cause: l.Cause, EventID: l.EventID, EnvelopeID: l.EnvelopeID, Type: l.Type, CorrelationID: l.CorrelationID}
			if fmt.Sprint(got) != fmt.Sprint(c.want) || l.Who() != c.who || l.Summary() != c.says || l.Since.Unix() != 1795813267 {
				t.Errorf("%+v\nwant %+v; %s; %s", got, c.want, l.Who(), l.Summary())
			}
			if l.Kind == OfSubscriber {
				want := []Named{{ID: "bus-1", Group: "g", Time: time.Date(2026, 11, 23, 10, 0, 0, 500_000_000, time.UTC)}, {ID: "bus-2"}}
				if l.Payload != nil || !slices.Equal(l.Named, want) || l.Bus == "" || l.Subscriber == "" {
					t.Errorf("%+v", l)
				}
				return
			}
			if l.Kind != OfDestination && string(l.Payload) != c.message.Body || l.Kind == OfDestination && string(l.Payload) != event {
				t.Errorf("payload %s", l.Payload)
			}
		})
	}
}

func TestWhatTheMessageDoesNotTell(t *testing.T) {
	l := Read(Message{ID: "m", Body: "{}", Attributes: map[string]Attribute{"RequestID": text("r"), "ErrorCode": {Type: "Number", String: "429"}}})
	l.By("fulfil")
	l.From("arn:aws:sqs:eu-west-1:1:work")
	if l.Who() != "function fulfil" || l.Queue != "" {
		t.Errorf("%+v", l)
	}
	l = Read(Message{ID: "m", Body: "{}", System: map[string]string{"ApproximateReceiveCount": "3"}})
	l.By("fulfil")
	l.From("arn:aws:sqs:eu-west-1:1:work")
	if l.Kind != OfQueue || l.Who() != "queue work" || l.Attempts != 3 {
		t.Errorf("%+v", l)
	}
}

// TestSubscriberByAttributes holds what is told of a record whose body is not what it should be.
func TestSubscriberByAttributes(t *testing.T) {
	attributes := map[string]Attribute{"SUBSCRIBER_ARN": text("arn:aws:events:eu-west-1:1:subscriber/placed/def"), "BUS_ARN": text("b"), "TARGET_ARN": text("arn:aws:events:eu-west-1:1:event-busv2/next/def"), "ERROR_CODE": text("LOOP_DETECTED"), "RETRY_ATTEMPTS": text("0")}
	for _, body := range []string{"words", `{"failedMessages":"none","retryAttempts":"x","subscriberArn":7}`, "{}"} {
		if l := Read(Message{ID: "m", Body: body, Attributes: attributes}); l.Kind != OfSubscriber || l.Cause != "LOOP_DETECTED" || l.Who() != "subscriber placed to bus next" || l.Attempts != 1 || len(l.Named) != 0 {
			t.Errorf("%s: %+v", body, l)
		}
	}
}

func TestParse(t *testing.T) {
	one := `{"MessageId":"a","Body":"x","MessageAttributes":{"RULE_ARN":{"DataType":"String","StringValue":"r"}}}`
	for data, want := range map[string]int{
		`{"Messages":[` + one + `,` + one + `]}`: 2, one: 1, one + "\n" + one: 2, `{}`: 0, event: 0, `words`: 0, `[]`: 0, `{"Messages":[]}`: 0,
	} {
		list := Parse([]byte(data))
		if len(list) != want || want > 0 && (list[0].ID != "a" || list[0].Attributes["RULE_ARN"].String != "r") {
			t.Errorf("%s: %+v", data, list)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(event, "RULE_ARN", "x", "DeadLetterQueueSourceArn", "y")
	f.Add(`{"requestContext":{"functionArn":"a"},"requestPayload":1}`, "RequestID", "x", "SentTimestamp", "9")
	f.Add(`{"subscriberArn":"a/b/c","failedMessages":[{"eventId":"x","timestamp":"2026-11-23T10:00:00Z"}]}`, "SUBSCRIBER_ARN", "x", "SentTimestamp", "9")
	f.Fuzz(func(t *testing.T, body, attribute, value, system, says string) {
		l := Read(Message{ID: "m", Body: body, Attributes: map[string]Attribute{attribute: text(value)}, System: map[string]string{system: says}})
		if l.Cause == "" || l.Kind == "" || l.Who() == "" || l.Summary() == "" {
			t.Errorf("%+v", l)
		}
	})
}
