// Package sizescmd is `throughline sizes`: what events weigh, per type.
package sizescmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/sizemeter"
)

// options are the flags of the command.
type options struct {
	limit, top int
	json       bool
}

// New returns the command.
func New() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "sizes FILE...",
		Short: "Weigh events as EventBridge counts them, and name the largest",
		Long: `sizes reads events and prints what they weigh: a table per event type, a
histogram, and the largest events with their IDs.

A FILE holds, in any mixture and also gzipped: events as consumers got them or as
PutEvents takes them, one JSON document a line or printed over several; metrics
lines (EMF), whose PayloadSize is read; an export of CloudWatch Logs
(filter-log-events, Logs Insights, an S3 export); what sqs receive-message
printed. "-" is standard input. Lines that are none of these are counted.

Counts, sums, the largest and billed chunks are exact; quantiles are within 1 %.
An event that was read as delivered weighs 14 bytes more if its entry set a time.`,
		Example: `  throughline sizes build/demo/events.jsonl
  throughline sizes --limit 262144 build/demo/metrics.jsonl
  aws logs filter-log-events --log-group-name /aws/lambda/strategy --filter-pattern PayloadSize | throughline sizes -
  aws sqs receive-message --queue-url "$DLQ" --max-number-of-messages 10 | throughline sizes --json -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.run(cmd.InOrStdin(), cmd.OutOrStdout(), terminal.NewProgress(cmd), args); err != nil {
				return fmt.Errorf("sizes: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.limit, "limit", sizemeter.LimitMiB, "what an event may weigh, in `BYTES`; 262144 is the limit of before 2026-01-29")
	flags.IntVar(&o.top, "top", 10, "how many of the largest events to name")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o options) run(stdin io.Reader, out io.Writer, bar terminal.Progress, paths []string) error {
	if o.limit <= 0 || o.top < 0 {
		return errors.New("--limit must be above zero, and --top not below")
	}
	r := newReport(o.top)
	for _, path := range paths {
		if err := readFile(path, stdin, bar, r.read); err != nil {
			return err
		}
	}
	if r.all.Count() == 0 {
		return fmt.Errorf("no events in %s: %d lines or documents are something else; --help says what is read", strings.Join(paths, ", "), r.skipped)
	}
	s := r.summary(o.limit)
	if o.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	}
	return s.write(out)
}

func readFile(path string, stdin io.Reader, bar terminal.Progress, read func(io.Reader) error) error {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	if err := read(bar.Reading(path, in)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s summary) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "EVENTS\tP50\tP95\tP99\tLARGEST\tOF %s\tCHUNKS\t\n", strings.ReplaceAll(bytesText(s.Limit), " ", "\u00a0"))
	for _, t := range s.Types {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%.1f %%\t%d\t  %s\n", t.Events, t.P50, t.P95, t.P99, t.Max, t.OfLimit, t.Chunks, t.EventType)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n")
	most := int64(0)
	for _, b := range s.Histogram {
		most = max(most, b.Events)
	}
	const width = 40
	for _, b := range s.Histogram {
		label := "      and more"
		if b.To > 0 {
			label = "under " + bytesText(b.To)
		}
		bar := strings.Repeat("█", int((b.Events*width+most-1)/most))
		fmt.Fprintf(out, "%14s  %-*s %d\n", label, width, bar, b.Events)
	}
	if len(s.Largest) > 0 {
		fmt.Fprintf(out, "\nlargest\n")
	}
	for _, e := range s.Largest {
		fmt.Fprintf(out, "%9d  %s  %s\n", e.Size, e.EventType, e.EventID)
	}
	if s.Skipped > 0 {
		fmt.Fprintf(out, "\n%d lines or documents were no events\n", s.Skipped)
	}
	return nil
}
