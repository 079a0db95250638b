package dlqcmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/deadletter"
	"github.com/throughline/throughline/cmd/throughline/internal/redrive"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// showing are the flags of dlq show.
type showing struct {
	options
	source spansource.Flags
	most   int
}

func newShow(o options) *cobra.Command {
	s := showing{options: o}
	cmd := &cobra.Command{
		Use:   "show QUEUE [ID]",
		Short: "Show one message of a dead-letter queue, with its lineage and tree",
		Long: `dlq show shows a message: which service sent it to the queue and why, its event and
workflow, its attributes and body, and where a redrive would send it. If there are spans,
it also shows the tree of the workflow. ID is the ID of the message or of its event, or a
prefix of either. Without an ID, dlq show shows the first message that it receives.

To find the message, dlq show receives messages. Each of them is hidden from other
consumers for at most --hide. dlq show then makes them visible again.

Exit codes: 0 the message was shown; 1 there is no such message; 2 wrong call; 3 the queue
or the spans cannot be read.`,
		Example: `  throughline dlq show plans-failed
  throughline dlq show plans-failed 0b5c9d7e --file build/demo/spans.jsonl
  throughline dlq show plans-failed order-1001 --xray --json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("dlq show", s.run(cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&s.hide, "hide", time.Minute, "hide received messages from other consumers for this long (SQS's visibility timeout)")
	flags.IntVar(&s.most, "max", 10_000, "receive at most this many messages")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	s.source.Bind(cmd)
	return cmd
}

// Shown is one message as it is printed.
type Shown struct {
	Message       deadletter.Message `json:"message"`
	Kind          deadletter.Kind    `json:"kind"`
	Cause         string             `json:"cause"`
	Says          string             `json:"says,omitempty"`
	Who           string             `json:"failed_by"`
	Group         string             `json:"group"`
	Rule          string             `json:"rule,omitempty"`
	Subscriber    string             `json:"subscriber,omitempty"`
	Bus           string             `json:"bus,omitempty"`
	Named         []deadletter.Named `json:"events,omitempty"` // the events of a new custom bus that the message names
	Target        string             `json:"target,omitempty"`
	Attempts      int                `json:"deliveries,omitempty"`
	Since         time.Time          `json:"since,omitzero"`
	EventID       string             `json:"event_id,omitempty"`
	EnvelopeID    string             `json:"envelope_id,omitempty"`
	Type          string             `json:"event_type,omitempty"`
	Source        string             `json:"source,omitempty"`
	CorrelationID string             `json:"correlation_id,omitempty"`
	// Back is where a redrive would send the message. Stays is why it would not.
	Back  string `json:"back_to,omitempty"`
	Stays string `json:"stays,omitempty"`

	tree *workflow.Workflow
}

func (s *showing) run(cmd *cobra.Command, args []string) error {
	s.on = s.source.Account()
	if err := s.check(); err != nil {
		return err
	}
	queues, _, err := s.open(cmd, args[0])
	if err != nil {
		return err
	}
	q, id := queues[0], ""
	if len(args) > 1 {
		id = args[1]
	}
	if err := s.announce(cmd, q, "the message is found"); err != nil {
		return err
	}
	var found *deadletter.Letter
	read, err := q.each(cmd.Context(), s.most, terminal.NewProgress(cmd), func(l *deadletter.Letter) (bool, error) {
		if id == "" || names(l, id) {
			one := *l
			found = &one
		}
		return found == nil, nil
	})
	switch {
	case err != nil:
		return err
	case found == nil && read == 0:
		inFlight, err := q.Hidden(cmd.Context())
		if err != nil {
			return err
		}
		return terminal.Finding("%s has no message that can be received now (%d in flight)", q.Name, inFlight)
	case found == nil:
		return terminal.Finding("%s was not found in %s: it is not there, or it is in flight to another consumer; without an ID, dlq show shows the first message, and `throughline dlq %s --keep FILE` copies all", id, q.Name, q.Name)
	}
	shown := s.shown(found)
	if shown.tree, err = s.workflow(cmd, found); err != nil {
		return err
	}
	if s.json {
		return terminal.PrintJSON(cmd.OutOrStdout(), shown)
	}
	return shown.write(cmd.OutOrStdout(), s.now())
}

func (s *showing) shown(l *deadletter.Letter) Shown {
	m := l.Message
	m.Receipt = "" // it is not valid after this command
	shown := Shown{
		Message: m, Kind: l.Kind, Cause: l.Cause, Says: l.Says, Who: l.Who(), Group: key(l, byDefault, s.now()), Rule: l.Rule, Target: l.Target, Attempts: l.Attempts, Since: l.Since,
		Subscriber: l.Subscriber, Bus: l.Bus, Named: l.Named, EventID: l.EventID, EnvelopeID: l.EnvelopeID, Type: l.Type, Source: l.Source, CorrelationID: l.CorrelationID,
	}
	if item, err := redrive.Plan(*l, redrive.Destination{}); err != nil {
		shown.Stays = err.Error()
	} else {
		shown.Back = item.To.String()
	}
	return shown
}

// workflow returns the tree of the message's workflow, or nil if no spans were found.
func (s *showing) workflow(cmd *cobra.Command, l *deadletter.Letter) (*workflow.Workflow, error) {
	if l.CorrelationID == "" && len(l.Named) == 0 || !s.source.Given(cmd) {
		return nil, nil
	}
	tell, end := spansource.Tell(cmd)
	defer end()
	source, err := s.source.Open(cmd.Context(), s.configure, s.now(), tell)
	if err != nil {
		return nil, err
	}
	id := l.CorrelationID
	for i := 0; i < min(len(l.Named), mostNamed) && id == ""; i++ { // the publisher was answered the ID
		if id, _, err = source.OfID(cmd.Context(), l.Named[i].ID); err != nil && !errors.Is(err, spansource.ErrNotFound) {
			return nil, err
		}
	}
	if id == "" {
		return nil, nil
	}
	w, err := source.Find(cmd.Context(), id)
	if errors.Is(err, spansource.ErrNotFound) {
		return nil, nil
	}
	return w, err
}

// mostNamed bounds the number of named events that are looked up in spans.
const mostNamed = 20

// write prints the message. Its body is complete, whatever its width.
func (s *Shown) write(out io.Writer, now time.Time) error {
	if err := terminal.Fit(out, 2, func(out io.Writer) error { s.writeFacts(out, now); return nil }); err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(s.Message.Body), "", "  ") != nil {
		pretty.Reset()
		pretty.WriteString(s.Message.Body)
	}
	fmt.Fprintf(out, "\n%s\n", &pretty)
	if s.tree == nil {
		return nil
	}
	fmt.Fprintln(out)
	return workflow.WriteText(out, s.tree)
}

// writeFacts prints what is known of the message.
func (s *Shown) writeFacts(out io.Writer, now time.Time) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-12s %s\n", name, terminal.Line(value))
		}
	}
	fmt.Fprintf(out, "message %s\n", terminal.Line(s.Message.ID))
	line("sent by", string(s.Kind))
	line("cause", s.Cause)
	line("error", s.Says)
	line("failed by", s.Who)
	line("rule", s.Rule)
	line("subscriber", s.Subscriber)
	line("bus", s.Bus)
	if s.Attempts > 0 {
		line("deliveries", strconv.Itoa(s.Attempts))
	}
	if !s.Since.IsZero() {
		line("since", s.Since.Format(time.RFC3339)+", "+span(now.Sub(s.Since))+" ago")
	}
	line("group", s.Group)
	for _, e := range s.Named {
		line("names", describe(e))
	}
	line("event", s.EventID)
	line("envelope", s.EnvelopeID)
	line("type", s.Type)
	line("source", s.Source)
	line("workflow", s.CorrelationID)
	line("back to", cmp.Or(s.Back, "nowhere: "+s.Stays))
	s.writeAttributes(out)
}

// describe describes an event that a message names, on one line.
func describe(e deadletter.Named) string {
	text := "event " + e.ID
	if !e.Time.IsZero() {
		text += " of " + e.Time.UTC().Format(time.RFC3339)
	}
	if e.Group != "" {
		text += ", group " + e.Group
	}
	if e.Request != "" {
		text += ", the target's request " + e.Request
	}
	return text
}

// told are attributes that are printed elsewhere, or are of no interest.
var told = []string{"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "RULE_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS", "SUBSCRIBER_ARN", "BUS_ARN"}

func (s *Shown) writeAttributes(out io.Writer) {
	attributes := maps.Clone(s.Message.System)
	for name, a := range s.Message.Attributes {
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes[name] = cmp.Or(a.String, fmt.Sprintf("%d bytes", len(a.Binary)))
	}
	maps.DeleteFunc(attributes, func(name, _ string) bool { return slices.Contains(told, name) })
	if len(attributes) == 0 {
		return
	}
	fmt.Fprintln(out, "  attributes")
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		fmt.Fprintf(out, "    %s: %s\n", terminal.Line(name), terminal.Line(attributes[name]))
	}
}
