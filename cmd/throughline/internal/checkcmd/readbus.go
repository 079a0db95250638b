package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// bus reads a bus with its rules and archives.
func (r *reader) bus(ctx context.Context, name string) error {
	r.bar.Show("reading bus %s", name)
	b := system.Bus{Name: name}
	answer, err := r.events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
	var absent *types.ResourceNotFoundException
	switch {
	case errors.As(err, &absent):
		b.Others, err = r.similar(ctx, name)
		r.system.Buses = append(r.system.Buses, b)
		return err
	case err != nil:
		return r.partly(system.Buses, "describe bus "+name, err)
	}
	b.ARN, b.Exists = aws.ToString(answer.Arn), true
	if b.Rules, err = r.rules(ctx, name); err != nil {
		return err
	}
	if b.Archives, err = r.archives(ctx, b.ARN); err != nil {
		return err
	}
	r.system.Buses = append(r.system.Buses, b)
	return nil
}

// similar are the buses that there are, the likeliest first.
func (r *reader) similar(ctx context.Context, name string) ([]string, error) {
	var list []string
	for token := (*string)(nil); ; {
		page, err := r.events.ListEventBuses(ctx, &eventbridge.ListEventBusesInput{NextToken: token})
		if err != nil {
			return nil, r.partly(system.Buses, "list buses", err)
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

func (r *reader) rules(ctx context.Context, bus string) ([]system.Rule, error) {
	var rules []system.Rule
	for token := (*string)(nil); ; {
		page, err := r.events.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &bus, NextToken: token})
		if err != nil {
			return nil, r.partly(system.Rules, "list rules of "+bus, err)
		}
		for _, rule := range page.Rules {
			name := aws.ToString(rule.Name)
			// An archive is fed by a rule of EventBridge's own.
			managed := aws.ToString(rule.ManagedBy) != "" || strings.HasPrefix(name, "Events-Archive-")
			foreign := bus == "default" && r.scope.onDefault != nil && !slices.Contains(r.scope.onDefault, name)
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

func (r *reader) targets(ctx context.Context, bus, rule string) ([]system.Target, error) {
	var targets []system.Target
	for token := (*string)(nil); ; {
		page, err := r.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule, EventBusName: &bus, NextToken: token})
		if err != nil {
			return nil, r.partly(system.Rules, "list targets of "+rule, err)
		}
		for _, t := range page.Targets {
			target := system.Target{ID: aws.ToString(t.Id), ARN: aws.ToString(t.Arn), Role: aws.ToString(t.RoleArn)}
			if t.DeadLetterConfig != nil {
				target.DeadLetter = aws.ToString(t.DeadLetterConfig.Arn)
			}
			targets = append(targets, target)
		}
		if token = page.NextToken; token == nil {
			return targets, nil
		}
	}
}

func (r *reader) archives(ctx context.Context, bus string) ([]system.Archive, error) {
	var archives []system.Archive
	for token := (*string)(nil); ; {
		page, err := r.events.ListArchives(ctx, &eventbridge.ListArchivesInput{EventSourceArn: &bus, NextToken: token})
		if err != nil {
			return nil, r.partly(system.Archives, "list archives", err)
		}
		for _, a := range page.Archives {
			name := aws.ToString(a.ArchiveName)
			archives = append(archives, system.Archive{
				Name: name, ARN: strings.Split(bus, ":event-bus/")[0] + ":archive/" + name, // which the list leaves out
				Enabled: a.State == types.ArchiveStateEnabled, Events: a.EventCount,
			})
		}
		if token = page.NextToken; token == nil {
			return archives, nil
		}
	}
}

// discover adds the functions that rules send to, and those that take from the
// queues that rules send to.
func (r *reader) discover(ctx context.Context) error {
	for _, b := range r.system.Buses {
		for _, rule := range b.Rules {
			for _, t := range rule.Targets {
				switch {
				case strings.Contains(t.ARN, ":lambda:"):
					r.scope.functions = addFunction(r.scope.functions, t.ARN)
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

// addFunction adds a function by its ARN, unless it is there by its name.
func addFunction(list []string, arn string) []string {
	name := functionName(arn)
	if slices.ContainsFunc(list, func(known string) bool { return functionName(known) == name }) {
		return list
	}
	return append(list, arn)
}

// functionName is the name in a function's ARN, without version or alias.
func functionName(arn string) string {
	if _, name, ok := strings.Cut(arn, ":function:"); ok {
		name, _, _ = strings.Cut(name, ":")
		return name
	}
	return arn
}

func (r *reader) consumers(ctx context.Context, queue string) error {
	pages := lambda.NewListEventSourceMappingsPaginator(r.lambda, &lambda.ListEventSourceMappingsInput{EventSourceArn: &queue})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r.partly(system.Functions, "list who takes from "+last(queue), err)
		}
		for _, m := range page.EventSourceMappings {
			r.scope.functions = addFunction(r.scope.functions, aws.ToString(m.FunctionArn))
		}
	}
	return nil
}

// guards reads the queues and topics that rules send to, with their policies.
func (r *reader) guards(ctx context.Context) error {
	var queues, topics []string
	for _, b := range r.system.Buses {
		for _, rule := range b.Rules {
			for _, t := range rule.Targets {
				for _, arn := range []string{t.ARN, t.DeadLetter} {
					switch {
					case strings.Contains(arn, ":sqs:"):
						queues = add(queues, arn)
					case strings.Contains(arn, ":sns:"):
						topics = add(topics, arn)
					}
				}
			}
		}
	}
	for _, arn := range queues {
		if err := r.queue(ctx, arn); err != nil {
			return err
		}
	}
	for _, arn := range topics {
		r.bar.Show("reading topic %s", last(arn))
		answer, err := r.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
		if err != nil {
			if err := r.partly(system.Policies, "read topic "+last(arn), err); err != nil {
				return err
			}
			continue
		}
		r.system.Topics = append(r.system.Topics, system.Topic{ARN: arn, Exists: true, Policy: answer.Attributes["Policy"]})
	}
	return nil
}

func (r *reader) queue(ctx context.Context, arn string) error {
	r.bar.Show("reading queue %s", last(arn))
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return fmt.Errorf("%s is no ARN of a queue", arn)
	}
	q := system.Queue{ARN: arn}
	url, err := r.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	var absent *sqstypes.QueueDoesNotExist
	switch {
	case errors.As(err, &absent) || strings.Contains(code(err), "NonExistentQueue"):
		r.system.Queues = append(r.system.Queues, q)
		return nil
	case err != nil:
		return r.partly(system.Policies, "find queue "+parts[5], err)
	}
	q.URL, q.Exists = aws.ToString(url.QueueUrl), true
	answer, err := r.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNamePolicy, sqstypes.QueueAttributeNameApproximateNumberOfMessages,
	}})
	if err != nil {
		return r.partly(system.Policies, "read queue "+parts[5], err)
	}
	q.Policy = answer.Attributes["Policy"]
	_, _ = fmt.Sscan(answer.Attributes["ApproximateNumberOfMessages"], &q.Messages) // absent is none
	r.system.Queues = append(r.system.Queues, q)
	return nil
}
