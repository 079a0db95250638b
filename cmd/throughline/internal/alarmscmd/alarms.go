// Package alarmscmd is the command "throughline alarms": alarms as code, from a
// spec to an account and back, and "throughline queries", the saved queries.
package alarmscmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

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
		Short: "Keep CloudWatch alarms as code: lint, plan, apply, drift, render",
		Long: `alarms keeps CloudWatch alarms as code. A spec names resources; packs turn them
into alarms; lint refuses those that could never fire. The same spec is applied
straight to the account, which needs no state file, or rendered as CloudFormation,
SAM, Terraform or a shell script, and tried on history before it pages anybody.`,
		Example: `  throughline alarms init template.yaml -o alarms.yaml   a first spec, from a SAM or CloudFormation template
  throughline alarms lint                                what CloudWatch would refuse, and what could never fire
  throughline alarms plan --set OrdersFn=orders-prod     what apply would change, and by how much a month
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

// app is what every verb has at hand.
type app struct {
	configure account.Configure
	now       func() time.Time
	pace      func() *cloudwatch.Pace // made anew for each run of a verb
}

// wrap gives a verb's errors its name, but for exits, which say what they mean.
func wrap(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		var e terminal.Exit
		if err == nil || errors.As(err, &e) {
			return err
		}
		return fmt.Errorf("%s %s: %w", cmd.Parent().Name(), cmd.Name(), err)
	}
}

// specOptions are the flags of a verb that reads a spec.
type specOptions struct {
	file string
	set  []string
	json bool
}

func (o *specOptions) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&o.file, "file", "f", "alarms.yaml", "the spec, a `FILE` in YAML or JSON; - is standard input")
	flags.StringArrayVar(&o.set, "set", nil, "`NAME=VALUE` of a parameter; again for each")
	flags.BoolVar(&o.json, "json", false, "print JSON")
}

// compile reads the spec; its placeholders stay.
func (o specOptions) compile(cmd *cobra.Command) (alarms.Set, error) {
	data, err := readFile(cmd, o.file)
	if err != nil {
		return alarms.Set{}, err
	}
	s, err := alarms.Compile(data)
	var problems alarms.Problems
	if errors.As(err, &problems) {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = at(o.file, p.Line) + p.Message
		}
		return s, errors.New(strings.Join(lines, "\n"))
	}
	return s, err
}

// resolve reads the spec, gives its placeholders values, and refuses what lint
// has an error against.
func (o specOptions) resolve(cmd *cobra.Command) (alarms.Set, error) {
	s, err := o.compile(cmd)
	if err != nil {
		return s, err
	}
	if err := o.refuse(alarms.Lint(s)); err != nil {
		return s, err
	}
	values, err := o.values()
	if err != nil {
		return s, err
	}
	resolved, err := s.Resolve(values)
	if err != nil {
		return s, err
	}
	return resolved, o.refuse(alarms.Lint(resolved)) // a value can make a name too long
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
	return fmt.Errorf("lint has errors, so nothing was done\n%s", strings.Join(lines, "\n"))
}

func (o specOptions) values() (map[string]string, error) {
	values := map[string]string{}
	for _, pair := range o.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: write NAME=VALUE", pair)
		}
		values[name] = value
	}
	return values, nil
}

func subject(f alarms.Finding) string {
	if f.Alarm == "" {
		return f.Message
	}
	return f.Alarm + ": " + f.Message
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
		return nil, fmt.Errorf("there is no %s: name another with -f, or begin with `throughline alarms init template.yaml -o alarms.yaml`", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	return data, nil
}
