package alarmscmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/queries"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

// TestMain is the command itself where a test runs this binary as a process of
// its own, to kill it or to give it a terminal.
func TestMain(m *testing.M) {
	if os.Getenv("THROUGHLINE_TEST_COMMAND") != "" {
		os.Exit(execute(context.Background(), root(app{config.LoadDefaultConfig, time.Now, func() *cloudwatch.Pace { return &cloudwatch.Pace{} }}), os.Args[1:], os.Stdin, terminal.NewWriter(os.Stdout), terminal.NewWriter(os.Stderr)))
	}
	os.Exit(m.Run())
}

func root(a app) *cobra.Command {
	root := &cobra.Command{Use: "throughline", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(a.command(), a.queries())
	return root
}

// execute ends as package main's run does.
func execute(ctx context.Context, root *cobra.Command, args []string, in io.Reader, out, errs io.Writer) int {
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprint(errs, err)
	}
	return terminal.Code(err)
}

// quick is an app that does not wait for CloudWatch's rates.
func quick() app {
	return app{config.LoadDefaultConfig, time.Now, func() *cloudwatch.Pace {
		return &cloudwatch.Pace{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	}}
}

type ran struct {
	code      int
	out, errs string
}

func run(t *testing.T, args ...string) ran { t.Helper(); return runWith(t, quick(), "", args...) }

func runWith(t *testing.T, a app, stdin string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), root(a), args, strings.NewReader(stdin), &out, &errs)
	if strings.Contains(out.String()+errs.String(), "\x1b") {
		t.Errorf("%v: colours or a moving line where there is no terminal: %q %q", args, out.String(), errs.String())
	}
	return ran{code, out.String(), errs.String()}
}

// want holds a run to its code and to texts that must stand in what it said.
func (r ran) want(t *testing.T, code int, texts ...string) ran {
	t.Helper()
	if r.code != code {
		t.Errorf("ended with %d, not %d\n%s%s", r.code, code, r.out, r.errs)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.errs, text) {
			t.Errorf("no %q in\n%s%s", text, r.out, r.errs)
		}
	}
	return r
}

// TestRowsFitATerminal: a table where it fits, and else a block for each row.
func TestRowsFitATerminal(t *testing.T) {
	rows := []queries.Row{{{Name: "event_id", Value: "trade-6513270e-269e-4d37-b2a7-4de452e6b438"}, {Name: "kind", Value: "replay"}}, {{Name: "event_id", Value: "e-2"}, {Name: "kind", Value: "retry"}}}
	for columns, want := range map[int]string{
		0:  "event_id                                    kind\ntrade-6513270e-269e-4d37-b2a7-4de452e6b438  replay\ne-2                                         retry\n",
		80: "event_id         kind\ntrade-6513270e…  replay\ne-2              retry\n",
		20: "event_id: trade-6513270e-269e-4d37-b2a7-4de452e6b438\nkind: replay\n\nevent_id: e-2\nkind: retry\n",
	} {
		var out bytes.Buffer
		w := terminal.NewWriter(&out)
		w.SetColumns(columns)
		if err := printRows(w, rows); err != nil || out.String() != want {
			t.Errorf("%d columns: %v\n%s\nwant\n%s", columns, err, out.String(), want)
		}
	}
}

// decode reads what was printed with --json.
func decode[T any](t *testing.T, r ran) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("%v:\n%s%s", err, r.out, r.errs)
	}
	return v
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// inMoto points the AWS configuration of the process to a moto in which there is
// nothing: all access keys are of one account there.
func inMoto(t *testing.T) string {
	t.Helper()
	url := peertest.Moto(t)
	resp, err := http.Post(url+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	asIf(t, url)
	return url
}

func asIf(t *testing.T, url string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1", "AWS_SESSION_TOKEN": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
}

// TestHelp: every verb says what it is for and shows how, with flags that it has.
func TestHelp(t *testing.T) {
	verbs := 0
	for _, top := range root(quick()).Commands() {
		for _, cmd := range append([]*cobra.Command{top}, top.Commands()...) {
			verbs++
			if cmd.Short == "" || !strings.Contains(cmd.Example, "throughline ") {
				t.Errorf("%s: no summary or no example", cmd.CommandPath())
			}
			for line := range strings.Lines(cmd.Example) {
				if cmd != top && !strings.Contains(line, cmd.CommandPath()) {
					t.Errorf("%s: an example of something else: %s", cmd.CommandPath(), line)
				}
				_, own, _ := strings.Cut(line, cmd.CommandPath())
				own, _, _ = strings.Cut(own, "|")
				for _, word := range strings.Fields(own) {
					if flag, long := strings.CutPrefix(word, "--"); long && cmd != top && cmd.Flags().Lookup(flag) == nil {
						t.Errorf("%s has no --%s, which its example gives", cmd.CommandPath(), flag)
					}
				}
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("%s: --%s says nothing", cmd.CommandPath(), f.Name)
				}
			})
			r := run(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...).want(t, 0, "Usage:", "Examples:")
			if r.errs != "" {
				t.Error(r.errs)
			}
		}
	}
	for _, verb := range strings.Fields("lint plan apply destroy drift render backtest suggest test check cost dashboard explain init") {
		run(t, "alarms", verb, "--help").want(t, 0, "throughline alarms "+verb)
	}
	if verbs < 2+14+2 {
		t.Errorf("%d verbs", verbs)
	}
	run(t, "alarms", "__complete", "render", "--format", "").want(t, 3)
	for _, flag := range []string{"render --format", "lint --from"} {
		words := strings.Fields(flag)
		r := runWith(t, quick(), "", append([]string{"__complete", "alarms"}, append(words, "")...)...)
		if !strings.Contains(r.out, "cloudformation") || !strings.Contains(r.out, "sh") {
			t.Errorf("%s completes to %s", flag, r.out)
		}
	}
}

// TestCompletion: verbs that take alarms offer those of the spec.
func TestCompletion(t *testing.T) {
	spec := file(t, "alarms.yaml", orders)
	for _, verb := range []string{"explain", "backtest", "suggest", "test", "history"} {
		r := run(t, "__complete", "alarms", verb, "-f", spec, "")
		if !strings.HasPrefix(r.out, "orders-async-age\t") || !strings.Contains(r.out, "\nbroken\t") {
			t.Errorf("%s: %s", verb, r.out)
		}
	}
	if r := run(t, "__complete", "alarms", "explain", "-f", "/none.yaml", ""); !strings.HasPrefix(r.out, ":4") {
		t.Errorf("%s", r.out)
	}
}

const orders = `name: orders
prefix: alch-
traffic: steady
notify: {critical: ["arn:aws:sns:eu-west-1:123456789012:alerts"], ok: ["arn:aws:sns:eu-west-1:123456789012:alerts"]}
resources:
  - {kind: dlq, name: orders-dlq}
  - {kind: lambda, name: orders, timeout: 30s, async: true, deadLetter: true, destination: true}
composites:
  - {name: broken, any: [orders-dlq-depth, orders-errors]}
`

func TestLint(t *testing.T) {
	good, bad := file(t, "alarms.yaml", orders), file(t, "bad.yaml", orders+"alarms:\n  - {name: a, namespace: AWS/DynamoDB, metric: UserErrors, dimensions: {TableName: t}, threshold: \"> 0\", for: 1 of 1}\n")
	run(t, "alarms", "lint", "-f", good).want(t, 0, "no errors: 9 alarms and 1 composite, 0 warnings; $1.60 a month")
	run(t, "alarms", "lint", "-f", bad).want(t, 1, "error   "+bad+":11: alch-a: it can never fire: UserErrors is published with no dimension, not with TableName", "1 error and 2 warnings in 11 alarms")
	if found := decode[[]map[string]any](t, run(t, "alarms", "lint", "-f", bad, "--json").want(t, 1)); len(found) != 3 || found[0]["line"] != 11.0 {
		t.Errorf("%v", found)
	}
	if found := decode[[]map[string]any](t, run(t, "alarms", "lint", "-f", good, "--json").want(t, 0)); found == nil || len(found) != 0 {
		t.Errorf("%v", found)
	}
	runWith(t, quick(), orders, "alarms", "lint", "-f", "-").want(t, 0, "no errors")
	// What the profile leaves out is a warning.
	r := runWith(t, quick(), "name: o\nresources: [{kind: events, service: s, detailTypes: [T]}]", "alarms", "lint", "-f", "-").want(t, 0)
	if !strings.Contains(r.out, "no age alarm: only THROUGHLINE_METRICS=full emits DeliveryLag") {
		t.Error(r.out)
	}
	// Alarms that others wrote.
	template := file(t, "template.yaml", "Resources: {A: {Type: AWS::CloudWatch::Alarm, Properties: {Namespace: AWS/SQS, MetricName: ApproximateNumberOfMessagesVisible, Statistic: Sum, Period: 300, Threshold: 1, ComparisonOperator: GreaterThanThreshold}}}")
	run(t, "alarms", "lint", "-f", template, "--from", "cloudformation").want(t, 1, "no evaluation periods", "with QueueName, not with no dimension", "is a level, not a count")
	script := file(t, "a.sh", "aws cloudwatch put-metric-alarm --alarm-name x --namespace AWS/SQS --metric-name ApproximateNumberOfMessagesVisible --statistic Sum --period 300 --threshold 1 --comparison-operator GreaterThanThreshold")
	run(t, "alarms", "lint", "-f", script, "--from", "sh").want(t, 1, "> 1 does not fire on a single message")
	run(t, "alarms", "lint", "-f", script, "--from", "shell").want(t, 2, "write spec, cloudformation, sam or sh")
}

// TestExample: the spec of examples/alarms lints clean and keeps the names and
// thresholds of the checklist that it stands for.
func TestExample(t *testing.T) {
	const spec = "../../../../examples/alarms/alarms.yaml"
	run(t, "alarms", "lint", "-f", spec).want(t, 0, "no errors")
	run(t, "alarms", "explain", "-f", spec).want(t, 0, "alchemiser-EventBridgeThrottled", "> 10 in 1 of 1 datapoints of 300 s", "alchemiser-LambdaErrors", "> 5 in 1 of 1", "alchemiser-EventBridgeDLQDepth", ">= 1 in 1 of 1",
		"Maximum AWS/SQS ApproximateNumberOfMessagesVisible of QueueName=${DeadLetterQueue}")
}

func TestExplainCostPolicy(t *testing.T) {
	spec := file(t, "alarms.yaml", orders)
	run(t, "alarms", "explain", "-f", spec, "orders-errors").want(t, 0, "alch-orders-errors", "(pack lambda, row errors)", "costs $0.20 a month")
	run(t, "alarms", "explain", "-f", spec, "broken").want(t, 0, `ALARM while ALARM("alch-orders-dlq-depth") OR ALARM("alch-orders-errors")`, "composite, line 9")
	run(t, "alarms", "explain", "-f", spec, "orders-erors").want(t, 1, "did you mean orders-errors?")
	explained := decode[struct {
		Alarms []struct {
			Name string
			Meta struct{ Origins []map[string]string }
		}
		Composites []map[string]any
	}](t, run(t, "alarms", "explain", "-f", spec, "--json").want(t, 0))
	if len(explained.Alarms) != 9 || len(explained.Composites) != 1 || explained.Alarms[0].Meta.Origins[0]["source"] == "" {
		t.Errorf("%+v", explained)
	}
	run(t, "alarms", "cost", "-f", spec).want(t, 0, "lambda             8       10      1.00", "composite          1        -      0.50", "in all            10       11      1.60")
	if bill := decode[map[string]any](t, run(t, "alarms", "cost", "-f", spec, "--json").want(t, 0)); bill["metrics"] != 11.0 {
		t.Errorf("%v", bill)
	}
	for _, args := range [][]string{{"alarms", "policy"}, {"alarms", "policy", "--write"}} {
		policy := decode[struct {
			Version   string
			Statement []struct {
				Effect   string
				Action   []string
				Resource any
			}
		}](t, run(t, args...).want(t, 0))
		if policy.Version != "2012-10-17" || len(policy.Statement[0].Action) < 5 {
			t.Errorf("%+v", policy)
		}
	}
}

func TestRenderAndDashboard(t *testing.T) {
	spec := file(t, "alarms.yaml", orders+"logGroups: [/aws/lambda/orders]\n")
	for format, marks := range map[string][]string{
		"cloudformation": {"AWSTemplateFormatVersion", "AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition", "Throughline/orders/repeats"},
		"sam":            {"Transform: AWS::Serverless-2016-10-31"}, "terraform": {`resource "aws_cloudwatch_metric_alarm"`}, "sh": {"#!/bin/sh", "put-composite-alarm"},
	} {
		r := run(t, "alarms", "render", "-f", spec, "--format", format).want(t, 0, marks...)
		if again := run(t, "alarms", "render", "-f", spec, "--format", format); again.out != r.out {
			t.Errorf("%s: other bytes the second time", format)
		}
	}
	if plain := run(t, "alarms", "render", "-f", spec, "--no-queries", "--no-dashboard").want(t, 0).out; strings.Contains(plain, "QueryDefinition") || strings.Contains(plain, "Dashboard") {
		t.Error(plain)
	}
	dir := t.TempDir()
	run(t, "alarms", "render", "-f", spec, "--format", "terraform", "--dir", dir).want(t, 0, "wrote "+filepath.Join(dir, "alarms.tf"))
	run(t, "alarms", "render", "-f", spec, "--format", "cdk").want(t, 2, "write cloudformation, sam, terraform or sh")
	var many strings.Builder
	many.WriteString("name: many\nresources:\n")
	for i := range 600 {
		fmt.Fprintf(&many, "- {kind: dlq, name: q%d}\n", i)
	}
	big := file(t, "big.yaml", many.String())
	run(t, "alarms", "render", "-f", big).want(t, 2, "2 templates of 500 resources each: give --dir")
	run(t, "alarms", "render", "-f", big, "--dir", dir).want(t, 0, "alarms-2.yaml")

	type body struct {
		Widgets []struct {
			Type       string
			Properties struct {
				Title       string
				Annotations struct{ Horizontal []struct{ Value float64 } }
			}
		}
	}
	shown := decode[body](t, run(t, "alarms", "dashboard", "-f", spec, "--account", "123456789012", "--region", "eu-west-1").want(t, 0, "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:alch-orders-errors"))
	if shown.Widgets[0].Type != "alarm" {
		t.Errorf("the alarms' states are not first: %+v", shown.Widgets[0])
	}
	thresholds := 0
	for _, w := range shown.Widgets {
		thresholds += len(w.Properties.Annotations.Horizontal)
	}
	if thresholds != 9 {
		t.Errorf("%d thresholds of 9 alarms are drawn", thresholds)
	}
	if large := decode[body](t, run(t, "alarms", "dashboard", "-f", big, "--account", "123456789012").want(t, 0, "graphs are omitted: a dashboard has at most 500 widgets")); len(large.Widgets) > 500 {
		t.Errorf("%d widgets", len(large.Widgets))
	}
	page := filepath.Join(dir, "page.html")
	run(t, "alarms", "dashboard", "-f", spec, "--html", page, "--metrics", file(t, "metrics.jsonl", day(t))).want(t, 0, "wrote "+page)
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<svg") || !strings.Contains(string(text), "alch-") && !strings.Contains(string(text), "orders-errors") {
		t.Errorf("%v\n%s", err, text)
	}
	run(t, "alarms", "dashboard", "-f", spec, "--html", page, "--metrics", "/none").want(t, 3, "there is no file /none")
}

// day is six hours of a queue's depth and a function's errors: deep for twenty
// minutes, in error for five, as lines of the embedded metric format.
func day(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	begin := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	line := func(at time.Time, namespace, dimension, value, metric string, f float64) {
		fmt.Fprintf(&b, `{%q:%q,%q:%g,"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":%q,"Dimensions":[[%q]],"Metrics":[{"Name":%q}]}]}}`+"\n",
			dimension, value, metric, f, at.UnixMilli(), namespace, dimension, metric)
	}
	for i := range 360 {
		at, depth, errs := begin.Add(time.Duration(i)*time.Minute), 0.0, 0.0
		if i >= 100 && i < 120 {
			depth = 3
		}
		if i >= 200 && i < 205 {
			errs = 7
		}
		line(at, "AWS/SQS", "QueueName", "orders-dlq", "ApproximateNumberOfMessagesVisible", depth)
		line(at, "AWS/Lambda", "FunctionName", "orders", "Errors", errs)
		line(at, "AWS/Lambda", "FunctionName", "orders", "Invocations", 50)
	}
	return b.String()
}

func TestBacktestAndSuggest(t *testing.T) {
	spec, metrics := file(t, "alarms.yaml", orders), file(t, "metrics.jsonl", day(t))
	run(t, "alarms", "backtest", "-f", spec, "--metrics", metrics).want(t, 0, "2026-11-24 08:00:00 to 2026-11-24 14:00:00 UTC", "because nothing was recorded: 5 alarms", "two periods more than the alarm has", "Limits of a backtest")
	type report struct {
		Alarm       string
		Pages       int
		Range       int
		Known       bool
		InAlarm     time.Duration `json:"in_alarm_ns"`
		Transitions []map[string]string
		Sweep       []struct {
			Threshold float64
			Pages     int
		}
	}
	reports := decode[[]report](t, run(t, "alarms", "backtest", "-f", spec, "--metrics", metrics, "--json", "--sweep", "orders-dlq-depth").want(t, 0))
	if len(reports) != 1 || reports[0].Pages != 1 || reports[0].InAlarm != 24*time.Minute || reports[0].Range != 7 || len(reports[0].Transitions) != 2 || reports[0].Transitions[0]["to"] != "ALARM" || len(reports[0].Sweep) < 2 {
		t.Errorf("%+v", reports)
	}
	run(t, "alarms", "backtest", "-f", spec, "--metrics", metrics, "--max-pages", "1", "orders-dlq-depth").want(t, 1, "more than 1 pages a week: alch-orders-dlq-depth (28.0)")
	run(t, "alarms", "backtest", "-f", spec, "--metrics", metrics, "--max-pages", "30").want(t, 0)
	run(t, "alarms", "backtest", "-f", spec, "--metrics", metrics, "--range", "5", "orders-dlq-depth").want(t, 0, "5 periods")
	runWith(t, quick(), day(t), "alarms", "backtest", "-f", spec, "--metrics", "-").want(t, 0, "alch-orders-dlq-depth")
	run(t, "alarms", "backtest", "-f", spec, "--metrics", spec).want(t, 3, "no line is in the embedded metric format")
	run(t, "alarms", "backtest", "-f", spec, "--since", "1s").want(t, 2, "--since must be between a minute and 455 days")

	run(t, "alarms", "suggest", "-f", spec, "--metrics", metrics, "--pages", "0").want(t, 3, "the history is 6h0m0s long")
	// A line a day later makes the record long enough.
	end := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC).UnixMilli()
	metrics = file(t, "long.jsonl", day(t)+fmt.Sprintf(`{"D":"d","X":1,"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],"Metrics":[{"Name":"X"}]}]}}`+"\n", end))
	// What suggest prints, put under the spec, is a spec that pages no more often.
	r := run(t, "alarms", "suggest", "-f", spec, "--metrics", metrics, "--pages", "0").want(t, 0, "overrides:", "orders-errors-any", "was 0")
	better := file(t, "better.yaml", orders+r.out)
	run(t, "alarms", "lint", "-f", better).want(t, 0)
	run(t, "alarms", "backtest", "-f", better, "--metrics", metrics, "--max-pages", "0", "orders-errors").want(t, 0)
	if found := decode[[]map[string]any](t, run(t, "alarms", "suggest", "-f", spec, "--metrics", metrics, "--pages", "0", "--json").want(t, 0)); len(found) < 2 || found[0]["override"] == "" {
		t.Errorf("%v", found)
	}
	run(t, "alarms", "suggest", "-f", better, "--metrics", metrics, "--pages", "0").want(t, 0, "nothing to suggest")
}

// lintsClean has lint find nothing but that no topic is named.
func lintsClean(t *testing.T, spec string) {
	t.Helper()
	for _, f := range decode[[]alarms.Finding](t, run(t, "alarms", "lint", "-f", spec, "--json").want(t, 0)) {
		if !f.Warning || !strings.Contains(f.Message, "no alarm notifies anybody") {
			t.Error(f)
		}
	}
}

func TestInit(t *testing.T) {
	template := file(t, "template.yaml", "Resources: {Orders: {Type: AWS::Lambda::Function, Properties: {FunctionName: orders, Timeout: 30}}}")
	r := run(t, "alarms", "init", template, "--name", "shop").want(t, 0, `name: "shop"`, `{kind: lambda, name: "orders", timeout: 30s}`)
	runWith(t, quick(), r.out, "alarms", "lint", "-f", "-").want(t, 0, "no errors", "1 warning;")
	target := filepath.Join(t.TempDir(), "alarms.yaml")
	run(t, "alarms", "init", template, "-o", target).want(t, 0, "wrote "+target)
	run(t, "alarms", "init", template, "-o", target).want(t, 2, "exists: give --force")
	run(t, "alarms", "init", template, "-o", target, "--force").want(t, 0)
	run(t, "alarms", "init", file(t, "empty.yaml", "Resources: {}")).want(t, 3, "nothing to watch")
	run(t, "alarms", "init", "/none.yaml").want(t, 3, "there is no file /none.yaml")
}
