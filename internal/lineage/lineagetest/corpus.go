// Package lineagetest is a corpus of payloads in the formats that AWS's
// services document, each with the expected span of its handling. The library
// and the layer's runtime endpoint are both tested with it.
package lineagetest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Case is one payload and the expected span of its handling. The function is called
// portfolio.
type Case struct {
	Name, Payload string
	Span          string   // its name
	Server        bool     // of kind SERVER, else CONSUMER
	Trigger       string   // faas.trigger
	System        string   // messaging.system, empty if there is none
	IDs           []string // of the events, in order
	Correlation   string   // throughline.correlation.id, empty if there is none
	Causations    int      // links of kind causation, to Publisher
	Origins       int      // links of kind correlation, to From
	From          string   // empty: Origin
}

// The span that published the stamped event, and its workflow's first one.
const (
	Publisher = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	Origin    = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// The same event as it was published through Throughline.
const (
	Detail   = `{"event_id":"trade-1","correlation_id":"workflow-1","causation_id":"plan-1","qty":"611.3238"}`
	Envelope = `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"TradeExecuted","source":"alchemiser.execution","account":"111122223333",` +
		`"time":"2026-11-27T10:00:00Z","region":"us-east-1","resources":["correlation:workflow-1","causation:plan-1","parent:signal-1","traceparent:` + Publisher +
		`","origin:` + Origin + `","hops:3"],"detail":` + Detail + `}`
)

// Quoted is s as a JSON string.
func Quoted(s string) string {
	b, _ := json.Marshal(s) // a string has no form that fails
	return string(b)
}

func records(list ...string) string { return `{"Records":[` + strings.Join(list, ",") + `]}` }

func pipe(list ...string) string { return `[` + strings.Join(list, ",") + `]` }

// sqs returns a record of SQS (Lambda Developer Guide, "Using Lambda with Amazon SQS").
func sqs(id, body string, attributes ...string) string {
	return `{"messageId":"` + id + `","receiptHandle":"AQEB","body":` + Quoted(body) + `,"attributes":{` +
		strings.Join(append([]string{`"ApproximateReceiveCount":"1","SentTimestamp":"1764237600000","SenderId":"AIDA","ApproximateFirstReceiveTimestamp":"1764237600001"`}, attributes...), ",") +
		`},"messageAttributes":{},"md5OfBody":"x","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:111122223333:trades","awsRegion":"us-east-1"}`
}

// sns returns a record of SNS ("Using Lambda with Amazon SNS").
func sns(message string) string {
	return `{"EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:us-east-1:1:orders:x","EventSource":"aws:sns","Sns":{"Type":"Notification","MessageId":"sns-0001",` +
		`"TopicArn":"arn:aws:sns:us-east-1:1:orders","Subject":null,"Message":` + Quoted(message) + `,"Timestamp":"2026-11-27T10:00:01.000Z","SignatureVersion":"1","MessageAttributes":{}}}`
}

// notification returns SNS's message in the form that it has in a queue.
func notification(message string) string {
	return `{"Type":"Notification","MessageId":"sns-0001","TopicArn":"arn:aws:sns:us-east-1:1:orders","Message":` + Quoted(message) + `,"Timestamp":"2026-11-27T10:00:01.000Z","SignatureVersion":"1"}`
}

func kinesis(data string) string {
	return `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"4959","data":"` + base64.StdEncoding.EncodeToString([]byte(data)) +
		`","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:4959","eventName":"aws:kinesis:record",` +
		`"invokeIdentityArn":"arn:aws:iam::1:role/r","awsRegion":"us-east-2","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}`
}

const (
	dynamodb = `{"eventID":"c4ca4238a0b923820dcc509a6f75849b","eventVersion":"1.0","dynamodb":{"ApproximateCreationDateTime":1479499740,"Keys":{"Id":{"N":"101"}},"NewImage":{"Id":{"N":"101"},"event_id":{"S":"x"}},` +
		`"SequenceNumber":"111","SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"},"awsRegion":"us-west-2","eventName":"INSERT","eventSource":"aws:dynamodb",` +
		`"eventSourceARN":"arn:aws:dynamodb:us-west-2:123456789012:table/orders/stream/2015-06-27T00:48:05.899"}`
	s3 = `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-2","eventTime":"2019-09-03T19:37:27.192Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:A"},` +
		`"requestParameters":{"sourceIPAddress":"205.255.255.255"},"responseElements":{"x-amz-request-id":"D82B88E5F771F645"},"s3":{"s3SchemaVersion":"1.0","configurationId":"828a","bucket":{"name":"DOC-EXAMPLE",` +
		`"ownerIdentity":{"principalId":"A"},"arn":"arn:aws:s3:::DOC-EXAMPLE"},"object":{"key":"b21b84d653bb07b05b1e6b33684dc11b","size":1305107,"eTag":"b21b","sequencer":"0C0F6F405D6ED209E1"}}}`
	v2Context = `"requestContext":{"accountId":"1","apiId":"a","domainName":"d","http":{"method":"POST","path":"/e","protocol":"HTTP/1.1","sourceIp":"1.1.1.1"},"requestId":"r","routeKey":"$default","stage":"$default","timeEpoch":1}`
	result    = `"requestContext":{"requestId":"e4b46cbf","functionArn":"arn:aws:lambda:us-east-2:1:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3}`
)

var failure = `{"version":"1.0","timestamp":"2026-11-27T10:16:05.568Z",` + result + `,"requestPayload":` + Envelope + `,"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{"errorMessage":"x"}}`

func onBus(id, detailType, source, detail string) string {
	return `{"version":"0","id":"` + id + `","detail-type":"` + detailType + `","source":"` + source + `","account":"111122223333","time":"2026-11-27T01:00:00Z","region":"us-east-1","resources":["arn:aws:x"],"detail":` + detail + `}`
}

// Corpus returns the cases.
func Corpus() []Case {
	const bus, queue, topic = "aws.eventbridge", "aws_sqs", "aws.sns"
	// stamped is the stamped event in another shape, and plain is an event without lineage.
	stamped := func(name, payload, trigger, system string) Case {
		return Case{name, payload, "process TradeExecuted", false, trigger, system, []string{"trade-1"}, "workflow-1", 1, 1, ""}
	}
	plain := func(name, payload, span, trigger, system, id string) Case {
		return Case{name, payload, span, false, trigger, system, []string{id}, id, 0, 0, ""}
	}
	none := func(name, payload, trigger string) Case {
		return Case{Name: name, Payload: payload, Span: "portfolio", Server: true, Trigger: trigger}
	}
	cases := []Case{
		stamped("EventBridge", Envelope, "pubsub", bus),
		stamped("EventBridgeReplay", strings.TrimSuffix(Envelope, "}")+`,"replay-name":"after"}`, "pubsub", bus),
		stamped("SQS", records(sqs("m-1", Envelope)), "pubsub", bus),
		stamped("SQSFIFO", records(sqs("m-1", Envelope, `"MessageGroupId":"g","SequenceNumber":"1","MessageDeduplicationId":"d"`)), "pubsub", bus),
		stamped("SNS", records(sns(Envelope)), "pubsub", bus),
		stamped("SNSToSQS", records(sqs("m-1", notification(Envelope))), "pubsub", bus),
		stamped("PipesSQS", pipe(sqs("m-1", Envelope)), "pubsub", bus),
		stamped("PipesOfEvents", pipe(Envelope), "pubsub", bus),
		stamped("Kinesis", records(kinesis(Envelope)), "pubsub", "aws.kinesis"),
		stamped("PipesKinesis", pipe(`{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"4959","data":"`+base64.StdEncoding.EncodeToString([]byte(Envelope))+
			`","approximateArrivalTimestamp":1545084650.987,"eventSource":"aws:kinesis","eventID":"shardId-000000000006:4959","eventSourceARN":"arn:aws:kinesis:us-east-2:1:stream/s"}`), "pubsub", "aws.kinesis"),
		stamped("APIDestinationHTTP", `{"version":"2.0","routeKey":"POST /e","rawPath":"/e","headers":{"content-type":"application/json"},`+v2Context+`,"body":`+Quoted(Envelope)+`,"isBase64Encoded":false}`, "http", ""),
		stamped("APIDestinationREST", `{"resource":"/e","path":"/e","httpMethod":"POST","headers":{},"requestContext":{"resourceId":"x","httpMethod":"POST","requestId":"r","apiId":"a"},"body":"`+base64.StdEncoding.EncodeToString([]byte(Envelope))+`","isBase64Encoded":true}`, "http", ""),
		stamped("SNSToHTTP", `{"version":"2.0","routeKey":"POST /e","rawPath":"/e","headers":{"content-type":"text/plain; charset=UTF-8"},`+v2Context+`,"body":`+Quoted(notification(Envelope))+`,"isBase64Encoded":false}`, "http", ""),
		stamped("VPCLattice", `{"version":"2.0","path":"/e","method":"POST","headers":{},"requestContext":{"serviceNetworkArn":"arn:aws:vpc-lattice:us-east-1:1:servicenetwork/sn-1","serviceArn":"s","targetGroupArn":"t","region":"us-east-1","timeEpoch":"1"},"body":`+Quoted(Envelope)+`,"isBase64Encoded":false}`, "http", ""),
		stamped("DurableExecution", `{"DurableExecutionArn":"arn:aws:lambda:us-east-1:1:function:f:1/durable-execution/e/1","CheckpointToken":"t","InitialExecutionState":{"Operations":[{"Id":"o1","Type":"EXECUTION","StartTimestamp":1,"Status":"STARTED","ExecutionDetails":{"InputPayload":`+Quoted(Envelope)+`}}]}}`, "other", ""),
		{"SQSDetailAlone", records(sqs("m-1", Detail)), "process trades", false, "pubsub", queue, []string{"trade-1"}, "workflow-1", 0, 0, ""},
		{"SQSBatch", records(sqs("m-1", Envelope), sqs("m-2", Envelope)), "process TradeExecuted", false, "pubsub", bus, []string{"trade-1", "trade-1"}, "workflow-1", 2, 1, ""},
		{"SQSFromLambda", records(sqs("m-1", Detail, `"AWSTraceHeader":"Root=1-69282120-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"`)), "process trades", false, "pubsub", queue, []string{"trade-1"}, "workflow-1", 0, 0, ""},
		plain("AWSCodeAlone", records(sqs("m-1", `{"EventCategories":["failover"],"SourceArn":"arn:aws:rds:us-east-1:1:db:orders","EventID":"RDS-EVENT-0049"}`)), "process trades", "pubsub", queue, "m-1"),
		{"CloudEventInQueue", records(sqs("m-1", `{"specversion":"1.0","id":"1","source":"/orders","type":"com.shop.order.placed","data":{}}`)), "process com.shop.order.placed", false, "pubsub", queue, []string{"1"}, "/orders#1", 0, 0, ""},
		plain("SQSText", records(sqs("m-1", "hello")), "process trades", "pubsub", queue, "m-1"),
		plain("SNSText", records(sns("hello")), "process orders", "pubsub", topic, "sns-0001"),
		plain("SNSToSQSJSON", records(sqs("m-1", notification(`{"order":1}`))), "process trades", "pubsub", queue, "sns-0001"),
		plain("PipesSQSText", pipe(sqs("m-1", "hello")), "process trades", "pubsub", queue, "m-1"),
		plain("KinesisText", records(kinesis("Hello, this is a test.")), "process lambda-stream", "pubsub", "aws.kinesis", "shardId-000000000006:4959"),
		plain("DynamoDB", records(dynamodb), "process INSERT", "datasource", "", "c4ca4238a0b923820dcc509a6f75849b"),
		plain("PipesDynamoDB", pipe(dynamodb), "process INSERT", "datasource", "", "c4ca4238a0b923820dcc509a6f75849b"),
		plain("S3", records(s3), "process ObjectCreated:Put", "datasource", "", "38b8d551ecefbcef-0C0F6F405D6ED209E1"),
		plain("S3Delete", records(strings.Replace(s3, "ObjectCreated:Put", "ObjectRemoved:Delete", 1)), "process ObjectRemoved:Delete", "datasource", "", "95c238f6ef66dc98-0C0F6F405D6ED209E1"),
		{"CloudEvent", onBus("env-1", "com.shop.order.placed", "com.shop.orders", `{"specversion":"1.0","id":"1","source":"/orders","type":"com.shop.order.placed","data":{}}`), "process com.shop.order.placed", false, "pubsub", bus, []string{"1"}, "env-1", 0, 0, ""},
		{"IDOfItsSourceAlone", onBus("env-1", "T", "shop.orders", `{"event_id":1001}`), "process T", false, "pubsub", bus, []string{"1001"}, "env-1", 0, 0, ""},
		{"CloudEventTraced", onBus("env-1", "T", "s", `{"specversion":"1.0","id":"1","source":"/s","type":"T","traceparent":"`+Publisher+`"}`), "process T", false, "pubsub", bus, []string{"1"}, "env-1", 1, 1, Publisher},
		plain("DatadogStepFunctions", onBus("env-1", "T", "my.app", `{"_datadog":{"Execution":{"Id":"arn:x"},"State":{"Name":"s"},"StateMachine":{"Id":"a"},"RootExecutionId":"arn:x","serverless-version":"v1"},"order":1}`), "process T", "pubsub", bus, "env-1"),
		{"Datadog", onBus("env-1", "T", "my.app", `{"_datadog":{"traceparent":"`+Publisher+`"}}`), "process T", false, "pubsub", bus, []string{"env-1"}, "env-1", 1, 1, Publisher},
		{"DestinationOnFailure", failure, "process TradeExecuted", false, "other", "", []string{"e4b46cbf"}, "workflow-1", 1, 1, ""},
		{"DestinationQueue", records(sqs("m-1", failure)), "process TradeExecuted", false, "pubsub", queue, []string{"e4b46cbf"}, "workflow-1", 1, 1, ""},
		{"DestinationBus", onBus("env-9", "Lambda Function Invocation Result - Failure", "lambda", failure), "process Lambda Function Invocation Result - Failure", false, "pubsub", bus, []string{"env-9"}, "workflow-1", 1, 1, ""},
		plain("ScheduledRule", onBus("53dc4d37", "Scheduled Event", "aws.events", `{}`), "process Scheduled Event", "timer", bus, "53dc4d37"),
		plain("Scheduler", onBus("89afaf26", "Scheduled Event", "aws.scheduler", `"{}"`), "process Scheduled Event", "timer", bus, "89afaf26"),
		plain("AlarmOnBus", onBus("c4c1c1c9", "CloudWatch Alarm State Change", "aws.cloudwatch", `{"alarmName":"CPU","state":{"value":"ALARM"}}`), "process CloudWatch Alarm State Change", "pubsub", bus, "c4c1c1c9"),
		{"AlarmOnLambda", `{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:us-east-1:1:alarm:a","accountId":"1","time":"2023-08-04T12:36:15.490+0000","region":"us-east-1","alarmData":{"alarmName":"a","state":{"value":"ALARM"}}}`,
			"process CloudWatch Alarm State Change", false, "pubsub", bus, []string{"request-1"}, "request-1", 0, 0, ""},
		{"Direct", `{"event_id":"fetch-1","correlation_id":"run-3"}`, "process", false, "other", "", []string{"fetch-1"}, "run-3", 0, 0, ""},
		{"DirectEnvelopeWithoutID", `{"detail-type":"Fetch","source":"alchemiser.strategy","detail":{"event_id":"fetch-1","correlation_id":"run-3"}}`, "process Fetch", false, "other", "", []string{"fetch-1"}, "run-3", 0, 0, ""},

		none("HTTPAPI", `{"version":"2.0","routeKey":"GET /","rawPath":"/","headers":{"host":"x"},`+v2Context+`,"isBase64Encoded":false}`, "http"),
		none("HTTPAPIWithIDs", `{"version":"2.0","routeKey":"POST /","rawPath":"/",`+v2Context+`,"body":"{\"event_id\":\"a\",\"correlation_id\":\"b\"}","isBase64Encoded":false}`, "http"),
		none("RESTAPI", `{"resource":"/","path":"/","httpMethod":"GET","headers":{},"requestContext":{"resourcePath":"/","httpMethod":"GET","requestId":"r"},"body":null,"isBase64Encoded":false}`, "http"),
		none("FunctionURL", `{"version":"2.0","routeKey":"$default","rawPath":"/my/path","cookies":["c"],"headers":{},`+v2Context+`,"body":"Hello","isBase64Encoded":false}`, "http"),
		none("ALB", `{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1"}},"httpMethod":"GET","path":"/","queryStringParameters":{},"headers":{},"body":"","isBase64Encoded":false}`, "http"),
		none("WebSocketConnect", `{"headers":{},"requestContext":{"routeKey":"$connect","eventType":"CONNECT","connectionId":"c","requestId":"r"},"isBase64Encoded":false}`, "http"),
		none("WebSocketMessage", `{"requestContext":{"routeKey":"send","messageId":"m","eventType":"MESSAGE","connectionId":"c","requestId":"r"},"body":"{}","isBase64Encoded":false}`, "http"),
	}
	for name, detail := range map[string]string{
		"aws.rds RDS DB Instance Event":                         `{"EventCategories":["failover"],"SourceType":"DB_INSTANCE","EventID":"RDS-EVENT-0049"}`,
		"aws.ec2 EC2 Instance State-change Notification":        `{"instance-id":"i-1","state":"running"}`,
		"aws.s3 Object Created":                                 `{"version":"0","bucket":{"name":"b"},"object":{"key":"k","sequencer":"1"},"request-id":"r","reason":"PutObject"}`,
		"aws.ecs ECS Task State Change":                         `{"taskArn":"arn:aws:ecs:x","lastStatus":"RUNNING","version":3}`,
		"aws.states Step Functions Execution Status Change":     `{"executionArn":"arn:aws:states:x","status":"FAILED","input":"{}"}`,
		"aws.codebuild CodeBuild Build State Change":            `{"build-status":"FAILED","project-name":"p"}`,
		"aws.codepipeline CodePipeline Stage Execution State":   `{"pipeline":"p","execution-id":"e","state":"FAILED"}`,
		"aws.guardduty GuardDuty Finding":                       `{"schemaVersion":"2.0","id":"f","type":"Recon"}`,
		"aws.health AWS Health Event":                           `{"eventArn":"arn:aws:health:x","service":"EC2","eventTypeCode":"x"}`,
		"aws.ecr ECR Image Action":                              `{"action-type":"PUSH","repository-name":"r","result":"SUCCESS"}`,
		"aws.batch Batch Job State Change":                      `{"jobName":"j","jobId":"1","status":"SUCCEEDED"}`,
		"aws.glue Glue Job State Change":                        `{"jobName":"j","state":"FAILED","jobRunId":"r"}`,
		"aws.ssm Parameter Store Change":                        `{"operation":"Update","name":"p","type":"String"}`,
		"aws.kms KMS CMK Rotation":                              `{"key-id":"k"}`,
		"aws.autoscaling EC2 Instance Launch Successful":        `{"StatusCode":"InProgress","RequestId":"r","ActivityId":"a"}`,
		"aws.secretsmanager AWS API Call via CloudTrail":        `{"eventVersion":"1.08","eventID":"e-1","eventName":"RotateSecret","requestID":"r"}`,
		"aws.dms DMS Replication Task State Change":             `{"eventType":"REPLICATION_TASK_STARTED","eventId":"DMS-EVENT-0069","category":"StateChange"}`,
		"aws.iam AWS API Call via CloudTrail":                   `{"eventVersion":"1.08","eventID":"e-1","correlation_id":"x","eventName":"CreateUser"}`,
		"aws.mediaconvert MediaConvert Job State Change":        `{"status":"COMPLETE","jobId":"j","queue":"arn:aws:q"}`,
		"aws.inspector2 Inspector2 Finding":                     `{"findingArn":"arn:aws:inspector2:x","severity":"HIGH"}`,
		"aws.cloudformation CloudFormation Stack Status Change": `{"stack-id":"arn:aws:cloudformation:x","status-details":{"status":"CREATE_COMPLETE"}}`,
	} {
		source, detailType, _ := strings.Cut(name, " ")
		cases = append(cases, plain(name, onBus("env-"+source, detailType, source, detail), "process "+detailType, "pubsub", bus, "env-"+source))
	}
	cases = append(append(cases, hopCases(plain, none)...), newBusCases(stamped)...)
	for name, payload := range map[string]string{
		"CodeCommit":            `{"Records":[{"awsRegion":"us-east-2","codecommit":{"references":[]},"eventId":"31ad","eventName":"TriggerEventTest","eventSource":"aws:codecommit","eventSourceARN":"arn:aws:codecommit:x"}]}`,
		"SES":                   `{"Records":[{"eventVersion":"1.0","ses":{"mail":{}},"eventSource":"aws:ses"}]}`,
		"MSK":                   `{"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:x","bootstrapServers":"b","records":{"t-0":[{"topic":"t","partition":0,"offset":15,"value":"SGVsbG8="}]}}`,
		"ActiveMQ":              `{"eventSource":"aws:mq","eventSourceArn":"arn:aws:mq:x","messages":[{"messageID":"ID:b","messageType":"jms/text-message","data":"e30="}]}`,
		"CognitoTrigger":        `{"version":"1","triggerSource":"PreSignUp_SignUp","region":"us-east-1","userPoolId":"p","userName":"u","request":{"userAttributes":{}},"response":{}}`,
		"CustomResource":        `{"RequestType":"Create","ResponseURL":"http://x","StackId":"arn:aws:cloudformation:x","RequestId":"r","ResourceType":"Custom::T","LogicalResourceId":"L"}`,
		"LogsSubscription":      `{"awslogs":{"data":"H4sIAAAAAAAAAHWPwQ=="}}`,
		"ConfigRule":            `{"invokingEvent":"{}","ruleParameters":"{}","resultToken":"t","eventLeftScope":false,"executionRoleArn":"arn:aws:iam::x","configRuleName":"c","version":"1.0"}`,
		"FirehoseTransform":     `{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:x","region":"us-east-1","records":[{"recordId":"r","approximateArrivalTimestamp":1,"data":"SGVsbG8="}]}`,
		"IoTRule":               `{"temperature":22,"device":"d"}`,
		"Lex":                   `{"sessionId":"s","inputTranscript":"hi","bot":{"name":"b"},"sessionState":{}}`,
		"Connect":               `{"Name":"ContactFlowEvent","Details":{"ContactData":{},"Parameters":{}}}`,
		"CodePipelineJob":       `{"CodePipeline.job":{"id":"j","accountId":"1","data":{}}}`,
		"AppSync":               `{"arguments":{"id":"1"},"identity":null,"source":null,"request":{"headers":{}},"info":{"fieldName":"f"}}`,
		"S3Batch":               `{"invocationSchemaVersion":"1.0","invocationId":"i","job":{"id":"j"},"tasks":[{"taskId":"t","s3Key":"k"}]}`,
		"SecretRotation":        `{"Step":"createSecret","SecretId":"arn:aws:secretsmanager:x","ClientRequestToken":"t"}`,
		"LambdaEdge":            `{"Records":[{"cf":{"config":{"distributionId":"E"},"request":{"uri":"/"}}}]}`,
		"RequestAuthorizer":     `{"type":"TOKEN","authorizationToken":"t","methodArn":"arn:aws:execute-api:x"}`,
		"DurableWithoutAnEvent": `{"DurableExecutionArn":"arn:x","CheckpointToken":"t","InitialExecutionState":{"Operations":[{"Id":"o1","Type":"EXECUTION","ExecutionDetails":{"InputPayload":"{\"order\":1}"}}]}}`,
		"EmptyList":             `[]`,
		"Text":                  `"hello"`,
	} {
		cases = append(cases, none(name, payload, "other"))
	}
	return cases
}
