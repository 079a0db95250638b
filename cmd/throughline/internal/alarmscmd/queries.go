package alarmscmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/alarms/queries"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// NewQueries returns the command "queries". now is the clock.
func NewQueries(configure account.Configure, now func() time.Time) *cobra.Command {
	return app{configure, now, func() *cloudwatch.Pace { return &cloudwatch.Pace{} }}.queries()
}

func (a app) queries() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "queries [NAME…]",
		Short: "Print, save and run Logs Insights queries for Throughline's lines",
		Long: `queries prints the Logs Insights queries for the lines that Throughline writes: large
events, slow handlers, repeats, one workflow; those named alchemiser-… read the first
user's own log lines. "apply" saves them in the account, "run" runs one and shows
its answer.`,
		Example: `  throughline queries
  throughline queries repeats
  throughline queries apply --log-group /aws/lambda/orders --log-group /aws/lambda/billing
  throughline queries run large-events --log-group /aws/lambda/orders --since 24h`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeQueries,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseQueries(args)
			if err != nil {
				return fmt.Errorf("queries: %w", err)
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), chosen)
			}
			for i, q := range chosen {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				fmt.Fprintf(cmd.OutOrStdout(), "# %s: %s\n%s\n", q.Name, q.Title, q.Text)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	save, run := a.saveQueries(), a.runQuery()
	wrap(save)
	wrap(run)
	cmd.AddCommand(save, run)
	return cmd
}

func completeQueries(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, q := range queries.All() {
		names = append(names, q.Name+"\t"+q.Title)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func chooseQueries(names []string) ([]queries.Query, error) {
	if len(names) == 0 {
		return queries.All(), nil
	}
	var out []queries.Query
	for _, name := range names {
		q, ok := queries.Find(name)
		if !ok {
			var known []string
			for _, q := range queries.All() {
				known = append(known, q.Name)
			}
			return nil, fmt.Errorf("there is no %s: there are %s", name, strings.Join(known, ", "))
		}
		out = append(out, q)
	}
	return out, nil
}

func (a app) saveQueries() *cobra.Command {
	var on account.Flags
	var groups []string
	var foreign, asJSON bool
	cmd := &cobra.Command{
		Use:   "apply [NAME…]",
		Short: "Save the queries in the account, under Throughline/, in the place of those that are there",
		Example: `  throughline queries apply --log-group /aws/lambda/orders
  throughline queries apply repeats --log-group /aws/lambda/orders --profile prod`,
		ValidArgsFunction: completeQueries,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseQueries(args)
			if err != nil {
				return err
			}
			if len(args) == 0 && !foreign {
				chosen = slices.DeleteFunc(chosen, func(q queries.Query) bool { return q.Foreign })
			}
			cfg, err := on.Config(cmd.Context(), a.configure)
			if err != nil {
				return err
			}
			api := logs.NewFromConfig(cfg)
			saved := []savedQuery{}
			for _, q := range chosen {
				made, err := cloudwatch.SaveQuery(cmd.Context(), api, q, groups)
				if err != nil {
					return fmt.Errorf("%w; %d of %d queries are saved", err, len(saved), len(chosen))
				}
				saved = append(saved, savedQuery{cloudwatch.QueryFolder + q.Name, made})
				if !asJSON {
					verb := "changed"
					if made {
						verb = "saved"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s%s\n", verb, cloudwatch.QueryFolder, q.Name)
				}
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), saved)
			}
			return nil
		},
	}
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&groups, "log-group", nil, "a log group `NAME` that the queries read; again for each")
	cmd.Flags().BoolVar(&foreign, "alchemiser-queries", false, "save the queries on the first user's own log lines too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type savedQuery struct {
	Name string `json:"name"`
	Made bool   `json:"made"` // there was none of the name
}

func (a app) runQuery() *cobra.Command {
	var on account.Flags
	var groups []string
	var since time.Duration
	var asJSON bool
	var correlation string
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run one query over log groups and show its answer",
		Example: `  throughline queries run repeats --log-group /aws/lambda/orders
  throughline queries run workflow --correlation-id workflow-6513270e --log-group /aws/lambda/orders --since 72h --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeQueries,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseQueries(args)
			if err != nil {
				return err
			}
			text := chosen[0].Text
			switch {
			case len(groups) == 0:
				return errors.New("which logs? give --log-group /aws/lambda/NAME, again for each function")
			case strings.ContainsAny(correlation, "\"\\\n"):
				return errors.New("--correlation-id: it cannot hold quotes, backslashes or line ends in a query")
			case strings.Contains(text, "CORRELATION_ID") && correlation == "":
				return errors.New("which workflow? give --correlation-id ID")
			}
			text = strings.ReplaceAll(text, "CORRELATION_ID", correlation)
			cfg, err := on.Config(cmd.Context(), a.configure)
			if err != nil {
				return err
			}
			bar := terminal.NewProgress(cmd)
			bar.Show("running %s", chosen[0].Name)
			rows, err := cloudwatch.RunQuery(cmd.Context(), logs.NewFromConfig(cfg), text, groups, a.now().Add(-since), a.now(), a.pace())
			bar.End()
			if err != nil {
				return err
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), members(rows))
			}
			return printRows(cmd.OutOrStdout(), rows)
		},
	}
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&groups, "log-group", nil, "a log group `NAME` to read; again for each")
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back")
	cmd.Flags().StringVar(&correlation, "correlation-id", "", "the workflow's `ID`, for the query workflow")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func members(rows []cloudwatch.Row) []map[string]string {
	out := make([]map[string]string, len(rows))
	for i, row := range rows {
		out[i] = map[string]string{}
		for _, f := range row {
			out[i][f.Name] = f.Value
		}
	}
	return out
}

func printRows(out io.Writer, rows []cloudwatch.Row) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no line matched")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for i, row := range rows {
		var names, values []string
		for _, f := range row {
			names, values = append(names, f.Name), append(values, f.Value)
		}
		if i == 0 {
			fmt.Fprintln(w, strings.Join(names, "\t"))
		}
		fmt.Fprintln(w, strings.Join(values, "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
