package alarmscmd

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/alarmparse"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/nearest"
)

func (a app) lint() *cobra.Command {
	var spec specOptions
	var from string
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Find alarms that CloudWatch would refuse, or that can never fire",
		Long: `lint compares the spec with CloudWatch's limits and with a catalogue of metrics. It finds
metrics that nothing publishes, wrong dimensions, sums of gauges, and alarms that wait
for more datapoints than they look at. It needs no AWS account.

With --from it lints alarms that are not in a spec: in a CloudFormation or SAM template,
or in calls of aws cloudwatch put-metric-alarm in a shell script.

Exit code 1: lint found an error.`,
		Example: `  throughline alarms lint
  throughline alarms lint -f template.yaml --from cloudformation
  throughline alarms lint -f alarms.sh --from sh --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := spec.read(cmd, from)
			if err != nil {
				return err
			}
			return printFindings(cmd, spec, s, slices.Concat(alarms.Lint(s), warnings(s.Notes)))
		},
	}
	spec.bind(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", "spec", "the format of the file: spec, cloudformation, sam or sh")
	complete(cmd, "from", "spec", "cloudformation", "sam", "sh")
	return cmd
}

func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
}

// read reads a set from a file in one of the formats that lint supports.
func (o specOptions) read(cmd *cobra.Command, from string) (alarms.Set, error) {
	values, err := o.values()
	if err != nil {
		return alarms.Set{}, err
	}
	switch from {
	case "spec":
		s, err := o.compile(cmd)
		if err != nil {
			return s, err
		}
		s, err = s.Fill(values)
		return s, terminal.As(terminal.Misused, err)
	case "cloudformation", "sam", "sh":
	default:
		return alarms.Set{}, terminal.Misuse("--from %s: write spec, cloudformation, sam or sh", from)
	}
	data, err := readFile(cmd, o.file)
	if err != nil {
		return alarms.Set{}, err
	}
	parse := func() (alarms.Set, error) { return alarmparse.CloudFormation(data, values) }
	if from == "sh" {
		parse = func() (alarms.Set, error) { return alarmparse.Shell(data) }
	}
	s, err := parse()
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.file, err)
	}
	return s, nil
}

// warnings returns notes as findings.
func warnings(notes []alarms.Note) []alarms.Finding {
	var found []alarms.Finding
	for _, n := range notes {
		found = append(found, alarms.Finding{Line: n.Line, Warning: true, Message: n.Message})
	}
	return found
}

func printFindings(cmd *cobra.Command, spec specOptions, s alarms.Set, findings []alarms.Finding) error {
	out := cmd.OutOrStdout()
	failed := terminal.Exit{Code: terminal.Found}
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
		fmt.Fprintf(out, "%s and %s in %s\n", phrase.Count(count, "error"), phrase.Count(len(findings)-count, "warning"), phrase.Count(len(s.Alarms)+len(s.Composites), "alarm"))
		return failed
	}
	bill := alarms.Cost(s, alarms.DefaultPrices())
	fmt.Fprintf(out, "%s: %s and %s, %s; $%.2f a month\n", p.Green("no errors"), phrase.Count(len(s.Alarms), "alarm"), phrase.Count(len(s.Composites), "composite"), phrase.Count(len(findings), "warning"), bill.Dollars)
	return nil
}

func (a app) explain() *cobra.Command {
	var spec specOptions
	cmd := &cobra.Command{
		Use:   "explain [ALARM…]",
		Short: "Explain what alarms do, and where each field is set",
		Long: `explain prints what each alarm watches, and which line of the spec or which row of a pack
set each of its fields. ALARM is the name of an alarm or a part of it.`,
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

// choose returns the set with only the alarms and composites whose names contain one of
// the words. Without words it returns all.
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
	if near := nearest.Of(words[0], names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return s, terminal.Finding("no alarm's name contains %q: %s", words[0], hint)
}

// complete returns the names of the spec's alarms, without the prefix. If the spec cannot
// be read, it returns none.
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

// chooseNames returns the names of the alarms that [choose] selects.
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
		Short: "Show what the alarms cost in a month",
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
			fmt.Fprintf(out, "%-12s %7s %8s %9s\n", "kind", "alarms", "metrics", "$/month")
			for _, name := range slices.Sorted(maps.Keys(kinds)) {
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
	var output, stack string
	var set []string
	var o template.Options
	var on account.Flags
	var force bool
	cmd := &cobra.Command{
		Use:   "init TEMPLATE",
		Short: "Write a first spec from a SAM or CloudFormation template",
		Long: `init reads the functions, rules, queues, tables and schedules of a template, and prints a
spec that watches them. Parameters of the template become parameters of the spec, with
their defaults. Names that CloudFormation generates become parameters too, unless --stack
names the deployed stack. init writes no values that the template does not contain.
Comments in the spec list the resources that it does not watch.`,
		Example: `  throughline alarms init template.yaml -o alarms.yaml
  throughline alarms init template.yaml --notify arn:aws:sns:eu-west-1:123456789012:alerts --stack orders-prod
  throughline alarms init template.yaml --name trading | throughline alarms lint -f -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			if o.Values, err = pairs(set); err != nil {
				return err
			}
			for _, action := range o.Notify {
				if !strings.HasPrefix(action, "arn:") {
					return terminal.Misuse("--notify %s: it is not an ARN: write arn:aws:sns:<Region>:<account>:<topic>", action)
				}
			}
			if stack != "" {
				cfg, err := on.Config(cmd.Context(), a.configure)
				if err != nil {
					return err
				}
				if err := deployed(cmd.Context(), cloudformation.NewFromConfig(cfg), stack, &o); err != nil {
					return err
				}
			}
			o.Open = besides(args[0])
			text, err := template.Spec(data, o)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return write(cmd, output, text, force)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().StringVar(&stack, "stack", "", "take resource names and parameters from the deployed stack `NAME`")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a parameter of the template: `NAME=VALUE`; repeat for more")
	cmd.Flags().StringArrayVar(&o.Notify, "notify", nil, "notify the SNS topic `ARN`; repeat for more")
	on.Bind(cmd.Flags())
	cmd.Flags().StringVar(&o.Name, "name", "alarms", "the `NAME` of the spec, with which the names of its alarms begin")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite an existing file")
	return cmd
}

// write writes data to a file, which must not exist unless force is set, or to standard
// output.
func write(cmd *cobra.Command, name string, data []byte, force bool) error {
	if name == "" {
		_, err := cmd.OutOrStdout().Write(data)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(name, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return terminal.Misuse("%s exists: give --force to overwrite it, or another name", name)
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
