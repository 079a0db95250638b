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
