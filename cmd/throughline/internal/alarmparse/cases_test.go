package alarmparse

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
)

func lint(t *testing.T, file string, values map[string]string) (alarms.Set, map[string][]alarms.Finding) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := CloudFormation(data, values)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]alarms.Finding{}
	for _, f := range alarms.Lint(s) {
		found[f.Alarm] = append(found[f.Alarm], f)
	}
	return s, found
}

// TestValid: what CloudWatch takes and can fire is not refused: anomaly detection,
// Metrics Insights, METRICS(), parameters, metrics that AWS documents.
func TestValid(t *testing.T) {
	s, found := lint(t, "valid.yaml", nil)
	for _, findings := range found {
		for _, f := range findings {
			if !f.Warning {
				t.Errorf("%s", f)
			}
		}
	}
	for _, a := range s.Alarms {
		if a.Name == "Params" && (a.EvaluationPeriods != 3 || a.Period() != 60 || a.Comparison != alarms.Less || a.Threshold != 3) {
			t.Errorf("%+v", a)
		}
	}
	// The values of parameters are held to the same.
	if _, found := lint(t, "valid.yaml", map[string]string{"P": "45"}); len(found["Params"]) == 0 {
		t.Error("a period of 45 s passes")
	}
}

// TestDead: what can never fire is named, and why.
func TestDead(t *testing.T) {
	s, found := lint(t, "dead.yaml", nil)
	for alarm, want := range map[string]string{
		"QueueRefIsUrl": "is a URL", "QueueArn": "is an ARN", "FnArn": "is an ARN", "FnArnLiteral": "is an ARN", "QueueUrlLiteral": "is a URL", "FnAlias": "not with Alias",
		"RuleArn": "is an ARN", "RuleRefBus": "is what Ref returns for a rule on a custom bus", "DefaultBusDim": "RuleName only", "BusArnDim": "is an ARN", "FnSubArn": "is an ARN",
		"WrongUnit": "published in Count, not in Seconds", "PctOver100": "at most 100", "DurInSeconds": "in milliseconds", "LowErrors": "never below 0", "InvLow": "treat missing data as breaching",
		"TwoOfTwoSparse": "20 of 20 datapoints must breach", "HiResOnAws": "a period of 10 s",
	} {
		text := ""
		for _, f := range found[alarm] {
			text += f.Message + "\n"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q, without %q", alarm, text, want)
		}
	}
	if len(s.Alarms) != 19 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Message, "NoActions: AlarmActions is an empty list") {
		t.Errorf("%d alarms, %v", len(s.Alarms), s.Notes)
	}
}

// TestMoreDead: kinds of slips like those of dead.yaml, in other forms.
func TestMoreDead(t *testing.T) {
	const head = `
Mappings: {M: {a: {u: Bytes}}}
Parameters: {Ten: {Type: Number, Default: 10}}
Resources:
  Q: {Type: AWS::SQS::Queue}
  F: {Type: AWS::Lambda::Function}
  V: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref F}}
  L: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref F, Name: live}}
  A:
    Type: AWS::CloudWatch::Alarm
    Properties: {EvaluationPeriods: 1, Period: 60, Statistic: Sum, Threshold: 0, ComparisonOperator: GreaterThanThreshold, TreatMissingData: notBreaching, `
	const queue, function = "Dimensions: [{Name: QueueName, Value: q}]", "Dimensions: [{Name: FunctionName, Value: f}]"
	for properties, want := range map[string]string{
		"Namespace: AWS/SQS, MetricName: NumberOfMessagesSent, Dimensions: [{Name: QueueName, Value: !Sub '${Q}'}]":                                                                                "is a URL",
		"Namespace: AWS/SQS, MetricName: NumberOfMessagesSent, Dimensions: [{Name: QueueName, Value: !GetAtt Q.QueueUrl}]":                                                                         "is a URL",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref L}]":                                                                                             "is an ARN",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref V}]":                                                                                             "is an ARN",
		"Namespace: AWS/lambda, MetricName: Errors, " + function:                                                                                                                                   "there is no namespace AWS/lambda: write AWS/Lambda",
		"Namespace: AWS/Lambda, MetricName: Errors, Period: !Ref Ten, " + function:                                                                                                                 "a period of 10 s",
		"Namespace: AWS/Lambda, MetricName: Errors, Statistic: Maximum, Threshold: 1, " + function:                                                                                                 "is at most 1",
		"Namespace: AWS/Lambda, MetricName: ProvisionedConcurrencyUtilization, Statistic: Maximum, Threshold: 80, Dimensions: [{Name: FunctionName, Value: f}, {Name: Resource, Value: 'f:live'}]": "it is a fraction between 0 and 1",
		"Namespace: AWS/Lambda, MetricName: Duration, Statistic: SampleCount, Threshold: 1, ComparisonOperator: LessThanThreshold, TreatMissingData: missing, " + function:                         "treat missing data as breaching",
		"Namespace: AWS/Events, MetricName: TriggeredRules, Threshold: 1, ComparisonOperator: LessThanThreshold, Dimensions: [{Name: RuleName, Value: r}]":                                         "treat missing data as breaching",
		"Namespace: AWS/Events, MetricName: FailedInvocations, EvaluationPeriods: 30, Dimensions: [{Name: RuleName, Value: r}]":                                                                    "30 of 30 datapoints must breach",
		"Namespace: AWS/Lambda, MetricName: IteratorAge, Statistic: Maximum, Threshold: 60, " + function:                                                                                           "in milliseconds",
		"Namespace: AWS/SQS, MetricName: ApproximateNumberOfMessagesVisible, Statistic: Maximum, Unit: !FindInMap [M, a, u], " + queue:                                                             "published in Count, not in Bytes",
	} {
		s, err := CloudFormation([]byte(head+properties+"}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(alarms.Lint(s)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, without %q", properties, got, want)
		}
	}
	s, err := CloudFormation([]byte(head+"ActionsEnabled: false, AlarmActions: ['arn:aws:sns:eu-west-1:1:t'], Namespace: N, MetricName: M}\n"), nil)
	if err != nil || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Message, "ActionsEnabled is false: the alarm notifies nobody") {
		t.Error(s.Notes, err)
	}
}

// TestSecondDead: more forms of dead alarms, each with what lint says.
func TestSecondDead(t *testing.T) {
	const head = `
Resources:
  R: {Type: AWS::ApiGateway::RestApi, Properties: {Name: shop}}
  H: {Type: AWS::Serverless::HttpApi}
  M: {Type: AWS::Serverless::StateMachine}
  F: {Type: AWS::Serverless::Function, Properties: {AutoPublishAlias: live}}
  A:
    Type: AWS::CloudWatch::Alarm
    Properties: {EvaluationPeriods: 1, Period: 60, Statistic: Sum, Threshold: 0, ComparisonOperator: GreaterThanThreshold, TreatMissingData: notBreaching, `
	for properties, want := range map[string]string{
		"Namespace: AWS/ApiGateway, MetricName: 5XXError, Dimensions: [{Name: ApiName, Value: !Ref R}]":                                                                                          "error: it can never fire: the value of ApiName is the API's ID",
		"Namespace: AWS/ApiGateway, MetricName: 5XXError, Dimensions: [{Name: ApiName, Value: !Sub '${R.RestApiId}'}]":                                                                           "error: it can never fire: the value of ApiName is the API's ID",
		"Namespace: AWS/ApiGateway, MetricName: 5XXError, Dimensions: [{Name: ApiName, Value: !Ref H}]":                                                                                          "error: it can never fire: the value of ApiName is the ID of an HTTP API",
		"Namespace: AWS/ApiGateway, MetricName: 5XXError, Dimensions: [{Name: ApiName, Value: shop}]":                                                                                            "",
		"Namespace: AWS/ApiGateway, MetricName: 4xx, Dimensions: [{Name: ApiId, Value: !Ref H}]":                                                                                                 "",
		"Namespace: AWS/ApiGateway, MetricName: 5XXError, Statistic: Average, Threshold: 5, Dimensions: [{Name: ApiName, Value: shop}]":                                                          "error: it can never fire: it is 0 or 1 for each request",
		"Namespace: AWS/States, MetricName: ExecutionsFailed, Dimensions: [{Name: StateMachineArn, Value: !GetAtt M.Name}]":                                                                      "error: it can never fire: the value of StateMachineArn is the state machine's name",
		"Namespace: AWS/States, MetricName: ExecutionsFailed, Dimensions: [{Name: StateMachineArn, Value: orders}]":                                                                              "error: it can never fire: StateMachineArn \"orders\" is not an ARN",
		"Namespace: AWS/States, MetricName: ExecutionsFailed, Dimensions: [{Name: StateMachineArn, Value: !Ref M}]":                                                                              "",
		"Namespace: AWS/States, MetricName: ExecutionsFailed, Dimensions: [{Name: StateMachineArn, Value: '{{resolve:ssm:/machine}}'}]":                                                          "",
		"Namespace: AWS/States, MetricName: ExecutionsFailed, Dimensions: [{Name: StateMachineArn, Value: !ImportValue machine}]":                                                                "",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref F.Alias}]":                                                                                     "error: it can never fire: FunctionName \"arn:",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Sub '${F.Version}'}]":                                                                              "error: it can never fire: FunctionName \"arn:",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: 'orders:live'}]":                                                                                    "error: it can never fire: FunctionName \"orders:live\" is a name with an account or an alias",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: '123456789012:function:orders'}]":                                                                   "error: it can never fire: FunctionName",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: '{{resolve:ssm:/a/b}}'}]":                                                                           "",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: o}, {Name: Resource, Value: live}]":                                                                 "error: it can never fire: Resource \"live\"",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref F}, {Name: Resource, Value: live}]":                                                            "error: it can never fire: Resource \"live\"",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: o}, {Name: Resource, Value: p:live}]":                                                               "error: it can never fire: Resource \"p:live\"",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: o}, {Name: Resource, Value: o}]":                                                                    "",
		"Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{Name: FunctionName, Value: !Ref F}, {Name: Resource, Value: !Sub '${F}:live'}]":                                                "",
		"Namespace: AWS/Lambda, MetricName: Errors, Statistic: Minimum, Threshold: 1, Dimensions: [{Name: FunctionName, Value: o}]":                                                              "error: it can never fire: Errors is 0 or 1 for each invocation, so its Minimum is at most 1",
		"Namespace: AWS/Lambda, MetricName: Errors, Threshold: -1, Dimensions: [{Name: FunctionName, Value: o}]":                                                                                 "warning: every datapoint breaches > -1",
		"Namespace: AWS/Lambda, MetricName: Invocations, ComparisonOperator: GreaterThanOrEqualToThreshold, Dimensions: [{Name: FunctionName, Value: o}]":                                        "warning: every datapoint breaches >= 0",
		"Namespace: AWS/Lambda, MetricName: Duration, Statistic: null, ExtendedStatistic: 'PR(1000:)', Threshold: 5, Dimensions: [{Name: FunctionName, Value: o}]":                               "",
		"Namespace: AWS/Lambda, MetricName: Duration, Statistic: null, ExtendedStatistic: 'TS(:)', Threshold: 5000000, Dimensions: [{Name: FunctionName, Value: o}]":                             "",
		"Namespace: AWS/Lambda, MetricName: Url5xxCount, Dimensions: [{Name: FunctionName, Value: o}]":                                                                                           "",
		"Namespace: AWS/Lambda, MetricName: OffsetLag, Statistic: Maximum, Threshold: 9, Dimensions: [{Name: FunctionName, Value: o}, {Name: EventSourceMappingUUID, Value: u}]":                 "",
		"Namespace: AWS/SQS, MetricName: NumberOfMessagesSent, Dimensions: [{Name: QueueName, Value: orders-dlq}]":                                                                               "warning: NumberOfMessagesSent does not count",
		"Namespace: AWS/SQS, MetricName: NumberOfMessagesSent, Dimensions: [{Name: QueueName, Value: sqs.eu-west-1.amazonaws.com/1/o}]":                                                          "error: it can never fire: QueueName",
		"Namespace: AWS/States, MetricName: ExecutionsStarted, Threshold: 1, ComparisonOperator: LessThanThreshold, Dimensions: [{Name: StateMachineArn, Value: !Ref M}]":                        "warning: it may never fire",
		"Namespace: AWS/SNS, MetricName: NumberOfMessagesPublished, Threshold: 1, ComparisonOperator: LessThanThreshold, Dimensions: [{Name: TopicName, Value: t}]":                              "warning: it may never fire",
		"Namespace: AWS/SNS, MetricName: NumberOfMessagesPublished, Threshold: 1, ComparisonOperator: LessThanThreshold, TreatMissingData: breaching, Dimensions: [{Name: TopicName, Value: t}]": "",
	} {
		s, err := CloudFormation([]byte(head+properties+"}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range alarms.Lint(s) {
			level := "error: "
			if f.Warning {
				level = "warning: "
			}
			got += level + f.Message + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %s, not %q", properties, got, want)
		}
	}
}
