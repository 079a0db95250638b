package alarms

import (
	"cmp"
	"strings"
)

// The packs below follow "Observability for the Custom Event Bus"
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-custom-bus-observability.html).
// AWS's pages differ in what the dimension EventBus holds: the bus's ARN of subscribers'
// metrics; of the bus's own its name or name/id. `throughline alarms check` finds out which it is,
// and a resource's dimension says it.

const busArn = ":event-busv2/" // before name/id

// newBus is the value of the dimension EventBus of the bus's own metrics.
func (r resource) newBus() string {
	if r.dimension != "" {
		return r.dimension
	}
	_, nameAndID, _ := strings.Cut(r.arn, busArn)
	return nameAndID
}

func newBusRows(r resource, _ context) ([]row, []string) {
	m := func(metric string) []Query { return query("AWS/EventsV2", metric, "Sum", 60, "EventBus", r.newBus()) }
	silent, notes := absent(row{key: "silent", queries: m("PublishEventsEntryCount"), severity: Warning,
		help: "nothing was published on the bus for as long as there should be something"}, r.every, r.slack)
	return []row{
		counted("put-failed", m("PublishEventsFailedEntriesCount"), Warning, 3, 5, "entries that the bus refused, of all its publishers"),
		counted("put-throttled", m("PublishEventsApproximateThrottledCallCount"), Warning, 3, 5, "calls that were throttled, of all the bus's publishers"),
		counted("calls-failed", m("PublishEventsApproximateFailedCallCount"), Warning, 3, 5, "calls that failed as a whole, of all the bus's publishers: nothing of them was published"),
		silent,
	}, notes
}

func (r resource) subscriber(metric, statistic string) *Stat {
	return stat("AWS/EventsV2", metric, statistic, 60, "EventBus", cmp.Or(r.dimension, r.bus), "Subscriber", r.arn)
}

// lost is what tells of a subscriber's events that are recorded nowhere.
func (r resource) lost() *Stat {
	if r.dlq != "" {
		return r.subscriber("OnFailureDestinationFailed", "Sum")
	}
	return r.subscriber("EventsDropped", "Sum")
}

// subscriberRows leave ApproximateBacklogAge of a subscriber that is stopped or reads the
// past to whoever writes the spec: it is high for good reason.
func subscriberRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return []Query{{ID: "m1", Return: true, Stat: r.subscriber(metric, statistic)}}
	}
	age := 60_000.0
	if r.slo > 0 {
		age = float64(r.slo.Milliseconds())
	}
	lost := counted("dlq-lost", m("OnFailureDestinationFailed", "Sum"), Critical, 1, 1, "the record of events that could not be delivered did not reach the dead-letter queue either: the delivery role, the queue's policy, its key")
	sent := counted("dlq-sent", m("OnFailureDestinationDelivered", "Sum"), Warning, 1, 1, "events could not be delivered: the dead-letter queue has a record of them, without what they say")
	var notes []string
	if r.dlq == "" {
		lost.off, sent.off = true, true
		notes = append(notes, "no dlq-sent and dlq-lost alarms: the subscriber names no dlq, so what cannot be delivered is lost")
	}
	return []row{
		counted("dropped", m("EventsDropped", "Sum"), Critical, 1, 1, "events were given up and are recorded nowhere: they are on the bus as long as it keeps them"),
		lost, sent,
		{key: "backlog", queries: m("ApproximateBacklogAge", "Maximum"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: age, m: 5, n: 5, missing: NotBreaching, severity: Warning,
			help: "the oldest event waits too long for its delivery; of a FIFO subscriber a group may be stuck"},
		{key: "failed-attempts", queries: []Query{
			{ID: "n", Stat: r.subscriber("EventDeliveryAttempts", "Sum")}, {ID: "delivered", Stat: r.subscriber("EventsDelivered", "Sum")},
			{ID: "rate", Expression: "IF(FILL(n,0) > 0, 100*(n-FILL(delivered,0))/n, 0)", Return: true},
		}, scale: scale{unit: percent}, comparison: Greater, threshold: 10, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "the share of attempts at a delivery that fail: each is retried, five times by default"},
		counted("transformation", m("EventTransformationFailures", "Sum"), Warning, 1, 1, "the subscriber's expression failed on an event: it fails on each retry too"),
		{key: "latency", queries: m("IngestionToInvocationEndTime", "p99"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 30_000, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "how long events take from the bus to the end of the target's call"},
	}, notes
}
