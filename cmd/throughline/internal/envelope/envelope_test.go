package envelope

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const event = `{"version":"0","id":"env-1","detail-type":"OrderPlaced","source":"shop","account":"1","time":"2026-11-23T10:00:00Z","region":"eu-west-1","resources":[],"detail":{"event_id":"order-1","correlation_id":"flow-1"}}`

func quoted(s string) string { q, _ := json.Marshal(s); return string(q) }

func TestIn(t *testing.T) {
	notification := fmt.Sprintf(`{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":%s}`, quoted(event))
	for name, document := range map[string]string{
		"Event":        event,
		"Notification": notification,
		"Message":      fmt.Sprintf(`{"MessageId":"m","Body":%s,"Attributes":{}}`, quoted(event)),
		"Queued":       fmt.Sprintf(`{"Records":[{"messageId":"m","body":%s}]}`, quoted(notification)),
		"Topic":        fmt.Sprintf(`{"Records":[{"EventSource":"aws:sns","Sns":{"Message":%s}}]}`, quoted(event)),
		"Destination":  fmt.Sprintf(`{"version":"1.0","requestContext":{"requestId":"r"},"requestPayload":%s,"responsePayload":{}}`, event),
	} {
		t.Run(name, func(t *testing.T) {
			found := In([]byte(document))
			if len(found) != 1 || string(found[0].JSON) != event || found[0].ID != "env-1" || found[0].DomainID != "order-1" || found[0].CorrelationID != "flow-1" || found[0].Time.IsZero() ||
				found[0].Entry || !found[0].Is("env-1") || !found[0].Is("order-1") || found[0].Is("") {
				t.Errorf("%+v", found)
			}
		})
	}
	for _, none := range []string{``, `[]`, `{}`, `{"detail-type":"x"}`, `{"detail-type":1,"source":"a","detail":{}}`, `"x"`, `{"DetailType":"a","Source":"b","Detail":"no JSON"}`} {
		if found := In([]byte(none)); len(found) > 0 {
			t.Errorf("%s: %+v", none, found)
		}
	}
}

func TestEntry(t *testing.T) {
	found := In([]byte(`{"Source":"shop","DetailType":"OrderPlaced","Detail":"{\"event_id\":\"order-1\"}","EventBusName":"arn:aws:events:eu-west-1:1:event-bus/orders","Resources":["a"],"Time":1795813267}`))
	if len(found) != 1 || !found[0].Entry || found[0].Bus != "orders" || found[0].DomainID != "order-1" || found[0].Type != "OrderPlaced" ||
		string(found[0].JSON) != `{"detail":{"event_id":"order-1"},"detail-type":"OrderPlaced","resources":["a"],"source":"shop","version":"0"}` {
		t.Errorf("%+v", found)
	}
}

// TestBus: an entry, and an event that throughline dev kept, name the bus by its name or its ARN.
func TestBus(t *testing.T) {
	for bus, want := range map[string]string{"orders": "orders", "arn:aws:events:eu-west-1:1:event-bus/orders": "orders", "arn:aws:events:eu-west-1:1:event-busv2/orders/0a1b": "orders"} {
		for _, document := range []string{`{"EventBusName":"BUS","id":"1","source":"s","detail-type":"T","detail":{}}`, `{"EventBusName":"BUS","Source":"s","DetailType":"T","Detail":"{}"}`} {
			if found := In([]byte(strings.Replace(document, "BUS", bus, 1))); len(found) != 1 || found[0].Bus != want {
				t.Errorf("%s: %+v", bus, found)
			}
		}
	}
}

func TestRead(t *testing.T) {
	var ids []string
	left, others, err := Read(strings.NewReader(event+"\nno JSON\n{\"a\":1}\n"+event), func(e Event) error { ids = append(ids, e.ID); return nil })
	if err != nil || left.Lines != 1 || others != 1 || len(ids) != 2 {
		t.Errorf("%v %d %v %v", left, others, ids, err)
	}
}

func FuzzIn(f *testing.F) {
	f.Add([]byte(event))
	f.Add([]byte(`{"Records":[{"body":"{\"Body\":\"{}\"}"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		for _, e := range In(document) {
			if !json.Valid(e.JSON) {
				t.Errorf("%s", e.JSON)
			}
		}
	})
}
