package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/metrics"
)

// report prints what Throughline reported of the day. Nothing in it comes from the bus or
// the local Lambda.
func report(out io.Writer, r reported, limit int) error {
	for _, section := range []func(io.Writer) error{
		r.writeWorkflow,
		func(w io.Writer) error { return r.writeSizes(w, limit) },
		r.writeFunctions,
		r.writeHandlers,
		r.writeRepeats,
	} {
		if err := section(out); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
		fmt.Fprintln(out)
	}
	return nil
}

// writeWorkflow prints the largest workflow of the day.
func (r reported) writeWorkflow(out io.Writer) error {
	var largest *workflow.Workflow
	for _, id := range workflow.Correlations(r.spans) {
		if w := workflow.Build(r.spans, id); largest == nil || w.Counts.Events > largest.Counts.Events {
			largest = w
		}
	}
	if largest == nil {
		_, err := fmt.Fprintln(out, "no workflow was reported")
		return err
	}
	fmt.Fprintln(out, "The workflow of a correlation ID, by cause: ⇢ is an invocation")
	return workflow.WriteText(out, largest)
}

func table(out io.Writer, title string, header string, rows func(w io.Writer)) error {
	fmt.Fprintln(out, title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, header+"\t")
	rows(w)
	return w.Flush()
}

func (r reported) writeSizes(out io.Writer, limit int) error {
	sizes := observations(r.docs, string(metrics.PayloadSize), "EventType")
	return table(out, fmt.Sprintf("Sizes of published events, limit %d bytes", limit), "event type\tcount\tp50\tp99\tmax\tof limit", func(w io.Writer) {
		types := slices.Sorted(maps.Keys(sizes))
		slices.SortStableFunc(types, func(a, b string) int { return -cmp.Compare(slices.Max(sizes[a]), slices.Max(sizes[b])) })
		for _, t := range types {
			v := sizes[t]
			largest := slices.Max(v)
			fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.1f %%\t\n", t, len(v), quantile(v, 0.5), quantile(v, 0.99), largest, 100*largest/float64(limit))
		}
	})
}

func (r reported) writeFunctions(out io.Writer) error {
	cold := observations(r.docs, string(metrics.ColdStart), "Service")
	inits := observations(r.docs, string(metrics.InitDuration), "Service")
	durations := observations(r.docs, string(metrics.Duration), "Service")
	timeouts := observations(r.docs, string(metrics.Timeouts), "Service")
	return table(out, "Cold starts and durations per function", "function\tinvocations\tcold\tinit ms\tp50 ms\tp99 ms\ttime-outs", func(w io.Writer) {
		for _, f := range slices.Sorted(maps.Keys(durations)) {
			d := durations[f]
			fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t\n", f, len(d), sum(cold[f]), quantile(inits[f], 1), quantile(d, 0.5), quantile(d, 0.99), sum(timeouts[f]))
		}
	})
}

func (r reported) writeHandlers(out io.Writer) error {
	durations := observations(r.docs, string(metrics.HandlerDuration), "Service", "EventType")
	return table(out, "Handler durations per event type", "function/event type\tcount\tp50 ms\tp99 ms", func(w io.Writer) {
		for _, key := range slices.Sorted(maps.Keys(durations)) {
			d := durations[key]
			fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t\n", key, len(d), quantile(d, 0.5), quantile(d, 0.99))
		}
	})
}

func (r reported) writeRepeats(out io.Writer) error {
	lines := r.repeats()
	slices.SortStableFunc(lines, func(a, b repeatLine) int { return cmp.Compare(a.Kind, b.Kind) })
	fmt.Fprintln(out, "Repeats by kind")
	var rows [][]string
	for i, line := range lines {
		kind := line.Kind
		if i > 0 && lines[i-1].Kind == kind {
			kind = ""
		}
		rows = append(rows, []string{"  " + kind, line.function, line.EventID})
	}
	return terminal.Table(out, 0, rows)
}

// repeats returns the log lines that flag a repeat.
func (r reported) repeats() []repeatLine {
	var lines []repeatLine
	for _, line := range r.rare {
		if line.Line == "repeat" {
			lines = append(lines, line)
		}
	}
	return lines
}
