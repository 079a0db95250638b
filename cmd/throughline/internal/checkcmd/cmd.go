// Package checkcmd is the command "throughline check": the checklist that a system has to
// pass before it goes live. Package read describes the system, from a demo's files or
// from an account. Package judge judges the description. Package try, only with --write,
// tests what cannot be read.
package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/read"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/try"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
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

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "check (--bus NAME | --stack NAME | --template FILE | --function NAME | --demo FOLDER)",
		Short: "Check whether a system is ready to go live",
		Long: `check goes through a checklist, and prints one line for each item with the evidence:

  serialise    EventBridge refused no event, and no function failed to write one
  size         the largest event is below --max-size
  replay       a replay from the archive had no effect a second time
  dlq          a dead-letter queue receives an event that fails
  durations    no invocation took longer than --max-duration
  correlation  correlation IDs run from end to end
  delay        functions end in time while calls to Alpaca are delayed
  loops        no event goes round in a loop
  bus          the buses exist: EventBridge silently drops events for missing buses
  resources    rules that match on resources match the same events with a stamp
  targets      the target of each rule has a dead-letter queue
  policies     functions, queues and topics allow the rules to send
  timeouts     the time-out of each function is well above its longest invocation
  logs         log format, level and class let metric lines through
  metrics      the metrics of each function arrive
  names        metrics and alarms are spelt as they are emitted
  newbus       what new custom buses do that AWS does not document

--bus, --stack, --function and --template read an AWS account. --template reads from it
the resources that the template names; throughline dev TEMPLATE --check needs no account.
check checks the functions of --function, or the functions that are targets of the bus's
rules.

By default, check only reads. With --write, it also replays part of an archive, so that
consumers handle these events again. It makes an event fail: it creates a rule with a
target, publishes an event, receives it from the dead-letter queue, and removes what it
created. On a new custom bus, it publishes one event three times, and compares the
answers. Without --write, check prints what it would do for these items.

Exit codes: 0 no item failed; 1 an item failed; 2 wrong call; 3 the system cannot be
read.`,
		Example: `  throughline check --demo build/demo
  throughline check --stack trading-dev --region eu-west-1
  throughline check --bus trading-events-dev --since 3h --only size,correlation,targets
  throughline check --template template.yaml --set Stage=dev --json
  throughline check --bus trading-events-dev --write --replay 10m --wait 5m
  throughline check policy --write > policy.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: name what to check with flags", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return terminal.In("check", o.run(cmd))
		},
	}
	o.bind(cmd)
	cmd.AddCommand(newPolicy())
	return cmd
}

// Folder runs the checklist on the files in a folder, as --demo does, with the command's
// default limits. It prints the same report and returns the same errors.
func Folder(cmd *cobra.Command, dir string, asJSON bool) error {
	var o options
	o.bind(&cobra.Command{})
	o.demo, o.json = dir, asJSON
	return o.run(cmd)
}

func (o *options) bind(cmd *cobra.Command) {
	const (
		size = 200_000 // bytes, the default of THROUGHLINE_SIZE_WARN
		day  = 24 * time.Hour
	)
	flags := cmd.Flags()
	flags.StringVar(&o.demo, "demo", "", "check the files that the demo left in `FOLDER`")
	flags.StringArrayVar(&o.buses, "bus", nil, "check the event bus with this `NAME` or ARN; repeat for more")
	flags.StringArrayVar(&o.functions, "function", nil, "check the function with this `NAME` or ARN; repeat for more")
	flags.StringVar(&o.stack, "stack", "", "check the resources of the CloudFormation stack `NAME`")
	flags.StringVar(&o.template, "template", "", "check the resources in the SAM or CloudFormation template `FILE`")
	flags.StringArrayVar(&o.set, "set", nil, "set a parameter of the template, or the name of the resource with this logical ID: `ID=VALUE`; repeat for more")
	flags.StringSliceVar(&o.only, "only", nil, "check only these `ITEMS`, comma separated")
	flags.DurationVar(&o.since, "since", day, "look at the traffic of this `DURATION`")
	flags.StringVar(&o.namespace, "namespace", metrics.DefaultNamespace, "the `NAMESPACE` of the metrics of functions that set none")
	flags.IntVar(&o.maxSize, "max-size", size, "fail if an event has this many `BYTES` or more")
	flags.DurationVar(&o.maxDuration, "max-duration", time.Minute, "fail if an invocation takes longer")
	flags.BoolVar(&o.write, "write", false, "allow changes: replay events, and make an event fail")
	flags.StringVar(&o.event, "event", "", "publish the event in `FILE`, an entry as put-events --entries takes it, and make it fail at --rule; the targets of the rule receive it too")
	flags.StringVar(&o.rule, "rule", "", "replay only to the rule `NAME`; with --event, add a failing target to it for the trial")
	flags.StringVar(&o.archive, "archive", "", "replay the archive `NAME`; empty means the first of the bus")
	flags.DurationVar(&o.replay, "replay", 10*time.Minute, "replay this much of the archive, up to ten minutes ago")
	flags.DurationVar(&o.wait, "wait", 3*time.Minute, "wait this long for the replay, and for the failing event")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	o.on.Bind(flags)
	_ = cmd.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var list []string
		for _, i := range judge.Items() {
			list = append(list, i.ID+"\t"+i.Title)
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}) // fails only for an unknown flag
}

func (o options) run(cmd *cobra.Command) error {
	if o.demo != "" && (len(o.buses)+len(o.functions) > 0 || o.stack != "" || o.template != "" || o.write) {
		return terminal.Misuse("--demo only reads files: give it without --bus, --function, --stack, --template and --write, which need an account")
	}
	for _, id := range o.only {
		if !slices.Contains(itemIDs(), id) {
			return terminal.Misuse("there is no item %s: the items are %s", id, strings.Join(itemIDs(), ", "))
		}
	}
	if o.since <= 0 || o.replay <= 0 || o.wait <= 0 || o.maxSize <= 0 || o.maxDuration <= 0 {
		return terminal.Misuse("--since, --replay, --wait, --max-size and --max-duration must be above zero")
	}
	bar := terminal.NewProgress(cmd)
	s, did, err := o.describe(cmd.Context(), bar)
	bar.End()
	if err != nil {
		for _, line := range did {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
		return err
	}
	results := judge.Judge(s, judge.Limits{Size: o.maxSize, Duration: o.maxDuration, Hops: lineage.DefaultMaxHops}, o.only)
	if o.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), document{s.Source, results, summary(results), s.Notes, did})
	} else {
		err = terminal.Fit(cmd.OutOrStdout(), status, func(out io.Writer) error { return write(out, s.Source, results) })
		for _, line := range slices.Concat(s.Notes, did) {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
	}
	if err == nil && summary(results)[judge.Fail] > 0 {
		return terminal.Exit{Code: terminal.Found}
	}
	return err
}

func itemIDs() []string {
	var list []string
	for _, i := range judge.Items() {
		list = append(list, i.ID)
	}
	return list
}

// describe reads the system that the flags name, and makes the trials. did lists the
// changes.
func (o options) describe(ctx context.Context, bar terminal.Progress) (s *system.System, did []string, err error) {
	if o.demo != "" {
		s, err = read.Demo(o.demo)
		return s, nil, err
	}
	if len(o.buses)+len(o.functions) == 0 && o.stack == "" && o.template == "" {
		return nil, nil, terminal.Misuse("nothing to check is named: give --bus, --stack, --template, --function or --demo")
	}
	if o.event != "" && o.rule == "" {
		return nil, nil, terminal.Misuse("--event needs a rule: give --rule NAME, the rule that matches the event")
	}
	scope, err := o.scope()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := o.on.Config(ctx, o.configure)
	if err != nil {
		return nil, nil, err
	}
	now := o.now()
	account := read.New(cfg, read.Options{Now: now, Over: o.since, Namespace: o.namespace, Progress: bar})
	account.Scope = scope
	if o.stack != "" {
		if err := account.Stack(ctx, o.stack); err != nil {
			return nil, nil, err
		}
	}
	if len(account.Scope.Buses)+len(account.Scope.NewBuses)+len(account.Scope.Functions) == 0 {
		return nil, nil, terminal.Finding("there is nothing to check: no function, bus or rule was found")
	}
	if err := account.Read(ctx); err != nil {
		return nil, nil, err
	}
	trials := try.New(cfg, account, try.Options{
		Write: o.write, Event: o.event, Rule: o.rule, Archive: o.archive, Slice: o.replay, Wait: o.wait, Now: now, Progress: bar,
	})
	for _, trial := range []struct {
		item string
		try  func(context.Context) error
	}{{"dlq", trials.DeadLetters}, {"replay", trials.Replay}, {"newbus", trials.NewBuses}} {
		if len(o.only) > 0 && !slices.Contains(o.only, trial.item) {
			continue
		}
		if err := trial.try(ctx); err != nil {
			return account.System, trials.Did(), err
		}
	}
	return account.System, trials.Did(), nil
}

// scope returns what the flags and the template name.
func (o options) scope() (read.Scope, error) {
	s := read.Scope{Buses: slices.Clone(o.buses), Functions: slices.Clone(o.functions)}
	if o.template == "" {
		return s, nil
	}
	values := map[string]string{}
	for _, pair := range o.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return s, terminal.Misuse("--set %s: write NAME=VALUE", pair)
		}
		values[name] = value
	}
	data, err := os.ReadFile(o.template)
	if err != nil {
		return s, fmt.Errorf("read the template: %w: name a SAM or CloudFormation template with --template", err)
	}
	names, err := template.NamesIn(data, values)
	if _, misuse := errors.AsType[template.NoID](err); misuse {
		return s, terminal.Misuse("%s: %v", o.template, err)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.template, err)
	}
	if len(names.Unknown) > 0 {
		return s, terminal.Misuse("%s does not have the names of %s: give each with --set ID=NAME, or the parameters that they depend on, or name the deployed stack with --stack; `throughline dev %[1]s --check samples` needs no account", o.template, phrase.Some(names.Unknown))
	}
	for _, b := range names.Buses {
		s.AddBus(b)
	}
	s.NewBuses = names.NewBuses
	for _, f := range names.Functions {
		s.AddFunction(f)
	}
	s.OnDefault = names.DefaultRules
	return s, nil
}
