package sqslocal

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Mapping is an event source mapping of Lambda: it polls a queue, invokes a
// function with a batch of records, deletes handled messages, and leaves the rest
// in the queue. The redrive policy moves messages that fail too often.
type Mapping struct {
	Queue *Queue
	// Consume invokes the function with the event and returns the IDs of the
	// messages of the batch that failed. Required. It may be called from several
	// goroutines at once.
	Consume   func(ctx context.Context, event []byte, ids []string) (failed []string)
	BatchSize int // zero: 1; at most 10
	// Concurrency is how many batches may be handled at once. Zero: 1. Messages
	// of one group of a FIFO queue are never handled at once.
	Concurrency int
	// Retry is when a failed message is visible again. Zero: after its visibility
	// timeout, as in Lambda; for tests, that is usually too long.
	Retry time.Duration
	// Attempts is how often a message may fail: then it is deleted and GaveUp is called.
	// Zero: no limit, as in Lambda. It does not apply to a queue with a redrive policy.
	Attempts int
	// GaveUp is called with each message that reaches Attempts. It may be called from
	// several goroutines at once. Nil: not called.
	GaveUp func(Message)
}

// Run polls until ctx ends or the service is closed, and returns once all batches
// have been handled.
func (m Mapping) Run(ctx context.Context) {
	var pollers sync.WaitGroup
	for range max(1, m.Concurrency) {
		pollers.Go(func() {
			for ctx.Err() == nil && m.Queue.service.ctx.Err() == nil {
				if !m.poll(ctx) {
					return
				}
			}
		})
	}
	pollers.Wait()
}

func (m Mapping) poll(ctx context.Context) bool {
	batch, err := m.Queue.Receive(ctx, Receive{Max: m.BatchSize, Wait: 20 * time.Second, Attributes: []string{"All"}, Messages: []string{"All"}})
	if err != nil {
		return false
	}
	if len(batch) == 0 {
		return true
	}
	event, ids := m.Queue.Event(batch)
	failed := m.Consume(ctx, event, ids)
	for _, message := range batch {
		switch { // both have no effect if the visibility timeout has passed
		case !slices.Contains(failed, message.MessageID):
			_ = m.Queue.Delete(message.ReceiptHandle)
		case m.endless(message):
			_ = m.Queue.Delete(message.ReceiptHandle)
			if m.GaveUp != nil {
				m.GaveUp(message)
			}
		case m.Retry > 0:
			_ = m.Queue.ChangeVisibility(message.ReceiptHandle, m.Retry)
		}
	}
	return true
}

// endless reports whether a message has failed Attempts times and no redrive policy
// applies.
func (m Mapping) endless(message Message) bool {
	received, err := strconv.Atoi(message.Attributes["ApproximateReceiveCount"])
	return m.Attempts > 0 && err == nil && received >= m.Attempts && m.Queue.Attributes()["RedrivePolicy"] == ""
}

// record is a message in a function's event (AWS Lambda developer guide, "Using
// Lambda with Amazon SQS").
type record struct {
	MessageID              string                     `json:"messageId"`
	ReceiptHandle          string                     `json:"receiptHandle"`
	Body                   string                     `json:"body"`
	Attributes             map[string]string          `json:"attributes"`
	MessageAttributes      map[string]recordAttribute `json:"messageAttributes"`
	MD5OfMessageAttributes *string                    `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string                     `json:"md5OfBody"`
	EventSource            string                     `json:"eventSource"`
	EventSourceARN         string                     `json:"eventSourceARN"`
	Region                 string                     `json:"awsRegion"`
}

type recordAttribute struct {
	StringValue  *string    `json:"stringValue,omitempty"`
	BinaryValue  []byte     `json:"binaryValue,omitempty"`
	StringValues []struct{} `json:"stringListValues"`
	BinaryValues []struct{} `json:"binaryListValues"`
	DataType     string     `json:"dataType"`
}

// Event returns the event of a function for a batch, and the messages' IDs.
func (q *Queue) Event(batch []Message) (event []byte, ids []string) {
	records := make([]record, len(batch))
	for i, m := range batch {
		ids = append(ids, m.MessageID)
		records[i] = record{
			MessageID: m.MessageID, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Attributes: m.Attributes, MD5OfBody: m.MD5OfBody,
			EventSource: "aws:sqs", EventSourceARN: q.ARN(), Region: q.service.options.Region, MessageAttributes: map[string]recordAttribute{},
		}
		if m.MD5OfMessageAttributes != "" {
			records[i].MD5OfMessageAttributes = &m.MD5OfMessageAttributes
		}
		for name, a := range m.MessageAttributes {
			records[i].MessageAttributes[name] = recordAttribute{a.StringValue, a.BinaryValue, []struct{}{}, []struct{}{}, a.DataType}
		}
	}
	event, _ = json.Marshal(map[string]any{"Records": records}) // strings and bytes always marshal
	return event, ids
}
