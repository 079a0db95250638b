// Package repeatscmd is the command "throughline repeats": which events a file
// of events, metrics or log lines shows to have been seen more than once.
package repeatscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/dedupe"
)

// New is the command. It reads the named file, or the standard input for "-".
func New() *cobra.Command {
	var asJSON bool
	var pointers []string
	var keys string
	cmd := &cobra.Command{
		Use:   "repeats FILE",
		Short: "Show which events were seen again, of which kind, how far apart",
		Long: `repeats reads a function's log, or a file of metrics or of events as they were
delivered, one JSON document a line, and prints the events that came again:

  retry       the same delivery again, because it did not succeed
  redelivery  the same envelope again after a success
  republish   the same event ID under another envelope
  replay      from an archive, and seen before

A log says which function saw them, and after how long. A file of events does
not, nor how a handling ended: there a retry, or an event that several consumers
were handed, is a redelivery.`,
		Example: `  throughline repeats build/demo/events.jsonl
  throughline repeats function.log --json
  throughline repeats events.jsonl --dedupe-keys TradeExecuted=/metadata/trade_id
  aws logs tail /aws/lambda/portfolio --format short | throughline repeats -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := open(cmd.InOrStdin(), terminal.NewProgress(cmd), args[0], pointers, keys)
			if err != nil {
				return fmt.Errorf("repeats: %w", err)
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(report)
			}
			return report.WriteText(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringSliceVar(&pointers, "event-id", nil, "JSON `POINTERS` to an event's own ID in the detail, comma separated")
	cmd.Flags().StringVar(&keys, "dedupe-keys", "", "business `KEYS` that stand for it, by event type, as in THROUGHLINE_DEDUPE_KEYS")
	return cmd
}

func open(stdin io.Reader, bar terminal.Progress, path string, pointers []string, businessKeys string) (Report, error) {
	keys, err := dedupe.ParseKeys(businessKeys)
	if err != nil {
		return Report{}, fmt.Errorf("--dedupe-keys: %w", err)
	}
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return Report{}, fmt.Errorf("no file %s: run `make demo` for one, or name a function's log", path)
		}
		if err != nil {
			return Report{}, err
		}
		defer f.Close()
		in = f
	}
	report, err := Read(bar.Reading(path, in), pointers, keys)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

var kinds = []dedupe.Kind{dedupe.Retry, dedupe.Redelivery, dedupe.Republish, dedupe.Replay}

// WriteText writes the report for people. The error is w's.
func (r Report) WriteText(w io.Writer) error {
	if len(r.Events) == 0 {
		said := "no event was seen more than once"
		if counted := r.counted(); counted != "" {
			said = "no line names an event that was seen more than once" + counted + ": read the functions' logs, which name them"
		}
		_, err := fmt.Fprintln(w, said)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "EVENT\tTYPE\tSEEN BY\tAGAIN AS\tAFTER")
	total, suppressed := map[dedupe.Kind]int{}, 0
	for _, e := range r.Events {
		var as, after []string
		for _, again := range e.Repeats {
			total[again.Kind]++
			if again.Suppressed {
				suppressed++
			}
			as, after = append(as, string(again.Kind)), append(after, again.after())
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.EventID, dash(e.EventType), dash(e.Consumer), strings.Join(as, ", "), strings.Join(after, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var sums []string
	for _, kind := range kinds {
		if total[kind] > 0 {
			sums = append(sums, fmt.Sprintf("%d × %s", total[kind], kind))
		}
	}
	said := fmt.Sprintf("%d events came again: %s", len(r.Events), strings.Join(sums, ", "))
	if suppressed > 0 {
		said += fmt.Sprintf(" (%d suppressed)", suppressed)
	}
	_, err := fmt.Fprintf(w, "\n%s%s\n", said, r.counted())
	return err
}

// counted is what the counters say, where there are any.
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
		return "-"
	}
	return (time.Duration(*r.AfterMS) * time.Millisecond).String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
