// Package alarmscmd is the command "throughline alarms", which keeps alarms as code, and
// "throughline queries", which saves and runs queries.
package alarmscmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// New returns the command. now is the clock.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	return app{configure, now, func() *cloudwatch.Pace { return &cloudwatch.Pace{} }}.command()
}

func (a app) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alarms",
		Short: "Manage CloudWatch alarms as code: lint, plan, apply, drift, render",
		Long: `alarms keeps CloudWatch alarms as code. A spec names resources, and packs turn these into
alarms. lint finds alarms that can never fire, and backtest tries alarms on history. apply
changes the account directly, without a state file. render writes the alarms as
CloudFormation, SAM, Terraform or a shell script.`,
		Example: `  throughline alarms init template.yaml -o alarms.yaml
  throughline alarms lint
  throughline alarms plan --set OrdersFn=orders-prod
  throughline alarms apply --yes
  throughline alarms backtest --metrics build/demo/metrics.jsonl
  throughline alarms render --format terraform > alarms.tf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.lint(), a.plan(), a.apply(), a.destroy(), a.drift(), a.render(), a.backtest(), a.suggest(),
		a.test(), a.check(), a.cost(), a.dashboard(), a.explain(), a.initialise(), a.history(), a.policy())
	for _, sub := range cmd.Commands() {
		wrap(sub)
	}
	return cmd
}

// app is what every verb needs.
type app struct {
	configure account.Configure
	now       func() time.Time
	pace      func() *cloudwatch.Pace // returns a new Pace for each run of a verb
}

// verbatim are the verbs whose output is a file for another program.
var verbatim = []string{"render", "suggest", "dashboard", "init", "policy"}

// wrap adds the verb's name to its errors, and fits its report to the terminal.
func wrap(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report := func(out io.Writer) error {
			cmd.SetOut(out)
			return run(cmd, args)
		}
		out, err := cmd.OutOrStdout(), error(nil)
		if asJSON, _ := cmd.Flags().GetBool("json"); asJSON || slices.Contains(verbatim, cmd.Name()) {
			err = report(out)
		} else {
			const hang = 2
			err = terminal.Fit(out, hang, report)
		}
		return terminal.In(cmd.Parent().Name()+" "+cmd.Name(), err)
	}
}

// specOptions are the flags of a verb that reads a spec.
type specOptions struct {
	file  string
	set   []string
	json  bool
	stack string            // the stack that names and parameters are read from
	live  map[string]string // the stack's values by parameter of the spec; see [app.readStack]
}

func (o *specOptions) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&o.file, "file", "f", "alarms.yaml", "read the spec from `FILE`, YAML or JSON; - means standard input")
	flags.StringArrayVar(&o.set, "set", nil, "set a parameter: `NAME=VALUE`; repeat for more")
	flags.BoolVar(&o.json, "json", false, "print JSON")
}

// bindStack adds the flag of verbs that access an account.
func (o *specOptions) bindStack(flags *pflag.FlagSet) {
	flags.StringVar(&o.stack, "stack", "", "take resource names and parameters from the deployed stack `NAME`")
}

// readSpec reads the text of the spec.
func (o specOptions) readSpec(cmd *cobra.Command) ([]byte, error) {
	data, err := readFile(cmd, o.file)
	if _, missing := os.Stat(o.file); o.file != "-" && errors.Is(missing, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: name a file with -f, or create one with `throughline alarms init template.yaml -o alarms.yaml`", err)
	}
	if err == nil && aTemplate.Match(data) {
		return nil, terminal.Misuse("%s is a CloudFormation template, not a spec: `throughline alarms init %[1]s -o alarms.yaml` writes a spec for it, and `throughline alarms lint --from cloudformation -f %[1]s` checks the alarms in it", o.file)
	}
	return data, err
}

// aTemplate matches a key that CloudFormation templates have and specs do not, in YAML
// and JSON.
var aTemplate = regexp.MustCompile(`(?m)^(?:[ \t{]*")?(?:AWSTemplateFormatVersion|Resources|Transform|Globals)"?[ \t]*:`)

// compile reads the spec. Its placeholders stay.
func (o specOptions) compile(cmd *cobra.Command) (alarms.Set, error) {
	data, err := o.readSpec(cmd)
	if err != nil {
		return alarms.Set{}, err
	}
	s, err := alarms.Compile(data)
	return s, o.located(err)
}

// located adds the file to each of a spec's problems, in the form of lint's findings.
func (o specOptions) located(err error) error {
	if problems, ok := errors.AsType[alarms.Problems](err); ok {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = at(o.file, p.Line) + p.Message
		}
		return terminal.Finding("%s", strings.Join(lines, "\n"))
	}
	return terminal.As(terminal.Found, err)
}

// known reads the spec without the resources whose names are not known, and prints which
// these are. It also returns the values of the parameters.
func (o specOptions) known(cmd *cobra.Command) (alarms.Set, map[string]string, error) {
	data, err := o.readSpec(cmd)
	if err != nil {
		return alarms.Set{}, nil, err
	}
	values, err := o.values()
	if err != nil {
		return alarms.Set{}, nil, err
	}
	for name, value := range o.live {
		if _, set := values[name]; !set {
			values[name] = value
		}
	}
	s, left, err := alarms.CompileKnown(data, values)
	if err != nil {
		return s, nil, o.located(err)
	}
	printNotes(cmd, o.file, left)
	return s, values, nil
}

// resolve reads the spec, replaces its placeholders, and returns an error if lint finds
// one.
func (o specOptions) resolve(cmd *cobra.Command) (alarms.Set, error) {
	s, values, err := o.known(cmd)
	if err != nil {
		return s, err
	}
	if err := o.refuse(alarms.Lint(s)); err != nil {
		return s, err
	}
	resolved, err := s.Resolve(values)
	if err != nil {
		return s, terminal.As(terminal.Misused, err)
	}
	return resolved, o.refuse(alarms.Lint(resolved)) // with its value a name can be too long
}

// connect returns the resolved spec and the configuration of AWS clients.
func (a app) connect(cmd *cobra.Command, spec specOptions, on account.Flags) (alarms.Set, aws.Config, error) {
	if err := a.readStack(cmd, &spec, on); err != nil {
		return alarms.Set{}, aws.Config{}, err
	}
	s, err := spec.resolve(cmd)
	if err != nil {
		return s, aws.Config{}, err
	}
	cfg, err := on.Config(cmd.Context(), a.configure)
	return s, cfg, err
}

func (o specOptions) refuse(findings []alarms.Finding) error {
	var lines []string
	for _, f := range findings {
		if !f.Warning {
			lines = append(lines, at(o.file, f.Line)+subject(f))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return terminal.Finding("lint found errors, so nothing was done\n%s", strings.Join(lines, "\n"))
}

func (o specOptions) values() (map[string]string, error) {
	return pairs(o.set)
}

// pairs returns the values of --set.
func pairs(set []string) (map[string]string, error) {
	values := map[string]string{}
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, terminal.Misuse("--set %s: write NAME=VALUE", pair)
		}
		values[name] = value
	}
	return values, nil
}

func subject(f alarms.Finding) string {
	if f.Alarm == "" {
		return terminal.Line(f.Message)
	}
	return terminal.Line(f.Alarm + ": " + f.Message)
}

func at(file string, line int) string {
	if line == 0 {
		return file + ": "
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

const maxSpec = 4 << 20

func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxSpec+1))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
