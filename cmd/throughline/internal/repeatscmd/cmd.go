// Package repeatscmd is the command "throughline repeats": it reads a file of events,
// metrics or log lines and shows which events were seen more than once.
package repeatscmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/dedupe"
)

// New returns the command. It reads the named file, or standard input for "-".
func New() *cobra.Command {
	var asJSON bool
	var pointers []string
	var keys string
	cmd := &cobra.Command{
		Use:   "repeats FILE",
		Short: "Show which events were seen more than once, why, and how far apart",
		Long: `repeats prints the events that were seen more than once. It reads a function's log, a
file of metric lines, or a file of events as they were delivered, in any form that
docs/trace.md lists under "What is read". The kinds of repeat are:

  retry       the same delivery again, because it did not succeed
  redelivery  the same envelope again, after a success
  republish   the same event ID in another envelope
  replay      an event from an archive that was seen before

A log also shows which function saw the event, and how much later. A file of events shows
neither, and does not show whether a handler succeeded. In a file of events, a retry, or
an event for several consumers, therefore counts as a redelivery.`,
		Example: `  throughline repeats build/demo/events.jsonl
  throughline repeats function.log --json
  throughline repeats events.jsonl --dedupe-keys TradeExecuted=/metadata/trade_id
  aws logs tail /aws/lambda/portfolio --format short | throughline repeats -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := open(cmd.InOrStdin(), terminal.NewProgress(cmd), args[0], pointers, keys)
			if err != nil {
				return terminal.In("repeats", err)
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), report)
			}
			const hang = 2
			return terminal.Fit(cmd.OutOrStdout(), hang, report.WriteText)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringSliceVar(&pointers, "event-id", nil, "find the event's own ID in the detail at these JSON `POINTERS`, comma separated")
	cmd.Flags().StringVar(&keys, "dedupe-keys", "", "identify events of a type by a JSON pointer in place of their ID: `TYPE=POINTER`, as in THROUGHLINE_DEDUPE_KEYS")
	return cmd
}

func open(stdin io.Reader, bar terminal.Progress, path string, pointers []string, businessKeys string) (Report, error) {
	keys, err := dedupe.ParseKeys(businessKeys)
	if err != nil {
		return Report{}, terminal.Misuse("--dedupe-keys: %v", err)
	}
	in, err := terminal.Open(stdin, path)
	if errors.Is(err, os.ErrNotExist) {
		return Report{}, fmt.Errorf("%w: name a file of metric lines or a function's log", err)
	}
	if err != nil {
		return Report{}, err
	}
	defer in.Close()
	report, err := Read(bar.Reading(path, in), pointers, keys)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

var kinds = []dedupe.Kind{dedupe.Retry, dedupe.Redelivery, dedupe.Republish, dedupe.Replay, dedupe.Conflict}

// WriteText writes the report for people. The error is w's.
func (r Report) WriteText(w io.Writer) error {
	if len(r.Events) == 0 {
		said := "no event was seen more than once"
		if counted := r.counted(); counted != "" {
			said = "no line names an event that was seen more than once" + counted + ": read the functions' logs, which name the events"
		}
		_, err := fmt.Fprintln(w, said)
		return err
	}
	total, suppressed, events := map[dedupe.Kind]int{}, 0, r.byEvent()
	for _, consumers := range events {
		fmt.Fprintln(w, strings.TrimRight(terminal.Line(consumers[0].EventID)+"  "+terminal.Line(consumers[0].EventType), " "))
		var rows [][]string
		for _, e := range consumers {
			for _, again := range e.Repeats {
				total[again.Kind]++
				text := again.after()
				if again.Suppressed {
					suppressed++
					text = strings.TrimSpace(text + "  suppressed")
				}
				row := []string{"  " + terminal.Line(string(again.Kind)), terminal.Line(e.Consumer), text}
				if e.Consumer == "" { // a file of events does not name the consumer
					row = slices.Delete(row, 1, 2)
				}
				rows = append(rows, row)
			}
		}
		if err := terminal.Table(w, 0, rows); err != nil {
			return err
		}
	}
	var sums []string
	for _, kind := range kinds {
		if total[kind] > 0 {
			sums = append(sums, fmt.Sprintf("%d × %s", total[kind], kind))
		}
	}
	said := fmt.Sprintf("%s came again: %s", phrase.Count(len(events), "event"), strings.Join(sums, ", "))
	if suppressed > 0 {
		said += fmt.Sprintf(" (%d suppressed)", suppressed)
	}
	_, err := fmt.Fprintf(w, "\n%s%s\n", said, r.counted())
	return err
}

// counted describes the counters, or returns "".
func (r Report) counted() string {
	var parts []string
	for name, n := range r.Counted {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return "; the file's metrics count " + strings.Join(parts, ", ")
}

func (r Repeat) after() string {
	if r.AfterMS == nil {
		return ""
	}
	return "after " + (time.Duration(*r.AfterMS) * time.Millisecond).String()
}

// byEvent groups the events of all consumers by event, in order of first appearance.
func (r Report) byEvent() (list [][]Event) {
	at := map[string]int{}
	for _, e := range r.Events {
		i, known := at[e.EventID]
		if !known {
			i = len(list)
			at[e.EventID] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], e)
	}
	return list
}
