package devcmd

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// key names what the list shows: a workflow by its correlation ID, or a trace of spans
// that belong to none.
type key struct {
	trace bool
	id    string
}

// entry is a workflow or a trace as far as the list shows it. A span that an exporter
// sent twice counts twice.
type entry struct {
	key
	start, end             time.Time
	spans, errors, repeats int
	hops                   float64  // the most of an event
	root                   string   // of a trace: the name of its first span, or of the one without a parent
	rooted                 bool     // root is of the one without a parent
	functions, types       []string // and queues and the like, in the order in which they came, at most maxNames
	changed                int      // the version in which it changed last
}

const (
	maxNames = 24
	attrInit = "throughline.init.kind"
	attrHop  = "throughline.hop"

	attrDestination = "messaging.destination.name"
)

// add counts a span in.
func (e *entry) add(s *workflow.Span) {
	one := entry{start: s.Start, end: s.End, spans: 1, root: s.Name, rooted: s.Parent == ""}
	if s.Error {
		one.errors = 1
	}
	if s.Text(lineage.AttrRepeatKind) != "" {
		one.repeats = 1
	}
	one.hops, _ = s.Number(lineage.AttrHops)
	if s.Service != "" {
		one.functions = []string{s.Service}
	}
	for _, name := range []string{s.Text(lineage.AttrEventType), s.Text(attrDestination)} {
		if name != "" {
			one.types = append(one.types, name)
		}
	}
	if s.Text(attrHop) != "" {
		one.types = append(one.types, s.Name) // "invoke price", "schedule close-of-day"
	}
	e.join(&one)
}

// join counts other in, of the same workflow.
func (e *entry) join(other *entry) {
	if e.spans == 0 || !e.rooted && (other.rooted || other.start.Before(e.start)) {
		e.root, e.rooted = other.root, other.rooted
	}
	if e.spans == 0 || other.start.Before(e.start) {
		e.start = other.start
	}
	if other.end.After(e.end) {
		e.end = other.end
	}
	e.spans += other.spans
	e.errors += other.errors
	e.repeats += other.repeats
	e.hops = max(e.hops, other.hops)
	e.functions = union(e.functions, other.functions)
	e.types = union(e.types, other.types)
	e.changed = max(e.changed, other.changed)
}

func union(list, more []string) []string {
	for _, name := range more {
		if len(list) < maxNames && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// says reports whether the list's search finds a text, in lower case, in the entry.
func (e *entry) says(text string) bool {
	is := func(name string) bool { return strings.Contains(strings.ToLower(name), text) }
	return is(e.id) || e.trace && is(e.root) || slices.ContainsFunc(e.functions, is) || slices.ContainsFunc(e.types, is)
}

// index is what one segment knows. Of a trace in which a span names a workflow the
// other spans belong to that.
type index struct {
	known  map[key]*entry
	joined map[string]bool // traces of which a span names a workflow
}

func newIndex() *index { return &index{known: map[key]*entry{}, joined: map[string]bool{}} }

// add counts a span in.
func (x *index) add(s *workflow.Span) {
	k := key{id: s.Correlation()}
	switch {
	case k.id != "":
		x.joined[s.ID.Trace] = true
	case s.Text(attrInit) != "":
		return // how an environment began, which the layer tells in a trace of its own
	default:
		k = key{trace: true, id: s.ID.Trace}
	}
	x.at(k).add(s)
}

// merge counts in what another index knows.
func (x *index) merge(other *index, version int) {
	for k, e := range other.known {
		e.changed = version
		x.at(k).join(e)
	}
	for trace := range other.joined {
		x.joined[trace] = true
	}
}

func (x *index) at(k key) *entry {
	e := x.known[k]
	if e == nil {
		e = &entry{key: k}
		x.known[k] = e
	}
	return e
}
