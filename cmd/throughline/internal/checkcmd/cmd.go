// Package checkcmd is the command "throughline check": the checklist that a
// system has to pass before it goes live. Readers describe the system, from a
// demo's files or from an account; the items judge that description and are
// pure; trials, with --write alone, find out what cannot be read.
package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms/scaffold"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// options are the flags of the command.
type options struct {
	demo        string
	buses       []string
	functions   []string
	stack       string
	template    string
	set         []string
	only        []string
	since       time.Duration
	namespace   string
	maxSize     int
	maxDuration time.Duration
	write       bool
	event, rule string
	archive     string
	replay      time.Duration
	wait        time.Duration
	json        bool
	on          account.Flags

	configure account.Configure
	now       func() time.Time
}

// The exit codes: nothing failed; an item failed; it could not be checked.
const (
	codeFailed  = 1
	codeUnknown = 2
)

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "check (--bus NAME | --stack NAME | --template FILE | --function NAME | --demo FOLDER)",
		Short: "Go through the checklist of a system that is to go live",
		Long: `check goes through a checklist, one line an item, each with what was seen:

  serialise    nothing that was published was refused, no function failed to write an event
  size         the largest event is under --max-size
  replay       what was replayed from the archive had no effect a second time
  dlq          a dead-letter queue receives an event that fails
  durations    no invocation took longer than --max-duration
  correlation  correlation IDs run from end to end
  delay        with calls to Alpaca delayed (THROUGHLINE_ALPACA_FAULTS), functions end in time
  loops        nothing goes round
  bus          the buses exist: EventBridge drops what is sent to a misspelt one, and says nothing
  resources    no rule on resources matches otherwise once the stamp adds lines to them
  targets      each rule's target has a dead-letter queue
  policies     functions, queues and topics let the rules send
  timeouts     each function's time-out is well above its longest invocation
  logs         log format, level and class let metric lines through
  metrics      each function's metrics arrive
  names        metrics and alarms are spelt as they are emitted

It reads. Only with --write does it change anything: it replays a slice of an archive
(what handles those events handles them again), and has an event fail: it makes a rule
and its target, publishes, receives from the dead-letter queue, and removes what it made.
Without --write those two items say what would be done.

The functions are those named, or those that the rules of the bus send to.
It ends with 0 where no item failed, with 1 where one did, with 2 where it could not check.`,
		Example: `  throughline check --demo build/demo
  throughline check --stack trading-dev --region eu-west-1
  throughline check --bus trading-events-dev --since 3h --only size,correlation,targets
  throughline check --template template.yaml --set Stage=dev --json
  throughline check --bus trading-events-dev --write --replay 10m --wait 5m
  throughline check policy --write > policy.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("it takes no %q: name what to check with flags", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := o.run(cmd)
			var e terminal.Exit
			if err == nil || errors.As(err, &e) {
				return err
			}
			return terminal.Exit{Code: codeUnknown, Message: fmt.Sprintf("check: %v", err)}
		},
	}
	o.bind(cmd)
	cmd.AddCommand(newPolicy())
	return cmd
}

func (o *options) bind(cmd *cobra.Command) {
	const (
		size = 200_000 // bytes; the seed's 200 KB
		day  = 24 * time.Hour
	)
	flags := cmd.Flags()
	flags.StringVar(&o.demo, "demo", "", "check the files that `throughline demo` left in a `FOLDER`")
	flags.StringArrayVar(&o.buses, "bus", nil, "an event bus, by `NAME` or ARN; again for each")
	flags.StringArrayVar(&o.functions, "function", nil, "a function, by `NAME` or ARN; again for each")
	flags.StringVar(&o.stack, "stack", "", "what a CloudFormation stack with this `NAME` made")
	flags.StringVar(&o.template, "template", "", "what a SAM or CloudFormation template in `FILE` names")
	flags.StringArrayVar(&o.set, "set", nil, "`NAME=VALUE` of a parameter of the template; again for each")
	flags.StringSliceVar(&o.only, "only", nil, "check these `ITEMS` alone, comma separated")
	flags.DurationVar(&o.since, "since", day, "how far back to look at traffic")
	flags.StringVar(&o.namespace, "namespace", metrics.DefaultNamespace, "the metrics' `NAMESPACE`, where a function does not set its own")
	flags.IntVar(&o.maxSize, "max-size", size, "an event's `BYTES` must be fewer")
	flags.DurationVar(&o.maxDuration, "max-duration", time.Minute, "an invocation must not take longer")
	flags.BoolVar(&o.write, "write", false, "do what changes something: replay, and have an event fail")
	flags.StringVar(&o.event, "event", "", "let this event fail at --rule: one entry, as put-events takes it, in `FILE`; the rule's own targets get it too")
	flags.StringVar(&o.rule, "rule", "", "replay to the rule with this `NAME` alone; with --event it gets a failing target for a moment")
	flags.StringVar(&o.archive, "archive", "", "replay this archive, by `NAME`; empty means the bus's first")
	flags.DurationVar(&o.replay, "replay", 10*time.Minute, "how long a slice of the archive, ending ten minutes ago, to replay")
	flags.DurationVar(&o.wait, "wait", 3*time.Minute, "how long to wait for a replay, and for the event that fails")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	o.on.Bind(flags)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usage(err)
	})
	_ = cmd.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var list []string
		for _, i := range items {
			list = append(list, i.id+"\t"+i.title)
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}) // there is such a flag
}

// usage is a command line that cannot be understood. Cobra's own groups of flags
// are not used: their error would end with 1, as a failed item does.
func usage(err error) error {
	return terminal.Exit{Code: codeUnknown, Message: fmt.Sprintf("check: %v; see throughline check --help", err)}
}

func (o options) run(cmd *cobra.Command) error {
	if o.demo != "" && (len(o.buses)+len(o.functions) > 0 || o.stack != "" || o.template != "" || o.write) {
		return usage(errors.New("--demo reads files: --bus, --function, --stack, --template and --write are of an account"))
	}
	for _, id := range o.only {
		if !slices.ContainsFunc(items, func(i item) bool { return i.id == id }) {
			return fmt.Errorf("there is no item %s: it is one of %s", id, strings.Join(itemIDs(), ", "))
		}
	}
	if o.since <= 0 || o.replay <= 0 || o.wait <= 0 || o.maxSize <= 0 || o.maxDuration <= 0 {
		return errors.New("--since, --replay, --wait, --max-size and --max-duration must be above zero")
	}
	bar := terminal.NewProgress(cmd)
	s, did, err := o.read(cmd.Context(), bar)
	bar.End()
	if err != nil {
		return err
	}
	results := judge(s, limits{size: o.maxSize, duration: o.maxDuration, hops: tracing.DefaultMaxHops}, o.only)
	if o.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), document{s.Source, results, summary(results), s.Notes, did})
	} else {
		err = write(cmd.OutOrStdout(), s.Source, results)
		for _, line := range slices.Concat(s.Notes, did) {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
	}
	if err == nil && summary(results)[Fail] > 0 {
		return terminal.Exit{Code: codeFailed}
	}
	return err
}

func itemIDs() []string {
	var list []string
	for _, i := range items {
		list = append(list, i.id)
	}
	return list
}

// read describes the system that the flags name, and does the trials. did is
// what was changed.
func (o options) read(ctx context.Context, bar terminal.Progress) (s *system.System, did []string, err error) {
	if o.demo != "" {
		s, err = readDemo(o.demo)
		return s, nil, err
	}
	if len(o.buses)+len(o.functions) == 0 && o.stack == "" && o.template == "" {
		return nil, nil, errors.New("say what to check: --bus, --stack, --template, --function or --demo")
	}
	if o.event != "" && o.rule == "" {
		return nil, nil, errors.New("--event needs --rule NAME: the rule that matches it")
	}
	cfg, err := o.on.Config(ctx, o.configure)
	if err != nil {
		return nil, nil, err
	}
	r := newReader(cfg, o, bar)
	if r.scope, err = o.scope(); err != nil {
		return nil, nil, err
	}
	if o.stack != "" {
		if err := r.stack(ctx, o.stack, 0); err != nil {
			return nil, nil, err
		}
	}
	if len(r.scope.buses)+len(r.scope.functions) == 0 {
		return nil, nil, errors.New("it has neither functions nor buses nor rules: there is nothing to check")
	}
	if err := r.read(ctx); err != nil {
		return nil, nil, err
	}
	const pause = 3 * time.Second
	t := trials{reader: r, options: o, pause: min(pause, o.wait/10)}
	err = t.run(ctx)
	return r.system, t.did, err
}

// scope is what the flags name, and the template.
func (o options) scope() (scope, error) {
	s := scope{buses: slices.Clone(o.buses), functions: slices.Clone(o.functions)}
	if o.template == "" {
		return s, nil
	}
	values := map[string]string{}
	for _, pair := range o.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return s, fmt.Errorf("--set %s: write NAME=VALUE", pair)
		}
		values[name] = value
	}
	data, err := os.ReadFile(o.template)
	if err != nil {
		return s, fmt.Errorf("read the template: %w", err)
	}
	names, err := scaffold.NamesIn(data, values)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.template, err)
	}
	if len(names.Unknown) > 0 {
		return s, fmt.Errorf("%s does not tell the names of %s: give parameters with --set NAME=VALUE, or name the deployed stack with --stack, which knows them", o.template, some(names.Unknown))
	}
	for _, b := range names.Buses {
		s.buses = add(s.buses, b)
	}
	for _, f := range names.Functions {
		s.functions = addFunction(s.functions, f)
	}
	s.onDefault = names.DefaultRules
	return s, nil
}
