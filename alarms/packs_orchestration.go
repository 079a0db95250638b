package alarms

import "time"

// counted returns a row on a sum that should be 0.
func counted(key string, queries []Query, severity Severity, m, n int, help string) row {
	return row{key: key, queries: queries, scale: scale{unit: count}, comparison: Greater, m: m, n: n, missing: NotBreaching, severity: severity, help: help}
}

// longestWindow is the longest evaluation range that CloudWatch allows an alarm.
const longestWindow = 7 * 24 * time.Hour

// absent makes a row fire if something that happens every so often has not happened for
// that time plus the slack. The default slack is an hour, or ten minutes for what happens
// more often than hourly. The row is off if the spec does not give the interval. A
// datapoint is an hour, or at most five minutes if the window is at most a day:
// CloudWatch evaluates a window of several days hourly.
func absent(r row, every, slack time.Duration) (row, []string) {
	r.scale, r.comparison, r.threshold, r.missing, r.sustained = scale{unit: count}, Less, 1, Breaching, true
	step, least := time.Hour, time.Hour
	if every > 0 && every < time.Hour && every+slack <= 23*time.Hour {
		step, least = 5*time.Minute, 10*time.Minute
	}
	if slack == 0 {
		slack = least
	}
	r.period, r.m, r.n = int(step.Seconds()), 1, 1
	for i := range r.queries {
		if r.queries[i].Stat != nil {
			r.queries[i].Stat.Period = r.period
		}
	}
	switch {
	case every == 0:
		r.off = true
	case every+slack > longestWindow:
		r.off = true
		return r, []string{"no " + r.key + " alarm: its evaluation range would be more than CloudWatch's maximum of seven days"}
	default:
		r.n = int((every + slack + step - 1) / step)
		r.m = r.n
	}
	return r, nil
}

// stateMachineRows follow "Monitoring Step Functions metrics using Amazon CloudWatch"
// (https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html).
// ExecutionTime is in milliseconds and is published when an execution ends.
// ExecutionThrottled counts state entries and retries, not executions.
func stateMachineRows(r resource, _ context) ([]row, []string) {
	m := func(metric, statistic string) []Query {
		return query("AWS/States", metric, statistic, 60, "StateMachineArn", r.arn)
	}
	rows := []row{
		counted("failed", m("ExecutionsFailed", "Sum"), Critical, 1, 1, "an execution failed before its end"),
		counted("timed-out", m("ExecutionsTimedOut", "Sum"), Critical, 1, 1, "an execution ran into its time-out"),
		counted("throttled", m("ExecutionThrottled", "Sum"), Warning, 3, 5, "states and retries are throttled"),
	}
	aborted := counted("aborted", m("ExecutionsAborted", "Sum"), Warning, 1, 1, "an execution was stopped by somebody")
	aborted.off = true
	rows = append(rows, aborted)
	var notes []string
	slow := row{key: "duration", queries: m("ExecutionTime", "Maximum"), scale: scale{milliseconds, "timeout", float64(r.timeout.Milliseconds())}, comparison: Greater, m: 2, n: 3, missing: NotBreaching, severity: Warning,
		help: "the longest execution comes near its time-out, or exceeds its objective"}
	switch {
	case r.slo > 0:
		slow.threshold = float64(r.slo.Milliseconds())
	case r.timeout > 0:
		slow.threshold = 0.9 * float64(r.timeout.Milliseconds())
	default:
		slow.off = true
		notes = append(notes, "no duration alarm: give the state machine's timeout or an slo")
	}
	silent, note := absent(row{key: "not-started", queries: m("ExecutionsStarted", "Sum"), severity: Warning,
		help: "no execution was started for longer than its schedule says"}, r.every, r.slack)
	return append(rows, slow, silent), append(notes, note...)
}

// pipeRows follow "Logging and monitoring Amazon EventBridge Pipes using Amazon
// CloudWatch Logs"
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-monitoring.html).
// ExecutionFailed counts whole executions, whichever stage failed. It is published as 0
// if none failed.
func pipeRows(r resource, _ context) ([]row, []string) {
	m := func(metric string) []Query {
		return query("AWS/EventBridge/Pipes", metric, "Sum", 60, "PipeName", r.name)
	}
	return []row{
		counted("failed", m("ExecutionFailed"), Critical, 1, 1, "an execution of the pipe failed, in its enrichment or its target"),
		counted("partly-failed", m("ExecutionPartiallyFailed"), Warning, 1, 1, "a part of a batch failed"),
		counted("timed-out", m("ExecutionTimeout"), Critical, 1, 1, "an execution of the pipe ran into its time-out"),
		counted("throttled", m("ExecutionThrottled"), Warning, 3, 5, "executions of the pipe are throttled"),
	}, nil
}

// schedulerRows follow "Monitoring Amazon EventBridge Scheduler with Amazon CloudWatch"
// (https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html).
// The metrics are those of a schedule group. Error metrics are published only when they
// are not zero.
func schedulerRows(r resource, _ context) ([]row, []string) {
	dimensions := []string{"ScheduleGroup", r.name}
	m := func(metric string) []Query { return query("AWS/Scheduler", metric, "Sum", 60, dimensions...) }
	rows := []row{
		counted("dropped", m("InvocationDroppedCount"), Critical, 1, 1, "a schedule's target was not invoked, after every retry"),
		counted("target-errors", m("TargetErrorCount"), Warning, 3, 5, "targets answer schedules with errors: they are retried"),
		counted("throttled", sum("AWS/Scheduler", 60, []string{"InvocationThrottleCount", "TargetErrorThrottledCount"}, dimensions...), Warning, 3, 5, "schedules or their targets are throttled"),
	}
	lost := counted("dlq-lost", m("InvocationsFailedToBeSentToDeadLetterCount"), Critical, 1, 1, "an invocation that was not delivered did not reach the dead-letter queue either")
	sent := counted("dlq-sent", m("InvocationsSentToDeadLetterCount"), Warning, 1, 1, "an invocation that was not delivered went to the dead-letter queue")
	cut := counted("dlq-truncated", m("InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded"), Warning, 1, 1, "a message to the dead-letter queue was truncated to the size that SQS accepts")
	var notes []string
	if r.dlq == "" {
		lost.off, sent.off, cut.off = true, true, true
		notes = append(notes, "no dlq-sent, dlq-lost and dlq-truncated alarms: the schedules name no dlq, so invocations that are not delivered are lost")
	}
	silent, note := absent(row{key: "silent", queries: m("InvocationAttemptCount"), severity: Warning,
		help: "no schedule of the group invoked a target for longer than its schedule says"}, r.every, r.slack)
	return append(rows, lost, sent, cut, silent), append(notes, note...)
}
