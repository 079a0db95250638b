package buslocal

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// consumer is the function behind a queue.
type consumer struct {
	mu      sync.Mutex
	batches [][]sqsRecord
	fail    func(r sqsRecord) bool
}

type sqsRecord struct {
	MessageID      string `json:"messageId"`
	ReceiptHandle  string `json:"receiptHandle"`
	Body           string `json:"body"`
	Attributes     map[string]string
	EventSource    string `json:"eventSource"`
	EventSourceARN string `json:"eventSourceARN"`
}

func (c *consumer) consume(_ context.Context, payload []byte, ids []string) (failed []string) {
	var batch struct{ Records []sqsRecord }
	if json.Unmarshal(payload, &batch) != nil || len(batch.Records) != len(ids) {
		return ids
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches = append(c.batches, batch.Records)
	for _, r := range batch.Records {
		if c.fail != nil && c.fail(r) {
			failed = append(failed, r.MessageID)
		}
	}
	return failed
}

func (c *consumer) records() (all []sqsRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		all = append(all, b...)
	}
	return all
}

func TestQueueHandsOnRecordsAsLambdaGetsThem(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	c := &consumer{}
	q := &Queue{QueueName: "plans", Consume: c.consume}
	b, url := start(t, Options{}, RuleTarget{Target: q})
	q.Bus = b
	put(t, url, body(spaced), "X-Amzn-Trace-Id", header)
	settle(t, b)
	r := c.records()[0]
	if r.Body != string(b.Ledger().Published[0].Envelope) || r.EventSource != "aws:sqs" || !strings.HasSuffix(r.EventSourceARN, ":plans") || r.ReceiptHandle == "" {
		t.Errorf("record %+v", r)
	}
	if r.Attributes["ApproximateReceiveCount"] != "1" || r.Attributes["AWSTraceHeader"] != header || r.Attributes["SentTimestamp"] == "" {
		t.Errorf("attributes %v", r.Attributes)
	}
}

func TestQueueReceivesAgainWhatFailedAndNothingElse(t *testing.T) {
	c := &consumer{fail: func(r sqsRecord) bool {
		return strings.Contains(r.Body, `"n":2`) && r.Attributes["ApproximateReceiveCount"] == "1"
	}}
	q := &Queue{QueueName: "plans", Consume: c.consume, BatchSize: 10, Visibility: time.Millisecond}
	b, _ := start(t, Options{})
	q.Bus = b
	for _, n := range []string{"1", "2", "3"} {
		q.Send(`{"n":`+n+`}`, "", nil)
	}
	settle(t, b)
	counts := map[string]int{}
	for _, r := range c.records() {
		counts[r.Body]++
	}
	if counts[`{"n":1}`] != 1 || counts[`{"n":2}`] != 2 || counts[`{"n":3}`] != 1 {
		t.Errorf("receives %v", counts)
	}
	failed := 0
	for _, r := range b.Ledger().Receipts {
		if r.Failed {
			failed++
			if r.ReceiveCount != 1 {
				t.Errorf("receipt %+v", r)
			}
		}
	}
	if failed != 1 || len(b.Ledger().Receipts) != 4 {
		t.Errorf("the ledger knows of %d receipts, %d failed", len(b.Ledger().Receipts), failed)
	}
}

func TestQueueDeadLettersAndIsRedriven(t *testing.T) {
	dead := &DeadLetters{}
	broken := true
	c := &consumer{fail: func(sqsRecord) bool { return broken }}
	q := &Queue{QueueName: "plans", Consume: c.consume, MaxReceives: 2, Visibility: time.Microsecond, DeadLetter: dead}
	b, url := start(t, Options{}, RuleTarget{Target: q})
	q.Bus = b
	put(t, url, body(spaced))
	settle(t, b)
	if len(c.records()) != 2 || len(dead.Messages()) != 1 {
		t.Fatalf("%d receives, %d dead letters", len(c.records()), len(dead.Messages()))
	}
	broken = false
	letter := dead.Messages()[0]
	q.Send(letter.Body, letter.TraceHeader, letter.Event)
	settle(t, b)
	last := c.records()[2]
	if last.Attributes["ApproximateReceiveCount"] != "1" || last.Body != letter.Body {
		t.Errorf("redriven %+v", last)
	}
}

func TestTopicNotifiesFunctionsAndQueues(t *testing.T) {
	in, raw, wrapped := &recorder{name: "f"}, &consumer{}, &consumer{}
	rawQueue, wrappedQueue := &Queue{QueueName: "raw", Consume: raw.consume}, &Queue{QueueName: "wrapped", Consume: wrapped.consume}
	b, url := start(t, Options{}, RuleTarget{Target: &Topic{TopicName: "hedges", Subscribers: []Target{in, wrappedQueue}}},
		RuleTarget{Target: &Topic{TopicName: "rawhedges", Subscribers: []Target{rawQueue}, Raw: true}})
	rawQueue.Bus, wrappedQueue.Bus = b, b
	put(t, url, body(spaced))
	settle(t, b)
	envelope := string(b.Ledger().Published[0].Envelope)
	var record struct {
		Records []struct {
			EventSource string
			Sns         struct{ Type, Message, TopicArn string }
		}
	}
	if err := json.Unmarshal(in.messages()[0].Payload, &record); err != nil {
		t.Fatal(err)
	}
	if r := record.Records[0]; r.EventSource != "aws:sns" || r.Sns.Type != "Notification" || r.Sns.Message != envelope || !strings.HasSuffix(r.Sns.TopicArn, ":hedges") {
		t.Errorf("record %+v", r)
	}
	var notice struct{ Type, Message string }
	if err := json.Unmarshal([]byte(wrapped.records()[0].Body), &notice); err != nil || notice.Message != envelope {
		t.Errorf("body %s", wrapped.records()[0].Body)
	}
	if got := raw.records()[0].Body; got != envelope {
		t.Errorf("raw body %s", got)
	}
}

func TestFunctionTarget(t *testing.T) {
	var got string
	f := Function{FunctionName: "portfolio", Invoke: func(_ context.Context, payload []byte, header string) error {
		got = string(payload) + header
		return nil
	}}
	if err := f.Deliver(t.Context(), Message{Payload: []byte("p"), TraceHeader: "h"}); err != nil || got != "ph" || f.Name() != "portfolio" {
		t.Errorf("got %q, %v", got, err)
	}
}
