package alarmparse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
)

// TestParseOthers: alarms that others wrote, a template with a rule on a custom
// bus and commands of a checklist, are read so that lint can name their slips.
func TestParseOthers(t *testing.T) {
	s, err := CloudFormation([]byte(`
Resources:
  Rule: {Type: AWS::Events::Rule, Properties: {EventBusName: orders, EventPattern: {}}}
  Failed:
    Type: AWS::CloudWatch::Alarm
    Properties: {Namespace: AWS/Events, MetricName: FailedInvocations, Dimensions: [{Name: RuleName, Value: !Ref Rule}], Statistic: Sum, Period: 60, EvaluationPeriods: 1,
      Threshold: 1, ComparisonOperator: GreaterThanThreshold, TreatMissingData: notBreaching}
  Index:
    Type: AWS::CloudWatch::Alarm
    Properties: {AlarmName: !Sub "${AWS::StackName}-x", Namespace: AWS/DynamoDB, MetricName: ReadThrottleEvents, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 10, ComparisonOperator: GreaterThanThreshold,
      Dimensions: [{Name: TableName, Value: !GetAtt T.Name}, {Name: GlobalSecondaryIndex, Value: i}]}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(alarms.Lint(s))
	for _, want := range []string{"line 4: Failed: RuleName", "write EventBusName=orders", "line 8: ${AWSStackName}-x: it can never fire", "GlobalSecondaryIndexName"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	s, err = Shell([]byte(`
# from a list of alarms to add
aws cloudwatch put-metric-alarm \
  --alarm-name EventBridgeDLQDepth \
  --alarm-description "Alert when DLQ has messages" \
  --metric-name ApproximateNumberOfMessagesVisible \
  --namespace AWS/SQS --statistic Sum --period 300 --threshold 1 \
  --comparison-operator GreaterThanThreshold
aws cloudwatch put-metric-alarm --alarm-name LambdaErrors --metric-name Errors --namespace AWS/Lambda \
  --dimensions Name=FunctionName,Value=$FN --statistic Sum --period 300 --threshold 5 --comparison-operator GreaterThanThreshold --tags Key=a,Value=b
`))
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Sprint(alarms.Lint(s))
	for _, want := range []string{"line 3: EventBridgeDLQDepth: no evaluation periods", "published with QueueName, not with no dimension", "is a level, not a count", "> 1 does not fire on a single message", "line 9: LambdaErrors: no evaluation periods"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if a := s.Alarms[1]; a.Stats()[0].Dimensions[0].Value != "${FN}" || a.Tags[0].Value != "b" || s.Alarms[0].Description != "Alert when DLQ has messages" {
		t.Errorf("%+v", a)
	}
	for script, want := range map[string]string{"ls": "does not call aws", "aws 'x": "is not closed", "aws \"x": "is not closed", "aws cloudwatch put-metric-alarm --cli-input-json '{'": "--cli-input-json"} {
		if _, err := Shell([]byte(script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
	for template, want := range map[string]string{"": "no Resources", "a: [": "not YAML"} {
		if _, err := CloudFormation([]byte(template), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", template, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("aws cloudwatch put-metric-alarm --alarm-name \"$A\" --dimensions Name=a,Value='b'")
	f.Add("Resources: {A: {Type: AWS::CloudWatch::Alarm, Properties: {Metrics: [{Id: a}]}}}")
	f.Fuzz(func(_ *testing.T, text string) {
		if s, err := Shell([]byte(text)); err == nil {
			alarms.Lint(s)
		}
		if s, err := CloudFormation([]byte(text), nil); err == nil {
			alarms.Lint(s)
		}
	})
}

func ExampleCloudFormation() {
	s, err := CloudFormation([]byte(`{"Resources": {"Errors": {"Type": "AWS::CloudWatch::Alarm", "Properties": {
		"Namespace": "AWS/DynamoDB", "MetricName": "UserErrors", "Dimensions": [{"Name": "TableName", "Value": "orders"}], "Statistic": "Sum", "Period": 60,
		"EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching"}}}}`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(alarms.Lint(s)[0])
	// Output: line 1: Errors: it can never fire: UserErrors is published with no dimension, not with TableName
}
