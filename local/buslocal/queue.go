package buslocal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/recent"
)

// Queue is a target like an SQS queue with an event source mapping: it sends
// batches of records to one consumer, delivers failed messages again with a higher
// receive count, and moves messages that fail too often to the dead-letter queue.
// Set its exported fields before its first use. A Queue must not be copied.
type Queue struct {
	QueueName string
	// Consume handles one batch and returns the IDs of the messages that failed:
	// payload is the batch of records, ids are the IDs of its messages. Required.
	Consume     func(ctx context.Context, payload []byte, ids []string) (failed []string)
	BatchSize   int           // zero: 1
	MaxReceives int           // zero: 3
	Visibility  time.Duration // until a failed message is visible again; zero: 10 ms
	DeadLetter  *DeadLetters
	Bus         *Bus // has the ledger, and its Wait waits for the queue. Required.

	mu       sync.Mutex
	messages []*message
	running  bool
}

type message struct {
	id, body, traceHeader string
	event                 *Event
	receives              int
	sent, first, visible  time.Time
}

// Name implements Target.
func (q *Queue) Name() string { return q.QueueName }

// ARN returns the queue's ARN.
func (q *Queue) ARN() string { return "arn:aws:sqs:us-east-1:123456789012:" + q.QueueName }

// Deliver implements Target.
func (q *Queue) Deliver(_ context.Context, m Message) error {
	q.Send(string(m.Payload), m.TraceHeader, m.Event)
	return nil
}

// Send puts a message into the queue, as a manual redrive does. event may be nil.
func (q *Queue) Send(body, traceHeader string, event *Event) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = append(q.messages, &message{id: newID(), body: body, traceHeader: traceHeader, event: event, sent: now, visible: now})
	if !q.running {
		q.running = true
		q.Bus.pending.add(1)
		go q.run()
	}
}

// run polls until the queue is empty.
func (q *Queue) run() {
	defer q.Bus.pending.add(-1)
	for {
		batch, wait, empty := q.receive()
		switch {
		case empty || q.Bus.ctx.Err() != nil:
			return
		case len(batch) == 0:
			q.Bus.sleep(wait)
		default:
			q.handle(batch)
		}
	}
}

// receive returns the visible messages of one batch; wait is the time until the next is visible.
func (q *Queue) receive() (batch []*message, wait time.Duration, empty bool) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == 0 || q.Bus.ctx.Err() != nil {
		q.running = false
		return nil, 0, true
	}
	wait = time.Hour
	for _, m := range q.messages {
		if until := m.visible.Sub(now); until > 0 {
			wait = min(wait, until)
		} else if len(batch) < max(1, q.BatchSize) {
			batch = append(batch, m)
		}
	}
	for _, m := range batch {
		m.receives++
		if m.first.IsZero() {
			m.first = now
		}
	}
	return batch, wait, false
}

func (q *Queue) handle(batch []*message) {
	records := make([]map[string]any, len(batch))
	ids := make([]string, len(batch))
	for i, m := range batch {
		ids[i], records[i] = m.id, q.record(m)
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	failed := ids
	if err == nil {
		failed = q.Consume(q.Bus.ctx, payload, ids)
	}
	at := q.Bus.options.Now()
	q.Bus.mu.Lock()
	for _, m := range batch {
		q.Bus.ledger.Receipts, _ = recent.Append(q.Bus.ledger.Receipts, q.Bus.options.Keep, Receipt{
			Queue: q.QueueName, MessageID: m.id, Body: m.body, Event: m.event, ReceiveCount: m.receives, At: at, Failed: slices.Contains(failed, m.id),
		})
		q.Bus.ledger.Total.Receipts++
	}
	q.Bus.mu.Unlock()
	q.settle(batch, failed)
}

// settle deletes handled messages, makes failed ones visible again, and moves those
// that failed too often to the dead-letter queue.
func (q *Queue) settle(batch []*message, failed []string) {
	visibility := cmp.Or(q.Visibility, 10*time.Millisecond)
	most := cmp.Or(q.MaxReceives, 3)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range batch {
		gone := true
		switch {
		case !slices.Contains(failed, m.id):
		case m.receives >= most:
			q.DeadLetter.add(DeadLetter{Body: m.body, TraceHeader: m.traceHeader, Event: m.event, Attributes: map[string]string{}})
		default:
			gone = false
			m.visible = time.Now().Add(visibility)
		}
		if gone {
			q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
		}
	}
}

// record returns one message as in the events of Lambda's event source mapping
// (Lambda developer guide, "Using Lambda with Amazon SQS").
func (q *Queue) record(m *message) map[string]any {
	attributes := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"SenderId":                         "AIDALOCAL",
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	if m.traceHeader != "" {
		attributes["AWSTraceHeader"] = m.traceHeader
	}
	return map[string]any{
		"messageId": m.id, "receiptHandle": fmt.Sprintf("%s#%d", m.id, m.receives), "body": m.body, "attributes": attributes,
		"messageAttributes": map[string]any{}, "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": q.ARN(), "awsRegion": "us-east-1",
	}
}
