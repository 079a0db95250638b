package devcmd

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// key identifies an item of the list: a workflow by its correlation ID, or a trace whose
// spans belong to no workflow.
type key struct {
	trace bool
	id    string
}

// entry is a workflow or a trace in the list. A span that an exporter sent twice counts
// twice.
type entry struct {
	key
	start, end             time.Time
	spans, errors, repeats int
	hops                   float64  // the most hops of an event
	root                   string   // for a trace: the name of the span without a parent, or of the first span
	rooted                 bool     // root is the name of a span without a parent
	functions, types       []string // types also has queues and the like; in order of arrival, at most maxNames
	changed                int      // the version of the last change
}

const (
	maxNames = 24
	attrInit = "throughline.init.kind"
	attrHop  = "throughline.hop"

	attrDestination = "messaging.destination.name"
)

// add adds a span.
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

// join adds another entry of the same workflow.
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

// says reports whether the search finds a lower-case text in the entry.
func (e *entry) says(text string) bool {
	is := func(name string) bool { return strings.Contains(strings.ToLower(name), text) }
	return is(e.id) || e.trace && is(e.root) || slices.ContainsFunc(e.functions, is) || slices.ContainsFunc(e.types, is)
}

// index is the list of one segment. If a span of a trace names a workflow, the trace's
// other spans belong to it too.
type index struct {
	known  map[key]*entry
	joined map[string]bool // traces in which a span names a workflow
}

func newIndex() *index { return &index{known: map[key]*entry{}, joined: map[string]bool{}} }

// add adds a span.
func (x *index) add(s *workflow.Span) {
	k := key{id: s.Correlation()}
	switch {
	case k.id != "":
		x.joined[s.ID.Trace] = true
	case s.Text(attrInit) != "":
		return // the start of an environment, which the layer exports in a separate trace
	default:
		k = key{trace: true, id: s.ID.Trace}
	}
	x.at(k).add(s)
}

// merge adds another index.
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
