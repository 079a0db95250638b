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

// owners look up in the account what messages do not say: which function uses a queue as
// its dead-letter queue, which function reads a queue, and which subscription of a topic
// uses a queue. Each call is made once. If AWS refuses one, a note is printed and the
// answer stays unknown.
type owners struct {
	lambda *lambda.Client
	sns    *sns.Client
	tell   func(format string, args ...any) // prints a note, once

	functions map[string][]string // functions by the ARN of their dead-letter queue
	readers   map[string][]string // consumers by the ARN of their queue
	endpoints map[string][]string // subscriptions' endpoints, by topic and dead-letter queue
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

// refused adds a note if AWS refused the call. Without a response from AWS it returns the
// error.
func (o *owners) refused(what string, err error) error {
	if code := account.ErrorCode(err); code != "" {
		o.note("not known: %s: %s", what, code)
		return nil
	}
	return fmt.Errorf("look up %s: %w", what, err)
}

// complete adds to a letter what the account knows of it.
func (o *owners) complete(ctx context.Context, l *deadletter.Letter, queue string) error {
	switch l.Kind {
	case deadletter.OfFunction:
		of, err := o.buryingIn(ctx, queue)
		if err == nil && len(of) == 1 {
			l.By(of[0])
		} else if len(of) > 1 {
			o.note("%s all use the dead-letter queue %s, and messages do not name the function: name one with --to function:NAME", strings.Join(of, ", "), arn.Name(queue))
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

// buryingIn returns the functions that use the queue as the dead-letter queue of
// asynchronous invocations.
func (o *owners) buryingIn(ctx context.Context, queue string) ([]string, error) {
	if o.functions == nil {
		o.functions = map[string][]string{}
		for pages := lambda.NewListFunctionsPaginator(o.lambda, &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, o.refused("which function uses this dead-letter queue", err)
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

// reading returns the functions that read a queue.
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

// subscribed returns the endpoints of a topic's subscriptions that use the queue as a
// dead-letter queue.
func (o *owners) subscribed(ctx context.Context, topic, queue string) ([]string, error) {
	key := topic + " " + queue
	if of, known := o.endpoints[key]; known {
		return of, nil
	}
	o.endpoints[key] = nil
	for pages := sns.NewListSubscriptionsByTopicPaginator(o.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, o.refused("which subscription of "+arn.Name(topic)+" uses this dead-letter queue", err)
		}
		for _, s := range page.Subscriptions {
			if !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") {
				continue // it is not confirmed yet
			}
			answer, err := o.sns.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: s.SubscriptionArn})
			if err != nil {
				return nil, o.refused("which subscription of "+arn.Name(topic)+" uses this dead-letter queue", err)
			}
			var policy struct {
				Target string `json:"deadLetterTargetArn"`
			}
			_ = json.Unmarshal([]byte(answer.Attributes["RedrivePolicy"]), &policy) // without a policy there is no queue
			if policy.Target == queue {
				o.endpoints[key] = append(o.endpoints[key], aws.ToString(s.Endpoint))
			}
		}
	}
	return o.endpoints[key], nil
}
