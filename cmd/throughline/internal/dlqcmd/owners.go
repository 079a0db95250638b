package dlqcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
)

// owners look up in the account what messages do not say: which function uses a queue as
// its dead-letter queue, which function reads a queue, and which subscription of a topic
// uses a queue. Each call is made once. If one fails, a note is printed and the answer stays
// unknown: messages can be shown without it.
type owners struct {
	lambda *lambda.Client
	sns    *sns.Client
	tell   func(format string, args ...any) // prints a note, once

	functions map[string][]string // functions by the ARN of their dead-letter queue
	readers   map[string][]string // consumers by the ARN of their queue
	endpoints map[string][]string // subscriptions' endpoints, by topic and dead-letter queue
	told      map[string]bool
	silent    map[string]bool // services that did not answer: they are not called again
}

func newOwners(cfg aws.Config, tell func(string, ...any)) *owners {
	return &owners{lambda: lambda.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg), tell: tell, readers: map[string][]string{}, endpoints: map[string][]string{}, told: map[string]bool{}, silent: map[string]bool{}}
}

func (o *owners) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !o.told[text] {
		o.told[text] = true
		o.tell("%s", text)
	}
}

// patience bounds a look-up: meanwhile, the messages are hidden from other consumers.
const patience = 10 * time.Second

// ask makes a look-up of a service. It returns nil with a note if that fails. A part of an
// answer is no answer: it would make one of several owners look like the only one.
func (o *owners) ask(ctx context.Context, service, what string, call func(context.Context) ([]string, error)) []string {
	if o.silent[service] {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := call(limited)
	if err == nil {
		return list
	}
	if ctx.Err() != nil {
		return nil // the command was interrupted
	}
	code := account.ErrorCode(err)
	o.silent[service] = code == ""
	if code == "" {
		code = err.Error()
		if limited.Err() != nil {
			code = "no answer of " + service + " within " + phrase.Duration(patience)
		}
	}
	o.note("%s is not known: %s", what, code)
	return nil
}

// complete adds to a letter what the account knows of it.
func (o *owners) complete(ctx context.Context, l *deadletter.Letter, queue string) {
	switch l.Kind {
	case deadletter.OfFunction:
		of := o.buryingIn(ctx, queue)
		if len(of) == 1 {
			l.By(of[0])
		} else if len(of) > 1 {
			o.note("%s all use the dead-letter queue %s, and messages do not name the function: name one with --to function:NAME", strings.Join(of, ", "), arn.Name(queue))
		}
	case deadletter.OfQueue:
		if of := o.reading(ctx, l.Queue); len(of) == 1 {
			l.Function = of[0]
		}
	case deadletter.OfTopic:
		if of := o.subscribed(ctx, l.Topic, queue); len(of) == 1 {
			l.Target = of[0]
		}
	}
}

// buryingIn returns the functions that use the queue as the dead-letter queue of
// asynchronous invocations.
func (o *owners) buryingIn(ctx context.Context, queue string) []string {
	if o.functions == nil {
		o.functions = map[string][]string{}
		o.ask(ctx, "Lambda", "which function uses the dead-letter queue "+arn.Name(queue), func(ctx context.Context) ([]string, error) {
			functions := map[string][]string{}
			for pages := lambda.NewListFunctionsPaginator(o.lambda, &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return nil, err
				}
				for _, f := range page.Functions {
					if d := f.DeadLetterConfig; d != nil {
						functions[aws.ToString(d.TargetArn)] = append(functions[aws.ToString(d.TargetArn)], aws.ToString(f.FunctionName))
					}
				}
			}
			o.functions = functions
			return nil, nil
		})
	}
	return o.functions[queue]
}

// reading returns the functions that read a queue.
func (o *owners) reading(ctx context.Context, queue string) []string {
	if of, known := o.readers[queue]; known {
		return of
	}
	o.readers[queue] = o.ask(ctx, "Lambda", "which function reads "+arn.Name(queue), func(ctx context.Context) (of []string, err error) {
		for pages := lambda.NewListEventSourceMappingsPaginator(o.lambda, &lambda.ListEventSourceMappingsInput{EventSourceArn: &queue}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, m := range page.EventSourceMappings {
				of = append(of, arn.Function(aws.ToString(m.FunctionArn)))
			}
		}
		return of, nil
	})
	return o.readers[queue]
}

// subscribed returns the endpoints of a topic's subscriptions that use the queue as a
// dead-letter queue.
func (o *owners) subscribed(ctx context.Context, topic, queue string) []string {
	key := topic + " " + queue
	if of, known := o.endpoints[key]; known {
		return of
	}
	o.endpoints[key] = o.ask(ctx, "SNS", "which subscription of "+arn.Name(topic)+" uses the dead-letter queue "+arn.Name(queue), func(ctx context.Context) (of []string, err error) {
		for pages := sns.NewListSubscriptionsByTopicPaginator(o.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, s := range page.Subscriptions {
				if !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") {
					continue // it is not confirmed yet
				}
				answer, err := o.sns.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: s.SubscriptionArn})
				if err != nil {
					return nil, err
				}
				var policy struct {
					Target string `json:"deadLetterTargetArn"`
				}
				_ = json.Unmarshal([]byte(answer.Attributes["RedrivePolicy"]), &policy) // without a policy there is no queue
				if policy.Target == queue {
					of = append(of, aws.ToString(s.Endpoint))
				}
			}
		}
		return of, nil
	})
	return o.endpoints[key]
}
