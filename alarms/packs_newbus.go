package alarms

import (
	"cmp"
	"strings"
)

// The packs below follow "Observability for the Custom Event Bus"
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-custom-bus-observability.html).
// AWS's pages differ on the value of the dimension EventBus: for metrics of subscribers
// it is the bus's ARN, for those of the bus its name or name/id. `throughline alarms
// check` finds the value, and the member dimension of the resource sets it.

const busArn = ":event-busv2/" // before name/id

// newBus returns the value of the dimension EventBus in the bus's own metrics.
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
		help: "nothing was published on the bus for longer than its schedule says"}, r.every, r.slack)
	return []row{
		counted("put-failed", m("PublishEventsFailedEntriesCount"), Warning, 3, 5, "entries that the bus refused, of all its publishers"),
		counted("put-throttled", m("PublishEventsApproximateThrottledCallCount"), Warning, 3, 5, "calls that were throttled, of all the bus's publishers"),
		counted("calls-failed", m("PublishEventsApproximateFailedCallCount"), Warning, 3, 5, "calls that failed completely, of all the bus's publishers: none of their entries was published"),
		silent,
	}, notes
}

func (r resource) subscriber(metric, statistic string) *Stat {
	return stat("AWS/EventsV2", metric, statistic, 60, "EventBus", cmp.Or(r.dimension, r.bus), "Subscriber", r.arn)
}

// lost returns the metric that counts a subscriber's events that no dead-letter queue
// has.
func (r resource) lost() *Stat {
	if r.dlq != "" {
		return r.subscriber("OnFailureDestinationFailed", "Sum")
	}
	return r.subscriber("EventsDropped", "Sum")
}

// subscriberRows leave ApproximateBacklogAge to the spec's author for a subscriber that
// is stopped or replays: there, a high value is expected.
func subscriberRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return []Query{{ID: "m1", Return: true, Stat: r.subscriber(metric, statistic)}}
	}
	age := 60_000.0
	if r.slo > 0 {
		age = float64(r.slo.Milliseconds())
	}
	lost := counted("dlq-lost", m("OnFailureDestinationFailed", "Sum"), Critical, 1, 1, "the record of events that were not delivered did not reach the dead-letter queue either: check the delivery role, the queue's policy and its key")
	sent := counted("dlq-sent", m("OnFailureDestinationDelivered", "Sum"), Warning, 1, 1, "events were not delivered: the dead-letter queue has a record of them, without their details")
	var notes []string
	if r.dlq == "" {
		lost.off, sent.off = true, true
		notes = append(notes, "no dlq-sent and dlq-lost alarms: the subscriber names no dlq, so events that are not delivered are lost")
	}
	return []row{
		counted("dropped", m("EventsDropped", "Sum"), Critical, 1, 1, "events were dropped, and no dead-letter queue has them: replay them from the bus while it retains them"),
		lost, sent,
		{key: "backlog", queries: m("ApproximateBacklogAge", "Maximum"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: age, m: 5, n: 5, missing: NotBreaching, severity: Warning,
			help: "the oldest event waits too long for its delivery; in a FIFO subscriber a group may be stuck"},
		{key: "failed-attempts", queries: []Query{
			{ID: "n", Stat: r.subscriber("EventDeliveryAttempts", "Sum")}, {ID: "delivered", Stat: r.subscriber("EventsDelivered", "Sum")},
			{ID: "rate", Expression: "IF(FILL(n,0) > 0, 100*(n-FILL(delivered,0))/n, 0)", Return: true},
		}, scale: scale{unit: percent}, comparison: Greater, threshold: 10, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: "the share of delivery attempts that fail: each is retried, five times by default"},
		counted("transformation", m("EventTransformationFailures", "Sum"), Warning, 1, 1, "the subscriber's transformation failed on an event: it fails on each retry too"),
		{key: "latency", queries: m("IngestionToInvocationEndTime", "p99"), scale: scale{unit: milliseconds}, comparison: Greater, threshold: 30_000, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "how long events take from the bus to the end of the target's call"},
	}, notes
}
