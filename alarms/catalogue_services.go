package alarms

import "strings"

// services returns the metrics that the monitoring pages of Step Functions, Pipes,
// Scheduler, API Gateway, Kinesis and SNS document. The doc comments of the packs have
// the pages' addresses.
func services() []Metric {
	var all []Metric
	add := func(namespace string, sets [][]string, kind MetricKind, onlyNonZero bool, sibling, names string) {
		for name := range strings.FieldsSeq(names) {
			all = append(all, Metric{namespace, name, sets, kind, onlyNonZero, sibling})
		}
	}
	none := [][]string{{}}

	group := [][]string{{}, {"ScheduleGroup"}}
	const scheduler = "AWS/Scheduler"
	add(scheduler, group, Counted, false, "", "InvocationAttemptCount")
	add(scheduler, group, Counted, true, "InvocationAttemptCount", `InvocationDroppedCount TargetErrorCount TargetErrorThrottledCount InvocationThrottleCount
		InvocationsSentToDeadLetterCount InvocationsFailedToBeSentToDeadLetterCount InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded`)

	machine := [][]string{{"StateMachineArn"}, {"Alias", "StateMachineArn"}, {"StateMachineArn", "Version"}}
	const states = "AWS/States"
	add(states, machine, Counted, false, "", "ExecutionsStarted")
	add(states, machine, Counted, true, "ExecutionsStarted", "ExecutionsFailed ExecutionsTimedOut ExecutionsAborted ExecutionThrottled")
	add(states, machine, Counted, false, "ExecutionsStarted", "ExecutionsSucceeded ExecutionsRedriven RedrivenExecutionsSucceeded RedrivenExecutionsFailed RedrivenExecutionsTimedOut RedrivenExecutionsAborted")
	add(states, machine, Sampled, false, "ExecutionsStarted", "ExecutionTime ExpressExecutionMemory ExpressExecutionBilledDuration ExpressExecutionBilledMemory")
	for _, task := range [][3]string{{"ActivityArn", "Activity", "Activities"}, {"LambdaFunctionArn", "LambdaFunction", "LambdaFunctions"}, {"ServiceIntegrationResourceArn", "ServiceIntegration", "ServiceIntegrations"}} {
		set, one, many := [][]string{{task[0]}}, task[1], task[2]
		add(states, set, Counted, false, "", many+"Started "+many+"Scheduled "+many+"Succeeded")
		add(states, set, Counted, true, many+"Scheduled", many+"Failed "+many+"TimedOut "+many+"HeartbeatTimedOut")
		add(states, set, Sampled, false, many+"Scheduled", one+"RunTime "+one+"ScheduleTime "+one+"Time")
	}
	quota := [][]string{{"ServiceMetric"}, {"APIName"}, {}}
	add(states, quota, Counted, true, "", "ThrottledEvents")
	add(states, quota, Gauge, false, "", "ProvisionedBucketSize ProvisionedRefillRate ConsumedCapacity OpenExecutionCount OpenExecutionLimit")

	pipe := [][]string{{"PipeName"}}
	pipeOrAccount := [][]string{{"AwsAccountId"}, {"PipeName"}}
	const pipes = "AWS/EventBridge/Pipes"
	add(pipes, pipeOrAccount, Counted, false, "", "Invocations")
	add(pipes, pipeOrAccount, Counted, false, "Invocations", "ExecutionThrottled")
	add(pipes, pipeOrAccount, Gauge, false, "Invocations", "Concurrency")
	add(pipes, pipe, Counted, false, "Invocations", "EventCount ExecutionTimeout ExecutionFailed ExecutionPartiallyFailed EnrichmentStageFailed TargetStageFailed TargetStagePartiallyFailed TargetStageSkipped")
	add(pipes, pipe, Sampled, false, "Invocations", "Duration EventSize EnrichmentStageDuration TargetStageDuration")

	rest := [][]string{{"ApiName"}, {"ApiName", "Stage"}, {"ApiName", "Method", "Resource", "Stage"}}
	http := [][]string{{"ApiId"}, {"ApiId", "Stage"}, {"ApiId", "Method", "Resource", "Stage"}}
	socket := [][]string{{"ApiId"}, {"ApiId", "Stage"}, {"ApiId", "Route", "Stage"}}
	const gateway = "AWS/ApiGateway"
	add(gateway, rest, Counted, false, "Count", "4XXError 5XXError CacheHitCount CacheMissCount")
	add(gateway, http, Counted, false, "Count", "4xx 5xx")
	add(gateway, append(append([][]string{}, rest...), http...), Counted, false, "", "Count")
	add(gateway, append(append([][]string{}, rest...), http...), Sampled, false, "Count", "Latency")
	add(gateway, append(append(append([][]string{}, rest...), http...), socket[2]), Sampled, false, "", "IntegrationLatency")
	add(gateway, http, Sampled, false, "Count", "DataProcessed")
	add(gateway, socket, Counted, false, "", "ConnectCount MessageCount IntegrationError ClientError ExecutionError")

	stream := [][]string{{"StreamName"}}
	streamOrShard := [][]string{{"StreamName"}, {"ShardId", "StreamName"}}
	consumer := [][]string{{"ConsumerName", "StreamName"}}
	const kinesis = "AWS/Kinesis"
	add(kinesis, streamOrShard, Counted, false, "", "IncomingRecords")
	add(kinesis, streamOrShard, Counted, false, "IncomingRecords", "IncomingBytes OutgoingBytes OutgoingRecords WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded")
	add(kinesis, [][]string{{"ShardId", "StreamName"}}, Sampled, false, "IncomingRecords", "IteratorAgeMilliseconds")
	add(kinesis, stream, Sampled, false, "IncomingRecords", `GetRecords.IteratorAgeMilliseconds GetRecords.Latency GetRecords.Bytes GetRecords.Records GetRecords.Success PutRecord.Latency PutRecord.Bytes PutRecord.Success
		PutRecords.Latency PutRecords.Bytes PutRecords.Records PutRecords.Success`)
	add(kinesis, stream, Counted, false, "IncomingRecords", "PutRecords.TotalRecords PutRecords.SuccessfulRecords PutRecords.FailedRecords PutRecords.ThrottledRecords")
	add(kinesis, consumer, Sampled, false, "", "SubscribeToShard.RateExceeded SubscribeToShard.Success SubscribeToShardEvent.Bytes SubscribeToShardEvent.MillisBehindLatest SubscribeToShardEvent.Records SubscribeToShardEvent.Success")

	topic := [][]string{{"TopicName"}}
	push := [][]string{{"TopicName"}, {"Application"}, {"Application", "Platform"}, {"Platform"}, {"PhoneNumber"}, {}}
	const sns = "AWS/SNS"
	add(sns, push, Counted, false, "", "NumberOfMessagesPublished")
	add(sns, push, Counted, false, "NumberOfMessagesPublished", "NumberOfNotificationsDelivered NumberOfNotificationsFailed")
	add(sns, topic, Counted, false, "NumberOfMessagesPublished", `NumberOfNotificationsFilteredOut NumberOfNotificationsFilteredOut-InvalidAttributes NumberOfNotificationsFilteredOut-NoMessageAttributes
		NumberOfNotificationsFilteredOut-MessageAttributes NumberOfNotificationsFilteredOut-MessageBody NumberOfNotificationsFilteredOut-InvalidMessageBody
		NumberOfNotificationsRedrivenToDlq NumberOfNotificationsFailedToRedriveToDlq`)
	add(sns, topic, Sampled, false, "NumberOfMessagesPublished", "PublishSize")
	add(sns, none, Gauge, false, "", "SMSMonthToDateSpentUSD")
	add(sns, [][]string{{}, {"PhoneNumber"}, {"Country", "SMSType"}, {"Country"}, {"SMSType"}}, Sampled, false, "", "SMSSuccessRate")
	return all
}
