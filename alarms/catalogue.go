package alarms

import (
	"slices"
	"strings"
	"sync"

	"github.com/throughline/throughline/metrics"
)

// MetricKind says what sums and averages of a metric mean.
type MetricKind string

// The kinds of metrics.
const (
	Counted MetricKind = "count" // events in the period: Sum
	Gauge   MetricKind = "gauge" // a level at a moment: Maximum, Average; a Sum means nothing
	Sampled MetricKind = "distribution"
)

// Metric is what is known of one of CloudWatch's metrics. It is a value
// whose Sets are not to be changed.
type Metric struct {
	Namespace, Name string
	Sets            [][]string // the sets of dimensions it is published with, each in order of names
	Kind            MetricKind
	// OnlyNonZero says that nothing is published where there would be a zero:
	// absence is no news, good or bad.
	OnlyNonZero bool
	// Sibling is a metric of the same dimensions that shows activity, by which
	// an OnlyNonZero metric's dimensions can be told to be right.
	Sibling string
}

// Lookup returns what is known of a metric. Throughline's own are those of
// package metrics under namespace and profile; their Sets are empty under a
// profile that does not emit them.
func Lookup(namespace, name, own string, profile metrics.Profile) (Metric, bool) {
	if namespace == own {
		m, ok := metrics.Lookup(metrics.Name(name))
		if !ok {
			return Metric{}, false
		}
		known := Metric{Namespace: own, Name: name, Kind: Sampled, Sets: m.DimensionSets(profile)}
		if m.Kind == metrics.Counter {
			known.Kind = Counted
		}
		for i, set := range known.Sets {
			known.Sets[i] = slices.Sorted(slices.Values(set))
		}
		return known, true
	}
	for _, m := range aws() {
		if m.Namespace == namespace && m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// Sibling returns s with the metric that shows whether anything at all is
// published with its dimensions, and false where it has none.
func Sibling(s Stat) (Stat, bool) {
	m, ok := Lookup(s.Namespace, s.Metric, "", metrics.Off)
	if !ok || m.Sibling == "" {
		return Stat{}, false
	}
	s.Metric, s.Statistic = m.Sibling, "Sum"
	return s, true
}

// ceiling is what no datapoint of a metric alone can be above, and why; ok is
// false where nothing bounds it.
func ceiling(s Stat, own string) (most float64, why string, ok bool) {
	if s.Statistic == "Sum" || s.Statistic == "SampleCount" {
		return 0, "", false
	}
	switch s.Namespace + " " + s.Metric {
	case "AWS/Lambda Duration":
		return 900_000, "an invocation lasts 15 minutes at most", true
	case "AWS/SQS ApproximateNumberOfMessagesNotVisible":
		for _, d := range s.Dimensions {
			if d.Name == "QueueName" && strings.HasSuffix(d.Value, ".fifo") {
				return 20_000, "a FIFO queue has 20000 messages in flight at most", true
			}
		}
		return 120_000, "a standard queue has 120000 messages in flight at most", true
	case "AWS/SQS ApproximateAgeOfOldestMessage":
		return 14 * 86400, "a queue keeps messages for 14 days at most", true
	case own + " " + string(metrics.TimeoutUtilization), own + " " + string(metrics.MemoryUtilization):
		return 100, "it is a percentage", true
	default:
		return 0, "", false
	}
}

// catalogued says whether every metric of the namespace is known here.
func catalogued(namespace, own string) bool {
	return namespace == own || slices.ContainsFunc(aws(), func(m Metric) bool { return m.Namespace == namespace })
}

func namesIn(namespace, own string) []string {
	var names []string
	if namespace == own {
		for _, m := range metrics.Catalogue() {
			names = append(names, string(m.Name))
		}
		return names
	}
	for _, m := range aws() {
		if m.Namespace == namespace {
			names = append(names, m.Name)
		}
	}
	return names
}

// aws is what the monitoring pages of EventBridge, Lambda, SQS, DynamoDB and
// Scheduler document. It is read only.
var aws = sync.OnceValue(func() []Metric {
	var all []Metric
	add := func(namespace string, sets [][]string, kind MetricKind, onlyNonZero bool, sibling, names string) {
		for name := range strings.FieldsSeq(names) {
			all = append(all, Metric{namespace, name, sets, kind, onlyNonZero, sibling})
		}
	}
	none := [][]string{{}}
	// Events of a rule on a custom bus are under both names, of one on the default bus under the rule's alone.
	rule := [][]string{{"RuleName"}, {"EventBusName", "RuleName"}}
	ruleOrAll := [][]string{{}, {"EventBusName"}, {"EventBusName", "RuleName"}, {"RuleName"}}
	const events = "AWS/Events"
	add(events, rule, Counted, true, "TriggeredRules", "FailedInvocations DeadLetterInvocations InvocationsSentToDlq InvocationsFailedToBeSentToDlq")
	add(events, [][]string{{}, {"EventBusName", "RuleName"}, {"RuleName"}}, Counted, true, "", "Invocations")
	add(events, [][]string{{"EventBusName"}, {"EventBusName", "RuleName"}, {"EventSourceName"}, {"RuleName"}}, Counted, false, "", "MatchedEvents")
	add(events, ruleOrAll, Counted, true, "TriggeredRules", "RetryInvocationAttempts ThrottledRules")
	add(events, ruleOrAll, Counted, false, "", "TriggeredRules InvocationAttempts SuccessfulInvocationAttempts")
	add(events, ruleOrAll, Sampled, false, "", "IngestionToInvocationStartLatency IngestionToInvocationCompleteLatency IngestionToInvocationSuccessLatency")
	add(events, [][]string{{"EventBusName"}}, Counted, false, "", "EventBusEncryptionStarted EventBusEncryptionCompleted EventBusEncryptionFailed")
	add(events, [][]string{{"EventSourceName"}}, Counted, false, "", "Events")
	add(events, none, Counted, false, "", `InvocationsCreated PutEventsApproximateCallCount PutEventsApproximateFailedCount PutEventsApproximateSuccessCount
		PutEventsApproximateThrottledCount PutEventsEntriesCount PutEventsFailedEntriesCount`)
	add(events, none, Sampled, false, "", "PutEventsLatency PutEventsRequestSize")

	function := [][]string{{}, {"FunctionName"}, {"FunctionName", "Resource"}, {"ExecutedVersion", "FunctionName", "Resource"}}
	const lambda = "AWS/Lambda"
	add(lambda, function, Counted, false, "", `Invocations Errors Throttles OversizedRecordCount ProvisionedConcurrencyInvocations
		ProvisionedConcurrencySpilloverInvocations AsyncEventsReceived`)
	add(lambda, function, Counted, true, "Invocations", "DeadLetterErrors DestinationDeliveryFailures AsyncEventsDropped RecursiveInvocationsDropped")
	add(lambda, function, Sampled, false, "", "Duration PostRuntimeExtensionsDuration IteratorAge OffsetLag AsyncEventAge")
	add(lambda, function, Gauge, false, "", "ConcurrentExecutions ProvisionedConcurrentExecutions ProvisionedConcurrencyUtilization")
	add(lambda, none, Gauge, false, "", "UnreservedConcurrentExecutions ClaimedAccountConcurrency")

	queue := [][]string{{"QueueName"}}
	const sqs = "AWS/SQS"
	add(sqs, queue, Gauge, false, "", `ApproximateNumberOfMessagesVisible ApproximateNumberOfMessagesNotVisible ApproximateNumberOfMessagesDelayed
		ApproximateAgeOfOldestMessage ApproximateNumberOfGroupsWithInflightMessages`)
	add(sqs, queue, Counted, false, "", "NumberOfMessagesSent NumberOfMessagesReceived NumberOfMessagesDeleted NumberOfEmptyReceives NumberOfDeduplicatedSentMessages")
	add(sqs, queue, Sampled, false, "", "SentMessageSize")

	table := [][]string{{"TableName"}}
	tableOrIndex := [][]string{{"TableName"}, {"GlobalSecondaryIndexName", "TableName"}}
	operation := [][]string{{"Operation", "TableName"}}
	const dynamodb = "AWS/DynamoDB"
	add(dynamodb, tableOrIndex, Counted, true, "ConsumedReadCapacityUnits", "ReadThrottleEvents")
	add(dynamodb, tableOrIndex, Counted, true, "ConsumedWriteCapacityUnits", "WriteThrottleEvents")
	add(dynamodb, tableOrIndex, Counted, false, "", "ConsumedReadCapacityUnits ConsumedWriteCapacityUnits")
	add(dynamodb, operation, Counted, true, "SuccessfulRequestLatency", "SystemErrors ThrottledRequests")
	add(dynamodb, operation, Sampled, false, "", "SuccessfulRequestLatency")
	add(dynamodb, none, Counted, true, "", "UserErrors")
	add(dynamodb, none, Gauge, false, "", "AccountProvisionedReadCapacityUtilization AccountProvisionedWriteCapacityUtilization MaxProvisionedTableReadCapacityUtilization MaxProvisionedTableWriteCapacityUtilization")
	add(dynamodb, table, Counted, true, "", "ConditionalCheckFailedRequests TransactionConflict TimeToLiveDeletedItemCount")

	group := [][]string{{}, {"ScheduleGroup"}}
	const scheduler = "AWS/Scheduler"
	add(scheduler, group, Counted, false, "", "InvocationAttemptCount")
	add(scheduler, group, Counted, true, "InvocationAttemptCount", `InvocationDroppedCount TargetErrorCount TargetErrorThrottledCount InvocationThrottleCount
		InvocationsSentToDeadLetterCount InvocationsFailedToBeSentToDeadLetterCount`)
	return all
})
