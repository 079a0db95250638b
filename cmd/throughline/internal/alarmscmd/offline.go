package alarmscmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/render"
	"github.com/throughline/throughline/alarms/scaffold"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

func (a app) lint() *cobra.Command {
	var spec specOptions
	var from string
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Say what CloudWatch would refuse, and which alarms could never fire",
		Long: `lint holds the spec's alarms to CloudWatch's limits and to a catalogue of metrics:
a metric that nothing publishes, dimensions that it is not published with, a sum of
a level, more datapoints than are looked at. It needs no AWS and ends with 1 where
there is an error. With --from it lints alarms that others wrote: those of a
CloudFormation or SAM template, or the calls of aws cloudwatch put-metric-alarm in
a shell script.`,
		Example: `  throughline alarms lint
  throughline alarms lint -f template.yaml --from cloudformation
  throughline alarms lint -f alarms.sh --from sh --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := spec.read(cmd, from)
			if err != nil {
				return err
			}
			return printFindings(cmd, spec, s, alarms.Lint(s))
		},
	}
	spec.bind(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", "spec", "what the file is: spec, cloudformation, sam or sh")
	complete(cmd, "from", "spec", "cloudformation", "sam", "sh")
	return cmd
}

func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// read is the set of a file of one of the formats that lint knows.
func (o specOptions) read(cmd *cobra.Command, from string) (alarms.Set, error) {
	parse := map[string]func([]byte) (alarms.Set, error){"cloudformation": render.ParseCloudFormation, "sam": render.ParseCloudFormation, "sh": render.ParseShell}[from]
	switch {
	case from == "spec":
		return o.compile(cmd)
	case parse == nil:
		return alarms.Set{}, fmt.Errorf("--from %s: it is spec, cloudformation, sam or sh", from)
	}
	data, err := readFile(cmd, o.file)
	if err != nil {
		return alarms.Set{}, err
	}
	s, err := parse(data)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.file, err)
	}
	return s, nil
}

func printFindings(cmd *cobra.Command, spec specOptions, s alarms.Set, findings []alarms.Finding) error {
	out := cmd.OutOrStdout()
	failed := terminal.Exit{Code: 1}
	if spec.json {
		if findings == nil {
			findings = []alarms.Finding{}
		}
		if err := terminal.PrintJSON(out, findings); err != nil {
			return err
		}
		if alarms.Errors(findings) {
			return failed
		}
		return nil
	}
	printNotes(cmd, spec.file, s.Notes)
	p := terminal.Painter(out)
	count := 0
	for _, f := range findings {
		word := p.Red("error  ")
		if f.Warning {
			word = p.Yellow("warning")
		} else {
			count++
		}
		fmt.Fprintf(out, "%s %s%s\n", word, at(spec.file, f.Line), subject(f))
	}
	if count > 0 {
		fmt.Fprintf(out, "%s and %s in %s\n", counted(count, "error"), counted(len(findings)-count, "warning"), counted(len(s.Alarms)+len(s.Composites), "alarm"))
		return failed
	}
	bill := alarms.Cost(s, alarms.DefaultPrices())
	fmt.Fprintf(out, "%s: %s and %s, %s; $%.2f a month\n", p.Green("no errors"), counted(len(s.Alarms), "alarm"), counted(len(s.Composites), "composite"), counted(len(findings), "warning"), bill.Dollars)
	return nil
}

func (a app) explain() *cobra.Command {
	var spec specOptions
	cmd := &cobra.Command{
		Use:   "explain [ALARM…]",
		Short: "Say in words what alarms do, and which line set each of their fields",
		Long: `explain prints what each alarm watches and which line of the spec, or which row of
which pack, set each of its fields. An ALARM is a name or a part of one.`,
		Example: `  throughline alarms explain
  throughline alarms explain orders-dlq-depth`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := spec.compile(cmd)
			if err != nil {
				return err
			}
			if s, err = choose(s, args); err != nil {
				return err
			}
			if spec.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), map[string]any{"alarms": s.Alarms, "composites": s.Composites})
			}
			var texts []string
			for _, alarm := range s.Alarms {
				texts = append(texts, alarms.Explain(alarm, alarms.DefaultPrices()))
			}
			for _, composite := range s.Composites {
				texts = append(texts, alarms.ExplainComposite(composite, alarms.DefaultPrices()))
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), strings.Join(texts, "\n"))
			return err
		},
	}
	cmd.ValidArgsFunction = spec.complete
	spec.bind(cmd.Flags())
	return cmd
}

// choose is the set with the alarms and composites alone whose names hold one of
// the words: all of them where there are no words.
func choose(s alarms.Set, words []string) (alarms.Set, error) {
	if len(words) == 0 {
		return s, nil
	}
	meant := func(name string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	var names []string
	for _, a := range s.Alarms {
		names = append(names, strings.TrimPrefix(a.Name, s.Prefix))
	}
	for _, c := range s.Composites {
		names = append(names, strings.TrimPrefix(c.Name, s.Prefix))
	}
	s.Alarms = slices.DeleteFunc(slices.Clone(s.Alarms), func(a alarms.Alarm) bool { return !meant(a.Name) })
	s.Composites = slices.DeleteFunc(slices.Clone(s.Composites), func(c alarms.Composite) bool { return !meant(c.Name) })
	if len(s.Alarms)+len(s.Composites) > 0 {
		return s, nil
	}
	hint := "`throughline alarms explain` lists them"
	if near := alarms.Nearest(words[0], names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return s, fmt.Errorf("no alarm's name holds %q: %s", words[0], hint)
}

// complete offers the names of the spec's alarms, without its prefix; a spec that
// cannot be read has none.
func (o *specOptions) complete(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if o.file == "-" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := o.compile(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, a := range s.Alarms {
		names = append(names, strings.TrimPrefix(a.Name, s.Prefix)+"\t"+a.Description)
	}
	for _, c := range s.Composites {
		names = append(names, strings.TrimPrefix(c.Name, s.Prefix)+"\t"+c.Description)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// chooseNames are the names of what [choose] finds.
func chooseNames(s alarms.Set, words []string) ([]string, error) {
	s, err := choose(s, words)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range s.Alarms {
		names = append(names, a.Name)
	}
	for _, c := range s.Composites {
		names = append(names, c.Name)
	}
	return names, nil
}

func (a app) cost() *cobra.Command {
	var spec specOptions
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Count what the alarms cost a month: CloudWatch bills the metrics that they evaluate",
		Example: `  throughline alarms cost
  throughline alarms cost --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := spec.compile(cmd)
			if err != nil {
				return err
			}
			prices := alarms.DefaultPrices()
			bill := alarms.Cost(s, prices)
			if spec.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), bill)
			}
			out := cmd.OutOrStdout()
			kinds := map[string]alarms.Set{}
			for _, alarm := range s.Alarms {
				k := kinds[alarm.Meta.Kind]
				k.Alarms = append(k.Alarms, alarm)
				kinds[alarm.Meta.Kind] = k
			}
			names := make([]string, 0, len(kinds))
			for name := range kinds {
				names = append(names, name)
			}
			slices.Sort(names)
			fmt.Fprintf(out, "%-12s %7s %8s %9s\n", "kind", "alarms", "metrics", "$/month")
			for _, name := range names {
				b := alarms.Cost(kinds[name], prices)
				fmt.Fprintf(out, "%-12s %7d %8d %9.2f\n", name, b.Alarms, b.Metrics+b.HighResolution, b.Dollars)
			}
			if bill.Composites > 0 {
				fmt.Fprintf(out, "%-12s %7d %8s %9.2f\n", "composite", bill.Composites, "-", float64(bill.Composites)*prices.Composite)
			}
			fmt.Fprintf(out, "%-12s %7d %8d %9.2f\n", "in all", bill.Alarms+bill.Composites, bill.Metrics+bill.HighResolution, bill.Dollars)
			fmt.Fprintf(out, "prices of us-east-1, %s; an account's first %d alarm metrics are free\n", prices.Date, prices.FreeMetrics)
			return nil
		},
	}
	spec.bind(cmd.Flags())
	return cmd
}

func (a app) initialise() *cobra.Command {
	var output, name string
	var force bool
	cmd := &cobra.Command{
		Use:   "init TEMPLATE",
		Short: "Write a first spec, with comments, from a SAM or CloudFormation template",
		Long: `init reads a template's functions with their time-outs, rules, queues, dead-letter
queues, tables and schedules, and prints a spec that watches them. Names that the
template leaves to CloudFormation become parameters of the spec.`,
		Example: `  throughline alarms init template.yaml -o alarms.yaml
  throughline alarms init template.yaml --name trading | throughline alarms lint -f -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			text, err := scaffold.Spec(data, name)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return write(cmd, output, text, force)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().StringVar(&name, "name", "alarms", "the spec's `NAME`: whose the alarms are, and how their names begin")
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

// write puts data into a file, which must not be there yet unless force is set,
// or on standard output.
func write(cmd *cobra.Command, name string, data []byte, force bool) error {
	if name == "" {
		_, err := cmd.OutOrStdout().Write(data)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, 0o644) //nolint:gosec // a spec is for everybody to read
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: give --force to write over it, or another name", name)
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s\n", name)
	return nil
}
