package workflow

import (
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// maxCorrelations bounds the correlation IDs that one tree joins. Each message without
// one has its own.
const maxCorrelations = 5000

// members are the spans of one workflow: those with its correlation ID, and those of the
// other correlation IDs that hops join to it. A hop joins what it connects, because a
// correlation ID that changes on the way was lost. An event that is published with
// another correlation ID begins a new workflow: that is not included, but the publisher
// of a workflow's first event is shown.
type members struct {
	j         *joiner
	consumers map[ID][]*Span // what a hop or a handling caused
	byID      map[string][]*Span
	mentioned map[string][]*Span // batch spans, by the correlation IDs in their links
	outside   map[ID]int         // of a batch whose senders are all known: how many of them are not included

	correlations []string // in the order in which they were found
	known        map[string]bool
	full         bool // there are more than maxCorrelations
	in           map[ID]bool
	whole        map[ID]bool // handlings that are included with all of their records
	looked       map[step]bool
	queue        []step
}

// step is a handling to examine. from is the reason why it is included.
type step struct {
	h    *Span
	from reason
}

type reason uint8

const (
	itself     reason = iota // it has the correlation ID
	oneOf                    // a record of the batch
	allOf                    // all records of the batch: the hops that sent them are included
	downstream               // a hop or a result caused it
	upstream                 // it made a hop, or its result caused one
	publisher                // it published
)

func (j *joiner) members(correlationID string) *members {
	m := &members{
		j: j, consumers: map[ID][]*Span{}, byID: map[string][]*Span{}, mentioned: map[string][]*Span{}, outside: map[ID]int{}, known: map[string]bool{},
		in: map[ID]bool{}, whole: map[ID]bool{}, looked: map[step]bool{},
	}
	for _, s := range j.all {
		m.byID[s.Correlation()] = append(m.byID[s.Correlation()], s)
		for _, l := range s.Links {
			if id, _ := l.Attributes[lineage.AttrCorrelationID].(string); id != "" && id != s.Correlation() {
				m.mentioned[id] = append(m.mentioned[id], s)
			}
		}
	}
	for _, h := range j.handlings {
		senders, records := 0, map[string]bool(nil)
		if h.records() > 1 {
			records = map[string]bool{}
		}
		for _, s := range j.of(h) {
			from := s.from()
			if !slices.Contains(m.consumers[from.ID], h) {
				m.consumers[from.ID] = append(m.consumers[from.ID], h)
				senders++
			}
			if records != nil && s.hop != nil && s.record != "" {
				records[s.record] = true
			}
		}
		if len(records) > 1 && len(records) == h.records() {
			m.outside[h.ID] = senders
		}
	}
	m.add(correlationID)
	for len(m.queue) > 0 {
		next := m.queue[len(m.queue)-1]
		m.queue = m.queue[:len(m.queue)-1]
		if !m.looked[next] {
			m.looked[next] = true
			m.look(next)
		}
	}
	return m
}

func (m *members) has(correlationID string) bool {
	return correlationID != "" && m.known[correlationID]
}

// add includes a correlation ID with all its spans.
func (m *members) add(correlationID string) {
	if correlationID == "" && len(m.correlations) > 0 || m.known[correlationID] {
		return
	}
	if len(m.correlations) == maxCorrelations {
		m.full = true
		return
	}
	m.correlations, m.known[correlationID] = append(m.correlations, correlationID), true
	for _, s := range m.byID[correlationID] {
		m.span(s, itself)
	}
	for _, s := range m.mentioned[correlationID] {
		m.span(s, oneOf)
	}
}

// span includes a span by its own correlation ID, or by that of one of its links.
func (m *members) span(s *Span, why reason) {
	switch {
	case s.hop() != "":
		m.hop(s)
	case isPublication(s):
		m.publication(s)
	case isHandling(s):
		m.queue = append(m.queue, step{s, why})
	}
}

// publication includes a publication, and the handlings that only its ID joins to it.
func (m *members) publication(s *Span) {
	if m.in[s.ID] {
		return
	}
	m.in[s.ID] = true
	if h := m.j.enclosing(s); h != nil && h.records() == 1 {
		m.queue = append(m.queue, step{h, publisher})
	}
	for _, h := range m.consumers[s.ID] {
		m.queue = append(m.queue, step{h, downstream})
	}
}

// hop includes a hop with the handling that made it and the invocations that it caused.
func (m *members) hop(s *Span) {
	if m.in[s.ID] {
		return
	}
	m.in[s.ID] = true
	m.add(s.Correlation())
	if h := m.j.enclosing(s); h != nil {
		m.queue = append(m.queue, step{h, upstream})
	}
	for _, h := range m.consumers[s.ID] {
		m.queue = append(m.queue, step{h, downstream})
		if m.outside[h.ID]--; m.outside[h.ID] == 0 {
			m.queue = append(m.queue, step{h, allOf})
		}
	}
}

func (m *members) look(next step) {
	h := next.h
	whole := next.from == itself || next.from == allOf || h.records() == 1
	m.in[h.ID] = true
	m.whole[h.ID] = m.whole[h.ID] || whole
	lost := h.Correlation() == "" || h.minted() // its message came without a correlation ID
	if next.from == downstream || next.from == allOf {
		m.follow(h, lost, whole)
	}
	for _, s := range m.j.of(h) {
		if !whole && (next.from != oneOf || !m.has(m.correlationOf(h, s.record))) {
			continue
		}
		if next.from == publisher && !lost && !m.has(h.Correlation()) {
			continue // a workflow that another one started
		}
		if s.hop != nil {
			m.hop(s.hop)
		} else if s.event != nil {
			m.add(s.event.Correlation())
			m.publication(s.event)
		} else if s.handled != nil {
			m.queue = append(m.queue, step{s.handled, upstream})
			m.add(s.handled.Correlation())
		}
	}
	if whole && (next.from != publisher || m.has(h.Correlation())) {
		for _, s := range m.j.madeBy(h) {
			if s.hop() != "" {
				m.hop(s)
			}
		}
	}
	for _, result := range m.consumers[h.ID] {
		m.queue = append(m.queue, step{result, downstream})
	}
}

// follow includes the correlation IDs under which a workflow continues after a hop.
func (m *members) follow(h *Span, lost, whole bool) {
	m.add(h.Correlation())
	if !lost {
		return
	}
	if h.records() > 1 { // the records that this workflow sent have their own IDs
		for _, s := range m.j.of(h) {
			if s.record != "" && (s.hop != nil && m.in[s.hop.ID] || s.handled != nil && m.in[s.handled.ID]) {
				m.add(s.record)
			}
		}
	}
	if !whole {
		return
	}
	for _, s := range m.j.madeBy(h) {
		if isPublication(s) {
			m.add(s.Correlation())
		}
	}
}

// correlationOf returns the correlation ID in the link of a record.
func (m *members) correlationOf(h *Span, record string) string {
	publisher := ID{}
	for _, l := range h.Links {
		if id, _ := l.Attributes[attrMessageID].(string); id == record && l.Why == "causation" {
			publisher = l.To
		}
	}
	if s := m.j.byID[publisher]; s != nil {
		return s.Correlation()
	}
	return ""
}

// isOurs reports whether a handling belongs to the workflow with all of its records.
func (m *members) isOurs(h *Span) bool { return m.whole[h.ID] }
