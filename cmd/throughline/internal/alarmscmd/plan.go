package alarmscmd

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// changes is the exit code of a verb that found a difference.
var changes = terminal.Exit{Code: terminal.Found}

func (a app) plan() *cobra.Command {
	var spec specOptions
	var on account.Flags
	var adopt []string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would change, field by field, and what it costs",
		Long: `plan compares the spec with the account. It shows what apply would create, change and
delete, what somebody edited by hand, and how the monthly cost changes. It reads the
alarms whose names begin with the spec's prefix. apply changes only those that have the
spec's tags.

Exit code 1: apply would change something.`,
		Example: `  throughline alarms plan --set OrdersFn=orders-prod
  throughline alarms plan --profile prod --region eu-west-1 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, plan, _, err := a.make(cmd, spec, on, adopt)
			if err != nil {
				return err
			}
			if spec.json {
				err = terminal.PrintJSON(cmd.OutOrStdout(), plan)
			} else {
				printNotes(cmd, spec.file, s.Notes)
				printPlan(cmd.OutOrStdout(), plan, s.Name)
			}
			if err == nil && !plan.Empty() {
				return changes
			}
			return err
		},
	}
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&adopt, "adopt", nil, "take over the existing alarm `NAME`, which the spec did not create; repeat for more")
	return cmd
}

func (a app) make(cmd *cobra.Command, spec specOptions, on account.Flags, adopt []string) (alarms.Set, cloudwatch.Plan, cloudwatch.API, error) {
	s, cfg, err := a.connect(cmd, spec, on)
	if err != nil {
		return s, cloudwatch.Plan{}, nil, err
	}
	api := cloudwatch.NewClient(cfg)
	bar := terminal.NewProgress(cmd)
	bar.Show("reading the alarms under %s", s.Prefix)
	plan, err := cloudwatch.Make(cmd.Context(), api, s, adopt, alarms.DefaultPrices(), a.watched(bar, "read the tags of %d of %d alarms"))
	bar.End()
	return s, plan, api, err
}

func (a app) apply() *cobra.Command {
	var spec specOptions
	var on account.Flags
	var adopt []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Change the account to match the spec",
		Long: `apply shows the plan and carries it out. It creates alarms before it deletes any. It
writes the tag with the applied state last. If apply is interrupted, run it again to
finish the plan. CloudWatch accepts three changes a second.`,
		Example: `  throughline alarms apply
  throughline alarms apply --yes --set OrdersFn=orders-prod --profile prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, plan, api, err := a.make(cmd, spec, on, adopt)
			if err != nil {
				return err
			}
			return a.carryOut(cmd, s, plan, api, spec.json, yes)
		},
	}
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&adopt, "adopt", nil, "take over the existing alarm `NAME`, which the spec did not create; repeat for more")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	return cmd
}

func (a app) destroy() *cobra.Command {
	var spec specOptions
	var on account.Flags
	var yes bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Delete the spec's alarms, and no others",
		Long: `destroy deletes every alarm that has the tags of the spec, even if the spec no longer
names it. Alarms without these tags stay, whatever their names are.`,
		Example: `  throughline alarms destroy
  throughline alarms destroy --yes --profile dev`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.readStack(cmd, &spec, on); err != nil {
				return err
			}
			s, values, err := spec.known(cmd)
			if err != nil {
				return err
			}
			if s, err = s.Resolve(values); err != nil {
				return terminal.As(terminal.Misused, err)
			}
			cfg, err := on.Config(cmd.Context(), a.configure)
			if err != nil {
				return err
			}
			api := cloudwatch.NewClient(cfg)
			bar := terminal.NewProgress(cmd)
			plan, err := cloudwatch.MakeDestroy(cmd.Context(), api, s, alarms.DefaultPrices(), a.watched(bar, "read the tags of %d of %d alarms"))
			bar.End()
			if err != nil {
				return err
			}
			return a.carryOut(cmd, s, plan, api, spec.json, yes)
		},
	}
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	return cmd
}

// carryOut shows a plan, asks for confirmation, and applies it.
func (a app) carryOut(cmd *cobra.Command, s alarms.Set, plan cloudwatch.Plan, api cloudwatch.API, asJSON, yes bool) error {
	out := cmd.OutOrStdout()
	if !asJSON {
		printPlan(out, plan, s.Name)
	}
	if plan.Empty() {
		if asJSON {
			return terminal.PrintJSON(out, applied{Steps: []result{}})
		}
		return nil
	}
	if !yes && len(plan.Refused()) == 0 {
		if err := ask(cmd, asJSON); err != nil {
			return err
		}
	}
	bar := terminal.NewProgress(cmd)
	outcome := applied{Steps: []result{}, Of: len(plan.Steps)}
	err := cloudwatch.Apply(cmd.Context(), api, plan, a.pace(), func(s cloudwatch.Step, err error) {
		r := result{Step: s}
		if err == nil {
			outcome.Done++
		} else {
			r.Error = err.Error()
		}
		outcome.Steps = append(outcome.Steps, r)
		bar.Show("%d of %d: %s %s", outcome.Done, outcome.Of, s.Action, s.Name)
	})
	bar.End()
	if len(plan.Refused()) > 0 {
		err = terminal.As(terminal.Found, err)
	}
	if asJSON {
		err = errors.Join(err, terminal.PrintJSON(out, outcome))
	} else if err == nil {
		_, err = fmt.Fprintf(out, "%d done\n", outcome.Done)
	}
	return err
}

// applied is the result of a plan as JSON: the steps that were tried.
type applied struct {
	Done  int      `json:"done"`
	Of    int      `json:"of"`
	Steps []result `json:"steps"`
}

type result struct {
	cloudwatch.Step
	Error string `json:"error,omitempty"`
}

func ask(cmd *cobra.Command, asJSON bool) error {
	stdin, ok := cmd.InOrStdin().(*os.File)
	if ok {
		info, err := stdin.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if !ok || asJSON {
		return terminal.Misuse("nothing was changed: give --yes to apply without confirmation")
	}
	fmt.Fprint(cmd.ErrOrStderr(), "apply these changes? [y/N] ")
	answer, _ := bufio.NewReader(stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return terminal.Finding("nothing was changed")
	}
	return nil
}

func (a app) drift() *cobra.Command {
	var spec specOptions
	var on account.Flags
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Show how the account differs from the spec, and alarms that cannot notify",
		Long: `drift finds alarms that are missing, edited by hand, older than the spec, orphaned, or
created by somebody else. It also finds alarms whose actions are disabled or whose metric
nothing publishes, and topics that have no subscriber or whose key CloudWatch cannot use.
drift changes nothing.

Exit code 1: drift found a difference.`,
		Example: `  throughline alarms drift
  throughline alarms drift --json --profile prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, cfg, err := a.connect(cmd, spec, on)
			if err != nil {
				return err
			}
			api := cloudwatch.NewClient(cfg)
			bar := terminal.NewProgress(cmd)
			found, err := cloudwatch.Drift(cmd.Context(), api, api, newTopics(cfg), s, a.watched(bar, "compared %d of %d alarms"))
			bar.End()
			if err != nil {
				return err
			}
			return printDrift(cmd, found, spec.json)
		},
	}
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	return cmd
}

func printDrift(cmd *cobra.Command, found []cloudwatch.Deviation, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		if found == nil {
			found = []cloudwatch.Deviation{}
		}
		if err := terminal.PrintJSON(out, found); err != nil {
			return err
		}
	} else {
		p := terminal.Painter(out)
		for _, d := range found {
			fmt.Fprintf(out, "%s %s: %s\n", p.Yellow(fmt.Sprintf("%-13s", d.Class)), d.Name, d.Detail)
			for _, c := range d.Changes {
				fmt.Fprintf(out, "              %s: %s → %s\n", c.Field, orNothing(c.Was), orNothing(c.Is))
			}
		}
		if len(found) == 0 {
			fmt.Fprintln(out, p.Green("no drift"))
		}
	}
	if len(found) > 0 {
		return changes
	}
	return nil
}
