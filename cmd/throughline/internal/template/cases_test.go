package template

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// resources are the lines of a spec's resources, and its comments on what is not
// watched.
func resources(t *testing.T, text string) string {
	t.Helper()
	_, rest, _ := strings.Cut(text, "\nresources:\n")
	watched, rest, _ := strings.Cut(rest, "  - {kind: account}\n")
	_, skipped, _ := strings.Cut(rest, "# In the template and not watched:\n")
	skipped, _, _ = strings.Cut(skipped, "\n# overrides:")
	return watched + strings.TrimSpace(skipped)
}

func init0(t *testing.T, template string, o Options) string {
	t.Helper()
	o.Name = "s"
	text, err := Spec([]byte(template), o)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, text)
	return string(text)
}

// TestCases: templates as people write them, with what is right for each.
func TestCases(t *testing.T) {
	for name, want := range map[string]string{
		"references": `  - {kind: lambda, name: "${AWSStackName}-a", timeout: 60s, reserved: 5, deadLetter: true, async: true}
  - {kind: lambda, name: "${StackName}-b", timeout: 30s, reserved: 5, deadLetter: true, stream: true, async: true}
  - {kind: lambda, name: "${AWSStackName}-c", timeout: 120s, stream: true, async: true}
  - {kind: event-rule, name: "my-rule", dlq: "g-dlq", of: "${AWSStackName}-c"}
  - {kind: event-rule, name: "sm-rule"}
  - {kind: queue, name: "src"}
  - {kind: queue, name: "src2"}
  - {kind: queue, name: "src3"}
  - {kind: dlq, name: "lit-dlq"}
  - {kind: dlq, name: "sub-dlq"}
  - {kind: dlq, name: "full-dlq"}
  - {kind: dlq, name: "g-dlq", of: "${AWSStackName}-a"}
  - {kind: dynamodb, name: "gt"}
  - {kind: dynamodb, name: "many", indexes: ["i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9", "i10", "i11", "x-${To}"]}
  - {kind: scheduler, name: "other-stack-group"}
  - {kind: pipe, name: "p"}
  - {kind: state-machine, name: "${SM}", arn: "arn:${AWSPartition}:states:${AWSRegion}:${AWSAccountId}:stateMachine:${SM}"}
#   DRule, a rule: it is disabled
#   Nested, AWS::CloudFormation::Stack: the template of a nested stack was not found: run init on that template`,
		"bus-by-arn": `  - {kind: event-rule, bus: "orders", name: "r"}
  - {kind: event-rule, name: "r2"}
`,
		"conditions": `  - {kind: lambda, name: "orders", timeout: 60s}
#   F1, AWS::Lambda::Function: its condition P is false`,
		"names": `  - {kind: lambda, name: "${PATH}", timeout: 3s}
  - {kind: lambda, name: "${IFS}", timeout: 3s}
  - {kind: queue, name: "${OrdersDLQ}"}
  - {kind: queue, name: "${OrdersDlq}"}
  - {kind: queue, name: "${base}"}
`,
		"retention": `  - {kind: queue, name: "q", retention: 1209600s}
`,
	} {
		data, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if got := resources(t, init0(t, string(data), Options{})); got != want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, want)
		}
	}
}

// TestResolving: what the template tells is read; what it does not tell is left out
// and said, never guessed.
func TestResolving(t *testing.T) {
	const parameters = "Parameters: {Stage: {Type: String, Default: dev}, Open: {Type: String}, Seconds: {Type: Number, Default: 45}, Key: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b}}\n" +
		"Mappings: {M: {dev: {t: 7}, prod: {t: 70}}}\n" +
		"Conditions: {Dev: !Equals [!Ref Stage, dev], Unknown: !Equals [!Ref Open, x], Not: !Not [!Condition Dev], Both: !And [!Condition Dev, !Condition Unknown], Either: !Or [!Condition Dev, !Condition Unknown]}\nResources:\n"
	for property, want := range map[string]string{
		"FunctionName: !Sub 'a-${Stage}', Timeout: !Ref Seconds":                                                           `name: "a-${Stage}", timeout: 45s}`,
		"FunctionName: a, Timeout: !Ref Open":                                                                              `name: "a"}  # the template does not have: timeout`,
		"FunctionName: a, Timeout: !Ref Key":                                                                               `name: "a"}  # the template does not have: timeout`,
		"FunctionName: a, Timeout: !FindInMap [M, !Ref Stage, t]":                                                          `timeout: 7s}`,
		"FunctionName: a, Timeout: !FindInMap [M, !Ref Open, t]":                                                           `name: "a"}  # the template does not have: timeout`,
		"FunctionName: a, Timeout: !If [Dev, 5, 6]":                                                                        `timeout: 5s}`,
		"FunctionName: a, Timeout: !If [Not, 5, 6]":                                                                        `timeout: 6s}`,
		"FunctionName: a, Timeout: !If [Unknown, 5, 6]":                                                                    `name: "a"}  # the template does not have: timeout`,
		"FunctionName: a, Timeout: !If [Unknown, 5, 5]":                                                                    `timeout: 5s}`,
		"FunctionName: a, Timeout: !If [Both, 5, 6]":                                                                       `# the template does not have: timeout`,
		"FunctionName: a, Timeout: !If [Either, 5, 6]":                                                                     `timeout: 5s}`,
		"FunctionName: a, Timeout: !If [Dev, !Ref 'AWS::NoValue', 6]":                                                      `timeout: 3s}`,
		"FunctionName: a, ReservedConcurrentExecutions: !If [Dev, !Ref 'AWS::NoValue', 6]":                                 `name: "a", timeout: 3s}`,
		"FunctionName: !If [Dev, !Sub 'd-${Stage}', other]":                                                                `name: "d-${Stage}", timeout: 3s}`,
		"FunctionName: !If [Unknown, d, e]":                                                                                `name: "${F}", timeout: 3s}`,
		"FunctionName: !Join ['-', [a, !Ref Stage, !Select [1, [x, y]]]]":                                                  `name: "a-${Stage}-y"`,
		"FunctionName: !Sub ['${A}-${Stage}-${!B}', {A: !Ref Open}]":                                                       `name: "${Open}-${Stage}-$${B}"`,
		"FunctionName: !Select [1, !Split ['-', a-b-c]]":                                                                   `name: "b"`,
		"FunctionName: !ImportValue x":                                                                                     `name: "${F}"`,
		"FunctionName: !Sub '${AWS::StackName}-f'":                                                                         `name: "${AWSStackName}-f"`,
		"FunctionName: !Select [9, [a]]":                                                                                   `name: "${F}"`,
		"FunctionName: '{{resolve:ssm:/a/b}}', Timeout: '{{resolve:ssm:/a/t}}'":                                            `name: "${F}"}  # the template does not have: timeout`,
		"FunctionName: !GetAtt Other.Outputs.Name":                                                                         `name: "${F}"`,
		"FunctionName: !Select [1, !If [Dev, [a, b], [c, d]]]":                                                             `name: "b"`,
		"FunctionName: a, Events: {E: {Type: SNS, Properties: {SqsSubscription: {QueueArn: !GetAtt Q.Arn}}}}":              `  - {kind: queue, name: "${Q}", of: "a"}`,
		"FunctionName: a, Events: {E: {Type: ScheduleV2, Properties: {DeadLetterConfig: {Type: SQS}}}}":                    `  - {kind: dlq, name: "${FEQueue}", of: "a"}`,
		"FunctionName: a, EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS}}}":                                `destination: true, async: true}`,
		"FunctionName: a, Events: {E: {Type: SNS, Properties: {Topic: t, SqsSubscription: true}}}":                         `  - {kind: queue, name: "${FEQueue}", of: "a"}`,
		"FunctionName: a, Events: {E: {Type: Schedule, Properties: {Schedule: rate(1 day), Enabled: false}}}":              "#   FE, a rule: it is disabled",
		"FunctionName: a, Events: {E: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), State: DISABLED}}}": "#   FE, a schedule: it is disabled",
	} {
		got := resources(t, init0(t, parameters+"  F: {Type: AWS::Serverless::Function, Properties: {"+property+"}}\n  Q: {Type: AWS::SQS::Queue}\n  Other: {Type: Custom::Thing}\n", Options{}))
		if !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwithout %s", property, got, want)
		}
	}
	text := init0(t, parameters+"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: !Sub '${Stage}-${Open}'}}\n", Options{})
	for _, want := range []string{`  Stage: {default: "dev", description: "the template's parameter Stage"}`, `  Open: {description: "the template's parameter Open"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	text = init0(t, parameters+"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: !Sub '${Stage}', Timeout: !If [Dev, 1, 2]}}\n", Options{Values: map[string]string{"Stage": "prod"}})
	if !strings.Contains(text, `Stage: {default: "prod"`) || !strings.Contains(text, "timeout: 2s") {
		t.Error(text)
	}
}

// TestDeadLetters: a dead-letter queue is one by whatever resource and reference names
// it.
func TestDeadLetters(t *testing.T) {
	const arn = "!GetAtt D.Arn"
	for _, resource := range []string{
		"{Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: %, maxReceiveCount: 3}}}",
		"{Type: AWS::Lambda::Function, Properties: {FunctionName: f, DeadLetterConfig: {TargetArn: %}}}",
		"{Type: AWS::Serverless::Function, Properties: {FunctionName: f, DeadLetterQueue: {Type: SQS, TargetArn: %}}}",
		"{Type: AWS::Lambda::EventInvokeConfig, Properties: {DestinationConfig: {OnFailure: {Destination: %}}}}",
		"{Type: AWS::Lambda::EventSourceMapping, Properties: {DestinationConfig: {OnFailure: {Destination: %}}}}",
		"{Type: AWS::Events::Rule, Properties: {Targets: [{Id: a, Arn: x, DeadLetterConfig: {Arn: %}}]}}",
		"{Type: AWS::Scheduler::Schedule, Properties: {Target: {Arn: x, DeadLetterConfig: {Arn: %}}}}",
		"{Type: AWS::SNS::Subscription, Properties: {RedrivePolicy: {deadLetterTargetArn: %}}}",
		"{Type: AWS::Pipes::Pipe, Properties: {SourceParameters: {KinesisStreamParameters: {DeadLetterConfig: {Arn: %}}}}}",
		"{Type: AWS::Serverless::StateMachine, Properties: {Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {}, DeadLetterConfig: {Arn: %}}}}}}",
	} {
		for _, reference := range []string{arn, "{Fn::GetAtt: D.Arn}", "{Fn::GetAtt: [D, Arn]}", "!Sub '${D.Arn}'", "!If [C, " + arn + ", !Ref 'AWS::NoValue']",
			"'arn:aws:sqs:eu-west-1:123456789012:d-queue'", "!Sub 'arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:d-queue'", "!Join [':', [arn:aws:sqs, !Ref 'AWS::Region', !Ref 'AWS::AccountId', d-queue]]"} {
			template := "Parameters: {P: {Type: String}}\nConditions: {C: !Equals [!Ref P, a]}\nResources:\n  R: " + strings.ReplaceAll(resource, "%", reference) + "\n  D: {Type: AWS::SQS::Queue, Properties: {QueueName: d-queue}}\n"
			if got := resources(t, init0(t, template, Options{})); !strings.Contains(got, `{kind: dlq, name: "d-queue"`) {
				t.Errorf("%s\n%s", template, got)
			}
		}
	}
	// The queue that a schedule or a rule sends to is none.
	got := resources(t, init0(t, "Resources:\n  R: {Type: AWS::Events::Rule, Properties: {Targets: [{Id: a, Arn: !GetAtt D.Arn}]}}\n  D: {Type: AWS::SQS::Queue, Properties: {QueueName: d}}", Options{}))
	if !strings.Contains(got, `{kind: queue, name: "d"}`) {
		t.Error(got)
	}
}

// TestConsumers: a queue and what it fails to belong to the function that reads it.
func TestConsumers(t *testing.T) {
	const queues = "\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, RedrivePolicy: {deadLetterTargetArn: !GetAtt D.Arn}}}\n  D: {Type: AWS::SQS::Queue, Properties: {QueueName: d}}\n"
	for _, function := range []string{
		"  F: {Type: AWS::Serverless::Function, Properties: {FunctionName: f, Events: {E: {Type: SQS, Properties: {Queue: !GetAtt Q.Arn}}}}}",
		"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}\n  M: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref F, EventSourceArn: !GetAtt Q.Arn}}",
		"  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: f}}\n  L: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref F, Name: live}}\n  M: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref L, EventSourceArn: !GetAtt Q.Arn}}",
	} {
		got := resources(t, init0(t, "Resources:\n"+function+queues, Options{}))
		if !strings.Contains(got, `{kind: queue, name: "q", of: "f"}`) || !strings.Contains(got, `{kind: dlq, name: "d", of: "f"}`) {
			t.Errorf("%s:\n%s", function, got)
		}
	}
}

// TestBranches: lists in Fn::If are read, both where the condition is not known; a
// resource's own condition holds where it is read; one whose condition is false is said.
func TestBranches(t *testing.T) {
	got := resources(t, init0(t, `
Parameters: {Open: {Type: String}, Stage: {Type: String, Default: dev}}
Conditions: {Unknown: !Equals [!Ref Open, x], Prod: !Equals [!Ref Stage, prod]}
Mappings: {M: {dev: {names: [m, n]}}}
Resources:
  F: {Type: AWS::Lambda::Function, Condition: Unknown, Properties: {FunctionName: f, Timeout: !If [Unknown, 4, 5]}}
  G: {Type: AWS::Lambda::Function, Properties: {FunctionName: g, Timeout: 6}}
  C: {Type: AWS::Lambda::EventInvokeConfig, Properties: {FunctionName: !Ref G, Qualifier: live, DestinationConfig: {OnSuccess: {Destination: arn}}}}
  R: {Type: AWS::Events::Rule, Properties: {Name: r, Targets: !If [Unknown, [{Id: a, Arn: !GetAtt F.Arn, DeadLetterConfig: {Arn: !GetAtt D.Arn}}], []]}}
  D: {Type: AWS::SQS::Queue, Properties: {QueueName: d}}
  S: {Type: AWS::SQS::Queue, Properties: {QueueName: s, RedrivePolicy: '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:j", "maxReceiveCount": 3}'}}
  J: {Type: AWS::SQS::Queue, Properties: {QueueName: j}}
  T: {Type: AWS::DynamoDB::Table, Properties: {TableName: t, GlobalSecondaryIndexes: !If [Prod, [{IndexName: p}], [{IndexName: i}]]}}
  P: {Type: AWS::SQS::Queue, Condition: Prod}
  Fn::ForEach::Known: [N, !FindInMap [M, !Ref Stage, names], {"Q${N}": {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${N}-q"}}}]
  Fn::ForEach::Unknown: [N, !Ref Open, {"Q${N}": {Type: AWS::SQS::Queue}}]
`, Options{}))
	want := `  - {kind: lambda, name: "f", timeout: 4s, async: true}
  - {kind: lambda, name: "g", timeout: 6s, destination: true, async: true}
  - {kind: event-rule, name: "r", dlq: "d", of: "f"}
  - {kind: queue, name: "s"}
  - {kind: queue, name: "m-q"}
  - {kind: queue, name: "n-q"}
  - {kind: dlq, name: "d", of: "f"}
  - {kind: dlq, name: "j"}
  - {kind: dynamodb, name: "t", indexes: ["i"]}
#   Fn::ForEach::Unknown, a loop: the template does not have its collection
#   P, AWS::SQS::Queue: its condition Prod is false`
	if got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}

// TestTargets: a rule belongs to the function that it invokes, by whatever names that.
func TestTargets(t *testing.T) {
	for _, target := range []string{
		"!GetAtt F.Arn", "!Ref F.Alias", "!Ref L", "!Sub '${F.Arn}:live'", "!Sub 'arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:f-${S}'",
		"!Sub 'arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:f-${S}:live'", "!Join [':', [!GetAtt F.Arn, live]]", "!If [Unknown, !GetAtt F.Arn, !Ref L]",
	} {
		got := resources(t, init0(t, "Parameters: {S: {Type: String, Default: dev}}\nConditions: {Unknown: !Equals [!Ref 'AWS::Region', x]}\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Sub 'f-${S}', AutoPublishAlias: live}}\n"+
			"  L: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref F, Name: live}}\n  R: {Type: AWS::Events::Rule, Properties: {Name: r, Targets: [{Id: a, Arn: "+target+"}]}}\n", Options{}))
		if !strings.Contains(got, `name: "r", of: "f-${S}"}`) {
			t.Errorf("%s:\n%s", target, got)
		}
	}
}

// TestStack: names and parameters of the deployed stack are taken for what they are.
func TestStack(t *testing.T) {
	text := init0(t, `
Parameters: {Stage: {Type: String}}
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Timeout: !FindInMap [M, !Ref Stage, t]}}
  Q: {Type: AWS::SQS::Queue}
  B: {Type: AWS::Events::EventBus, Properties: {Name: !Sub 'b-${Stage}'}}
  R: {Type: AWS::Events::Rule, Properties: {EventBusName: !Ref B, EventPattern: {}}}
Mappings: {M: {prod: {t: 9}}}
`, Options{Values: map[string]string{"Stage": "prod", "AWS::StackName": "s"}, Physical: map[string]string{"F": "s-F-1", "Q": "https://sqs.eu-west-1.amazonaws.com/123456789012/s-Q-2", "B": "b-prod", "R": "b-prod|s-R-3"}})
	want := `  - {kind: lambda, name: "s-F-1", timeout: 9s}
  - {kind: event-rule, bus: "b-prod", name: "s-R-3"}
  - {kind: queue, name: "s-Q-2"}
`
	if got := resources(t, text); got != want || strings.Contains(text, "parameters:") {
		t.Errorf("%s", text)
	}
}

// TestNested: a nested stack whose template is there is read with what the outer one
// gives it.
func TestNested(t *testing.T) {
	o := Options{Open: func(path string) ([]byte, error) {
		if path != "./inner.yaml" {
			return nil, errors.New("no " + path)
		}
		return []byte("Outputs: {Queue: {Value: !GetAtt Q.QueueName}}\nParameters: {Name: {Type: String, Default: x}, Time: {Type: Number}, Reads: {Type: String}}\nResources:\n  F: {Type: AWS::Lambda::Function, Properties: {FunctionName: !Sub 'n-${Name}', Timeout: !Ref Time}}\n  Q: {Type: AWS::SQS::Queue}\n  M: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref F, EventSourceArn: !Ref Reads}}\n"), nil
	}}
	text := init0(t, `
Parameters: {Stage: {Type: String}}
Resources:
  Inner: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./inner.yaml, Parameters: {Name: !Ref Stage, Time: 8, Reads: !GetAtt Q.Arn}}}
  Other: {Type: AWS::Serverless::Application, Properties: {Location: other.yaml}}
  Away: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://s3.amazonaws.com/a/b"}}
  Q: {Type: AWS::SQS::Queue}
  G: {Type: AWS::Lambda::Function, Properties: {FunctionName: !Sub "of-${Inner.Outputs.Queue}"}}
`, o)
	want := `  - {kind: lambda, name: "n-${Stage}", timeout: 8s}
  - {kind: lambda, name: "of-${InnerQ}", timeout: 3s}
  - {kind: queue, name: "${InnerQ}"}
  - {kind: queue, name: "${Q}", of: "n-${Stage}"}
#   Other, AWS::Serverless::Application: the template of a nested stack was not found: no other.yaml
#   Away, AWS::CloudFormation::Stack: the template of a nested stack was not found: run init on that template`
	if got := resources(t, text); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}

// TestNestedInItself: a template that nests itself many times over ends.
func TestNestedInItself(t *testing.T) {
	template := "Resources:\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}\n"
	for i := range 50 {
		template += fmt.Sprintf("  S%d: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: self.yaml}}\n", i)
	}
	reads := 0
	o := Options{Name: "s", Open: func(string) ([]byte, error) { reads++; return []byte(template), nil }}
	if _, err := Spec([]byte(template), o); err != nil || reads > maxNested {
		t.Error(reads, err)
	}
}

// TestForEach: loops are written out.
func TestForEach(t *testing.T) {
	got := resources(t, init0(t, `
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: "a, b"}}
Resources:
  Fn::ForEach::Each:
    - Name
    - !Ref Names
    - "Queue${Name}": {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "q-${Name}"}}
  Fn::ForEach::Outer:
    - X
    - [1, 2]
    - Fn::ForEach::Inner: [Y, [p, q], {"T${X}${Y}": {Type: AWS::DynamoDB::Table, Properties: {TableName: !Join ['-', [t, !Ref X, !Ref Y]]}}}]
`, Options{}))
	want := `  - {kind: queue, name: "q-a"}
  - {kind: queue, name: "q-b"}
  - {kind: dynamodb, name: "t-1-p"}
  - {kind: dynamodb, name: "t-1-q"}
  - {kind: dynamodb, name: "t-2-p"}
  - {kind: dynamodb, name: "t-2-q"}
`
	if got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}

// TestNotify: with topics they are told; without, the spec says that nobody is.
func TestNotify(t *testing.T) {
	const template = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}}"
	if text := init0(t, template, Options{}); !strings.Contains(text, "\nnotify: none\n") {
		t.Error(text)
	}
	text := init0(t, template, Options{Notify: []string{"arn:aws:sns:eu-west-1:123456789012:a"}})
	if s := clean(t, []byte(text)); len(s.Alarms[0].Actions) != 1 {
		t.Error(text)
	}
}
