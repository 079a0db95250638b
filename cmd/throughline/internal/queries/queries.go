// Package queries has CloudWatch Logs Insights queries for the log lines and metric lines
// that Throughline writes. It saves them in an account and runs them.
package queries

import (
	"regexp"
	"slices"
	"strings"

	"github.com/throughline/throughline/metrics"
)

// Query is one query of CloudWatch Logs Insights. It is a value. The zero value is not a
// valid query.
type Query struct {
	Name  string `json:"name"` // the name of the saved query, without [Folder]
	Title string `json:"title"`
	Text  string `json:"query"`
}

// Deliveries is the query for the delivery logs of EventBridge's new custom buses. A
// subscriber with a LogConfiguration writes them, to a log group of their own.
const Deliveries = "deliveries"

// All returns every query: [OfFunctions] and [Deliveries]. The caller owns the slice.
func All() []Query {
	return append(OfFunctions(), Query{Deliveries, "deliveries of a new custom bus by outcome: its delivery logs", `filter @message like "EVENT_DELIVERY_ATTEMPT"
| stats count(*) as attempts, max(attempt_count) as most_attempts by outcome, error_code, delivery_type
| sort attempts desc`})
}

// OfFunctions returns the queries for the log groups of functions, in the order in which
// a user needs them. The caller owns the slice.
func OfFunctions() []Query {
	size, slow := string(metrics.PayloadSize), string(metrics.HandlerDuration)
	return []Query{
		{"large-events", "the largest events by type, with the ID of the largest", `fields EventType, ` + size + `Max, LargestEventID, Count
| filter ispresent(` + size + `Max)
| stats max(` + size + `Max) as largest_bytes, latest(LargestEventID) as a_large_event, sum(Count) as events by EventType
| sort largest_bytes desc`},
		{"slow-handlers", "the slowest handlings by event type", `fields EventType, ` + slow + `Max, SlowestRequestID, Count
| filter ispresent(` + slow + `Max)
| stats max(` + slow + `Max) as slowest_ms, pct(` + slow + `Max, 95) as p95_of_maxima_ms, sum(Count) as handled by EventType, Service
| sort slowest_ms desc`},
		{"repeats", "events that were handled before, most often first", `fields event_id, kind, event_type, correlation_id, first_request_id
| filter throughline = "repeat"
| stats count(*) as repeats, latest(correlation_id) as correlation by event_id, kind, event_type
| sort repeats desc`},
		{"workflow", "every line about the workflow CORRELATION_ID", `fields @timestamp, Service, EventType, correlation_id, event_id, kind, @message
| filter @message like "CORRELATION_ID"
| sort @timestamp asc`},
		{"cold-starts", "invocations by function: the report lines that Lambda writes", `filter @type = "REPORT"
| stats count(*) as invocations, count(@initDuration) as cold_starts, max(@initDuration) as longest_init_ms, avg(@duration) as average_ms, max(@duration) as longest_ms by @log
| sort longest_ms desc`},
		{"telemetry-given-up", "telemetry that Throughline dropped, and why", `fields @timestamp, Service, TelemetryDropped, StampSkipped, @message
| filter TelemetryDropped > 0 or StampSkipped > 0
| sort @timestamp desc`},
	}
}

// Find returns the query called name.
func Find(name string) (Query, bool) {
	all := All()
	if i := slices.IndexFunc(all, func(q Query) bool { return q.Name == name }); i >= 0 {
		return all[i], true
	}
	return Query{}, false
}

var (
	literals = regexp.MustCompile(`"[^"]*"|/[^/\n]*/`)
	aliases  = regexp.MustCompile(`(?i)\bas\s+([A-Za-z_]\w*)|\(\?<(\w+)>`)
	names    = regexp.MustCompile(`@?[A-Za-z_][\w.]*\(?`)
)

// keywords are the keywords of the query language.
var keywords = strings.Fields("fields filter stats sort limit by as asc desc and or not in like display parse")

// Fields returns the fields of log lines that the query reads, without those that Logs
// Insights creates (@…) and those that the query itself names.
func (q Query) Fields() []string {
	text := literals.ReplaceAllString(q.Text, " ")
	named := map[string]bool{}
	for _, m := range aliases.FindAllStringSubmatch(q.Text, -1) {
		named[m[1]+m[2]] = true
	}
	var out []string
	for _, name := range names.FindAllString(text, -1) {
		switch {
		case strings.HasPrefix(name, "@"), strings.HasSuffix(name, "("), named[name], slices.Contains(keywords, strings.ToLower(name)), slices.Contains(out, name):
		default:
			out = append(out, name)
		}
	}
	return out
}
