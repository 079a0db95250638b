package lineage

// What AWS hands a function, as its documentation and captures have it.

const (
	detailOfTrade = `{"event_id": "trade-1", "correlation_id": "workflow-1", "causation_id": "plan-1", "shares": "611.3238", "big": 12345678901234567890}`

	resourcesOfTrade = `["arn:aws:states:us-east-1:111122223333:stateMachine:m","correlation:workflow-1","causation:plan-1","parent:signal-1",` +
		`"traceparent:` + sampledContext + `","origin:` + unsampledContext + `","hops:3"]`

	// envelopeOfTrade is an event as EventBridge hands it to Lambda or a queue.
	envelopeOfTrade = `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"TradeExecuted","source":"alchemiser.execution",` +
		`"account":"111122223333","time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":` + resourcesOfTrade + `,"detail":` + detailOfTrade + `}`

	replayedTrade = `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"TradeExecuted","source":"alchemiser.execution","account":"111122223333",` +
		`"time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":` + resourcesOfTrade + `,"detail":` + detailOfTrade + `,"replay-name":"after-the-outage"}`

	bareEnvelope = `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"ScheduleCreated","source":"alchemiser.coordinator",` +
		`"account":"111122223333","time":"2026-11-23T10:00:00Z","region":"us-east-1","resources":[],"detail":{"event_type":"ScheduleCreated"}}`

	scheduledRule = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012",` +
		`"time":"2015-10-08T16:53:06Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule"],"detail":{}}`

	scheduler = `{"version":"0","id":"89afaf26-0d0f-4d8c-a4a0-4a2f66d1d7e7","detail-type":"Scheduled Event","source":"aws.scheduler","account":"123456789012",` +
		`"time":"2026-11-23T14:00:00Z","region":"us-east-1","resources":["arn:aws:scheduler:us-east-1:123456789012:schedule/default/daily"],"detail":"{}"}`

	alarmOnBus = `{"version":"0","id":"c4c1c1c9-6542-e61b-6ef0-8c4d36933a92","detail-type":"CloudWatch Alarm State Change","source":"aws.cloudwatch","account":"123456789012",` +
		`"time":"2019-10-02T17:04:40Z","region":"us-east-1","resources":["arn:aws:cloudwatch:us-east-1:123456789012:alarm:ServerCpuTooHigh"],` +
		`"detail":{"alarmName":"ServerCpuTooHigh","state":{"value":"ALARM","reason":"Threshold Crossed","timestamp":"2019-10-02T17:04:40.985+0000"}}}`

	alarmOnLambda = `{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:us-east-1:444455556666:alarm:lambda-demo","accountId":"444455556666",` +
		`"time":"2023-08-04T12:36:15.490+0000","region":"us-east-1","alarmData":{"alarmName":"lambda-demo","state":{"value":"ALARM"}}}`

	failedInvocation = `{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{"requestId":"e4b46cbf-b738-xmpl-8880-a18cdf61200e",` +
		`"functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},` +
		`"requestPayload":` + envelopeOfTrade + `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},` +
		`"responsePayload":{"errorMessage":"RequestId: e4b46cbf-b738-xmpl-8880-a18cdf61200e Process exited before completing request"}}`

	failureOnBus = `{"version":"0","id":"0f1e2d3c-0000-4000-8000-000000000001","detail-type":"Lambda Function Invocation Result - Failure","source":"lambda",` +
		`"account":"123456789012","time":"2019-11-14T18:16:06Z","region":"us-east-2","resources":["arn:aws:events:us-east-2:123456789012:event-bus/b",` +
		`"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST"],"detail":` + failedInvocation + `}`

	workerInput = `{"correlation_id":"workflow-1","dsl_file":"ftl_starburst.clj","allocation":"0.25"}`

	imitatedEnvelope = `{"detail-type":"MarketDataFetchRequested","source":"alchemiser.strategy","detail":{"event_id":"fetch-1","correlation_id":"sync-refresh-SPY"}}`

	gatewayRequest = `{"version":"2.0","routeKey":"GET /","rawPath":"/","headers":{"host":"x"},"requestContext":{"requestId":"r"},"isBase64Encoded":false}`
	bucketRecords  = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","s3":{"bucket":{"name":"b"}}}]}`
)
