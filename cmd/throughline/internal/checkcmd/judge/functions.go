package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/metrics"
)

// levels are Lambda's log levels, in ascending order.
var levels = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

func level(name string) int {
	name = strings.ToUpper(name)
	if name == "WARNING" {
		name = "WARN"
	}
	return slices.Index(levels, name)
}

// logSettings checks that the format, the level and the class of a function's log let
// metric lines be read. Lines without a level count as INFO (Lambda developer guide,
// "Log-level filtering").
func logSettings(s *system.System, _ Limits) Result {
	if s.Local {
		return skip("", "the local Lambda filters no lines")
	}
	if r, no := unread(s, system.Functions); no {
		return r
	}
	if len(s.Functions) == 0 {
		return skip("name them with --function", "no function is known")
	}
	var f findings
	for _, fn := range s.Functions {
		off := fn.Environment["THROUGHLINE_METRICS"] == "off"
		if strings.EqualFold(fn.LogFormat, "JSON") && level(fn.LogLevel) > level("INFO") && !off {
			set := fn.Environment["THROUGHLINE_EMF_LEVEL"]
			switch {
			case set == "":
				f.fail("%s: ApplicationLogLevel is %s, and metric lines count as INFO: set THROUGHLINE_EMF_LEVEL=%s", fn.Name, fn.LogLevel, fn.LogLevel)
			case level(set) < level(fn.LogLevel):
				f.fail("%s: ApplicationLogLevel is %s, and THROUGHLINE_EMF_LEVEL=%s is below it: set it to %s", fn.Name, fn.LogLevel, set, fn.LogLevel)
			}
		}
		switch class := fn.LogClass; {
		case class == "" && s.Unread[system.Groups] == "":
			f.warn("%s: the log group %s does not exist: the function never ran, or its role cannot create the log group", fn.Name, fn.LogGroup)
		case class != "" && class != "STANDARD" && !off:
			f.fail("%s: the log group %s is of class %s, from which CloudWatch extracts no metrics: create one of class STANDARD and set it in LoggingConfig", fn.Name, fn.LogGroup, class)
		}
	}
	if why := s.Unread[system.Groups]; why != "" {
		f.warn("the classes of the log groups could not be read: %s", why)
	}
	return f.or(pass("%s: %s", phrase.Count(len(s.Functions), "function"), formats(s)), "correct LoggingConfig or the function's environment")
}

func formats(s *system.System) string {
	count := map[string]int{}
	for _, fn := range s.Functions {
		format := cmp.Or(fn.LogFormat, "Text")
		if strings.EqualFold(format, "JSON") && fn.LogLevel != "" {
			format += " at " + fn.LogLevel
		}
		if fn.Environment["THROUGHLINE_EMF_LEVEL"] != "" {
			format += " with THROUGHLINE_EMF_LEVEL=" + fn.Environment["THROUGHLINE_EMF_LEVEL"]
		}
		count[format]++
	}
	var parts []string
	for _, format := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %s", count[format], format))
	}
	return strings.Join(parts, ", ")
}

// arriving checks that each function's metrics are in CloudWatch.
func arriving(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Functions, system.Metrics); no {
		return r
	}
	if len(s.Functions) == 0 {
		return skip("name them with --function", "no function is known")
	}
	var f findings
	seen, idle, distinct := 0, 0, map[string]bool{}
	for _, fn := range s.Functions {
		t := s.Observed.Functions[fn.Service]
		switch {
		case t != nil && len(t.Metrics) > 0:
			seen++
			for m := range t.Metrics {
				distinct[m] = true
			}
		case fn.Environment["THROUGHLINE_METRICS"] == "off":
			f.warn("%s: THROUGHLINE_METRICS=off", fn.Name)
		case t != nil && t.Invocations > 0:
			f.fail("%s was invoked %s in %s, and has no metrics with Service=%s in %s", fn.Name, phrase.Times(t.Invocations), window(s), fn.Service, fn.Namespace)
		case s.Local:
			f.warn("%s was not invoked", fn.Name)
			idle++
		default:
			f.warn("%s: neither invocations nor metrics in %s", fn.Name, window(s))
		}
	}
	for _, group := range slices.Sorted(maps.Keys(s.Observed.EMFRejected)) {
		if n := s.Observed.EMFRejected[group]; n > 0 {
			f.fail("%s: CloudWatch could not read %.0f metric lines", group, n)
		}
	}
	for _, service := range s.Observed.Services() {
		if n := s.Observed.Functions[service].Sum[string(metrics.TelemetryDropped)]; n > 0 {
			f.warn("%s dropped %.0f observations (TelemetryDropped)", service, n)
		}
	}
	next := "check that the layer is attached (docs/layer.md), and see the items logs and names"
	if idle > 0 && len(f.bad)+len(f.doubtful) == idle {
		next = "play events that reach each function: name them in a file; `--check samples` also fires schedules"
	}
	return f.or(pass("metrics of %d of %s, %d names", seen, phrase.Count(len(s.Functions), "function"), len(distinct)), next)
}

// names checks that the catalogue has what the layer emits, and that alarms name metrics
// that are emitted. CloudWatch's names are case-sensitive. AWS's table of EventBridge's
// metrics spells two of them differently than they are emitted.
func names(s *system.System, _ Limits) Result {
	if r, no := unread(s, system.Metrics); no {
		return r
	}
	var f findings
	emitted := map[string]bool{}
	for _, service := range s.Observed.Services() {
		for m := range s.Observed.Functions[service].Metrics {
			emitted[m] = true
			if _, known := metrics.Lookup(metrics.Name(m)); !known {
				f.warn("%s has a metric %s, which this version does not emit%s", service, m, meant(m, catalogueNames()))
			}
		}
	}
	looked := 0
	for _, a := range s.Alarms {
		known := s.PublishedMetrics[a.Namespace]
		if slices.ContainsFunc(s.Functions, func(fn system.Function) bool { return fn.Namespace == a.Namespace }) {
			known = append(slices.Clone(known), catalogueNames()...)
		} else if a.Namespace == "AWS/Events" {
			known = append(slices.Clone(known), busMetrics(s.PublishedMetrics["AWS/Events"])...)
		} else {
			continue
		}
		looked++
		if !slices.Contains(known, a.Metric) {
			f.fail("the alarm %s watches %s %s, which nothing emits%s", a.Name, a.Namespace, a.Metric, meant(a.Metric, known))
		}
	}
	if len(emitted)+looked == 0 && len(f.bad) == 0 {
		return skip(runFirst, "no metrics and no alarms on them are known")
	}
	good := pass("%d names in the catalogue", len(emitted))
	if looked > 0 {
		good.Evidence += fmt.Sprintf(", %s on names that are emitted", phrase.Count(looked, "alarm"))
	}
	if why := s.Unread[system.Alarms]; why != "" {
		f.warn("alarms could not be read: %s", why)
	}
	return f.or(good, "correct the name in the alarm: `throughline alarms lint` finds it before it is deployed")
}

func catalogueNames() []string {
	var list []string
	for _, m := range metrics.Catalogue() {
		list = append(list, string(m.Name))
	}
	return list
}

// busMetrics are EventBridge's (EventBridge user guide, "Monitoring"). Of the
// latencies the account's own spelling counts, once it has data of either: the
// guide prints IngestiontoInvocationStartLatency, which is not what is emitted.
func busMetrics(published []string) []string {
	list := []string{
		"DeadLetterInvocations", "Events", "FailedInvocations", "IngestionToInvocationSuccessLatency", "InvocationAttempts", "Invocations", "InvocationsCreated",
		"InvocationsFailedToBeSentToDlq", "InvocationsSentToDlq", "MatchedEvents", "PutEventsApproximateCallCount", "PutEventsApproximateFailedCount",
		"PutEventsApproximateSuccessCount", "PutEventsApproximateThrottledCount", "PutEventsEntriesCount", "PutEventsFailedEntriesCount", "PutEventsLatency",
		"PutEventsRequestSize", "PutPartnerEventsApproximateCallCount", "PutPartnerEventsApproximateFailedCount", "PutPartnerEventsApproximateSuccessCount",
		"PutPartnerEventsApproximateThrottledCount", "PutPartnerEventsEntriesCount", "PutPartnerEventsFailedEntriesCount", "PutPartnerEventsLatency",
		"RetryInvocationAttempts", "SuccessfulInvocationAttempts", "ThrottledRules", "TriggeredRules",
		"EventBusEncryptionStarted", "EventBusEncryptionCompleted", "EventBusEncryptionFailed",
	}
	for _, trap := range []string{"IngestionToInvocationStartLatency", "IngestionToInvocationCompleteLatency"} {
		if !slices.ContainsFunc(published, func(p string) bool { return p != trap && strings.EqualFold(p, trap) }) {
			list = append(list, trap)
		}
	}
	return list
}

// meant returns a hint at a name that differs only in case.
func meant(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, name) && k != name {
			return "; did you mean " + k + "?"
		}
	}
	return ""
}
