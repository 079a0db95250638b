// Package tracecmd is the command "throughline trace": it shows the workflow of a
// correlation ID as a tree by cause.
package tracecmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/atomicfile"
)

// options are the flags of the command.
type options struct {
	source spansource.Flags

	event, id     string
	last, slowest bool

	html          string
	json, mermaid bool

	configure account.Configure
	now       func() time.Time
}

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "trace [CORRELATION_ID]",
		Short: "Show the workflow of a correlation ID as a tree of causes",
		Long: `trace reads spans and prints the events of one correlation ID as a tree. Each event
appears below the event whose handler published it, even if the two are in different
traces. Each invocation appears below the message, call or schedule that caused it.

A line shows the type, the function, the time since the workflow began, lag, duration,
size, hops, repeats, errors, and HTTP calls with their status. trace also marks gaps: a
publisher that was not seen or not sampled, or an event that no function handled.

You can shorten an ID to a prefix that no other ID has. With --id, you can do so only for
files and --dev.

By default spans come from the file that the demo writes. A file holds OTLP/JSON, or an
export of aws/spans, and can be gzipped. X-Ray has only the spans that it indexes.
Transaction Search has every span, and AWS charges for the data that it scans. trace
searches Jaeger, X-Ray and Transaction Search as far back as --since.

--json prints the nodes in the order of the tree, each with the index of its parent:
see docs/trace.md. Exit code 1: nothing was found.`,
		Example: `  throughline trace --last
  throughline trace workflow-6513270e-269e-4d37-b2a7-4de452e6b438 --file build/demo/spans.jsonl
  throughline trace --event signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450 --jaeger http://127.0.0.1:16686
  throughline trace --id 059f36b4-87a3-44ab-83d2-661975830a7d --file spans.jsonl
  throughline trace --slowest --html workflow.html
  throughline trace workflow-6513270e --xray --region eu-west-1 --since 72h
  throughline trace --last --transaction-search --profile prod --json | jq '.nodes[] | select(.gap)'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("trace", o.run(cmd, args))
		},
	}
	o.source.Bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.event, "event", "", "show the workflow of the event with this `ID`")
	flags.StringVar(&o.id, "id", "", "show the workflow of the message, request, execution or schedule with this `ID` or ARN of AWS")
	flags.BoolVar(&o.last, "last", false, "show the workflow with the most recent span")
	flags.BoolVar(&o.slowest, "slowest", false, "show the workflow that took longest")
	flags.StringVar(&o.html, "html", "", "write a self-contained HTML page to `FILE`")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.mermaid, "mermaid", false, "print a Mermaid flowchart")
	cmd.MarkFlagsMutuallyExclusive("last", "slowest", "event", "id")
	cmd.MarkFlagsMutuallyExclusive("html", "json", "mermaid")
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	wanted := ""
	if len(args) > 0 {
		wanted = args[0]
	}
	named := o.last || o.slowest || o.event != "" || o.id != ""
	switch {
	case wanted == "" && !named:
		return terminal.Misuse("name a correlation ID, or give --last, --slowest, --event ID or --id ID")
	case wanted != "" && named:
		return terminal.Misuse("name a correlation ID, or give --last, --slowest, --event ID or --id ID, not both")
	}
	tell, end := spansource.Tell(cmd)
	defer end()
	source, err := o.source.Open(cmd.Context(), o.configure, o.now(), tell)
	if err != nil {
		return err
	}
	w, err := o.find(cmd.Context(), source, wanted)
	if err != nil {
		return err
	}
	end()
	return o.print(cmd, w)
}

// find builds the workflow that the flags select.
func (o *options) find(ctx context.Context, source spansource.Source, wanted string) (*workflow.Workflow, error) {
	switch {
	case o.event != "":
		id, _, err := source.OfEvent(ctx, o.event)
		if err != nil {
			return nil, err
		}
		wanted = id
	case o.id != "":
		id, _, err := source.OfID(ctx, o.id)
		if err != nil {
			return nil, err
		}
		wanted = id
	case wanted == "":
		known, err := source.Workflows(ctx, o.last)
		if err != nil {
			return nil, err
		}
		if len(known) == 0 {
			return nil, source.None(ctx)
		}
		chosen := known[0]
		for _, s := range known {
			if o.slowest && s.End.Sub(s.Start) > chosen.End.Sub(chosen.Start) {
				chosen = s
			}
		}
		if o.last {
			source.NoteFailure(ctx, chosen.End)
		}
		wanted = chosen.CorrelationID
	}
	return source.Find(ctx, wanted)
}

func (o *options) print(cmd *cobra.Command, w *workflow.Workflow) error {
	out := cmd.OutOrStdout()
	switch {
	case o.html != "":
		if err := atomicfile.Write(o.html, func(out io.Writer) error { return workflow.WriteHTML(out, []*workflow.Workflow{w}) }); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s: %s; open it in a browser\n", o.html, phrase.Count(w.Counts.Events, "event"))
		return err
	case o.json:
		return workflow.WriteJSON(out, w)
	case o.mermaid:
		if edges := w.Counts.Events + w.Counts.Handlings; edges > workflow.MermaidEdges {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: Mermaid draws at most %d edges unless you raise maxEdges, and this has up to %d; --html has no such limit\n", workflow.MermaidEdges, edges)
		}
		return workflow.WriteMermaid(out, w)
	default:
		return workflow.WriteText(out, w)
	}
}
