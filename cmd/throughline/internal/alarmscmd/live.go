package alarmscmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

func (a app) check() *cobra.Command {
	var spec specOptions
	var on account.Flags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask CloudWatch whether the metrics of the alarms exist",
		Long: `check asks CloudWatch whether each metric that the alarms watch was published in the last
two weeks, with exactly these dimensions. Some metrics are published only when they are
not zero. For these, check looks for another metric with the same dimensions. check never
treats missing data as healthy.

Exit code 1: a metric is not known to be published.`,
		Example: `  throughline alarms check
  throughline alarms check --json --region eu-west-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, cfg, err := a.connect(cmd, spec, on)
			if err != nil {
				return err
			}
			bar := terminal.NewProgress(cmd)
			found, err := cloudwatch.Check(cmd.Context(), cloudwatch.NewClient(cfg), s, a.watched(bar, "asked about the metrics of %d of %d alarms"))
			bar.End()
			if err != nil {
				return err
			}
			return printCheck(cmd, found, spec.json)
		},
	}
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	return cmd
}

func printCheck(cmd *cobra.Command, found []cloudwatch.Existence, asJSON bool) error {
	out := cmd.OutOrStdout()
	bad := 0
	for _, e := range found {
		if !e.Good() {
			bad++
		}
	}
	if asJSON {
		if err := terminal.PrintJSON(out, found); err != nil {
			return err
		}
	} else {
		p := terminal.Painter(out)
		for _, e := range found {
			if e.Good() {
				continue
			}
			fmt.Fprintf(out, "%s %s: %s: %s\n", p.Yellow(fmt.Sprintf("%-7s", e.Verdict)), e.Alarm, e.Stat.Metric, e.Message)
		}
		fmt.Fprintf(out, "%d of %d metrics are known to be published\n", len(found)-bad, len(found))
	}
	if bad > 0 {
		return changes
	}
	return nil
}

func (a app) test() *cobra.Command {
	var spec specOptions
	var on account.Flags
	var force bool
	cmd := &cobra.Command{
		Use:   "test ALARM…",
		Short: "Test that an alarm sends its notification to confirmed subscribers",
		Long: `test sets alarms to ALARM, looks for the notification in their history, checks that their
topics have confirmed subscribers, and restores their states. The subscribers receive the
notifications. Without --force, test refuses alarms with actions other than SNS topics,
because these actions could roll back a deployment.`,
		Example: `  throughline alarms test orders-dlq-depth
  throughline alarms test orders-dlq-depth --json --profile prod`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, cfg, err := a.connect(cmd, spec, on)
			if err != nil {
				return err
			}
			chosen, err := chooseNames(s, args)
			if err != nil {
				return err
			}
			api, reachable, pace := cloudwatch.NewClient(cfg), newTopics(cfg), a.pace()
			bar := terminal.NewProgress(cmd)
			var results []cloudwatch.Delivery
			good := true
			for i, name := range chosen {
				bar.Show("%d of %d: testing %s", i+1, len(chosen), name)
				d, err := cloudwatch.Test(cmd.Context(), api, reachable, name, force, pace)
				bar.End()
				if err != nil {
					return err
				}
				results, good = append(results, d), good && d.Good()
				if !spec.json {
					printDelivery(cmd, d)
				}
			}
			if spec.json {
				if err := terminal.PrintJSON(cmd.OutOrStdout(), results); err != nil {
					return err
				}
			}
			if !good {
				return terminal.Exit{Code: terminal.Found}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = spec.complete
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also test alarms that have actions other than SNS topics")
	return cmd
}

func printDelivery(cmd *cobra.Command, d cloudwatch.Delivery) {
	out := cmd.OutOrStdout()
	p := terminal.Painter(out)
	if d.Good() {
		fmt.Fprintf(out, "%s %s: a notification was sent, and its topics have subscribers; the state is %s again\n", p.Green("delivered"), d.Alarm, d.Restored)
		return
	}
	fmt.Fprintf(out, "%s %s: %s; the state is %s again\n", p.Red("not delivered"), d.Alarm, strings.Join(d.Problems, "; "), d.Restored)
}

func (a app) history() *cobra.Command {
	var spec specOptions
	var on account.Flags
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "history ALARM…",
		Short: "Show state changes and notifications of alarms (CloudWatch keeps 30 days)",
		Example: `  throughline alarms history orders-dlq-depth
  throughline alarms history orders- --since 168h --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, cfg, err := a.connect(cmd, spec, on)
			if err != nil {
				return err
			}
			chosen, err := chooseNames(s, args)
			if err != nil {
				return err
			}
			items := []cloudwatch.Item{}
			api, pace, bar := cloudwatch.NewClient(cfg), a.pace(), terminal.NewProgress(cmd)
			for i, name := range chosen {
				bar.Show("%d of %d: reading the history of %s", i+1, len(chosen), name)
				more, err := cloudwatch.History(cmd.Context(), api, name, a.now().Add(-since), pace)
				bar.End()
				if err != nil {
					return err
				}
				items = append(items, more...)
			}
			if spec.json {
				return terminal.PrintJSON(cmd.OutOrStdout(), items)
			}
			for _, i := range items {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", i.At.Format(time.DateTime), i.Alarm, i.Summary)
			}
			if len(items) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "no state change and no notification in %s\n", since)
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = spec.complete
	spec.bind(cmd.Flags())
	spec.bindStack(cmd.Flags())
	on.Bind(cmd.Flags())
	cmd.Flags().DurationVar(&since, "since", 7*24*time.Hour, "show this `DURATION` of history")
	return cmd
}

func (a app) policy() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the IAM policy that the alarms commands need, to read or to write",
		Example: `  throughline alarms policy > read.json
  throughline alarms policy --write > write.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := cloudwatch.ReadPolicy
			if write {
				text = cloudwatch.WritePolicy
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "print the additional policy of apply, destroy, test and queries apply")
	return cmd
}
