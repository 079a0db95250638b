package template

import (
	"fmt"
	"strings"
	"testing"
)

// TestOtherServices: state machines, pipes, streams, topics and APIs, by what each of
// their metrics has as dimension; and a schedule's dead-letter queue.
func TestOtherServices(t *testing.T) {
	const text = `
Transform: AWS::Serverless-2016-10-31
Resources:
  Flow: {Type: AWS::Serverless::StateMachine, Properties: {Name: rebalance, Definition: {TimeoutSeconds: 600, StartAt: A}, Events: {Daily: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}}}}}
  Plain: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionString: "{}"}}
  Pipe: {Type: AWS::Pipes::Pipe, Properties: {Name: enrich, SourceParameters: {KinesisStreamParameters: {DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}}}}
  Ticks: {Type: AWS::Kinesis::Stream, Properties: {Name: ticks, RetentionPeriodHours: 48}}
  Fills: {Type: AWS::SNS::Topic}
  Rest: {Type: AWS::ApiGateway::RestApi, Properties: {Name: shop}}
  Bodied: {Type: AWS::ApiGateway::RestApi, Properties: {Body: {}}}
  Web: {Type: AWS::Serverless::HttpApi}
  Socket: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: s, ProtocolType: WEBSOCKET}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  F: {Type: AWS::Serverless::Function, Properties: {FunctionName: f, Events: {A: {Type: Api, Properties: {Path: /, Method: get}}, B: {Type: HttpApi}}}}
`
	spec, err := Spec([]byte(text), Options{Name: "o"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{kind: state-machine, name: "rebalance", arn: "arn:${AWSPartition}:states:${AWSRegion}:${AWSAccountId}:stateMachine:rebalance", timeout: 600s}`, `{kind: state-machine, name: "${Plain}", arn: "arn:${AWSPartition}:states:${AWSRegion}:${AWSAccountId}:stateMachine:${Plain}"}`,
		`{kind: pipe, name: "enrich"}`, `{kind: kinesis, name: "ticks", retention: 48h}`, `{kind: topic, name: "${Fills}"}`,
		`{kind: rest-api, name: "shop"}`, `{kind: rest-api, name: "${AWSStackName}"}`, `{kind: http-api, name: "Web", id: "${Web}"}`, `{kind: http-api, name: "ServerlessHttpApi", id: "${ServerlessHttpApi}"}`,
		`{kind: scheduler, name: "default", dlq: "dead"}`, `{kind: dlq, name: "dead"}`,
		"#   Bodied, AWS::ApiGateway::RestApi: the template does not have its name", "#   Socket, AWS::ApiGatewayV2::Api: no pack watches it",
		`Plain: {logicalId: "Plain", description: "the name that CloudFormation generates for Plain"}`,
	} {
		if !strings.Contains(string(spec), want) {
			t.Errorf("no %s in\n%s", want, spec)
		}
	}
	clean(t, spec)
	// Of a deployed stack the ARN and the ID are known.
	spec, err = Spec([]byte(text), Options{Name: "o", Physical: map[string]string{"Flow": "arn:aws:states:eu-west-1:1:stateMachine:rebalance", "Web": "a1b2"}})
	if err != nil || !strings.Contains(string(spec), `arn: "arn:aws:states:eu-west-1:1:stateMachine:rebalance"`) || !strings.Contains(string(spec), `id: "a1b2"`) {
		t.Errorf("%v\n%s", err, spec)
	}
}

// TestNewBuses: new custom buses and their subscribers, by ARNs that CloudFormation makes
// up: parameters of the spec, intrinsic functions in the template's own stack, texts of a
// deployed one.
func TestNewBuses(t *testing.T) {
	const text = `
Resources:
  Orders: {Type: AWS::EventsV2::EventBus, Properties: {Name: orders}}
  Policy: {Type: AWS::EventsV2::ResourcePolicy}
  Source: {Type: AWS::EventsV2::EventSource}
  ToF: {Type: AWS::EventsV2::Subscriber, Properties: {Name: to-f, EventBusArn: !Ref Orders, InvokeConfiguration: {TargetArn: !GetAtt F.Arn}, OnFailureConfiguration: {Arn: !GetAtt Dead.Arn}}}
  Elsewhere: {Type: AWS::EventsV2::Subscriber, Properties: {Name: elsewhere, EventBusArn: "arn:aws:events:eu-west-1:1:event-busv2/shared/a2", InvokeConfiguration: {TargetArn: !GetAtt G.Arn, LambdaParameters: {InvocationType: REQUEST_RESPONSE}}}}
  Stopped: {Type: AWS::EventsV2::Subscriber, Properties: {Name: stopped, EventBusArn: !Ref Orders, State: STOPPED}}
  Again: {Type: AWS::EventsV2::Subscriber, Properties: {Name: again, EventBusArn: !Ref Orders, StartingPosition: POINT_IN_TIME}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  F: {Type: AWS::Serverless::Function, Properties: {FunctionName: f}}
  G: {Type: AWS::Serverless::Function, Properties: {FunctionName: g}}
`
	spec, err := Spec([]byte(text), Options{Name: "o"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{kind: event-bus, name: "orders", arn: "${OrdersArn}", dimension: "${OrdersDimension}"}`,
		`{kind: subscriber, bus: "${OrdersArn}", name: "to-f", arn: "${ToFArn}", dlq: "dead", of: "f"}`,
		`{kind: subscriber, bus: "arn:aws:events:eu-west-1:1:event-busv2/shared/a2", name: "elsewhere", arn: "${ElsewhereArn}", of: "g"}`,
		`OrdersArn: {logicalId: "Orders.Arn", description: "the ARN of Orders"}`, `OrdersDimension: {logicalId: "Orders.Dimension", `,
		"#   Stopped, a subscriber: it is stopped", "#   Again, a subscriber: it replays",
		`{kind: lambda, name: "f", timeout: 3s, async: true}`, `{kind: lambda, name: "g", timeout: 3s}`, `{kind: dlq, name: "dead", of: "f"}`,
	} {
		if !strings.Contains(string(spec), want) {
			t.Errorf("no %s in\n%s", want, spec)
		}
	}
	if strings.Contains(string(spec), "Source") || strings.Contains(string(spec), "Policy") {
		t.Error(string(spec))
	}
	clean(t, spec)
	s, err := OpenStack([]byte(text), Options{Name: "o"})
	if err != nil {
		t.Fatal(err)
	}
	arn, known := s.Placeholder("OrdersArn", false)
	dimension, also := s.Placeholder("OrdersDimension", false)
	if want := `map[Fn::Select:[1 map[Fn::Split:[:event-busv2/ map[Ref:Orders]]]]]`; !known || !also || arn.ID != "Orders" || arn.Attribute != "" || fmt.Sprint(dimension.Value) != want {
		t.Errorf("%+v %+v", arn, dimension)
	}
	spec, err = Spec([]byte(text), Options{Name: "o", Physical: map[string]string{"Orders": "arn:aws:events:eu-west-1:1:event-busv2/orders/a2", "ToF": "arn:aws:events:eu-west-1:1:subscriber/to-f/a3"}})
	if want := `{kind: event-bus, name: "orders", arn: "arn:aws:events:eu-west-1:1:event-busv2/orders/a2", dimension: "orders/a2"}`; err != nil || !strings.Contains(string(spec), want) || !strings.Contains(string(spec), `arn: "arn:aws:events:eu-west-1:1:subscriber/to-f/a3"`) {
		t.Errorf("%v\n%s", err, spec)
	}
}
