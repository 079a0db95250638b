// Package tracecmd is the command "throughline trace": the workflow of a
// correlation ID as a tree by cause.
package tracecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// options are the flags of the command.
type options struct {
	file, jaeger, logGroup  string
	xray, transactionSearch bool
	since                   time.Duration
	aws                     account.Flags

	event         string
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
		Short: "Show the whole workflow of a correlation ID as a tree by cause",
		Long: `trace reads spans and prints the events of one correlation ID as a tree: each
event below the one that was being handled when it was published, across traces.
Of each it tells the type, the function, the time since the workflow began, lag,
duration, size, hops, repeats, errors, and the calls to other services with their
status and X-Request-ID. What is missing is named for what it is: a publisher not
seen or not sampled, an event that nobody handled.

Spans come from a file of OTLP/JSON (the default), from Jaeger, from X-Ray by its
index, or from CloudWatch's Transaction Search, which has every span and charges
for what it scans. All but the file look back as far as --since.

--json prints nodes in the order of the tree, each with the index of its parent;
its members are described in docs/trace.md. Exits with 1 where nothing was found.`,
		Example: `  throughline trace --last
  throughline trace workflow-6513270e-269e-4d37-b2a7-4de452e6b438 --file build/demo/spans.jsonl
  throughline trace --event signal-d23f0824-128b-4f33-8c5c-7fd0a6a3a450 --jaeger http://127.0.0.1:16686
  throughline trace --slowest --html workflow.html
  throughline trace workflow-6513270e --xray --region eu-west-1 --since 72h
  throughline trace --last --transaction-search --profile prod --json | jq '.nodes[] | select(.gap)'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.run(cmd, args); err != nil {
				return fmt.Errorf("trace: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "build/demo/spans.jsonl", "read spans from `FILE`: OTLP/JSON, one request a line")
	flags.StringVar(&o.jaeger, "jaeger", "", "read spans from Jaeger's query API at `URL`")
	flags.BoolVar(&o.xray, "xray", false, "read spans from X-Ray")
	flags.BoolVar(&o.transactionSearch, "transaction-search", false, "read spans from CloudWatch's Transaction Search")
	flags.StringVar(&o.logGroup, "log-group", spanstore.SpansLogGroup, "the `NAME` or ARN of the log group of Transaction Search")
	flags.DurationVar(&o.since, "since", 24*time.Hour, "how far back to look, but in a file")
	o.aws.Bind(flags)
	flags.StringVar(&o.event, "event", "", "the workflow of the event with this `ID`")
	flags.BoolVar(&o.last, "last", false, "the workflow with the most recent span")
	flags.BoolVar(&o.slowest, "slowest", false, "the workflow that took longest")
	flags.StringVar(&o.html, "html", "", "write a page that opens from disk to `FILE`")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.mermaid, "mermaid", false, "print a Mermaid flowchart")
	cmd.MarkFlagsMutuallyExclusive("last", "slowest", "event")
	cmd.MarkFlagsMutuallyExclusive("html", "json", "mermaid")
	cmd.MarkFlagsMutuallyExclusive("file", "jaeger", "xray", "transaction-search")
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	wanted := ""
	if len(args) > 0 {
		wanted = args[0]
	}
	named := o.last || o.slowest || o.event != ""
	switch {
	case wanted == "" && !named:
		return errors.New("name a correlation ID, or say --last, --slowest or --event ID")
	case wanted != "" && named:
		return errors.New("name a correlation ID, or say --last, --slowest or --event ID, not both")
	case o.since <= 0:
		return errors.New("--since must be more than zero")
	}
	bar := terminal.NewProgress(cmd)
	defer bar.End()
	tell := spanstore.Tell{Progress: bar.Show, Note: func(format string, args ...any) {
		bar.End()
		fmt.Fprintf(cmd.ErrOrStderr(), "note: "+format+"\n", args...)
	}}
	store, where, err := o.store(cmd.Context(), tell)
	if err != nil {
		return err
	}
	w, err := o.find(cmd.Context(), store, where, wanted)
	if err != nil {
		return err
	}
	bar.End()
	return o.print(cmd, w)
}

// store is where the flags say that spans are, and how to name it.
func (o *options) store(ctx context.Context, tell spanstore.Tell) (spanstore.Store, string, error) {
	now := o.now()
	const ahead = time.Minute // of a clock that runs behind those of the functions
	window := spanstore.Window{From: now.Add(-o.since), To: now.Add(ahead)}
	switch {
	case o.jaeger != "":
		const patience = 2 * time.Minute
		return spanstore.Jaeger{URL: o.jaeger, Client: &http.Client{Timeout: patience}, Window: window, Tell: tell}, "in Jaeger" + o.lookedBack(), nil
	case o.xray:
		cfg, err := o.aws.Config(ctx, o.configure)
		return spanstore.XRay{Client: xray.NewFromConfig(cfg), Window: window, Tell: tell}, "in X-Ray's index" + o.lookedBack(), err
	case o.transactionSearch:
		cfg, err := o.aws.Config(ctx, o.configure)
		return spanstore.TransactionSearch{Client: cloudwatchlogs.NewFromConfig(cfg), LogGroup: o.logGroup, Window: window, Tell: tell}, "in " + o.logGroup + o.lookedBack(), err
	default:
		return spanstore.File{Path: o.file, Tell: tell}, "in " + o.file, nil
	}
}

func (o *options) lookedBack() string {
	return " of the last " + strings.TrimSuffix(strings.TrimSuffix(o.since.String(), "0s"), "0m")
}

// hint is the next step where something was not found.
func (o *options) hint() string {
	switch {
	case o.xray:
		return ": look further back with --since, or at every span with --transaction-search: X-Ray indexes a share of them"
	case o.jaeger != "" || o.transactionSearch:
		return ": look further back with --since"
	default:
		return ""
	}
}

// find builds the workflow that the flags ask for.
func (o *options) find(ctx context.Context, store spanstore.Store, where, wanted string) (*workflow.Workflow, error) {
	switch {
	case o.event != "":
		id, err := store.CorrelationOf(ctx, o.event)
		if err != nil {
			return nil, err
		}
		if id == "" {
			return nil, fmt.Errorf("no span names the event %s %s%s", o.event, where, o.hint())
		}
		wanted = id
	case wanted == "":
		known, err := store.Workflows(ctx, o.last)
		if err != nil {
			return nil, err
		}
		if len(known) == 0 {
			return nil, fmt.Errorf("no span carries a correlation ID %s%s", where, o.hint())
		}
		chosen := known[0]
		for _, s := range known {
			if o.slowest && s.End.Sub(s.Start) > chosen.End.Sub(chosen.Start) {
				chosen = s
			}
		}
		wanted = chosen.CorrelationID
	}
	spans, err := store.Spans(ctx, wanted)
	if err != nil {
		return nil, err
	}
	w := workflow.Build(spans, wanted)
	if len(w.Nodes) == 0 {
		return nil, o.unknown(ctx, store, where, wanted)
	}
	return w, nil
}

// unknown says that there is no such workflow, and which there are where that
// costs little to know.
func (o *options) unknown(ctx context.Context, store spanstore.Store, where, wanted string) error {
	text := fmt.Sprintf("no span has the correlation ID %s %s%s", wanted, where, o.hint())
	if file, ok := store.(spanstore.File); ok {
		known, err := file.Workflows(ctx, false)
		if err != nil {
			return err
		}
		const show = 5
		for i, s := range known[:min(show, len(known))] {
			if i == 0 {
				text += "; the most recent are:"
			}
			text += "\n  " + workflow.Clean(s.CorrelationID)
		}
	}
	return errors.New(text)
}

func (o *options) print(cmd *cobra.Command, w *workflow.Workflow) error {
	out := cmd.OutOrStdout()
	switch {
	case o.html != "":
		if err := writeFile(o.html, func(out io.Writer) error { return workflow.WriteHTML(out, []*workflow.Workflow{w}) }); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s: %s; open it in a browser\n", o.html, events(w.Counts.Events))
		return err
	case o.json:
		return workflow.WriteJSON(out, w)
	case o.mermaid:
		if edges := w.Counts.Events + w.Counts.Handlings; edges > workflow.MermaidEdges {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: Mermaid draws %d edges unless its maxEdges is raised, and this has up to %d; --html has no such bound\n", workflow.MermaidEdges, edges)
		}
		return workflow.WriteMermaid(out, w)
	default:
		return workflow.WriteText(out, w)
	}
}

func events(n int) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprint(n, " events")
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".throughline-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone where it was renamed
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	const readable = 0o644
	if err := os.Chmod(f.Name(), readable); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
