package alarms

import (
	"fmt"
	"strings"

	"github.com/throughline/throughline/metrics"
)

// row is one alarm of a pack, before a spec's overrides.
type row struct {
	key        string
	name       string // in place of resource and key, where the alarm has a name of its own
	suffix     string // between the resource and the key: an event type, an index
	queries    []Query
	scale      scale
	comparison Comparison
	threshold  float64
	m, n       int
	period     int
	missing    Missing
	lowSample  string
	severity   Severity
	minSamples float64 // of rates; 0 for none
	full       metrics.Name
	off        bool // unless enabled
	help       string
}

// kind is what a spec can say of a sort of resource, and the pack of it.
type kind struct {
	name    string
	members []string // besides name, as and kind
	needs   []string
	help    string
	rows    func(r resource, c context) ([]row, []string)
}

// context is what rows need of the spec as a whole.
type context struct {
	namespace string
	profile   metrics.Profile
	limit     float64 // of an entry, in bytes
}

// kinds are the resources of specs and their packs, made anew at each call: one
// spec's overrides can never reach another's defaults.
func kinds() []kind {
	return []kind{
		{"lambda", []string{"timeout", "reserved", "stream"}, []string{"name"}, "a Lambda function", lambdaRows},
		{"event-rule", []string{"bus", "dlq", "every"}, []string{"name"}, "a rule of an event bus", ruleRows},
		{"account", []string{"concurrency"}, nil, "what EventBridge and Lambda publish of the account and Region", accountRows},
		{"queue", []string{"retention", "slo", "fifo"}, []string{"name"}, "an SQS queue", queueRows},
		{"dlq", []string{"drained"}, []string{"name"}, "a dead-letter queue", dlqRows},
		{"dynamodb", []string{"indexes", "operations"}, []string{"name"}, "a DynamoDB table", dynamoRows},
		{"scheduler", nil, []string{"name"}, "an EventBridge Scheduler group", schedulerRows},
		{"events", []string{"service", "detailTypes", "slo", "maxHops"}, []string{"service"}, "the events of a service, by Throughline's metrics", eventsRows},
		{"extension", []string{"service", "function"}, []string{"service"}, "the invocations of a service, and Throughline itself", extensionRows},
		{"seed", []string{"function", "queue", "rules", "bus"}, nil, "EventBridgeThrottled, LambdaErrors and EventBridgeDLQDepth", seedRows},
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

// guard is the expression of a rate that is 0 while there are too few samples.
// Too few must be a real zero: a missing datapoint would let older ones count again.
func guard(rate string, least float64) string {
	return fmt.Sprintf("IF(FILL(n,0) >= %s, %s, 0)", number(least), rate)
}

// rate is 100·FILL(part,0)/n, 0 under least.
func rate(part, whole *Stat, least float64) []Query {
	return []Query{
		{ID: "n", Stat: whole},
		{ID: "part", Stat: part},
		{ID: "rate", Expression: guard("100*FILL(part,0)/n", least), Return: true},
	}
}

func lambdaRows(r resource, _ context) (rows []row, notes []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/Lambda", metric, statistic, 60, "FunctionName", r.name)
	}
	s := func(metric string) *Stat { return stat("AWS/Lambda", metric, "Sum", 60, "FunctionName", r.name) }
	rows = []row{
		{key: "errors", queries: rate(s("Errors"), s("Invocations"), 20), minSamples: 20, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Critical,
			help: "the share of invocations that end in an error"},
		{key: "errors-any", queries: m("Errors", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Warning, help: "an invocation ended in an error"},
		{key: "throttles", queries: []Query{
			{ID: "i", Stat: s("Invocations")}, {ID: "t", Stat: s("Throttles")},
			{ID: "rate", Expression: "IF(FILL(t,0) > 0, 100*t/(t+FILL(i,0)), 0)", Return: true},
		}, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "the share of invocations that Lambda refuses for want of concurrency"},
		{key: "async-age", queries: m("AsyncEventAge", "Maximum"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 300_000, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "how long events wait in Lambda's own queue"},
		{key: "async-drop", queries: m("AsyncEventsDropped", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
			help: "events given up without a success, even if a dead-letter queue has them"},
		{key: "dead-letter", queries: m("DeadLetterErrors", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
			help: "a failed event did not reach the dead-letter queue either"},
		{key: "destination", queries: m("DestinationDeliveryFailures", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
			help: "the record of an invocation did not reach its destination"},
	}
	if r.timeout > 0 {
		ms := float64(r.timeout.Milliseconds())
		rows = append(rows, row{key: "duration", queries: m("Duration", "Maximum"), scale: scale{milliseconds, "timeout", ms}, comparison: Greater, threshold: 0.9 * ms, m: 2, n: 3,
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
	return rows, notes
}

// sum is Σ FILL(metric,0): the metrics are published only where there is
// something to count.
func sum(namespace string, period int, names []string, dimensions ...string) []Query {
	queries, terms := make([]Query, 0, len(names)+1), make([]string, 0, len(names))
	for i, name := range names {
		id := fmt.Sprintf("m%d", i+1)
		queries = append(queries, Query{ID: id, Stat: stat(namespace, name, "Sum", period, dimensions...)})
		terms = append(terms, "FILL("+id+",0)")
	}
	return append(queries, Query{ID: "total", Expression: strings.Join(terms, " + "), Return: true})
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
		{key: "failed", queries: m("FailedInvocations", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical, help: "an event could not be delivered for good"},
		{key: "throttled", queries: m("ThrottledRules", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "deliveries are delayed by throttling"},
		{key: "latency", queries: m("IngestionToInvocationSuccessLatency", "p99", 60), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 30_000, m: 3, n: 5, missing: NotBreaching, lowSample: "ignore", severity: Warning,
			help: "how long events take from the bus to a target that took them"},
	}
	silent := row{key: "silent", queries: m("TriggeredRules", "Sum", 3600), period: 3600, scale: scale{unit: count}, comparison: Less, threshold: 1, m: 1, n: 1, missing: Breaching, severity: Warning, off: r.every == 0,
		help: "no event matched the rule for as long as its schedule says there should be one"}
	if hours := int(r.every.Hours() + 0.999); hours > 1 {
		// Datapoints of at most an hour: a window of days is evaluated hourly.
		silent.m, silent.n = min(hours, 168), min(hours, 168)
	}
	rows = append(rows, silent)
	lost := row{key: "dlq-lost", queries: m("InvocationsFailedToBeSentToDlq", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
		help: "a failed event could not be sent to the dead-letter queue either: its policy, its key or the size"}
	sent := row{key: "dlq-sent", queries: m("InvocationsSentToDlq", "Sum", 60), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Warning, help: "an event went to the dead-letter queue"}
	if r.dlq == "" {
		lost.off, sent.off = true, true
		notes = append(notes, "no dlq-sent and dlq-lost alarms: the rule names no dlq, so what cannot be delivered is lost")
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
	inFlight := 120_000.0
	if r.fifo {
		inFlight = 20_000
	}
	return []row{
		{key: "age", queries: m("ApproximateAgeOfOldestMessage", "Maximum"), scale: scale{seconds, "retention", r.retention.Seconds()}, comparison: Greater, threshold: age, m: 5, n: 5, missing: NotBreaching, severity: Warning,
			help: "the oldest message waits too long"},
		{key: "in-flight", queries: m("ApproximateNumberOfMessagesNotVisible", "Maximum"), scale: scale{count, "limit", inFlight}, comparison: Greater, threshold: 0.8 * inFlight, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "messages in flight come near SQS's limit, beyond which none is given out"},
	}, nil
}

func dlqRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/SQS", metric, statistic, 60, "QueueName", r.name)
	}
	return []row{
		{key: "depth", queries: m("ApproximateNumberOfMessagesVisible", "Maximum"), scale: scale{unit: count}, comparison: GreaterOrEqual, threshold: 1, m: 1, n: 1, missing: NotBreaching, severity: Critical, help: "messages wait in the dead-letter queue"},
		{key: "arrivals", queries: m("NumberOfMessagesReceived", "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical, off: !r.drained,
			help: "messages were taken out of the dead-letter queue: of one that is drained, the depth never shows (what is sent by a redrive is not counted as sent)"},
	}, nil
}

func schedulerRows(r resource, _ context) ([]row, []string) {
	return []row{{key: "dropped", queries: query("AWS/Scheduler", "InvocationDroppedCount", "Sum", 60, "ScheduleGroup", r.name), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: Critical,
		help: "a schedule's target was not invoked, after every retry"}}, nil
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
		return rows, []string{"no system-errors alarm: it is published by operation, so list the operations that are used"}
	}
	system := row{key: "system-errors", scale: scale{unit: count}, comparison: Greater, m: 2, n: 3, missing: NotBreaching, severity: Critical, help: "DynamoDB answers with errors of its own"}
	var terms []string
	for i, operation := range r.operations {
		id := fmt.Sprintf("m%d", i+1)
		system.queries = append(system.queries, Query{ID: id, Stat: stat("AWS/DynamoDB", "SystemErrors", "Sum", 60, "TableName", r.name, "Operation", operation)})
		terms = append(terms, "FILL("+id+",0)")
	}
	system.queries = append(system.queries, Query{ID: "total", Expression: strings.Join(terms, " + "), Return: true})
	return append(rows, system), nil
}
