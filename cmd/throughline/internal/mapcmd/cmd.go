// Package mapcmd is the command "throughline map": it shows which functions send and
// receive what, over which bus, queue, topic or invocation.
package mapcmd

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/spansource"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/topology"
)

// options are the flags of the command.
type options struct {
	source        spansource.Flags
	template      string
	values        map[string]string
	noSpans       bool
	json, mermaid bool
	configure     account.Configure
	now           func() time.Time
}

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "map",
		Short: "Show which functions publish and consume which events",
		Long: `map reads spans and prints each event type, queue, topic, stream and invoked function,
with the functions that send to it and those that receive from it. It also prints counts,
sizes, errors and repeats.

With --template it compares the spans with the rules of a SAM or CloudFormation template.
It reports rules that never matched, types that no function handles, and types that no
rule names, with the similar names that rules use. It compares only event types, because
spans do not contain the whole event. With --no-spans, map shows only the template.

From Jaeger, X-Ray and Transaction Search, map reads the most recent workflows, as far
back as --since.

Exit codes: 0 success; 1 spans and template differ, or nothing was found; 2 wrong call; 3
something cannot be read.`,
		Example: `  throughline map
  throughline map --dev --template template.yaml
  throughline map --template template.yaml --no-spans --mermaid
  throughline map --jaeger http://127.0.0.1:16686 --since 1h --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return terminal.In("map", o.run(cmd))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.template, "template", "", "compare with the rules of the template in `FILE`")
	flags.StringToStringVar(&o.values, "set", nil, "set a parameter of the template: `NAME=VALUE`")
	flags.BoolVar(&o.noSpans, "no-spans", false, "show only the template, and read no spans")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.mermaid, "mermaid", false, "print a Mermaid flowchart")
	o.source.Bind(cmd)
	cmd.MarkFlagsMutuallyExclusive("json", "mermaid")
	for _, source := range []string{"file", "dev", "jaeger", "xray", "transaction-search"} {
		cmd.MarkFlagsMutuallyExclusive("no-spans", source)
	}
	return cmd
}

func (o *options) run(cmd *cobra.Command) error {
	if o.noSpans && o.template == "" {
		return terminal.Misuse("--no-spans needs a template: give --template FILE")
	}
	var rules []topology.Rule
	if o.template != "" {
		data, err := os.ReadFile(o.template)
		if err != nil {
			return fmt.Errorf("%w: name a SAM or CloudFormation template with --template", err)
		}
		routes, err := template.Routes(data, o.values)
		if err != nil {
			return fmt.Errorf("%s: %w", o.template, err)
		}
		if rules, err = topology.Rules(routes); err != nil {
			return fmt.Errorf("%s: %w", o.template, err)
		}
	}
	var g topology.Graph
	where := "in " + o.template
	if !o.noSpans {
		tell, end := spansource.Tell(cmd)
		defer end()
		source, err := o.source.Open(cmd.Context(), o.configure, o.now(), tell)
		if err != nil {
			return err
		}
		if err := spanstore.Each(cmd.Context(), source.Store, tell, g.Add); err != nil {
			return err
		}
		end()
		where = source.Where + source.Hint
	}
	d := g.Join(rules, !o.noSpans)
	if g.Empty() {
		return terminal.Finding("no message, event or invocation was found %s", where)
	}
	if err := o.print(cmd, &g, d); err != nil {
		return err
	}
	if len(d.NeverMatched)+len(d.NoRule) > 0 {
		return terminal.Exit{Code: terminal.Found}
	}
	return nil
}

func (o *options) print(cmd *cobra.Command, g *topology.Graph, d topology.Differences) error {
	switch out := cmd.OutOrStdout(); {
	case o.json:
		return terminal.PrintJSON(out, g.Document(d))
	case o.mermaid:
		return g.WriteMermaid(out)
	default:
		return g.WriteText(out, d)
	}
}
