package whycmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// stepsOf returns the records of a bus's log about an event, by the ID of its envelope or
// the beginning of that ID.
func stepsOf(ctx context.Context, cfg aws.Config, group, id string, from time.Time) ([]Step, error) {
	if strings.ContainsAny(id, "\"\\*") {
		return nil, fmt.Errorf("the log cannot be searched for the ID %s", id)
	}
	client := cloudwatchlogs.NewFromConfig(cfg)
	const whole = 36 // the length of a UUID
	pattern := id
	if len(id) < whole {
		pattern += "*" // (CloudWatch Logs user guide, "Filter pattern syntax")
	}
	input := &cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`{ $.event_id = "` + pattern + `" }`), StartTime: aws.Int64(from.UnixMilli())}
	if strings.HasPrefix(group, "arn:") {
		input.LogGroupIdentifier = aws.String(strings.TrimSuffix(group, ":*"))
	} else {
		input.LogGroupName = &group
	}
	var steps []Step
	const most = 10_000 // an event has a few records for each attempt
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, input); pages.HasMorePages() && len(steps) < most; {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the log %s: %w", group, err)
		}
		for _, event := range page.Events {
			if s, ok := readStep([]byte(aws.ToString(event.Message))); ok && strings.HasPrefix(s.EventID, id) {
				steps = append(steps, s)
			}
		}
	}
	for _, s := range steps {
		if s.EventID != steps[0].EventID {
			return nil, terminal.Misuse("several events in the log %s have IDs that begin with %s, such as %s and %s: name one", group, id, steps[0].EventID, s.EventID)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) })
	return steps, nil
}

// functionsOf returns the account's configuration of the functions that rules send to.
func functionsOf(ctx context.Context, cfg aws.Config, rules []ruleset.Rule) (map[string]Function, error) {
	client := lambda.NewFromConfig(cfg)
	known := map[string]Function{}
	for _, r := range rules {
		for _, t := range r.Targets {
			if _, done := known[t.Name]; done || t.Kind != "function" || t.ARN == "" {
				continue
			}
			f, err := functionOf(ctx, client, t.ARN)
			if err != nil {
				return nil, err
			}
			known[t.Name] = f
		}
	}
	return known, nil
}

func functionOf(ctx context.Context, client *lambda.Client, name string) (Function, error) {
	var f Function
	refused := func(step string, err error) error {
		var absent *types.ResourceNotFoundException
		switch code := account.ErrorCode(err); {
		case err == nil, errors.As(err, &absent):
			return nil
		case code != "":
			f.Missing = cmp.Or(f.Missing, step+": "+code)
			return nil
		}
		return fmt.Errorf("%s of %s: %w", step, arn.Function(name), err)
	}
	config, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err := refused("read the configuration", err); err != nil {
		return f, err
	}
	if err == nil {
		f.State = string(config.State)
		if config.DeadLetterConfig != nil {
			f.DeadLetter = arn.Name(aws.ToString(config.DeadLetterConfig.TargetArn))
		}
	}
	unqualified := arn.Function(name)
	reserved, err := client.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &unqualified})
	if err := refused("read the concurrency", err); err != nil {
		return f, err
	}
	if err == nil {
		f.Reserved = reserved.ReservedConcurrentExecutions
	}
	async, err := client.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &unqualified})
	if err := refused("read the asynchronous invocation", err); err != nil {
		return f, err
	}
	if err == nil {
		f.Retries = async.MaximumRetryAttempts
		if d := async.DestinationConfig; d != nil && d.OnFailure != nil {
			f.Destination = arn.Name(aws.ToString(d.OnFailure.Destination))
		}
	}
	return f, nil
}

// Metrics of rules and functions that count problems (EventBridge user guide, "Monitoring
// Amazon EventBridge"; Lambda developer guide, "Types of metrics").
var (
	ofRules     = []string{"FailedInvocations", "ThrottledRules", "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"}
	ofFunctions = []string{"Throttles", "Errors", "AsyncEventsDropped"}
)

// within is the time after an event whose metrics are read.
const within = 15 * time.Minute

// countsOf returns the metrics of the rules and their functions after at, if they are not
// zero.
func countsOf(ctx context.Context, cfg aws.Config, rules []ruleset.Rule, at time.Time) ([]Count, error) {
	var list []Count
	var queries []metrics.MetricDataQuery
	ask := func(of, namespace, name string, dimensions ...metrics.Dimension) {
		list = append(list, Count{Of: of, Metric: name})
		queries = append(queries, metrics.MetricDataQuery{Id: aws.String(fmt.Sprintf("m%d", len(queries))), MetricStat: &metrics.MetricStat{
			Metric: &metrics.Metric{Namespace: &namespace, MetricName: &name, Dimensions: dimensions}, Period: aws.Int32(60), Stat: aws.String("Sum"),
		}})
	}
	dimension := func(name, value string) metrics.Dimension { return metrics.Dimension{Name: &name, Value: &value} }
	asked := map[string]bool{}
	for _, r := range rules {
		for _, name := range ofRules {
			dimensions := []metrics.Dimension{dimension("RuleName", r.Name)}
			if r.Bus != "default" {
				dimensions = append(dimensions, dimension("EventBusName", r.Bus))
			}
			ask("rule "+r.Name, "AWS/Events", name, dimensions...)
		}
		for _, t := range r.Targets {
			if t.Kind != "function" || asked[t.Name] {
				continue
			}
			asked[t.Name] = true
			for _, name := range ofFunctions {
				ask("function "+t.Name, "AWS/Lambda", name, dimension("FunctionName", t.Name))
			}
		}
	}
	const most = 500 // the limit of queries in a request (API reference, GetMetricData)
	client := alarmscloudwatch.NewClient(cfg)
	for from := 0; from < len(queries); from += most {
		input := &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(at.Add(-time.Minute).Truncate(time.Minute)), EndTime: aws.Time(at.Add(within)), MetricDataQueries: queries[from:min(len(queries), from+most)],
		}
		for pages := cloudwatch.NewGetMetricDataPaginator(client, input); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("read metrics: %w", err)
			}
			for _, result := range page.MetricDataResults {
				var i int
				if _, err := fmt.Sscanf(aws.ToString(result.Id), "m%d", &i); err != nil || i < 0 || i >= len(list) {
					return nil, fmt.Errorf("read metrics: the response has an unknown ID, %q", aws.ToString(result.Id))
				}
				for _, v := range result.Values {
					list[i].Sum += v
				}
			}
		}
	}
	return slices.DeleteFunc(list, func(c Count) bool { return c.Sum == 0 }), nil
}
