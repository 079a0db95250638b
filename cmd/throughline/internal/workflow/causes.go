package workflow

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// Cause is a causal relation of two invocations. From is the span of the invocation that
// caused the other, or nil if no invocation did. Through is the span of what it
// published, sent, invoked or scheduled, or nil if its result is the cause. To is the
// span of the caused invocation. A batch has one Cause for each record with a different
// cause.
type Cause struct {
	Edge
	From, Through, To *Span
}

// Causes returns the causes of all invocations in spans, of every workflow, in order of
// time. The result points into spans.
func Causes(spans []Span) []Cause { return newJoiner(spans).edges() }

func (j *joiner) edges() []Cause {
	published := map[string]*Span{} // by the event's ID; nil if there are several
	for _, s := range j.all {
		if id := s.EventID(); isPublication(s) && id != "" {
			if _, again := published[id]; again {
				published[id] = nil
			} else {
				published[id] = s
			}
		}
	}
	var list []Cause
	for _, h := range j.handlings {
		first := len(list)
		add := func(c Cause) {
			c.To = h
			if !slices.ContainsFunc(list[first:], func(other Cause) bool { return other.From == c.From && other.Through == c.Through }) {
				list = append(list, c)
			}
		}
		covered := map[int]bool{}
		for _, s := range j.of(h) {
			covered[s.link], covered[s.refines] = true, true
			if s.event != nil {
				add(Cause{Edge: s.Edge, From: j.enclosing(s.event), Through: s.event})
			} else if s.hop != nil {
				add(Cause{Edge: s.Edge, From: j.enclosing(s.hop), Through: s.hop})
			} else {
				add(Cause{Edge: s.Edge, From: s.handled})
			}
		}
		for n, l := range h.Links {
			if p := j.byID[l.To]; l.Why == "causation" && !covered[n] && p != nil {
				add(Cause{Edge: Edge{ViaBus, Linked, ""}, From: j.enclosing(p), Through: p})
			}
		}
		if p := published[h.Text(lineage.AttrEventID)]; len(list) == first && p != nil && len(h.causes()) == 0 {
			add(Cause{Edge: Edge{ViaBus, Joined, "event ID"}, From: j.enclosing(p), Through: p})
		}
	}
	return list
}

// Trees groups the invocations in spans by causal relation, regardless of correlation
// IDs. The largest tree is first, and in each tree the earliest invocation is first. The
// result points into spans.
func Trees(spans []Span) [][]*Span {
	j := newJoiner(spans)
	above := map[*Span]*Span{}
	root := func(s *Span) *Span {
		for above[s] != nil {
			if next := above[above[s]]; next != nil {
				above[s] = next
			}
			s = above[s]
		}
		return s
	}
	join := func(a, b *Span) {
		if a, b = root(a), root(b); a != b {
			above[a] = b
		}
	}
	for _, c := range j.edges() {
		for _, s := range []*Span{c.From, c.Through} {
			if s != nil {
				join(c.To, s)
			}
		}
	}
	for _, p := range j.all { // and across a missing handling between two events
		for _, l := range p.causes() {
			if cause := j.byID[l.To]; cause != nil && isPublication(p) && isPublication(cause) {
				join(p, cause)
			}
		}
		if h := j.enclosing(p); h != nil && (isPublication(p) || p.hop() != "") {
			join(p, h)
		}
	}
	byRoot := map[*Span][]*Span{}
	for _, h := range j.handlings {
		byRoot[root(h)] = append(byRoot[root(h)], h)
	}
	trees := make([][]*Span, 0, len(byRoot))
	for _, tree := range byRoot {
		trees = append(trees, tree)
	}
	slices.SortFunc(trees, func(a, b []*Span) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), a[0].Start.Compare(b[0].Start), cmp.Compare(a[0].ID.Span, b[0].ID.Span))
	})
	return trees
}
