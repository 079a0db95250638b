package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
)

func build(t *testing.T, template string, o plan.Options) *plan.Plan {
	t.Helper()
	p, err := plan.Build([]byte(template), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const everything = `
Parameters:
  Stage: {Type: String, Default: dev}
  Email: {Type: String}
  Ids: {Type: CommaDelimitedList, Default: "a, b"}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
Globals:
  Function:
    Runtime: python3.12
    Timeout: 30
    Layers: [!Ref Shared]
    Environment: {Variables: {STAGE: !Ref Stage, BUS: !Ref Bus}}
Resources:
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub "orders-${Stage}"}}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: orders.handle
      MemorySize: 512
      ReservedConcurrentExecutions: 2
      Layers: ["arn:aws:lambda:us-east-1:1:layer:powertools:3", "arn:aws:lambda:us-east-1:1:layer:Throughline:1"]
      Environment:
        Variables: {QUEUE: !Ref Work, QUEUE_ARN: !GetAtt Work.Arn, NAME: !GetAtt Work.QueueName, TOPIC: !Ref News, TABLE: !Ref Table, N: 5, ON: true, JOINED: !Join ["-", [x, !Ref Ids]], FIRST: !Select [0, !Ref Ids], BOTH: !Sub "${Self}:${Stage}", URL: !GetAtt Api.FunctionUrl}
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig: {OnSuccess: {Type: EventBridge, Destination: !GetAtt Bus.Arn}, OnFailure: {Type: SQS}}
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      AutoPublishAlias: live
      Events:
        Placed:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Bus
            Pattern: {source: [shop], detail: {total: [{numeric: [">", 10]}], stage: [!Ref Stage]}}
            InputTransformer: {InputPathsMap: {id: $.detail.id}, InputTemplate: '{"id": <id>}'}
            RetryPolicy: {MaximumRetryAttempts: 3}
            DeadLetterConfig: {Type: SQS}
        Nightly: {Type: Schedule, Properties: {Schedule: rate(1 day), Input: '{"a":1}'}}
        Morning: {Type: ScheduleV2, Properties: {ScheduleExpression: 'cron(0 8 * * ? *)', ScheduleExpressionTimezone: Europe/Berlin, State: DISABLED}}
        Web: {Type: HttpApi, Properties: {Path: '/orders/{id}', Method: post}}
        Rest: {Type: Api, Properties: {Path: /old, Method: any}}
        Read: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures], FilterCriteria: {Filters: [{Pattern: '{"body":{"a":[1]}}'}]}, ScalingConfig: {MaximumConcurrency: 2}}}
        Told: {Type: SNS, Properties: {Topic: !Ref News, FilterPolicy: {kind: [a]}}}
        Buffered: {Type: SNS, Properties: {Topic: !Ref News, SqsSubscription: true}}
        Put: {Type: S3, Properties: {Bucket: !Ref Files, Events: 's3:ObjectCreated:*', Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}]}}}}
        Mail: {Type: Cognito, Properties: {UserPool: !Ref Users}}
  Api:
    Type: AWS::Lambda::Function
    Properties: {FunctionName: !Sub "api-${Stage}", Runtime: nodejs22.x, Handler: index.handler, Code: {ZipFile: "exports.handler = async () => 1"}, LoggingConfig: {LogFormat: JSON}}
  ApiUrl: {Type: AWS::Lambda::Url, Properties: {TargetFunctionArn: !Ref Api, AuthType: NONE}}
  ApiInvoke: {Type: AWS::Lambda::EventInvokeConfig, Properties: {FunctionName: !Ref Api, Qualifier: live, MaximumRetryAttempts: 1}}
  Native: {Type: AWS::Serverless::Function, Properties: {Runtime: provided.al2023, Handler: bootstrap, CodeUri: native, DeadLetterQueue: !If [Prod, {Type: SQS, TargetArn: x}, !Ref "AWS::NoValue"]}}
  Image: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}}
  Java: {Type: AWS::Serverless::Function, Properties: {Runtime: java21, Handler: a.B, CodeUri: j}}
  Remote: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, CodeUri: s3://bucket/key}}
  OnlyProd: {Type: AWS::SQS::Queue, Condition: Prod}
  Work:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "work-${Stage}", VisibilityTimeout: 60, RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}}
  Dead: {Type: AWS::SQS::Queue}
  Ordered: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true, ContentBasedDeduplication: true}}
  News: {Type: AWS::SNS::Topic, Properties: {Subscription: [{Protocol: sqs, Endpoint: !GetAtt Work.Arn}, {Protocol: email, Endpoint: !Ref Email}]}}
  ToDead: {Type: AWS::SNS::Subscription, Properties: {TopicArn: !Ref News, Protocol: sqs, Endpoint: !GetAtt Dead.Arn, RawMessageDelivery: true}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !GetAtt Bus.Arn
      EventPattern: {detail-type: [Shipped]}
      Targets: [{Id: q, Arn: !GetAtt Ordered.Arn, SqsParameters: {MessageGroupId: g}, InputPath: $.detail}, {Id: s, Arn: !Ref Machine}, {Id: f, Arn: !Ref Live}]
  Live: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref Api, FunctionVersion: "1", Name: live}}
  Elsewhere: {Type: AWS::Events::Rule, Properties: {EventBusName: "arn:aws:events:us-east-1:2:event-bus/theirs", EventPattern: {source: [x]}, Targets: [{Id: d, Arn: !GetAtt Dead.Arn}]}}
  Cron: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: rate(5 minutes), FlexibleTimeWindow: {Mode: "OFF"}, Target: {Arn: !GetAtt Bus.Arn, RoleArn: r, EventBridgeParameters: {DetailType: Tick, Source: clock}, RetryPolicy: {MaximumRetryAttempts: 2}}}}
  Mapping: {Type: AWS::Lambda::EventSourceMapping, Properties: {EventSourceArn: !GetAtt Ordered.Arn, FunctionName: !GetAtt Api.Arn}}
  Stream: {Type: AWS::Lambda::EventSourceMapping, Properties: {EventSourceArn: "arn:aws:kinesis:us-east-1:1:stream/s", FunctionName: !Ref Api}}
  Table: {Type: AWS::DynamoDB::Table, Properties: {AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}], ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}, StreamSpecification: {StreamViewType: NEW_IMAGE}}}
  Simple: {Type: AWS::Serverless::SimpleTable}
  Files: {Type: AWS::S3::Bucket}
  Machine: {Type: AWS::StepFunctions::StateMachine, Properties: {}}
  Users: {Type: AWS::Cognito::UserPool}
  Task: {Type: AWS::ECS::TaskDefinition}
  Secret: {Type: AWS::SecretsManager::Secret}
  Alarm: {Type: AWS::CloudWatch::Alarm}
  Role: {Type: AWS::IAM::Role}
  Inner: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: nested/inner.yaml, Parameters: {BusName: !Ref Bus}}}
  Gone: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: nested/gone.yaml}}
  Custom: {Type: Custom::Thing, Properties: {}}
`

const inner = `
Parameters: {BusName: {Type: String}}
Resources:
  Worker: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: w.h, CodeUri: worker, Environment: {Variables: {BUS: !Ref BusName, REGION: !Ref "AWS::Region", Q: !Ref Q}}, Events: {E: {Type: EventBridgeRule, Properties: {EventBusName: !Ref BusName, Pattern: {source: [inner]}}}}}}
  Q: {Type: AWS::SQS::Queue}
`

func open(name string) ([]byte, error) {
	if name == "nested/inner.yaml" {
		return []byte(inner), nil
	}
	return nil, errors.New("there is none")
}

var all = plan.Options{Queues: "http://127.0.0.1:9", API: "http://127.0.0.1:8", Open: open}

func TestFunctions(t *testing.T) {
	p := build(t, strings.ReplaceAll(everything, "${Self}", "${Orders.Arn}"), all)
	var names []string
	for _, f := range p.Functions {
		names = append(names, f.Name)
	}
	if want := []string{"Orders", "api-dev", "Native", "Inner-Worker"}; !slices.Equal(names, want) {
		t.Fatalf("%q", names)
	}
	f := p.Function("Orders")
	if f.Runtime != "python3.12" || f.Language != plan.Python || f.Handler != "orders.handle" || f.Code != "src" || f.Timeout != 30*time.Second || f.Memory != 512 || f.Reserved != 2 ||
		f.Retries != 0 || f.OnSuccess != plan.BusARN("orders-dev") || f.OnFailure != plan.QueueARN("OrdersEventInvokeConfigOnFailureQueue") || f.DeadLetter != plan.QueueARN("Dead") || !slices.Equal(f.Layers, []string{"layer"}) {
		t.Errorf("%+v", f)
	}
	for name, want := range map[string]string{
		"STAGE": "dev", "BUS": "orders-dev", "QUEUE": "http://127.0.0.1:9/123456789012/work-dev", "QUEUE_ARN": plan.QueueARN("work-dev"), "NAME": "work-dev", "TOPIC": "arn:aws:sns:us-east-1:123456789012:News",
		"TABLE": "Table", "N": "5", "ON": "true", "FIRST": "a", "BOTH": plan.FunctionARN("Orders") + ":dev", "URL": "http://127.0.0.1:8/Api",
	} {
		if f.Env[name] != want {
			t.Errorf("%s is %q, not %q", name, f.Env[name], want)
		}
	}
	if api := p.Function(plan.FunctionARN("api-dev") + ":live"); api.Inline == "" || api.Language != plan.Node || !api.LogJSON || api.Retries != 1 || api.Reserved != -1 || api.Timeout != 3*time.Second || api.Memory != 128 {
		t.Errorf("%+v", api)
	}
	if native := p.Function("Native"); native.Language != plan.Custom || native.DeadLetter != "" {
		t.Errorf("%+v", native)
	}
	if worker := p.Function("Inner-Worker"); worker.Code != "nested/worker" || worker.Env["BUS"] != "orders-dev" || worker.Env["REGION"] != "us-east-1" || worker.Env["Q"] != "http://127.0.0.1:9/123456789012/Inner-Q" {
		t.Errorf("%+v", worker)
	}
}

func TestWiring(t *testing.T) {
	p := build(t, everything, all)
	rules := map[string]plan.Rule{}
	for _, r := range p.Rules {
		rules[r.ID] = r
	}
	placed := rules["OrdersPlaced"]
	if placed.Bus != "orders-dev" || placed.Pattern != `{"detail":{"stage":["dev"],"total":[{"numeric":["\u003e",10]}]},"source":["shop"]}` || len(placed.Targets) != 1 ||
		placed.Targets[0].Template != `{"id": <id>}` || placed.Targets[0].Paths["id"] != "$.detail.id" || placed.Targets[0].Retries != 3 || placed.Targets[0].DeadLetter != plan.QueueARN("OrdersPlacedQueue") {
		t.Errorf("%+v", placed)
	}
	if r := rules["Rule"]; r.Bus != "orders-dev" || len(r.Targets) != 2 || r.Targets[0].Group != "g" || r.Targets[0].Path != "$.detail" || r.Targets[0].ARN != plan.QueueARN("Ordered.fifo") || r.Targets[0].Retries != -1 || plan.NameOf(r.Targets[1].ARN) != "api-dev" {
		t.Errorf("%+v", r)
	}
	if r := rules["Inner-WorkerE"]; r.Bus != "orders-dev" || plan.NameOf(r.Targets[0].ARN) != "Inner-Worker" {
		t.Errorf("%+v", r)
	}
	if want := []string{"orders-dev", "theirs"}; !slices.Equal(p.Buses, want) {
		t.Errorf("%q", p.Buses)
	}
	for _, want := range []plan.Schedule{
		{ID: "OrdersNightly", Name: "OrdersNightly", Group: "default", Expression: "rate(1 day)"},
		{ID: "OrdersMorning", Name: "OrdersMorning", Group: "default", Expression: "cron(0 8 * * ? *)", Timezone: "Europe/Berlin", Scheduler: true, Disabled: true},
		{ID: "Cron", Name: "Cron", Group: "default", Expression: "rate(5 minutes)", Scheduler: true},
	} {
		i := slices.IndexFunc(p.Schedules, func(s plan.Schedule) bool { return s.ID == want.ID })
		if i < 0 || len(p.Schedules[i].Targets) != 1 {
			t.Errorf("%s: %+v", want.ID, p.Schedules)
			continue
		}
		got := p.Schedules[i]
		got.Targets = nil
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v, not %+v", got, want)
		}
	}
	mappings := map[string]plan.Mapping{}
	for _, m := range p.Mappings {
		mappings[m.ID] = m
	}
	if m := mappings["OrdersRead"]; m.Source != plan.QueueARN("work-dev") || m.BatchSize != 5 || !m.Failures || m.Concurrency != 2 || !slices.Equal(m.Filters, []string{`{"body":{"a":[1]}}`}) {
		t.Errorf("%+v", m)
	}
	if m := mappings["Mapping"]; m.Function != "api-dev" || m.Source != plan.QueueARN("Ordered.fifo") || m.BatchSize != 10 || m.Failures {
		t.Errorf("%+v", m)
	}
	if m := mappings["OrdersBuffered"]; m.Source != plan.QueueARN("OrdersBufferedQueue") {
		t.Errorf("%+v", m)
	}
	if got := fmt.Sprint(p.Topics[0].Subscriptions); !strings.Contains(got, "{lambda "+plan.FunctionARN("Orders")+` map[FilterPolicy:{"kind":["a"]}]}`) || !strings.Contains(got, "{sqs "+plan.QueueARN("Dead")+" map[RawMessageDelivery:true]}") || strings.Contains(got, "email") {
		t.Errorf("%s", got)
	}
	if got := fmt.Sprint(p.Routes); got != "[{ServerlessHttpApi POST /orders/{id} Orders 2.0} {ServerlessRestApi ANY /old Orders 1.0} {ApiUrl ANY  api-dev 2.0}]" {
		t.Errorf("%s", got)
	}
	for _, q := range p.Queues {
		if q.Name == "work-dev" && (q.Attributes["VisibilityTimeout"] != "60" || q.Attributes["RedrivePolicy"] != `{"deadLetterTargetArn":"`+plan.QueueARN("Dead")+`","maxReceiveCount":3}`) {
			t.Errorf("%+v", q)
		}
	}
	var create map[string]any
	if len(p.Tables) != 2 || !p.Tables[0].Stream || json.Unmarshal(p.Tables[0].Create, &create) != nil || create["ProvisionedThroughput"] != nil || create["TableName"] != "Table" || !strings.Contains(string(p.Tables[1].Create), `"AttributeName":"id"`) {
		t.Errorf("%+v", p.Tables)
	}
	if len(p.Buckets) != 1 || p.Buckets[0].Name != "files" || len(p.Buckets[0].Notifications) != 1 || p.Buckets[0].Notifications[0].Prefix != "in/" {
		t.Errorf("%+v", p.Buckets)
	}
}

// TestNotPlayed: what is left out has a line, and what needs none has none.
func TestNotPlayed(t *testing.T) {
	p := build(t, everything, all)
	var lines []string
	for _, n := range p.NotPlayed {
		lines = append(lines, n.ID+": "+n.Why)
	}
	all := strings.Join(append(lines, p.Notes...), "\n")
	for _, want := range []string{
		"Image: functions from container images", "Java: the runtime java21", "Remote: its code is in S3", "Machine: state machines", "Rule: arn:aws:states:us-east-1:123456789012:stateMachine:Machine is not played",
		"OrdersMail: this kind of event", "Stream: the source arn:aws:kinesis", "Users: user pools", "Task: containers", "Secret: secrets", "Gone: the template of the nested stack was not found", "Custom: custom resources",
		"News: the protocol email", "OnlyProd is not created", "the parameter Email has no value", "Orders runs without its layer arn:aws:lambda:us-east-1:1:layer:powertools:3", "the bus theirs is not in the template",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %q:\n%s", want, all)
		}
	}
	for _, quiet := range []string{"Alarm", "Role:", "Live", "Shared", "Throughline:1", "Cron"} {
		if strings.Contains(all, quiet) {
			t.Errorf("something is said of %s:\n%s", quiet, all)
		}
	}
}

func TestParameters(t *testing.T) {
	o := all
	o.Values = map[string]string{"Stage": "prod", "Email": "a@example.com"}
	p := build(t, everything, o)
	if p.Function("api-prod") == nil || p.Function("Native").DeadLetter != "x" || strings.Contains(strings.Join(p.Notes, "\n"), "Email") {
		t.Errorf("%+v", p.Notes)
	}
	o.Values = map[string]string{"Stag": "prod"}
	if _, err := plan.Build([]byte(everything), o); err == nil || !strings.Contains(err.Error(), "it has Stage, Email, Ids") {
		t.Errorf("%v", err)
	}
	for _, wrong := range []string{"", "a: [", "Parameters: {}", "[]"} {
		if _, err := plan.Build([]byte(wrong), all); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestCDKAssets(t *testing.T) {
	p := build(t, `{"Resources": {"F": {"Type": "AWS::Lambda::Function", "Metadata": {"aws:asset:path": "asset.1", "aws:asset:property": "Code"}, "Properties": {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": {"S3Bucket": "b", "S3Key": "k"}}}}}`, all)
	if len(p.Functions) != 1 || p.Functions[0].Code != "asset.1" {
		t.Errorf("%+v", p)
	}
}

// TestExamples: the templates of this repository have nothing that is not played.
func TestExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.FromSlash("../../../../../examples/sam/template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if p := build(t, string(data), all); len(p.NotPlayed) != 0 || len(p.Notes) != 0 || len(p.Functions) != 4 {
		t.Errorf("%+v %q", p.NotPlayed, p.Notes)
	}
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(inner))
	f.Add([]byte(`{"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "A"}}}, "B": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "B"}}}}}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = plan.Build(data, all)
	})
}

func ExampleBuild() {
	p, err := plan.Build([]byte(`
Resources:
  Orders: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13, Handler: orders.handle, CodeUri: src, Events: {Placed: {Type: EventBridgeRule, Properties: {Pattern: {source: [shop]}}}}}}
  Flow: {Type: AWS::Serverless::StateMachine, Properties: {}}
`), plan.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Functions[0].Name, p.Rules[0].Pattern, p.Rules[0].Targets[0].ARN)
	fmt.Println(p.NotPlayed[0].ID + ": " + p.NotPlayed[0].Why)
	// Output:
	// Orders {"source":["shop"]} arn:aws:lambda:us-east-1:123456789012:function:Orders
	// Flow: state machines are not played
}

// TestBoundsOfAStreamsMapping are read, and none where the template has none.
func TestBoundsOfAStreamsMapping(t *testing.T) {
	const text = `
Resources:
  Orders: {Type: AWS::DynamoDB::Table, Properties: {TableName: Orders, AttributeDefinitions: [], KeySchema: [], StreamSpecification: {StreamViewType: KEYS_ONLY}}}
  Failures: {Type: AWS::SQS::Queue}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      InlineCode: x
      Events:
        Bare: {Type: DynamoDB, Properties: {Stream: !GetAtt Orders.StreamArn}}
        Bound: {Type: DynamoDB, Properties: {Stream: !GetAtt Orders.StreamArn, BatchSize: 7, MaximumRetryAttempts: 0, MaximumRecordAgeInSeconds: 60, BisectBatchOnFunctionError: true, DestinationConfig: {OnFailure: {Destination: !GetAtt Failures.Arn}}}}
        Endless: {Type: DynamoDB, Properties: {Stream: !GetAtt Orders.StreamArn, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, BisectBatchOnFunctionError: false}}
`
	bare := plan.Mapping{Function: "F", BatchSize: 100, Retries: -1, MaxAge: -time.Second}
	want := map[string]plan.Mapping{"FBare": bare, "FEndless": bare, "FBound": {Function: "F", BatchSize: 7, MaxAge: time.Minute, Bisect: true, OnFailure: plan.QueueARN("Failures")}}
	p := build(t, text, plan.Options{})
	if len(p.Mappings) != len(want) {
		t.Errorf("%+v", p.Mappings)
	}
	for _, m := range p.Mappings {
		is := want[m.ID]
		if is.ID, is.Source = m.ID, m.Source; fmt.Sprint(m) != fmt.Sprint(is) || plan.ServiceOf(m.Source) != "dynamodb" {
			t.Errorf("%+v, not %+v", m, is)
		}
	}
}
