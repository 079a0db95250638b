package dlqcmd

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/redrive"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// redriving are the flags of dlq redrive.
type redriving struct {
	options
	all, dry, yes bool
	to            string
	rate          float64
	most          int
	journal, keep string
}

func newRedrive(o options) *cobra.Command {
	r := redriving{options: o}
	cmd := &cobra.Command{
		Use:   "redrive QUEUE (--all | --group KEY | --message ID | …) (--dry-run | --yes)",
		Short: "Send messages of a dead-letter queue back to where they came from",
		Long: `dlq redrive sends messages back to where they failed: those of a rule to the rule's
target, as the rule would have delivered them; those of a function's asynchronous
invocations to the function; those of a queue to the queue; those of a topic to the
subscription. --to names another destination. With --to bus, events are published again on
the bus of their rule, in new envelopes with the same event IDs, and every rule sees them.
Messages of a new custom bus stay in the queue, because they do not contain their events:
use dlq replay.

A copy has the body, attributes, trace header and FIFO message group of the message, and a
new message ID.

dlq redrive deletes a message only after its copy was accepted. It records every step in a
journal. To continue a run that was killed, repeat the command: it does not send again the
messages that the journal records as accepted. It prints how many messages were being sent
when the run was killed; these may arrive twice. You can delete the journal when all
messages are sent.

Start with --dry-run, which prints the destination of each message and sends nothing.
Received messages are hidden from other consumers for --hide.

Exit codes: 0 all selected messages were sent; 1 some were not sent, or none was selected;
2 wrong call; 3 the queue cannot be read.`,
		Example: `  throughline dlq redrive plans-failed --all --dry-run
  throughline dlq redrive plans-failed --group 1f09ac --yes
  throughline dlq redrive plans-failed --message 0b5c9d7e --yes --keep redriven.jsonl
  throughline dlq redrive plans-failed --cause THROTTLING --to bus --rate 5 --yes --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("dlq redrive", r.run(cmd, args[0]))
		},
	}
	const patience = 5 * time.Minute
	r.bind(cmd, patience)
	r.bindFilter(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&r.messages, "message", nil, "select the message with this `ID`, or with an event of this ID; repeat for more")
	flags.BoolVar(&r.all, "all", false, "select every message")
	flags.BoolVar(&r.dry, "dry-run", false, "print the destination of each message, and send nothing")
	flags.BoolVar(&r.yes, "yes", false, "send the messages")
	flags.StringVar(&r.to, "to", "", "send to `DESTINATION`: queue:NAME, function:NAME, topic:ARN, bus:NAME, or bus for the bus of each rule; empty means where each message failed")
	flags.Float64Var(&r.rate, "rate", 20, "send at most this many messages a second; 0 means no limit")
	flags.IntVar(&r.most, "max", 0, "send at most this many messages; 0 means all")
	flags.StringVar(&r.journal, "journal", "", "record progress in `FILE`; empty means QUEUE.redrive.jsonl")
	flags.StringVar(&r.keep, "keep", "", "copy the messages to `FILE` before they are sent, one a line")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "yes")
	_ = cmd.RegisterFlagCompletionFunc("to", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"bus", "bus:", "queue:", "function:", "topic:"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}) // fails only for an unknown flag
	return cmd
}

func (r *redriving) run(cmd *cobra.Command, name string) error {
	if err := r.check(); err != nil {
		return err
	}
	to, err := redrive.ParseDestination(r.to)
	switch {
	case err != nil:
		return terminal.Misuse("--to: %v", err)
	case r.all == r.given():
		return errWhich()
	case !r.dry && !r.yes:
		return terminal.Misuse("run it with --dry-run first, then send with --yes")
	case r.rate < 0 || r.most < 0:
		return terminal.Misuse("--rate and --max must not be below zero")
	}
	queues, send, err := r.open(cmd, name)
	if err != nil {
		return err
	}
	q := queues[0]
	if r.dry {
		return r.rehearse(cmd, q, to)
	}
	if err := r.announce(cmd, q, "it is sent or released"); err != nil {
		return err
	}
	return r.send(cmd, q, send, to)
}

// selects reports whether a message is selected.
func (r *redriving) selects(l *deadletter.Letter) bool { return r.all || r.takes(l, r.now()) }

// Rehearsal is the result of a dry run.
type Rehearsal struct {
	Queue    string            `json:"queue"`
	Read     int               `json:"read"`
	Selected int               `json:"selected"`
	To       map[string]int    `json:"to"` // the number of messages by destination
	Stay     []redrive.Failure `json:"stay,omitempty"`
	// Earlier is the number of messages that an earlier run sent and that would only be
	// deleted.
	Earlier int `json:"sent_by_an_earlier_run,omitempty"`
}

// rehearse prints what would be sent where.
func (r *redriving) rehearse(cmd *cobra.Command, q *queue, to redrive.Destination) error {
	if err := r.announce(cmd, q, "the dry run has read it"); err != nil {
		return err
	}
	path := r.journalOf(q)
	known := func(string) bool { return false }
	if _, err := os.Stat(path); err == nil {
		journal, err := redrive.Open(path, q.ARN, r.now)
		if err != nil {
			return err
		}
		defer journal.Close() //nolint:errcheck // each line is already synced to disk
		known = journal.Sent
	}
	plan := Rehearsal{Queue: q.Name, To: map[string]int{}}
	const everything = 1 << 20
	var err error
	plan.Read, err = q.each(cmd.Context(), everything, terminal.NewProgress(cmd), func(l *deadletter.Letter) (bool, error) {
		if known(l.ID) {
			plan.Earlier++
			return true, nil
		}
		if !r.selects(l) {
			return true, nil
		}
		plan.Selected++
		item, err := redrive.Plan(*l, to)
		if err != nil {
			plan.Stay = append(plan.Stay, redrive.Failure{Message: l.ID, Event: l.EventID, Why: err.Error()})
		} else {
			plan.To[item.To.String()]++
		}
		return r.most == 0 || plan.Selected < r.most, nil
	})
	if err != nil {
		return err
	}
	if r.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), plan)
	} else {
		err = terminal.Fit(cmd.OutOrStdout(), 2, func(out io.Writer) error { plan.write(out); return nil })
	}
	if err == nil && (len(plan.Stay) > 0 || plan.Selected+plan.Earlier == 0) {
		return terminal.Exit{Code: terminal.Found}
	}
	return err
}

func (p *Rehearsal) write(out io.Writer) {
	fmt.Fprintf(out, "dry run: of %s in %s %d would be sent\n", phrase.Count(p.Read, "message"), terminal.Line(p.Queue), p.Selected-len(p.Stay))
	for _, to := range slices.Sorted(maps.Keys(p.To)) {
		fmt.Fprintf(out, "  %d to %s\n", p.To[to], terminal.Line(to))
	}
	if p.Earlier > 0 {
		fmt.Fprintf(out, "  %d were sent by an earlier run and would only be deleted\n", p.Earlier)
	}
	writeFailures(out, p.Stay, "would stay")
}

// writeFailures prints why messages stay in the queue, each reason once.
func writeFailures(out io.Writer, list []redrive.Failure, what string) {
	by := map[string][]string{}
	for _, f := range list {
		by[f.Why] = append(by[f.Why], f.Message)
	}
	for _, why := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(out, "  %d %s: %s (%s)\n", len(by[why]), what, terminal.Line(why), terminal.Line(phrase.Some(by[why])))
	}
}

func (r *redriving) journalOf(q *queue) string {
	if r.journal != "" {
		return r.journal
	}
	return q.Name + ".redrive.jsonl"
}

// Redriven is the result of a run.
type Redriven struct {
	Queue   string `json:"queue"`
	Journal string `json:"journal"`
	Kept    string `json:"kept_in,omitempty"`
	redrive.Report
}

// send redrives.
func (r *redriving) send(cmd *cobra.Command, q *queue, send *sender, to redrive.Destination) error {
	done := Redriven{Queue: q.Name, Journal: r.journalOf(q), Kept: r.keep}
	journal, err := redrive.Open(done.Journal, q.ARN, r.now)
	if err != nil {
		return err
	}
	defer journal.Close() //nolint:errcheck // each line is already synced to disk
	if n := journal.Doubt(); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "taking up an earlier run: %s being sent when it ended, and may be there twice where they are sent again; what it hides comes back within %s\n", were(n), phrase.Duration(r.hide))
	}
	o := redrive.Options{Select: r.selects, To: to, Rate: r.rate, Most: r.most, Hide: r.hide}
	if r.keep != "" {
		keep, err := os.OpenFile(r.keep, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer keep.Close()
		o.Keep = keep
	}
	bar, began := terminal.NewProgress(cmd), r.now()
	o.Progress = func(report redrive.Report) {
		bar.Show("%d of about %d sent, %d failed, %s", report.Sent, q.Messages, len(report.Failed), r.now().Sub(began).Round(time.Second))
	}
	done.Report, err = redrive.Run(cmd.Context(), q, send, journal, o)
	bar.End()
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d were sent until then: the journal %s says which\n", done.Sent, done.Journal)
		return err
	}
	if r.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), done)
	} else {
		err = terminal.Fit(cmd.OutOrStdout(), 2, func(out io.Writer) error { done.write(out); return nil })
	}
	if err == nil && (len(done.Failed) > 0 || done.Ended != "" || done.Sent+done.Earlier == 0) {
		return terminal.Exit{Code: terminal.Found}
	}
	return err
}

func were(n int) string {
	if n == 1 {
		return "1 message was"
	}
	return fmt.Sprintf("%d messages were", n)
}

func (d *Redriven) write(out io.Writer) {
	fmt.Fprintf(out, "%s of %s sent, %d deleted from the queue\n", phrase.Count(d.Sent, "message"), terminal.Line(d.Queue), d.Deleted)
	for _, to := range slices.Sorted(maps.Keys(d.To)) {
		fmt.Fprintf(out, "  %d to %s\n", d.To[to], terminal.Line(to))
	}
	if d.Earlier > 0 {
		fmt.Fprintf(out, "  %d had been sent by an earlier run and were only deleted\n", d.Earlier)
	}
	if d.Again > 0 {
		fmt.Fprintf(out, "  %d may have been sent by an earlier run too: look for them with throughline repeats\n", d.Again)
	}
	switch {
	case d.Left > 0 && d.Left == d.Received:
		fmt.Fprintf(out, "  %d were not selected and stay: `throughline dlq %s` shows the groups and causes\n", d.Left, terminal.Line(d.Queue))
	case d.Left > 0:
		fmt.Fprintf(out, "  %d were not selected and stay\n", d.Left)
	}
	writeFailures(out, d.Failed, "were not accepted and stay")
	if d.Held > 0 {
		fmt.Fprintf(out, "  %d are in flight to other consumers: run the command again later\n", d.Held)
	}
	if d.Ended != "" {
		fmt.Fprintf(out, "  stopped before the end: %s\n", d.Ended)
	}
	if d.Kept != "" {
		fmt.Fprintf(out, "copied to %s\n", strings.TrimSpace(d.Kept))
	}
	fmt.Fprintf(out, "the journal is %s\n", d.Journal)
}

// readPolicy is the IAM policy of the list, show and --dry-run. writePolicy is the policy
// that redrive --yes needs in addition.
const readPolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ListDeadLetterSourceQueues",
        "sqs:ReceiveMessage",
        "sqs:ChangeMessageVisibility",
        "lambda:ListFunctions",
        "lambda:ListEventSourceMappings",
        "sns:ListSubscriptionsByTopic",
        "sns:GetSubscriptionAttributes",
        "events:DescribeSubscriber",
        "events:DescribeEventBus"
      ],
      "Resource": "*"
    }
  ]
}
`

const writePolicy = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "sqs:DeleteMessage",
        "sqs:SendMessage",
        "lambda:InvokeFunction",
        "sns:Publish",
        "events:PutEvents"
      ],
      "Resource": "*"
    }
  ]
}
`

func newPolicy() *cobra.Command {
	return terminal.PolicyCommand("Print the IAM policy that dlq needs, or with --write the one that redrive --yes also needs",
		`  throughline dlq policy > read.json
  throughline dlq policy --write > write.json`,
		"print what redrive --yes needs in addition", readPolicy, writePolicy)
}
