// Package expectcmd is the command "throughline expect": it waits until the spans of a
// workflow meet the expectations of a test, and reports what they show instead.
package expectcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/atomicfile"
	"github.com/throughline/throughline/internal/pause"
)

// options are the flags of the command.
type options struct {
	source       spansource.Flags
	steps        []step
	rules        rules
	wait, settle time.Duration
	json         bool
	junit        string

	configure account.Configure
	now       func() time.Time
}

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "expect [CORRELATION_ID]",
		Short: "Wait until a workflow meets a test's expectations, for CI",
		Long: `expect reads the spans of a workflow until they meet the expectations in the flags, and
prints each expectation with its result. If one is not met, it also prints the workflow as
a tree.

--event, --handled-by and --then are steps, in the order in which they are given.
--handled-by names a function that handles the event of the previous step, directly or
through a message. --then names the type of an event that is published as a result of the
previous step. The workflow is that of --event, or the one with the correlation ID.

--within is the longest time that each step may take, from the publication of the event,
or from the start of the workflow. --no-repeat, --no-error and --max-hops apply to
everything that the event causes. After the steps are met, expect keeps checking these
three for as long as --settle.

--wait is the longest time to wait for spans. With --wait 0, expect reads the spans once.

Exit codes: 0 every expectation is met; 1 an expectation is not met; 2 wrong call; 3 the
spans cannot be read.`,
		Example: `  throughline expect --event o-1 --handled-by fulfil --then OrderFulfilled --within 10s --dev
  throughline expect workflow-6513270e --then TradeExecuted --no-repeat --no-error --max-hops 5
  throughline expect --event o-1 --then OrderFulfilled --junit build/expect.xml --jaeger http://127.0.0.1:16686`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("expect", o.run(cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.Var(&stepFlag{anEvent, &o.steps}, "event", "expect the event with this `ID` or unique prefix of an ID")
	flags.Var(&stepFlag{handledBy, &o.steps}, "handled-by", "expect that `FUNCTION` handles the event of the previous step")
	flags.Var(&stepFlag{then, &o.steps}, "then", "expect that an event of `TYPE` is published as a result of the previous step")
	flags.DurationVar(&o.rules.within, "within", 0, "expect each step within this time; 0 means no limit")
	flags.BoolVar(&o.rules.noRepeat, "no-repeat", false, "expect no repeat")
	flags.BoolVar(&o.rules.noError, "no-error", false, "expect no span with an error, and no HTTP status of 400 or above")
	flags.IntVar(&o.rules.maxHops, "max-hops", -1, "expect at most this `NUMBER` of hops; a negative number means no limit")
	const patience, quiet = 30 * time.Second, 2 * time.Second
	flags.DurationVar(&o.wait, "wait", patience, "wait this long for spans")
	flags.DurationVar(&o.settle, "settle", quiet, "after the steps are met, check for repeats, errors and hops this much longer")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.junit, "junit", "", "also write a JUnit report to `FILE`")
	o.source.Bind(cmd)
	return cmd
}

// stepFlag adds a step, so that steps keep the order in which they were given.
type stepFlag struct {
	what  what
	steps *[]step
}

func (*stepFlag) String() string { return "" }
func (*stepFlag) Type() string   { return "string" }

// Set implements pflag.Value.
func (f *stepFlag) Set(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	*f.steps = append(*f.steps, step{f.what, name})
	return nil
}

// check refuses calls without an expectation, and calls that contradict themselves.
func (o *options) check(correlationID string) error {
	events := 0
	for _, s := range o.steps {
		if s.what == anEvent {
			events++
		}
	}
	wrong := ""
	switch {
	case len(o.steps) == 0 && !o.rules.negative():
		wrong = "give an expectation, for example --handled-by FUNCTION or --no-error"
	case events > 1:
		wrong = "--event can be given once"
	case events == 1 && o.steps[0].what != anEvent:
		wrong = "--event comes before --handled-by and --then"
	case events == 0 && correlationID == "":
		wrong = "name a correlation ID, or give --event ID"
	case events == 1 && correlationID != "":
		wrong = "name a correlation ID, or give --event ID, not both"
	case o.rules.within < 0 || o.wait < 0 || o.settle < 0:
		wrong = "--within, --wait and --settle cannot be below zero"
	default:
		return nil
	}
	return terminal.Misuse("%s", wrong)
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	correlationID := ""
	if len(args) > 0 {
		correlationID = args[0]
	}
	if err := o.check(correlationID); err != nil {
		return err
	}
	tell, end := spansource.Tell(cmd)
	defer end()
	source, err := o.source.Open(cmd.Context(), o.configure, o.now(), tell)
	if err != nil {
		return err
	}
	began := time.Now()
	w, verdicts, err := o.until(cmd.Context(), source, correlationID, tell.Progress)
	if err != nil {
		return err
	}
	end()
	r := report{Met: met(verdicts), WaitedMS: time.Since(began).Milliseconds(), Expectations: verdicts}
	if w != nil {
		r.CorrelationID = w.CorrelationID
	}
	if o.junit != "" {
		if err := atomicfile.Write(o.junit, func(out io.Writer) error { return r.junit(out) }); err != nil {
			return err
		}
	}
	if err := r.print(cmd.OutOrStdout(), w, o.json); err != nil {
		return err
	}
	if !r.Met {
		return terminal.Exit{Code: terminal.Found}
	}
	return nil
}

// until reads the spans until all expectations are met and stay met, until one cannot be
// met any more, or until the time is over. A source that cannot be read can become
// readable: only the error of the last read counts.
func (o *options) until(ctx context.Context, source spansource.Source, correlationID string, show func(string, ...any)) (*workflow.Workflow, []verdict, error) {
	deadline := time.Now().Add(o.wait)
	var since time.Time // when the steps were first met
	for {
		w, verdicts, err := o.look(ctx, source, correlationID)
		now := time.Now()
		over := !now.Before(deadline)
		switch {
		case err != nil && (over || ctx.Err() != nil):
			return nil, nil, err
		case err != nil:
			show("waiting for the spans: %v", err)
		case met(verdicts):
			if since.IsZero() {
				since = now
			}
			if o.wait == 0 || !o.rules.negative() || now.Sub(since) >= o.settle {
				return w, verdicts, nil
			}
			show("met; watching for another %s", (o.settle - now.Sub(since)).Round(time.Second))
		case over || final(verdicts):
			return w, verdicts, nil
		default:
			show("waiting for %s", unmet(verdicts))
		}
		if err := pause.For(ctx, source.Interval); err != nil {
			return nil, nil, err
		}
	}
}

// look checks what the source has at present. w is nil if it has no span of the workflow.
func (o *options) look(ctx context.Context, source spansource.Source, correlationID string) (*workflow.Workflow, []verdict, error) {
	steps := append([]step(nil), o.steps...)
	id, err := correlationID, error(nil)
	if len(steps) > 0 && steps[0].what == anEvent {
		var whole string
		if id, whole, err = source.OfEvent(ctx, steps[0].name); err == nil {
			steps[0].name = whole
		}
	}
	var w *workflow.Workflow
	if err == nil {
		w, err = source.Find(ctx, id)
	}
	nothing := errors.Is(err, spansource.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
	if err != nil && !nothing {
		return nil, nil, err
	}
	var d workflow.Document
	if w != nil {
		d = w.Document()
	}
	verdicts := judge(&d, steps, o.rules)
	if nothing { // an empty tree breaks no rule, but meets none either
		for i := range verdicts {
			verdicts[i] = verdict{Expected: verdicts[i].Expected, Detail: fmt.Sprintf("no span of the workflow is %s", source.Where)}
		}
	}
	if id == "" && errors.Is(err, spansource.ErrNotFound) {
		verdicts[0].Detail = err.Error()
	}
	return w, verdicts, nil
}

func met(verdicts []verdict) bool { return unmet(verdicts) == "" }

func unmet(verdicts []verdict) string {
	for _, v := range verdicts {
		if !v.Met {
			return v.Expected
		}
	}
	return ""
}

func final(verdicts []verdict) bool {
	for _, v := range verdicts {
		if v.Final {
			return true
		}
	}
	return false
}
