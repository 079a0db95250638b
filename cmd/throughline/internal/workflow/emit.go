package workflow

import (
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// pending is a node that is not placed yet. A stack of pending nodes replaces recursion,
// because a chain can have any length.
type pending struct {
	event    *event
	hop      *hop
	handling handled // a nil span with missing set means a missing handling
	missing  []*event
	call     *Span
	parent   int
}

// emit places the nodes without a parent in order of time, then those that are only in a
// cycle of causes.
func (b *builder) emit() {
	var roots, all []pending
	for _, e := range b.order {
		all = append(all, pending{event: e, parent: -1})
		if !e.below {
			roots = append(roots, all[len(all)-1])
		}
	}
	for _, s := range b.hopOrder {
		all = append(all, pending{hop: s, parent: -1})
		if !s.below {
			roots = append(roots, all[len(all)-1])
		}
	}
	for _, h := range b.roots {
		roots = append(roots, pending{handling: handled{span: h}, parent: -1})
	}
	slices.SortStableFunc(roots, func(a, b pending) int { return inTime(a.first(), b.first()) })
	for _, p := range append(roots, all...) {
		b.emitBelow(p)
	}
}

// first returns the first known span of the node, or nil.
func (p *pending) first() *Span {
	var span *Span
	var below []handled
	switch {
	case p.event != nil:
		span, below = p.event.span, p.event.handled
	case p.hop != nil:
		span, below = p.hop.span, p.hop.handled
	default:
		return p.handling.span
	}
	if span == nil && len(below) > 0 {
		return below[0].span
	}
	return span
}

// compare orders events by their first known span.
func (e *event) compare(other *event) int {
	return inTime((&pending{event: e}).first(), (&pending{event: other}).first())
}

func inTime(a, b *Span) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	default:
		return a.Start.Compare(b.Start)
	}
}

func (b *builder) emitBelow(root pending) {
	stack := []pending{root}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		var below []pending
		switch {
		case p.event != nil:
			below = b.placeEvent(p)
		case p.hop != nil:
			below = b.placeHop(p)
		case p.call != nil:
			b.place(p.parent, Node{Kind: KindCall, Span: p.call})
		default:
			below = b.placeHandling(p)
		}
		slices.Reverse(below)
		stack = append(stack, below...)
	}
}

func (b *builder) place(parent int, n Node) int {
	n.Parent = parent
	if parent >= 0 {
		n.Depth = b.nodes[parent].Depth + 1
	}
	b.nodes = append(b.nodes, n)
	return len(b.nodes) - 1
}

func (b *builder) placeEvent(p pending) []pending {
	e := p.event
	if e.placed {
		return nil
	}
	e.placed = true
	if e.gap == "" && len(e.handled) == 0 && len(e.lost) == 0 && (e.span == nil || !e.span.Error) {
		e.gap = NotHandled
	}
	at := b.place(p.parent, Node{Kind: KindEvent, Span: e.span, EventID: e.id, Type: e.kind, Gap: e.gap, of: e})
	below := make([]pending, 0, len(e.handled)+1)
	for _, h := range e.handled {
		below = append(below, pending{handling: h, parent: at})
	}
	var missing []*event
	for _, next := range e.lost {
		if next.span == nil { // the publishing handling is unknown
			below = append(below, pending{event: next, parent: at})
		} else {
			missing = append(missing, next)
		}
	}
	if len(missing) > 0 {
		below = append(below, pending{missing: missing, parent: at})
	}
	return below
}

func (b *builder) placeHop(p pending) []pending {
	s := p.hop
	if s.placed {
		return nil
	}
	s.placed = true
	at := b.place(p.parent, Node{Kind: KindHop, Span: s.span, Type: s.kind, of: s})
	below := make([]pending, 0, len(s.handled))
	for _, h := range s.handled {
		below = append(below, pending{handling: h, parent: at})
	}
	return below
}

// placeHandling places a handling below its event or hop, and finds the nodes below it.
func (b *builder) placeHandling(p pending) []pending {
	h := p.handling.span
	n := Node{Kind: KindHandling, Span: h, Edge: p.handling.edge, records: p.handling.records}
	var of Node
	if p.parent >= 0 {
		of = b.nodes[p.parent]
	}
	if n.EventID, n.Type = of.EventID, of.Type; of.Kind != KindEvent && h != nil {
		n.EventID, n.Type = h.Text(lineage.AttrEventID), h.Text(lineage.AttrEventType)
	}
	var below []pending
	if h == nil {
		n.Gap = HandlingNotSeen
		at := b.place(p.parent, n)
		slices.SortStableFunc(p.missing, func(a, b *event) int { return a.compare(b) })
		for _, e := range p.missing {
			below = append(below, pending{event: e, parent: at})
		}
		return below
	}
	n.Again = b.firstPlace[h.ID]
	at := b.place(p.parent, n)
	if n.Again == 0 {
		b.firstPlace[h.ID] = at + 1
	}
	for _, s := range b.madeBy(h) {
		if e, left := b.events[s.ID], b.hops[s.ID]; e != nil && isPublication(s) {
			if b.stands(e, of, h, n.Again == 0) {
				below = append(below, pending{event: e, parent: at})
			}
		} else if n.Again > 0 {
			continue
		} else if left != nil {
			below = append(below, pending{hop: left, parent: at})
		} else if s.hop() == "" && !isPublication(s) {
			below = append(below, pending{call: s, parent: at})
		}
	}
	if n.Again == 0 {
		for _, result := range b.results[h.ID] {
			below = append(below, pending{hop: result, parent: at})
		}
	}
	return below
}

// stands reports whether e, which was published while h handled a batch, belongs below
// the event or hop of the node of: the one that its link or its parent's ID names, else
// the first.
func (b *builder) stands(e *event, of Node, h *Span, first bool) bool {
	if b.above[h.ID] < 2 {
		return true
	}
	among := func(list []handled) bool {
		return slices.ContainsFunc(list, func(other handled) bool { return other.span == h })
	}
	for _, l := range e.span.causes() {
		if cause := b.events[l.To]; cause != nil && among(cause.handled) {
			return of.of == cause
		}
		if cause := b.hops[l.To]; cause != nil && among(cause.handled) {
			return of.of == cause
		}
	}
	for _, s := range b.of(h) {
		if s.record != "" && s.record == e.span.parentEvent() && s.hop != nil && b.hops[s.hop.ID] != nil {
			return of.of == b.hops[s.hop.ID]
		}
	}
	return first
}
