package workflow

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// event is an event while the tree is being built.
type event struct {
	key      ID // the ID of the span that published it; generated for an event without one
	id, kind string
	span     *Span
	gap      Gap
	handled  []handled
	lost     []*event // events that a missing handling of this one published
	below    bool     // whether it is below another event
	placed   bool
}

// hop is a message, invocation or schedule while the tree is being built.
type hop struct {
	key     ID
	span    *Span // nil if a handling's result or task token is the cause
	kind    string
	handled []handled
	below   bool
	placed  bool
}

// handled is a handling below an event or a hop.
type handled struct {
	span    *Span
	edge    Edge
	records []string // the records of a batch that are the event or the hop
}

type builder struct {
	*joiner
	*members
	publications []*Span
	handlings    []*Span
	events       map[ID]*event
	order        []*event          // every event; first those with a publishing span
	named        map[string]*event // events by their own ID
	hops         map[ID]*hop
	hopOrder     []*hop
	results      map[ID][]*hop // results of handlings that are a cause themselves
	roots        []*Span       // handlings without any known cause
	above        map[ID]int    // the number of events and hops above a handling
	nodes        []Node
	firstPlace   map[ID]int // the index in nodes of a handling, plus one
}

func newBuilder(j *joiner, correlationID string) *builder {
	b := &builder{
		joiner: j, members: j.members(correlationID), events: map[ID]*event{}, named: map[string]*event{},
		hops: map[ID]*hop{}, results: map[ID][]*hop{}, above: map[ID]int{}, firstPlace: map[ID]int{},
	}
	for _, s := range j.all {
		switch {
		case !b.in[s.ID]:
		case s.hop() != "":
			b.addHop(&hop{key: s.ID, span: s})
		case isPublication(s):
			b.publications = append(b.publications, s)
		case isHandling(s):
			b.handlings = append(b.handlings, s)
		}
	}
	byStart(b.publications)
	byStart(b.handlings)
	return b
}

// isPublication reports whether the span published one event, which can have no ID.
func isPublication(s *Span) bool {
	return s.Kind == "PRODUCER" && s.hop() == "" && (s.Text(lineage.AttrEventID) != "" || s.Text(lineage.AttrEventType) != "")
}

func byStart(spans []*Span) {
	slices.SortStableFunc(spans, func(a, b *Span) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID.Span, b.ID.Span)) })
}

// attach finds the events, and places handlings and events below events and hops.
func (b *builder) attach() {
	for _, p := range b.publications {
		b.add(&event{key: p.ID, id: p.EventID(), kind: p.Text(lineage.AttrEventType), span: p})
	}
	for _, h := range b.handlings {
		b.attachHandling(h)
	}
	for _, p := range b.publications {
		b.attachPublication(b.events[p.ID])
	}
	for _, e := range b.order {
		if e.gap == PublisherNotSeen || e.gap == PublisherNotSampled {
			b.attachUnseen(e)
		}
	}
	for _, s := range b.hopOrder {
		if s.span != nil {
			h := b.enclosing(s.span)
			s.below = h != nil && b.above[h.ID] > 0
		}
	}
}

func (b *builder) add(e *event) *event {
	b.events[e.key] = e
	b.order = append(b.order, e)
	if e.id != "" && b.named[e.id] == nil {
		b.named[e.id] = e
	}
	return e
}

func (b *builder) addHop(s *hop) *hop {
	b.hops[s.key] = s
	b.hopOrder = append(b.hopOrder, s)
	return s
}

// below places h below an event or a hop, once. record is the record of a batch that the
// event or the hop is, or "".
func (b *builder) below(list *[]handled, h *Span, edge Edge, record string) {
	at := slices.IndexFunc(*list, func(other handled) bool { return other.span == h })
	if at < 0 {
		at = len(*list)
		*list = append(*list, handled{span: h, edge: edge})
		b.above[h.ID]++
	}
	if record != "" {
		(*list)[at].records = append((*list)[at].records, record)
	}
}

// attachHandling places h below each event that it handled, and below each hop that
// caused it.
func (b *builder) attachHandling(h *Span) {
	ours := b.isOurs(h)
	refined := map[int]bool{}
	for _, s := range b.of(h) {
		if b.attachSource(h, s) {
			refined[s.link], refined[s.refines] = true, true
		}
	}
	causes := h.causes()
	for n, l := range h.Links {
		if l.Why != "causation" || refined[n] {
			continue
		}
		e := b.events[l.To]
		if e == nil && !ours {
			continue // a batch over several workflows: the event belongs to another one
		}
		if e == nil {
			e = b.add(b.linked(l, h, len(causes) == 1))
		}
		b.below(&e.handled, h, Edge{ViaBus, Linked, ""}, l.record())
	}
	if b.above[h.ID] > 0 {
		return
	}
	if e := b.named[h.Text(lineage.AttrEventID)]; e != nil && e.span != nil { // the backend does not keep links
		b.below(&e.handled, h, Edge{ViaBus, Joined, "event ID"}, "")
		return
	}
	if h.Kind == "SERVER" {
		b.roots = append(b.roots, h) // it has no event
		b.above[h.ID]++
		return
	}
	e := &event{key: ID{"", h.ID.Trace + h.ID.Span}, gap: PublisherNotSeen}
	if ours { // its consumers have the same ID for it
		e.id, e.kind, e.gap = h.Text(lineage.AttrEventID), h.Text(lineage.AttrEventType), PublisherNotTraced
		if h.Text("faas.trigger") == "timer" { // a schedule has no publishing span
			e.gap = ""
			if e.kind == "" {
				e.kind = "schedule"
			}
		}
		if e.id != "" {
			e.key = ID{"", e.id}
		}
	}
	if known := b.events[e.key]; known != nil {
		e = known
	} else {
		b.add(e)
	}
	b.below(&e.handled, h, Edge{}, "")
}

// attachSource places h below a hop, or below the result of another handling. It reports
// whether that belongs to this workflow.
func (b *builder) attachSource(h *Span, s source) bool {
	if s.hop != nil {
		at := b.hops[s.hop.ID]
		if at != nil {
			b.below(&at.handled, h, s.Edge, h.record(s.record))
		}
		return at != nil
	}
	if s.event != nil {
		at := b.events[s.event.ID]
		if at != nil {
			b.below(&at.handled, h, s.Edge, h.record(s.record))
		}
		return at != nil
	}
	if !b.in[s.handled.ID] {
		return false
	}
	key := ID{s.handled.ID.Trace, s.handled.ID.Span + " " + string(s.Via)}
	at := b.hops[key]
	if at == nil {
		at = b.addHop(&hop{key: key, kind: string(s.Via), below: true})
		if s.Via == ViaStates {
			at.kind = "task token"
		}
		b.results[s.handled.ID] = append(b.results[s.handled.ID], at)
	}
	b.below(&at.handled, h, s.Edge, h.record(s.record))
	return true
}

// linked returns an event that is known only by the link of the span that handled it.
func (b *builder) linked(l Link, h *Span, alone bool) *event {
	e := &event{key: l.To, span: b.joiner.byID[l.To]}
	e.id, _ = l.Attributes[lineage.AttrEventID].(string)
	if alone {
		e.kind = h.Text(lineage.AttrEventType)
		if e.id == "" {
			e.id = h.Text(lineage.AttrEventID)
		}
	}
	switch {
	case e.span != nil: // published by a span without Throughline's attributes
	case l.Sampled:
		e.gap = PublisherNotSeen
	default:
		e.gap = PublisherNotSampled
	}
	return e
}

// attachPublication places an event below its cause, if its publisher is not already
// below the handling of that.
func (b *builder) attachPublication(e *event) {
	if h := b.enclosing(e.span); h != nil && b.above[h.ID] > 0 {
		e.below = true
		return
	}
	if causes := e.span.causes(); len(causes) > 0 {
		cause := b.events[causes[0].To]
		if cause == nil {
			cause = b.add(b.linked(causes[0], e.span, false))
		}
		b.hang(e, cause)
		return
	}
	if b.hang(e, b.named[e.span.parentEvent()]); e.below {
		return
	}
	if hops, ok := e.span.Number(lineage.AttrHops); ok && hops > 0 {
		e.gap = CauseNotSeen
	}
}

// attachUnseen places an event with a missing publisher below the event that its handlers
// name as its cause.
func (b *builder) attachUnseen(e *event) {
	for _, h := range e.handled {
		if len(h.span.causes()) == 1 && b.hang(e, b.named[h.span.parentEvent()]) {
			return
		}
	}
}

func (b *builder) hang(e, cause *event) bool {
	if cause == nil || cause == e || e.below {
		return false
	}
	cause.lost = append(cause.lost, e)
	e.below = true
	return true
}

// joined returns the correlation IDs in the tree except the first.
func (b *builder) joined() []string {
	here := map[string]bool{}
	for i := range b.nodes {
		if s := b.nodes[i].Span; s != nil {
			here[s.Correlation()] = true
		}
	}
	var list []string
	for _, id := range b.correlations[1:] {
		if here[id] {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}
