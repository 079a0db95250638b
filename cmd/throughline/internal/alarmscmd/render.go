package alarmscmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
	"github.com/throughline/throughline/alarms/render"
)

func (a app) render() *cobra.Command {
	var spec specOptions
	var format, dir string
	var noQueries, noDashboard, foreign bool
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Write the alarms as CloudFormation, SAM, Terraform or a shell script",
		Long: `render writes the alarms for other tools to deploy. Parameters of the spec become
theirs, but for those that --set gives a value. CloudFormation and SAM also get the
dashboard and the saved queries. A template holds 500 resources: more are several
files, for which --dir is needed; the last of them is to be deployed last.`,
		Example: `  throughline alarms render --format cloudformation > alarms-template.yaml
  throughline alarms render --format terraform --dir infrastructure
  throughline alarms render --format sh | OrdersFn=orders-prod sh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := spec.compile(cmd)
			if err != nil {
				return err
			}
			if err := spec.refuse(alarms.Lint(s)); err != nil {
				return err
			}
			values, err := spec.values()
			if err != nil {
				return err
			}
			if s, err = s.Fill(values); err != nil {
				return err
			}
			files, err := renderSet(s, format, !noQueries, !noDashboard, foreign)
			if err != nil {
				return err
			}
			return writeFiles(cmd, files, dir)
		},
	}
	spec.bind(cmd.Flags())
	_ = cmd.Flags().MarkHidden("json") // every output is for a machine already
	cmd.Flags().StringVar(&format, "format", "cloudformation", "cloudformation, sam, terraform or sh")
	cmd.Flags().StringVar(&dir, "dir", "", "write files into `DIR` instead of standard output")
	cmd.Flags().BoolVar(&noQueries, "no-queries", false, "leave the saved queries out")
	cmd.Flags().BoolVar(&noDashboard, "no-dashboard", false, "leave the dashboard out")
	cmd.Flags().BoolVar(&foreign, "alchemiser-queries", false, "add the queries on the first user's own log lines")
	complete(cmd, "format", "cloudformation", "sam", "terraform", "sh")
	return cmd
}

func renderSet(s alarms.Set, format string, queries, dashboard, foreign bool) ([]render.File, error) {
	extra := map[string]any{}
	if queries {
		extra = render.QueryDefinitions(s, foreign)
	}
	if dashboard {
		resource, err := render.DashboardResource(s)
		if err != nil {
			return nil, err
		}
		extra["Dashboard"] = resource
	}
	switch format {
	case "cloudformation", "cfn":
		return render.CloudFormation(s, extra)
	case "sam":
		return render.SAM(s, extra)
	case "terraform":
		return render.Terraform(s)
	case "sh":
		return render.Shell(s)
	default:
		return nil, fmt.Errorf("--format %s: it is cloudformation, sam, terraform or sh", format)
	}
}

func writeFiles(cmd *cobra.Command, files []render.File, dir string) error {
	if dir == "" {
		if len(files) > 1 {
			return fmt.Errorf("the alarms need %d templates of 500 resources each: give --dir", len(files))
		}
		_, err := cmd.OutOrStdout().Write(files[0].Data)
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	for _, f := range files {
		if err := write(cmd, filepath.Join(dir, f.Name), f.Data, true); err != nil {
			return err
		}
	}
	return nil
}

func (a app) dashboard() *cobra.Command {
	var spec specOptions
	var page, metrics, region, account string
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Print the body of a CloudWatch dashboard, or draw it as a page from a metrics file",
		Long: `dashboard prints the body for aws cloudwatch put-dashboard: the alarms' states, then
their graphs with the thresholds drawn in. With --html it draws the same panels
from a file of metrics lines, with no AWS at all, each with when it would have been
in alarm.`,
		Example: `  throughline alarms dashboard --region eu-west-1 --account 123456789012 > body.json
  throughline alarms dashboard --html dashboard.html --metrics build/demo/metrics.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := spec.resolve(cmd)
			if err != nil {
				return err
			}
			if page != "" {
				return picture(cmd, s, page, metrics)
			}
			body, err := render.Dashboard(s, region, account)
			if err != nil {
				return err
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, body, "", "  "); err != nil {
				return fmt.Errorf("print: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), indented.String())
			return err
		},
	}
	spec.bind(cmd.Flags())
	_ = cmd.Flags().MarkHidden("json") // the body is JSON
	cmd.Flags().StringVar(&page, "html", "", "draw a page into `FILE`")
	cmd.Flags().StringVar(&metrics, "metrics", "build/demo/metrics.jsonl", "the metrics lines (EMF) to draw, in `FILE`")
	cmd.Flags().StringVar(&region, "region", "us-east-1", "the `REGION` of the metrics")
	cmd.Flags().StringVar(&account, "account", "", "the account's `NUMBER`, without which the alarms' states are left out")
	return cmd
}

func picture(cmd *cobra.Command, s alarms.Set, page, metrics string) error {
	recording, err := readRecording(cmd, metrics)
	if err != nil {
		return err
	}
	from, to := recording.Span()
	if to.Sub(from) < 10*time.Minute { // a demo's minute in the middle of something
		from, to = from.Add(-5*time.Minute), to.Add(5*time.Minute)
	}
	var b bytes.Buffer
	if err := render.Picture(&b, s, recording, from, to); err != nil {
		return err
	}
	return write(cmd, page, b.Bytes(), true)
}

func readRecording(cmd *cobra.Command, name string) (*eval.Recording, error) {
	if name == "-" {
		return eval.ReadRecording(cmd.InOrStdin())
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the metrics: %w; `make demo` writes build/demo/metrics.jsonl", err)
	}
	defer file.Close()
	recording, err := eval.ReadRecording(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return recording, nil
}
