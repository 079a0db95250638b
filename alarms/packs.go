package alarms

import (
	"cmp"
	"fmt"
	"time"

	"github.com/throughline/throughline/metrics"
)

// row is one alarm of a pack, before a spec's overrides.
type row struct {
	key        string
	suffix     string // stands between the resource and the key in the name: an event type, an index
	queries    []Query
	scale      scale
	comparison Comparison
	threshold  float64
	m, n       int
	period     int
	missing    Missing
	lowSample  string
	severity   Severity
	minSamples float64       // for rates; 0 for none
	sustained  bool          // the condition lasts, so m of n also applies to bursts
	lag        time.Duration // how late a datapoint can arrive: its timestamp is the start of the operation
	full       metrics.Name
	off        bool   // off unless an override enables it
	service    string // the service whose composite includes it; "" for none
	help       string
}

// kind is a kind of resource in a spec: its members and its pack.
type kind struct {
	name    string
	members []string // in addition to name, as and kind
	needs   []string
	help    string
	rows    func(r resource, c context) ([]row, []string)
}

// context is what rows need from the whole spec.
type context struct {
	namespace string
	profile   metrics.Profile
	limit     float64 // the size limit of an entry, in bytes
}

// kinds returns the kinds of resources with their packs. Each call returns new values, so
// that one spec's overrides never change another's defaults.
func kinds() []kind {
	return []kind{
		{"lambda", []string{"timeout", "reserved", "stream", "async", "deadLetter", "destination", "every", "slack", "qualifier", "executedVersion"}, []string{"name"}, "a Lambda function", lambdaRows},
		{"event-rule", []string{"bus", "dlq", "every", "slack"}, []string{"name"}, "a rule of an event bus", ruleRows},
		{"event-bus", []string{"name", "dimension", "every", "slack"}, []string{"arn"}, "a new custom bus of EventBridge", newBusRows},
		{"subscriber", []string{"name", "dimension", "dlq", "slo"}, []string{"arn", "bus"}, "a subscriber of a new custom bus", subscriberRows},
		{"account", []string{"concurrency"}, nil, "what EventBridge and Lambda publish of the account and Region", accountRows},
		{"queue", []string{"retention", "slo"}, []string{"name"}, "an SQS queue", queueRows},
		{"dlq", []string{"drained"}, []string{"name"}, "a dead-letter queue", dlqRows},
		{"dynamodb", []string{"indexes", "operations"}, []string{"name"}, "a DynamoDB table", dynamoRows},
		{"scheduler", []string{"dlq", "every", "slack"}, []string{"name"}, "an EventBridge Scheduler group", schedulerRows},
		{"state-machine", []string{"name", "timeout", "slo", "every", "slack"}, []string{"arn"}, "a Step Functions state machine", stateMachineRows},
		{"pipe", nil, []string{"name"}, "an EventBridge pipe", pipeRows},
		{"rest-api", []string{"stage", "slo"}, []string{"name"}, "a REST API of API Gateway", restAPIRows},
		{"http-api", []string{"name", "stage", "slo"}, []string{"id"}, "an HTTP API of API Gateway", httpAPIRows},
		{"kinesis", []string{"retention", "slo"}, []string{"name"}, "a Kinesis data stream", kinesisRows},
		{"topic", []string{"dlq"}, []string{"name"}, "an SNS topic", topicRows},
		{"events", []string{"service", "detailTypes", "slo", "maxHops"}, []string{"service"}, "the events of a service, by Throughline's metrics", eventsRows},
		{"extension", []string{"service", "function"}, []string{"service"}, "the invocations of a service, and Throughline itself", extensionRows},
	}
}

func query(namespace, metric, statistic string, period int, dimensions ...string) []Query {
	return []Query{{ID: "m1", Return: true, Stat: stat(namespace, metric, statistic, period, dimensions...)}}
}

func stat(namespace, metric, statistic string, period int, dimensions ...string) *Stat {
	s := &Stat{Namespace: namespace, Metric: metric, Statistic: statistic, Period: period}
	for i := 0; i < len(dimensions); i += 2 {
		s.Dimensions = append(s.Dimensions, Dimension{dimensions[i], dimensions[i+1]})
	}
	return s
}

// guard returns the expression of a rate that is 0 while there are too few samples. It
// has to be a real zero: with a missing datapoint, older datapoints would count again.
func guard(rate string, least float64) string {
	return fmt.Sprintf("IF(FILL(n,0) >= %s, %s, 0)", number(least), rate)
}

// rate returns the queries of 100·FILL(part,0)/n, or 0 with fewer than least samples.
func rate(part, whole *Stat, least float64) []Query {
	return []Query{
		{ID: "n", Stat: whole},
		{ID: "part", Stat: part},
		{ID: "rate", Expression: guard("100*FILL(part,0)/n", least), Return: true},
	}
}

// longestInvocation is Lambda's longest time-out.
const longestInvocation = 15 * time.Minute

// lambdaRows follow "Types of metrics for Lambda functions"
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html). Errors,
// throttles, durations and invocations of an alias or a version have the dimension
// Resource, and ExecutedVersion for one of the two versions of an alias. Rows on the
// function as a whole keep FunctionName only.
func lambdaRows(r resource, _ context) (rows []row, notes []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/Lambda", metric, statistic, 60, "FunctionName", r.name)
	}
	of := r.functionDimensions()
	s := func(metric string) *Stat { return stat("AWS/Lambda", metric, "Sum", 60, of...) }
	lag := r.timeout // an error counts in the minute in which its invocation started
	lag = cmp.Or(lag, longestInvocation)
	rows = []row{
		{key: "errors", queries: rate(s("Errors"), s("Invocations"), 20), minSamples: 20, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, lag: lag, missing: NotBreaching, severity: Critical,
			help: "the share of invocations that end in an error"},
		{key: "errors-any", queries: query("AWS/Lambda", "Errors", "Sum", 60, of...), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, lag: lag, missing: NotBreaching, severity: Warning, help: "an invocation ended in an error"},
		{key: "throttles", queries: []Query{
			{ID: "i", Stat: s("Invocations")}, {ID: "t", Stat: s("Throttles")},
			{ID: "rate", Expression: "IF(FILL(t,0) > 0, 100*t/(t+FILL(i,0)), 0)", Return: true},
		}, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "the share of invocations that Lambda throttles"},
	}
	if r.async || r.deadLetter || r.destination {
		rows = append(rows,
			row{key: "async-age", queries: m("AsyncEventAge", "Maximum"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 300_000, m: 3, n: 5, missing: NotBreaching, severity: Warning,
				help: "how long events wait in Lambda's own queue"},
			row{key: "async-drop", queries: m("AsyncEventsDropped", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
				help: "events that Lambda drops without a successful invocation, even if a dead-letter queue has them"})
	}
	if r.deadLetter {
		rows = append(rows, row{key: "dead-letter", queries: m("DeadLetterErrors", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
			help: "a failed event did not reach the dead-letter queue either"})
	}
	if r.destination {
		rows = append(rows, row{key: "destination", queries: m("DestinationDeliveryFailures", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
			help: "the record of an invocation did not reach its destination"})
	}
	if r.timeout > 0 {
		ms := float64(r.timeout.Milliseconds())
		rows = append(rows, row{key: "duration", queries: query("AWS/Lambda", "Duration", "Maximum", 60, of...), scale: scale{milliseconds, "timeout", ms}, comparison: Greater, threshold: 0.9 * ms, m: 2, n: 3, lag: lag,
			missing: NotBreaching, severity: Warning, help: "the longest invocation comes near the function's time-out"})
	} else {
		notes = append(notes, "no duration alarm: give the function's timeout")
	}
	if r.reserved > 0 {
		rows = append(rows, row{key: "concurrency", queries: m("ConcurrentExecutions", "Maximum"), scale: scale{count, "reserved", r.reserved}, comparison: Greater, threshold: 0.8 * r.reserved, m: 3, n: 5,
			missing: NotBreaching, severity: Warning, help: "concurrent executions come near the function's reserved concurrency"})
	}
	if r.stream {
		rows = append(rows, row{key: "iterator-age", queries: m("IteratorAge", "Maximum"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 60_000, m: 3, n: 5,
			missing: NotBreaching, severity: Warning, help: "how old records of a stream are when they are read"})
	}
	silent, note := absent(row{key: "not-invoked", queries: query("AWS/Lambda", "Invocations", "Sum", 60, of...), severity: Warning,
		help: "the function was not invoked for as long as its schedule says it should be"}, r.every, r.slack)
	return append(rows, silent), append(notes, note...)
}

// functionDimensions returns the dimensions of a function, or of its alias or version.
func (r resource) functionDimensions() []string {
	of := []string{"FunctionName", r.name}
	if r.qualifier != "" {
		of = append(of, "Resource", r.name+":"+r.qualifier)
	}
	if r.executedVersion != "" {
		of = append(of, "ExecutedVersion", r.executedVersion)
	}
	return of
}

// sum returns the queries of Σ FILL(metric,0), for metrics that are published only when
// they are not zero.
func sum(namespace string, period int, names []string, dimensions ...string) []Query {
	stats := make([]*Stat, len(names))
	for i, name := range names {
		stats[i] = stat(namespace, name, "Sum", period, dimensions...)
	}
	return total(stats)
}

func (r resource) ruleDimensions(name string) []string {
	if r.bus == "" || r.bus == "default" {
		return []string{"RuleName", name}
	}
	return []string{"EventBusName", r.bus, "RuleName", name}
}

func ruleRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string, period int) []Query {
		return query("AWS/Events", metric, statistic, period, r.ruleDimensions(r.name)...)
	}
	var notes []string
	rows := []row{
		{key: "failed", queries: m("FailedInvocations", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical, help: "an event was not delivered, after every retry"},
		{key: "throttled", queries: m("ThrottledRules", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "deliveries are delayed by throttling"},
		{key: "latency", queries: m("IngestionToInvocationSuccessLatency", "p99", 60), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 30_000, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "the time from the bus to a successful call of the target"},
	}
	silent, note := absent(row{key: "silent", queries: m("TriggeredRules", "Sum", 3600), severity: Warning,
		help: "no event matched the rule for as long as its schedule says there should be one"}, r.every, r.slack)
	notes = append(notes, note...)
	rows = append(rows, silent)
	lost := row{key: "dlq-lost", queries: m("InvocationsFailedToBeSentToDlq", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
		help: "a failed event could not be sent to the dead-letter queue either: its policy, its key or the size"}
	sent := row{key: "dlq-sent", queries: m("InvocationsSentToDlq", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Warning, help: "an event went to the dead-letter queue"}
	if r.dlq == "" {
		lost.off, sent.off = true, true
		notes = append(notes, "no dlq-sent and dlq-lost alarms: the rule names no dlq, so events that are not delivered are lost")
	}
	return append(rows, lost, sent), notes
}

func accountRows(r resource, _ context) ([]row, []string) {
	events := func(metric string) []Query { return query("AWS/Events", metric, "Sum", 60) }
	return []row{
		{key: "put-failed", queries: events("PutEventsFailedEntriesCount"), scale: scale{unit: count}, comparison: Greater, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "entries that PutEvents refused, of all publishers of the account"},
		{key: "put-throttled", queries: events("PutEventsApproximateThrottledCount"), scale: scale{unit: count}, comparison: Greater, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "PutEvents calls that were throttled, of all publishers of the account"},
		{key: "concurrency", queries: query("AWS/Lambda", "ClaimedAccountConcurrency", "Maximum", 60), scale: scale{count, "limit", r.concurrency}, comparison: Greater, threshold: 0.8 * r.concurrency, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "claimed concurrency comes near the account's limit"},
	}, nil
}

func queueRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/SQS", metric, statistic, 60, "QueueName", r.name)
	}
	age := 0.5 * r.retention.Seconds()
	if r.slo > 0 {
		age = r.slo.Seconds()
	}
	const inFlight = 120_000.0 // the same for standard and FIFO queues
	return []row{
		{key: "age", queries: m("ApproximateAgeOfOldestMessage", "Maximum"), scale: scale{seconds, "retention", r.retention.Seconds()}, comparison: Greater, threshold: age, m: 5, n: 5, missing: NotBreaching, severity: Warning,
			help: "the oldest message waits too long"},
		{key: "in-flight", queries: m("ApproximateNumberOfMessagesNotVisible", "Maximum"), scale: scale{count, "limit", inFlight}, comparison: Greater, threshold: 0.8 * inFlight, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "messages in flight come near SQS's limit, above which no message is received"},
		{key: "stuck", queries: []Query{
			{ID: "waiting", Stat: stat("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Minimum", 60, "QueueName", r.name)},
			{ID: "done", Stat: stat("AWS/SQS", "NumberOfMessagesDeleted", "Sum", 60, "QueueName", r.name)},
			{ID: "stuck", Expression: "IF(FILL(waiting,0) > 0 AND FILL(done,0) == 0, 1, 0)", Return: true},
		}, scale: scale{unit: count}, comparison: Greater, m: 15, n: 15, sustained: true, missing: NotBreaching, severity: Warning,
			help: "messages wait and none is deleted: the age of the oldest message ignores messages that were received three times"},
	}, nil
}

func dlqRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/SQS", metric, statistic, 60, "QueueName", r.name)
	}
	return []row{
		{key: "depth", queries: m("ApproximateNumberOfMessagesVisible", "Maximum"), scale: scale{unit: count}, comparison: GreaterOrEqual, threshold: 1, m: 1, n: 5, sustained: true, missing: Ignore, severity: Critical, help: "messages wait in the dead-letter queue"}, // the depth is approximate, and is not published for a queue that has been idle for six hours
		{key: "arrivals", queries: m("NumberOfMessagesReceived", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical, off: !r.drained,
			help: "messages were received from the dead-letter queue: the depth of a queue that is drained never shows them, and NumberOfMessagesSent does not count a redrive"},
	}, nil
}

func dynamoRows(r resource, _ context) ([]row, []string) {
	throttles := func(dimensions ...string) []Query {
		return sum("AWS/DynamoDB", 60, []string{"ReadThrottleEvents", "WriteThrottleEvents"}, append([]string{"TableName", r.name}, dimensions...)...)
	}
	rows := []row{{key: "throttles", queries: throttles(), scale: scale{unit: count}, comparison: Greater, threshold: 10, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "requests are throttled"}}
	for _, index := range r.indexes {
		row := rows[0]
		row.suffix, row.queries = index, throttles("GlobalSecondaryIndexName", index)
		rows = append(rows, row)
	}
	if len(r.operations) == 0 {
		return rows, []string{"no system-errors alarm: the metric is published by operation, so list the operations that are used"}
	}
	system := row{key: "system-errors", scale: scale{unit: count}, comparison: Greater, m: 2, n: 3, missing: NotBreaching, severity: Critical, help: "DynamoDB returns internal errors"}
	var stats []*Stat
	for _, operation := range r.operations {
		stats = append(stats, stat("AWS/DynamoDB", "SystemErrors", "Sum", 60, "TableName", r.name, "Operation", operation))
	}
	system.queries = total(stats)
	return append(rows, system), nil
}
