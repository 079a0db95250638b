package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
)

const newBuses = `
Resources:
  Orders: {Type: AWS::EventsV2::EventBus, Properties: {Name: orders, StorageConfiguration: {RetentionPeriodInDays: 7}}}
  Other: {Type: AWS::EventsV2::EventBus, Properties: {Name: other}}
  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, CodeUri: src/, Handler: a.b, Environment: {Variables: {ORDERS: !Ref Orders, NAME: !GetAtt Paid.BusName, ID: !Select [1, !Split [":event-busv2/", !Ref Orders]], SUB: !Ref Paid}}}}
  Dead: {Type: AWS::SQS::Queue}
  Work: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  Paid:
    Type: AWS::EventsV2::Subscriber
    Properties:
      Name: paid
      EventBusArn: !Ref Orders
      Type: FIFO
      InvokeConfiguration: {TargetArn: !GetAtt F.Arn, RoleArn: r, LambdaParameters: {InvocationType: REQUEST_RESPONSE}}
      FilterConfiguration: {Filters: [{Pattern: '{"a":[1]}'}, {Scope: METADATA, Pattern: '{"b":["x"]}'}]}
      Transformer: {Type: WITH_METADATA}
      BatchConfiguration: {MaxBatchSize: 20, MaxBatchWindowInSeconds: 3}
      RetryPolicy: {MaxRetryAttempts: 0, MaxEventAgeInSeconds: 600}
      OnFailureConfiguration: {Arn: !GetAtt Dead.Arn}
  Queued:
    Type: AWS::EventsV2::Subscriber
    Properties:
      Name: queued
      EventBusArn: !Ref Orders
      State: STOPPED
      InvokeConfiguration: {TargetArn: !GetAtt Work.Arn, RoleArn: r, SqsParameters: {MessageGroupId: g, MessageDeduplicationId: d, MessageAttributes: {t: {DataType: String, StringValue: x}}, MessageSystemAttributes: {AWSTraceHeader: {DataType: String, StringValue: h}}}}
  Onward:
    Type: AWS::EventsV2::Subscriber
    Properties: {Name: onward, EventBusArn: !Ref Orders, InvokeConfiguration: {TargetArn: !Ref Other, RoleArn: r, EventBusV2Parameters: {Metadata: {k: v}, SystemMetadata: {EventGroupId: g}}}}
  Lost:
    Type: AWS::EventsV2::Subscriber
    Properties: {Name: lost, EventBusArn: "arn:aws:events:us-east-1:1:event-busv2/far/away", InvokeConfiguration: {TargetArn: !GetAtt F.Arn, RoleArn: r}}
  Source: {Type: AWS::EventsV2::EventSource, Properties: {Name: s, EventBusArn: !Ref Orders}}
  Policy: {Type: AWS::EventsV2::ResourcePolicy, Properties: {EventBusArn: !Ref Orders, PolicyDocument: {}}}
  Tick: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: rate(1 day), Target: {Arn: !Ref Orders, RoleArn: r}}}
`

func TestNewBuses(t *testing.T) {
	p := build(t, newBuses, plan.Options{})
	orders := plan.NewBusARN("orders")
	if len(p.NewBuses) != 2 || p.NewBuses[0] != (plan.NewBus{ID: "Orders", Name: "orders", ARN: orders, Days: 7}) || len(plan.NewBusID("orders")) != 25 || plan.NewBusID("orders") == plan.NewBusID("other") {
		t.Errorf("%+v", p.NewBuses)
	}
	env := p.Functions[0].Env
	if env["ORDERS"] != orders || env["NAME"] != "orders" || env["ID"] != "orders/"+plan.NewBusID("orders") || env["SUB"] != "arn:aws:events:us-east-1:123456789012:subscriber/paid/"+plan.NewBusID("paid") {
		t.Errorf("%v", env)
	}
	none := map[string]string{}
	want := []plan.Subscriber{
		{ID: "Paid", Name: "paid", Bus: orders, Target: plan.FunctionARN("F"), Filters: []plan.Filter{{`{"a":[1]}`, "DATA"}, {`{"b":["x"]}`, "METADATA"}}, Transformer: "WITH_METADATA", FIFO: true, Batch: 20, Window: 3 * time.Second, MaxAge: 10 * time.Minute, DeadLetter: plan.QueueARN("Dead"), Sync: true, Attributes: none, Metadata: none},
		{ID: "Queued", Name: "queued", Bus: orders, Target: plan.QueueARN("Work.fifo"), Retries: -1, Stopped: true, Attributes: map[string]string{"t": "x"}, TraceHeader: "h", Metadata: none, Group: "g", DeduplicationID: "d"},
		{ID: "Onward", Name: "onward", Bus: orders, Target: plan.NewBusARN("other"), Retries: -1, Attributes: none, Metadata: map[string]string{"k": "v"}, Group: "g"},
	}
	if got := fmt.Sprintf("%+v", p.Subscribers); got != fmt.Sprintf("%+v", want) {
		t.Errorf("%s\nwant %+v", got, want)
	}
	for _, left := range []string{"Lost", "Source", "Tick"} {
		if !slices.ContainsFunc(p.NotPlayed, func(n plan.NotPlayed) bool { return n.ID == left }) {
			t.Errorf("nothing is said of %s: %+v", left, p.NotPlayed)
		}
	}
	if slices.ContainsFunc(p.NotPlayed, func(n plan.NotPlayed) bool { return n.ID == "Policy" }) {
		t.Error("a policy is said not to be played")
	}
}
