// Package template reads CloudFormation and SAM templates: it resolves their intrinsic
// functions, finds the names of their resources, and writes a first spec of alarms for
// the system that they describe. It is pure.
package template

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// Options are the inputs of [Spec] in addition to the template. Only Name is required.
type Options struct {
	Name   string   // the name of the spec, which marks its alarms
	Notify []string // ARNs to notify; without one the alarms notify nobody
	// Values are the values of the template's parameters and of pseudo parameters such as
	// AWS::StackName. They take precedence over defaults.
	Values map[string]string
	// Physical are the physical IDs of the deployed stack's resources by logical ID, and by
	// Inner/ID those of the nested stack Inner.
	Physical map[string]string
	// Open reads the template of a nested stack by its path in the template.
	Open func(path string) ([]byte, error)
}

// Spec returns a commented spec for a template's functions, rules, queues, dead-letter
// queues, tables, schedules, state machines, pipes, streams, topics, APIs, and new custom
// buses with their subscribers. Parameters of the template become parameters, with their
// defaults, and so do names that CloudFormation generates. Comments list what is not
// watched. Values that the template does not have are omitted. Spec returns an error for
// a template that cannot be read or has nothing to watch.
func Spec(template []byte, o Options) ([]byte, error) {
	t, err := readAll(template, o)
	if err != nil {
		return nil, err
	}
	if len(t.found) == 0 {
		return nil, errors.New("the template has no function, rule, queue, table or schedule: there is nothing to watch")
	}
	return t.write(), nil
}

// readAll reads a template and its nested templates.
func readAll(template []byte, o Options) (*reading, error) {
	t := &reading{options: o, known: map[string]*found{}, first: map[string]*found{}, deadLetters: map[string]string{}, consumer: map[string]string{}, streams: map[string]bool{}, async: map[string]bool{}, destination: map[string]bool{}}
	values := make(map[string]string, len(o.Values))
	for name, value := range o.Values {
		values[name] = alarms.Literal(value)
	}
	r, err := read(template, values)
	if err != nil {
		return nil, err
	}
	r.physical, r.placeholders, r.open = o.Physical, &placeholders{origin: map[string]string{}, of: map[string]placeholder{}}, o.Open
	r.noted = &namedResources{byName: map[string]string{}, types: map[string]string{}, owner: map[string]string{}, given: map[string]*yamltree.Node{}}
	t.outer, t.top = r, r.placeholders
	t.read(r)
	t.relate()
	return t, nil
}

// service is a function by its service name in Throughline's metrics. attached says that
// the template attaches the layer.
type service struct {
	name, function string
	attached       bool
}

// reading is the state of reading a template and its nested templates.
type reading struct {
	*resolver
	options     Options
	outer       *resolver // the outermost template
	top         *placeholders
	found       []*found
	known       map[string]*found // by key
	first       map[string]*found // the first resource of each name
	skipped     []string
	deadLetters map[string]string // dead-letter queues, with the function or "queue NAME" that they belong to
	consumer    map[string]string // functions by queue
	streams     map[string]bool   // functions that read streams
	async       map[string]bool   // functions that are invoked asynchronously
	destination map[string]bool   // functions whose asynchronous invocations have a destination
	services    []service
	logGroups   []string
	full        bool // a function has THROUGHLINE_METRICS=full
}

func (t *reading) read(r *resolver) {
	outer := t.resolver
	t.resolver = r
	for _, pair := range r.root.Get("Resources").Members() {
		if condition := pair.Value.Get("Condition").Value(); condition != "" {
			r.assumed = map[string]bool{condition: true}
		}
		r.reading = pair.Key
		t.resource(pair.Key, pair.Value)
		r.assumed = nil
	}
	for _, unmet := range r.unmet {
		t.skip(unmet.id, unmet.typ, "its condition "+unmet.condition+" is false")
	}
	t.resolver = outer
}

// nested reads the template of a nested stack if its file exists.
func (t *reading) nested(id, typ string) {
	inner, err := t.stack(id)
	if err != nil {
		t.skip(id, typ, oneLine(err.Error()))
		return
	}
	t.read(inner)
}

// relate separates queues from dead-letter queues, finds their functions, and adds to
// functions what other resources say of them.
func (t *reading) relate() {
	for _, f := range t.found {
		switch owner, dead := t.deadLetters[f.name]; {
		case f.kind == "queue" && dead:
			f.kind, f.rank, f.fields, f.unknown = "dlq", 3, nil, nil
			fallthrough
		case f.kind == "dlq":
			if queue, of := strings.CutPrefix(owner, "queue "); of {
				owner = t.consumer[queue]
			}
			f.of = owner
		case f.kind == "queue" && f.of == "":
			f.of = t.consumer[f.name]
		case f.kind == "lambda":
			if t.streams[f.name] {
				f.set("stream", "true")
			}
			if t.destination[f.name] && f.get("destination") == "" {
				f.set("destination", "true")
			}
			if t.async[f.name] {
				f.set("async", "true")
			}
		}
	}
	apart := map[string]bool{}
	t.found = slices.DeleteFunc(t.found, func(f *found) bool { // a queue that SAM creates can be named twice
		twice := apart[f.key()]
		apart[f.key()] = true
		return twice
	})
	slices.SortStableFunc(t.found, func(a, b *found) int { return cmp.Compare(a.rank, b.rank) })
	for _, f := range t.found {
		if t.first[f.name] == nil {
			t.first[f.name] = f
		}
	}
}

// oneLine makes a text a part of one line of YAML: control characters break a line or are
// not allowed.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }), " ")
}

// write assembles the spec, with comments.
func (t *reading) write() []byte {
	body := t.body()
	var b strings.Builder
	fmt.Fprintf(&b, `# Alarms as code, from a template. Check it with:  throughline alarms lint
# Show where each field is set:                     throughline alarms explain
name: %s
# Every alarm's name begins with this prefix.
prefix: %s
`, strconv.Quote(t.options.Name), strconv.Quote(t.options.Name+"-"))
	t.writeParameters(&b, body)
	if len(t.options.Notify) == 0 {
		b.WriteString("\n# No alarm notifies anybody: add SNS topics here.\n#   notify: {critical: [\"arn:aws:sns:…\"], warning: [\"arn:aws:sns:…\"]}\nnotify: none\n")
	} else {
		list := make([]string, len(t.options.Notify))
		for i, topic := range t.options.Notify {
			list[i] = strconv.Quote(alarms.Literal(topic))
		}
		fmt.Fprintf(&b, "\nnotify:\n  critical: [%[1]s]\n  warning: [%[1]s]\n", strings.Join(list, ", "))
	}
	b.WriteString(body)
	return []byte(b.String())
}

// writeParameters writes the parameters that the body uses.
func (t *reading) writeParameters(b *strings.Builder, body string) {
	begun, named := false, map[string]bool{}
	for _, piece := range strings.Split(body, "${")[1:] {
		name, _, _ := strings.Cut(piece, "}")
		named[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(t.top.of)) {
		if !named[name] {
			continue
		}
		if !begun {
			b.WriteString("\n# Names that CloudFormation generates or that are parameters. Set them with\n# --set NAME=VALUE or with a default here. --stack NAME reads those with a logicalId\n# from a deployed stack. Rendered templates have them as parameters.\nparameters:\n")
			begun = true
		}
		p := t.top.of[name]
		value := ""
		if p.hasValue {
			value = "default: " + strconv.Quote(literal(p.value)) + ", "
		}
		if p.logicalID != "" {
			value += "logicalId: " + strconv.Quote(p.logicalID) + ", "
		}
		fmt.Fprintf(b, "  %s: {%sdescription: %s}\n", name, value, strconv.Quote(p.description))
	}
}

func (t *reading) body() string {
	var b strings.Builder
	b.WriteString(`
# The runbook of each alarm. {kind}, {key} and {resource} are those of the alarm:
# lambda, errors, a function's name. You can replace it with your own.
runbook: https://github.com/throughline/throughline/blob/main/docs/operations.md#{kind}-{key}
`)
	b.WriteString(`
# A few alarms for each service: errors, durations near the time-out, lost events,
# stuck messages, and a composite of these that pages. "all" has every alarm of every
# pack. An override with enable adds one of them.
watch: essential
# With bursts, one minute of failure is enough for ALARM. "steady" is for traffic all
# day: 3 of 5 minutes, and 20 samples for a rate.
traffic: burst
`)
	if t.full {
		b.WriteString("\n# The functions have THROUGHLINE_METRICS=full.\nprofile: full\n")
	}
	t.writeLogGroups(&b)
	b.WriteString("\nresources:\n")
	for _, f := range t.found {
		b.WriteString(t.line(f) + "\n")
	}
	b.WriteString("  - {kind: account}\n")
	t.writeServices(&b)
	if len(t.skipped) > 0 {
		b.WriteString("\n# In the template and not watched:\n")
		for _, s := range t.skipped {
			b.WriteString("#   " + oneLine(s) + "\n")
		}
	}
	b.WriteString(`
# overrides:
#   - {match: {kind: lambda, key: errors}, threshold: 5%, minSamples: 50, for: 3 of 5}
#   - {match: {name: a-function}, disable: [duration]}
`)
	return b.String()
}

// line returns one resource. The names of a table, a queue or a rule with the same name
// as a function get a suffix, because their alarms have the same keys.
func (t *reading) line(f *found) string {
	parts := []string{"kind: " + f.kind, "name: " + strconv.Quote(f.name)}
	if f.get("bus") != "" {
		parts = []string{"kind: " + f.kind, "bus: " + f.get("bus"), "name: " + strconv.Quote(f.name)}
	}
	for _, field := range f.fields {
		if field.name != "bus" {
			parts = append(parts, field.name+": "+field.value)
		}
	}
	if f.of != "" {
		parts = append(parts, "of: "+strconv.Quote(f.of))
	}
	if t.first[f.name].rank < f.rank {
		suffix := map[string]string{"dynamodb": "table", "event-rule": "rule", "scheduler": "schedules", "event-bus": "bus"}[f.kind]
		if suffix == "" {
			suffix = f.kind
		}
		parts = append(parts, "as: "+strconv.Quote(f.name+"-"+suffix))
	}
	text := "  - {" + strings.Join(parts, ", ") + "}"
	if len(f.unknown) > 0 {
		text += "  # the template does not have: " + strings.Join(f.unknown, ", ")
	}
	return text
}

// maxLogGroups is the limit of log groups in a Logs Insights query.
const maxLogGroups = 50

func (t *reading) writeLogGroups(b *strings.Builder) {
	if len(t.logGroups) == 0 {
		return
	}
	b.WriteString("\n# The log groups of the saved queries and the dashboard's tables.\n")
	if n := len(t.logGroups); n > maxLogGroups {
		fmt.Fprintf(b, "# A query reads at most %d log groups: these are the first of %d functions.\n", maxLogGroups, n)
	}
	b.WriteString("logGroups:\n")
	for _, g := range t.logGroups[:min(len(t.logGroups), maxLogGroups)] {
		b.WriteString("  - " + strconv.Quote(g) + "\n")
	}
}

func (t *reading) writeServices(b *strings.Builder) {
	for _, attached := range []bool{true, false} {
		begun := false
		for _, s := range t.services {
			if s.attached != attached {
				continue
			}
			mark := ""
			if !attached {
				mark = "# "
			}
			if !begun && attached {
				b.WriteString("\n  # Metrics of the Throughline layer or library. List the event types that a\n  # service publishes or handles, for alarms on their sizes.\n")
			} else if !begun {
				b.WriteString("\n  # Add these if the Throughline layer or library is attached.\n")
			}
			begun = true
			fmt.Fprintf(b, "  %s- {kind: extension, service: %q, function: %q}\n  %s- {kind: events, service: %q, detailTypes: []}\n", mark, s.name, s.function, mark, s.name)
		}
	}
}
