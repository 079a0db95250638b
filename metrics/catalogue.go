package metrics

import (
	"slices"
	"sync"
)

// Name is a metric's name in CloudWatch, which is case-sensitive.
type Name string

// The metrics of a function, from telemetry or from the handler wrapper.
const (
	ColdStart          Name = "ColdStart"
	InitDuration       Name = "InitDuration"
	Duration           Name = "Duration"
	TimeoutUtilization Name = "TimeoutUtilization"
	Timeouts           Name = "Timeouts"
	SoftErrors         Name = "SoftErrors"
	OutOfMemory        Name = "OutOfMemory"
	RestoreDuration    Name = "RestoreDuration"
	BilledDuration     Name = "BilledDuration"
	ExtensionOverhead  Name = "ExtensionOverhead"
	MemoryUsed         Name = "MemoryUsed"
	MemoryUtilization  Name = "MemoryUtilization"
	Errors             Name = "Errors"
)

// The metrics of events that are published.
const (
	EventsPublished         Name = "EventsPublished"
	EventsFailed            Name = "EventsFailed"
	PayloadSize             Name = "PayloadSize"
	OversizedEvents         Name = "OversizedEvents"
	UncorrelatedPublished   Name = "UncorrelatedPublished"
	EventsThrottled         Name = "EventsThrottled"
	EventsUnknown           Name = "EventsUnknown"
	PublishDuration         Name = "PublishDuration"
	PayloadLimitUtilization Name = "PayloadLimitUtilization"
	BilledChunks            Name = "BilledChunks"
	BilledKilobytes         Name = "BilledKilobytes"
	EventsDeduplicated      Name = "EventsDeduplicated"
)

// The metrics of events that are handled.
const (
	HandlerDuration      Name = "HandlerDuration"
	DuplicateEvents      Name = "DuplicateEvents"
	OutOfOrderEvents     Name = "OutOfOrderEvents"
	LoopSuspected        Name = "LoopSuspected"
	UncorrelatedReceived Name = "UncorrelatedReceived"
	EventsReceived       Name = "EventsReceived"
	DeliveryLag          Name = "DeliveryLag"
	RetriedEvents        Name = "RetriedEvents"
	ReplayedEvents       Name = "ReplayedEvents"
	HopCount             Name = "HopCount"
)

// The metrics of outbound HTTP calls.
const (
	RateLimited        Name = "RateLimited"
	RequestDuration    Name = "RequestDuration"
	RequestErrors      Name = "RequestErrors"
	RateLimitRemaining Name = "RateLimitRemaining"
)

// The metrics of calls to queues, topics, streams, functions, state machines
// and schedules.
const (
	MessagesSent   Name = "MessagesSent"
	MessagesFailed Name = "MessagesFailed"
	MessageSize    Name = "MessageSize"
	SendDuration   Name = "SendDuration"
)

// The metrics of Throughline itself.
const (
	TelemetryDropped  Name = "TelemetryDropped"
	StampSkipped      Name = "StampSkipped"
	InvocationsUnread Name = "InvocationsUnread"
	ExportFailures    Name = "ExportFailures"
	SpansDropped      Name = "SpansDropped"
)

// Unit is one of CloudWatch's units.
type Unit string

// The units that the catalogue uses.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Bytes        Unit = "Bytes"
	Megabytes    Unit = "Megabytes"
	Percent      Unit = "Percent"
)

// Kind is how observations of a metric are aggregated. The zero value is
// Counter.
type Kind uint8

// The kinds: a Counter's observations are summed, a Distribution's are kept.
const (
	Counter Kind = iota
	Distribution
)

// Profile selects which entries of the catalogue are emitted as metrics. The
// zero value is Basic.
type Profile uint8

// The profiles. In Basic, the metrics that only Full emits are properties of
// the same line: Logs Insights finds them, and they cost nothing. Off emits
// only the lines of Set.Log.
const (
	Basic Profile = iota
	Full
	Off
)

// The dimensions of the catalogue.
const (
	DimensionService   = "Service"
	DimensionEventType = "EventType"
	DimensionHost      = "Host"
	DimensionTarget    = "Target"
)

// Scope is the dimension of a metric in addition to the service. The zero
// value is none.
type Scope uint8

// The scopes.
const (
	ByService Scope = iota
	ByEventType
	ByHost
	ByTarget
)

// Metric is one entry of the catalogue. It is a value; the zero value is no metric.
type Metric struct {
	Name   Name
	Unit   Unit
	Kind   Kind
	Scope  Scope
	Family string
	// Profile is the smallest profile that emits it as a metric.
	Profile Profile
	// ReportOnly means that only platform.report has the value, which may be
	// 45 minutes late: no pack's alarm uses it.
	ReportOnly bool
	// ZeroWith names a metric. In a minute with that metric, an absent counter is
	// emitted as zero, so that a rate has a numerator. Empty for none.
	ZeroWith Name
	Help     string
}

// DimensionSets returns the sets of dimensions that the metric is emitted
// with under p. It is empty if p does not emit the metric.
func (m Metric) DimensionSets(p Profile) [][]string {
	var sets [][]string
	if m.emitted(p, true) {
		sets = append(sets, []string{DimensionService})
	}
	if m.emitted(p, false) {
		sets = append(sets, []string{DimensionService, m.Scope.dimension()})
	}
	return sets
}

// dimension returns the name of the scope's dimension; empty for ByService.
func (s Scope) dimension() string {
	switch s {
	case ByEventType:
		return DimensionEventType
	case ByHost:
		return DimensionHost
	case ByTarget:
		return DimensionTarget
	case ByService:
	}
	return ""
}

// Catalogue returns every metric, by family. The slice is a copy.
func Catalogue() []Metric { return slices.Clone(catalogue) }

// Lookup returns the metric called name.
func Lookup(name Name) (Metric, bool) {
	if m := byName()[name]; m != nil {
		return *m, true
	}
	return Metric{}, false
}

// byName and zeros are computed at their first use, so that they do not delay the
// start of a program.
var byName = sync.OnceValue(func() map[Name]*Metric {
	m := make(map[Name]*Metric, len(catalogue))
	for i := range catalogue {
		m[catalogue[i].Name] = &catalogue[i]
	}
	return m
})

// zeroCounter is a counter that is emitted as zero if another metric is present.
type zeroCounter struct {
	series // immutable
	with   *Metric
}

var zeros = sync.OnceValue(func() (list []zeroCounter) {
	for i := range catalogue {
		if with := catalogue[i].ZeroWith; with != "" {
			list = append(list, zeroCounter{series: series{metric: &catalogue[i]}, with: byName()[with]})
		}
	}
	return list
})

// emitted reports whether p emits the metric with only the service, or with
// the service and the dimension of its scope.
func (m *Metric) emitted(p Profile, alone bool) bool {
	switch {
	case p == Off || m.Profile > p:
		return false
	case m.Scope == ByService:
		return alone
	case m.Scope == ByHost || m.Kind == Distribution:
		return !alone
	default:
		return alone || p == Full
	}
}

const (
	function  = "function"
	eventsOut = "events out"
	eventsIn  = "events in"
	messages  = "messages out"
	outbound  = "outbound HTTP"
	self      = "self"
)

var catalogue = []Metric{
	{ColdStart, Count, Counter, ByService, function, Basic, false, Duration, "invocations that waited for an environment to be initialised or restored; the kind is a property"},
	{InitDuration, Milliseconds, Distribution, ByService, function, Basic, false, "", "the duration of the init phase"},
	{Duration, Milliseconds, Distribution, ByService, function, Basic, false, "", "from the start of an invocation until the runtime is done"},
	{TimeoutUtilization, Percent, Distribution, ByService, function, Basic, false, "", "Duration as a share of the function's timeout"},
	{Timeouts, Count, Counter, ByService, function, Basic, false, Duration, "invocations that exceeded the timeout"},
	{SoftErrors, Count, Counter, ByService, function, Basic, false, Duration, "responses with a statusCode of 500 or more, or with batchItemFailures; AWS counts these as successes"},
	{OutOfMemory, Count, Counter, ByService, function, Basic, false, Duration, "invocations that ran out of memory"},
	{RestoreDuration, Milliseconds, Distribution, ByService, function, Full, false, "", "the duration of the restore of a SnapStart snapshot"},
	{BilledDuration, Milliseconds, Distribution, ByService, function, Full, true, "", "the billed duration of an invocation"},
	{ExtensionOverhead, Milliseconds, Distribution, ByService, function, Full, true, "", "from the time that the runtime is done until the extensions are done"},
	{MemoryUsed, Megabytes, Distribution, ByService, function, Full, true, "", "the maximum memory used in the environment"},
	{MemoryUtilization, Percent, Distribution, ByService, function, Full, true, "", "MemoryUsed as a share of the function's memory"},
	{Errors, Count, Counter, ByService, function, Full, false, Duration, "invocations that ended in an error, including timeouts"},

	{EventsPublished, Count, Counter, ByEventType, eventsOut, Basic, false, "", "entries that EventBridge accepted"},
	{EventsFailed, Count, Counter, ByEventType, eventsOut, Basic, false, EventsPublished, "entries that were not published, after retries; the error codes are a property"},
	{PayloadSize, Bytes, Distribution, ByEventType, eventsOut, Basic, false, "", "the size of an entry as EventBridge counts it"},
	{OversizedEvents, Count, Counter, ByEventType, eventsOut, Basic, false, EventsPublished, "entries over the warning size"},
	{UncorrelatedPublished, Count, Counter, ByEventType, eventsOut, Basic, false, EventsPublished, "entries whose workflow was lost: a correlation ID was generated for them while events were being handled"},
	{EventsUnknown, Count, Counter, ByEventType, eventsOut, Full, false, EventsPublished, "entries of calls whose outcome is not known; the reason (cancelled by the caller, or never reported) is a property"},
	{EventsThrottled, Count, Counter, ByEventType, eventsOut, Full, false, EventsPublished, "entries that EventBridge throttled, for each attempt"},
	{PublishDuration, Milliseconds, Distribution, ByService, eventsOut, Full, false, "", "the duration of a PutEvents request, including retries"},
	{PayloadLimitUtilization, Percent, Distribution, ByEventType, eventsOut, Full, false, "", "PayloadSize as a share of the limit"},
	{BilledChunks, Count, Counter, ByEventType, eventsOut, Full, false, EventsPublished, "chunks of 64 KB that EventBridge bills for entries to classic buses"},
	{BilledKilobytes, Count, Counter, ByEventType, eventsOut, Full, false, EventsPublished, "whole KB that EventBridge bills for the ingestion of entries to new custom buses"},
	{EventsDeduplicated, Count, Counter, ByEventType, eventsOut, Full, false, EventsPublished, "entries that a new custom bus recognised as duplicates: they succeed and make no new event"},

	{HandlerDuration, Milliseconds, Distribution, ByEventType, eventsIn, Basic, false, "", "the time to handle an event, or a batch of one type"},
	{DuplicateEvents, Count, Counter, ByEventType, eventsIn, Basic, false, EventsReceived, "events that this consumer had seen before, except retries, and events with the identity of another event; each kind is a property. The property `DuplicateEvents_unknown` counts checks that a shared table did not answer in time"},
	{OutOfOrderEvents, Count, Counter, ByEventType, eventsIn, Basic, false, EventsReceived, "events that arrived after an event that they had caused"},
	{LoopSuspected, Count, Counter, ByEventType, eventsIn, Basic, false, EventsReceived, "events with too many hops, or of a type that recurs within one correlation ID"},
	{UncorrelatedReceived, Count, Counter, ByEventType, eventsIn, Basic, false, EventsReceived, "events with a cause that arrived without a correlation ID, except events of AWS services"},
	{EventsReceived, Count, Counter, ByEventType, eventsIn, Full, false, "", "events delivered"},
	{DeliveryLag, Milliseconds, Distribution, ByEventType, eventsIn, Full, false, "", "from the envelope's time, in whole seconds, to the start of the handler"},
	{RetriedEvents, Count, Counter, ByEventType, eventsIn, Full, false, EventsReceived, "deliveries that were repeated because the previous one failed"},
	{ReplayedEvents, Count, Counter, ByEventType, eventsIn, Full, false, EventsReceived, "events that the replay of an archive delivered, whether seen before or not"},
	{HopCount, Count, Distribution, ByEventType, eventsIn, Full, false, "", "the number of hops from the workflow's first event"},

	{MessagesFailed, Count, Counter, ByTarget, messages, Basic, false, MessagesSent, "messages, records, invocations, executions and schedules that SQS, SNS, Kinesis, Lambda, Step Functions or Scheduler did not accept, after retries; the error codes are a property"},
	{MessagesSent, Count, Counter, ByTarget, messages, Full, false, "", "messages, records, invocations, executions and schedules that these services accepted"},
	{MessageSize, Bytes, Distribution, ByTarget, messages, Full, false, "", "the size of the bodies of a call; for a batch, their sum"},
	{SendDuration, Milliseconds, Distribution, ByTarget, messages, Full, false, "", "the duration of a call, including retries"},

	{RateLimited, Count, Counter, ByHost, outbound, Basic, false, "", "responses with status 429"},
	{RequestDuration, Milliseconds, Distribution, ByHost, outbound, Full, false, "", "the time until the response headers arrived, for each attempt"},
	{RequestErrors, Count, Counter, ByHost, outbound, Full, false, RequestDuration, "attempts without a response, or with a status of 400 or more"},
	{RateLimitRemaining, Count, Distribution, ByHost, outbound, Full, false, "", "the value of the response header X-Ratelimit-Remaining"},

	{TelemetryDropped, Count, Counter, ByService, self, Basic, false, "", "observations, records or log lines that were dropped"},
	{StampSkipped, Count, Counter, ByService, self, Basic, false, EventsPublished, "lines of a stamp that could not be written; the reasons are a property"},
	{InvocationsUnread, Count, Counter, ByService, self, Full, false, "", "invocations whose payload, or a part of it, the runtime endpoint forwarded without reading it, because there was no memory for it (`InvocationsUnread_busy`)"},
	{ExportFailures, Count, Counter, ByService, self, Full, false, "", "exports of spans that failed"},
	{SpansDropped, Count, Counter, ByService, self, Full, false, "", "spans that were dropped"},
}
