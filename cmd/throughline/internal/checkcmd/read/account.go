// Package read describes a system for `throughline check`, from the APIs of an account or
// from the files of `throughline demo`. It changes nothing.
package read

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/newbus"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Scope is what to read: names or ARNs. The zero value is empty.
type Scope struct {
	Buses, Functions []string
	// NewBuses are new custom buses by name; Buses may have their ARNs.
	NewBuses []string
	// OnDefault are the rules to look at on the default bus, which everybody
	// shares; nil is all of them.
	OnDefault []string
}

// add appends a name that is not in the list yet.
func add(list []string, name string) []string {
	if name == "" || slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// AddFunction adds a function, unless it is in the scope by its name or its ARN.
func (s *Scope) AddFunction(function string) {
	name := arn.Function(function)
	if !slices.ContainsFunc(s.Functions, func(known string) bool { return arn.Function(known) == name }) {
		s.Functions = append(s.Functions, function)
	}
}

// AddBus adds an event bus.
func (s *Scope) AddBus(bus string) { s.Buses = add(s.Buses, bus) }

// Options configure reading an account. All are required.
type Options struct {
	Now       time.Time
	Over      time.Duration // the time of traffic to read, up to now
	Namespace string        // the namespace of the metrics of functions that set none
	Progress  terminal.Progress
}

// Account reads an account. It is not safe for concurrent use.
type Account struct {
	// Scope is what to read. Reading adds what the rules refer to.
	Scope Scope
	// System is what has been read so far.
	System *system.System

	events  *eventbridge.Client
	fresh   *newbus.Client // the new custom buses
	lambda  *lambda.Client
	sqs     *sqs.Client
	sns     *sns.Client
	logs    *logs.Client
	metrics *cloudwatch.Client
	stacks  *cloudformation.Client
	options Options
}

// New returns a reader of the account and Region of cfg.
func New(cfg aws.Config, o Options) *Account {
	return &Account{
		events: eventbridge.NewFromConfig(cfg), fresh: newbus.New(cfg), lambda: lambda.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg),
		logs: logs.NewFromConfig(cfg), metrics: alarmscloudwatch.NewClient(cfg), stacks: cloudformation.NewFromConfig(cfg),
		options: o, System: &system.System{Source: cfg.Region, Observed: system.Observed{Over: o.Over}},
	}
}

// skipPart handles an error that AWS returned: the part stays unknown, and reading
// continues. Without a response from AWS, and if AWS refused the credentials, it returns an
// error.
func (r *Account) skipPart(p system.Part, step string, err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok && account.Refused(err) == "" {
		r.System.Cannot(p, fmt.Sprintf("%s: %s: %s", step, api.ErrorCode(), api.ErrorMessage()))
		return nil
	}
	return fmt.Errorf("%s: %w", step, err)
}

// buses reads the buses in scope.
func (r *Account) buses(ctx context.Context) error {
	for _, bus := range r.Scope.Buses {
		read := r.bus
		if isNewBus(bus) {
			read = r.newBus
		} else {
			bus = arn.Name(bus)
		}
		if err := read(ctx, bus); err != nil {
			return err
		}
	}
	for _, name := range r.Scope.NewBuses {
		if err := r.named(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ReadRules describes the rules of the buses in scope and, with targets, the functions,
// queues and topics that they send to, with their policies. It does not read traffic.
func (r *Account) ReadRules(ctx context.Context, targets bool) error {
	defer r.options.Progress.End()
	if err := r.buses(ctx); err != nil || !targets {
		return err
	}
	if err := r.discover(ctx); err != nil {
		return err
	}
	for _, name := range r.Scope.Functions {
		if err := r.function(ctx, name, false); err != nil {
			return err
		}
	}
	r.identify()
	return r.guards(ctx)
}

// Read describes what is in scope, and what the rules and the functions refer to.
func (r *Account) Read(ctx context.Context) error {
	if err := r.buses(ctx); err != nil {
		return err
	}
	named := len(r.Scope.Functions)
	if err := r.discover(ctx); err != nil {
		return err
	}
	for i, name := range r.Scope.Functions {
		if err := r.function(ctx, name, i < named); err != nil {
			return err
		}
	}
	for _, bus := range r.busesOfFunctions() {
		if r.System.Bus(bus) == nil {
			if err := r.bus(ctx, bus); err != nil {
				return err
			}
		}
	}
	for _, step := range []func(context.Context) error{r.guards, r.groups, r.traffic, r.dimensions, r.alarms} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.identify()
	return nil
}

// identify sets the account and Region, from the ARNs.
func (r *Account) identify() {
	arns := []string{}
	for _, b := range r.System.Buses {
		arns = append(arns, b.ARN)
	}
	for _, f := range r.System.Functions {
		arns = append(arns, f.ARN)
	}
	for _, a := range arns {
		if arn.Account(a) != "" {
			r.System.Source = fmt.Sprintf("account %s, %s", arn.Account(a), arn.Region(a))
			return
		}
	}
}

// busesOfFunctions returns the buses that functions' environments name.
func (r *Account) busesOfFunctions() []string {
	var list []string
	for _, f := range r.System.Functions {
		for variable, value := range f.Environment {
			if bus, ok := system.NamesBus(variable, value); ok {
				list = add(list, bus)
			}
		}
	}
	slices.Sort(list)
	return list
}

// Note adds a line about what was left out.
func (r *Account) Note(format string, args ...any) {
	r.System.Notes = add(r.System.Notes, fmt.Sprintf(format, args...))
}
