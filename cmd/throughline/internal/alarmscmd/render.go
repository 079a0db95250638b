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
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/render"
	"github.com/throughline/throughline/cmd/throughline/internal/template"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

func (a app) render() *cobra.Command {
	var spec specOptions
	var format, dir string
	var noQueries, noDashboard, inline bool
	cmd := &cobra.Command{
		Use:   "render [TEMPLATE]",
		Short: "Write the alarms as CloudFormation, SAM, Terraform or a shell script",
		Long: `render writes the alarms in a format that other tools deploy. Parameters of the spec
become parameters there, except those whose values --set gives. CloudFormation and SAM
also get the dashboard and the saved queries. A template holds 500 resources; for more,
render writes several files, and needs --dir. Deploy the files in the order of their numbers.

With --inline, render writes alarms for the Resources section of the template that they
watch. These alarms refer to the template's own resources and parameters, and have the
same conditions as the resources. TEMPLATE is the template that init read; the default is
template.yaml.`,
		Example: `  throughline alarms render --inline template.yaml > resources.yaml
  throughline alarms render --format cloudformation > alarms-template.yaml
  throughline alarms render --format terraform --dir infrastructure
  throughline alarms render --format sh | OrdersFn=orders-prod sh`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !inline {
				return terminal.Misuse("%s: a template needs --inline; name the spec with -f", args[0])
			}
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
			if inline {
				return renderInline(cmd, s, append(args, "template.yaml")[0], values, dir)
			}
			if s, err = s.Fill(values); err != nil {
				return terminal.As(terminal.Misused, err)
			}
			files, err := renderSet(s, format, !noQueries, !noDashboard)
			if err != nil {
				return err
			}
			return writeFiles(cmd, files, dir)
		},
	}
	spec.bind(cmd.Flags())
	_ = cmd.Flags().MarkHidden("json") // the output is a file for another program
	cmd.Flags().StringVar(&format, "format", "cloudformation", "the output format: cloudformation, sam, terraform or sh")
	cmd.Flags().StringVar(&dir, "dir", "", "write files into the folder `DIR` instead of standard output")
	cmd.Flags().BoolVar(&inline, "inline", false, "write resources to paste into the template that the alarms watch")
	cmd.Flags().BoolVar(&noQueries, "no-queries", false, "omit the saved queries")
	cmd.Flags().BoolVar(&noDashboard, "no-dashboard", false, "omit the dashboard")
	complete(cmd, "format", "cloudformation", "sam", "terraform", "sh")
	return cmd
}

// renderInline renders alarms into the template that they watch. Values of the template's
// parameters decide its conditions, and the parameters stay.
func renderInline(cmd *cobra.Command, s alarms.Set, name string, values map[string]string, dir string) error {
	data, err := readFile(cmd, name)
	if err != nil {
		return err
	}
	stack, err := template.OpenStack(data, template.Options{Name: s.Name, Values: values, Open: besides(name)})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	own := map[string]string{}
	for _, p := range s.Parameters {
		if value, given := values[p.Name]; given && !stack.Knows(p.Name) {
			own[p.Name] = value
		}
	}
	for name := range values {
		if _, ours := own[name]; !ours && !stack.Knows(name) {
			return terminal.Misuse("--set %s: neither the spec nor the template has this parameter", name)
		}
	}
	if s, err = s.Fill(own); err != nil {
		return terminal.As(terminal.Misused, err)
	}
	file, notes, err := render.Inline(s, stack, filepath.Base(name))
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	return writeFiles(cmd, []render.File{file}, dir)
}

// besides returns a function that reads files by their paths relative to a template.
func besides(name string) func(string) ([]byte, error) {
	return func(file string) ([]byte, error) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(name), filepath.FromSlash(file))
		}
		return readTemplate(file)
	}
}

func renderSet(s alarms.Set, format string, queries, dashboard bool) ([]render.File, error) {
	extra := map[string]any{}
	if queries {
		extra = render.QueryDefinitions(s)
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
		return nil, terminal.Misuse("--format %s: write cloudformation, sam, terraform or sh", format)
	}
}

func writeFiles(cmd *cobra.Command, files []render.File, dir string) error {
	if dir == "" {
		if len(files) > 1 {
			return terminal.Misuse("the alarms need %d templates of 500 resources each: give --dir", len(files))
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
		Short: "Print a CloudWatch dashboard, or draw it from a file of metrics",
		Long: `dashboard prints the body for aws cloudwatch put-dashboard: the states of the alarms, then
graphs with thresholds. With --html it draws the same panels from a file of metric lines,
without AWS, and marks when each alarm would have been in ALARM.`,
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
	cmd.Flags().StringVar(&page, "html", "", "write the dashboard as an HTML page to `FILE`")
	cmd.Flags().StringVar(&metrics, "metrics", "build/demo/metrics.jsonl", "draw the metric lines (EMF) in `FILE`")
	cmd.Flags().StringVar(&region, "region", "us-east-1", "the AWS `REGION` of the metrics")
	cmd.Flags().StringVar(&account, "account", "", "the `NUMBER` of the AWS account; without it, the dashboard omits the states of the alarms")
	return cmd
}

func picture(cmd *cobra.Command, s alarms.Set, page, metrics string) error {
	recording, err := readRecording(cmd, metrics)
	if err != nil {
		return err
	}
	from, to := recording.Span()
	if to.Sub(from) < 10*time.Minute { // show a short demo within ten more minutes
		from, to = from.Add(-5*time.Minute), to.Add(5*time.Minute)
	}
	var b bytes.Buffer
	if err := render.Picture(&b, s, recording, from, to); err != nil {
		return err
	}
	return write(cmd, page, b.Bytes(), true)
}

func readRecording(cmd *cobra.Command, name string) (*eval.Recording, error) {
	file, err := terminal.Open(cmd.InOrStdin(), name)
	if err != nil {
		return nil, fmt.Errorf("open the metrics: %w: name a file of metric lines with --metrics", err)
	}
	defer file.Close()
	lines := records.Lines(file)
	defer lines.Close()
	recording, err := eval.ReadRecording(lines)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return recording, nil
}
