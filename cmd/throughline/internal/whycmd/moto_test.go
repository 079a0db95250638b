package whycmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore/spanstoretest"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/peertest"
)

// stage is an account of moto with a bus.
type stage struct {
	t   *testing.T
	url string
	cfg aws.Config
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, url: peertest.MotoAccount(t)}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s.cfg = spanstoretest.AWS(t, s.url, "us-east-1")
	_, err := eventbridge.NewFromConfig(s.cfg).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("orders")})
	s.must(err)
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// rule makes a rule of the bus with targets, and returns its ARN.
func (s *stage) rule(name, pattern string, dead string, targets ...string) string {
	s.t.Helper()
	client := eventbridge.NewFromConfig(s.cfg)
	made, err := client.PutRule(s.t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: aws.String("orders"), EventPattern: &pattern})
	s.must(err)
	for i, target := range targets {
		t := types.Target{Id: aws.String(fmt.Sprint(i)), Arn: &target, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(4), MaximumEventAgeInSeconds: aws.Int32(3600)}}
		if dead != "" {
			t.DeadLetterConfig = &types.DeadLetterConfig{Arn: &dead}
		}
		_, err := client.PutTargets(s.t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: aws.String("orders"), Targets: []types.Target{t}})
		s.must(err)
	}
	return aws.ToString(made.RuleArn)
}

// queue makes a queue and returns its ARN.
func (s *stage) queue(name string) string {
	s.t.Helper()
	client := sqs.NewFromConfig(s.cfg)
	made, err := client.CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	s.must(err)
	of, err := client.GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	s.must(err)
	return of.Attributes["QueueArn"]
}

func (s *stage) allow(function, rule string) {
	s.t.Helper()
	_, err := lambda.NewFromConfig(s.cfg).AddPermission(s.t.Context(), &lambda.AddPermissionInput{
		FunctionName: &function, StatementId: aws.String("rule"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("events.amazonaws.com"), SourceArn: &rule,
	})
	s.must(err)
}

func TestAnAccount(t *testing.T) {
	s := newStage(t)
	fulfil, audit, dead := peertest.MotoFunction(t, s.url, "fulfil"), peertest.MotoFunction(t, s.url, "audit"), s.queue("dead")
	s.rule("closed", `{"detail-type":["OrderPlaced"]}`, "", fulfil)
	stopped := s.rule("stopped", `{"detail-type":["OrderShipped"]}`, dead, audit)
	s.allow("audit", stopped)
	_, err := lambda.NewFromConfig(s.cfg).PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("audit"), ReservedConcurrentExecutions: aws.Int32(0)})
	s.must(err)
	s.rule("queued", `{"detail-type":["OrderQueued"]}`, "", dead)
	now := time.Now().UTC().Truncate(time.Second)
	_, err = alarmscloudwatch.NewClient(s.cfg).PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("AWS/Events"), MetricData: []metrics.MetricDatum{
		{MetricName: aws.String("FailedInvocations"), Value: aws.Float64(3), Timestamp: &now, Dimensions: []metrics.Dimension{{Name: aws.String("RuleName"), Value: aws.String("closed")}, {Name: aws.String("EventBusName"), Value: aws.String("orders")}}},
	}})
	s.must(err)
	at := func(eventType string) string {
		return write(t, "e.json", strings.Replace(event("order-1", eventType, ""), "2026-11-23T10:00:00Z", now.Format(time.RFC3339), 1))
	}
	for eventType, says := range map[string][]string{
		"OrderPlaced": {"- rule closed, function fulfil: it has no resource policy; the target has no dead-letter queue: the event is dropped", "an event that is not delivered within 1h, or 4 retries, is dropped", "as aws:SourceArn (`aws lambda add-permission`)\n",
			"CloudWatch's metrics in the 15m after it", "rule closed: FailedInvocations 3"},
		"OrderShipped": {"- rule stopped, function audit: its reserved concurrency is 0", "dead letters go to dead"},
		"OrderQueued":  {"- rule queued, queue dead: it has no resource policy", "as aws:SourceArn (`aws sqs set-queue-attributes`)\n"},
		"orderPlaced":  {"no rule in bus orders matches it", `rule closed on bus orders`, "they differ in capitals"},
	} {
		out, code := run(t, at(eventType), "--bus", "orders", "--endpoint-url", s.url)
		for _, line := range says {
			if code != terminal.Found || !strings.Contains(out, line) {
				t.Errorf("%s: %d: no %q in\n%s", eventType, code, line, out)
			}
		}
	}
	out, code := run(t, at("OrderPlaced"), "--bus", "orders", "--endpoint-url", s.url, "--json")
	var a Answer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != terminal.Found || len(a.Rules) != 1 || a.Rules[0].Targets[0].Result != "refused" || len(a.Counts) != 1 {
		t.Errorf("%d %v\n%s", code, err, out)
	}
}

func TestTheLogOfABus(t *testing.T) {
	s := newStage(t)
	peertest.MotoFunction(t, s.url, "fulfil")
	client, group, stream := cloudwatchlogs.NewFromConfig(s.cfg), "/aws/vendedlogs/events/event-bus/orders", "EventBridgeEventBusLogs"
	_, err := client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group})
	s.must(err)
	_, err = client.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream})
	s.must(err)
	at := time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC) // half an hour before the clock of run
	var events []logs.InputLogEvent
	for _, id := range []string{"env-1", "env-2"} {
		for _, kind := range []string{"EVENT_INGEST_SUCCESS", "NO_STANDARD_RULES_MATCHED"} {
			details := "{}"
			if kind == "EVENT_INGEST_SUCCESS" {
				details = `{"source":"shop","detail_type":"OrderPlaced","resources":[],"event_detail":"{\"status\":\"Paid\"}"}`
			}
			message := fmt.Sprintf(`{"resource_arn":"arn:aws:events:us-east-1:1:event-bus/orders","event_id":%q,"message_timestamp_ms":%d,"message_type":%q,"details":%s}`, id, at.UnixMilli(), kind, details)
			events = append(events, logs.InputLogEvent{Message: &message, Timestamp: aws.Int64(at.UnixMilli())})
		}
	}
	_, err = client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events})
	s.must(err)
	template := write(t, "t.yaml", rules)
	out, code := run(t, "env-2", "--logs", group, "--template", template, "--endpoint-url", s.url)
	for _, line := range []string{"event env-2  OrderPlaced of shop", "on bus orders", `the event has "Paid": they differ in capitals`, "NO_STANDARD_RULES_MATCHED"} {
		if code != terminal.Found || !strings.Contains(out, line) {
			t.Errorf("%d: no %q in\n%s", code, line, out)
		}
	}
	if out, code := run(t, "env-3", "--logs", group, "--template", template, "--endpoint-url", s.url); code != terminal.Found || !strings.Contains(out, "no event env-3 was found") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run(t, "env-3", "--logs", "/nowhere", "--template", template, "--endpoint-url", s.url); code != terminal.CouldNot || !strings.Contains(out, "read the log /nowhere") {
		t.Errorf("%d %s", code, out)
	}
}
