package dlqcmd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/newbus"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// replaying are the flags of dlq replay.
type replaying struct {
	options
	all    bool
	output string
}

func newReplay(o options) *cobra.Command {
	r := replaying{options: o}
	cmd := &cobra.Command{
		Use:   "replay QUEUE (--all | --group KEY | --message ID | …)",
		Short: "Let a new custom bus deliver the events of dead-letter messages again",
		Long: `dlq replay is for messages of subscribers of EventBridge's new custom buses, which name
events but do not contain them. The bus retains the events for a time, and a subscriber
that starts at an earlier time receives them again. dlq replay writes the input of aws
eventsv2 create-subscriber for such a subscriber: a filter with the event IDs, an end, and
the target, role, transformer, batching, retries and dead-letter queue of the subscriber
that failed, which it reads from the account. It creates no subscriber and deletes no
message.

A filter has room for about a hundred IDs. For more events, dlq replay writes several
subscribers. If a subscriber uses WITH_METADATA, its deliveries have the type REPLAY, from
which Throughline recognizes events that were handled before.

Exit codes: 0 the files were written; 1 no selected message names an event; 2 wrong call;
3 the queue cannot be read.`,
		Example: `  throughline dlq replay orders-failed --all
  throughline dlq replay orders-failed --group 1f09ac --output replay
  throughline dlq replay orders-failed --cause ACCESS_DENIED --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("dlq replay", r.run(cmd, args[0]))
		},
	}
	r.bind(cmd, time.Minute)
	r.bindFilter(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&r.messages, "message", nil, "select the message with this `ID`, or one that names an event of this ID; repeat for more")
	flags.BoolVar(&r.all, "all", false, "select every message")
	flags.StringVar(&r.output, "output", ".", "write the files into `FOLDER`")
	return cmd
}

func errWhich() error {
	return terminal.Misuse("select messages with --all, or with --group, --message, --cause, --function, --type, --older-than, --younger-than")
}

// Replay is what one subscriber has to be delivered again.
type Replay struct {
	Subscriber string `json:"subscriber"`
	Bus        string `json:"bus"`
	To         string `json:"to"`
	Events     int    `json:"events"`
	// Gone is how many of them the bus no longer has, by its retention and the times in the
	// messages; 0 where that is not known.
	Gone int `json:"gone,omitempty"`
	// Unknown says why the subscriber's own configuration is not in Inputs.
	Unknown string            `json:"unknown,omitempty"`
	Inputs  []json.RawMessage `json:"inputs"` // of CreateSubscriber
	Files   []string          `json:"-"`

	target string
	events []deadletter.Named
}

func (r *replaying) run(cmd *cobra.Command, name string) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.all == r.given() {
		return errWhich()
	}
	queues, _, err := r.open(cmd, name)
	if err != nil {
		return err
	}
	if err := r.announce(cmd, queues[0], "it has been read"); err != nil {
		return err
	}
	var list []*Replay
	const everything = 1 << 20
	_, err = queues[0].each(cmd.Context(), everything, terminal.NewProgress(cmd), func(l *deadletter.Letter) (bool, error) {
		if r.all || r.takes(l, r.now()) {
			list = collect(list, l)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return terminal.Finding("no message that was selected names events of a new custom bus: dlq redrive sends those back that carry theirs")
	}
	cfg, err := r.config(cmd)
	if err != nil {
		return err
	}
	api := newbus.New(cfg)
	for _, p := range list {
		of, err := api.Subscriber(cmd.Context(), p.Subscriber)
		if err != nil {
			p.Unknown = cmp.Or(account.ErrorCode(err), err.Error())
		}
		bus, err := api.Bus(cmd.Context(), p.Bus)
		if err == nil && bus.Storage.RetentionDays > 0 {
			p.outlived(r.now().AddDate(0, 0, -bus.Storage.RetentionDays))
		}
		if p.Inputs, err = p.inputs(&of, r.now()); err != nil {
			return err
		}
	}
	if r.json {
		return terminal.PrintJSON(cmd.OutOrStdout(), list)
	}
	for _, p := range list {
		if err := p.writeFiles(r.output); err != nil {
			return err
		}
	}
	return writeReplays(cmd.OutOrStdout(), list)
}

// collect adds the events that a message names, each once.
func collect(list []*Replay, l *deadletter.Letter) []*Replay {
	if len(l.Named) == 0 || l.Subscriber == "" {
		return list
	}
	i := slices.IndexFunc(list, func(p *Replay) bool { return p.Subscriber == l.Subscriber })
	if i < 0 {
		i = len(list)
		list = append(list, &Replay{Subscriber: l.Subscriber, Bus: l.Bus, To: l.Who(), target: l.Target})
	}
	p := list[i]
	for _, e := range l.Named {
		if !slices.ContainsFunc(p.events, func(other deadletter.Named) bool { return other.ID == e.ID }) {
			p.events = append(p.events, e)
		}
	}
	p.Events = len(p.events)
	return list
}

// outlived counts the events that came before the bus's horizon. The time of a record may be
// that of the failure, so that an event may be gone too which is not counted.
func (p *Replay) outlived(horizon time.Time) {
	for _, e := range p.events {
		if !e.Time.IsZero() && e.Time.Before(horizon) {
			p.Gone++
		}
	}
}

// maxPattern bounds a filter (quotas of custom event buses).
const maxPattern = 4096

// patterns are filters that name the events, each small enough.
func (p *Replay) patterns() []string {
	var list []string
	var ids []string
	pattern := func() string {
		text, _ := json.Marshal(map[string]any{"aws:EventId": ids}) // texts always marshal
		return string(text)
	}
	for _, e := range p.events {
		if ids = append(ids, e.ID); len(pattern()) > maxPattern && len(ids) > 1 {
			ids = ids[:len(ids)-1]
			list = append(list, pattern())
			ids = []string{e.ID}
		}
	}
	return append(list, pattern())
}

// carried are the members of a subscriber that the one for its replay has too.
var carried = []string{"InvokeConfiguration", "Transformer", "BatchConfiguration", "RetryPolicy", "OnFailureConfiguration", "Type"}

// inputs are those of CreateSubscriber, one for each filter.
func (p *Replay) inputs(of *newbus.Subscriber, now time.Time) ([]json.RawMessage, error) {
	var list []json.RawMessage
	filters := p.patterns()
	until := now
	for _, e := range p.events {
		if e.Time.After(until) {
			until = e.Time
		}
	}
	for i, filter := range filters {
		input := map[string]any{
			"Name": replayName(p.Subscriber, i, len(filters)), "EventBusArn": p.Bus, "StartingPosition": "POINT_IN_TIME",
			"PointInTimeConfiguration": map[string]string{"PointType": "HORIZON", "EndPoint": until.UTC().Format(time.RFC3339)},
			"FilterConfiguration":      map[string]any{"Filters": []any{map[string]string{"Scope": "SYSTEM_METADATA", "Pattern": filter}}},
			"InvokeConfiguration":      map[string]string{"TargetArn": p.target, "RoleArn": "the ARN of the delivery role"},
		}
		for _, name := range carried {
			if value := of.All[name]; len(value) > 0 {
				input[name] = value
			}
		}
		text, err := json.MarshalIndent(input, "", "  ")
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// replayName is the name of a subscriber, and of its file.
func replayName(subscriber string, i, of int) string {
	const most = 200
	name := unfit.ReplaceAllString(arn.Named(subscriber), "-")
	name = "replay-" + name[:min(len(name), most)]
	if of > 1 {
		name += fmt.Sprintf("-%d", i+1)
	}
	return name
}

func (p *Replay) writeFiles(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for i, input := range p.Inputs {
		path := filepath.Join(folder, replayName(p.Subscriber, i, len(p.Inputs))+".json")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("%w: take it away, or give another --output", err)
		}
		_, err = f.Write(append(input, '\n'))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		p.Files = append(p.Files, path)
	}
	return nil
}

// writeReplays prints what is to be done. Its commands are whole, whatever the width.
func writeReplays(out io.Writer, list []*Replay) error {
	for _, p := range list {
		fmt.Fprintf(out, "%s: %s to deliver again\n", terminal.Line(p.To), phrase.Count(p.Events, "event"))
		if p.Gone > 0 {
			fmt.Fprintf(out, "  %d of them came before what the bus still keeps, and cannot be\n", p.Gone)
		}
		if p.Unknown != "" {
			fmt.Fprintf(out, "  the subscriber is not known (%s): fill in RoleArn, the transformer and the batches\n", terminal.Line(p.Unknown))
		}
		for _, file := range p.Files {
			fmt.Fprintf(out, "  aws eventsv2 create-subscriber --cli-input-json file://%s\n", terminal.Line(file))
		}
	}
	_, err := fmt.Fprint(out, "\nWhen they are delivered, delete the subscribers (aws eventsv2 delete-subscriber) and the messages.\nA consumer may have handled some of them: Throughline counts these as replays.\n")
	return err
}
