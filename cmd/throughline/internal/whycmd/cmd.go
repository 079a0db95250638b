// Package whycmd is the command "throughline why": it explains why an event was handled,
// or was not.
package whycmd

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// policy is the IAM policy that --bus and --logs need. Reading spans from X-Ray and
// Transaction Search needs more.
const policy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "events:DescribeEventBus",
        "events:ListEventBuses",
        "events:ListRules",
        "events:ListSubscribers",
        "events:DescribeSubscriber",
        "events:ListTargetsByRule",
        "lambda:GetFunctionConfiguration",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionEventInvokeConfig",
        "lambda:GetPolicy",
        "lambda:ListEventSourceMappings",
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sns:GetTopicAttributes",
        "cloudwatch:GetMetricData",
        "logs:FilterLogEvents",
        "xray:GetTraceSummaries",
        "xray:BatchGetTraces",
        "logs:StartQuery",
        "logs:GetQueryResults"
      ],
      "Resource": "*"
    }
  ]
}
`

// options are the flags of the command.
type options struct {
	source  spansource.Flags
	rules   ruleset.Flags
	events  []string
	logs    string
	closest int
	json    bool

	configure account.Configure
	now       func() time.Time
}

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "why EVENT",
		Short: "Show why an event was handled or not, rule by rule",
		Long: `why compares an event with the rules of a template (--template), of an event bus (--bus),
or of both. It shows which rules match, what happened to the event at their targets, and
which rules are disabled. It also shows the rules that come nearest to a match, with the
member that differs and the kind of difference: a capital letter, a type, a missing
member, an array.

EVENT is a file with an event as a consumer or a dead-letter queue received it (use - to
read standard input), or an ID: the event's own ID, its envelope's ID, or a unique prefix
of either. why looks for an ID in the files of --events, in the log of the bus (--logs),
and in spans. Spans do not contain the detail of an event, so why reports a rule that
tests the detail as undecided.

With --bus it also reads whether targets exist and allow EventBridge to send, dead-letter
queues, concurrency and failure destinations of functions, and CloudWatch's metrics of the
15 minutes after the event. Spans show which functions handled the event, and which
failed.

Exit codes: 0 the event was handled, or why found nothing that prevents this; 1 why found
the cause, or no function handled the event; 2 wrong call; 3 something cannot be read.`,
		Example: `  throughline why event.json --template template.yaml
  throughline why signal-d23f --events build/demo/events.jsonl --template build/demo/template.yaml
  throughline why 25011ff2-cf31-4b81-b887-1463d8dcf0fa --bus trading --logs /aws/vendedlogs/events/event-bus/trading
  aws sqs receive-message --queue-url "$DLQ" --message-attribute-names All | throughline why - --bus trading --json
  throughline why policy > policy.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("why", o.run(cmd, args[0]))
		},
	}
	o.rules.Bind(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.events, "events", nil, "look for the event in `FILE`, which holds recorded events or the log of a bus; repeat for more")
	flags.StringVar(&o.logs, "logs", "", "look for the event in the log of the bus: the `NAME` or ARN of its log group")
	flags.IntVar(&o.closest, "closest", 3, "show this many of the rules that come nearest to a match")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	o.source.Bind(cmd)
	cmd.AddCommand(account.NewPolicy("why", "why --bus and --logs", policy))
	return cmd
}

func (o *options) run(cmd *cobra.Command, argument string) error {
	if o.closest < 0 {
		return terminal.Misuse("--closest must not be below zero")
	}
	configure := o.account()
	f, err := o.find(cmd, argument, configure)
	if err != nil {
		return err
	}
	if !f.known() {
		return o.notFound(argument, o.source.Given(cmd))
	}
	a, err := o.judge(cmd, f, configure)
	if err != nil {
		return err
	}
	if o.json {
		if err := terminal.PrintJSON(cmd.OutOrStdout(), a); err != nil {
			return err
		}
	} else {
		const hang = 2
		if err := terminal.Fit(cmd.OutOrStdout(), hang, func(out io.Writer) error {
			a.write(out)
			return nil
		}); err != nil {
			return err
		}
	}
	if len(a.Reasons) > 0 || !a.Handled && a.Trail != nil {
		return terminal.Exit{Code: terminal.Found}
	}
	return nil
}

func (o *options) notFound(id string, spans bool) error {
	text := "no event " + id + " was found"
	if len(o.events) == 0 && o.logs == "" && !spans {
		return terminal.Misuse("%s: there is no such file; to look for an ID, give --events, --logs, or a source of spans such as --file", text)
	}
	return terminal.Finding("%s: look elsewhere with --events, --logs, or another source of spans", text)
}

// account returns a function that loads AWS's configuration once.
func (o *options) account() func(context.Context) (aws.Config, error) {
	var cfg aws.Config
	var err error
	done := false
	return func(ctx context.Context) (aws.Config, error) {
		if !done {
			cfg, err = o.source.Account().Config(ctx, o.configure)
			done = true
		}
		return cfg, err
	}
}

// readLog adds the records in the log of the bus, by the ID of the envelope. If that is not
// known, the argument can be this ID.
func (o *options) readLog(ctx context.Context, f *found, argument string, configure func(context.Context) (aws.Config, error)) error {
	id := cmp.Or(f.event.ID, argument)
	if o.logs == "" || id == "" {
		return nil
	}
	cfg, err := configure(ctx)
	if err != nil {
		return err
	}
	steps, err := stepsOf(ctx, cfg, o.logs, id, o.now().Add(-o.source.Since()))
	if err != nil || len(steps) == 0 {
		return err
	}
	f.steps = append(f.steps, steps...)
	f.event.Bus = cmp.Or(f.event.Bus, steps[0].Bus)
	f.event.ID = steps[0].EventID
	if e, ok := ofLog(steps); ok && f.event.JSON == nil {
		e.CorrelationID = cmp.Or(e.CorrelationID, f.event.CorrelationID)
		f.event, f.from = e, "the log "+o.logs
	}
	return nil
}

// judge reads the rules and their state in the account, and explains the result.
func (o *options) judge(cmd *cobra.Command, f found, configure func(context.Context) (aws.Config, error)) (Answer, error) {
	ctx := cmd.Context()
	described, parsed, err := f.described()
	if err != nil {
		return Answer{}, err
	}
	c := Case{Event: described, Parsed: parsed, Trail: f.trail, Steps: f.steps}
	var notes []string
	if o.rules.Given() {
		set, err := o.rules.Load(ctx, configure, true, terminal.NewProgress(cmd))
		if err != nil {
			return Answer{}, err
		}
		c.Rules, c.Where, notes, c.Queues = set.Rules, set.Where, set.Notes, set.Queues
		if len(set.Rules) == 0 {
			notes = append(notes, "no rule with an event pattern was found in "+set.Where)
		}
	}
	if len(o.rules.Buses) > 0 {
		if notes, err = o.ask(ctx, &c, notes, configure); err != nil {
			return Answer{}, err
		}
	}
	a := Judge(c, o.closest)
	a.Notes = append(notes, a.Notes...)
	return a, nil
}

// ask reads from the account what concerns the rules that match the event.
func (o *options) ask(ctx context.Context, c *Case, notes []string, configure func(context.Context) (aws.Config, error)) ([]string, error) {
	cfg, err := configure(ctx)
	if err != nil {
		return nil, err
	}
	var matching []ruleset.Rule
	for i := range c.Rules {
		if v, ok := c.verdict(&c.Rules[i]); ok && (v.Matches() || v.Unsure != "") {
			matching = append(matching, c.Rules[i])
		}
	}
	if c.Functions, err = functionsOf(ctx, cfg, matching); err != nil {
		return nil, err
	}
	for name, f := range c.Functions {
		if f.Missing != "" {
			notes = append(notes, "function "+name+": "+f.Missing)
		}
	}
	if c.Event.Time.IsZero() || len(matching) == 0 {
		return notes, nil
	}
	c.Counts, err = countsOf(ctx, cfg, matching, c.Event.Time)
	if account.ErrorCode(err) != "" {
		return append(notes, err.Error()), nil
	}
	return notes, err
}
