package alarms

import "strings"

// newBuses returns the metrics that "Observability for the Custom Event Bus" documents.
// The page does not say whether the error metrics have zeros, so their absence says
// nothing.
func newBuses() []Metric {
	var all []Metric
	add := func(sets [][]string, kind MetricKind, onlyNonZero bool, sibling, names string) {
		for name := range strings.FieldsSeq(names) {
			all = append(all, Metric{"AWS/EventsV2", name, sets, kind, onlyNonZero, sibling})
		}
	}
	subscriber := [][]string{{"EventBus", "Subscriber"}, {"EventBus", "SubscriberAccount"}}
	add(subscriber, Counted, false, "", "EventDeliveryAttempts")
	add(subscriber, Counted, false, "EventDeliveryAttempts", "FilterEvaluated FilterMatched TargetInvocations EventsDelivered EgressBytes")
	add(subscriber, Counted, true, "EventDeliveryAttempts", "EventTransformationFailures OnFailureDestinationDelivered OnFailureDestinationFailed EventsDropped SubscriberLogRecordsDropped")
	add(subscriber, Sampled, true, "EventDeliveryAttempts", "RetryInvocationAttempts") // the value is the number of the retry
	add(subscriber, Sampled, false, "EventDeliveryAttempts", "IngestionToInvocationStartTime IngestionToInvocationEndTime")
	add(subscriber, Gauge, false, "EventDeliveryAttempts", "ApproximateBacklogAge")

	bus := [][]string{{"EventBus"}, {"EventBus", "EventSource"}}
	add(bus, Counted, false, "", "PublishEventsEntryCount")
	add(bus, Counted, false, "PublishEventsEntryCount", "PublishEventsApproximateCallCount PublishEventsApproximateSuccessCallCount")
	add(bus, Counted, true, "PublishEventsEntryCount", "PublishEventsFailedEntriesCount PublishEventsApproximateFailedCallCount PublishEventsApproximateThrottledCallCount")
	add([][]string{{"EventBus"}, {"EventBus", "PublisherAccount"}}, Counted, true, "PublishEventsEntryCount", "PublishEventsIngressBytes")
	return all
}
