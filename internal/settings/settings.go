// Package settings is the table of the settings that Throughline reads from the
// environment: their names, defaults, allowed values and help. An invalid value
// never causes an error: the default applies, and a warning reports it.
package settings

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/throughline/throughline/internal/loopback"
	"github.com/throughline/throughline/internal/nearest"
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
	{"DISABLED", "", []string{"", "0", "1"}, "1 disables Throughline: the wrapper only starts the runtime, and the extension only registers with Lambda"},
	{"ENDPOINTS", "", nil, "the local endpoints to start, comma separated: otlp, events, alpaca, runtime, or none. Unset means otlp in Lambda, also runtime if the wrapper is used, and otlp, events and alpaca in the sidecar"},
	{"OTLP_ADDR", "", nil, "the loopback address of the endpoint that receives spans (OTLP/HTTP). Unset means a free port in Lambda (4318 if it is free and the wrapper is not used), and 127.0.0.1:4318 in the sidecar"},
	{"EVENTS_ADDR", "", nil, "the loopback address of the endpoint for EventBridge's API. Unset means a free port in Lambda, and 127.0.0.1:4319 in the sidecar"},
	{"ALPACA_ADDR", "", nil, "the loopback address of the endpoint that forwards calls to Alpaca, under /paper, /live, /data and /broker. Unset means a free port in Lambda, and 127.0.0.1:4320 in the sidecar"},
	{"RUNTIME_ADDR", "", nil, "the loopback address of the endpoint that forwards Lambda's Runtime API. Unset means a free port in Lambda, and 127.0.0.1:4321 in the sidecar"},
	{"EVENTS_UPSTREAM", "", nil, "a URL to call instead of EventBridge's, for tests"},
	{"ALPACA_UPSTREAM", "", nil, "a URL to call instead of Alpaca's, for tests"},
	{"ALPACA_FAULTS", "", nil, "faults to inject into calls to Alpaca: delay=2s,error=503:10%,rate-limit=100"},
	{"STAMP", "resources", []string{"resources", "detail", "both", "off"}, "where the lineage of a published event is written"},
	{"DETAIL_KEY", "_throughline", nil, "the member of the detail that carries the stamp, if STAMP is detail or both"},
	{"STAMP_TRACEHEADER", "", []string{"", "0", "1"}, "1 sets the TraceHeader of entries even if spans do not go to X-Ray"},
	{"STAMP_CONTENT_BASED", "", []string{"", "0", "1"}, "1 stamps entries even if a new custom bus (EventBridgeV2) deduplicates by content. Every stamp differs, so the bus may then treat a duplicate as a new event"},
	{"EVENT_ID", "", nil, "JSON pointers to the event's own ID in the detail, comma separated. Unset means its usual names, such as event_id"},
	{"CORRELATION_ID", "", nil, "JSON pointers to the correlation ID in the detail, comma separated. Unset means its usual names"},
	{"CAUSATION_ID", "", nil, "JSON pointers to the causation ID in the detail, comma separated. Unset means its usual names"},
	{"TRACE_MODE", "link", []string{"link", "parent"}, "how a handler's span relates to the span that published its event: by a span link, or as its child"},
	{"SAMPLING", "follow", []string{"follow", "own"}, "the sampling decision for a handler's span: that of the event's publisher, or that of the function's own sampler"},
	{"TRACES", "otlp", []string{"otlp", "xray", "off"}, "where spans are exported: to OTEL_EXPORTER_OTLP_ENDPOINT, to X-Ray (its daemon or its OTLP endpoint), or nowhere"},
	{"HOPS", "join", []string{"off", "join", "carry"}, "calls to SQS, SNS, Kinesis, Lambda, Step Functions and Scheduler. off: not traced. join: traced, and the calls do not change. carry: also writes the span into the trace header that AWS's SDKs send to SQS and SNS"},
	{"HTTP_HOSTS", "*.alpaca.markets", nil, "hosts, comma separated. Calls to them are traced and carry lineage headers"},
	{"HTTP_ROUTES", "", nil, "path templates of other APIs, comma separated, each with its host, such as api.example.com/v1/users/{id}"},
	{"FLUSH", "auto", []string{"auto", "end", "periodic"}, "when the extension exports spans: chosen by the traffic, at the end of each invocation, or during the next one"},
	{"METRICS", "basic", []string{"basic", "full", "off"}, "which metrics are emitted. docs/metrics.md lists their cost"},
	{"METRICS_SINK", "stdout", nil, "how metric lines reach CloudWatch Logs. stdout: in the function's log. logs, or logs:GROUP: by PutLogEvents, for functions with a log filter"},
	{"EMF_LEVEL", "", nil, "the log level of metric lines, for functions with an ApplicationLogLevel above INFO"},
	{"NAMESPACE", "Throughline", nil, "the CloudWatch namespace of the metrics"},
	{"SERVICE", "", nil, "the Service dimension of the metrics. Unset means the name of the function"},
	{"EVENT_TYPES_MAX", "20", nil, "the maximum number of EventType values in metrics: the most frequent recent types. All others are counted as other"},
	{"SIZE_LIMIT", "1048576", nil, "the maximum size of a PutEvents request, in bytes"},
	{"SIZE_WARN", "200000", nil, "the size above which an event counts as oversized, in bytes"},
	{"DEDUPE", "memory", nil, "where Throughline stores which events a function has seen. memory: in the environment. off: nowhere. dynamodb:TABLE: in a table that all environments of the function share"},
	{"DEDUPE_KEYS", "", nil, "JSON pointers that identify events of a type instead of their ID: TradeExecuted=/metadata/trade_id"},
	{"DEDUPE_CONSUMER", "", nil, "the consumer name under which seen events are stored, for functions that replace one another, such as blue and green. Unset means the name of the function"},
	{"ORDER", "", nil, "the expected order of event types within a correlation ID: B:A means that B comes after A. group adds the order within an event group of a new custom bus"},
	{"MAX_HOPS", "16", nil, "the number of hops above which Throughline suspects a loop"},
	{"NEXT_WRAPPER", "", nil, "the wrapper script that runs after Throughline's"},
	{"PYTHONPATH", "", nil, "internal: the wrapper sets it for the Python shim"},
	{"LOG", "warn", []string{"warn", "info", "debug"}, "the log level of the extension. warn: problems that need a fix. info: also the addresses of endpoints. debug: also each export"},
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
	StampContentBased                   bool
	EventID, CorrelationID, CausationID []string
	TraceMode, Sampling, Traces         string
	Hops                                string
	HTTPHosts, HTTPRoutes               []string
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

// Parse reads the settings from getenv. An invalid value leaves the default
// and adds a warning, which names the setting and its valid values.
func Parse(getenv func(string) string) (Settings, []string) {
	r := reader{getenv: getenv}
	s := Settings{
		Disabled:          r.flag("DISABLED"),
		Endpoints:         r.endpoints("ENDPOINTS"),
		OTLPAddr:          r.address("OTLP_ADDR"),
		EventsAddr:        r.address("EVENTS_ADDR"),
		AlpacaAddr:        r.address("ALPACA_ADDR"),
		RuntimeAddr:       r.address("RUNTIME_ADDR"),
		EventsUpstream:    r.text("EVENTS_UPSTREAM"),
		AlpacaUpstream:    r.text("ALPACA_UPSTREAM"),
		AlpacaFaults:      r.text("ALPACA_FAULTS"),
		Stamp:             r.text("STAMP"),
		DetailKey:         r.text("DETAIL_KEY"),
		StampTraceHeader:  r.flag("STAMP_TRACEHEADER"),
		StampContentBased: r.flag("STAMP_CONTENT_BASED"),
		EventID:           r.pointers("EVENT_ID"),
		CorrelationID:     r.pointers("CORRELATION_ID"),
		CausationID:       r.pointers("CAUSATION_ID"),
		TraceMode:         r.text("TRACE_MODE"),
		Sampling:          r.text("SAMPLING"),
		Traces:            r.text("TRACES"),
		Hops:              r.text("HOPS"),
		HTTPHosts:         r.list("HTTP_HOSTS"),
		HTTPRoutes:        r.list("HTTP_ROUTES"),
		Flush:             r.text("FLUSH"),
		Metrics:           r.text("METRICS"),
		MetricsSink:       r.choice("METRICS_SINK", "logs:", "stdout, logs, logs:GROUP", "stdout", "logs"),
		EMFLevel:          r.text("EMF_LEVEL"),
		Namespace:         r.text("NAMESPACE"),
		Service:           r.text("SERVICE"),
		EventTypesMax:     r.number("EVENT_TYPES_MAX"),
		SizeLimit:         r.number("SIZE_LIMIT"),
		SizeWarn:          r.number("SIZE_WARN"),
		Dedupe:            r.choice("DEDUPE", "dynamodb:", "memory, off, dynamodb:TABLE", "memory", "off"),
		DedupeKeys:        r.text("DEDUPE_KEYS"),
		DedupeConsumer:    r.text("DEDUPE_CONSUMER"),
		Order:             r.text("ORDER"),
		MaxHops:           r.number("MAX_HOPS"),
		Log:               r.text("LOG"),
	}
	s.Service = cmp.Or(s.Service, getenv("AWS_LAMBDA_FUNCTION_NAME"))
	return s, r.warnings
}

// Unknown returns a warning for each variable in environ, given as NAME=value, that
// begins with THROUGHLINE_ and is not a setting, in the order of their names.
func Unknown(environ []string) []string {
	known := make([]string, len(table))
	for i, s := range table {
		known[i] = s.Name
	}
	var warnings []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, prefix)
		if !ours || slices.Contains(known, rest) {
			continue
		}
		warning := name + " is not a setting, and has no effect"
		if near := nearest.Of(rest, known); near != "" {
			warning += "; did you mean " + prefix + near + "?"
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

type reader struct {
	getenv   func(string) string
	warnings []string
}

func (r *reader) setting(name string) Setting {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
	return table[i] // a test holds that every name is in the table
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

// address is a loopback address with a port, or empty if the setting is
// empty.
func (r *reader) address(name string) string {
	value := r.text(name)
	host, port, err := net.SplitHostPort(value)
	if _, bad := strconv.ParseUint(port, 10, 16); value == "" || err == nil && bad == nil && loopback.Is(host) {
		return value
	}
	r.warn(r.setting(name), value, "a loopback address and a port, such as 127.0.0.1:4318, or 127.0.0.1:0 for a free one; the default is used")
	return ""
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

// choice is one of words in lower case, or a prefix and a name after it.
func (r *reader) choice(name, prefix, expected string, words ...string) string {
	value := r.text(name)
	if after, found := strings.CutPrefix(value, prefix); found && after != "" {
		return value
	}
	if lower := strings.ToLower(value); slices.Contains(words, lower) {
		return lower
	}
	s := r.setting(name)
	r.warn(s, value, expected)
	return s.Default
}

// endpoints is the list of known endpoint names. It warns of every other
// name.
func (r *reader) endpoints(name string) []string {
	var known []string
	for _, item := range r.list(name) {
		if !slices.Contains([]string{"otlp", "events", "alpaca", "runtime", "none"}, item) {
			r.warn(r.setting(name), item, "otlp, events, alpaca, runtime, or none")
			continue
		}
		known = append(known, item)
	}
	return known
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

// WriteMarkdown writes the table for the documentation: the settings with these names, as
// in [Setting.Name], or all settings if no name is given.
func WriteMarkdown(w io.Writer, names ...string) error {
	var b strings.Builder
	b.WriteString("| setting | default | what it does |\n|---|---|---|\n")
	for _, s := range table {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Variable(), value, s.Says())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Says is the help, followed by the allowed values if there are any.
func (s Setting) Says() string {
	values := s.Values()
	if len(values) == 0 || slices.Equal(values, []string{"0", "1"}) {
		return s.Help
	}
	return s.Help + " (" + strings.Join(values, ", ") + ")"
}

// Values are the allowed values; empty if the setting takes any text.
func (s Setting) Values() []string {
	return slices.DeleteFunc(slices.Clone(s.Allowed), func(v string) bool { return v == "" })
}

func shown(s Setting) string {
	if s.Default == "" {
		return "-"
	}
	return s.Default
}
