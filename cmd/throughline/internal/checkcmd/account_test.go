package checkcmd

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/metrics"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func arnOf(service, rest string) string {
	return "arn:aws:" + service + ":eu-west-1:123456789012:" + rest
}

func policyFor(action, resource, rule string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"` + action +
		`","Resource":"` + resource + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + rule + `"}}}]}`
}

// check runs the command against the front.
func (f *front) check(args ...string) (int, document, map[string]judge.Result) {
	f.t.Helper()
	f.called()
	code, out, errs := run(f.t, append([]string{"--region", "eu-west-1", "--endpoint-url", f.URL, "--json"}, args...)...)
	if out == "" {
		f.t.Fatalf("exit %d: %s", code, errs)
	}
	d, by := decoded(f.t, out)
	return code, d, by
}

func (f *front) arn(service, rest string) string {
	return strings.Replace(arnOf(service, rest), "123456789012", f.account, 1)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (f *front) function(name string, timeout int32, environment map[string]string) {
	f.t.Helper()
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	w := must[interface{ Write([]byte) (int, error) }](f.t)(z.Create("main.py"))
	_, _ = w.Write([]byte("def handler(event, context): pass\n"))
	if err := z.Close(); err != nil {
		f.t.Fatal(err)
	}
	must[*lambda.CreateFunctionOutput](f.t)(lambda.NewFromConfig(f.config()).CreateFunction(f.t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(f.role()), Handler: aws.String("main.handler"), Runtime: lambdatypes.RuntimePython312, Timeout: &timeout,
		Code: &lambdatypes.FunctionCode{ZipFile: code.Bytes()}, Environment: &lambdatypes.Environment{Variables: environment},
	}))
}

func (f *front) queue(name, policy string) string {
	f.t.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{}}
	if policy != "" {
		in.Attributes["Policy"] = policy
	}
	return aws.ToString(must[*sqs.CreateQueueOutput](f.t)(sqs.NewFromConfig(f.config()).CreateQueue(f.t.Context(), in)).QueueUrl)
}

func (f *front) rule(name, pattern, target, dead string) {
	f.t.Helper()
	client := eventbridge.NewFromConfig(f.config())
	must[*eventbridge.PutRuleOutput](f.t)(client.PutRule(f.t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: aws.String("trading"), EventPattern: &pattern}))
	to := types.Target{Id: aws.String("a"), Arn: &target}
	if dead != "" {
		to.DeadLetterConfig = &types.DeadLetterConfig{Arn: &dead}
	}
	must[*eventbridge.PutTargetsOutput](f.t)(client.PutTargets(f.t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: aws.String("trading"), Targets: []types.Target{to}}))
}

// datum is a metric an hour ago.
type datum struct {
	namespace, name string
	value           float64
	dimensions      []string
}

func (f *front) metrics(data ...datum) {
	f.t.Helper()
	client := alarmscloudwatch.NewClient(f.config())
	for _, d := range data {
		m := cwtypes.MetricDatum{MetricName: &d.name, Value: &d.value, Timestamp: aws.Time(time.Now().Add(-2 * time.Minute))}
		for i := 0; i < len(d.dimensions); i += 2 {
			m.Dimensions = append(m.Dimensions, cwtypes.Dimension{Name: &d.dimensions[i], Value: &d.dimensions[i+1]})
		}
		must[*cloudwatch.PutMetricDataOutput](f.t)(client.PutMetricData(f.t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &d.namespace, MetricData: []cwtypes.MetricDatum{m}}))
	}
}

func (f *front) alarm(name, namespace, metric string) {
	f.t.Helper()
	must[*cloudwatch.PutMetricAlarmOutput](f.t)(alarmscloudwatch.NewClient(f.config()).PutMetricAlarm(f.t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: &namespace, MetricName: &metric, EvaluationPeriods: aws.Int32(1), Period: aws.Int32(60), Threshold: aws.Float64(1),
		Statistic: cwtypes.StatisticSum, ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
	}))
}

const pattern = `{"source":["alchemiser.strategy"],"detail-type":["SignalGenerated"]}`

// deploy makes a system in which nothing is wrong: signals → portfolio by a
// rule, plans → execution by a queue, an archive, and traffic.
func deploy(t *testing.T) *front {
	t.Helper()
	f := newFront(t)
	events := eventbridge.NewFromConfig(f.config())
	bus := aws.ToString(must[*eventbridge.CreateEventBusOutput](t)(events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("trading")})).EventBusArn)
	onBus := f.arn("events", "rule/trading/*")
	f.queue("dead", strings.ReplaceAll(policyFor("sqs:SendMessage", f.arn("sqs", "dead"), onBus), "ArnEquals", "ArnLike"))
	f.queue("work", policyFor("sqs:SendMessage", f.arn("sqs", "work"), f.arn("events", "rule/trading/plans")))
	f.function("portfolio", 10, map[string]string{"EVENT_BUS_NAME": "trading", "API_SECRET": "never-to-be-shown"})
	f.function("execution", 10, map[string]string{"EVENT_BUS_NAME": bus, "THROUGHLINE_ALPACA_FAULTS": "delay=2s"})
	functions := lambda.NewFromConfig(f.config())
	must[*lambda.AddPermissionOutput](t)(functions.AddPermission(t.Context(), &lambda.AddPermissionInput{
		FunctionName: aws.String("portfolio"), StatementId: aws.String("rule"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("events.amazonaws.com"), SourceArn: aws.String(f.arn("events", "rule/trading/signals")),
	}))
	f.rule("signals", pattern, f.arn("lambda", "function:portfolio"), f.arn("sqs", "dead"))
	f.rule("plans", `{"detail-type":["RebalancePlanned"]}`, f.arn("sqs", "work"), f.arn("sqs", "dead"))
	must[*lambda.CreateEventSourceMappingOutput](t)(functions.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("execution"), EventSourceArn: aws.String(f.arn("sqs", "work")), Enabled: aws.Bool(false)}))
	must[*eventbridge.CreateArchiveOutput](t)(events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{ArchiveName: aws.String("all"), EventSourceArn: &bus}))
	now := time.Now()
	for _, name := range []string{"portfolio", "execution"} {
		f.logging[name] = map[string]any{"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": "/aws/lambda/" + name}
		f.log(name, append(emf(t, name, now, func(record func(metrics.Name, float64, string)) {
			record(metrics.PayloadSize, 4_000, "RebalancePlanned")
			record(metrics.Duration, 250, "")
			record(metrics.EventsPublished, 1, "RebalancePlanned")
		}), "START RequestId: 1")...)
		f.metrics(
			datum{"Throughline", "EventsPublished", 5, []string{"Service", name}}, datum{"Throughline", "EventsFailed", 0, []string{"Service", name}},
			datum{"Throughline", "LoopSuspected", 0, []string{"Service", name}}, datum{"Throughline", "Timeouts", 0, []string{"Service", name}},
			datum{"Throughline", "PayloadSize", 4_000, []string{"Service", name, "EventType", "RebalancePlanned"}}, datum{"Throughline", "Duration", 250, []string{"Service", name}},
			datum{"AWS/Lambda", "Duration", 4_250, []string{"FunctionName", name}}, datum{"AWS/Lambda", "Invocations", 6, []string{"FunctionName", name}},
			datum{"AWS/Events", "MatchedEvents", 6, []string{"EventBusName", "trading", "RuleName", "plans"}}, datum{"AWS/Events", "IngestionToInvocationStartLatency", 6, []string{"EventBusName", "trading"}},
		)
	}
	f.metrics(datum{"Throughline", "RequestDuration", 2_150, []string{"Service", "execution", "Host", "paper-api.alpaca.markets"}})
	f.alarm("late", "AWS/Events", "IngestionToInvocationStartLatency")
	f.alarm("cold", "Throughline", "ColdStart")
	return f
}

func actions(t *testing.T, policies ...string) []string {
	t.Helper()
	var list []string
	for _, p := range policies {
		var document struct{ Statement []struct{ Action []string } }
		if err := json.Unmarshal([]byte(p), &document); err != nil {
			t.Fatal(err)
		}
		for _, s := range document.Statement {
			list = append(list, s.Action...)
		}
	}
	return list
}

// TestAccount: a sound system passes, and nothing is called that is not in the
// read policy: without --write nothing is changed.
func TestAccount(t *testing.T) {
	f := deploy(t)
	code, d, by := f.check("--bus", "trading")
	calls := f.called()
	for id, want := range map[string]string{
		"serialise": "10 events published, none refused", "size": "RebalancePlanned from execution: 4000 bytes (e-RebalancePlanned)",
		"durations": "slowest of 12 invocations is execution, 4.25s of 1m", "correlation": "workflow-1 runs through 2 functions: execution, portfolio",
		"delay": "with 2s added execution's longest call to paper-api.alpaca.markets took 2150 ms and its longest invocation 4.25s of 10s", "loops": "no loop suspected",
		"bus": "trading, named by the variable EVENT_BUS_NAME of portfolio and execution, with 2 rules", "resources": "2 rules, none matches on resources", "targets": "2 targets, each with a queue: dead",
		"policies": "4 policies, each allows its rule to send", "timeouts": "execution, 4.25s of 10s, 42 %", "logs": "2 functions: 2 JSON at INFO", "metrics": "metrics of 2 of 2 functions", "names": "2 alarms on names",
	} {
		if by[id].Status != judge.Pass || !strings.Contains(by[id].Evidence, want) {
			t.Errorf("%+v\nwant %s", by[id], want)
		}
	}
	// What would be done, and is not.
	if r := by["dlq"]; r.Status != judge.Skip || !strings.Contains(r.Evidence, "--write would create the rule throughline-check-") || !strings.Contains(r.Next, "--write") {
		t.Errorf("%+v", r)
	}
	if r := by["replay"]; r.Status != judge.Skip || !strings.Contains(r.Evidence, "--write would replay all from ") || !strings.Contains(r.Evidence, "to plans, signals, which reach portfolio, work") {
		t.Errorf("%+v", r)
	}
	if code != 0 || len(d.Did) > 0 || d.Source != "account "+f.account+", eu-west-1" {
		t.Errorf("exit %d, did %q, %s", code, d.Did, d.Source)
	}
	allowed := actions(t, readPolicy)
	for _, c := range calls {
		if !slices.Contains(allowed, c) {
			t.Errorf("it called %s, which the read policy does not allow", c)
		}
	}
	if len(calls) < 12 {
		t.Errorf("only %q was called", calls)
	}
	if text := fmt.Sprint(d); strings.Contains(text, "never-to-be-shown") {
		t.Error("a secret of a function's environment is shown")
	}
	t.Run("Denied", func(t *testing.T) {
		f.deny = "events:ListTargetsByRule"
		defer func() { f.deny = "" }()
		code, _, by := f.check("--bus", "trading")
		if r := by["targets"]; code != 0 || r.Status != judge.Skip || !strings.Contains(r.Evidence, "AccessDeniedException") || !strings.Contains(r.Next, "check policy") || by["size"].Status != judge.Skip && by["size"].Status != judge.Pass {
			t.Errorf("exit %d, %+v", code, r)
		}
	})
	t.Run("WithoutLogs", func(t *testing.T) {
		f.deny = "logs:FilterLogEvents"
		defer func() { f.deny = "" }()
		code, d, by := f.check("--bus", "trading")
		if code != 0 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "could not be read") || by["size"].Status != judge.Pass || by["correlation"].Status != judge.Skip {
			t.Errorf("exit %d, %q, %+v", code, d.Notes, by)
		}
	})
	t.Run("ByFunction", func(t *testing.T) { // the buses that it names are looked at
		_, _, by := f.check("--function", "portfolio", "--only", "bus,targets")
		if by["bus"].Status != judge.Pass || by["targets"].Status != judge.Pass {
			t.Errorf("%+v", by)
		}
	})
	t.Run("NoSuchFunction", func(t *testing.T) {
		if code, _, errs := run(t, "--region", "eu-west-1", "--endpoint-url", f.URL, "--function", "nobody"); code != 3 || !strings.Contains(errs, "there is no function nobody") {
			t.Errorf("exit %d, %s", code, errs)
		}
	})
}

// messages are what lies in the dead-letter queue and can be received.
func (f *front) messages() []string {
	f.t.Helper()
	url := aws.ToString(must[*sqs.GetQueueUrlOutput](f.t)(sqs.NewFromConfig(f.config()).GetQueueUrl(f.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("dead")})).QueueUrl)
	var list []string
	answer := must[*sqs.ReceiveMessageOutput](f.t)(sqs.NewFromConfig(f.config()).ReceiveMessage(f.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 1}))
	for _, m := range answer.Messages {
		list = append(list, aws.ToString(m.Body))
	}
	return list
}

func (f *front) rules() []string {
	f.t.Helper()
	var list []string
	answer := must[*eventbridge.ListRulesOutput](f.t)(eventbridge.NewFromConfig(f.config()).ListRules(f.t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("trading")}))
	for _, r := range answer.Rules {
		targets := must[*eventbridge.ListTargetsByRuleOutput](f.t)(eventbridge.NewFromConfig(f.config()).ListTargetsByRule(f.t.Context(), &eventbridge.ListTargetsByRuleInput{EventBusName: aws.String("trading"), Rule: r.Name}))
		list = append(list, fmt.Sprintf("%s %d", aws.ToString(r.Name), len(targets.Targets)))
	}
	return list
}

// TestWrite: with --write an event fails into the queue and the archive is
// replayed; what others have is as before, what check made is gone.
func TestWrite(t *testing.T) {
	f := deploy(t)
	events := eventbridge.NewFromConfig(f.config())
	for range 2 {
		must[*eventbridge.PutEventsOutput](t)(events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			EventBusName: aws.String("trading"), Source: aws.String("alchemiser.portfolio"), DetailType: aws.String("RebalancePlanned"), Detail: aws.String(`{"event_id":"plan-1","correlation_id":"workflow-1"}`),
		}}}))
	}
	f.send("dead", "a message of somebody's", nil)
	var publishes []string
	f.replayed = func() { // what the layer at execution writes of each message that came by the replay
		url := aws.ToString(must[*sqs.GetQueueUrlOutput](t)(sqs.NewFromConfig(f.config()).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("work")})).QueueUrl)
		answer := must[*sqs.ReceiveMessageOutput](t)(sqs.NewFromConfig(f.config()).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 0}))
		for _, m := range answer.Messages {
			if strings.Contains(aws.ToString(m.Body), `"replay-name": "throughline-check-`) {
				f.log("execution", `{"throughline":"repeat","kind":"replay","service":"execution","event_id":"plan-1","event_type":"RebalancePlanned","correlation_id":"workflow-1"}`)
			}
		}
		if publishes != nil {
			f.log("execution", publishes...)
		}
	}
	rules := f.rules()
	code, d, by := f.check("--bus", "trading", "--write", "--wait", "15s", "--only", "dlq,replay")
	calls := f.called()
	if r := by["dlq"]; code != 0 || r.Status != judge.Pass || !strings.Contains(r.Evidence, "reached dead after") || !strings.Contains(r.Evidence, "NO_RESOURCE") {
		t.Errorf("exit %d, %+v", code, r)
	}
	if r := by["replay"]; r.Status != judge.Pass || !strings.Contains(r.Evidence, "2 replayed deliveries flagged, and no event was published for it: plan-1 at execution") {
		t.Errorf("%+v", r)
	}
	if now := f.rules(); !slices.Equal(now, rules) {
		t.Errorf("rules and their targets: %q, before %q", now, rules)
	}
	if left := f.messages(); !slices.Equal(left, []string{"a message of somebody's"}) {
		t.Errorf("in the queue: %q", left)
	}
	did := strings.Join(d.Did, "\n")
	for _, want := range []string{"created the rule throughline-check-", "added a target that does not exist", "published ", "received ", "removed the target", "deleted the rule throughline-check-", "replayed all from"} {
		if !strings.Contains(did, want) {
			t.Errorf("it does not say %q:\n%s", want, did)
		}
	}
	allowed := actions(t, readPolicy, writePolicy)
	for _, c := range calls {
		if !slices.Contains(allowed, c) {
			t.Errorf("it called %s, which no policy allows", c)
		}
	}

	t.Run("RepeatedEffect", func(t *testing.T) {
		publishes = emf(t, "execution", time.Now(), func(record func(metrics.Name, float64, string)) { record(metrics.EventsPublished, 3, "TradeExecuted") })
		code, _, by := f.check("--bus", "trading", "--write", "--wait", "15s", "--only", "replay")
		if r := by["replay"]; code != 1 || r.Status != judge.Fail || !strings.Contains(r.Evidence, "execution published 3 events while it handled replayed events") || r.Next == "" {
			t.Errorf("exit %d, %+v", code, r)
		}
	})
	t.Run("DoesNotArrive", func(t *testing.T) {
		f.deaf = true
		code, _, by := f.check("--bus", "trading", "--write", "--wait", "2s", "--only", "dlq")
		if r := by["dlq"]; code != 1 || r.Status != judge.Fail || !strings.Contains(r.Evidence, "was not received from the queue within 2s") {
			t.Errorf("exit %d, %+v", code, r)
		}
		if now := f.rules(); !slices.Equal(now, rules) {
			t.Errorf("rules and their targets: %q, before %q", now, rules)
		}
		f.deaf = false
	})
	t.Run("ByTheRule", func(t *testing.T) { // the queue's policy admits one rule by name
		url := f.queue("strict", policyFor("sqs:SendMessage", f.arn("sqs", "strict"), f.arn("events", "rule/trading/strict")))
		f.rule("strict", pattern, f.arn("sqs", "work"), f.arn("sqs", "strict"))
		_, _, by := f.check("--bus", "trading", "--only", "dlq", "--write", "--wait", "15s")
		if r := by["dlq"]; !strings.Contains(r.Evidence, "reached dead") {
			t.Errorf("%+v", r)
		}
		_, _, by = f.check("--bus", "trading", "--only", "dlq")
		if r := by["dlq"]; !strings.Contains(fmt.Sprint(r), "strict: its policy allows only rules by name (it allows strict") {
			t.Errorf("%+v", r)
		}
		event := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(event, []byte(`{"Source":"alchemiser.strategy","DetailType":"SignalGenerated","Detail":"{\"event_id\":\"s-1\"}"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, by = f.check("--bus", "trading", "--only", "dlq", "--write", "--wait", "15s", "--rule", "strict", "--event", event)
		if r := by["dlq"]; r.Status != judge.Pass || !strings.Contains(r.Evidence, "reached strict") {
			t.Errorf("%+v", r)
		}
		if now := f.rules(); !slices.Contains(now, "strict 1") || len(now) != len(rules)+1 {
			t.Errorf("rules and their targets: %q", now)
		}
		must[*sqs.DeleteQueueOutput](t)(sqs.NewFromConfig(f.config()).DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url}))
	})
}

// TestFaultyAccount: each fault of a deployment is found by reading it.
func TestFaultyAccount(t *testing.T) {
	f := deploy(t)
	f.function("strategy", 3, map[string]string{"EVENT_BUS_NAME": "tradnig"})
	f.function("idle", 3, nil)
	f.rule("new", `{"resources":[{"exists":false}],"source":["a"]}`, f.arn("lambda", "function:strategy"), "")
	f.rule("gone", `{"source":["a"]}`, f.arn("lambda", "function:gone"), f.arn("sqs", "nowhere"))
	f.logging["strategy"] = map[string]any{"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "LogGroup": "/aws/lambda/strategy"}
	f.classes["/aws/lambda/portfolio"] = "INFREQUENT_ACCESS"
	f.alarm("trap", "AWS/Events", "IngestiontoInvocationStartLatency")
	f.log("strategy", "[ERROR] TypeError: Object of type Decimal is not JSON serializable Traceback", `{"throughline":"loop","service":"strategy","event_id":"e-1","event_type":"OrderFailed","correlation_id":"workflow-1","hops":17}`)
	f.metrics(
		datum{"Throughline", "PayloadSize", 250_000, []string{"Service", "portfolio", "EventType", "SignalGenerated"}}, datum{"Throughline", "UncorrelatedReceived", 2, []string{"Service", "portfolio"}},
		datum{"AWS/Lambda", "Duration", 61_000, []string{"FunctionName", "strategy"}}, datum{"AWS/Lambda", "Invocations", 2, []string{"FunctionName", "strategy"}},
		datum{"AWS/Events", "InvocationsFailedToBeSentToDlq", 1, []string{"EventBusName", "trading", "RuleName", "gone"}},
		datum{"AWS/Logs", "EMFValidationErrors", 4, []string{"LogGroupName", "/aws/lambda/execution"}}, datum{"Throughline", "Timeouts", 1, []string{"Service", "execution"}},
	)
	code, _, by := f.check("--bus", "trading", "--function", "strategy", "--function", "idle")
	for id, want := range map[string]string{
		"serialise": "Object of type Decimal is not JSON serializable", "size": "SignalGenerated from portfolio: 250000 bytes", "durations": "strategy took 1m1s", "correlation": "portfolio received 2 events",
		"loops": "OrderFailed at strategy under workflow-1: hop 17", "bus": "there is no bus tradnig, named by the variable EVENT_BUS_NAME of strategy: EventBridge accepts its events and drops them; there is trading, default",
		"resources": `rule new: resources [{"exists":false}]`, "targets": "rule new, target strategy: no dead-letter queue", "policies": "rule new cannot send to function strategy: it has no resource policy",
		"timeouts": "strategy took 1m1s, its time-out is 3s", "logs": "strategy: ApplicationLogLevel is ERROR", "metrics": "strategy was invoked 2 times in the last 24h, and has no metrics", "dlq": "1 events of rule gone failed and could not be sent",
		"names": "the alarm trap watches AWS/Events IngestiontoInvocationStartLatency, which nothing emits; did you mean IngestionToInvocationStartLatency", "delay": "the function timed out",
	} {
		r := by[id]
		if all := strings.Join(append([]string{r.Evidence}, r.Details...), "\n"); r.Status != judge.Fail || !strings.Contains(all, want) || r.Next == "" {
			t.Errorf("%s: %s: %s\nwant %s", id, r.Status, all, want)
		}
	}
	for id, want := range map[string]string{
		"policies": "rule gone sends to the function gone, which does not exist", "targets": "its dead-letter queue nowhere does not exist", "metrics": "/aws/lambda/execution: CloudWatch could not read 4 metric lines",
		"logs": "of class INFREQUENT_ACCESS", "timeouts": "execution timed out after 10s once",
	} {
		if !strings.Contains(strings.Join(by[id].Details, "\n")+by[id].Evidence, want) {
			t.Errorf("%+v\nwant %s", by[id], want)
		}
	}
	if !strings.Contains(fmt.Sprint(by["metrics"]), "idle: neither invocations nor metrics") || !strings.Contains(fmt.Sprint(by["logs"]), "the log group /aws/lambda/idle does not exist") {
		t.Errorf("%+v %+v", by["metrics"], by["logs"])
	}
	if code != 1 {
		t.Errorf("exit %d", code)
	}
}

// TestStackAndTemplate: the same system, named by what deployed it.
func TestStackAndTemplate(t *testing.T) {
	f := newFront(t)
	f.physical = strings.NewReplacer("<PhysicalResourceId></PhysicalResourceId>", "<PhysicalResourceId>trading-dev</PhysicalResourceId>", ">signals<", ">trading-dev|signals<")
	role := f.role()
	template := `{"Parameters":{"Stage":{"Type":"String"}},"Resources":{
	"Bus":{"Type":"AWS::Events::EventBus","Properties":{"Name":{"Fn::Sub":"trading-${Stage}"}}},
	"Strategy":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":{"Fn::Sub":"strategy-${Stage}"},"Role":"` + role + `","Handler":"index.handler","Runtime":"python3.12","Timeout":7,"Code":{"ZipFile":"def handler(e, c): pass"}}},
	"Work":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"work"}},
	"Rule":{"Type":"AWS::Events::Rule","Properties":{"Name":"signals","EventBusName":{"Fn::Sub":"trading-${Stage}"},"EventPattern":{"source":["a"]},"Targets":[{"Id":"a","Arn":{"Fn::GetAtt":["Work","Arn"]}}]}},
	"OnDefault":{"Type":"AWS::Events::Rule","Properties":{"Name":"orders","EventPattern":{"source":["b"]},"Targets":[{"Id":"a","Arn":{"Fn::GetAtt":["Work","Arn"]}}]}}}}`
	must[*cloudformation.CreateStackOutput](t)(cloudformation.NewFromConfig(f.config()).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String("trading"), TemplateBody: &template, Parameters: []cfntypes.Parameter{{ParameterKey: aws.String("Stage"), ParameterValue: aws.String("dev")}},
	}))
	// A rule of somebody else's on the default bus is not looked at.
	events := eventbridge.NewFromConfig(f.config())
	must[*eventbridge.PutRuleOutput](t)(events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("foreign"), EventPattern: aws.String(`{"source":["c"]}`)}))
	file := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"Stack": {"--stack", "trading"}, "Template": {"--template", file, "--set", "Stage=dev"}} {
		t.Run(name, func(t *testing.T) {
			code, _, by := f.check(append(args, "--only", "bus,targets,timeouts,metrics")...)
			if r := by["targets"]; code != 1 || r.Status != judge.Fail || !strings.Contains(fmt.Sprint(r), "rule signals, target work: no dead-letter queue") || !strings.Contains(fmt.Sprint(r), "rule orders") || strings.Contains(fmt.Sprint(r), "foreign") {
				t.Errorf("exit %d, %+v", code, r)
			}
			if r := by["bus"]; r.Status != judge.Pass || !strings.Contains(r.Evidence, "trading-dev, with 1 rule") || !strings.Contains(r.Evidence, "default, with 1 rule") {
				t.Errorf("%+v", r)
			}
			if r := by["metrics"]; r.Status != judge.Warn || !strings.Contains(r.Evidence, "strategy-dev: neither invocations nor metrics") {
				t.Errorf("%+v", r)
			}
		})
	}
}
