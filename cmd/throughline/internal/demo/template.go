package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/local/buslocal"
)

// template returns the day's rules and subscribers and their targets as a SAM template, for
// the commands that read one. It cannot be deployed: it does not have the functions'
// code.
func (s *stage) template() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The rules of the demo, for throughline why, rules test and map. It cannot be deployed.")
	line("Transform: AWS::Serverless-2016-10-31")
	line("Resources:")
	line("  Bus: {Type: AWS::Events::EventBus, Properties: {Name: %s}}", bus)
	line("  DeadLetters: {Type: AWS::SQS::Queue, Properties: {QueueName: dead-letters}}")
	for _, f := range functions {
		line("  %s:\n    Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: %s", logical(f.name), f.name)
		if f.name == "execution" {
			line("      Events: {Plans: {Type: SQS, Properties: {Queue: !GetAtt PlansQueue.Arn}}}")
		}
	}
	invoked := map[string][]string{} // the rules of each function
	for _, r := range s.rules {
		id := logical(r.Name) + "Rule"
		line("  %s:\n    Type: AWS::Events::Rule\n    Properties:\n      Name: %s\n      EventBusName: !Ref Bus\n      EventPattern: %s\n      Targets:", id, r.Name, r.Pattern)
		for i, t := range r.Targets {
			to := logical(t.Target.Name())
			switch target := t.Target.(type) {
			case *buslocal.Queue:
				to = "!GetAtt " + to + "Queue.Arn"
			case *buslocal.Topic:
				to = "!Ref " + to + "Topic"
			default:
				invoked[target.Name()] = append(invoked[target.Name()], id)
				to = "!GetAtt " + to + ".Arn"
			}
			line("        - {Id: t%d, Arn: %s, DeadLetterConfig: {Arn: !GetAtt DeadLetters.Arn}}", i, to)
		}
		for _, t := range r.Targets {
			s.permit(line, logical(t.Target.Name()), t.Target)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(invoked)) {
		for _, rule := range invoked[name] {
			line("  %sOf%s: {Type: AWS::Lambda::Permission, Properties: {FunctionName: !Ref %s, Action: lambda:InvokeFunction, Principal: events.amazonaws.com, SourceArn: !GetAtt %s.Arn}}", logical(name), rule, logical(name), rule)
		}
	}
	if s.newBus != nil {
		s.subscribed(line)
	}
	return []byte(b.String())
}

// permit adds a queue or a topic with its policy, and the topic's subscribers.
func (s *stage) permit(line func(string, ...any), id string, target buslocal.Target) {
	const policy = "PolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: %s, Resource: %s}]}"
	switch target := target.(type) {
	case *buslocal.Queue:
		line("  %sQueue: {Type: AWS::SQS::Queue, Properties: {QueueName: %s}}", id, target.QueueName)
		line("  %sPolicy: {Type: AWS::SQS::QueuePolicy, Properties: {Queues: [!Ref %sQueue], "+policy+"}}", id, id, "sqs:SendMessage", "!GetAtt "+id+"Queue.Arn")
	case *buslocal.Topic:
		line("  %sTopic: {Type: AWS::SNS::Topic, Properties: {TopicName: %s}}", id, target.TopicName)
		line("  %sPolicy: {Type: AWS::SNS::TopicPolicy, Properties: {Topics: [!Ref %sTopic], "+policy+"}}", id, id, "sns:Publish", "!Ref "+id+"Topic")
		for i, to := range target.Subscribers {
			line("  %sSubscription%d: {Type: AWS::SNS::Subscription, Properties: {TopicArn: !Ref %sTopic, Protocol: lambda, Endpoint: !GetAtt %s.Arn}}", id, i, id, logical(to.Name()))
		}
	}
}

// subscribed adds the new bus with its subscribers.
func (s *stage) subscribed(line func(string, ...any)) {
	line("  NewBus: {Type: AWS::EventsV2::EventBus, Properties: {Name: %s}}", bus)
	line("  PlansQueue: {Type: AWS::SQS::Queue, Properties: {QueueName: plans}}")
	for i, spec := range s.subscribers {
		to := logical(nameOf(spec.Invoke.TargetARN))
		if strings.Contains(spec.Invoke.TargetARN, ":sqs:") {
			to += "Queue"
		}
		line("  Subscriber%d:\n    Type: AWS::EventsV2::Subscriber\n    Properties:\n      Name: %s\n      EventBusArn: !Ref NewBus", i, spec.Name)
		line("      InvokeConfiguration: {TargetArn: !GetAtt %s.Arn, RoleArn: \"the ARN of the delivery role\"}\n      OnFailureConfiguration: {Arn: !GetAtt DeadLetters.Arn}\n      FilterConfiguration:\n        Filters:", to)
		for _, f := range spec.Filters {
			line("          - {Scope: %s, Pattern: '%s'}", f.Scope, f.Pattern)
		}
	}
}

// nameOf returns the name of a function or a queue in an ARN.
func nameOf(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// logical returns the logical ID of a resource.
func logical(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
