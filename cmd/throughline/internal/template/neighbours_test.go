package template

import (
	"io/fs"
	"strings"
	"testing"
)

// TestNeighbours: references and names in more of the forms that CloudFormation accepts.
func TestNeighbours(t *testing.T) {
	nested := map[string]string{
		"inner.yaml": "Resources:\n  D: {Type: AWS::SQS::Queue, Properties: {QueueName: inner-d}}\nOutputs: {Arn: {Value: !GetAtt D.Arn}}\n",
		"outer.yaml": "Resources:\n  S: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: inner.yaml}}\nOutputs: {Arn: {Value: !GetAtt S.Outputs.Arn}}\n",
	}
	const rule = "  R: {Type: AWS::Events::Rule, Properties: {Name: r, EventPattern: {source: [x]}, EventBusName: "
	for template, want := range map[string]string{
		// The name of a partner's event bus has slashes.
		rule + "'arn:aws:events:eu-west-1:123456789012:event-bus/aws.partner/saas.com/x'}}":              `{kind: event-rule, bus: "aws.partner/saas.com/x", name: "r"}`,
		rule + "!Sub 'arn:${AWS::Partition}:events:${AWS::Region}:1:event-bus/aws.partner/saas.com/x'}}": `{kind: event-rule, bus: "aws.partner/saas.com/x", name: "r"}`,
		rule + "aws.partner/saas.com/x}}": `{kind: event-rule, bus: "aws.partner/saas.com/x", name: "r"}`,
		// A parameter that is an ARN: the metric has the name in it.
		rule + "!Ref BusArn}}":      `{kind: event-rule, bus: "${BusArnName}", name: "r"}`,
		rule + "!Sub '${BusArn}'}}": `{kind: event-rule, bus: "${BusArnName}", name: "r"}`,
		rule + "!Ref DefaultArn}}":  `{kind: event-rule, name: "r"}`,
		"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: 'arn:aws:lambda:eu-west-1:1:function:f'}}": `{kind: lambda, name: "f", timeout: 3s}`,
		"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: '123456789012:function:f'}}":               `{kind: lambda, name: "f", timeout: 3s}`,
		// Only a dead-letter queue has an allow policy.
		"  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, RedriveAllowPolicy: {redrivePermission: byQueue, sourceQueueArns: [arn]}}}": `{kind: dlq, name: "q"}`,
		"  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, RedriveAllowPolicy: {redrivePermission: denyAll}}}":                         `{kind: queue, name: "q"}`,
		// Outputs of nested stacks, one and two deep.
		"  S: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: inner.yaml}}\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, RedrivePolicy: {deadLetterTargetArn: !GetAtt S.Outputs.Arn}}}":         `{kind: dlq, name: "inner-d"}`,
		"  S: {Type: AWS::Serverless::Application, Properties: {Location: outer.yaml}}\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, RedrivePolicy: {deadLetterTargetArn: {Fn::GetAtt: [S, Outputs.Arn]}}}}": `{kind: dlq, name: "inner-d"}`,
		// A logical ID that a loop makes, as a text and by Fn::Sub.
		"  Fn::ForEach::Q: [N, [a], {'Q${N}': {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: {Fn::GetAtt: ['D${N}', Arn]}}}}, 'D${N}': {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'd-${N}'}}}]":      `{kind: dlq, name: "d-a"}`,
		"  Fn::ForEach::Q: [N, [a], {'Q${N}': {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: {Fn::GetAtt: [!Sub 'D${N}', Arn]}}}}, 'D${N}': {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'd-${N}'}}}]": `{kind: dlq, name: "d-a"}`,
	} {
		const parameters = "Parameters:\n  BusArn: {Type: String, Default: 'arn:aws:events:eu-west-1:123456789012:event-bus/orders'}\n  DefaultArn: {Type: String, Default: 'arn:aws:events:eu-west-1:123456789012:event-bus/default'}\nResources:\n"
		text := init0(t, parameters+template+"\n", Options{Open: func(name string) ([]byte, error) {
			if text, ok := nested[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}})
		if got := resources(t, text); !strings.Contains(got, want) {
			t.Errorf("%s\n%s\nwithout %s", template, got, want)
		}
		if strings.Contains(want, "BusArnName") && !strings.Contains(text, `BusArnName: {default: "orders"`) {
			t.Errorf("%s: no default in %s", template, text)
		}
	}
}

// TestCommentsAreOneLine: an ID of the template cannot end a comment of the spec, nor make
// it no YAML.
func TestCommentsAreOneLine(t *testing.T) {
	for _, end := range []string{`\n`, `\r`, `\x85`, `\u2028`, `\u2029`, `\x1b[31m`, `\u202e`, `\x00`} {
		text := init0(t, "Resources:\n  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}\n  \"X"+end+"resources: []\": {Type: AWS::EC2::Instance}\n", Options{})
		if !strings.Contains(text, "resources: [], AWS::EC2::Instance: no pack watches it") || strings.Count(text, "\nresources:") != 1 {
			t.Errorf("%s: %s", end, text)
		}
	}
}
