// Package rulescmd is the command "throughline rules": it tests the rules of a template
// or of an account with recorded events.
package rulescmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
	"github.com/throughline/throughline/cmd/throughline/internal/ruleset"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/atomicfile"
)

// policy is the IAM policy that rules test needs.
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
        "events:ListTargetsByRule"
      ],
      "Resource": "*"
    }
  ]
}
`

// options are the flags of rules test.
type options struct {
	from ruleset.Flags
	on   account.Flags
	save string
	json bool

	configure account.Configure
}

// New returns the command.
func New(configure account.Configure) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Count how many recorded events each rule matches",
		Long:  "rules compares recorded events with the rules of a template or of an event bus.",
		Example: `  throughline rules test events.jsonl --template template.yaml
  throughline rules policy > policy.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTest(configure), account.NewPolicy("rules", "rules test --bus", policy))
	return cmd
}

func newTest(configure account.Configure) *cobra.Command {
	o := options{configure: configure}
	cmd := &cobra.Command{
		Use:   "test FILE… (--template TEMPLATE | --bus BUS)",
		Short: "Count the events that each rule matches, and compare with earlier counts",
		Long: `rules test counts how many events of the files each rule matches, by event type. Then it
lists the events that no enabled rule matches. For each, it names the nearest rule and the
difference.

A FILE holds events as consumers receive them or as PutEvents takes them, messages of
queues, or logs with any of these. Use - to read standard input. An event that was
delivered several times counts once. An envelope does not name its bus, so rules test
compares it with the rules of every bus. An entry of PutEvents names its bus, but has no
id, account, region and time.

With --save it compares the counts with those in a file, and then updates the file. Keep
the file beside the template: it shows the effect of a change to a rule.

Exit codes: 0 success; 1 a count changed, or no event was found; 2 wrong call; 3 something
cannot be read.`,
		Example: `  throughline rules test build/demo/events.jsonl --template build/demo/template.yaml
  throughline rules test events.jsonl --template template.yaml --set Stage=dev --save rules.json
  aws sqs receive-message --queue-url "$DLQ" --max-number-of-messages 10 | throughline rules test - --bus trading --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("rules test", o.run(cmd, args))
		},
	}
	o.from.Bind(cmd)
	cmd.Flags().StringVar(&o.save, "save", "", "compare with the counts in `FILE`, then write the new counts to it")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	o.on.Bind(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("template", "bus")
	cmd.MarkFlagsOneRequired("template", "bus")
	return cmd
}

func (o *options) run(cmd *cobra.Command, files []string) error {
	progress := terminal.NewProgress(cmd)
	configure := func(ctx context.Context) (aws.Config, error) { return o.on.Config(ctx, o.configure) }
	set, err := o.from.Load(cmd.Context(), configure, false, progress)
	if err != nil {
		return err
	}
	if len(set.Rules) == 0 {
		return terminal.Finding("there is no rule with an event pattern in %s", set.Where)
	}
	r := newReport(set.Rules)
	for _, file := range files {
		if err := o.read(cmd, r, file, progress); err != nil {
			return err
		}
	}
	if r.Events == 0 {
		return terminal.Finding("no event was found in %s: see --help for what can be read", strings.Join(files, ", "))
	}
	if o.save != "" {
		if err := r.since(o.save); err != nil {
			return err
		}
	}
	if o.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), r)
	} else {
		const hang = 2
		err = terminal.Fit(cmd.OutOrStdout(), hang, func(out io.Writer) error { return r.write(out, files, set.Where) })
	}
	if err == nil && o.save != "" {
		err = r.keep(o.save)
	}
	if err == nil && len(r.Changes) > 0 {
		return terminal.Exit{Code: terminal.Found}
	}
	return err
}

func (o *options) read(cmd *cobra.Command, r *Report, name string, progress terminal.Progress) error {
	file, err := terminal.Open(cmd.InOrStdin(), name)
	if err != nil {
		return err
	}
	defer file.Close()
	left, others, err := envelope.Read(progress.Reading(name, file), r.add)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Skipped += others + left.Lines + left.TooLong
	if left.Truncated {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: skipped %s\n", name, left)
	}
	return nil
}

// since compares with the counts in a file, if it has some.
func (r *Report) since(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var last Report
	if err := json.Unmarshal(data, &last); err != nil || last.Rules == nil {
		return fmt.Errorf("%s has no counts of --save: name another file", file)
	}
	r.compare(last)
	return nil
}

// keep writes the counts to a file.
func (r *Report) keep(file string) error {
	kept := *r
	kept.Changes, kept.Unmatched = nil, nil
	return atomicfile.Write(file, func(w io.Writer) error { return terminal.PrintJSON(w, kept) })
}
