package dlqcmd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/sqslocal"
)

const (
	fulfil = "arn:aws:lambda:us-east-1:123456789012:function:fulfil"
	placed = "arn:aws:events:us-east-1:123456789012:rule/orders/placed"
)

// ofRule are the attributes of a dead letter of a rule.
func ofRule(target, code string) []string {
	return []string{"RULE_ARN", placed, "TARGET_ARN", target, "ERROR_CODE", code, "ERROR_MESSAGE", "it says " + code, "RETRY_ATTEMPTS", "3", "EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"}
}

func ofFunction(id string) string {
	return fmt.Sprintf(`{"version":"1.0","requestContext":{"requestId":"r","functionArn":"%s:live","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":%s,"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{"errorMessage":"no stock"}}`, fulfil, event(id, "OrderPlaced"))
}

func TestList(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	s.readers["arn:aws:sqs:us-east-1:123456789012:trades"] = "worker"
	for i := range 12 {
		s.letter(q, event(fmt.Sprint("order-", i), "OrderPlaced"), ofRule(fulfil, "NO_PERMISSIONS")...)
	}
	for range 3 {
		s.letter(q, ofFunction("order-x"))
	}
	s.letter(q, `{"event_id":"trade-1","event_type":"Trade","correlation_id":"flow-2"}`)
	out, code := s.run("failed")
	for _, line := range []string{
		"receiving from failed: each message is hidden from its other consumers for 1m, or until it has been read",
		"queue failed: about 16 messages, 16 read", "the queue deletes the oldest in 3d23h", "NO_PERMISSIONS, function fulfil, OrderPlaced", "Unhandled, function fulfil, OrderPlaced",
		"received too often, function worker, Trade", "it says NO_PERMISSIONS", "no stock",
	} {
		if code != terminal.Found || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	if visible, hidden, _ := q.Count(); visible != 16 || hidden != 0 {
		t.Errorf("%d visible, %d hidden when it ended", visible, hidden)
	}
	keep := s.file("kept.jsonl")
	out, code = s.run("failed", "--by", "cause,kind,age", "--cause", "Unhandled", "--keep", keep, "--json")
	var contents []Contents
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &contents); err != nil || code != terminal.Found || len(contents) != 1 || contents[0].Selected != 3 || len(contents[0].Groups) != 1 ||
		contents[0].Groups[0].Count != 3 || contents[0].Groups[0].Kind != "destination" || contents[0].Groups[0].Age != "under an hour" {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	if data, err := os.ReadFile(keep); err != nil || strings.Count(string(data), "\n") != 3 || strings.Contains(string(data), "ReceiptHandle") {
		t.Errorf("%v %s", err, data)
	}
	if out, code := s.run("failed", "--keep", keep); code != terminal.CouldNot || !strings.Contains(out, "exists") {
		t.Errorf("a file is written over: %d %s", code, out)
	}
	s.queue("empty", "")
	if out, code := s.run("empty"); code != 0 || out != "queue empty: about 0 messages\n" {
		t.Errorf("%d %q", code, out)
	}
}

func TestShow(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "")
	for i := range 12 {
		s.letter(q, event(fmt.Sprint("order-1", i), "OrderPlaced"), ofRule(fulfil, "NO_PERMISSIONS")...)
	}
	out, code := s.run("show", "failed", "order-110")
	for _, line := range []string{"sent by      rule", "cause        NO_PERMISSIONS", "deliveries   4", "event        order-110", "workflow     flow-1", "back to      function fulfil", "AWSTraceHeader: Root=1-", `    "event_id": "order-110"`} {
		if code != 0 || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	out, code = s.run("show", "failed", "--json")
	var shown Shown
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &shown); err != nil || code != 0 || shown.Group == "" || shown.Back != "function fulfil" || shown.Message.Receipt != "" {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	if out, code := s.run("show", "failed", "nobody"); code != terminal.Found || !strings.Contains(out, "nobody was not found in failed: it is not there, or it is in flight to another consumer; without an ID, dlq show shows the first message, and `throughline dlq failed --keep FILE` copies all") {
		t.Errorf("%d %s", code, out)
	}
	if visible, hidden, _ := q.Count(); visible != 12 || hidden != 0 {
		t.Errorf("%d visible, %d hidden when it ended", visible, hidden)
	}
	spans := s.file("spans.jsonl")
	if err := os.WriteFile(spans, []byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},"scopeSpans":[{"spans":[{"traceId":"0000000000000000000000000000000a","spanId":"000000000000000a","name":"send OrderPlaced","kind":4,"startTimeUnixNano":"1795813267000000000","endTimeUnixNano":"1795813268000000000","attributes":[{"key":"throughline.event.id","value":{"stringValue":"order-110"}},{"key":"throughline.event.type","value":{"stringValue":"OrderPlaced"}},{"key":"throughline.correlation.id","value":{"stringValue":"flow-1"}}]}]}]}]}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := s.run("show", "failed", "order-110", "--file", spans); code != 0 || !strings.Contains(out, "OrderPlaced  order-110  from web") {
		t.Errorf("%d %s", code, out)
	}
}

func TestRedriveBack(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	s.queue("work", "")
	work := "arn:aws:sqs:us-east-1:123456789012:work"
	ids := []string{
		s.letter(q, event("order-1", "OrderPlaced"), ofRule(fulfil, "NO_PERMISSIONS")...),
		s.letter(q, event("order-2", "OrderPlaced"), append(ofRule(work, "THROTTLING"), "mine", "kept")...),
		s.letter(q, ofFunction("order-3")),
		s.letter(q, `{"event_id":"trade-1"}`, "mine", "kept", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
		s.letter(q, event("order-4", "OrderPlaced"), ofRule("arn:aws:states:us-east-1:123456789012:stateMachine:Saga", "TIMEOUT")...),
	}
	journal := s.file("journal.jsonl")
	out, code := s.run("redrive", "failed", "--all", "--dry-run", "--journal", journal)
	for _, line := range []string{"dry run: of 5 messages in failed 4 would be sent", "2 to function fulfil", "1 to queue trades", "1 to queue work", "1 would stay: redrive cannot send to its target arn:aws:states", "give --to bus"} {
		if code != terminal.Found || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	if len(s.invoked) > 0 || len(s.queues.Ledger().Sent) != 5 {
		t.Fatal("a dry run sends")
	}
	keep := s.file("kept.jsonl")
	out, code = s.run("redrive", "failed", "--all", "--yes", "--journal", journal, "--rate", "0", "--keep", keep, "--hide", "1m")
	for _, line := range []string{"each message is hidden from its other consumers for 1m, or until it is sent or released", "4 messages of failed sent, 4 deleted from the queue", "1 were not accepted and stay", "copied to " + keep, "the journal is " + journal} {
		if code != terminal.Found || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	if len(s.invoked) != 2 || s.invoked[0] != (invocation{fulfil, "Event", header, event("order-1", "OrderPlaced")}) || s.invoked[1] != (invocation{fulfil + ":live", "Event", header, event("order-3", "OrderPlaced")}) {
		t.Errorf("%+v", s.invoked)
	}
	toWork, toTrades, left := s.all("work"), s.all("trades"), s.all("failed")
	if len(toWork) != 1 || toWork[0].Body != event("order-2", "OrderPlaced") || len(toWork[0].MessageAttributes) != 1 || *toWork[0].MessageAttributes["mine"].StringValue != "kept" || toWork[0].Attributes["AWSTraceHeader"] != header {
		t.Errorf("%+v", toWork)
	}
	if len(toTrades) != 1 || toTrades[0].Body != `{"event_id":"trade-1"}` || len(toTrades[0].MessageAttributes) != 2 || toTrades[0].Attributes["AWSTraceHeader"] != header || toTrades[0].MessageID == ids[3] {
		t.Errorf("%+v", toTrades)
	}
	if len(left) != 1 || left[0].MessageID != ids[4] {
		t.Errorf("%+v", left)
	}
	if data, err := os.ReadFile(keep); err != nil || strings.Count(string(data), "\n") != 4 {
		t.Errorf("%v %s", err, data)
	}
}

func TestRedriveToABus(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "")
	s.letter(q, event("order-1", "OrderPlaced"), ofRule(fulfil, "TIMEOUT")...)
	s.letter(q, event("order-2", "OrderPlaced"), ofRule(fulfil, "TIMEOUT")...)
	s.letter(q, `{"made":"by a transformer"}`, ofRule(fulfil, "TIMEOUT")...)
	out, code := s.run("redrive", "failed", "--cause", "TIMEOUT", "--to", "bus", "--yes", "--journal", s.file("j"), "--json")
	var done Redriven
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &done); err != nil || code != terminal.Found || done.Sent != 2 || done.Deleted != 2 || done.To["bus orders"] != 2 || len(done.Failed) != 1 || !strings.Contains(done.Failed[0].Why, "it is not an EventBridge event") {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	events := s.bus.Archived("orders")
	if len(events) != 2 || events[0].Source != "shop" || events[0].TraceHeader != header || events[0].Resources[0] != "correlation:flow-1" || events[0].ID == "env-order-1" ||
		!strings.Contains(event("order-1", "OrderPlaced")+event("order-2", "OrderPlaced"), `"detail":`+events[0].Detail+"}") {
		t.Errorf("%+v", events)
	}
}

// TestRedriveOfFunctionsAndTopics sends back what messages themselves do not say where.
func TestRedriveOfFunctionsAndTopics(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "")
	s.buries["fulfil"] = q.ARN()
	topic, err := s.topics.Create("alerts", nil)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, protocol := range map[string]string{fulfil + "-alerts": "lambda", "arn:aws:sqs:us-east-1:123456789012:other": "sqs"} {
		attributes := map[string]string{}
		if protocol == "lambda" {
			attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q}`, q.ARN())
		}
		if _, err := s.topics.Subscribe(topic, protocol, endpoint, attributes); err != nil {
			t.Fatal(err)
		}
	}
	s.letter(q, event("order-1", "OrderPlaced"), "RequestID", "r", "ErrorCode", "200", "ErrorMessage", "no stock")
	message, _ := json.Marshal(event("order-2", "OrderPlaced"))
	s.letter(q, fmt.Sprintf(`{"Type":"Notification","MessageId":"n","TopicArn":%q,"Message":%s,"Timestamp":"2026-11-23T10:00:00.000Z","SigningCertURL":"u"}`, topic, message))
	out, code := s.run("redrive", "failed", "--all", "--yes", "--journal", s.file("j"))
	if code != 0 || len(s.invoked) != 2 || s.invoked[0].function != "fulfil" || s.invoked[0].payload != event("order-1", "OrderPlaced") || s.invoked[1].function != fulfil+"-alerts" ||
		!strings.Contains(s.invoked[1].payload, `"EventSource":"aws:sns"`) || !strings.Contains(s.invoked[1].payload, `"SigningCertUrl":"u"`) {
		t.Errorf("%d %s\n%+v", code, out, s.invoked)
	}
	// Two functions bury there: which it was cannot be told.
	s.buries["audit"] = q.ARN()
	s.letter(q, event("order-1", "OrderPlaced"), "RequestID", "r", "ErrorCode", "200")
	out, code = s.run("redrive", "failed", "--all", "--dry-run")
	if code != terminal.Found || !strings.Contains(out, "its function is not known: give --to function:NAME") || !strings.Contains(out, "note: ") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := s.run("redrive", "failed", "--all", "--yes", "--to", "function:audit", "--journal", s.file("j")); code != 0 || s.invoked[2].function != "audit" {
		t.Errorf("%d %s %+v", code, out, s.invoked)
	}
}

func TestRedriveOfAFIFOQueue(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed.fifo", "trades.fifo")
	for i := range 25 {
		s.letter(q, fmt.Sprintf(`{"event_id":"trade-%d"}`, i))
	}
	if out, code := s.run("failed.fifo"); code != terminal.Found || !strings.Contains(out, "10 read") || !strings.Contains(out, "no further message of a FIFO group") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := s.run("redrive", "failed.fifo", "--all", "--yes", "--rate", "0", "--journal", s.file("j")); code != 0 || !strings.Contains(out, "25 to queue trades.fifo") {
		t.Errorf("%d %s", code, out)
	}
	for i, m := range s.all("trades.fifo") {
		if m.Body != fmt.Sprintf(`{"event_id":"trade-%d"}`, i) || m.Attributes["MessageGroupId"] != "g" {
			t.Fatalf("%d: %+v", i, m)
		}
	}
}

func TestSelection(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	for i := range 6 {
		s.letter(q, event(fmt.Sprint("order-", i), []string{"OrderPlaced", "OrderShipped"}[i%2]), ofRule(fulfil, []string{"TIMEOUT", "NO_RESOURCE", "THROTTLING"}[i%3])...)
	}
	out, _ := s.run("failed", "--json")
	var contents []Contents
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &contents); err != nil {
		t.Fatal(err)
	}
	group := contents[0].Groups[0]
	for want, args := range map[string][]string{
		"1 ": {"--message", "order-3"}, "2 ": {"--message", "order-3,order-4"}, "3 ": {"--type", "OrderShipped"}, "2  ": {"--cause", "TIMEOUT"}, "6 ": {"--function", "fulfil"}, "4 ": {"--cause", "TIMEOUT", "--cause", "NO_RESOURCE"},
		"0 ": {"--older-than", "1h"}, "6  ": {"--younger-than", "1h"}, "1  ": {"--group", group.Key}, "1   ": {"--cause", "TIMEOUT", "--type", "OrderShipped"}, "4  ": {"--all", "--max", "4"},
	} {
		out, _ := s.run(append([]string{"redrive", "failed", "--dry-run"}, args...)...)
		if !strings.Contains(out, fmt.Sprintf("in failed %swould be sent", strings.TrimSpace(want)+" ")) {
			t.Errorf("%v: not %s in\n%s", args, want, out)
		}
	}
	if out, code := s.run("redrive", "failed", "--group", "none", "--yes", "--journal", s.file("n")); code != terminal.Found || !strings.Contains(out, "6 were not selected and stay: `throughline dlq failed` shows the groups and causes") {
		t.Errorf("%d %s", code, out)
	}
	// What is not selected stays, and is shown again.
	if out, code := s.run("redrive", "failed", "--message", "order-3", "--yes", "--journal", s.file("j")); code != 0 || !strings.Contains(out, "5 were not selected and stay") || len(s.invoked) != 1 {
		t.Errorf("%d %s", code, out)
	}
	if visible, hidden, _ := q.Count(); visible != 5 || hidden != 0 {
		t.Errorf("%d visible, %d hidden when it ended", visible, hidden)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	s.letter(q, `{"event_id":"trade-1"}`)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"NoQueue":    {[]string{"nowhere"}, terminal.CouldNot, "there is no queue nowhere"},
		"Hide":       {[]string{"failed", "--hide", "13h"}, terminal.Misused, "--hide must be from 1s to 12h"},
		"By":         {[]string{"failed", "--by", "colour"}, terminal.Misused, "give some of cause, function"},
		"Max":        {[]string{"failed", "--max", "0"}, terminal.Misused, "--max"},
		"NoSelector": {[]string{"redrive", "failed", "--yes"}, terminal.Misused, "select messages"},
		"Both":       {[]string{"redrive", "failed", "--yes", "--all", "--cause", "x"}, terminal.Misused, "select messages"},
		"Neither":    {[]string{"redrive", "failed", "--all"}, terminal.Misused, "run it with --dry-run first"},
		"To":         {[]string{"redrive", "failed", "--all", "--yes", "--to", "moon"}, terminal.Misused, "is not a destination"},
		"Rate":       {[]string{"redrive", "failed", "--all", "--yes", "--rate", "-1"}, terminal.Misused, "--rate"},
		"Nothing":    {[]string{"redrive", "failed", "--cause", "x", "--yes", "--journal", s.file("j")}, terminal.Found, "0 messages of failed sent"},
		"Itself":     {[]string{"redrive", "failed", "--all", "--yes", "--to", "queue:failed", "--journal", s.file("j")}, terminal.Found, "the destination is the dead-letter queue itself"},
		"Absent":     {[]string{"redrive", "failed", "--all", "--yes", "--to", "queue:nowhere", "--journal", s.file("j")}, terminal.Found, "there is no queue nowhere"},
		"Journal":    {[]string{"redrive", "failed", "--all", "--yes", "--journal", "stand_test.go"}, terminal.CouldNot, "is not a journal's line"},
	} {
		if out, code := s.run(c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
	for _, args := range [][]string{{"policy"}, {"policy", "--write"}} {
		var out strings.Builder
		cmd := New(nil, nil)
		cmd.SetArgs(args)
		cmd.SetOut(&out)
		if err := cmd.Execute(); err != nil || !json.Valid([]byte(out.String())) {
			t.Errorf("%v %s", err, out.String())
		}
	}
	// A queue whose own redrive policy would move what is received.
	dead := s.queue("deader", "")
	if err := q.Set(map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, dead.ARN())}); err != nil {
		t.Fatal(err)
	}
	if out, code := s.run("failed"); code != terminal.Found || !strings.Contains(out, "move to") {
		t.Errorf("%d %s", code, out)
	}
}

// TestShowWithoutMessages holds what is said of an empty queue, and of one whose messages
// other consumers have.
func TestShowWithoutMessages(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "")
	for _, held := range []int{0, 1} {
		for _, id := range [][]string{nil, {"trade-1"}} {
			if out, code := s.run(append([]string{"show", "failed"}, id...)...); code != terminal.Found || !strings.Contains(out, fmt.Sprintf("failed has no message that can be received now (%d in flight)", held)) {
				t.Errorf("%d %s", code, out)
			}
		}
		s.letter(q, `{"event_id":"trade-1"}`)
		if _, err := q.Receive(t.Context(), sqslocal.Receive{Max: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRefusedCopiesStay holds that what the target refuses stays in the queue.
func TestRefusedCopiesStay(t *testing.T) {
	s := newStand(t)
	q := s.queue("failed", "trades")
	for i := range 45 {
		s.letter(q, fmt.Sprintf(`{"event_id":"trade-%d"}`, i))
	}
	s.refuse = func(r *http.Request) bool { return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "SendMessageBatch") }
	out, code := s.run("redrive", "failed", "--all", "--yes", "--rate", "0", "--journal", s.file("j"))
	if code != terminal.Found || !strings.Contains(out, "0 messages of failed sent") || !strings.Contains(out, "30 messages in a row were not accepted") || !strings.Contains(out, "AccessDenied") {
		t.Errorf("%d %s", code, out)
	}
	if visible, hidden, _ := q.Count(); visible != 45 || hidden != 0 {
		t.Errorf("%d visible, %d hidden when it ended", visible, hidden)
	}
}
