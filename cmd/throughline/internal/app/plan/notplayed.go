package plan

import "strings"

// silent are the types without a message: they are handled here, or have no meaning on
// one machine.
var silent = map[string]bool{
	"AWS::Lambda::Permission": true, "AWS::Lambda::Version": true, "AWS::Lambda::Alias": true, "AWS::Lambda::LayerVersion": true,
	"AWS::Serverless::LayerVersion": true, "AWS::Lambda::LayerVersionPermission": true, "AWS::Scheduler::ScheduleGroup": true,
	"AWS::SNS::TopicPolicy": true, "AWS::SQS::QueuePolicy": true, "AWS::SQS::QueueInlinePolicy": true, "AWS::Events::EventBusPolicy": true, "AWS::EventsV2::ResourcePolicy": true, "AWS::S3::BucketPolicy": true,
	"AWS::Events::Archive": true, "AWS::CDK::Metadata": true, "AWS::CloudFormation::WaitConditionHandle": true, "AWS::Serverless::Connector": true,
	"AWS::ApiGateway::Account": true, "AWS::ApiGateway::Deployment": true, "AWS::ApiGateway::Stage": true, "AWS::ApiGatewayV2::Stage": true, "AWS::ApiGatewayV2::Deployment": true,
}

// reasons are the reasons why types are not played, by prefix of the type.
var reasons = []struct{ prefix, why string }{
	{"AWS::StepFunctions::", "state machines are not played"},
	{"AWS::Serverless::StateMachine", "state machines are not played"},
	{"AWS::Pipes::", "pipes are not played"},
	{"AWS::Kinesis", "streams are not played"},
	{"AWS::ECS::", "containers are not played"},
	{"AWS::ECR::", "containers are not played"},
	{"AWS::Batch::", "containers are not played"},
	{"AWS::AppRunner::", "containers are not played"},
	{"AWS::ElasticLoadBalancing", "load balancers are not played"},
	{"AWS::EC2::", "networks are not played"},
	{"AWS::ApiGateway", "raw API Gateway resources are not read: Api and HttpApi events of functions are played"},
	{"AWS::EventsV2::EventSource", "events of services and partners are not played: send one with throughline dev send"},
	{"AWS::Events::ApiDestination", "API destinations are not played"},
	{"AWS::Events::Connection", "API destinations are not played"},
	{"AWS::SecretsManager::", "secrets are not played: give the function the value with --env"},
	{"AWS::SSM::", "parameters are not played: give the function the value with --env"},
	{"AWS::Cognito::", "user pools are not played"},
	{"AWS::AppSync::", "GraphQL APIs are not played"},
	{"AWS::Serverless::GraphQLApi", "GraphQL APIs are not played"},
	{"AWS::RDS::", "only DynamoDB databases are played"},
	{"AWS::ElastiCache::", "caches are not played"},
	{"AWS::CloudFormation::CustomResource", "custom resources are not run"},
	{"Custom::", "custom resources are not run"},
}

// passive are the services whose resources configure, monitor or authorize others.
var passive = []string{"IAM", "Logs", "CloudWatch", "KMS", "CodeDeploy", "XRay", "Budgets", "ApplicationAutoScaling", "SAM", "ServiceCatalogAppRegistry", "EventSchemas", "ResourceGroups", "Synthetics"}

// why returns the reason why a type is not played, or "" if there is no message.
func why(typ string) string {
	if silent[typ] || typ == "" {
		return ""
	}
	for _, r := range reasons {
		if strings.HasPrefix(typ, r.prefix) {
			return r.why
		}
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(typ, "AWS::"), "::")
	for _, p := range passive {
		if service == p {
			return ""
		}
	}
	return "this type is not supported"
}
