package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// scope is what to look at: names or ARNs.
type scope struct {
	buses, functions []string
	// onDefault are the rules to look at on the default bus, which everybody
	// shares; nil is all of them.
	onDefault []string
}

// add puts a name in once.
func add(list []string, name string) []string {
	if name == "" || slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// reader describes an account. It only reads.
type reader struct {
	events    *eventbridge.Client
	lambda    *lambda.Client
	sqs       *sqs.Client
	sns       *sns.Client
	logs      *logs.Client
	metrics   *cloudwatch.Client
	stacks    *cloudformation.Client
	now       time.Time
	over      time.Duration
	namespace string
	bar       terminal.Progress

	scope  scope
	system *system.System
}

func newReader(cfg aws.Config, o options, bar terminal.Progress) *reader {
	return &reader{
		events: eventbridge.NewFromConfig(cfg), lambda: lambda.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg),
		logs: logs.NewFromConfig(cfg), metrics: alarmscloudwatch.NewClient(cfg), stacks: cloudformation.NewFromConfig(cfg),
		now: o.now(), over: o.since, namespace: o.namespace, bar: bar,
		system: &system.System{Source: cfg.Region, Observed: system.Observed{Over: o.since}},
	}
}

// partly takes an answer that AWS refused: the part is not known, and the rest
// goes on. Where no answer came it returns an error.
func (r *reader) partly(p system.Part, step string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		r.system.Cannot(p, fmt.Sprintf("%s: %s: %s", step, api.ErrorCode(), api.ErrorMessage()))
		return nil
	}
	return fmt.Errorf("%s: %w", step, err)
}

// code is AWS's error code, "" where there is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// read describes what is in scope, and what the rules and the functions lead to.
func (r *reader) read(ctx context.Context) error {
	for _, bus := range r.scope.buses {
		if err := r.bus(ctx, last(bus)); err != nil {
			return err
		}
	}
	named := len(r.scope.functions)
	if err := r.discover(ctx); err != nil {
		return err
	}
	for i, name := range r.scope.functions {
		if err := r.function(ctx, name, i < named); err != nil {
			return err
		}
	}
	for _, bus := range r.busesOfFunctions() {
		if r.system.Bus(bus) == nil {
			if err := r.bus(ctx, bus); err != nil {
				return err
			}
		}
	}
	for _, step := range []func(context.Context) error{r.guards, r.groups, r.traffic, r.alarms} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.identify()
	return nil
}

// identify says in which account it was read, as the ARNs tell.
func (r *reader) identify() {
	arns := []string{}
	for _, b := range r.system.Buses {
		arns = append(arns, b.ARN)
	}
	for _, f := range r.system.Functions {
		arns = append(arns, f.ARN)
	}
	for _, arn := range arns {
		if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
			r.system.Source = fmt.Sprintf("account %s, %s", parts[4], parts[3])
			return
		}
	}
}

// busesOfFunctions are the buses that functions' environments name.
func (r *reader) busesOfFunctions() []string {
	var list []string
	for _, f := range r.system.Functions {
		for name, value := range f.Environment {
			if namesBus.MatchString(name) && isBus(value) {
				list = add(list, last(value))
			}
		}
	}
	slices.Sort(list)
	return list
}

// isBus tells a bus's name or ARN from a URL or a switch.
func isBus(value string) bool {
	if strings.HasPrefix(value, "arn:") {
		return strings.Contains(value, ":event-bus/")
	}
	return len(value) > 1 && value != "true" && value != "false" && !strings.ContainsAny(value, ": ,/")
}
