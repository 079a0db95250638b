// Package sizescmd is `throughline sizes`: the sizes of events, by type.
package sizescmd

import (
	"fmt"
	"io"
	"strings"

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
		Use:   "sizes FILE…",
		Short: "Show the sizes of events as EventBridge counts them",
		Long: `sizes prints how large events are: a table by event type, a histogram, and the largest
events with their IDs.

A FILE holds events as consumers receive them or as PutEvents takes them, messages of sqs
receive-message, metric lines (EMF) with PayloadSize, or a log with any of these. FILE can
be gzipped. Use - to read standard input. docs/trace.md lists every form under "What is
read". sizes skips other lines, and prints how many it skipped.

Counts, sums, maxima and billed chunks are exact; quantiles are within 1 %. EventBridge
counts 14 bytes for the Time of an entry. A delivered event does not show whether its
entry had a Time, so its size leaves out these bytes.`,
		Example: `  throughline sizes build/demo/events.jsonl
  throughline sizes --limit 262144 build/demo/metrics.jsonl
  aws logs filter-log-events --log-group-name /aws/lambda/strategy --filter-pattern PayloadSize | throughline sizes -
  aws sqs receive-message --queue-url "$DLQ" --max-number-of-messages 10 | throughline sizes --json -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("sizes", o.run(cmd.InOrStdin(), cmd.OutOrStdout(), terminal.NewProgress(cmd), args))
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.limit, "limit", sizemeter.LimitMiB, "compare sizes with a limit of `BYTES`; until 2026-01-29 EventBridge's was 262144")
	flags.IntVar(&o.top, "top", 10, "list this many of the largest events")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o options) run(stdin io.Reader, out io.Writer, bar terminal.Progress, paths []string) error {
	if o.limit <= 0 || o.top < 0 {
		return terminal.Misuse("--limit must be above zero, and --top not below it")
	}
	r := newReport(o.top)
	for _, path := range paths {
		if err := readFile(path, stdin, bar, r.read); err != nil {
			return err
		}
	}
	if r.all.Count() == 0 {
		text := fmt.Sprintf("no events in %s: %d lines or documents are not events", strings.Join(paths, ", "), r.noEvents())
		if r.left.Truncated {
			text += ", and the compressed data is truncated"
		}
		return terminal.Finding("%s; see --help for what can be read", text)
	}
	s := r.summary(o.limit)
	if o.json {
		return terminal.PrintJSON(out, s)
	}
	const hang = 2
	return terminal.Fit(out, hang, s.write)
}

func readFile(path string, stdin io.Reader, bar terminal.Progress, read func(io.Reader) error) error {
	in, err := terminal.Open(stdin, path)
	if err != nil {
		return fmt.Errorf("%w: name a file of events or metric lines", err)
	}
	defer in.Close()
	if err := read(bar.Reading(path, in)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s summary) write(out io.Writer) error {
	table := [][]string{{"EVENTS", "P50", "P95", "P99", "LARGEST", "OF " + strings.ReplaceAll(bytesText(s.Limit), " ", "\u00a0"), "CHUNKS", "TYPE"}}
	for _, t := range s.Types {
		table = append(table, []string{fmt.Sprint(t.Events), fmt.Sprint(t.P50), fmt.Sprint(t.P95), fmt.Sprint(t.P99), fmt.Sprint(t.Max), fmt.Sprintf("%.1f %%", t.OfLimit), fmt.Sprint(t.Chunks), terminal.Line(t.EventType)})
	}
	if err := terminal.Table(out, len(table[0])-1, table); err != nil {
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
		fmt.Fprintf(out, "%9d  %s  %s\n", e.Size, terminal.Line(e.EventType), terminal.Line(e.EventID))
	}
	if s.Skipped > 0 {
		fmt.Fprintf(out, "\n%d lines or documents are not events\n", s.Skipped)
	}
	if s.Truncated {
		fmt.Fprintln(out, "\nthe compressed data is truncated: the rest is not counted")
	}
	return nil
}
