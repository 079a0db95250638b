package workflow

import (
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// joiner finds the cause of each invocation that an event on the bus did not cause. It
// considers all its spans, of every workflow.
type joiner struct {
	all       []*Span // each once
	byID      map[ID]*Span
	children  map[ID][]*Span
	handlings []*Span // in the order of time

	sent     map[string][]*Span // senders, by the ID that the service returned
	handled  map[string][]*Span // the attempts of an invocation, by request ID
	holders  map[string][]*Span // invocations that received a task token, by its hash
	planned  map[string][]*Span // schedules, by the function that they invoke
	gaveUp   map[string][]*Span // receivers of an invocation's result, by its request ID
	answered map[string][]*Span // publications, by the event ID that the bus returned
	receives map[string][]*Span // the handlings with the same IDs

	causes map[ID][]source // causes of handlings, computed on first use
}

// source is the cause of an invocation, or of one record of it.
type source struct {
	Edge
	hop     *Span  // the sender; nil if a handling or a publication is the cause
	event   *Span  // the publication of an event without a stamp
	handled *Span  // the handling whose result or task token is the cause
	record  string // the record of the batch; "" for the whole invocation
	link    int    // the link that names it; -1 for none
	refines int    // the link that it replaces; -1 for none
}

func newJoiner(spans []Span) *joiner {
	j := &joiner{
		byID: make(map[ID]*Span, len(spans)), children: map[ID][]*Span{}, sent: map[string][]*Span{}, handled: map[string][]*Span{},
		holders: map[string][]*Span{}, planned: map[string][]*Span{}, gaveUp: map[string][]*Span{}, answered: map[string][]*Span{}, receives: map[string][]*Span{}, causes: map[ID][]source{},
	}
	add := func(to map[string][]*Span, s *Span, keys ...string) {
		for _, key := range keys {
			to[key] = append(to[key], s)
		}
	}
	for i := range spans {
		s := &spans[i]
		if j.byID[s.ID] != nil {
			continue // exporters deliver at least once
		}
		j.byID[s.ID] = s
		j.all = append(j.all, s)
		if s.Parent != "" {
			parent := ID{s.ID.Trace, s.Parent}
			j.children[parent] = append(j.children[parent], s)
		}
		switch {
		case s.hop() != "":
			for _, k := range s.sent() {
				add(j.sent, s, k.key)
			}
			if s.hop() == ViaScheduler {
				add(j.planned, s, functionName(s.Text(attrScheduleTarget)))
			}
		case isPublication(s):
			if id := s.Text(attrMessageID); id != "" && s.Text(lineage.AttrDeduplicated) != "true" { // a repeat is no event of its own
				add(j.answered, s, id)
			}
		case isHandling(s):
			j.handlings = append(j.handlings, s)
			if s.requestID() != "" {
				add(j.handled, s, s.requestID())
			}
			add(j.holders, s, s.all(lineage.AttrTaskTokenHash, lineage.AttrTaskTokenHashes)...)
			add(j.gaveUp, s, s.all(lineage.AttrOriginRequestID, lineage.AttrOriginRequestIDs)...)
			for _, k := range s.receivedKeys() {
				add(j.receives, s, k.key)
			}
		}
	}
	byStart(j.handlings)
	for _, list := range []map[string][]*Span{j.handled, j.sent, j.holders} {
		for _, spans := range list {
			byStart(spans)
		}
	}
	return j
}

// of returns the sources of a handling. If two spans could have sent a record, it returns
// none for it.
func (j *joiner) of(h *Span) []source {
	if known, ok := j.causes[h.ID]; ok {
		return known
	}
	found := j.linkedTo(h)
	found = append(found, j.joinedTo(h, found)...)
	if len(found) == 0 && len(h.causes()) == 0 {
		found = append(found, j.publishedTo(h)...)
	}
	if len(found) == 0 && len(h.causes()) == 0 {
		found = append(found, j.scheduled(h)...)
	}
	if len(found) == 0 && len(h.causes()) == 0 {
		found = append(found, j.answering(h)...)
	}
	j.causes[h.ID] = found
	return found
}

// linkedTo returns the hops that links of h name.
func (j *joiner) linkedTo(h *Span) (found []source) {
	for n, l := range h.Links {
		if l.Why != "causation" && l.Why != "trace" {
			continue
		}
		if s := j.byID[l.To]; s != nil && s.hop() != "" {
			record, _ := l.Attributes[attrMessageID].(string)
			found = append(found, source{Edge: Edge{s.hop(), Linked, ""}, hop: s, record: record, link: n, refines: -1})
		}
	}
	return found
}

// joinedTo returns the hops that the IDs of h name, except for those that a link names.
// If an event was passed on by hand, the link to its publisher is replaced by what passed
// it on, which is the nearer cause.
func (j *joiner) joinedTo(h *Span, linked []source) (found []source) {
	taken := map[string]bool{} // the records with a known sender; "" for the whole invocation
	for _, l := range linked {
		taken[l.record] = true
	}
	whole := h.records() == 1 && len(linked) > 0
	keys := h.receivedKeys()
	for _, id := range h.all(lineage.AttrOriginRequestID, lineage.AttrOriginRequestIDs) {
		keys = append(keys, named{id: id}) // an empty key means the invocation itself
	}
	for _, k := range keys {
		s := source{Edge: Edge{"", Joined, k.by}, link: -1, refines: -1}
		switch {
		case whole || k.record && taken[k.id] || !k.record && len(found)+len(linked) > 0 && k.key != "":
			continue
		case k.key == "":
			s.Via, s.By = ViaDestination, "request ID of the failed invocation"
			if s.handled = j.lastAttempt(k.id, h); s.handled == nil {
				s.hop = j.sender(keyRequest+k.id, h)
			}
		default:
			if s.hop = j.sender(k.key, h); s.hop != nil {
				s.Via = s.hop.hop()
			}
		}
		if s.hop == nil && s.handled == nil || slices.ContainsFunc(found, func(f source) bool { return f.hop == s.hop && f.handled == s.handled && f.record == k.id }) {
			continue
		}
		if k.record {
			s.record = k.id
		}
		if n := linkOf(h, s.record); n >= 0 {
			if !j.descends(&s, h.Links[n].To) {
				continue
			}
			s.refines = n
		}
		found = append(found, s)
	}
	return found
}

// busEvent returns the ID that the bus returned for the only event that h handled:
// aws:EventId of a new custom bus, the envelope's id of a classic one.
func (s *Span) busEvent() string {
	if s.records() != 1 || s.Text("messaging.system") != "aws.eventbridge" {
		return ""
	}
	return s.Text(attrMessageID)
}

// publishedTo finds the only publication with the ID of the event that h handled, for an
// event without a stamp.
func (j *joiner) publishedTo(h *Span) []source {
	id := h.busEvent()
	if id == "" || len(j.answered[id]) != 1 {
		return nil
	}
	return []source{{Edge: Edge{ViaBus, Joined, "ID that the bus gave the event"}, event: j.answered[id][0], link: -1, refines: -1}}
}

// from returns the span of the cause.
func (s *source) from() *Span {
	switch {
	case s.hop != nil:
		return s.hop
	case s.event != nil:
		return s.event
	}
	return s.handled
}

// linkOf returns the link with the cause of a record, or -1. The link of a single record
// need not name it.
func linkOf(h *Span, record string) int {
	first := -1
	for n, l := range h.Links {
		if l.Why != "causation" {
			continue
		}
		if id, named := l.Attributes[attrMessageID].(string); named && id == record && record != "" {
			return n
		}
		if first < 0 {
			first = n
		}
	}
	if h.records() == 1 {
		return first
	}
	return -1
}

// sender returns the only span that sent what has a key or, of several, the only one that
// sent to the queue that h reads.
func (j *joiner) sender(key string, h *Span) *Span {
	candidates := j.sent[key]
	if at := h.Text(attrDestination); len(candidates) > 1 && at != "" {
		var here []*Span
		for _, s := range candidates {
			if s.Text(attrDestination) == at {
				here = append(here, s)
			}
		}
		if len(here) > 0 {
			candidates = here
		}
	}
	if len(candidates) == 1 || len(candidates) > 1 && repeated(key, candidates) {
		return candidates[0]
	}
	return nil
}

// repeated reports whether several spans sent the same, each later than the first, to a
// service that accepts a repeat and returns the ID of the first: a FIFO queue or topic,
// Step Functions (the same name and input), or Scheduler (the same client token).
func repeated(key string, sent []*Span) bool {
	at := sent[0].Text(attrDestination)
	for _, s := range sent[1:] {
		if s.Text(attrDestination) != at || !s.Start.After(sent[0].Start) {
			return false
		}
	}
	return strings.HasSuffix(at, ".fifo") || strings.HasPrefix(key, keyExecution) || strings.HasPrefix(key, keySchedule)
}

// lastAttempt returns the last attempt of an invocation before h.
func (j *joiner) lastAttempt(request string, h *Span) *Span {
	var last *Span
	for _, a := range j.handled[request] {
		if a.ID != h.ID && !a.Start.After(h.Start) {
			last = a
		}
	}
	return last
}

// descends reports whether the span to caused a source, over any hops.
func (j *joiner) descends(s *source, to ID) bool {
	const most = 1000
	seen := map[ID]bool{}
	queue := []*Span{s.handled}
	if s.handled == nil {
		queue = []*Span{j.enclosing(s.hop)}
	}
	for n := 0; n < len(queue) && n < most; n++ {
		h := queue[n]
		if h == nil || seen[h.ID] {
			continue
		}
		seen[h.ID] = true
		for _, l := range h.causes() {
			if l.To == to {
				return true
			}
			if p := j.byID[l.To]; p != nil {
				queue = append(queue, j.enclosing(p))
			}
		}
		for _, id := range h.receivedKeys() {
			if p := j.sender(id.key, h); p != nil {
				queue = append(queue, j.enclosing(p))
			}
		}
	}
	return false
}

// The time before and after its due time in which a schedule's invocation can begin.
const (
	scheduleEarly = 5 * time.Second
	scheduleLate  = 15 * time.Minute
)

// scheduled finds the one-time schedule of an invocation: the function and the due time
// agree, and the correlation ID is one that the creator of the schedule used.
func (j *joiner) scheduled(h *Span) []source {
	correlation := h.Correlation()
	if correlation == "" || h.minted() {
		return nil
	}
	name := h.Service
	if arn := h.Text("aws.lambda.invoked_arn"); arn != "" {
		name = functionName(arn)
	}
	var found []*Span
	for _, s := range j.planned[name] {
		due, err := time.Parse(time.RFC3339, s.Text(attrScheduleAt))
		after := h.Start.Sub(due)
		if err == nil && !s.Error && h.ran(s.Text(attrScheduleTarget)) && after >= -scheduleEarly && after <= scheduleLate && !s.Start.After(h.Start) && j.uses(s, correlation) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return []source{{Edge: Edge{ViaScheduler, Inferred, "function, due time and correlation ID"}, hop: found[0], link: -1, refines: -1}}
}

// uses reports whether a correlation ID is that of a span, or of anything that was made
// while the same event was handled.
func (j *joiner) uses(s *Span, correlation string) bool {
	if s.Correlation() == correlation {
		return true
	}
	h := j.enclosing(s)
	return h != nil && (h.Correlation() == correlation || slices.ContainsFunc(j.madeBy(h), func(m *Span) bool { return m.Correlation() == correlation }))
}

// answering finds the invocation that received the task token that h returns. h has no
// other known cause.
func (j *joiner) answering(h *Span) []source {
	var found []*Span
	for _, s := range j.madeBy(h) {
		if s.hop() != ViaStates {
			continue
		}
		for _, holder := range j.holders[s.Text(lineage.AttrTaskTokenHash)] {
			if holder.ID != h.ID && !holder.Start.After(h.Start) && !slices.Contains(found, holder) {
				found = append(found, holder)
			}
		}
	}
	if len(found) != 1 {
		return nil
	}
	return []source{{Edge: Edge{ViaStates, Joined, "task token"}, handled: found[0], link: -1, refines: -1}}
}

// enclosing returns the handling above s, or nil. The loop is bounded because spans can
// be each other's parents.
func (j *joiner) enclosing(s *Span) *Span {
	for range 1000 {
		if s == nil || s.Parent == "" {
			return nil
		}
		if s = j.byID[ID{s.ID.Trace, s.Parent}]; s != nil && isHandling(s) {
			return s
		}
	}
	return nil
}

// madeBy returns the publications, hops and HTTP calls below h, in order of time. It does
// not look below a publication, where the next handling is in parent mode.
func (j *joiner) madeBy(h *Span) []*Span {
	var made []*Span
	seen := map[ID]bool{h.ID: true}
	for queue := []*Span{h}; len(queue) > 0; queue = queue[1:] {
		for _, s := range j.children[queue[0].ID] {
			switch {
			case seen[s.ID] || isHandling(s):
				continue
			case isPublication(s), s.hop() != "":
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
	byStart(made)
	return made
}
