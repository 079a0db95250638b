package template

import (
	"encoding/json"
	"testing"
)

const routed = `
Parameters: {Source: {Type: String, Default: shop}}
Resources:
  Orders: {Type: 'AWS::Events::EventBus', Properties: {Name: orders}}
  Queue: {Type: 'AWS::SQS::Queue', Properties: {QueueName: work}}
  Topic: {Type: 'AWS::SNS::Topic'}
  Fulfil:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Placed:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Orders
            DeadLetterConfig: {Type: SQS}
            Pattern: {source: [!Ref Source], detail-type: [OrderPlaced], detail: {total: [{numeric: ['>', 100]}], test: [false]}}
        Work: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}
        Nightly: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  Notify:
    Type: AWS::Lambda::Function
    Properties: {FunctionName: notify}
  Live: {Type: 'AWS::Lambda::Alias', Properties: {FunctionName: !Ref Notify, FunctionVersion: '1', Name: live}}
  Subscribed: {Type: 'AWS::SNS::Subscription', Properties: {Protocol: lambda, TopicArn: !Ref Topic, Endpoint: !GetAtt Notify.Arn}}
  May: {Type: 'AWS::Lambda::Permission', Properties: {FunctionName: !Ref Notify, Principal: events.amazonaws.com, Action: 'lambda:InvokeFunction'}}
  Reads: {Type: 'AWS::SQS::QueuePolicy', Properties: {Queues: [!Ref Queue], PolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: [events.amazonaws.com]}, Action: 'sqs:SendMessage'}]}}}
  Other: {Type: 'AWS::SNS::TopicPolicy', Properties: {Topics: [!Ref Topic], PolicyDocument: {Statement: {Effect: Allow, Principal: {Service: s3.amazonaws.com}, Action: 'sns:Publish'}}}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      Name: fan-out
      State: DISABLED
      EventPattern: {detail-type: [{prefix: Order}], account: [!Ref AWS::AccountId]}
      Targets:
        - {Id: a, Arn: !GetAtt Queue.Arn}
        - {Id: b, Arn: !Ref Topic, DeadLetterConfig: {Arn: !GetAtt Queue.Arn}}
        - {Id: c, Arn: !Ref Live}
        - {Id: d, Arn: 'arn:aws:events:eu-west-1:123456789012:event-bus/other'}
        - {Id: e, Arn: !Sub 'arn:aws:states:${AWS::Region}:${AWS::AccountId}:stateMachine:Saga'}
`

func TestRoutes(t *testing.T) {
	routes, err := Routes([]byte(routed), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(routes, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var want, have any
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`[
 {"Rule":"FulfilPlaced","Bus":"orders","Disabled":false,"Pattern":{"source":["shop"],"detail-type":["OrderPlaced"],"detail":{"total":[{"numeric":[">",100]}],"test":[false]}},
  "Targets":[{"Kind":"function","Name":"Fulfil","Functions":null,"DeadLetter":"FulfilPlacedQueue","Refused":""}]},
 {"Rule":"FulfilNightly","Bus":"default","Disabled":false,"Pattern":null,"Targets":[{"Kind":"function","Name":"Fulfil","Functions":null,"DeadLetter":"","Refused":""}]},
 {"Rule":"fan-out","Bus":"default","Disabled":true,"Pattern":{"detail-type":[{"prefix":"Order"}],"account":["${AWS::AccountId}"]},
  "Targets":[{"Kind":"queue","Name":"work","Functions":["Fulfil"],"DeadLetter":"","Refused":""},{"Kind":"topic","Name":"Topic","Functions":["notify"],"DeadLetter":"work","Refused":"the template has no AWS::SNS::TopicPolicy that allows events.amazonaws.com to send to it"},{"Kind":"function","Name":"notify","Functions":null,"DeadLetter":"","Refused":""},
   {"Kind":"bus","Name":"other","Functions":null,"DeadLetter":"","Refused":""},{"Kind":"states","Name":"Saga","Functions":null,"DeadLetter":"","Refused":""}]}]`), &want)
	a, _ := json.Marshal(have)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	if _, err := Routes([]byte("a: 1"), nil); err == nil {
		t.Error("a document without resources is read")
	}
}

// TestSubscriberRoutes: subscribers of new custom buses are routes: a pattern is the
// filters on DATA together, and what else there is is said.
func TestSubscriberRoutes(t *testing.T) {
	const text = `
Parameters: {Source: {Type: String, Default: shop}}
Resources:
  Orders: {Type: 'AWS::EventsV2::EventBus', Properties: {Name: orders}}
  Dead: {Type: 'AWS::SQS::Queue', Properties: {QueueName: dead}}
  Work: {Type: 'AWS::SQS::Queue', Properties: {QueueName: work}}
  F: {Type: 'AWS::Serverless::Function', Properties: {FunctionName: f, Events: {Work: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}}}}
  All: {Type: 'AWS::EventsV2::Subscriber', Properties: {Name: all, EventBusArn: !Ref Orders, InvokeConfiguration: {TargetArn: !GetAtt F.Arn, RoleArn: r}, OnFailureConfiguration: {Arn: !GetAtt Dead.Arn}}}
  Two:
    Type: AWS::EventsV2::Subscriber
    Properties:
      Name: two
      State: STOPPED
      EventBusArn: arn:aws:events:eu-west-1:1:event-busv2/shared/a2
      InvokeConfiguration: {TargetArn: !GetAtt Work.Arn, RoleArn: r}
      FilterConfiguration: {Filters: [{Scope: DATA, Pattern: !Sub '{"source":["${Source}"],"detail":{"a":[1]}}'}, {Scope: DATA, Pattern: '{"detail":{"b":[2]}}'}]}
  Beyond:
    Type: AWS::EventsV2::Subscriber
    Properties:
      Name: beyond
      EventBusArn: !Ref Orders
      InvokeConfiguration: {TargetArn: !Ref Orders, RoleArn: r}
      FilterConfiguration: {Filters: [{Scope: METADATA, Pattern: '{"k":["v"]}'}, {Scope: DATA, Pattern: '{"detail":{"a":[1]}}'}, {Scope: DATA, Pattern: '{"detail":{"a":[2]}}'}, {Scope: DATA, Pattern: !Ref Unknown}]}
`
	routes, err := Routes([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(routes)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"Rule":"all","Bus":"orders","Disabled":false,"Pattern":{"source":[{"prefix":""}]},"Targets":[{"Kind":"function","Name":"f","Functions":null,"DeadLetter":"dead","Refused":""}]},` +
		`{"Rule":"two","Bus":"shared","Disabled":true,"Pattern":{"detail":{"a":[1],"b":[2]},"source":["shop"]},"Targets":[{"Kind":"queue","Name":"work","Functions":["f"],"DeadLetter":"","Refused":""}]},` +
		`{"Rule":"beyond","Bus":"orders","Disabled":false,"Pattern":{"detail":{"a":[1]}},"Beyond":"its filter on METADATA, a second filter on detail.a, a filter that the template does not have","Targets":[{"Kind":"bus","Name":"orders","Functions":null,"DeadLetter":"","Refused":""}]}]`
	if string(got) != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}
