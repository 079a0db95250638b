package plan

import (
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/template"
)

// The account and the Region of the local services.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + Region + ":" + Account + ":" + resource
}

// FunctionARN returns the ARN of a function.
func FunctionARN(name string) string { return arn("lambda", "function:"+name) }

// QueueARN returns the ARN of a queue.
func QueueARN(name string) string { return arn("sqs", name) }

// TopicARN returns the ARN of a topic.
func TopicARN(name string) string { return arn("sns", name) }

// RuleARN returns the ARN of a rule on a bus.
func RuleARN(bus, name string) string {
	if bus == "default" {
		return arn("events", "rule/"+name)
	}
	return arn("events", "rule/"+bus+"/"+name)
}

// BusARN returns the ARN of a bus.
func BusARN(name string) string { return arn("events", "event-bus/"+name) }

// kinds are the service and the resource prefix in the ARNs of each type.
var kinds = map[string][2]string{
	"AWS::Lambda::Function":            {"lambda", "function:"},
	"AWS::Serverless::Function":        {"lambda", "function:"},
	"AWS::SQS::Queue":                  {"sqs", ""},
	"AWS::SNS::Topic":                  {"sns", ""},
	"AWS::Events::EventBus":            {"events", "event-bus/"},
	"AWS::Events::Rule":                {"events", "rule/"},
	"AWS::DynamoDB::Table":             {"dynamodb", "table/"},
	"AWS::DynamoDB::GlobalTable":       {"dynamodb", "table/"},
	"AWS::Serverless::SimpleTable":     {"dynamodb", "table/"},
	"AWS::StepFunctions::StateMachine": {"states", "stateMachine:"},
	"AWS::Serverless::StateMachine":    {"states", "stateMachine:"},
	"AWS::Lambda::LayerVersion":        {"lambda", "layer:"},
	"AWS::Serverless::LayerVersion":    {"lambda", "layer:"},
	"AWS::Kinesis::Stream":             {"kinesis", "stream/"},
	"AWS::IAM::Role":                   {"iam", "role/"},
	"AWS::Logs::LogGroup":              {"logs", "log-group:"},
	"AWS::Events::ApiDestination":      {"events", "api-destination/"},
	"AWS::SecretsManager::Secret":      {"secretsmanager", "secret:"},
}

// arnOf returns the ARN of a resource. For a type that is not in kinds, the ARN only
// names the service.
func arnOf(r template.Resource) string {
	kind, known := kinds[r.Type]
	switch {
	case r.Type == "AWS::S3::Bucket":
		return "arn:aws:s3:::" + bucketName(r)
	case known:
		return arn(kind[0], kind[1]+nameOf(r))
	}
	service := strings.Split(r.Type+"::::", "::")[1]
	return arn(strings.ToLower(service), r.Name)
}

// nameOf returns the resource's name. The name of a FIFO queue or topic ends with .fifo.
func nameOf(r template.Resource) string {
	for _, property := range []string{"FifoQueue", "FifoTopic"} {
		if r.Property(property).True() && !strings.HasSuffix(r.Name, ".fifo") {
			return r.Name + ".fifo"
		}
	}
	return r.Name
}

// bucketName returns a valid bucket name.
func bucketName(r template.Resource) string { return strings.ToLower(r.Name) }

// give returns what Ref (attribute "") or Fn::GetAtt returns for a resource.
func (o Options) give(l *template.Local, r template.Resource, attribute string) string {
	switch {
	case r.Type == newBusType && (attribute == "" || strings.HasSuffix(attribute, "Arn")):
		return NewBusARN(r.Name)
	case r.Type == subscriberType && attribute == "":
		return arn("events", "subscriber/"+r.Name+"/"+NewBusID(r.Name))
	case r.Type == subscriberType && attribute == "BusName":
		return NewBusName(l.Text(r.Property("EventBusArn")))
	case attribute == "Arn" || strings.HasSuffix(attribute, "Arn") && attribute != "StreamArn":
		if r.Type == "AWS::Serverless::Function" || r.Type == "AWS::Lambda::Function" {
			return FunctionARN(r.Name)
		}
		return arnOf(r)
	case attribute == "StreamArn":
		return arnOf(r) + "/stream/local"
	case r.Type == "AWS::SQS::Queue" && (attribute == "" || attribute == "QueueUrl"):
		return o.Queues + "/" + Account + "/" + nameOf(r)
	case attribute == "FunctionUrl" || attribute == "ApiEndpoint":
		return o.API + "/" + r.ID
	case attribute == "Alias" || attribute == "Version":
		return FunctionARN(r.Name)
	case attribute == "" && (r.Type == "AWS::Lambda::Alias" || r.Type == "AWS::Lambda::Version"):
		return FunctionARN(NameOf(l.Text(r.Property("FunctionName"))))
	case attribute == "" && (r.Type == "AWS::SNS::Topic" || strings.HasSuffix(r.Type, "StateMachine")):
		return arnOf(r)
	case attribute == "" && strings.HasSuffix(r.Type, "LayerVersion"):
		return arn("lambda", "layer:"+r.ID+":1")
	case attribute == "" && r.Type == "AWS::S3::Bucket":
		return bucketName(r)
	case attribute == "" || strings.HasSuffix(attribute, "Name") || attribute == "Name":
		return nameOf(r)
	default:
		return r.ID + "." + attribute
	}
}

// NameOf returns the name in an ARN, a URL or a name, without alias and version.
func NameOf(text string) string {
	if rest, ok := strings.CutPrefix(text, "arn:"); ok {
		if _, of, found := strings.Cut(rest, ":function:"); found {
			name, _, _ := strings.Cut(of, ":")
			return name
		}
	}
	if strings.HasPrefix(text, "arn:") || strings.Contains(text, "://") {
		return text[strings.LastIndexAny(text, ":/")+1:]
	}
	return text
}

// ServiceOf returns the service of an ARN, or "" for other text.
func ServiceOf(text string) string {
	if parts := strings.SplitN(text, ":", 4); len(parts) == 4 && parts[0] == "arn" {
		return parts[2]
	}
	return ""
}
