package alarmscmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/queries"
)

// trading is a SAM template of functions, rules and queues in the numbers given;
// every other queue is the dead-letter queue of the one before.
func trading(functions, rules, queues int) string {
	var b strings.Builder
	b.WriteString("Transform: AWS::Serverless-2016-10-31\nParameters: {Stage: {Type: String}}\nResources:\n  Bus: {Type: AWS::Events::EventBus, Properties: {Name: trading}}\n")
	for i := range functions {
		fmt.Fprintf(&b, "  Worker%d: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Sub \"worker-%d-${Stage}\", Timeout: %d, Handler: a.b, Runtime: python3.12}}\n", i, i, 30+i)
	}
	for i := range rules {
		fmt.Fprintf(&b, "  Rule%d: {Type: AWS::Events::Rule, Properties: {EventBusName: !Ref Bus, EventPattern: {}, Targets: [{Id: a, Arn: !GetAtt Worker0.Arn, DeadLetterConfig: {Arn: !GetAtt Queue1.Arn}}]}}\n", i)
	}
	for i := range queues {
		redrive := ""
		if i%2 == 0 && i+1 < queues {
			redrive = fmt.Sprintf(", RedrivePolicy: {deadLetterTargetArn: !GetAtt Queue%d.Arn, maxReceiveCount: 3}", i+1)
		}
		fmt.Fprintf(&b, "  Queue%d: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub \"queue-%d-${Stage}\"%s}}\n", i, i, redrive)
	}
	return b.String()
}

func client(t *testing.T) *api.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cloudwatch.NewClient(cfg)
}

func inAccount(t *testing.T) []types.MetricAlarm {
	t.Helper()
	var all []types.MetricAlarm
	pages := api.NewDescribeAlarmsPaginator(client(t), &api.DescribeAlarmsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.MetricAlarms...)
	}
	return all
}

// TestFromTemplateToAccount: what init makes of a template with 20 functions, 10
// rules and 5 queues lints clean; plan, apply, plan ends in no changes; a process
// killed in between is finished by the next; a hand edit is drift; an alarm that
// is not the spec's is neither changed nor deleted.
func TestFromTemplateToAccount(t *testing.T) {
	inMoto(t)
	spec := file(t, "alarms.yaml", strings.Replace(run(t, "alarms", "init", file(t, "template.yaml", trading(20, 10, 5)), "--name", "trading").want(t, 0).out, "watch: essential", "watch: all", 1))
	lintsClean(t, spec)
	set := []string{"-f", spec, "--set", "Stage=dev"}
	for i := range 10 {
		set = append(set, "--set", fmt.Sprintf("Rule%d=rule-%d", i, i))
	}
	verb := func(name string, more ...string) ran {
		t.Helper()
		return run(t, slices.Concat([]string{"alarms", name}, set, more)...)
	}
	type plan struct {
		Steps []struct{ Action, Name string }
		Kept  int
	}
	first := decode[plan](t, verb("plan", "--json").want(t, 1))
	if len(first.Steps) < 20*4+10*5+5 {
		t.Fatalf("%d steps", len(first.Steps))
	}
	verb("apply").want(t, 2, "nothing was changed: give --yes")
	if n := len(inAccount(t)); n != 0 {
		t.Fatalf("%d alarms before anybody said yes", n)
	}

	// A process that is killed while it applies, at CloudWatch's own pace.
	for range 2 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], slices.Concat([]string{"alarms", "apply", "--yes"}, set)...)
		cmd.Env = append(os.Environ(), "THROUGHLINE_TEST_COMMAND=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := len(inAccount(t))
		for deadline := time.Now().Add(time.Minute); len(inAccount(t)) < before+3 && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if n := len(inAccount(t)); n < 3 || n > len(first.Steps)/2 {
		t.Fatalf("killed after %d alarms of %d", n, len(first.Steps))
	}
	verb("apply", "--yes").want(t, 0, "done")
	verb("plan").want(t, 0, fmt.Sprintf("no changes: %d alarms", len(first.Steps)))
	for _, a := range inAccount(t) {
		if !strings.HasPrefix(*a.AlarmName, "trading-") {
			t.Errorf("%s has not the prefix", *a.AlarmName)
		}
	}

	// A hand edit.
	edited := "trading-worker-3-dev-duration"
	if _, err := client(t).PutMetricAlarm(t.Context(), &api.PutMetricAlarmInput{AlarmName: &edited, Namespace: aws.String("AWS/Lambda"), MetricName: aws.String("Duration"), Statistic: types.StatisticMaximum, Period: aws.Int32(60),
		Dimensions: []types.Dimension{{Name: aws.String("FunctionName"), Value: aws.String("worker-3-dev")}}, EvaluationPeriods: aws.Int32(3), DatapointsToAlarm: aws.Int32(2), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold}); err != nil {
		t.Fatal(err)
	}
	verb("plan").want(t, 1, "~ change "+edited+"  edited by hand", "threshold: > 1 → > 29700")
	verb("drift").want(t, 1, "edited        "+edited)
	if found := decode[[]struct{ Class, Name string }](t, verb("drift", "--json").want(t, 1)); !slices.Contains(found, struct{ Class, Name string }{"edited", edited}) {
		t.Errorf("%v", found)
	}

	// A stranger's alarm that has a name of the spec's, and one under its prefix.
	for _, name := range []string{"trading-worker-4-dev-duration", "trading-of-somebody"} {
		if _, err := client(t).DeleteAlarms(t.Context(), &api.DeleteAlarmsInput{AlarmNames: []string{name}}); err != nil {
			t.Fatal(err)
		}
		// moto keeps a deleted alarm's tags for the next of its name.
		if _, err := client(t).UntagResource(t.Context(), &api.UntagResourceInput{ResourceARN: aws.String("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:" + name), TagKeys: []string{"managed-by", "throughline:spec", "throughline:hash"}}); err != nil && name != "trading-of-somebody" {
			t.Fatal(err)
		}
		if _, err := client(t).PutMetricAlarm(t.Context(), &api.PutMetricAlarmInput{AlarmName: &name, Namespace: aws.String("N"), MetricName: aws.String("M"), Statistic: types.StatisticSum, Period: aws.Int32(60),
			EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold}); err != nil {
			t.Fatal(err)
		}
	}
	verb("plan").want(t, 1, "! refuse trading-worker-4-dev-duration  an alarm that does not belong to trading has this name", "not changed, because they do not belong to trading: 1 alarm: trading-of-somebody")
	verb("apply", "--yes").want(t, 1, "nothing was changed; rename one of them, or take the alarm over with --adopt trading-worker-4-dev-duration")
	verb("plan").want(t, 1, "~ change "+edited)
	outcome := decode[applied](t, verb("apply", "--yes", "--json", "--adopt", "trading-worker-4-dev-duration").want(t, 0))
	if outcome.Done != 2 || outcome.Of != 2 || len(outcome.Steps) != 2 {
		t.Errorf("%+v", outcome)
	}
	verb("plan").want(t, 0, "no changes")

	verb("destroy", "--yes").want(t, 0, fmt.Sprintf("%d to delete", len(first.Steps)))
	if left := inAccount(t); len(left) != 1 || *left[0].AlarmName != "trading-of-somebody" {
		t.Errorf("destroy left %d alarms", len(left))
	}
}

// TestBacktestFromCloudWatch: a day of metrics in moto's CloudWatch and the same in a file
// give the same transitions.
func TestBacktestFromCloudWatch(t *testing.T) {
	inMoto(t)
	begin := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	a := quick()
	a.now = func() time.Time { return begin.Add(6 * time.Hour) }
	for i := range 360 {
		at, depth := begin.Add(time.Duration(i)*time.Minute), 0.0
		if i >= 100 && i < 120 {
			depth = 3
		}
		if i%60 > 0 && depth == 0 {
			continue // sparse is enough
		}
		if _, err := client(t).PutMetricData(t.Context(), &api.PutMetricDataInput{Namespace: aws.String("AWS/SQS"), MetricData: []types.MetricDatum{{MetricName: aws.String("ApproximateNumberOfMessagesVisible"), Timestamp: &at, Value: &depth,
			Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String("orders-dlq")}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	spec := file(t, "alarms.yaml", orders)
	transitions := func(args ...string) string {
		t.Helper()
		reports := decode[[]struct {
			Pages       int
			Transitions []any
		}](t, runWith(t, a, "", append([]string{"alarms", "backtest", "-f", spec, "--json", "orders-dlq-depth"}, args...)...).want(t, 0))
		if reports[0].Pages != 1 {
			t.Errorf("%+v", reports)
		}
		return fmt.Sprint(reports[0].Transitions[0])
	}
	if live, recorded := transitions("--since", "6h"), transitions("--metrics", file(t, "metrics.jsonl", day(t))); live != recorded {
		t.Errorf("%s from CloudWatch, %s from the file", live, recorded)
	}
	runWith(t, a, "", "alarms", "backtest", "-f", spec, "--since", "6h", "--max-pages", "3").want(t, 1, "more than 3 pages a week")
	// And check knows that queue's metric, and of the function's that nobody has seen one.
	run(t, "alarms", "check", "-f", spec).want(t, 1, "idle    alch-orders-duration: Duration: neither this metric nor Invocations", "idle    alch-orders-async-drop", "1 of 11 metrics are known to be published")
	if found := decode[[]struct{ Verdict string }](t, run(t, "alarms", "check", "-f", spec, "--json").want(t, 1)); len(found) != 11 {
		t.Errorf("%v", found)
	}
}

// standIn is moto but for what it has not: alarms' history and saved queries, as
// their API references have them.
type standIn struct {
	mu      sync.Mutex
	history []string
	saved   []map[string]any
	allow   int // changes that are taken before the rest fail; below 0 for all
	fail    string
}

func (s *standIn) start(t *testing.T) {
	t.Helper()
	target, err := url.Parse(inMoto(t))
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s.answer(w, r, body) {
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	asIf(t, server.URL)
}

func (s *standIn) answer(w http.ResponseWriter, r *http.Request, body []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	switch {
	case s.fail != "" && (s.allow == 0 || s.allow < 0):
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>as the test has it</Message></Error><RequestId>1</RequestId></ErrorResponse>`, s.fail)
		return true
	case s.allow > 0 && action == "PutMetricAlarm":
		s.allow--
	case action == "SetAlarmState" && form.Get("StateValue") == "ALARM":
		s.history = append(s.history, fmt.Sprintf(`<member><AlarmName>%s</AlarmName><Timestamp>%s</Timestamp><HistoryItemType>Action</HistoryItemType><HistorySummary>Successfully executed action</HistorySummary></member>`,
			form.Get("AlarmName"), time.Now().UTC().Format(time.RFC3339Nano)))
	case action == "DescribeAlarmHistory":
		fmt.Fprintf(w, `<DescribeAlarmHistoryResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><DescribeAlarmHistoryResult><AlarmHistoryItems>%s</AlarmHistoryItems></DescribeAlarmHistoryResult></DescribeAlarmHistoryResponse>`, strings.Join(s.history, ""))
		return true
	}
	var in map[string]any
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.") {
	case "DescribeQueryDefinitions":
		_ = json.NewEncoder(w).Encode(map[string]any{"queryDefinitions": s.saved})
		return true
	case "PutQueryDefinition":
		_ = json.Unmarshal(body, &in)
		if at := slices.IndexFunc(s.saved, func(q map[string]any) bool { return q["queryDefinitionId"] == in["queryDefinitionId"] }); at >= 0 {
			s.saved[at] = in
		} else {
			in["queryDefinitionId"] = fmt.Sprint("id-", len(s.saved))
			s.saved = append(s.saved, in)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"queryDefinitionId": in["queryDefinitionId"]})
		return true
	}
	return false
}

func TestDeliveryAndHistory(t *testing.T) {
	(&standIn{allow: -1}).start(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topics := sns.NewFromConfig(cfg)
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")})
	if err != nil {
		t.Fatal(err)
	}
	spec := file(t, "alarms.yaml", "name: orders\nnotify: {critical: [\""+*topic.TopicArn+"\"]}\nresources: [{kind: dlq, name: orders-dlq}]\n")
	run(t, "alarms", "test", "-f", spec, "orders-dlq-depth").want(t, 3, "this account and Region do not have the alarm: apply the spec first")
	run(t, "alarms", "apply", "-f", spec, "--yes").want(t, 0, "1 done")
	run(t, "alarms", "test", "-f", spec, "orders-dlq-depth").want(t, 1, "not delivered orders/orders-dlq-depth", "nobody has confirmed a subscription")
	run(t, "alarms", "drift", "-f", spec).want(t, 1, "undeliverable "+*topic.TopicArn)
	if _, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:eu-west-1:123456789012:q")}); err != nil {
		t.Fatal(err)
	}
	run(t, "alarms", "test", "-f", spec, "orders-dlq-depth").want(t, 0, "delivered orders/orders-dlq-depth: a notification was sent", "the state is OK again")
	if d := decode[[]cloudwatch.Delivery](t, run(t, "alarms", "test", "-f", spec, "--json", "orders-dlq-depth").want(t, 0)); len(d) != 1 || !d[0].Good() {
		t.Errorf("%+v", d)
	}
	run(t, "alarms", "test", "-f", spec, "orders-dlq-dept-h").want(t, 1, "did you mean orders-dlq-depth?")
	run(t, "alarms", "history", "-f", spec, "orders-dlq").want(t, 0, "orders/orders-dlq-depth  Successfully executed action")
	if items := decode[[]cloudwatch.Item](t, run(t, "alarms", "history", "-f", spec, "--json", "orders-dlq").want(t, 0)); len(items) != 3 {
		t.Errorf("%+v", items)
	}
}

func TestQueriesCommand(t *testing.T) {
	s := &standIn{allow: -1}
	s.start(t)
	run(t, "queries").want(t, 0, "# large-events: ", "# repeats: ")
	run(t, "queries", "repeats").want(t, 0, `filter throughline = "repeat"`)
	run(t, "queries", "repeat").want(t, 2, "there is no query repeat: the queries are large-events")
	if all := decode[[]map[string]any](t, run(t, "queries", "--json").want(t, 0)); len(all) < 6 {
		t.Errorf("%v", all)
	}
	run(t, "queries", "apply", "--log-group", "/aws/lambda/orders").want(t, 0, "saved Throughline/large-events", "saved Throughline/repeats")
	n := len(s.saved)
	if n != len(queries.OfFunctions()) {
		t.Errorf("%d queries are saved: %v", n, s.saved)
	}
	run(t, "queries", "apply", "--log-group", "/aws/lambda/billing").want(t, 0, "changed Throughline/large-events")
	if len(s.saved) != n || !strings.Contains(fmt.Sprint(s.saved[0]), "/aws/lambda/billing") {
		t.Errorf("%d queries after the second time, %d after the first: %v", len(s.saved), n, s.saved[0])
	}
	if saved := decode[[]savedQuery](t, run(t, "queries", "apply", "--json").want(t, 0)); len(saved) != n || saved[0].Made {
		t.Errorf("%v", saved)
	}
	run(t, "queries", "apply", queries.Deliveries, "--log-group", "/aws/vendedlogs/events/orders").want(t, 0, "saved Throughline/deliveries")
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups := logs.NewFromConfig(cfg)
	if _, err := groups.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("/aws/lambda/orders")}); err != nil {
		t.Fatal(err)
	}
	run(t, "queries", "run", "repeats", "--log-group", "/aws/lambda/orders").want(t, 1, "no line matched")
	if rows := decode[[]any](t, run(t, "queries", "run", "workflow", "--correlation-id", "w-1", "--log-group", "/aws/lambda/orders", "--json").want(t, 1)); rows == nil {
		t.Error("no rows is null")
	}
	run(t, "queries", "run", "repeats").want(t, 2, "no log group is named: give --log-group")
	run(t, "queries", "run", "workflow", "--log-group", "/aws/lambda/orders").want(t, 2, "no workflow is named: give --correlation-id")
	run(t, "queries", "run", "workflow", "--correlation-id", `a"b`, "--log-group", "x").want(t, 2, "cannot contain quotes")
	run(t, "queries", "run", "repeats", "--log-group", "/aws/lambda/none").want(t, 3, "start the query")
}

// TestRefusedByAWS: what AWS refuses is said with what to do next, by an exit of
// 1, and what was done until then is counted; the next apply finishes it.
func TestRefusedByAWS(t *testing.T) {
	impatient := quick()
	impatient.configure = func(ctx context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
		cfg, err := config.LoadDefaultConfig(ctx, options...)
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		return cfg, err
	}
	spec := file(t, "alarms.yaml", strings.Split(orders, "composites:")[0])
	for code, want := range map[string]string{
		"ExpiredToken": "the credentials have expired: renew them", "Throttling": "CloudWatch throttles: it takes three changes a second of an account; run the command again in a minute",
		"AccessDenied": "the role lacks cloudwatch:DescribeAlarms: `throughline alarms policy` prints", "InvalidClientTokenId": "the credentials are not valid: check them with aws sts get-caller-identity",
	} {
		s := &standIn{allow: -1, fail: code}
		s.start(t)
		for _, verb := range [][]string{{"plan"}, {"apply", "--yes"}, {"destroy", "--yes"}, {"drift"}} {
			r := runWith(t, impatient, "", append([]string{"alarms", "-f", spec}, verb...)...).want(t, 3, "alarms "+verb[0]+": read the alarms: "+code+": as the test has it: "+want)
			if r.out != "" {
				t.Errorf("%v: %s", verb, r.out)
			}
		}
	}
	for _, code := range []string{"ExpiredToken", "Throttling"} {
		s := &standIn{allow: -1}
		s.start(t)
		s.allow, s.fail = 4, code
		r := runWith(t, impatient, "", "alarms", "apply", "--yes", "--json", "-f", spec).want(t, 3, "4 of 9 steps are done; plan shows the others, and the next apply does them")
		if outcome := decode[applied](t, r); outcome.Done != 4 || outcome.Of != 9 || !strings.Contains(outcome.Steps[len(outcome.Steps)-1].Error, code) {
			t.Errorf("%+v", outcome)
		}
		s.fail = ""
		s.allow = -1
		runWith(t, impatient, "", "alarms", "apply", "--yes", "-f", spec).want(t, 0, "5 done")
		runWith(t, impatient, "", "alarms", "plan", "-f", spec).want(t, 0, "no changes")
		runWith(t, impatient, "", "alarms", "destroy", "--yes", "-f", spec).want(t, 0)
	}

	asIf(t, "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	runWith(t, impatient, "", "alarms", "plan", "-f", spec).want(t, 3, "no AWS credentials were found: set AWS_PROFILE or give --profile, or run aws sso login")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	runWith(t, impatient, "", "alarms", "plan", "-f", spec).want(t, 3, "no AWS Region is set: give --region, or set AWS_REGION")
	runWith(t, impatient, "", "alarms", "plan", "-f", spec, "--profile", "nobody").want(t, 3, "configure AWS", "nobody")
	asIf(t, "http://127.0.0.1:1")
	runWith(t, impatient, "", "alarms", "plan", "-f", spec).want(t, 3, "connection refused")
}

// TestBadSpecs: each wrong spec ends with 1 and the line, at every verb, before AWS
// is asked anything.
func TestBadSpecs(t *testing.T) {
	asIf(t, "http://127.0.0.1:1")
	const head = "name: o\nresources:\n- {kind: lambda, name: f}\n"
	for text, want := range map[string]string{
		"": ":1: the spec is empty: begin with `name:`",
		head + "overrides: [{match: {key: errors}, threshold: 10s}]": `:4: threshold of o/f-errors: "10s" is not a percentage: write 1%`,
		head + "overrides: [{match: {key: errors}, for: 5 of 3}]":    "5 datapoints can never breach of 3",
		head + "tresholds: {}": `:4: the spec has no member "tresholds"`,
		head + "alarms: [{name: a, namespace: AWS/Lambda, metric: Errors, dimensions: {Function: f}, threshold: 1, for: 1 of 1}]": "it can never fire: Errors is published with no dimension, or FunctionName",
	} {
		spec := file(t, "alarms.yaml", text)
		for _, verb := range []string{"lint", "plan", "apply", "drift", "render", "backtest", "suggest", "check", "dashboard"} {
			run(t, "alarms", verb, "-f", spec).want(t, 1, want)
		}
	}
	run(t, "alarms", "plan", "-f", "/none.yaml").want(t, 3, "there is no file /none.yaml: name a file with -f, or create one with `throughline alarms init template.yaml -o alarms.yaml`")
	for name, template := range map[string]string{"t.yaml": "Globals:\n  Function: {Timeout: 3}\nResources: {}\n", "t.json": `{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`} {
		path := file(t, name, template)
		for _, verb := range []string{"lint", "plan", "render", "destroy"} {
			run(t, "alarms", verb, "-f", path).want(t, 2, path+" is a CloudFormation template, not a spec: `throughline alarms init "+path+" -o alarms.yaml` writes a spec for it")
		}
	}
	run(t, "alarms", "plan", "-f", file(t, "alarms.yaml", orders), "--set", "X").want(t, 2, "--set X: write NAME=VALUE")
	run(t, "alarms", "plan", "-f", file(t, "alarms.yaml", "name: o\nparameters: {F: {}}\nresources: [{kind: lambda, name: \"${F}\"}]\n")).want(t, 2, "no value for F: give --set F=…")

	var many strings.Builder
	many.WriteString("name: many\nresources:\n")
	for i := range 700 {
		fmt.Fprintf(&many, "- {kind: lambda, name: f%d, timeout: 30s, async: true, deadLetter: true, destination: true}\n", i)
	}
	run(t, "alarms", "lint", "-f", file(t, "alarms.yaml", many.String())).want(t, 0, "5600 alarms: an account has a quota of 5000 in a Region, which AWS can raise", "no errors: 5600 alarms")
}
