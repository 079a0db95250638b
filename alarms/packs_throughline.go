package alarms

import (
	"github.com/throughline/throughline/metrics"
)

// own makes queries on Throughline's metrics of one service.
type own struct{ namespace, service string }

func (o own) stat(name metrics.Name, statistic string, dimensions ...string) *Stat {
	return stat(o.namespace, string(name), statistic, 60, append([]string{metrics.DimensionService, o.service}, dimensions...)...)
}

func (o own) query(name metrics.Name, statistic string, dimensions ...string) []Query {
	return []Query{{ID: "m1", Return: true, Stat: o.stat(name, statistic, dimensions...)}}
}

// received returns the metric that rates of received events are relative to: the events,
// or the invocations in the basic profile, which has no metric of received events.
func (o own) received(p metrics.Profile) *Stat {
	if p == metrics.Full {
		return o.stat(metrics.EventsReceived, "Sum")
	}
	return o.stat(metrics.Duration, "SampleCount")
}

func eventsRows(r resource, c context) ([]row, []string) {
	o := own{c.namespace, r.service}
	share := func(key string, part metrics.Name, whole *Stat, help string) row {
		return row{key: key, queries: rate(o.stat(part, "Sum"), whole, 20), minSamples: 20, scale: scale{unit: percent}, comparison: Greater, threshold: 1, m: 3, n: 5, missing: NotBreaching, severity: Warning, help: help}
	}
	any := func(key string, name metrics.Name, severity Severity, help string) row {
		return row{key: key, queries: o.query(name, "Sum"), scale: scale{unit: count}, comparison: Greater, m: 1, n: 1, missing: NotBreaching, severity: severity, help: help}
	}
	rows := []row{
		any("rejected", metrics.OversizedEvents, Warning, "an entry was larger than the warning size, or was refused because of its size"),
		share("duplicates", metrics.DuplicateEvents, o.received(c.profile), "the share of events that had been handled before"),
		share("uncorrelated", metrics.UncorrelatedPublished, o.stat(metrics.EventsPublished, "Sum"), "the share of published events for which a correlation ID was generated"),
		share("uncorrelated-received", metrics.UncorrelatedReceived, o.received(c.profile), "the share of received events without a correlation ID"),
		share("out-of-order", metrics.OutOfOrderEvents, o.received(c.profile), "the share of events that were received after an event that they caused"),
		any("loop", metrics.LoopSuspected, Critical, "events may cause themselves, in a loop"),
		any("publish", metrics.EventsFailed, Critical, "events were not published, after every retry"),
	}
	notes := []string(nil)
	if len(r.detailTypes) == 0 {
		notes = append(notes, "no payload, age and hops alarms: their metrics are published by event type, so list detailTypes")
	}
	for _, t := range r.detailTypes {
		rows = append(rows, o.ofType(t, r, c)...)
	}
	return rows, notes
}

// ofType returns the alarms on distributions, which are published by event type only.
func (o own) ofType(t string, r resource, c context) []row {
	of := func(name metrics.Name, statistic string) []Query {
		return o.query(name, statistic, metrics.DimensionEventType, t)
	}
	payload := row{key: "payload", suffix: t, queries: of(metrics.PayloadSize, "Maximum"), scale: scale{bytes, "limit", c.limit}, comparison: Greater, threshold: 0.8 * c.limit, m: 3, n: 5, missing: NotBreaching, severity: Warning,
		help: "the largest entries come near EventBridge's limit"}
	if c.profile == metrics.Full {
		payload.queries, payload.scale, payload.threshold = of(metrics.PayloadLimitUtilization, "Maximum"), scale{percent, "limit", 100}, 80
	}
	critical := payload
	critical.key, critical.threshold, critical.severity = "payload-critical", payload.threshold*95/80, Critical
	slo := 30_000.0
	if r.slo > 0 {
		slo = float64(r.slo.Milliseconds())
	}
	return []row{
		payload, critical,
		{key: "age", suffix: t, queries: of(metrics.DeliveryLag, "p99"), full: metrics.DeliveryLag, scale: scale{unit: milliseconds}, comparison: Greater, threshold: slo, m: 3, n: 5, missing: NotBreaching, severity: Warning,
			help: "how old events are when their handler starts"},
		{key: "hops", suffix: t, queries: of(metrics.HopCount, "Maximum"), full: metrics.HopCount, scale: scale{count, "limit", r.maxHops}, comparison: Greater, threshold: 0.75 * r.maxHops, m: 1, n: 1, missing: NotBreaching, severity: Warning,
			help: "the number of hops of events comes near the limit that counts as a loop"},
	}
}

func extensionRows(r resource, c context) ([]row, []string) {
	o := own{c.namespace, r.service}
	any := func(key string, name metrics.Name, severity Severity, m, n int, help string) row {
		return row{key: key, queries: o.query(name, "Sum"), scale: scale{unit: count}, comparison: Greater, m: m, n: n, missing: NotBreaching, severity: severity, help: help}
	}
	failures := any("export-failures", metrics.ExportFailures, Warning, 3, 5, "spans could not be exported")
	failures.full = metrics.ExportFailures
	rows := []row{
		any("dropped", metrics.TelemetryDropped, Warning, 3, 5, "observations, records or log lines are dropped"),
		failures,
		any("timeouts", metrics.Timeouts, Critical, 1, 1, "an invocation ran into the function's time-out"),
		any("out-of-memory", metrics.OutOfMemory, Critical, 1, 1, "an invocation ran out of memory"),
		any("soft-errors", metrics.SoftErrors, Warning, 1, 1, "a response with a statusCode of 500 or more, or with failed items, which AWS counts as a success"),
		{key: "near-timeout", queries: o.query(metrics.TimeoutUtilization, "Maximum"), scale: scale{percent, "timeout", 100}, comparison: Greater, threshold: 80, m: 2, n: 3, missing: NotBreaching, severity: Warning,
			help: "the longest invocation comes near the time-out"},
		{key: "cold-starts", queries: rate(o.stat(metrics.ColdStart, "Sum"), o.stat(metrics.Duration, "SampleCount"), 20), minSamples: 20, scale: scale{unit: percent}, comparison: Greater, threshold: 20, m: 3, n: 5, sustained: true, missing: NotBreaching, severity: Warning, off: true,
			help: "the share of invocations with a cold start"},
	}
	if r.function == "" {
		return rows, []string{"no blind alarm: give the function that the service runs in"}
	}
	return append(rows, row{key: "blind", queries: []Query{
		{ID: "i", Stat: stat("AWS/Lambda", "Invocations", "Sum", 60, "FunctionName", r.function)},
		{ID: "seen", Stat: o.stat(metrics.Duration, "SampleCount")},
		{ID: "blind", Expression: "IF(FILL(i,0) > 0 AND FILL(seen,0) == 0, 1, 0)", Return: true},
	}, scale: scale{unit: count}, comparison: Greater, m: 5, n: 5, sustained: true, missing: NotBreaching, severity: Warning, help: "the function is invoked and Throughline reports nothing"}), nil
}
