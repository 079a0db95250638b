package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// traceOptions are the flags of `throughline trace`.
type traceOptions struct {
	file, jaeger, event, html string
	last, slowest             bool
	json, mermaid             bool
}

func newTrace(environment) *cobra.Command {
	var o traceOptions
	cmd := &cobra.Command{
		Use:   "trace [CORRELATION_ID]",
		Short: "Show the whole workflow of a correlation ID as a tree by cause",
		Long: `trace reads spans and prints the events of one correlation ID as a tree: each
event below the one that was being handled when it was published. What is
missing is named for what it is: a publisher not seen, one not sampled, an event
whose handling was not reported.`,
		Example: `  throughline trace --last
  throughline trace workflow-6513270e-269e-4d37-b2a7-4de452e6b438 --file build/demo/spans.jsonl
  throughline trace --event signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450 --jaeger http://127.0.0.1:16686
  throughline trace --slowest --html workflow.html`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.run(cmd.Context(), cmd.OutOrStdout(), args); err != nil {
				return fmt.Errorf("trace: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "build/demo/spans.jsonl", "read spans from `FILE`: OTLP/JSON, one request a line")
	flags.StringVar(&o.jaeger, "jaeger", "", "read spans from Jaeger's query API at `URL`")
	flags.StringVar(&o.event, "event", "", "the workflow of the event with this `ID`")
	flags.BoolVar(&o.last, "last", false, "the workflow with the most recent span")
	flags.BoolVar(&o.slowest, "slowest", false, "the workflow that took longest")
	flags.StringVar(&o.html, "html", "", "write a page that opens from disk to `FILE`")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.mermaid, "mermaid", false, "print a Mermaid flowchart")
	cmd.MarkFlagsMutuallyExclusive("last", "slowest", "event")
	cmd.MarkFlagsMutuallyExclusive("html", "json", "mermaid")
	cmd.MarkFlagsMutuallyExclusive("file", "jaeger")
	return cmd
}

func (o traceOptions) run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) == 0 && !o.last && !o.slowest && o.event == "" {
		return errors.New("name a correlation ID, or say --last, --slowest or --event ID")
	}
	wanted := ""
	if len(args) > 0 {
		wanted = args[0]
	}
	spans, err := o.spans(ctx, wanted)
	if err != nil {
		return err
	}
	chosen, err := o.choose(spans, wanted)
	if err != nil {
		return err
	}
	switch {
	case o.html != "":
		if err := writeFile(o.html, func(w io.Writer) error { return workflow.WriteHTML(w, []*workflow.Workflow{chosen}) }); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s: %d events; open it in a browser\n", o.html, chosen.Events())
		return err
	case o.json:
		return workflow.WriteJSON(out, chosen)
	case o.mermaid:
		return workflow.WriteMermaid(out, chosen)
	default:
		return workflow.WriteText(out, chosen)
	}
}

func (o traceOptions) spans(ctx context.Context, wanted string) ([]workflow.Span, error) {
	if o.jaeger != "" {
		const patience = 30 * time.Second
		return workflow.Jaeger{URL: o.jaeger, Client: &http.Client{Timeout: patience}}.Spans(ctx, wanted)
	}
	f, err := os.Open(o.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no spans at %s: run `make demo`, or name a file with --file", o.file)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spans, err := workflow.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, err)
	}
	return spans, nil
}

// choose builds the workflow that the flags ask for.
func (o traceOptions) choose(spans []workflow.Span, wanted string) (*workflow.Workflow, error) {
	known := workflow.Correlations(spans)
	if o.event != "" {
		wanted = workflow.CorrelationOf(spans, o.event)
		if wanted == "" {
			return nil, fmt.Errorf("no span names the event %s", o.event)
		}
	}
	switch {
	case wanted != "":
		for _, id := range known {
			if id == wanted {
				return workflow.Build(spans, id), nil
			}
		}
		if len(known) == 0 {
			return nil, fmt.Errorf("no span has the correlation ID %s", wanted)
		}
		const show = 5
		return nil, fmt.Errorf("no span has the correlation ID %s; the most recent are:\n  %s", wanted, strings.Join(known[:min(show, len(known))], "\n  "))
	case len(known) == 0:
		return nil, errors.New("no span carries a correlation ID")
	case o.slowest:
		var slowest *workflow.Workflow
		for _, id := range known {
			if w := workflow.Build(spans, id); slowest == nil || w.End.Sub(w.Start) > slowest.End.Sub(slowest.Start) {
				slowest = w
			}
		}
		return slowest, nil
	default:
		return workflow.Build(spans, known[0]), nil
	}
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
