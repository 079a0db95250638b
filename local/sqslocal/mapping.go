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
// function with a batch of records, deletes what was handled, and leaves the
// rest in the queue, from where the redrive policy takes what failed too often.
type Mapping struct {
	Queue *Queue
	// Consume invokes the function with the event and returns the IDs of the
	// messages that it left, of those that the batch has. Required. It may be
	// called from several goroutines at once.
	Consume   func(ctx context.Context, event []byte, ids []string) (failed []string)
	BatchSize int // zero: 1; at most 10
	// Concurrency is how many batches may be handled at once. Zero: 1. Messages
	// of one group of a FIFO queue are never handled at once.
	Concurrency int
	// Retry is when a message that was left comes again. Zero: when its visibility
	// timeout has passed, as Lambda leaves it; tests rarely wait for so long.
	Retry time.Duration
	// Attempts is how often a message is left at most: then it is deleted and GaveUp is
	// told. Zero: as often as the queue keeps it, as Lambda has it. A queue with a redrive
	// policy is left to that.
	Attempts int
	// GaveUp is told of each message that Attempts ends. It may be called from several
	// goroutines at once. Nil: not.
	GaveUp func(Message)
}

// Run polls until ctx ends or the service is closed, and returns once no batch
// is being handled any more.
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
		switch { // either is too late where the visibility timeout has passed
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

// endless says whether a message was left as often as it may be, and no redrive policy
// takes it.
func (m Mapping) endless(message Message) bool {
	received, err := strconv.Atoi(message.Attributes["ApproximateReceiveCount"])
	return m.Attempts > 0 && err == nil && received >= m.Attempts && m.Queue.Attributes()["RedrivePolicy"] == ""
}

// record is a message as a function gets it (AWS Lambda developer guide, "Using
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

// Event is the event that a function gets of a batch, and the messages' IDs.
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
