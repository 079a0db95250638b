package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// Commands returns the commands that send requests to a running application: send,
// invoke, replay and fire.
func Commands() []*cobra.Command {
	commands := []*cobra.Command{newSend(), newInvoke(), newReplay(), newFire()}
	for _, cmd := range commands {
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return terminal.In("dev "+cmd.Name(), run(cmd, args))
		}
	}
	return commands
}

// reach are the flags that select the application.
type reach struct {
	dir  string
	json bool
}

func (r *reach) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.dir, "dir", "", "the --dir `FOLDER` of the running throughline dev; empty means the one whose template is in or below this folder, or else the one that was started last")
	cmd.Flags().BoolVar(&r.json, "json", false, "print JSON")
}

func newSend() *cobra.Command {
	var r reach
	var in asked
	var detail string
	cmd := &cobra.Command{
		Use:   "send (EVENT.json | TYPE)",
		Short: "Send an event to the application that throughline dev plays",
		Long: `send puts an event on a bus of the application that throughline dev TEMPLATE plays, and
prints the rules that match it. If none matches, send prints how the event differs from
the nearest rule.

The file holds one or more events, as envelopes or as put-events entries. Use - to read
standard input. For a TYPE, send makes a sample event from the pattern of a rule that
names the type. --detail adds members to its detail.`,
		Example: `  throughline dev send event.json
  throughline dev send OrderPlaced --detail '{"event_id": "o-1"}'
  jq .event record.json | throughline dev send - --bus orders`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := find(r.dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if detail != "" {
				if err := json.Unmarshal([]byte(detail), &in.Detail); err != nil {
					return terminal.Misuse("--detail is not a JSON object: %v", err)
				}
			}
			if in.Event, err = eventIn(cmd.InOrStdin(), args[0]); err != nil {
				return err
			}
			if in.Event == "" {
				in.Type = args[0]
			}
			body, err := json.Marshal(in)
			if err != nil {
				return err
			}
			var out []sentEvent
			if err := s.ask(cmd.Context(), "send", nil, body, &out); err != nil {
				return err
			}
			if r.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), out)
			}
			const hang = 2
			return terminal.Fit(cmd.OutOrStdout(), hang, func(w io.Writer) error {
				for _, e := range out {
					printSent(w, e)
				}
				return nil
			})
		},
	}
	r.bind(cmd)
	cmd.Flags().StringVar(&in.Bus, "bus", "", "the `NAME` of the bus; empty means the bus in the event, or the bus of a rule that matches it")
	cmd.Flags().StringVar(&in.Source, "source", "", "the event's `SOURCE`")
	cmd.Flags().StringVar(&detail, "detail", "", "a `JSON` object with members to add to the sample's detail")
	return cmd
}

// eventIn returns the content of a file, or "" if the argument is a type.
func eventIn(stdin io.Reader, name string) (string, error) {
	file, err := terminal.Open(stdin, name)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, "./") {
		return "", nil
	}
	if err != nil {
		return "", terminal.Misuse("read the event: %v", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxAsked))
	if len(data) == 0 && err == nil {
		return "", terminal.Misuse("%s is empty", name)
	}
	return string(data), err
}

func printSent(out io.Writer, e sentEvent) {
	fmt.Fprintf(out, "%s %s was sent to the bus %s; its workflow is %s\n", e.Type, e.ID, e.Bus, e.CorrelationID)
	if len(e.Sample) > 0 {
		fmt.Fprintf(out, "  its detail is %s\n", terminal.Line(string(e.Sample)))
	}
	switch {
	case len(e.Rules) > 0:
		fmt.Fprintf(out, "  it matches %s\n", phrase.Some(e.Rules))
	case e.Near != "":
		fmt.Fprintf(out, "  no rule matches; %s\n", e.Near)
	default:
		fmt.Fprintln(out, "  no rule matches")
	}
}

func newInvoke() *cobra.Command {
	var r reach
	var async bool
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION [PAYLOAD.json]",
		Short: "Invoke a function of the application that throughline dev plays",
		Long: `invoke invokes a function of the application that throughline dev TEMPLATE plays, by its
name or its logical ID, and prints its response. The default payload is {}. Use - to read
the payload from standard input.

Exit code 1: the function failed.`,
		Example: `  throughline dev invoke Strategy
  throughline dev invoke Orders order.json --async
  echo '{"id": 1}' | throughline dev invoke Orders -`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := find(r.dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var payload string
			if len(args) > 1 {
				if payload, err = eventIn(cmd.InOrStdin(), args[1]); err == nil && payload == "" {
					err = terminal.Misuse("there is no file %s", args[1])
				}
				if err != nil {
					return err
				}
			}
			query := url.Values{"function": {args[0]}}
			if async {
				query.Set("async", "true")
			}
			var out invocation
			if err := s.ask(cmd.Context(), "invoke", query, []byte(payload), &out); err != nil {
				return err
			}
			switch {
			case r.json:
				err = terminal.PrintJSON(cmd.OutOrStdout(), out)
			case async:
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "queued as %s\n", out.RequestID)
			default:
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", out.Payload)
			}
			if err == nil && out.FunctionError != "" {
				return terminal.Finding("the function failed")
			}
			return err
		},
	}
	r.bind(cmd)
	cmd.Flags().BoolVar(&async, "async", false, "queue the invocation, as AWS services do for asynchronous calls")
	return cmd
}

func newReplay() *cobra.Command {
	var r reach
	var name string
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play recorded events back to the application that throughline dev plays",
		Long: `replay puts recorded events on the buses of the application that throughline dev TEMPLATE
plays, as a replay of an archive does: events keep their ID and time, and get the name of
the replay. FILE holds envelopes or put-events entries, in any form that docs/trace.md
lists under "What is read". Use - to read standard input.`,
		Example: `  throughline dev replay build/demo/events.jsonl
  throughline dev replay events.jsonl --name monday`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := find(r.dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			events, err := eventIn(cmd.InOrStdin(), args[0])
			if err == nil && events == "" {
				err = terminal.Misuse("there is no file %s", args[0])
			}
			if err != nil {
				return err
			}
			var out replayed
			if err := s.ask(cmd.Context(), "replay", url.Values{"name": {name}}, []byte(events), &out); err != nil {
				return err
			}
			if r.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), out)
			}
			text := fmt.Sprintf("%s played back, %d matched a rule\n", phrase.Count(out.Events, "event"), out.Matched)
			if out.Left > 0 {
				text += fmt.Sprintf("%s left out: %s\n", phrase.Count(out.Left, "event"), terminal.Line(out.Why))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	r.bind(cmd)
	cmd.Flags().StringVar(&name, "name", "dev", "the replay's `NAME`, which its events carry")
	return cmd
}

func newFire() *cobra.Command {
	var r reach
	cmd := &cobra.Command{
		Use:   "fire SCHEDULE",
		Short: "Fire a schedule of the application that throughline dev plays",
		Long: `fire fires a schedule at once, even if it is not due or is disabled. The schedule belongs
to the application that throughline dev TEMPLATE plays. SCHEDULE is the name or the
logical ID of a rule with a schedule, or of a schedule of EventBridge Scheduler.`,
		Example: `  throughline dev fire StrategyDaily`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := find(r.dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var out map[string]string
			if err := s.ask(cmd.Context(), "fire", url.Values{"schedule": {args[0]}}, nil, &out); err != nil {
				return err
			}
			if r.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s fired\n", args[0])
			return err
		},
	}
	r.bind(cmd)
	return cmd
}
