package dlqcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/eventsv2local"
	"github.com/throughline/throughline/local/sqslocal"
)

// handler is a function that fails until it is mended.
type handler struct {
	mended  atomic.Bool
	batches chan string
}

func (h *handler) invoke(_ context.Context, payload []byte, _ bool) ([]byte, error) {
	if !h.mended.Load() {
		return nil, &eventsv2local.DeliveryError{Code: "ACCESS_DENIED", Message: "the role may not invoke fulfil"}
	}
	h.batches <- string(payload)
	return nil, nil
}

// newBus makes a bus, whose subscriber's dead letters go to a queue, and gives up events.
func (s *stand) newBus(h *handler, events int) *eventsv2local.Bus {
	s.t.Helper()
	q := s.queue("failed", "")
	bus, err := s.fresh.CreateBus("orders", 2)
	if err != nil {
		s.t.Fatal(err)
	}
	s.fresh.Target(fulfil, eventsv2local.Function{FunctionName: "fulfil", Invoke: h.invoke})
	s.fresh.DeadLetters(q.ARN(), &eventsv2local.DeadLetters{To: func(l eventsv2local.Letter) {
		entry := sqslocal.Entry{MessageBody: l.Body, MessageAttributes: map[string]sqslocal.Attribute{}}
		for name, value := range l.Attributes {
			entry.MessageAttributes[name] = sqslocal.String(value)
		}
		if _, err := q.Send(entry, ""); err != nil {
			s.t.Error(err)
		}
	}})
	none := 0
	spec := eventsv2local.Spec{Name: "placed", Invoke: eventsv2local.Invoke{TargetARN: fulfil, Sync: true}, Transformer: eventsv2local.Transformer{Type: eventsv2local.WithMetadata}, MaxBatch: 50, MaxRetries: &none, DeadLetters: q.ARN()}
	if _, err := bus.Subscribe(spec); err != nil {
		s.t.Fatal(err)
	}
	for i := range events {
		if _, err := s.fresh.Put(bus.ARN, []eventsv2local.Entry{{Source: "shop", DetailType: "OrderPlaced", Detail: fmt.Sprintf(`{"event_id":"order-%d","correlation_id":"flow-1"}`, i)}}, false, false); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.fresh.Wait(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return bus
}

// TestNewBus lists, shows, does not redrive, and replays: what dlq replay writes is handed to
// the API, and each event comes again, once, as a replay.
func TestNewBus(t *testing.T) {
	s, h := newStand(t), &handler{batches: make(chan string, 1000)}
	const events = 150
	bus := s.newBus(h, events)
	id := bus.Events()[7].ID

	out, code := s.run("failed")
	for _, want := range []string{"ACCESS_DENIED, subscriber placed to function fulfil, (the type is on the bus), 150 events", "the role may not invoke fulfil", "150 events are named here, which the bus still has: throughline dlq replay"} {
		if code != terminal.Found || !strings.Contains(out, want) {
			t.Errorf("%d: no %q in\n%s", code, want, out)
		}
	}
	if out, code := s.run("failed", "--function", "placed", "--json"); code != terminal.Found || !strings.Contains(out, `"events": 150`) {
		t.Errorf("%d %s", code, out)
	}
	spans := s.file("spans.jsonl")
	line := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},"scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000000a","spanId":"000000000000000a","name":"send OrderPlaced","kind":4,"startTimeUnixNano":"1795813267000000000","endTimeUnixNano":"1795813268000000000","attributes":[{"key":"throughline.event.id","value":{"stringValue":"order-7"}},{"key":"messaging.message.id","value":{"stringValue":"` + id + `"}},{"key":"throughline.event.type","value":{"stringValue":"OrderPlaced"}},{"key":"throughline.correlation.id","value":{"stringValue":"flow-1"}}]}]}]}]}`
	if err := os.WriteFile(spans, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = s.run("show", "failed", id, "--file", spans)
	for _, want := range []string{"sent by      subscriber", "subscriber   arn:aws:events:us-east-1:123456789012:subscriber/placed/", "names        event " + id, "back to      nowhere: it names events but does not contain them: throughline dlq replay", "OrderPlaced  order-7  from web"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d: no %q in\n%s", code, want, out)
		}
	}
	if out, code := s.run("redrive", "failed", "--all", "--yes", "--journal", s.file("journal")); code != terminal.Found || !strings.Contains(out, "0 messages of failed sent") || !strings.Contains(out, "throughline dlq replay shows how") {
		t.Errorf("%d %s", code, out)
	}

	folder := s.file("replay")
	out, code = s.run("replay", "failed", "--all", "--output", folder)
	files, _ := filepath.Glob(filepath.Join(folder, "replay-placed-*.json"))
	if code != 0 || len(files) < 2 || strings.Count(out, "create-subscriber --cli-input-json file://"+folder) != len(files) || strings.Contains(out, "not known") {
		t.Fatalf("%d, %v\n%s", code, files, out)
	}
	h.mended.Store(true)
	for _, file := range files {
		s.create(file)
	}
	if err := s.fresh.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(h.batches)
	seen := map[string]int{}
	for payload := range h.batches {
		var batch []struct {
			SystemMetadata map[string]string
		}
		if err := json.Unmarshal([]byte(payload), &batch); err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if e.SystemMetadata["aws:DeliveryType"] == "REPLAY" {
				seen[e.SystemMetadata["aws:EventId"]]++
			}
		}
	}
	for _, e := range bus.Events() {
		if seen[e.ID] != 1 {
			t.Errorf("%s came again %d times", e.ID, seen[e.ID])
		}
	}
	if len(seen) != events {
		t.Errorf("%d events came again", len(seen))
	}
	if out, code := s.run("replay", "failed", "--all", "--output", folder); code != terminal.CouldNot || !strings.Contains(out, "exists") {
		t.Errorf("files are written over: %d %s", code, out)
	}
}

// create hands a file to CreateSubscriber, as the AWS CLI does.
func (s *stand) create(file string) {
	s.t.Helper()
	data, err := os.ReadFile(file)
	var input map[string]any
	if err := errors.Join(err, json.Unmarshal(data, &input)); err != nil {
		s.t.Fatal(err)
	}
	point, _ := input["PointInTimeConfiguration"].(map[string]any)
	delete(point, "EndPoint") // a time, which this does not write
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/service/AWSEventsV2/operation/CreateSubscriber", strings.NewReader(string(cbor.Encode(encoded(input)))))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Content-Type", "application/cbor")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", file, answer.Status)
	}
}

func encoded(v any) cbor.Value {
	switch v := v.(type) {
	case map[string]any:
		m := cbor.Map{}
		for name, member := range v {
			m[name] = encoded(member)
		}
		return m
	case []any:
		list := cbor.List{}
		for _, item := range v {
			list = append(list, encoded(item))
		}
		return list
	case float64:
		return cbor.Uint(uint64(v))
	case string:
		return cbor.String(v)
	}
	return &cbor.Nil{}
}

// TestReplayOfWhatIsNotKnown holds what is written where the account does not tell of the
// subscriber, and that nothing is written of messages that carry their event.
func TestReplayOfWhatIsNotKnown(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "")
	s.letter(q, event("order-1", "OrderPlaced"), ofRule(fulfil, "NO_PERMISSIONS")...)
	if out, code := s.run("replay", "failed", "--all"); code != terminal.Found || !strings.Contains(out, "dlq redrive sends those back") {
		t.Errorf("%d %s", code, out)
	}
	s.letter(q, `{"busArn":"arn:aws:events:us-east-1:1:event-busv2/orders/a","subscriberArn":"arn:aws:events:us-east-1:1:subscriber/../../etc/passwd/b","targetArn":"`+fulfil+`","errorCode":"THROTTLING","failedMessages":[{"eventId":"'; rm -rf /"}]}`)
	folder := s.file("replay")
	out, code := s.run("replay", "failed", "--cause", "THROTTLING", "--output", folder)
	if code != 0 || !strings.Contains(out, "the subscriber is not known (ResourceNotFoundException)") || strings.Contains(out, "rm -rf") {
		t.Errorf("%d %s", code, out)
	}
	if data, err := os.ReadFile(filepath.Join(folder, "replay-passwd.json")); err != nil || !strings.Contains(string(data), `"RoleArn": "the ARN of the delivery role"`) || !strings.Contains(string(data), fulfil) {
		t.Errorf("%v %s", err, data)
	}
	if _, code := s.run("replay", "failed"); code != terminal.Misused {
		t.Errorf("%d", code)
	}
}
