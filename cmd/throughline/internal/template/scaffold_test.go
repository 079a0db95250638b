package template

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
)

const small = `
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Timeout: 60}}
Parameters: {Stage: {Type: String}}
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub "trading-${Stage}"}}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "orders-${Stage}"
      ReservedConcurrentExecutions: 10
      Events:
        Traded: {Type: EventBridgeRule, Properties: {EventBusName: !Ref Bus, Pattern: {}, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}}
        Daily: {Type: Schedule, Properties: {Schedule: rate(1 day), Name: daily}}
        Later: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}
  Reports: {Type: AWS::Lambda::Function, Properties: {FunctionName: reports, Timeout: 900}}
  Work: {Type: AWS::SQS::Queue, Properties: {FifoQueue: false, MessageRetentionPeriod: 86400, RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}}}
  Ordered: {Type: AWS::SQS::Queue, Properties: {QueueName: o.fifo, FifoQueue: true}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: work-dlq}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: "literal-${x}", GlobalSecondaryIndexes: [{IndexName: by-day}]}}
`

func TestSpec(t *testing.T) {
	text, err := Spec([]byte(small), Options{Name: "trading"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{kind: lambda, name: "orders-${Stage}", timeout: 60s, reserved: 10, async: true}`,
		`{kind: lambda, name: "reports", timeout: 900s}`,
		`{kind: event-rule, bus: "trading-${Stage}", name: "${OrdersTraded}", dlq: "work-dlq", of: "orders-${Stage}"}`,
		`{kind: event-rule, name: "daily", every: 24h, of: "orders-${Stage}"}`,
		`{kind: scheduler, name: "default"}`,
		`{kind: queue, name: "${Work}", retention: 86400s}`,
		`{kind: queue, name: "o.fifo"}`,
		`{kind: dlq, name: "work-dlq", of: "orders-${Stage}"}`,
		`{kind: dynamodb, name: "literal-$${x}", indexes: ["by-day"]}`,
		`Stage: {description: "the template's parameter Stage"}`,
		`# - {kind: extension, service: "reports", function: "reports"}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	clean(t, text)
	if strings.Contains(string(text), "profile: full") {
		t.Error("no function asks for every metric")
	}
	// What stands in comments is right as well.
	clean(t, []byte(strings.NewReplacer("\n  # - {", "\n  - {", "detailTypes: []", "detailTypes: [T]").Replace(string(text))))
}

// TestAttached: functions that the template gives the layer are watched by what
// it tells, and a table that is called as a function is apart from it.
func TestAttached(t *testing.T) {
	text, err := Spec([]byte(`
Globals: {Function: {Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/throughline/wrapper}}}}
Resources:
  Orders: {Type: AWS::Serverless::Function, Properties: {FunctionName: orders, LoggingConfig: {LogGroup: all-orders}, Environment: {Variables: {THROUGHLINE_SERVICE: shop, THROUGHLINE_METRICS: full}}}}
  Plain: {Type: AWS::Lambda::Function, Properties: {FunctionName: plain}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: orders}}
`), Options{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n  - {kind: extension, service: \"shop\", function: \"orders\"}\n  - {kind: events, service: \"shop\", detailTypes: []}\n",
		"\n  # - {kind: extension, service: \"plain\", function: \"plain\"}\n", "\nprofile: full\n",
		"logGroups:\n  - \"all-orders\"\n  - \"/aws/lambda/plain\"\n", `name: "orders", as: "orders-table"}`, "docs/operations.md#{kind}-{key}\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if s := clean(t, text); !strings.HasSuffix(s.Alarms[0].Description, "docs/operations.md#account-concurrency") {
		t.Error(s.Alarms[0].Description)
	}
}

// TestQueuesThatSAMMakes: a rule's dead-letter queue that stands nowhere in the
// template, for SAM adds it, is watched as well.
func TestQueuesThatSAMMakes(t *testing.T) {
	text, err := Spec([]byte(`
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: orders
      Events:
        Made: {Type: EventBridgeRule, Properties: {Pattern: {}, DeadLetterConfig: {Type: SQS}}}
        Named: {Type: EventBridgeRule, Properties: {Pattern: {}, DeadLetterConfig: {Type: SQS, QueueLogicalId: NamedFailed}}}
`), Options{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{kind: event-rule, name: "${OrdersMade}", dlq: "${OrdersMadeQueue}", of: "orders"}`, `{kind: dlq, name: "${OrdersMadeQueue}", of: "orders"}`,
		`{kind: event-rule, name: "${OrdersNamed}", dlq: "${NamedFailed}", of: "orders"}`, `{kind: dlq, name: "${NamedFailed}", of: "orders"}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	clean(t, text)
}

// clean compiles a spec and holds it to lint.
func clean(t *testing.T, text []byte) alarms.Set {
	t.Helper()
	s, err := alarms.Compile(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, f := range alarms.Lint(s) {
		t.Errorf("%s", f)
	}
	return s
}

// Large is a template with functions, rules and queues in the numbers given.
func large(functions, rules, queues int) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range functions {
		fmt.Fprintf(&b, "  Function%d: {Type: AWS::Lambda::Function, Properties: {Timeout: %d}}\n", i, 30+i)
	}
	for i := range rules {
		fmt.Fprintf(&b, "  Rule%d: {Type: AWS::Events::Rule, Properties: {Name: rule-%d, EventBusName: trading, Targets: [{Id: a, DeadLetterConfig: {Arn: !GetAtt Queue0.Arn}}]}}\n", i, i)
	}
	for i := range queues {
		fmt.Fprintf(&b, "  Queue%d: {Type: AWS::SQS::Queue, Properties: {QueueName: queue-%d}}\n", i, i)
	}
	return b.String()
}

func TestLargeTemplate(t *testing.T) {
	text, err := Spec([]byte(large(20, 10, 5)), Options{Name: "trading"})
	if err != nil {
		t.Fatal(err)
	}
	s := clean(t, text)
	if len(s.Parameters) != 20 || len(s.Alarms) < 20*2+10+5 {
		t.Errorf("%d parameters, %d alarms", len(s.Parameters), len(s.Alarms))
	}
}

func TestBadTemplates(t *testing.T) {
	for text, want := range map[string]string{"": "no Resources", "a: [": "not YAML", "Resources: {}": "nothing to watch", "Resources: {A: {Type: AWS::S3::Bucket}}": "nothing to watch"} {
		if _, err := Spec([]byte(text), Options{Name: "x"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add(small)
	f.Add(large(1, 1, 1))
	f.Fuzz(func(t *testing.T, template string) {
		text, err := Spec([]byte(template), Options{Name: "fuzz"})
		if err != nil {
			return
		}
		if _, err := alarms.Compile(text); err != nil && !strings.Contains(err.Error(), "at most nine") && !strings.Contains(err.Error(), "not YAML") {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
