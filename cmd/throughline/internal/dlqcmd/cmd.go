// Package dlqcmd is the command "throughline dlq": it shows what is in dead-letter queues
// and why, and sends messages back to where they failed.
package dlqcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// options are the flags and dependencies that the commands share.
type options struct {
	filter
	on   account.Flags
	hide time.Duration
	wait int32 // WaitTimeSeconds of a receive
	json bool

	configure account.Configure
	now       func() time.Time
}

// bind adds the flags that the commands share. hide is the default of --hide.
func (o *options) bind(cmd *cobra.Command, hide time.Duration) {
	flags := cmd.Flags()
	flags.DurationVar(&o.hide, "hide", hide, "hide received messages from other consumers for this long (SQS's visibility timeout)")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.String("dev", "", "read the queues of the application that throughline dev plays: in a `FOLDER`, or for a page's port; without a value, of the application whose template is in or below the working folder, else of the one that was started last")
	flags.Lookup("dev").NoOptDefVal = devfolder.WorkingFolder
	o.on.Bind(flags)
}

func (o *options) bindFilter(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.groups, "group", nil, "select the group with this `KEY`, which the list shows; repeat for more")
	flags.StringSliceVar(&o.causes, "cause", nil, "select messages with this `CAUSE`; repeat for more")
	flags.StringSliceVar(&o.whoms, "function", nil, "select messages that failed at the function or target `NAME`; repeat for more")
	flags.StringSliceVar(&o.types, "type", nil, "select events of this `TYPE`; repeat for more")
	flags.DurationVar(&o.olderThan, "older-than", 0, "select messages that have been in the queue at least this long")
	flags.DurationVar(&o.youngerThan, "younger-than", 0, "select messages that have been in the queue less than this long")
}

// check refuses values that SQS would refuse.
func (o *options) check() error {
	const longest = 12 * time.Hour // (API reference, ReceiveMessage)
	if o.hide < time.Second || o.hide > longest {
		return terminal.Misuse("--hide must be from 1s to 12h")
	}
	return nil
}

// config returns the configuration of AWS's clients: that of the account or, with --dev, of
// an application that throughline dev plays. --endpoint-url goes before --dev: then --dev
// of dlq show names only the spans.
func (o *options) config(cmd *cobra.Command) (aws.Config, error) {
	dev := cmd.Flags().Lookup("dev")
	if !dev.Changed || o.on.Endpoint != "" {
		return o.on.Config(cmd.Context(), o.configure)
	}
	a, of, err := devfolder.Select(dev.Value.String())
	switch {
	case err != nil:
		return aws.Config{}, err
	case of == 0 || a.Endpoint == "":
		return aws.Config{}, terminal.As(terminal.CouldNot, errors.New("no application of throughline dev runs there: start it with `throughline dev template.yaml`, or name its folder with --dev=FOLDER"))
	case of > 1:
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %d applications are running: using %s; name another one with --dev=PORT\n", of, a.Template)
	}
	const region = "us-east-1" // that of the local services
	local := account.Flags{Region: region, Endpoint: a.Endpoint}
	return local.Config(cmd.Context(), func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
		return aws.Config{Region: region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "dev", SecretAccessKey: "dev"}, nil // any are accepted
		})}, nil
	})
}

// open opens the queues by name.
func (o *options) open(cmd *cobra.Command, names ...string) ([]*queue, *sender, error) {
	ctx := cmd.Context()
	cfg, err := o.config(cmd)
	if err != nil {
		return nil, nil, err
	}
	owners := newOwners(cfg, func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "note: "+format+"\n", args...) })
	client := sqs.NewFromConfig(cfg)
	var queues []*queue
	for _, name := range names {
		q, err := openQueue(ctx, client, owners, name, o.hide, o.wait)
		if err != nil {
			return nil, nil, err
		}
		queues = append(queues, q)
	}
	return queues, newSender(cfg, queues[0]), nil
}

// announce prints, before messages are received, for how long they become invisible to
// others.
func (o *options) announce(cmd *cobra.Command, q *queue, until string) error {
	if q.moves != "" {
		return terminal.Finding("%s has a redrive policy itself: messages that are received too often move to %s; remove the policy first", q.Name, q.moves)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "receiving from %s: each message is hidden from its other consumers for %s, or until %s\n", q.Name, phrase.Duration(o.hide), until)
	return nil
}

// listing are the flags of the list.
type listing struct {
	options
	by   []string
	most int
	keep string
}

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	const wait = 1 // long polling queries all servers of SQS
	return newDLQ(options{configure: configure, now: now, wait: wait})
}

func newDLQ(o options) *cobra.Command {
	l := listing{options: o}
	cmd := &cobra.Command{
		Use:   "dlq QUEUE…",
		Short: "Show why messages are in dead-letter queues, and send them back",
		Long: `dlq receives the messages of dead-letter queues and groups them by cause, by the function
or target that failed, and by event type. --by can also group them by age and kind. dlq
reads dead letters of EventBridge rules, of Lambda's asynchronous invocations and failure
destinations, of queues with a redrive policy, and of SNS subscriptions. It also reads
dead letters of subscribers of new custom buses, which name events but do not contain
them. QUEUE is a name, an ARN or a URL.

SQS shows messages only to a consumer that receives them. While dlq reads a message, the
message is hidden from other consumers, for --hide at most. dlq deletes nothing.

With --dev, dlq reads the queues of an application that throughline dev plays.

dlq show shows one message with the tree of its workflow. dlq redrive sends messages back
to where they failed. dlq replay lets a new custom bus deliver again the events that
messages name.

Exit codes: 0 the queues are empty; 1 there are messages; 2 wrong call; 3 a queue cannot be
read.`,
		Example: `  throughline dlq plans-failed
  throughline dlq plans-failed orders-failed --by cause,age --json
  throughline dlq plans-failed --cause NO_PERMISSIONS --keep plans-failed.jsonl
  throughline dlq show plans-failed 0b5c9d7e
  throughline dlq redrive plans-failed --group 1f09ac --dry-run
  throughline dlq replay orders-failed --all
  throughline dlq plans-failed --dev`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("dlq", l.run(cmd, args))
		},
	}
	l.bind(cmd, time.Minute)
	l.bindFilter(cmd)
	cmd.Flags().StringSliceVar(&l.by, "by", byDefault, "group by `WHAT`: "+strings.Join(dimensions, ", "))
	cmd.Flags().IntVar(&l.most, "max", 10_000, "read at most this many messages of a queue")
	cmd.Flags().StringVar(&l.keep, "keep", "", "copy the messages to `FILE`, one a line")
	_ = cmd.RegisterFlagCompletionFunc("by", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return dimensions, cobra.ShellCompDirectiveNoFileComp
	}) // fails only for an unknown flag
	cmd.AddCommand(newShow(o), newRedrive(o), newReplay(o), newPolicy())
	return cmd
}

func (l *listing) run(cmd *cobra.Command, names []string) error {
	if err := l.check(); err != nil {
		return err
	}
	for _, by := range l.by {
		if !slices.Contains(dimensions, by) {
			return terminal.Misuse("--by %s: give some of %s", by, strings.Join(dimensions, ", "))
		}
	}
	if l.most <= 0 {
		return terminal.Misuse("--max must be above zero")
	}
	queues, _, err := l.open(cmd, names...)
	if err != nil {
		return err
	}
	var keep *os.File
	if l.keep != "" {
		if keep, err = os.OpenFile(l.keep, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		defer keep.Close()
	}
	var contents []Contents
	found := 0
	for _, q := range queues {
		if q.Messages > 0 {
			if err := l.announce(cmd, q, "it has been read"); err != nil {
				return err
			}
		}
		c, err := l.read(cmd.Context(), q, keep, terminal.NewProgress(cmd))
		if err != nil {
			return err
		}
		contents = append(contents, c)
		found += c.Messages
	}
	if l.json {
		err = terminal.PrintJSON(cmd.OutOrStdout(), contents)
	} else {
		err = terminal.Fit(cmd.OutOrStdout(), 2, func(out io.Writer) error {
			for i, c := range contents {
				if i > 0 {
					fmt.Fprintln(out)
				}
				if err := c.write(out, l.now()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil && found > 0 {
		return terminal.Exit{Code: terminal.Found}
	}
	return err
}
