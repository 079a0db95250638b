package alarmscmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/queries"
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
		Short: "Print, save and run Logs Insights queries for Throughline's logs",
		Long: `queries prints Logs Insights queries for the lines that Throughline writes: large events,
slow handlers, repeats, one workflow. The query deliveries is for the delivery logs of a
new custom bus. queries apply saves queries in the account, and queries run runs one of
them.`,
		Example: `  throughline queries
  throughline queries repeats
  throughline queries apply --log-group /aws/lambda/orders --log-group /aws/lambda/billing
  throughline queries run large-events --log-group /aws/lambda/orders --since 24h`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeQueries,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseQueries(args)
			if err != nil {
				return terminal.In("queries", err)
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), chosen)
			}
			const hang = 4 // in Logs Insights a line end is a space
			return terminal.Fit(cmd.OutOrStdout(), hang, func(out io.Writer) error {
				for i, q := range chosen {
					if i > 0 {
						fmt.Fprintln(out)
					}
					fmt.Fprintf(out, "# %s: %s\n%s\n", q.Name, q.Title, q.Text)
				}
				return nil
			})
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
			return nil, terminal.Misuse("there is no query %s: the queries are %s", name, strings.Join(known, ", "))
		}
		out = append(out, q)
	}
	return out, nil
}

func (a app) saveQueries() *cobra.Command {
	var on account.Flags
	var groups []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "apply [NAME…]",
		Short: "Save the queries in the account, in the folder Throughline",
		Long:  `apply saves the named queries. Without names, it saves the queries for the logs of functions.`,
		Example: `  throughline queries apply --log-group /aws/lambda/orders
  throughline queries apply repeats --log-group /aws/lambda/orders --profile prod`,
		ValidArgsFunction: completeQueries,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := chooseQueries(args)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				chosen = queries.OfFunctions()
			}
			cfg, err := on.Config(cmd.Context(), a.configure)
			if err != nil {
				return err
			}
			api := logs.NewFromConfig(cfg)
			saved := []savedQuery{}
			for _, q := range chosen {
				made, err := queries.Save(cmd.Context(), api, q, groups)
				if err != nil {
					return fmt.Errorf("%w; %d of %d queries are saved", err, len(saved), len(chosen))
				}
				saved = append(saved, savedQuery{queries.Folder + q.Name, made})
				if !asJSON {
					verb := "changed"
					if made {
						verb = "saved"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s%s\n", verb, queries.Folder, q.Name)
				}
			}
			if asJSON {
				return terminal.PrintJSON(cmd.OutOrStdout(), saved)
			}
			return nil
		},
	}
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&groups, "log-group", nil, "save the queries with the log group `NAME`; repeat for more")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type savedQuery struct {
	Name string `json:"name"`
	Made bool   `json:"made"` // whether the query is new
}

func (a app) runQuery() *cobra.Command {
	var on account.Flags
	var groups []string
	var since time.Duration
	var asJSON bool
	var correlation string
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run a query on log groups and show its results",
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
				return terminal.Misuse("no log group is named: give --log-group /aws/lambda/NAME, once for each function")
			case strings.ContainsAny(correlation, "\"\\\n"):
				return terminal.Misuse("--correlation-id: it cannot contain quotes, backslashes or line ends")
			case strings.Contains(text, "CORRELATION_ID") && correlation == "":
				return terminal.Misuse("no workflow is named: give --correlation-id ID")
			}
			text = strings.ReplaceAll(text, "CORRELATION_ID", correlation)
			cfg, err := on.Config(cmd.Context(), a.configure)
			if err != nil {
				return err
			}
			bar := terminal.NewProgress(cmd)
			bar.Show("running %s", chosen[0].Name)
			rows, err := queries.Run(cmd.Context(), logs.NewFromConfig(cfg), text, groups, a.now().Add(-since), a.now(), a.pace())
			bar.End()
			if err != nil {
				return err
			}
			if asJSON {
				err = terminal.PrintJSON(cmd.OutOrStdout(), members(rows))
			} else {
				err = printRows(cmd.OutOrStdout(), rows)
			}
			if err == nil && len(rows) == 0 {
				return terminal.Exit{Code: terminal.Found}
			}
			return err
		},
	}
	on.Bind(cmd.Flags())
	cmd.Flags().StringArrayVar(&groups, "log-group", nil, "read the log group `NAME`; repeat for more")
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "read this `DURATION` of logs")
	cmd.Flags().StringVar(&correlation, "correlation-id", "", "the correlation `ID` for the query workflow")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func members(rows []queries.Row) []map[string]string {
	out := make([]map[string]string, len(rows))
	for i, row := range rows {
		out[i] = map[string]string{}
		for _, f := range row {
			out[i][f.Name] = f.Value
		}
	}
	return out
}

func printRows(out io.Writer, rows []queries.Row) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no line matched")
		return err
	}
	var table [][]string
	for i, row := range rows {
		var names, values []string
		for _, f := range row {
			names, values = append(names, terminal.Line(f.Name)), append(values, terminal.Short(out, terminal.Line(f.Value)))
		}
		if i == 0 {
			table = append(table, names)
		}
		table = append(table, values)
	}
	if columns := terminal.Columns(out); columns == 0 || terminal.TableWidth(table) <= columns {
		return terminal.Table(out, 0, table)
	}
	for i, row := range rows { // too wide for a table: one block for each row
		if i > 0 {
			fmt.Fprintln(out)
		}
		for _, f := range row {
			fmt.Fprintf(out, "%s: %s\n", terminal.Line(f.Name), terminal.Line(f.Value))
		}
	}
	return nil
}
