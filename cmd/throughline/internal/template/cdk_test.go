package template

import "testing"

// TestCDK: a template as the CDK writes one, in JSON, with names by Fn::Join and Fn::Select.
func TestCDK(t *testing.T) {
	got := resources(t, init0(t, `{"Resources": {
  "Dlq": {"Type": "AWS::SQS::Queue", "Metadata": {"aws:cdk:path": "S/Dlq/Resource"}},
  "Q": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dlq", "Arn"]}, "maxReceiveCount": 3}}},
  "Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 30, "FunctionName": {"Fn::Join": ["", ["svc-", {"Ref": "AWS::Region"}, "-fn"]]}, "LoggingConfig": {"LogGroup": {"Ref": "Logs"}}}},
  "Logs": {"Type": "AWS::Logs::LogGroup"},
  "Map": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"FunctionName": {"Ref": "Fn"}, "EventSourceArn": {"Fn::GetAtt": ["Q", "Arn"]}}},
  "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "bus"}},
  "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": ["Bus", "Arn"]}]}]}]}]},
    "EventPattern": {"source": ["x"]}, "Targets": [{"Arn": {"Fn::Join": ["", [{"Fn::GetAtt": ["Fn", "Arn"]}, ":live"]]}, "Id": "T", "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Dlq", "Arn"]}}}]}},
  "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Condition": "Known"}
}, "Conditions": {"Known": {"Fn::Or": [{"Fn::Or": [{"Fn::Equals": [{"Ref": "AWS::Region"}, "af-south-1"]}]}]}}}`, Options{}))
	want := `  - {kind: lambda, name: "svc-${AWSRegion}-fn", timeout: 30s, async: true}
  - {kind: event-rule, bus: "bus", name: "${Rule}", dlq: "${Dlq}", of: "svc-${AWSRegion}-fn"}
  - {kind: queue, name: "${Q}", of: "svc-${AWSRegion}-fn"}
  - {kind: dlq, name: "${Dlq}", of: "svc-${AWSRegion}-fn"}
`
	if got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}
