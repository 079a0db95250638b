package lineagetest

import (
	"encoding/base64"
	"strings"
)

// The attributes of a span, and of its links, that describe the hop by which its
// events arrived, in the order in which [Hop] writes them.
var hopKeys = []struct{ key, name string }{
	{"messaging.destination.name", "at"},
	{"throughline.message.ids", "messages"}, {"throughline.notification.ids", "notifications"}, {"throughline.s3.request_ids", "s3"},
	{"throughline.origin.request_id", "origin"}, {"throughline.origin.request_ids", "origins"}, {"throughline.execution.arn", "execution"}, {"throughline.execution.starter.arn", "starter"},
	{"throughline.task.token_hash", "token"}, {"throughline.task.token_hashes", "tokens"}, {"throughline.schedule.arn", "schedule"}, {"throughline.run.id", "run"},
}

// Hop writes the attributes that describe the hop by which a span's events arrived, as
// name=value,value. of returns the values of an attribute, none if the span lacks it;
// linked are the messages that its links name.
func Hop(of func(key string) []string, linked []string) string {
	var parts []string
	for _, k := range hopKeys {
		if values := of(k.key); len(values) > 0 {
			parts = append(parts, k.name+"="+strings.Join(values, ","))
		}
	}
	if len(linked) > 0 {
		parts = append(parts, "linked="+strings.Join(linked, ","))
	}
	return strings.Join(parts, " ")
}

// WantedHop is the expected description of the hop of a case, see [Hop].
func (c Case) WantedHop() string { return hops[c.Name] }

const (
	execution = "arn:aws:states:us-east-1:111122223333:execution:orders:run-7"
	schedule  = "arn:aws:scheduler:us-east-1:111122223333:schedule/default/day-1"
	taskToken = "AAAAKgAAAAIAAAAAAAAAAYTe9t3mZ1pVxqTjN0c0p2LhAYTe9t3mZ1pVxqTjN0c0p2LhAYTe9t3mZ1pVxqTjN0c0p2LhAYTe9t3mZ1pVxqTjN0c0p2Lh"
	// tokenHash is the beginning of the SHA-256 of taskToken.
	tokenHash = "a55dedf9a20b9525361b62986f9193a8"
)

// attributed returns a record of SQS with message attributes.
func attributed(record, attributes string) string {
	return strings.Replace(record, `"messageAttributes":{}`, `"messageAttributes":{`+attributes+`}`, 1)
}

// attribute returns an attribute as SQS passes it to Lambda ("Using Lambda with Amazon SQS").
func attribute(name, value string) string {
	return Quoted(name) + `:{"stringValue":` + Quoted(value) + `,"stringListValues":[],"binaryListValues":[],"dataType":"String"}`
}

// noted returns SNS's message with attributes, delivered directly or in a queue.
func noted(message, attributes string) string {
	if strings.Contains(message, `"MessageAttributes":{}`) {
		return strings.Replace(message, `"MessageAttributes":{}`, `"MessageAttributes":{`+attributes+`}`, 1)
	}
	return strings.TrimSuffix(message, "}") + `,"MessageAttributes":{` + attributes + `}}`
}

// hopCases are the payloads that arrive by hops outside EventBridge.
func hopCases(plain func(name, payload, span, trigger, system, id string) Case, none func(name, payload, trigger string) Case) []Case {
	const queue, topic = "aws_sqs", "aws.sns"
	// traced is a message whose sender's span is known, but not the sender's place in the workflow.
	traced := func(name, payload, span, system, id string) Case {
		c := plain(name, payload, span, "pubsub", system, id)
		c.Causations = 1
		return c
	}
	snsTraced := `"traceparent":{"Type":"String","Value":"` + Publisher + `"}`
	snsDatadog := `"_datadog":{"Type":"Binary","Value":"` + base64.StdEncoding.EncodeToString([]byte(`{"traceparent":"`+Publisher+`"}`)) + `"}`
	given := attribute("RequestID", "e4b46cbf") + "," + attribute("ErrorCode", "200") + "," + attribute("ErrorMessage", "x")
	input := `{"correlation_id":"run-3","strategy":"ftl"}`
	correlated := func(name, payload string) Case {
		return Case{Name: name, Payload: payload, Span: "process", Trigger: "other", IDs: []string{"request-1"}, Correlation: "run-3"}
	}
	bucket := onBus("env-3", "Object Created", "aws.s3", `{"version":"0","bucket":{"name":"b"},"object":{"key":"k","sequencer":"1"},"request-id":"C3D13FE58DE4C810","reason":"PutObject"}`)
	return []Case{
		{Name: "SQSBatchOfStrangers", Payload: records(sqs("m-1", "a"), attributed(sqs("m-2", "b"), attribute("traceparent", Publisher)), sqs("m-3", "c")),
			Span: "process trades", Trigger: "pubsub", System: queue, IDs: []string{"m-1", "m-2", "m-3"}, Causations: 1},
		traced("SQSTraced", records(attributed(sqs("m-1", "a"), attribute("traceparent", Publisher)+","+attribute("tracestate", "vendor=1"))), "process trades", queue, "m-1"),
		traced("SQSDatadog", records(attributed(sqs("m-1", "a"), attribute("_datadog", `{"traceparent":"`+Publisher+`"}`))), "process trades", queue, "m-1"),
		traced("SQSFromATracer", records(sqs("m-1", "a", `"AWSTraceHeader":"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0;Lineage=1:e547cb94:0"`)), "process trades", queue, "m-1"),
		traced("SNSTraced", records(noted(sns("a"), snsTraced)), "process orders", topic, "sns-0001"),
		traced("SNSDatadog", records(noted(sns("a"), snsDatadog)), "process orders", topic, "sns-0001"),
		traced("SNSToSQSTraced", records(sqs("m-1", noted(notification("a"), snsTraced))), "process trades", queue, "sns-0001"),
		traced("SNSToSQSRawTraced", records(attributed(sqs("m-1", "a"), attribute("traceparent", Publisher))), "process trades", queue, "m-1"),
		{Name: "DeadLettersOfLambda", Payload: records(attributed(sqs("m-1", Envelope), given)), Span: "process TradeExecuted", Trigger: "pubsub", System: "aws.eventbridge",
			IDs: []string{"trade-1"}, Correlation: "workflow-1", Causations: 1, Origins: 1},
		plain("AttributesOfAUserAlone", records(attributed(sqs("m-1", "a"), attribute("RequestID", "e4b46cbf"))), "process trades", "pubsub", queue, "m-1"),
		{Name: "DestinationOfAStream", Payload: `{"requestContext":{"requestId":"e4b46cbf","functionArn":"arn:aws:lambda:us-east-2:1:function:f","condition":"RetryAttemptsExhausted","approximateInvokeCount":1},` +
			`"responseContext":{"statusCode":200},"version":"1.0","timestamp":"2026-11-27T10:16:05.568Z","KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"4959","batchSize":10,"streamArn":"arn:aws:kinesis:us-east-2:1:stream/s"}}`,
			Span: "process", Trigger: "other", IDs: []string{"e4b46cbf"}, Correlation: "e4b46cbf"},
		plain("S3OnBus", bucket, "process Object Created", "pubsub", "aws.eventbridge", "env-3"),
		plain("S3ToSQS", records(sqs("m-1", records(s3))), "process trades", "pubsub", queue, "m-1"),
		plain("S3ToSNS", records(sns(records(s3))), "process orders", "pubsub", topic, "sns-0001"),
		none("StepFunctionsContext", `{"Execution":{"Id":"`+execution+`","Input":{"executionArn":"arn:aws:states:us-east-1:1:execution:other:x"},"Name":"run-7"},"State":{"Name":"s"},"StateMachine":{"Id":"x"},"Task":{"Token":"`+taskToken+`"}}`, "other"),
		correlated("StepFunctionsExecution", `{"correlation_id":"run-3","context":{"execution_arn":"`+execution+`"}}`),
		correlated("StepFunctionsNested", `{"correlation_id":"run-3","AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID":"`+execution+`"}`),
		none("StepFunctionsNestedContext", `{"context":{"Execution":{"Id":"`+execution+`-é","Input":{"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID":"`+execution+`"}}}}`, "other"),
		none("StepFunctionsNestedInput", `{"execution_id":"`+execution+`-2","input":{"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID":"`+execution+`","executionArn":"arn:aws:states:us-east-1:1:execution:other:x"}}`, "other"),
		correlated("StepFunctionsToken", `{"correlation_id":"run-3","input":{"order":1},"token":"`+taskToken+`"}`),
		correlated("StepFunctionsTwoExecutions", `{"correlation_id":"run-3","executionArn":"`+execution+`","context":{"Execution":{"Id":"`+execution+`-2"}}}`),
		plain("StepFunctionsTokenInSQS", records(sqs("m-1", `{"order":1,"TaskToken":"`+taskToken+`"}`)), "process trades", "pubsub", queue, "m-1"),
		correlated("SchedulerInput", strings.TrimSuffix(input, "}")+`,"schedule_arn":"`+schedule+`","due":"2026-11-27T10:00:00Z"}`),
		plain("SchedulerTemplate", strings.Replace(onBus("env-4", "Scheduled Event", "aws.scheduler", `"{}"`), "arn:aws:x", schedule, 1), "process Scheduled Event", "timer", "aws.eventbridge", "env-4"),
		{Name: "RunInMetadata", Payload: onBus("env-5", "TradeExecuted", "shop", `{"event_id":"t-1","correlation_id":"workflow-1","metadata":{"run_id":"run-9"}}`),
			Span: "process TradeExecuted", Trigger: "pubsub", System: "aws.eventbridge", IDs: []string{"t-1"}, Correlation: "workflow-1"},
	}
}

// hops are the expected descriptions by the names of the cases; others have none.
var hops = map[string]string{
	"SQS":                        "at=trades messages=m-1 linked=m-1",
	"SQSFIFO":                    "at=trades messages=m-1 linked=m-1",
	"SNS":                        "at=orders messages=sns-0001 notifications=sns-0001 linked=sns-0001",
	"SNSToHTTP":                  "notifications=sns-0001",
	"AWSCodeAlone":               "at=trades messages=m-1",
	"CloudEventInQueue":          "at=trades messages=m-1",
	"SNSToSQS":                   "at=trades messages=m-1 notifications=sns-0001 linked=m-1",
	"PipesSQS":                   "at=trades messages=m-1 linked=m-1",
	"Kinesis":                    "at=lambda-stream messages=shardId-000000000006:4959 linked=shardId-000000000006:4959",
	"PipesKinesis":               "at=s messages=shardId-000000000006:4959 linked=shardId-000000000006:4959",
	"SQSDetailAlone":             "at=trades messages=m-1",
	"SQSBatch":                   "at=trades messages=m-1,m-2 linked=m-1,m-2",
	"SQSFromLambda":              "at=trades messages=m-1",
	"SQSText":                    "at=trades messages=m-1",
	"SNSText":                    "at=orders messages=sns-0001 notifications=sns-0001",
	"SNSToSQSJSON":               "at=trades messages=m-1 notifications=sns-0001",
	"PipesSQSText":               "at=trades messages=m-1",
	"KinesisText":                "at=lambda-stream messages=shardId-000000000006:4959",
	"DynamoDB":                   "at=orders messages=c4ca4238a0b923820dcc509a6f75849b",
	"PipesDynamoDB":              "at=orders messages=c4ca4238a0b923820dcc509a6f75849b",
	"S3":                         "at=DOC-EXAMPLE s3=D82B88E5F771F645",
	"S3Delete":                   "at=DOC-EXAMPLE s3=D82B88E5F771F645",
	"DestinationOnFailure":       "origin=e4b46cbf",
	"DestinationQueue":           "at=trades messages=m-1 origin=e4b46cbf linked=m-1",
	"DestinationBus":             "origin=e4b46cbf",
	"SQSBatchOfStrangers":        "at=trades messages=m-1,m-2,m-3 linked=m-2",
	"SQSTraced":                  "at=trades messages=m-1 linked=m-1",
	"SQSDatadog":                 "at=trades messages=m-1 linked=m-1",
	"SQSFromATracer":             "at=trades messages=m-1 linked=m-1",
	"SNSTraced":                  "at=orders messages=sns-0001 notifications=sns-0001 linked=sns-0001",
	"SNSDatadog":                 "at=orders messages=sns-0001 notifications=sns-0001 linked=sns-0001",
	"SNSToSQSTraced":             "at=trades messages=m-1 notifications=sns-0001 linked=m-1",
	"SNSToSQSRawTraced":          "at=trades messages=m-1 linked=m-1",
	"DeadLettersOfLambda":        "at=trades messages=m-1 origin=e4b46cbf linked=m-1",
	"AttributesOfAUserAlone":     "at=trades messages=m-1",
	"DestinationOfAStream":       "origin=e4b46cbf",
	"aws.s3 Object Created":      "s3=r",
	"S3OnBus":                    "s3=C3D13FE58DE4C810",
	"S3ToSQS":                    "at=trades messages=m-1 s3=D82B88E5F771F645",
	"S3ToSNS":                    "at=orders messages=sns-0001 notifications=sns-0001 s3=D82B88E5F771F645",
	"StepFunctionsContext":       "execution=" + execution + " token=" + tokenHash,
	"StepFunctionsExecution":     "execution=" + execution,
	"StepFunctionsNested":        "starter=" + execution,
	"StepFunctionsNestedContext": "execution=" + execution + "-é starter=" + execution,
	"StepFunctionsNestedInput":   "execution=" + execution + "-2 starter=" + execution,
	"StepFunctionsToken":         "token=" + tokenHash,
	"StepFunctionsTokenInSQS":    "at=trades messages=m-1 token=" + tokenHash,
	"SchedulerInput":             "schedule=" + schedule,
	"SchedulerTemplate":          "schedule=" + schedule,
	"RunInMetadata":              "run=run-9",
	"NewBusToSQS":                "at=trades messages=m-1 linked=m-1",
	"NewBusToSNSToSQS":           "at=trades messages=m-1 notifications=sns-0001 linked=m-1",
	"RawEventToSQS":              "at=trades messages=m-1 linked=m-1",
	"RawEventAttributes":         "at=trades messages=m-1 linked=m-1",
}
