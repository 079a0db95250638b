package dlqcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
)

// owners find out of the account what messages do not tell: which function has a queue for
// its dead letters, which function reads a queue, which subscription of a topic it is of. Each
// is asked once. What the account refuses to say is noted, and left out.
type owners struct {
	lambda *lambda.Client
	sns    *sns.Client
	tell   func(format string, args ...any) // a note; told once

	functions map[string][]string // by the ARN of a dead-letter queue
	readers   map[string][]string // by the ARN of a queue
	endpoints map[string][]string // of subscriptions, by topic and dead-letter queue
	told      map[string]bool
}

func newOwners(cfg aws.Config, tell func(string, ...any)) *owners {
	return &owners{lambda: lambda.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg), tell: tell, readers: map[string][]string{}, endpoints: map[string][]string{}, told: map[string]bool{}}
}

func (o *owners) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !o.told[text] {
		o.told[text] = true
		o.tell("%s", text)
	}
}

// refused notes an answer that AWS refused; where no answer came it is the error.
func (o *owners) refused(what string, err error) error {
	if code := account.ErrorCode(err); code != "" {
		o.note("%s is not known: %s", what, code)
		return nil
	}
	return fmt.Errorf("find out %s: %w", what, err)
}

// complete adds to a letter what the account tells of it.
func (o *owners) complete(ctx context.Context, l *deadletter.Letter, queue string) error {
	switch l.Kind {
	case deadletter.OfFunction:
		of, err := o.buryingIn(ctx, queue)
		if err == nil && len(of) == 1 {
			l.By(of[0])
		} else if len(of) > 1 {
			o.note("%s bury in %s, and their messages do not say of which they are: name one with --to function:NAME", strings.Join(of, ", "), arn.Name(queue))
		}
		return err
	case deadletter.OfQueue:
		of, err := o.reading(ctx, l.Queue)
		if err == nil && len(of) == 1 {
			l.Function = of[0]
		}
		return err
	case deadletter.OfTopic:
		of, err := o.subscribed(ctx, l.Topic, queue)
		if err == nil && len(of) == 1 {
			l.Target = of[0]
		}
		return err
	}
	return nil
}

// buryingIn are the functions that have the queue for the dead letters of asynchronous
// invocations.
func (o *owners) buryingIn(ctx context.Context, queue string) ([]string, error) {
	if o.functions == nil {
		o.functions = map[string][]string{}
		for pages := lambda.NewListFunctionsPaginator(o.lambda, &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, o.refused("which function has it for its dead letters", err)
			}
			for _, f := range page.Functions {
				if d := f.DeadLetterConfig; d != nil {
					o.functions[aws.ToString(d.TargetArn)] = append(o.functions[aws.ToString(d.TargetArn)], aws.ToString(f.FunctionName))
				}
			}
		}
	}
	return o.functions[queue], nil
}

// reading are the functions that read a queue.
func (o *owners) reading(ctx context.Context, queue string) ([]string, error) {
	if of, known := o.readers[queue]; known {
		return of, nil
	}
	o.readers[queue] = nil
	for pages := lambda.NewListEventSourceMappingsPaginator(o.lambda, &lambda.ListEventSourceMappingsInput{EventSourceArn: &queue}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, o.refused("which function reads "+arn.Name(queue), err)
		}
		for _, m := range page.EventSourceMappings {
			o.readers[queue] = append(o.readers[queue], arn.Function(aws.ToString(m.FunctionArn)))
		}
	}
	return o.readers[queue], nil
}

// subscribed are the endpoints of a topic's subscriptions that have the queue for dead letters.
func (o *owners) subscribed(ctx context.Context, topic, queue string) ([]string, error) {
	key := topic + " " + queue
	if of, known := o.endpoints[key]; known {
		return of, nil
	}
	o.endpoints[key] = nil
	for pages := sns.NewListSubscriptionsByTopicPaginator(o.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, o.refused("of which subscription of "+arn.Name(topic)+" they are", err)
		}
		for _, s := range page.Subscriptions {
			if !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") {
				continue // it waits to be confirmed
			}
			answer, err := o.sns.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: s.SubscriptionArn})
			if err != nil {
				return nil, o.refused("of which subscription of "+arn.Name(topic)+" they are", err)
			}
			var policy struct {
				Target string `json:"deadLetterTargetArn"`
			}
			_ = json.Unmarshal([]byte(answer.Attributes["RedrivePolicy"]), &policy) // none is of no queue
			if policy.Target == queue {
				o.endpoints[key] = append(o.endpoints[key], aws.ToString(s.Endpoint))
			}
		}
	}
	return o.endpoints[key], nil
}
