package dlqcmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

func isURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

func isFIFO(url string) bool { return strings.HasSuffix(url, ".fifo") }

// queue is a dead-letter queue of the account. It implements redrive.Queue.
type queue struct {
	client *sqs.Client
	owners *owners
	hide   time.Duration
	wait   int32

	URL      string
	ARN      string
	Name     string
	Messages int // the approximate number of messages, invisible ones included
	hidden   int
	keeps    time.Duration // the retention period of messages
	moves    string        // the target of its own redrive policy; "" without one
	sources  []string      // ARNs of the queues that use it as a dead-letter queue
}

// openQueue opens a queue by its name, URL or ARN.
func openQueue(ctx context.Context, client *sqs.Client, owners *owners, name string, hide time.Duration, wait int32) (*queue, error) {
	q := &queue{client: client, owners: owners, hide: hide, wait: wait, URL: name}
	if !isURL(name) {
		url, err := urlOf(ctx, client, name)
		if err != nil {
			return nil, err
		}
		q.URL = url
	}
	if err := q.describe(ctx); err != nil {
		return nil, err
	}
	pages := sqs.NewListDeadLetterSourceQueuesPaginator(client, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &q.URL})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			if account.ErrorCode(err) == "" {
				return nil, fmt.Errorf("list the queues that use the dead-letter queue %s: %w", q.Name, err)
			}
			owners.note("which queues use the dead-letter queue %s is not known: %s", q.Name, account.ErrorCode(err))
			break
		}
		for _, url := range page.QueueUrls {
			q.sources = append(q.sources, q.ARN[:strings.LastIndexByte(q.ARN, ':')+1]+url[strings.LastIndexByte(url, '/')+1:])
		}
	}
	return q, nil
}

// urlOf returns the URL of a queue by its name or ARN.
func urlOf(ctx context.Context, client *sqs.Client, name string) (string, error) {
	input := &sqs.GetQueueUrlInput{QueueName: aws.String(arn.Name(name))}
	if of := arn.Account(name); of != "" {
		input.QueueOwnerAWSAccountId = &of
	}
	answer, err := client.GetQueueUrl(ctx, input)
	var absent *types.QueueDoesNotExist
	switch {
	case errors.As(err, &absent) || strings.Contains(account.ErrorCode(err), "NonExistentQueue"):
		if at := client.Options().BaseEndpoint; at != nil {
			return "", fmt.Errorf("there is no queue %s at %s", arn.Name(name), *at)
		}
		return "", fmt.Errorf("there is no queue %s: `aws sqs list-queues` lists those of the Region", arn.Name(name))
	case err != nil:
		return "", fmt.Errorf("find the queue %s: %w", arn.Name(name), err)
	}
	return aws.ToString(answer.QueueUrl), nil
}

// describe reads the queue's attributes.
func (q *queue) describe(ctx context.Context) error {
	answer, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return fmt.Errorf("read the queue %s: %w", q.URL, err)
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(answer.Attributes[name]) // a missing attribute is 0
		return n
	}
	q.ARN = answer.Attributes["QueueArn"]
	q.Name = arn.Name(q.ARN)
	q.hidden = number("ApproximateNumberOfMessagesNotVisible")
	q.Messages = number("ApproximateNumberOfMessages") + q.hidden + number("ApproximateNumberOfMessagesDelayed")
	q.keeps = time.Duration(number("MessageRetentionPeriod")) * time.Second
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
	}
	_ = json.Unmarshal([]byte(answer.Attributes["RedrivePolicy"]), &policy) // without a policy there is no target
	q.moves = policy.Target
	return nil
}

// Receive implements redrive.Queue.
func (q *queue) Receive(ctx context.Context, most int) ([]deadletter.Letter, error) {
	answer, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.URL, MaxNumberOfMessages: int32(most), VisibilityTimeout: int32(q.hide.Seconds()), WaitTimeSeconds: q.wait,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", q.Name, err)
	}
	letters := make([]deadletter.Letter, 0, len(answer.Messages))
	for i := range answer.Messages {
		l := deadletter.Read(message(&answer.Messages[i]))
		if len(q.sources) == 1 {
			l.From(q.sources[0])
		}
		q.owners.complete(ctx, &l, q.ARN)
		letters = append(letters, l)
	}
	return letters, nil
}

func message(m *types.Message) deadletter.Message {
	d := deadletter.Message{ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), System: m.Attributes}
	for name, a := range m.MessageAttributes {
		if d.Attributes == nil {
			d.Attributes = map[string]deadletter.Attribute{}
		}
		d.Attributes[name] = deadletter.Attribute{Type: aws.ToString(a.DataType), String: aws.ToString(a.StringValue), Binary: a.BinaryValue}
	}
	return d
}

// batch is SQS's limit of messages in one call.
const batch = 10

// Delete implements redrive.Queue.
func (q *queue) Delete(ctx context.Context, letters []deadletter.Letter) ([]deadletter.Letter, error) {
	var deleted []deadletter.Letter
	for from := 0; from < len(letters); from += batch {
		part := letters[from:min(len(letters), from+batch)]
		input := &sqs.DeleteMessageBatchInput{QueueUrl: &q.URL}
		for i, l := range part {
			input.Entries = append(input.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &l.Receipt})
		}
		answer, err := q.client.DeleteMessageBatch(ctx, input)
		if err != nil {
			return deleted, fmt.Errorf("delete from %s: %w", q.Name, err)
		}
		for _, done := range answer.Successful {
			if i, err := strconv.Atoi(aws.ToString(done.Id)); err == nil && i >= 0 && i < len(part) {
				deleted = append(deleted, part[i])
			}
		}
		if len(answer.Failed) > 0 {
			f := answer.Failed[0]
			return deleted, fmt.Errorf("delete from %s: %s was not deleted: %s; its copy was accepted, and the journal records it: run the command again", q.Name, phrase.Count(len(answer.Failed), "message"), cmp.Or(aws.ToString(f.Message), aws.ToString(f.Code)))
		}
	}
	return deleted, nil
}

// Release implements redrive.Queue. Messages that it cannot make visible become visible
// after their visibility timeout.
func (q *queue) Release(ctx context.Context, letters []deadletter.Letter) error {
	for from := 0; from < len(letters); from += batch {
		part := letters[from:min(len(letters), from+batch)]
		input := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL}
		for i, l := range part {
			input.Entries = append(input.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &l.Receipt, VisibilityTimeout: 0})
		}
		if _, err := q.client.ChangeMessageVisibilityBatch(ctx, input); err != nil {
			return fmt.Errorf("make messages of %s visible again: %w; they become visible within %s", q.Name, err, q.hide)
		}
	}
	return nil
}

// Hidden implements redrive.Queue.
func (q *queue) Hidden(ctx context.Context) (int, error) {
	err := q.describe(ctx)
	return q.hidden, err
}
