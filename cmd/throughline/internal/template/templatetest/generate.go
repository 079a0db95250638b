// Package templatetest generates templates for tests. They combine the ways to name a
// resource, to give a number and to refer to a queue, and take turns with other features
// of SAM and CloudFormation.
package templatetest

import (
	"fmt"
	"strings"
)

var (
	names   = []string{"", "literal-%", "!Sub 'sub-%-${Stage}'", "!Join ['-', [join, %, !Ref Stage]]", "!If [Prod, 'prod-%', !Sub 'if-%-${AWS::StackName}']", "!Sub ['${A}-%', {A: !FindInMap [Map, !Ref Stage, name]}]", "!Select [1, !Split [',', 'a,select-%']]"}
	numbers = []string{"", "42", "!Ref Seconds", "!If [Prod, 7, 9]", "!FindInMap [Map, dev, seconds]", "!If [Never, 5, !Ref 'AWS::NoValue']"}
	queues  = []string{"!GetAtt Dead.Arn", "{Fn::GetAtt: Dead.Arn}", "{Fn::GetAtt: [Dead, Arn]}", "!Sub '${Dead.Arn}'", "!If [Prod, x, !GetAtt Dead.Arn]", "!Sub 'arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:@'", "!Join [':', [arn:aws:sqs, !Ref 'AWS::Region', !Ref 'AWS::AccountId', '@']]", "'arn:aws:sqs:eu-west-1:123456789012:@'"}
	buses   = []string{"", "EventBusName: default, ", "EventBusName: !Ref Bus, ", "EventBusName: !GetAtt Bus.Arn, ", "EventBusName: 'arn:aws:events:eu-west-1:123456789012:event-bus/other', ", "EventBusName: !Ref BusName, ", "EventBusName: !If [Prod, x, !Ref 'AWS::NoValue'], "}
)

// Templates returns the 336 templates, always the same.
func Templates() []string {
	var out []string
	for i, name := range names {
		for j, number := range numbers {
			for k, queue := range queues {
				g := generator{n: i + j + k, index: len(out), name: name, number: number, queue: queue, dead: "Dead"}
				out = append(out, g.template((i+k)%4))
			}
		}
	}
	return out
}

type generator struct {
	strings.Builder
	n, index            int
	name, number, queue string
	dead                string
}

// of returns a property with a name, followed by a comma, or "" for a name that
// CloudFormation generates.
func (g *generator) of(property, what string) string {
	if g.name == "" {
		return ""
	}
	return property + ": " + strings.ReplaceAll(g.name, "%", what) + ", "
}

func (g *generator) add(format string, args ...any) { fmt.Fprintf(g, format, args...) }

// every reports whether this template has a feature that one template in m has.
func (g *generator) every(m, of int) bool { return g.index%m == of }

func (g *generator) template(condition int) string {
	dead := g.of("QueueName", "dead")
	if strings.Contains(g.queue, "@") { // by its name, which the template must have
		g.queue, dead = strings.ReplaceAll(g.queue, "@", "dead-queue"), "QueueName: dead-queue, "
	}
	g.add("%s", []string{"", "\ufeff", "%YAML 1.1\n---\n"}[g.index%3])
	g.add("Parameters: {Stage: {Type: String, Default: dev}, Seconds: {Type: Number, Default: 33}, BusName: {Type: String, Default: %s}}\n", []string{"default", "given"}[g.n%2])
	g.WriteString("Mappings: {Map: {dev: {seconds: 21, name: mapped}, prod: {seconds: 22, name: wrong}}}\n" +
		"Conditions: {Prod: !Equals [!Ref Stage, prod], Dev: !Not [!Condition Prod], Never: !And [!Condition Prod, !Condition Dev], Either: !Or [!Condition Prod, !Condition Dev]}\n" +
		"Metadata:\n  Text: |\n    " + strings.Repeat("-", 300) + "\n    {[!Ref x\n  Common: &common {MemorySize: 256}\n")
	sam := g.n%2 == 0
	if sam {
		g.WriteString("Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Handler: a.b, Runtime: python3.12, CodeUri: s3://b/k, Timeout: 17}}\n")
	}
	g.WriteString("Resources:\n  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub 'bus-${Stage}'}}\n")
	g.add("  Dead: {Type: AWS::SQS::Queue, Properties: {%sMessageRetentionPeriod: 1209600}}\n", dead)
	redrive, config, rule := "", "", ""
	switch g.n % 4 {
	case 0:
		redrive = "RedrivePolicy: {deadLetterTargetArn: " + g.queue + ", maxReceiveCount: 3}, "
	case 1, 2:
		rule = ", DeadLetterConfig: {Arn: " + g.queue + "}"
		if sam && g.every(5, 0) {
			rule = ", DeadLetterConfig: {Type: SQS}"
		}
	case 3:
		config = "DeadLetterConfig: {TargetArn: " + g.queue + "}, "
	}
	g.add("  Work: {Type: AWS::SQS::Queue, Properties: {%s%sDelaySeconds: 1}}\n", g.of("QueueName", "work"), redrive)
	g.add("  Table: {Type: AWS::DynamoDB::Table, Condition: %s, Properties: {%sBillingMode: PROVISIONED, BillingMode: PAY_PER_REQUEST}}\n", []string{"Dev", "Either", "Never", "Prod"}[condition], g.of("TableName", "table"))
	timeout := ""
	if g.number != "" {
		timeout = "Timeout: " + g.number + ", ReservedConcurrentExecutions: " + g.number + ", "
	}
	bus := buses[g.n%len(buses)]
	if sam {
		g.serverless(timeout, bus, rule)
	} else {
		g.plain(timeout, bus, rule, config)
	}
	return g.String()
}

// serverless adds resources of SAM.
func (g *generator) serverless(timeout, bus, rule string) {
	more, events := "", ""
	if g.every(3, 0) {
		more += "AutoPublishAlias: live, "
	}
	if g.every(3, 1) {
		more += "<<: *common, "
	}
	if g.every(7, 3) {
		more += "EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS}}}, "
	}
	if g.every(4, 0) {
		events += ", Take: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}"
	}
	if g.every(8, 2) {
		events += ", Notice: {Type: SNS, Properties: {Topic: 'arn:aws:sns:eu-west-1:123456789012:t', SqsSubscription: true}}"
	}
	if g.every(8, 6) {
		events += ", Stream: {Type: Kinesis, Properties: {Stream: 'arn:aws:kinesis:eu-west-1:123456789012:stream/s', StartingPosition: LATEST}}"
	}
	if g.every(5, 4) {
		events += ", Later: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), DeadLetterConfig: {Type: SQS}}}"
	}
	g.add("  Function:\n    Type: AWS::Serverless::Function\n    Properties: {%s%s%sEvents: {Made: {Type: EventBridgeRule, Properties: {%sRuleName: made, Pattern: {source: [a]}%s}}, Idle: {Type: Schedule, Properties: {Schedule: rate(1 day), Enabled: false}}%s}}\n",
		g.of("FunctionName", "function"), timeout, more, bus, rule, events)
	if g.every(4, 2) {
		g.add("  Machine:\n    Type: AWS::Serverless::StateMachine\n    Properties: {Role: 'arn:aws:iam::123456789012:role/r', Definition: {StartAt: A, States: {A: {Type: Succeed}}}, Events: {Begun: {Type: EventBridgeRule, Properties: {RuleName: machine, Pattern: {source: [m]}}}}}\n")
	}
}

// plain adds the same resources without SAM.
func (g *generator) plain(timeout, bus, rule, config string) {
	target := "!GetAtt Function.Arn"
	g.add("  Function: {Type: AWS::Lambda::Function, Properties: {%s%s%sRuntime: python3.12}}\n", g.of("FunctionName", "function"), timeout, config)
	if g.every(3, 0) {
		target = "!Ref Alias"
		g.add("  Alias: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref Function, FunctionVersion: '1', Name: live}}\n")
	}
	targets := "[{Id: a, Arn: " + target + rule + "}]"
	if g.every(3, 1) {
		targets = "!If [Prod, [], " + targets + "]"
	}
	g.add("  Rule: {Type: AWS::Events::Rule, Properties: {%s%sEventPattern: {source: [a]}, Targets: %s}}\n", g.of("Name", "rule"), bus, targets)
	g.add("  Idle: {Type: AWS::Events::Rule, Properties: {Name: off, State: DISABLED, ScheduleExpression: rate(1 day)}}\n")
	if g.every(4, 1) {
		g.add("  Mapping: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: %s, EventSourceArn: !GetAtt Work.Arn}}\n", target)
	}
	if g.every(8, 3) {
		g.add("  Streams: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref Function, EventSourceArn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/s', StartingPosition: LATEST}}\n")
	}
	if g.every(7, 3) {
		g.add("  Asynchronous: {Type: AWS::Lambda::EventInvokeConfig, Properties: {FunctionName: !Ref Function, Qualifier: $LATEST, DestinationConfig: {OnFailure: {Destination: !GetAtt Failed.Arn}}}}\n  Failed: {Type: AWS::SQS::Queue, Properties: {QueueName: failed}}\n")
	}
	if g.every(6, 5) {
		g.add("  Fn::ForEach::Loop: [Item, [x, y], {'Loop${Item}': {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'loop-${Item}-${Stage}'}}}]\n")
	}
}
