package workflow

import (
	"cmp"
	"slices"
)

// pending is a node that waits for its place. The tree is written by a stack
// of them rather than by recursion: a chain may be as long as its author likes.
type pending struct {
	event    *event
	handling *Span // nil with missing set: the handling that is not there
	missing  []*event
	call     *Span
	parent   int
}

// emit writes the events that have no place below another, in the order of
// time, and whatever only a circle of causes keeps from having none.
func (b *builder) emit() {
	var roots []*event
	for _, e := range b.order {
		if !e.below {
			roots = append(roots, e)
		}
	}
	slices.SortStableFunc(roots, func(a, b *event) int { return a.compare(b) })
	for _, e := range append(roots, b.order...) {
		b.emitBelow(pending{event: e, parent: -1})
	}
}

// compare orders events by the first that was seen of them.
func (e *event) compare(other *event) int {
	first := func(e *event) *Span {
		switch {
		case e.span != nil:
			return e.span
		case len(e.handled) > 0:
			return e.handled[0]
		default:
			return nil
		}
	}
	a, b := first(e), first(other)
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
	at := b.place(p.parent, Node{Kind: KindEvent, Span: e.span, EventID: e.id, Type: e.kind, Gap: e.gap})
	below := make([]pending, 0, len(e.handled)+1)
	for _, h := range e.handled {
		below = append(below, pending{handling: h, parent: at})
	}
	var missing []*event
	for _, next := range e.lost {
		if next.span == nil { // which handling published it nobody can tell
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

// placeHandling writes a handling below its event, and finds what stands below it.
func (b *builder) placeHandling(p pending) []pending {
	of := b.nodes[p.parent]
	n := Node{Kind: KindHandling, Span: p.handling, EventID: of.EventID, Type: of.Type}
	var below []pending
	if p.handling == nil {
		n.Gap = HandlingNotSeen
		at := b.place(p.parent, n)
		slices.SortStableFunc(p.missing, func(a, b *event) int { return a.compare(b) })
		for _, e := range p.missing {
			below = append(below, pending{event: e, parent: at})
		}
		return below
	}
	n.Again = b.firstPlace[p.handling.ID]
	at := b.place(p.parent, n)
	if n.Again == 0 {
		b.firstPlace[p.handling.ID] = at + 1
	}
	for _, s := range b.madeBy(p.handling) {
		switch {
		case isPublication(s):
			if e := b.events[s.ID]; e != nil && b.stands(e, of, p.handling, n.Again == 0) {
				below = append(below, pending{event: e, parent: at})
			}
		case n.Again == 0:
			below = append(below, pending{call: s, parent: at})
		}
	}
	return below
}

// stands tells whether e, published while h handled a batch, belongs below the
// event that of stands for: the one that its link names, else the first.
func (b *builder) stands(e *event, of Node, h *Span, first bool) bool {
	if b.causes[h.ID] < 2 {
		return true
	}
	for _, l := range e.span.causes() {
		if cause := b.events[l.To]; cause != nil && slices.Contains(cause.handled, h) {
			return of.Span == cause.span && of.EventID == cause.id
		}
	}
	return first
}

// madeBy are the publications and HTTP calls below h, in the order of time. It
// does not look below a publication, where in parent mode the next handling hangs.
func (b *builder) madeBy(h *Span) []*Span {
	var made []*Span
	seen := map[ID]bool{h.ID: true}
	for queue := []*Span{h}; len(queue) > 0; queue = queue[1:] {
		for _, s := range b.children[queue[0].ID] {
			switch {
			case seen[s.ID] || s.Kind == "CONSUMER":
				continue
			case isPublication(s):
				made = append(made, s)
			default:
				if s.Kind == "CLIENT" && s.Text("http.request.method") != "" {
					made = append(made, s)
				}
				queue = append(queue, s)
			}
			seen[s.ID] = true
		}
	}
	slices.SortStableFunc(made, func(x, y *Span) int {
		return cmp.Or(x.Start.Compare(y.Start), cmp.Compare(x.ID.Span, y.ID.Span))
	})
	return made
}
