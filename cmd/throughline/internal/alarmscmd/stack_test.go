package alarmscmd

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// TestDeployedStack: init --stack takes the names that CloudFormation gave and the
// parameters that the stack was made with, so that no verb needs a --set.
func TestDeployedStack(t *testing.T) {
	inMoto(t)
	// moto does not resolve Ref of a bus here.
	const template = `
Parameters: {Stage: {Type: String, Default: dev}}
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub "bus-${Stage}"}}
  Rule: {Type: AWS::Events::Rule, Properties: {EventBusName: !Sub "bus-${Stage}", EventPattern: {source: [a]}}}
  Queue: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}}}
  Dead: {Type: AWS::SQS::Queue}
`
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	api := cloudformation.NewFromConfig(cfg)
	if _, err := api.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("orders-prod"), TemplateBody: aws.String(template),
		Parameters: []types.Parameter{{ParameterKey: aws.String("Stage"), ParameterValue: aws.String("prod")}}}); err != nil {
		t.Fatal(err)
	}
	out, err := api.ListStackResources(t.Context(), &cloudformation.ListStackResourcesInput{StackName: aws.String("orders-prod")})
	if err != nil {
		t.Fatal(err)
	}
	text := run(t, "alarms", "init", file(t, "template.yaml", template), "--stack", "orders-prod").want(t, 0, `bus: "bus-${Stage}"`, `Stage: {default: "prod"`).out
	for _, r := range out.StackResourceSummaries {
		id := aws.ToString(r.PhysicalResourceId)
		if id == "" { // as moto has a bus's
			continue
		}
		id = id[strings.LastIndexAny(id, "/|:")+1:]
		if !strings.Contains(text, `"`+id+`"`) {
			t.Errorf("no %s, the name of %s, in\n%s", id, aws.ToString(r.LogicalResourceId), text)
		}
	}
	spec := file(t, "alarms.yaml", text)
	run(t, "alarms", "lint", "-f", spec).want(t, 0)
	run(t, "alarms", "apply", "-f", spec, "--yes").want(t, 0, "done")
	run(t, "alarms", "plan", "-f", spec).want(t, 0, "no changes")
	run(t, "alarms", "init", file(t, "template.yaml", template), "--stack", "none-such").want(t, 3, "none-such")
}
