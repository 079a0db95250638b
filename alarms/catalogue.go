package alarms

import (
	"slices"
	"strings"
	"sync"

	"github.com/throughline/throughline/metrics"
)

// MetricKind says which statistics of a metric have a meaning.
type MetricKind string

// The kinds of metrics.
const (
	Counted MetricKind = "count" // a number of occurrences in the period: use Sum
	Gauge   MetricKind = "gauge" // a level at a point in time: use Maximum or Average; a Sum has no meaning
	Sampled MetricKind = "distribution"
)

// Metric describes one of CloudWatch's metrics. It is a value. Its Sets must not be
// changed.
type Metric struct {
	Namespace, Name string
	Sets            [][]string // the dimension sets that the metric is published with, each sorted by name
	Kind            MetricKind
	// OnlyNonZero reports that the service publishes no zeros. Missing data therefore
	// says nothing about health.
	OnlyNonZero bool
	// Sibling is a metric with the same dimensions that shows activity. It confirms the
	// dimensions of a metric that is OnlyNonZero.
	Sibling string
}

// Lookup returns the description of a metric, and false if the catalogue does not have
// it. own and profile are the namespace and the profile of Throughline's own metrics,
// which package metrics describes. Their Sets are empty under a profile that does not
// emit them.
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

// Sibling returns the metric that shows whether the resource of s is active, with the
// dimensions that it is published with. It returns false if there is none. Some metrics
// are published only on activity or on errors: without its sibling, the absence of such a
// metric says nothing. own is the namespace of Throughline's metrics.
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
	if s.Namespace == own { // the sibling has the dimension Service only
		s.Dimensions = slices.DeleteFunc(slices.Clone(s.Dimensions), func(d Dimension) bool { return d.Name != metrics.DimensionService })
	}
	s.Metric, s.Statistic = metric, "Sum"
	return s, true
}

// activity returns the name of a metric that a resource in use publishes.
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

// ceiling returns the highest value that a datapoint of the metric can have, and why. ok
// is false if the metric has no known bound.
func ceiling(s Stat, own string) (most float64, why string, ok bool) {
	if counting(s.Statistic) {
		return 0, "", false
	}
	switch s.Namespace + " " + s.Metric {
	case "AWS/Lambda Duration":
		return 900_000, "an invocation lasts at most 15 minutes", true
	case "AWS/SQS ApproximateNumberOfMessagesNotVisible":
		return 120_000, "a queue has at most 120000 messages in flight", true
	case "AWS/SQS ApproximateAgeOfOldestMessage":
		return 14 * 86400, "a queue keeps messages for at most 14 days", true
	case "AWS/Lambda ProvisionedConcurrencyUtilization":
		return 1, "it is a fraction between 0 and 1", true
	case "AWS/ApiGateway 4XXError", "AWS/ApiGateway 5XXError", "AWS/ApiGateway CacheHitCount", "AWS/ApiGateway CacheMissCount":
		return 1, "it is 0 or 1 for each request", true
	case own + " " + string(metrics.TimeoutUtilization), own + " " + string(metrics.MemoryUtilization):
		return 100, "it is a percentage", true
	default:
		return 0, "", false
	}
}

// catalogued reports whether the catalogue has every metric of the namespace.
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

// aws returns the metrics that the monitoring pages of EventBridge, Lambda, SQS and
// DynamoDB document, and [services] and [newBuses]. Callers must not change them.
var aws = sync.OnceValue(func() []Metric {
	var all []Metric
	add := func(namespace string, sets [][]string, kind MetricKind, onlyNonZero bool, sibling, names string) {
		for name := range strings.FieldsSeq(names) {
			all = append(all, Metric{namespace, name, sets, kind, onlyNonZero, sibling})
		}
	}
	none := [][]string{{}}
	// A rule on a custom bus publishes with both dimensions, a rule on the default bus with RuleName only.
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
	add(lambda, function, Sampled, false, "", "Duration PostRuntimeExtensionsDuration IteratorAge AsyncEventAge")
	add(lambda, function, Gauge, false, "", "ConcurrentExecutions ProvisionedConcurrentExecutions ProvisionedConcurrencyUtilization")
	mapping := [][]string{{"EventSourceMappingUUID", "FunctionName"}, {"EventSourceMappingUUID"}}
	add(lambda, slices.Concat(function, mapping), Sampled, false, "", "OffsetLag")
	add(lambda, function, Counted, false, "", "UrlRequestCount Url4xxCount Url5xxCount")
	add(lambda, function, Sampled, false, "", "UrlRequestLatency")
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
