package alarms

// api returns the rows of an API. The names of the metrics and the dimensions differ
// between REST and HTTP APIs. The sample count of Count is the number of requests.
func api(serverErrors string, dimensions []string, r resource) []row {
	if r.stage != "" {
		dimensions = append(dimensions, "Stage", r.stage)
	}
	s := func(metric, statistic string) *Stat {
		return stat("AWS/ApiGateway", metric, statistic, 60, dimensions...)
	}
	latency := 5_000.0 // the time-out of an integration is 29 seconds
	if r.slo > 0 {
		latency = float64(r.slo.Milliseconds())
	}
	return []row{
		{key: "errors", queries: rate(s(serverErrors, "Sum"), s("Count", "SampleCount"), 20), minSamples: 20, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Critical,
			help: "the share of requests that are answered with 5XX"},
		{key: "latency", queries: query("AWS/ApiGateway", "Latency", "p99", 60, dimensions...), scale: scale{unit: milliseconds}, comparison: Greater, threshold: latency, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "how long callers wait for an answer"},
	}
}

// restAPIRows follow "Amazon API Gateway dimensions and metrics"
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html):
// 5XXError, by the API's name.
func restAPIRows(r resource, _ context) ([]row, []string) {
	return api("5XXError", []string{"ApiName", r.name}, r), nil
}

// httpAPIRows follow "Monitor CloudWatch metrics for HTTP APIs in API Gateway"
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html):
// 5xx, by the API's ID.
func httpAPIRows(r resource, _ context) ([]row, []string) {
	return api("5xx", []string{"ApiId", r.id}, r), nil
}

// kinesisRows follow "Monitor the Amazon Kinesis Data Streams service with Amazon
// CloudWatch"
// (https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html).
// WriteProvisionedThroughputExceeded counts records. ReadProvisionedThroughputExceeded
// counts calls of GetRecords.
func kinesisRows(r resource, _ context) ([]row, []string) {
	s := func(metric, statistic string) *Stat {
		return stat("AWS/Kinesis", metric, statistic, 60, "StreamName", r.name)
	}
	m := func(metric, statistic string) []Query {
		return []Query{{ID: "m1", Return: true, Stat: s(metric, statistic)}}
	}
	age := 60_000.0
	if r.slo > 0 {
		age = float64(r.slo.Milliseconds())
	}
	retention := float64(r.retention.Milliseconds())
	if !r.retained {
		retention = 24 * 3600 * 1000 // Kinesis's default
	}
	read := counted("read-throttles", m("ReadProvisionedThroughputExceeded", "Sum"), Warning, 3, 5, "consumers of the stream are throttled: too many share its shards")
	read.threshold = 10
	return []row{
		{key: "iterator-age", queries: m("GetRecords.IteratorAgeMilliseconds", "Maximum"), scale: scale{milliseconds, "retention", retention}, comparison: Greater, threshold: age, m: 3, n: 5, missing: NotBreaching, severity: Critical,
			help: "the age of records when they are read: records older than the stream's retention are lost"},
		{key: "write-throttles", queries: []Query{
			{ID: "i", Stat: s("IncomingRecords", "Sum")}, {ID: "t", Stat: s("WriteProvisionedThroughputExceeded", "Sum")},
			{ID: "rate", Expression: "IF(FILL(t,0) > 0, 100*t/(t+FILL(i,0)), 0)", Return: true},
		}, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "the share of records that the stream throttles"},
		read,
	}, nil
}

// topicRows follow "Monitoring Amazon SNS topics using CloudWatch"
// (https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html).
// NumberOfNotificationsFailed counts messages that SNS discards, and for HTTP(S)
// endpoints each failed attempt.
func topicRows(r resource, _ context) ([]row, []string) {
	m := func(metric string) []Query { return query("AWS/SNS", metric, "Sum", 60, "TopicName", r.name) }
	failed := counted("failed", m("NumberOfNotificationsFailed"), Critical, 1, 1, "a message did not reach a subscriber")
	sent := counted("dlq-sent", m("NumberOfNotificationsRedrivenToDlq"), Warning, 1, 1, "a message that did not reach a subscriber went to its dead-letter queue")
	lost := counted("dlq-lost", m("NumberOfNotificationsFailedToRedriveToDlq"), Critical, 1, 1, "a message reached neither a subscriber nor its dead-letter queue")
	invalid := counted("invalid-attributes", m("NumberOfNotificationsFilteredOut-InvalidAttributes"), Warning, 1, 1, "a subscription's filter could not read a message's attributes, so its subscriber did not get the message")
	var notes []string
	if r.dlq == "" {
		sent.off, lost.off = true, true
		notes = append(notes, "no dlq-sent and dlq-lost alarms: no subscription names a dlq, so messages that are not delivered are lost")
	}
	return []row{failed, sent, lost, invalid}, notes
}
