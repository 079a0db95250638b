package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// TestNewBus plays a workflow that goes over a classic bus and a new one, both ways, and is
// one tree.
func TestNewBus(t *testing.T) {
	s := playing(t, "testdata/new-bus/template.yaml", Flags{})
	for _, want := range []string{"3 rules, 5 subscribers, 2 queues", "not played: Past, AWS::EventsV2::Subscriber: it reads what was published before", "not played: Elsewhere, target: arn:aws:states", "the subscriber Strange is not played: InvalidInputException"} {
		if out := s.printed(); !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out := s.must("", "send", s.file(`{"source":"web","detail-type":"OrderPlaced","detail":{"order_id":"o-1","event_id":"placed-o-1","correlation_id":"flow-1"}}`), "--bus", "shop")
	if !strings.Contains(out, "was sent to the bus shop") {
		t.Errorf("%s", out)
	}
	s.says("paid o-1", "packed o-1 web", "shipped o-1", "not yet o-1 LIVE", "counted o-1 LIVE", "told of o-1")
	s.settle()
	if visible, _, _ := s.stage.Count("Failed"); visible != 1 {
		t.Errorf("%d records of what failed", visible)
	}
	letters, err := s.receive("Failed")
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0], `"errorCode":"COMPUTE_EXECUTION_ERROR"`) || !strings.Contains(letters[0], "out of stock") || strings.Contains(letters[0], "order_id") {
		t.Errorf("%v %s", err, letters)
	}

	out = s.must("", "send", "OrderPaid", "--detail", `{"order_id":"o-2","event_id":"paid-o-2","correlation_id":"flow-2"}`)
	for _, want := range []string{"was sent to the bus orders", "it matches paid, failing"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s.says("shipped o-2")
	out = s.must("", "send", s.file(`{"source":"pay","detail-type":"OrderPaid","detail":{"order_id":"o-3","event_id":"paid-o-3","total":-1}}`), "--bus", "orders", "--json")
	var sent []sentEvent
	if err := json.Unmarshal([]byte(out), &sent); err != nil || len(sent) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	if !strings.Contains(out, `"counted"`) || strings.Contains(out, `"paid"`) {
		t.Errorf("%s", out)
	}
	recorded := `{"id":"recorded-1","source":"pay","time":"2026-11-23T10:00:00Z","detail-type":"OrderPaid","detail":{"order_id":"o-4","total":1,"correlation_id":"flow-4"}}`
	if out := s.must(recorded, "replay", "-"); !strings.Contains(out, "1 event") {
		t.Errorf("%s", out)
	}
	s.says("counted o-3 LIVE", "shipped o-4", "counted o-4 REPLAY")
	if _, err := s.run("", "send", "OrderPaid", "--bus", "nowhere"); err == nil || !strings.Contains(err.Error(), "the buses are default, shop, orders") {
		t.Errorf("%v", err)
	}
	s.settle()
	s.close()
	_, spans, err := s.collector.Spans()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(spans, func(s workflow.Span) bool {
		return s.Text("throughline.event.id") == "paid-o-3" && s.Correlation() == sent[0].CorrelationID
	}) {
		t.Errorf("send names the workflow %s, and no span of the event does", sent[0].CorrelationID)
	}
	tree := workflow.Build(spans, "flow-1")
	var text strings.Builder
	if err := workflow.WriteText(&text, tree); err != nil {
		t.Fatal(err)
	}
	roots := 0
	for _, n := range tree.Nodes {
		if n.Parent < 0 {
			roots++
		}
	}
	if roots != 1 {
		t.Errorf("%d roots\n%s", roots, &text)
	}
	handled := map[string]bool{}
	for _, span := range spans {
		if span.Kind == "CONSUMER" && span.Correlation() == "flow-1" {
			handled[span.Service] = true
		}
	}
	for _, function := range []string{"Pay", "Ship", "Count", "Pack", "Fail", "Tell"} {
		if !handled[function] || !strings.Contains(text.String(), function) {
			t.Errorf("%s is not in\n%s", function, &text)
		}
	}
}

// receive takes the messages of a queue.
func (s *scene) receive(queue string) (bodies []string, err error) {
	s.t.Helper()
	body := `{"QueueUrl":"` + s.stage.URL("SQS") + "/123456789012/" + queue + `","MaxNumberOfMessages":10}`
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.stage.URL("SQS"), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct{ Messages []struct{ Body string } }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	for _, m := range answer.Messages {
		bodies = append(bodies, m.Body)
	}
	return bodies, err
}

// TestNewBusFaults: what goes wrong on purpose goes wrong on new buses too.
func TestNewBusFaults(t *testing.T) {
	s := playing(t, "testdata/new-bus/template.yaml", Flags{faults: []string{"refuse@failing", "duplicate@paid"}})
	s.must("", "send", "OrderPaid", "--detail", `{"order_id":"o-1","event_id":"paid-o-1","correlation_id":"flow-1"}`)
	s.says("told of o-1")
	s.settle()
	if n := strings.Count(s.out.String(), "shipped o-1"); n != 2 {
		t.Errorf("shipped %d times", n)
	}
	letters, err := s.receive("Failed")
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0], "injected fault") {
		t.Errorf("%v %s", err, letters)
	}
	if functions := s.stage.Functions(); slices.ContainsFunc(functions, func(f Function) bool { return f.Name == "Fail" && f.Invocations > 0 }) {
		t.Errorf("%+v", functions)
	}
	var state struct {
		Bus struct{ Events, Deliveries int }
	}
	text, _ := json.Marshal(map[string]any{"bus": s.stage.Bus()})
	if err := json.Unmarshal(text, &state); err != nil || state.Bus.Events < 2 || state.Bus.Deliveries < 3 {
		t.Errorf("%v %s", err, text)
	}
}

// TestNewBusCheck: the checklist knows new buses, their subscribers and their records.
func TestNewBusCheck(t *testing.T) {
	s := scene{t: t}
	given := s.file(`{"source":"pay","detail-type":"OrderPaid","detail":{"order_id":"o-1","event_id":"paid-o-1","correlation_id":"flow-1","total":3}}`)
	items, said, _ := checked(t, "testdata/new-bus/template.yaml", Flags{check: []string{given}, faults: []string{"duplicate"}})
	for item, want := range map[string]string{"bus": "orders, a new custom bus with 5 subscribers, which keeps events for 3 days", "targets": "fail", "dlq": "of subscriber failing, COMPUTE_EXECUTION_ERROR", "serialise": "pass"} {
		if !strings.Contains(items[item], want) {
			t.Errorf("%s: %s\n%s", item, items[item], said)
		}
	}
	if !strings.HasPrefix(items["dlq"], "pass") {
		t.Errorf("%v", items)
	}
}
