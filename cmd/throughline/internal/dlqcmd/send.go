package dlqcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/throughline/throughline/cmd/throughline/internal/redrive"
)

// sender sends copies in an account. It implements redrive.Sender.
type sender struct {
	sqs    *sqs.Client
	lambda *lambda.Client
	sns    *sns.Client
	events *eventbridge.Client
	urls   map[string]string // URLs of queues, by name or ARN
	avoid  string            // the URL of the dead-letter queue itself
}

func newSender(cfg aws.Config, dead *queue) *sender {
	return &sender{sqs: dead.client, lambda: lambda.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg), events: eventbridge.NewFromConfig(cfg), urls: map[string]string{}, avoid: dead.URL}
}

// Send implements redrive.Sender.
func (s *sender) Send(ctx context.Context, items []redrive.Item) []redrive.Result {
	results := make([]redrive.Result, len(items))
	switch to := items[0].To; to.Kind {
	case "queue":
		s.toQueue(ctx, to.Name, items, results)
	case "bus":
		s.toBus(ctx, to.Name, items, results)
	default:
		for i, item := range items {
			if to.Kind == "function" {
				results[i] = s.invoke(ctx, item)
			} else {
				results[i] = s.publish(ctx, item)
			}
		}
	}
	return results
}

// failed returns the result of a failed call. Without a response from AWS, and after an
// internal error of AWS, the copy may have been accepted.
func failed(err error) redrive.Result {
	api, answered := errors.AsType[smithy.APIError](err)
	return redrive.Result{Err: err, Unsure: !answered || api.ErrorFault() == smithy.FaultServer}
}

func failAll(results []redrive.Result, r redrive.Result) {
	for i := range results {
		results[i] = r
	}
}

// most is the largest total size of a call's messages or entries in bytes. The limit of
// SQS and EventBridge is 1 MiB; the rest is room for what they count differently.
const most = 1_000_000

// chunks calls send with as many items as fit into one call.
func chunks(items []redrive.Item, results []redrive.Result, send func([]redrive.Item, []redrive.Result)) {
	from, weight := 0, 0
	for i, item := range items {
		w := weigh(item)
		if i > from && (i-from == batch || weight+w > most) {
			send(items[from:i], results[from:i])
			from, weight = i, 0
		}
		weight += w
	}
	send(items[from:], results[from:])
}

func weigh(item redrive.Item) int {
	n := len(item.Body)
	for name, a := range item.Attributes {
		n += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return n
}

func (s *sender) toQueue(ctx context.Context, name string, items []redrive.Item, results []redrive.Result) {
	url, err := s.url(ctx, name)
	if err != nil {
		failAll(results, redrive.Result{Err: err})
		return
	}
	chunks(items, results, func(items []redrive.Item, results []redrive.Result) {
		input := &sqs.SendMessageBatchInput{QueueUrl: &url}
		for i, item := range items {
			input.Entries = append(input.Entries, entry(strconv.Itoa(i), url, item))
		}
		answer, err := s.sqs.SendMessageBatch(ctx, input)
		if err != nil {
			failAll(results, failed(err))
			return
		}
		failAll(results, redrive.Result{Err: errors.New("the response of SQS does not mention it"), Unsure: true})
		at := func(id *string) *redrive.Result {
			if i, err := strconv.Atoi(aws.ToString(id)); err == nil && i >= 0 && i < len(results) {
				return &results[i]
			}
			return &redrive.Result{}
		}
		for _, done := range answer.Successful {
			*at(done.Id) = redrive.Result{ID: aws.ToString(done.MessageId)}
		}
		for _, f := range answer.Failed {
			*at(f.Id) = redrive.Result{Err: fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))}
		}
	})
}

// url returns the URL of a queue by its name, ARN or URL.
func (s *sender) url(ctx context.Context, name string) (string, error) {
	url, known := s.urls[name]
	if !known {
		var err error
		if url = name; !isURL(name) {
			if url, err = urlOf(ctx, s.sqs, name); err != nil {
				return "", err
			}
		}
		s.urls[name] = url
	}
	if url == s.avoid {
		return "", errors.New("the destination is the dead-letter queue itself")
	}
	return url, nil
}

func entry(id, url string, item redrive.Item) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(string(item.Body)), MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, a := range item.Attributes {
		value := types.MessageAttributeValue{DataType: aws.String(a.Type), BinaryValue: a.Binary}
		if a.Binary == nil {
			value.StringValue = aws.String(a.String)
		}
		e.MessageAttributes[name] = value
	}
	if item.TraceHeader != "" {
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &item.TraceHeader},
		}
	}
	if isFIFO(url) {
		e.MessageGroupId = aws.String(cmp.Or(item.Group, "redrive"))
		e.MessageDeduplicationId = &item.Deduplication
	}
	return e
}

// invoke invokes a function asynchronously with the payload, as EventBridge, SNS and
// Lambda do.
func (s *sender) invoke(ctx context.Context, item redrive.Item) redrive.Result {
	answer, err := s.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &item.To.Name, InvocationType: lambdatypes.InvocationTypeEvent, Payload: item.Body}, func(o *lambda.Options) {
		if item.TraceHeader != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amzn-Trace-Id", item.TraceHeader))
		}
	})
	if err != nil {
		return failed(err)
	}
	const accepted = 202
	if answer.StatusCode != accepted {
		return redrive.Result{Err: fmt.Errorf("status %d from Lambda, not 202", answer.StatusCode)}
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(answer.ResultMetadata)
	return redrive.Result{ID: id}
}

func (s *sender) publish(ctx context.Context, item redrive.Item) redrive.Result {
	answer, err := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: &item.To.Name, Message: aws.String(string(item.Body))})
	if err != nil {
		return failed(err)
	}
	return redrive.Result{ID: aws.ToString(answer.MessageId)}
}

func (s *sender) toBus(ctx context.Context, name string, items []redrive.Item, results []redrive.Result) {
	chunks(items, results, func(items []redrive.Item, results []redrive.Result) {
		input := &eventbridge.PutEventsInput{}
		for _, item := range items {
			e := eventbridgetypes.PutEventsRequestEntry{Source: &item.Entry.Source, DetailType: &item.Entry.Type, Detail: &item.Entry.Detail, Resources: item.Entry.Resources, EventBusName: &name}
			if item.TraceHeader != "" {
				e.TraceHeader = &item.TraceHeader
			}
			if !item.Entry.Time.IsZero() {
				e.Time = &item.Entry.Time
			}
			input.Entries = append(input.Entries, e)
		}
		answer, err := s.events.PutEvents(ctx, input)
		if err != nil {
			failAll(results, failed(err))
			return
		}
		failAll(results, redrive.Result{Err: errors.New("the response of EventBridge does not mention it"), Unsure: true})
		for i, done := range answer.Entries[:min(len(results), len(answer.Entries))] {
			results[i] = redrive.Result{ID: aws.ToString(done.EventId)}
			if code := aws.ToString(done.ErrorCode); code != "" {
				results[i] = redrive.Result{Err: fmt.Errorf("%s: %s", code, aws.ToString(done.ErrorMessage))}
			}
		}
	})
}
