package workflow

import (
	"slices"
	"time"

	"github.com/throughline/throughline/tracing"
)

// Kind is what a node of the tree stands for.
type Kind string

// The kinds of nodes. Below an event stand its handlings, below a handling the
// calls that it made and the events that it published.
const (
	KindEvent    Kind = "event"
	KindHandling Kind = "handling"
	KindCall     Kind = "call" // an outbound HTTP call
)

// Gap names what a workflow's spans do not tell, "" where nothing is missing.
// The values are stable; Explain says them in words.
type Gap string

// The gaps.
const (
	PublisherNotSeen    Gap = "publisher_not_seen"    // a link points at a span that the backend does not have
	PublisherNotSampled Gap = "publisher_not_sampled" // the link itself says that its span was not recorded
	PublisherNotTraced  Gap = "publisher_not_traced"  // the event carried no stamp and no trace context
	HandlingNotSeen     Gap = "handling_not_seen"     // an event was published while handling one, and that handling is missing
	CauseNotSeen        Gap = "cause_not_seen"        // not the workflow's first event, and nothing says what caused it
	NotHandled          Gap = "not_handled"           // nobody handled the event, or whoever did reports no spans
)

// Explain is the gap in words for a person.
func (g Gap) Explain() string {
	switch g {
	case PublisherNotSeen:
		return "publisher not seen"
	case PublisherNotSampled:
		return "publisher not sampled"
	case PublisherNotTraced:
		return "publisher not traced: the event carried no stamp"
	case HandlingNotSeen:
		return "its handling was not seen"
	case CauseNotSeen:
		return "what caused it was not seen"
	case NotHandled:
		return "no handling was reported"
	default:
		return string(g)
	}
}

// Node is one place in the tree.
type Node struct {
	Kind   Kind
	Depth  int
	Parent int   // index in Nodes; -1 for a root
	Span   *Span // nil where the span that would tell is missing: Gap says so
	// EventID and Type are the event's: of an event, the one published; of a
	// handling, the one that it stands below.
	EventID, Type string
	Gap           Gap
	// Again is the index plus one of the earlier place of the same handling, 0
	// for none. A batch stands below each of its events, and its calls at the first.
	Again int
}

// Workflow is the tree of one correlation ID, flattened: Nodes holds it in
// order, each node after its parent, so that no depth overflows a reader. The
// zero value is empty. It points into the spans that it was built of.
type Workflow struct {
	CorrelationID string
	Nodes         []Node
	Functions     []string // sorted
	Start, End    time.Time
	Counts        Counts
}

// Counts are what a workflow adds up to.
type Counts struct {
	Events    int `json:"events"`
	Handlings int `json:"handlings"`
	Calls     int `json:"calls"`
	Spans     int `json:"spans"`
	Repeats   int `json:"repeats"`
	Errors    int `json:"errors"`
	Gaps      int `json:"gaps"`
}

// Duration is from the start of its first span to the end of its last.
func (w *Workflow) Duration() time.Duration { return w.End.Sub(w.Start) }

// Build makes the tree of correlationID out of spans. Spans of other
// workflows are left out, but for those that hang below one of this one.
func Build(spans []Span, correlationID string) *Workflow {
	b := newBuilder(spans, correlationID)
	b.attach()
	b.emit()
	w := &Workflow{CorrelationID: correlationID, Nodes: b.nodes}
	w.summarise()
	return w
}

// event is one event while the tree is being built.
type event struct {
	key      ID // of the span that published it; of an event without one, made up
	id, kind string
	span     *Span
	gap      Gap
	handled  []*Span
	lost     []*event // published while handling this one, by a handling that is missing
	below    bool     // it has a place below another event
	placed   bool
}

type builder struct {
	correlation  string
	byID         map[ID]*Span
	children     map[ID][]*Span
	publications []*Span
	handlings    []*Span
	events       map[ID]*event
	order        []*event          // every event, first those that were seen published
	named        map[string]*event // by the event's own ID
	causes       map[ID]int        // how many events a handling stands below
	nodes        []Node
	firstPlace   map[ID]int // of a handling: its index in nodes plus one
}

func newBuilder(spans []Span, correlationID string) *builder {
	b := &builder{
		correlation: correlationID, byID: make(map[ID]*Span, len(spans)), children: map[ID][]*Span{}, events: map[ID]*event{},
		named: map[string]*event{}, causes: map[ID]int{}, firstPlace: map[ID]int{},
	}
	for i := range spans {
		s := &spans[i]
		if b.byID[s.ID] != nil {
			continue // exporters deliver at least once
		}
		b.byID[s.ID] = s
		if s.Parent != "" {
			parent := ID{s.ID.Trace, s.Parent}
			b.children[parent] = append(b.children[parent], s)
		}
		if s.Correlation() != correlationID && !linksTo(s, correlationID) {
			continue
		}
		switch {
		case isPublication(s):
			b.publications = append(b.publications, s)
		case s.Kind == "CONSUMER":
			b.handlings = append(b.handlings, s)
		}
	}
	byStart(b.publications)
	byStart(b.handlings)
	return b
}

// isPublication tells the span that published one event, which may have no ID of its own.
func isPublication(s *Span) bool {
	return s.Kind == "PRODUCER" && (s.Text(tracing.AttrEventID) != "" || s.Text(tracing.AttrEventType) != "")
}

func linksTo(s *Span, correlationID string) bool {
	return slices.ContainsFunc(s.Links, func(l Link) bool { return l.Attributes[tracing.AttrCorrelationID] == correlationID })
}

func byStart(spans []*Span) {
	slices.SortStableFunc(spans, func(a, b *Span) int { return a.Start.Compare(b.Start) })
}

// attach finds the events and hangs handlings and events below events.
func (b *builder) attach() {
	for _, p := range b.publications {
		b.add(&event{key: p.ID, id: p.EventID(), kind: p.Text(tracing.AttrEventType), span: p})
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
}

func (b *builder) add(e *event) *event {
	b.events[e.key] = e
	b.order = append(b.order, e)
	if e.id != "" && b.named[e.id] == nil {
		b.named[e.id] = e
	}
	return e
}

// attachHandling hangs h below each event that it says it handled.
func (b *builder) attachHandling(h *Span) {
	ours := h.Correlation() == b.correlation
	causes := h.causes()
	for _, l := range causes {
		e := b.events[l.To]
		if e == nil && !ours {
			continue // a batch over several workflows: that event is another's
		}
		if e == nil {
			e = b.add(b.linked(l, h, len(causes) == 1))
		}
		if !slices.Contains(e.handled, h) {
			e.handled = append(e.handled, h)
			b.causes[h.ID]++
		}
	}
	if b.causes[h.ID] > 0 {
		return
	}
	if e := b.named[h.Text(tracing.AttrEventID)]; e != nil && e.span != nil { // the backend keeps no links
		e.handled = append(e.handled, h)
		b.causes[h.ID]++
		return
	}
	e := &event{key: ID{"", h.ID.Trace + h.ID.Span}, gap: PublisherNotSeen}
	if ours { // its consumers agree on its ID at least
		e.id, e.kind, e.gap = h.Text(tracing.AttrEventID), h.Text(tracing.AttrEventType), PublisherNotTraced
		if h.Text("faas.trigger") == "timer" { // a schedule: nobody's span published it
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
	e.handled = append(e.handled, h)
	b.causes[h.ID]++
}

// linked is an event known only by the link of the span that handled it.
func (b *builder) linked(l Link, h *Span, alone bool) *event {
	e := &event{key: l.To, span: b.byID[l.To]}
	e.id, _ = l.Attributes[tracing.AttrEventID].(string)
	if alone {
		e.kind = h.Text(tracing.AttrEventType)
		if e.id == "" {
			e.id = h.Text(tracing.AttrEventID)
		}
	}
	switch {
	case e.span != nil: // published by a span that is not one of ours
	case l.Sampled:
		e.gap = PublisherNotSeen
	default:
		e.gap = PublisherNotSampled
	}
	return e
}

// attachPublication hangs an event below what caused it, where its publisher
// does not hang below the handling of that.
func (b *builder) attachPublication(e *event) {
	if h := b.enclosing(e.span); h != nil && b.causes[h.ID] > 0 {
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
	if hops, ok := e.span.Number(tracing.AttrHops); ok && hops > 0 {
		e.gap = CauseNotSeen
	}
}

// attachUnseen hangs an event whose publisher is missing below the event that
// its handlers say caused it.
func (b *builder) attachUnseen(e *event) {
	for _, h := range e.handled {
		if len(h.causes()) == 1 && b.hang(e, b.named[h.parentEvent()]) {
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

// enclosing is the handling below which s was published. The bound ends a walk
// through spans that are each other's parents.
func (b *builder) enclosing(s *Span) *Span {
	for range 1000 {
		if s.Parent == "" {
			return nil
		}
		s = b.byID[ID{s.ID.Trace, s.Parent}]
		if s == nil || s.Kind == "CONSUMER" {
			return s
		}
	}
	return nil
}

func (w *Workflow) summarise() {
	functions, seen := map[string]bool{}, map[ID]bool{}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		switch n.Kind {
		case KindEvent:
			w.Counts.Events++
		case KindHandling:
			if n.Again == 0 && n.Span != nil {
				w.Counts.Handlings++
			}
		case KindCall:
			w.Counts.Calls++
		}
		if n.Gap != "" {
			w.Counts.Gaps++
		}
		s := n.Span
		if s == nil || seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		functions[s.Service] = true
		w.Counts.Spans++
		if s.failed() {
			w.Counts.Errors++
		}
		if n.Kind == KindHandling && s.Text(tracing.AttrRepeatKind) != "" {
			w.Counts.Repeats++
		}
		if w.Start.IsZero() || s.Start.Before(w.Start) {
			w.Start = s.Start
		}
		if s.End.After(w.End) {
			w.End = s.End
		}
	}
	for name := range functions {
		w.Functions = append(w.Functions, name)
	}
	slices.Sort(w.Functions)
}
