package alarms

import (
	"slices"
	"strings"
)

// units are the units of AWS's metrics, as far as all metrics of the name have the same
// one. An alarm on another unit has no datapoints.
var units = map[string]string{
	"AWS/Lambda Duration": "Milliseconds", "AWS/Lambda IteratorAge": "Milliseconds", "AWS/Lambda AsyncEventAge": "Milliseconds", "AWS/Lambda PostRuntimeExtensionsDuration": "Milliseconds",
	"AWS/Lambda ConcurrentExecutions": "Count", "AWS/SQS ApproximateNumberOfMessagesVisible": "Count", "AWS/SQS ApproximateNumberOfMessagesNotVisible": "Count", "AWS/SQS ApproximateNumberOfMessagesDelayed": "Count",
	"AWS/Events IngestionToInvocationSuccessLatency": "Milliseconds", "AWS/Events IngestiontoInvocationStartLatency": "Milliseconds",
	"AWS/SQS ApproximateAgeOfOldestMessage": "Seconds", "AWS/SQS SentMessageSize": "Bytes", "AWS/DynamoDB SuccessfulRequestLatency": "Milliseconds",
	"AWS/States ExecutionTime": "Milliseconds", "AWS/EventBridge/Pipes Duration": "Milliseconds", "AWS/ApiGateway Latency": "Milliseconds", "AWS/ApiGateway IntegrationLatency": "Milliseconds",
	"AWS/Kinesis GetRecords.IteratorAgeMilliseconds": "Milliseconds", "AWS/SNS PublishSize": "Bytes",
	"AWS/EventsV2 EgressBytes": "Bytes", "AWS/EventsV2 PublishEventsIngressBytes": "Bytes", "AWS/EventsV2 ApproximateBacklogAge": "Milliseconds",
	"AWS/EventsV2 IngestionToInvocationStartTime": "Milliseconds", "AWS/EventsV2 IngestionToInvocationEndTime": "Milliseconds",
}

// values checks a metric's values: the unit, the sign, and how often it has a datapoint.
func (l *linter) values(a Alarm, m Metric, s Stat) {
	unit, known := units[s.Namespace+" "+s.Metric]
	if !known && m.Kind == Counted && s.Namespace != "AWS/EventBridge/Pipes" { // counts of Pipes have no unit
		unit = "Count"
	}
	if s.Unit != "" && unit != "" && s.Unit != unit && s.Namespace != l.set.Namespace {
		l.errorf("it can never fire: %s is published in %s, not in %s: remove the unit", s.Metric, unit, s.Unit)
	}
	if strings.HasPrefix(s.Namespace, "AWS/") && s.Period > 0 && s.Period < 60 {
		l.errorf("a period of %d s: %s has one datapoint a minute, and only custom metrics can have shorter periods", s.Period, s.Namespace)
	}
	if len(a.Queries) != 1 {
		return
	}
	if a.Comparison == Less && a.Threshold <= 0 || a.Comparison == LessOrEqual && a.Threshold < 0 {
		l.errorf("it can never fire: %s is never below 0", s.Metric)
	}
	idle, certain := map[string]string{"AWS/Lambda": "a function that is not invoked", "AWS/Events": "a rule that no event matches"}[s.Namespace], true
	if idle == "" {
		certain = false
		idle = map[string]string{"AWS/States": "a state machine that is not started", "AWS/Scheduler": "a group without an invocation", "AWS/SNS": "a topic without a message",
			"AWS/ApiGateway": "an API without a request", "AWS/EventBridge/Pipes": "a pipe without an event"}[s.Namespace]
	}
	activity := []string{"Invocations", "TriggeredRules", "MatchedEvents", "ExecutionsStarted", "InvocationAttemptCount", "NumberOfMessagesPublished", "Count"}
	counts := s.Statistic == "SampleCount" || s.Statistic == "Sum" && slices.Contains(activity, s.Metric)
	if idle != "" && counts && a.Missing != Breaching && (a.Comparison == Less && a.Threshold <= 1 || a.Comparison == LessOrEqual && a.Threshold < 1) {
		if certain {
			l.errorf("it can never fire: %s publishes nothing, so treat missing data as breaching", idle)
		} else {
			l.warnf("it may never fire: %s may publish nothing, so treat missing data as breaching", idle)
		}
	}
	high := a.Comparison == Greater || a.Comparison == GreaterOrEqual
	if high && (a.Threshold < 0 || a.Threshold == 0 && a.Comparison == GreaterOrEqual && !m.OnlyNonZero) {
		l.warnf("every datapoint breaches %s %s, so it is in ALARM whenever %s is published", a.Comparison.Symbol(), number(a.Threshold), s.Metric)
	}
	if s.Namespace == "AWS/SQS" && s.Metric == "NumberOfMessagesSent" && high && deadLetterName(s.Dimensions) {
		l.warnf("NumberOfMessagesSent does not count the messages that a redrive policy moves to a dead-letter queue: use ApproximateNumberOfMessagesVisible")
	}
	if unit == "Milliseconds" && s.Namespace == "AWS/Lambda" && !counting(s.Statistic) && high && a.Threshold > 0 && a.Threshold < 100 {
		l.warnf("%s is in milliseconds, so %s is very short: for seconds write %s", s.Metric, number(a.Threshold), number(a.Threshold*1000))
	}
	n := a.EvaluationPeriods
	if m.Kind != Counted || !high || a.Normalize().DatapointsToAlarm != n || n < 15 || a.Missing == Breaching {
		return
	}
	switch {
	case s.Namespace == "AWS/Lambda":
		l.warnf("%d of %d datapoints must breach: %s has a datapoint only for a minute in which the function ran, and one minute without an error prevents ALARM; use %d of %d", n, n, s.Metric, max(1, n/4), n)
	case m.OnlyNonZero:
		l.warnf("%d of %d datapoints must breach: %s has a datapoint only when it is not zero; use %d of %d", n, n, s.Metric, max(1, n/4), n)
	}
}

// deadLetterName reports whether a queue is a dead-letter queue by its name.
func deadLetterName(dimensions []Dimension) bool {
	return slices.ContainsFunc(dimensions, func(d Dimension) bool {
		name := strings.ToLower(d.Value)
		return strings.Contains(name, "dlq") || strings.Contains(name, "dead")
	})
}
