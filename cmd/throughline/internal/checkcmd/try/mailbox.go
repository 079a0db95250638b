package try

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/read"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/internal/lineage"
)

// mailbox receives check's events from a dead-letter queue. It deletes their messages,
// and makes other messages visible again.
type mailbox struct {
	*Trials
	queue     system.Queue
	published map[string]bool // the event IDs that PutEvents returned
	others    []string        // receipt handles
}

// look receives once, and returns the first of check's messages, or nil.
func (m *mailbox) look(ctx context.Context) (*system.Letter, error) {
	const most, hidden = 10, 60 // messages; seconds
	answer, err := m.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &m.queue.URL, MaxNumberOfMessages: most, VisibilityTimeout: hidden, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", arn.Name(m.queue.ARN), err)
	}
	var found *system.Letter
	for _, message := range answer.Messages {
		var envelope struct{ ID string }
		_ = json.Unmarshal([]byte(aws.ToString(message.Body)), &envelope) // a message that is not an event is not check's
		if !m.published[envelope.ID] {
			m.others = append(m.others, aws.ToString(message.ReceiptHandle))
			continue
		}
		l := read.Letter(lineage.NewReader(lineage.Config{}), aws.ToString(message.Body), func(name string) string {
			return aws.ToString(message.MessageAttributes[name].StringValue)
		})
		l.EventID = envelope.ID
		if _, err := m.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &m.queue.URL, ReceiptHandle: message.ReceiptHandle}); err != nil {
			return nil, fmt.Errorf("delete %s from %s: %w", envelope.ID, arn.Name(m.queue.ARN), err)
		}
		m.recordChange("received %s from %s and deleted it", envelope.ID, arn.Name(m.queue.ARN))
		if found == nil {
			found = &l
		}
	}
	return found, nil
}

// release makes other messages visible again.
func (m *mailbox) release(ctx context.Context) {
	const batch, patience = 10, 30 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for i := 0; i < len(m.others); i += batch {
		input := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &m.queue.URL}
		for n, receipt := range m.others[i:min(i+batch, len(m.others))] {
			input.Entries = append(input.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(fmt.Sprintf("m%d", n)), ReceiptHandle: &receipt})
		}
		if _, err := m.sqs.ChangeMessageVisibilityBatch(ctx, input); err != nil {
			m.account.Note("other messages in %s stay invisible for a minute: %v", arn.Name(m.queue.ARN), err)
			return
		}
	}
}
