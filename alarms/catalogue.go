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

// Sibling returns s with the metric that shows whether the resource is active at all,
// with the dimensions that it is published with, and false where there is none. Metrics
// appear on activity or on trouble alone, so that the absence of one says nothing
// without its sibling. own is the namespace of Throughline's metrics.
func Sibling(s Stat, own string) (Stat, bool) {
	metric := ""
	if m, ok := Lookup(s.Namespace, s.Metric, "", metrics.Off); ok {
		metric = m.Sibling
	}
	if metric == "" {
		metric = activity(s, own)
	}
	if metric == "" || metric == s.Metric {
		return Stat{}, false
	}
	if s.Namespace == own { // of the service, whatever the event type
		s.Dimensions = slices.DeleteFunc(slices.Clone(s.Dimensions), func(d Dimension) bool { return d.Name != metrics.DimensionService })
	}
	s.Metric, s.Statistic = metric, "Sum"
	return s, true
}

// activity is what a resource in use publishes.
func activity(s Stat, own string) string {
	if s.Namespace == own {
		return string(metrics.Duration)
	}
	of := func(dimension string) bool {
		return slices.ContainsFunc(s.Dimensions, func(d Dimension) bool { return d.Name == dimension })
	}
	switch {
	case s.Namespace == "AWS/Lambda" && of("FunctionName") && !of("EventSourceMappingUUID"):
		return "Invocations"
	case s.Namespace == "AWS/Events" && of("RuleName"):
		return "TriggeredRules"
	case s.Namespace == "AWS/Events" && len(s.Dimensions) == 0 && strings.HasPrefix(s.Metric, "PutEvents"):
		return "PutEventsEntriesCount"
	case s.Namespace == "AWS/SQS" && s.Metric != "NumberOfMessagesSent":
		return "NumberOfMessagesSent"
	case s.Namespace == "AWS/DynamoDB" && of("Operation"):
		return "SuccessfulRequestLatency"
	}
	return ""
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
		return 120_000, "a queue has 120000 messages in flight at most", true
	case "AWS/SQS ApproximateAgeOfOldestMessage":
		return 14 * 86400, "a queue keeps messages for 14 days at most", true
	case "AWS/Lambda ProvisionedConcurrencyUtilization":
		return 1, "it is a share of 1", true
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

// aws is what the monitoring pages of EventBridge, Lambda, SQS, DynamoDB, the [services]
// and the [newBuses] document. It is read only.
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
		PutEventsApproximateThrottledCount PutEventsEntriesCount PutEventsFailedEntriesCount PutPartnerEventsApproximateCallCount PutPartnerEventsApproximateFailedCount PutPartnerEventsApproximateThrottledCount
		PutPartnerEventsEntriesCount PutPartnerEventsFailedEntriesCount`)
	add(events, none, Sampled, false, "", "PutEventsLatency PutEventsRequestSize")

	function := [][]string{{}, {"FunctionName"}, {"FunctionName", "Resource"}, {"ExecutedVersion", "FunctionName", "Resource"}}
	const lambda = "AWS/Lambda"
	add(lambda, function, Counted, false, "", `Invocations Errors Throttles OversizedRecordCount ProvisionedConcurrencyInvocations
		ProvisionedConcurrencySpilloverInvocations AsyncEventsReceived`)
	add(lambda, function, Counted, true, "Invocations", "DeadLetterErrors DestinationDeliveryFailures AsyncEventsDropped")
	add(lambda, function, Sampled, false, "", "Duration PostRuntimeExtensionsDuration IteratorAge OffsetLag AsyncEventAge")
	add(lambda, function, Gauge, false, "", "ConcurrentExecutions ProvisionedConcurrentExecutions ProvisionedConcurrencyUtilization")
	mapping := [][]string{{"EventSourceMappingUUID", "FunctionName"}, {"EventSourceMappingUUID"}}
	add(lambda, mapping, Counted, false, "", "PolledEventCount InvokedEventCount FilteredOutEventCount FailedInvokeEventCount DeletedEventCount DroppedEventCount OnFailureDestinationDeliveredEventCount")
	add(lambda, function, Counted, true, "Invocations", "SignatureValidationErrors RecursiveInvocationsDropped")
	add(lambda, none, Gauge, false, "", "UnreservedConcurrentExecutions ClaimedAccountConcurrency")

	queue := [][]string{{"QueueName"}}
	const sqs = "AWS/SQS"
	add(sqs, queue, Gauge, false, "", `ApproximateNumberOfMessagesVisible ApproximateNumberOfMessagesNotVisible ApproximateNumberOfMessagesDelayed
		ApproximateAgeOfOldestMessage ApproximateNumberOfGroupsWithInflightMessages ApproximateNumberOfNoisyGroups`)
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

	add(dynamodb, tableOrIndex, Gauge, false, "", "ProvisionedReadCapacityUnits ProvisionedWriteCapacityUnits")
	add(dynamodb, [][]string{{"ReceivingRegion", "TableName"}}, Sampled, false, "", "ReplicationLatency PendingReplicationCount")
	add(dynamodb, tableOrIndex, Counted, true, "", `ReadKeyRangeThroughputThrottleEvents WriteKeyRangeThroughputThrottleEvents ReadMaxOnDemandThroughputThrottleEvents
		WriteMaxOnDemandThroughputThrottleEvents ReadProvisionedThroughputThrottleEvents WriteProvisionedThroughputThrottleEvents ReadAccountLimitThrottleEvents WriteAccountLimitThrottleEvents`)
	return slices.Concat(all, services(), newBuses())
})
