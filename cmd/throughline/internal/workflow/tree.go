package workflow

import (
	"slices"
	"time"
)

// Event is one event of a workflow: the span that published it, who handled
// it, and what that caused.
type Event struct {
	ID, Type  string
	Published *Span // nil: the publisher was not seen, Gap says why
	Gap       string
	Handled   []*Handling
}

// Handling is one process span: one event, or a batch of several, handled once.
type Handling struct {
	Span      *Span
	Outbound  []*Span  // HTTP calls made while handling
	Published []*Event // events published while handling
}

// Workflow is the tree of one correlation ID. The zero value is empty.
type Workflow struct {
	CorrelationID string
	Roots         []*Event    // events that no event of the workflow caused
	Unlinked      []*Handling // handlings that name no publishing span
	Spans         int
	Functions     []string
	Start, End    time.Time
}

// Events is the number of distinct publications and unseen parents in the tree.
func (w *Workflow) Events() int {
	n := 0
	w.walk(func(*Event) { n++ })
	return n
}

func (w *Workflow) walk(visit func(*Event)) {
	var down func(events []*Event)
	down = func(events []*Event) {
		for _, e := range events {
			visit(e)
			for _, h := range e.Handled {
				down(h.Published)
			}
		}
	}
	down(w.Roots)
	for _, h := range w.Unlinked {
		down(h.Published)
	}
}

// Correlations are the distinct correlation IDs of spans, the one with the
// most recent span first.
func Correlations(spans []Span) []string {
	latest := map[string]time.Time{}
	for i := range spans {
		if id := spans[i].Text("throughline.correlation.id"); id != "" && !spans[i].Start.Before(latest[id]) {
			latest[id] = spans[i].Start
		}
	}
	ids := make([]string, 0, len(latest))
	for id := range latest {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return latest[b].Compare(latest[a]) })
	return ids
}

// Build makes the tree of correlationID out of spans. Spans of other
// workflows are left out, but for those that hang below one of this one.
func Build(spans []Span, correlationID string) *Workflow {
	b := &builder{byID: map[ID]*Span{}, children: map[ID][]*Span{}, handled: map[ID][]*Span{}, placed: map[ID]bool{}}
	var publications, handlings []*Span
	for i := range spans {
		s := &spans[i]
		b.byID[s.ID] = s
		if s.Parent != "" {
			parent := ID{s.ID.Trace, s.Parent}
			b.children[parent] = append(b.children[parent], s)
		}
		if s.Text("throughline.correlation.id") != correlationID && !linksTo(s, correlationID) {
			continue
		}
		switch {
		case isPublication(s):
			publications = append(publications, s)
		case s.Kind == "CONSUMER":
			handlings = append(handlings, s)
			for _, l := range s.Links {
				if l.Why == "causation" {
					b.handled[l.To] = append(b.handled[l.To], s)
				}
			}
		}
	}
	for _, list := range b.handled {
		byStart(list)
	}
	byStart(publications)
	byStart(handlings)
	w := &Workflow{CorrelationID: correlationID}
	b.roots(w, publications, handlings)
	b.summarise(w)
	return w
}

type builder struct {
	byID     map[ID]*Span
	children map[ID][]*Span
	handled  map[ID][]*Span // by the span that published the event
	placed   map[ID]bool
}

func isPublication(s *Span) bool { return s.Kind == "PRODUCER" && s.Text("throughline.event.id") != "" }

func linksTo(s *Span, correlationID string) bool {
	return slices.ContainsFunc(s.Links, func(l Link) bool { return l.Attributes["throughline.correlation.id"] == correlationID })
}

// roots places what no handling of the workflow published, then what is known
// only from a link, then what has no link at all.
func (b *builder) roots(w *Workflow, publications, handlings []*Span) {
	for _, p := range publications {
		if b.enclosing(p) == nil {
			w.Roots = append(w.Roots, b.event(p))
		}
	}
	for _, h := range handlings {
		if b.placed[h.ID] {
			continue
		}
		caused := false
		for _, l := range h.Links {
			if l.Why != "causation" || b.byID[l.To] != nil || b.placed[l.To] {
				continue
			}
			caused = true
			w.Roots = append(w.Roots, b.unseen(l))
		}
		if !caused {
			w.Unlinked = append(w.Unlinked, b.handling(h))
		}
	}
	for _, p := range publications { // published below a span of another workflow
		if !b.placed[p.ID] {
			w.Roots = append(w.Roots, b.event(p))
		}
	}
}

// enclosing is the process span below which s was published.
func (b *builder) enclosing(s *Span) *Span {
	for range 64 {
		if s.Parent == "" {
			return nil
		}
		parent := b.byID[ID{s.ID.Trace, s.Parent}]
		if parent == nil {
			return nil
		}
		if parent.Kind == "CONSUMER" {
			if len(b.linkedBy(parent)) == 0 {
				return nil
			}
			return parent
		}
		s = parent
	}
	return nil
}

func (b *builder) linkedBy(s *Span) []Link {
	var causes []Link
	for _, l := range s.Links {
		if l.Why == "causation" {
			causes = append(causes, l)
		}
	}
	return causes
}

func (b *builder) event(p *Span) *Event {
	b.placed[p.ID] = true
	e := &Event{ID: p.Text("throughline.event.id"), Type: p.Text("throughline.event.type"), Published: p}
	for _, h := range b.handled[p.ID] {
		e.Handled = append(e.Handled, b.handling(h))
	}
	if len(e.Handled) == 0 {
		e.Gap = "no handling was reported"
	}
	return e
}

// unseen is an event known only because a handling links to its publisher.
func (b *builder) unseen(l Link) *Event {
	b.placed[l.To] = true
	e := &Event{Gap: "publisher not seen"}
	if !l.Sampled {
		e.Gap = "publisher not sampled"
	}
	e.ID, _ = l.Attributes["throughline.event.id"].(string)
	for _, h := range b.handled[l.To] {
		e.Handled = append(e.Handled, b.handling(h))
		if e.Type == "" {
			e.Type = h.Text("throughline.event.type")
		}
	}
	return e
}

// handling collects what happened below one process span. A batch stands
// under each of its events; what it published is shown under the first.
func (b *builder) handling(h *Span) *Handling {
	result := &Handling{Span: h}
	if b.placed[h.ID] {
		return result
	}
	b.placed[h.ID] = true
	var down func(id ID, depth int)
	down = func(id ID, depth int) {
		below := slices.Clone(b.children[id])
		byStart(below)
		for _, s := range below {
			switch {
			case depth > 64 || b.placed[s.ID]:
			case isPublication(s):
				result.Published = append(result.Published, b.event(s))
			default:
				if s.Kind == "CLIENT" && s.Text("http.request.method") != "" {
					result.Outbound = append(result.Outbound, s)
				}
				down(s.ID, depth+1)
			}
		}
	}
	down(h.ID, 0)
	return result
}

func byStart(spans []*Span) {
	slices.SortStableFunc(spans, func(a, b *Span) int { return a.Start.Compare(b.Start) })
}

func (b *builder) summarise(w *Workflow) {
	functions := map[string]bool{}
	count := func(s *Span) {
		if s == nil {
			return
		}
		w.Spans++
		functions[s.Service] = true
		if w.Start.IsZero() || s.Start.Before(w.Start) {
			w.Start = s.Start
		}
		if s.End.After(w.End) {
			w.End = s.End
		}
	}
	seen := map[ID]bool{}
	handling := func(h *Handling) {
		if !seen[h.Span.ID] {
			seen[h.Span.ID] = true
			count(h.Span)
		}
		for _, s := range h.Outbound {
			count(s)
		}
	}
	for _, h := range w.Unlinked {
		handling(h)
	}
	w.walk(func(e *Event) {
		count(e.Published)
		for _, h := range e.Handled {
			handling(h)
		}
	})
	for name := range functions {
		w.Functions = append(w.Functions, name)
	}
	slices.Sort(w.Functions)
}

// CorrelationOf is the correlation ID of the event, "" where no span names it.
func CorrelationOf(spans []Span, eventID string) string {
	for i := range spans {
		if spans[i].Text("throughline.event.id") == eventID {
			if id := spans[i].Text("throughline.correlation.id"); id != "" {
				return id
			}
		}
	}
	return ""
}
