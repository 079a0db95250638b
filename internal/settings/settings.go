// Package settings is the one table of the settings that Throughline reads
// from the environment: their names, defaults, allowed values and help. A wrong
// value never fails anything: the default holds, and a warning says so.
package settings

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

const prefix = "THROUGHLINE_"

// Setting is one line of the table.
type Setting struct {
	Name    string   // after THROUGHLINE_
	Default string   // as shown; empty means unset
	Allowed []string // the only values; nil for free text
	Help    string
}

// Variable is the setting's environment variable.
func (s Setting) Variable() string { return prefix + s.Name }

// Flag is the setting's command-line flag, without its dashes.
func (s Setting) Flag() string { return strings.ReplaceAll(strings.ToLower(s.Name), "_", "-") }

// Table returns every setting, in the order in which they are shown.
func Table() []Setting { return slices.Clone(table) }

var table = []Setting{
	{"DISABLED", "", []string{"", "0", "1"}, "1 switches everything off: the wrapper only execs, the extension only registers for SHUTDOWN"},
	{"ENDPOINTS", "", nil, "which local endpoints are on, comma separated, of otlp, events, alpaca, runtime; unset means otlp, or all four with the wrapper"},
	{"OTLP_ADDR", "127.0.0.1:4318", nil, "where spans are received (OTLP/HTTP)"},
	{"EVENTS_ADDR", "127.0.0.1:4319", nil, "where EventBridge's API is answered"},
	{"ALPACA_ADDR", "127.0.0.1:4320", nil, "where calls to Alpaca are passed on: /paper, /live, /data, /broker"},
	{"RUNTIME_ADDR", "127.0.0.1:4321", nil, "where Lambda's Runtime API is passed on"},
	{"EVENTS_UPSTREAM", "", nil, "a URL to call instead of EventBridge's, for tests"},
	{"ALPACA_UPSTREAM", "", nil, "a URL to call instead of Alpaca's, for tests"},
	{"ALPACA_FAULTS", "", nil, "what happens to calls to Alpaca on game days: delay=2s,error=503:10%,rate-limit=100"},
	{"STAMP", "resources", []string{"resources", "detail", "both", "off"}, "where lineage is written into published events"},
	{"DETAIL_KEY", "_throughline", nil, "the member that carries the stamp in a detail"},
	{"STAMP_TRACEHEADER", "", []string{"", "0", "1"}, "1 sets an entry's TraceHeader although spans do not go to X-Ray"},
	{"EVENT_ID", "", nil, "JSON pointers to an event's own ID in the detail, comma separated; unset means the usual spellings"},
	{"CORRELATION_ID", "", nil, "JSON pointers to the correlation ID"},
	{"CAUSATION_ID", "", nil, "JSON pointers to the causation ID"},
	{"TRACE_MODE", "link", []string{"link", "parent"}, "whether the span of a handling links to the span that published its event, or is its child"},
	{"TRACES", "otlp", []string{"otlp", "xray", "off"}, "where spans go: OTEL_EXPORTER_OTLP_ENDPOINT, X-Ray (its daemon or its OTLP endpoint), nowhere"},
	{"HTTP_HOSTS", "*.alpaca.markets", nil, "hosts whose requests carry lineage headers, comma separated"},
	{"FLUSH", "auto", []string{"auto", "end", "periodic"}, "when the extension exports spans: adapted to the traffic, at the end of each invocation, beside the next"},
	{"METRICS", "basic", []string{"basic", "full", "off"}, "which metrics are emitted; see docs/metrics.md for what each costs"},
	{"METRICS_SINK", "stdout", nil, "how metric lines reach CloudWatch Logs: stdout, the function's log; or logs, by PutLogEvents where its log is filtered (logs:GROUP names the group)"},
	{"EMF_LEVEL", "", nil, "the level to write into metric lines where ApplicationLogLevel is above INFO"},
	{"NAMESPACE", "Throughline", nil, "the metrics' CloudWatch namespace"},
	{"SERVICE", "", nil, "the metrics' Service dimension; unset means the function's name"},
	{"EVENT_TYPES_MAX", "20", nil, "how many event types are told apart before the rest is called other"},
	{"SIZE_LIMIT", "1048576", nil, "the size limit of a request to EventBridge, in bytes"},
	{"SIZE_WARN", "200000", nil, "the size from which an event counts as oversized, in bytes"},
	{"DEDUPE", "memory", nil, "where it is remembered which events were seen: memory, off, or dynamodb:TABLE, which all of a function's environments share"},
	{"DEDUPE_KEYS", "", nil, "business keys that stand for the event ID, by event type: TradeExecuted=/metadata/trade_id"},
	{"DEDUPE_CONSUMER", "", nil, "who handles the events, where functions stand for one another, such as blue and green; unset means the function"},
	{"ORDER", "", nil, "event types that may not come before another of the same correlation ID: B:A says that B follows A"},
	{"MAX_HOPS", "16", nil, "the number of hops above which a loop is suspected"},
	{"NEXT_WRAPPER", "", nil, "a wrapper script to run after Throughline's"},
	{"PYTHONPATH", "", nil, "set by the wrapper for its Python shim, never by you: PYTHONPATH as it was found"},
	{"LOG", "warn", []string{"warn", "info", "debug"}, "what the extension tells in the function's log: what to mend, what answers where, each export"},
}

// Settings are the parsed values. The zero value is not the defaults: use [Parse].
type Settings struct {
	Disabled                            bool
	Endpoints                           []string // nil: unset
	OTLPAddr, EventsAddr                string
	AlpacaAddr, RuntimeAddr             string
	EventsUpstream, AlpacaUpstream      string
	AlpacaFaults                        string
	Stamp, DetailKey                    string
	StampTraceHeader                    bool
	EventID, CorrelationID, CausationID []string
	TraceMode, Traces                   string
	HTTPHosts                           []string
	Flush                               string
	Metrics, MetricsSink, EMFLevel      string
	Namespace, Service                  string
	EventTypesMax                       int
	SizeLimit, SizeWarn                 int
	Dedupe, DedupeKeys, DedupeConsumer  string
	Order                               string
	MaxHops                             int
	Log                                 string
}

// Parse reads the settings from getenv. A value that is not allowed leaves the
// default and gives a warning, which names the setting and what it takes.
func Parse(getenv func(string) string) (Settings, []string) {
	r := reader{getenv: getenv}
	s := Settings{
		Disabled:         r.flag("DISABLED"),
		Endpoints:        r.endpoints("ENDPOINTS"),
		OTLPAddr:         r.text("OTLP_ADDR"),
		EventsAddr:       r.text("EVENTS_ADDR"),
		AlpacaAddr:       r.text("ALPACA_ADDR"),
		RuntimeAddr:      r.text("RUNTIME_ADDR"),
		EventsUpstream:   r.text("EVENTS_UPSTREAM"),
		AlpacaUpstream:   r.text("ALPACA_UPSTREAM"),
		AlpacaFaults:     r.text("ALPACA_FAULTS"),
		Stamp:            r.text("STAMP"),
		DetailKey:        r.text("DETAIL_KEY"),
		StampTraceHeader: r.flag("STAMP_TRACEHEADER"),
		EventID:          r.pointers("EVENT_ID"),
		CorrelationID:    r.pointers("CORRELATION_ID"),
		CausationID:      r.pointers("CAUSATION_ID"),
		TraceMode:        r.text("TRACE_MODE"),
		Traces:           r.text("TRACES"),
		HTTPHosts:        r.list("HTTP_HOSTS"),
		Flush:            r.text("FLUSH"),
		Metrics:          r.text("METRICS"),
		MetricsSink:      r.sink("METRICS_SINK"),
		EMFLevel:         r.text("EMF_LEVEL"),
		Namespace:        r.text("NAMESPACE"),
		Service:          r.text("SERVICE"),
		EventTypesMax:    r.number("EVENT_TYPES_MAX"),
		SizeLimit:        r.number("SIZE_LIMIT"),
		SizeWarn:         r.number("SIZE_WARN"),
		Dedupe:           r.dedupe("DEDUPE"),
		DedupeKeys:       r.text("DEDUPE_KEYS"),
		DedupeConsumer:   r.text("DEDUPE_CONSUMER"),
		Order:            r.text("ORDER"),
		MaxHops:          r.number("MAX_HOPS"),
		Log:              r.text("LOG"),
	}
	if s.Service == "" {
		s.Service = getenv("AWS_LAMBDA_FUNCTION_NAME")
	}
	return s, r.warnings
}

type reader struct {
	getenv   func(string) string
	warnings []string
}

func (r *reader) setting(name string) Setting {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
	return table[i] // every name here stands in the table, which a test holds
}

func (r *reader) warn(s Setting, value, takes string) {
	if s.Default != "" {
		takes += "; " + s.Default + " is used"
	}
	r.warnings = append(r.warnings, fmt.Sprintf("%s=%q: it takes %s", s.Variable(), value, takes))
}

func (r *reader) text(name string) string {
	s := r.setting(name)
	value := strings.TrimSpace(r.getenv(s.Variable()))
	if value == "" {
		return s.Default
	}
	if s.Allowed == nil {
		return value
	}
	if lower := strings.ToLower(value); slices.Contains(s.Allowed, lower) {
		return lower
	}
	r.warn(s, value, strings.Join(s.Values(), ", "))
	return s.Default
}

func (r *reader) flag(name string) bool { return r.text(name) == "1" }

func (r *reader) number(name string) int {
	s := r.setting(name)
	value := r.text(name)
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return n
	}
	r.warn(s, value, "a whole number above 0")
	n, _ := strconv.Atoi(s.Default) // a test holds that defaults parse
	return n
}

func (r *reader) list(name string) []string {
	var items []string
	for _, item := range strings.Split(r.text(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// dedupe is memory, off or dynamodb: and a table.
func (r *reader) dedupe(name string) string {
	s := r.setting(name)
	value := r.text(name)
	table, shared := strings.CutPrefix(value, "dynamodb:")
	switch {
	case strings.EqualFold(value, "memory"), strings.EqualFold(value, "off"):
		return strings.ToLower(value)
	case shared && table != "":
		return value
	}
	r.warn(s, value, "memory, off, dynamodb:TABLE")
	return s.Default
}

// endpoints is a list of names that mean something; of any other is warned.
func (r *reader) endpoints(name string) []string {
	items := r.list(name)
	for _, item := range items {
		if !slices.Contains([]string{"otlp", "events", "alpaca", "runtime", "none"}, item) {
			r.warn(r.setting(name), item, "otlp, events, alpaca, runtime, or none")
		}
	}
	return items
}

// sink is stdout, logs, or logs: and a log group.
func (r *reader) sink(name string) string {
	s := r.setting(name)
	value := r.text(name)
	group, named := strings.CutPrefix(value, "logs:")
	switch {
	case strings.EqualFold(value, "stdout"), strings.EqualFold(value, "logs"):
		return strings.ToLower(value)
	case named && group != "":
		return value
	}
	r.warn(s, value, "stdout, logs, logs:GROUP")
	return s.Default
}

func (r *reader) pointers(name string) []string {
	items := r.list(name)
	for _, p := range items {
		if !strings.HasPrefix(p, "/") {
			r.warn(r.setting(name), p, "JSON pointers such as /metadata/event_id")
			return nil
		}
	}
	return items
}

// WriteText writes the table for --help.
func WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range table {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Variable(), shown(s), s.Says())
	}
	return t.Flush()
}

// WriteMarkdown writes the table for the README.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| setting | default | what it does |\n|---|---|---|\n")
	for _, s := range table {
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Variable(), value, s.Says())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Says is the help, and the values to choose from where there are some.
func (s Setting) Says() string {
	values := s.Values()
	if len(values) == 0 || slices.Equal(values, []string{"0", "1"}) {
		return s.Help
	}
	return s.Help + " (" + strings.Join(values, ", ") + ")"
}

// Values are those that the setting takes; none where it takes any text.
func (s Setting) Values() []string {
	return slices.DeleteFunc(slices.Clone(s.Allowed), func(v string) bool { return v == "" })
}

func shown(s Setting) string {
	if s.Default == "" {
		return "-"
	}
	return s.Default
}
