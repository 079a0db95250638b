package read

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// bus reads a bus with its rules and archives.
func (r *Account) bus(ctx context.Context, name string) error {
	r.options.Progress.Show("reading bus %s", name)
	b := system.Bus{Name: name}
	answer, err := r.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent):
		if arn, _ := r.freshBus(ctx, name); arn != "" { // an error is as of a Region that has none
			return r.newBus(ctx, arn)
		}
		b.Others, err = r.similar(ctx, name)
		r.System.Buses = append(r.System.Buses, b)
		return err
	case err != nil:
		return r.skipPart(system.Buses, "describe bus "+name, err)
	}
	b.ARN, b.Exists = aws.ToString(answer.Arn), true
	if b.Rules, err = r.rules(ctx, name); err != nil {
		return err
	}
	if b.Archives, err = r.archives(ctx, b.ARN); err != nil {
		return err
	}
	r.System.Buses = append(r.System.Buses, b)
	return nil
}

// similar returns the existing buses, the most similar name first.
func (r *Account) similar(ctx context.Context, name string) ([]string, error) {
	var list []string
	for token := (*string)(nil); ; {
		page, err := r.events.ListEventBuses(ctx, &eventbridge.ListEventBusesInput{NextToken: token})
		if err != nil {
			return nil, r.skipPart(system.Buses, "list buses", err)
		}
		for _, b := range page.EventBuses {
			list = append(list, aws.ToString(b.Name))
		}
		if token = page.NextToken; token == nil {
			break
		}
	}
	common := func(s string) int {
		n := 0
		for n < min(len(s), len(name)) && s[n] == name[n] {
			n++
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b string) int { return common(b) - common(a) })
	return list, nil
}

func (r *Account) rules(ctx context.Context, bus string) ([]system.Rule, error) {
	var rules []system.Rule
	for token := (*string)(nil); ; {
		page, err := r.events.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &bus, NextToken: token})
		if err != nil {
			return nil, r.skipPart(system.Rules, "list rules of "+bus, err)
		}
		for _, rule := range page.Rules {
			name := aws.ToString(rule.Name)
			// EventBridge creates a rule for each archive.
			managed := aws.ToString(rule.ManagedBy) != "" || strings.HasPrefix(name, "Events-Archive-")
			foreign := bus == "default" && r.Scope.OnDefault != nil && !slices.Contains(r.Scope.OnDefault, name)
			if managed || foreign || aws.ToString(rule.EventPattern) == "" {
				continue
			}
			targets, err := r.targets(ctx, bus, name)
			if err != nil {
				return nil, err
			}
			rules = append(rules, system.Rule{Name: name, ARN: aws.ToString(rule.Arn), Pattern: aws.ToString(rule.EventPattern), Disabled: rule.State == types.RuleStateDisabled, Targets: targets})
		}
		if token = page.NextToken; token == nil {
			return rules, nil
		}
	}
}

func (r *Account) targets(ctx context.Context, bus, rule string) ([]system.Target, error) {
	var targets []system.Target
	for token := (*string)(nil); ; {
		page, err := r.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule, EventBusName: &bus, NextToken: token})
		if err != nil {
			return nil, r.skipPart(system.Rules, "list targets of "+rule, err)
		}
		for _, t := range page.Targets {
			target := system.Target{ID: aws.ToString(t.Id), ARN: aws.ToString(t.Arn), Role: aws.ToString(t.RoleArn)}
			if t.DeadLetterConfig != nil {
				target.DeadLetter = aws.ToString(t.DeadLetterConfig.Arn)
			}
			if t.RetryPolicy != nil {
				target.Attempts, target.MaxAge = t.RetryPolicy.MaximumRetryAttempts, time.Duration(aws.ToInt32(t.RetryPolicy.MaximumEventAgeInSeconds))*time.Second
			}
			targets = append(targets, target)
		}
		if token = page.NextToken; token == nil {
			return targets, nil
		}
	}
}

func (r *Account) archives(ctx context.Context, bus string) ([]system.Archive, error) {
	var archives []system.Archive
	for token := (*string)(nil); ; {
		page, err := r.events.ListArchives(ctx, &eventbridge.ListArchivesInput{EventSourceArn: &bus, NextToken: token})
		if err != nil {
			return nil, r.skipPart(system.Archives, "list archives", err)
		}
		for _, a := range page.Archives {
			name := aws.ToString(a.ArchiveName)
			archives = append(archives, system.Archive{
				Name: name, ARN: strings.Split(bus, ":event-bus/")[0] + ":archive/" + name, // ListArchives does not return it
				Enabled: a.State == types.ArchiveStateEnabled, Events: a.EventCount,
			})
		}
		if token = page.NextToken; token == nil {
			return archives, nil
		}
	}
}

// discover adds the functions that rules send to, and the consumers of the queues that
// rules send to.
func (r *Account) discover(ctx context.Context) error {
	for _, b := range r.System.Buses {
		for _, rule := range b.Rules {
			for _, t := range rule.Targets {
				switch {
				case strings.Contains(t.ARN, ":lambda:"):
					r.Scope.AddFunction(t.ARN)
				case strings.Contains(t.ARN, ":sqs:"):
					if err := r.consumers(ctx, t.ARN); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (r *Account) consumers(ctx context.Context, queue string) error {
	pages := lambda.NewListEventSourceMappingsPaginator(r.lambda, &lambda.ListEventSourceMappingsInput{EventSourceArn: &queue})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r.skipPart(system.Functions, "list the consumers of "+arn.Name(queue), err)
		}
		for _, m := range page.EventSourceMappings {
			r.Scope.AddFunction(aws.ToString(m.FunctionArn))
		}
	}
	return nil
}

// guards reads the queues and topics that rules send to, with their policies.
func (r *Account) guards(ctx context.Context) error {
	var queues, topics []string
	for _, b := range r.System.Buses {
		for _, rule := range b.Rules {
			for _, t := range rule.Targets {
				for _, resource := range []string{t.ARN, t.DeadLetter} {
					switch arn.Service(resource) {
					case "sqs":
						queues = add(queues, resource)
					case "sns":
						topics = add(topics, resource)
					}
				}
			}
		}
	}
	for _, queue := range queues {
		if err := r.queue(ctx, queue); err != nil {
			return err
		}
	}
	for _, topic := range topics {
		r.options.Progress.Show("reading topic %s", arn.Name(topic))
		answer, err := r.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &topic})
		if err != nil {
			if err := r.skipPart(system.Policies, "read topic "+arn.Name(topic), err); err != nil {
				return err
			}
			continue
		}
		r.System.Topics = append(r.System.Topics, system.Topic{ARN: topic, Exists: true, Policy: answer.Attributes["Policy"]})
	}
	return nil
}

func (r *Account) queue(ctx context.Context, queueARN string) error {
	r.options.Progress.Show("reading queue %s", arn.Name(queueARN))
	parts := strings.SplitN(queueARN, ":", 6)
	if len(parts) != 6 {
		return fmt.Errorf("%s is not the ARN of a queue", queueARN)
	}
	q := system.Queue{ARN: queueARN}
	url, err := r.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	var absent *sqstypes.QueueDoesNotExist
	switch {
	case errors.As(err, &absent) || strings.Contains(account.ErrorCode(err), "NonExistentQueue"):
		r.System.Queues = append(r.System.Queues, q)
		return nil
	case err != nil:
		return r.skipPart(system.Policies, "find queue "+parts[5], err)
	}
	q.URL, q.Exists = aws.ToString(url.QueueUrl), true
	answer, err := r.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNamePolicy, sqstypes.QueueAttributeNameApproximateNumberOfMessages,
	}})
	if err != nil {
		return r.skipPart(system.Policies, "read queue "+parts[5], err)
	}
	q.Policy = answer.Attributes["Policy"]
	_, _ = fmt.Sscan(answer.Attributes["ApproximateNumberOfMessages"], &q.Messages) // 0 if it is absent
	r.System.Queues = append(r.System.Queues, q)
	return nil
}
