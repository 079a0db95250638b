package workflow

import (
	"slices"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// Kind is the kind of a node.
type Kind string

// The kinds of nodes. Below an event or a hop are its handlings. Below a handling are its
// HTTP calls, the events that it published, and its hops.
const (
	KindEvent    Kind = "event"
	KindHandling Kind = "handling"
	KindCall     Kind = "call" // an outbound HTTP call
	KindHop      Kind = "hop"  // sent messages, an invocation, a schedule: anything but an event on the bus
	KindSpan     Kind = "span" // a span of a trace without a workflow, see OfTrace
)

// Gap is what is missing from a workflow's spans, or "". The values are stable. Explain
// describes them.
type Gap string

// The gaps.
const (
	PublisherNotSeen    Gap = "publisher_not_seen"    // a link refers to a span that the backend does not have
	PublisherNotSampled Gap = "publisher_not_sampled" // the link says that its span was not recorded
	PublisherNotTraced  Gap = "publisher_not_traced"  // the event has neither stamp nor trace context
	HandlingNotSeen     Gap = "handling_not_seen"     // an event was published by a handling that is missing
	CauseNotSeen        Gap = "cause_not_seen"        // not the workflow's first event, and its cause is unknown
	NotHandled          Gap = "not_handled"           // nothing handled the event, or its handler exports no spans
)

// Explain returns the gap in words.
func (g Gap) Explain() string {
	switch g {
	case PublisherNotSeen:
		return "publisher not seen"
	case PublisherNotSampled:
		return "publisher not sampled"
	case PublisherNotTraced:
		return "publisher not traced: the event has no stamp"
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
	Parent int   // the index in Nodes; -1 for a root
	Span   *Span // nil if the span is missing; see Gap
	// EventID and Type are those of the event: for an event, the published one; for a
	// handling, the one above it.
	EventID, Type string
	Gap           Gap
	Loop          Loop // set for an event
	// Again is the index plus one of the first place of the same handling, or 0. A batch
	// is below each of its events, and its calls are at the first place.
	Again int
	// Edge is how the node above caused a handling. A root has none.
	Edge Edge
	// Waited are the indexes of the handlings whose results this one waited for, in a
	// table or elsewhere, before it published.
	Waited []int

	of      any      // the *event or *hop of the node
	records []string // of a handling: the records of a batch that the node above is
}

// Workflow is the tree of one correlation ID as a list: Nodes has each node after its
// parent, so that a reader needs no recursion. The zero value is empty. It points into
// the spans that it was built from.
type Workflow struct {
	CorrelationID string
	TraceID       string // set for the tree of a trace, see [OfTrace]
	// Unjoined reports that there are more correlation IDs than a tree joins.
	Unjoined bool
	// Joined are the other correlation IDs that hops join to the workflow and that have
	// spans here.
	Joined     []string
	Nodes      []Node
	Functions  []string // sorted
	Start, End time.Time
	Counts     Counts
}

// Counts are the totals of a workflow.
type Counts struct {
	Events    int `json:"events"`
	Handlings int `json:"handlings"`
	Calls     int `json:"calls"`
	Hops      int `json:"hops"`
	Spans     int `json:"spans"`
	Repeats   int `json:"repeats"`
	Loops     int `json:"loops"` // events that may be in a loop
	Errors    int `json:"errors"`
	Gaps      int `json:"gaps"`
}

// Duration returns the time from the start of the first span to the end of the last.
func (w *Workflow) Duration() time.Duration { return w.End.Sub(w.Start) }

// Build makes the tree of correlationID from spans. It ignores spans of other workflows,
// except those below a span of this one and those that a hop joins to it.
func Build(spans []Span, correlationID string) *Workflow {
	return newJoiner(spans).build(correlationID)
}

func (j *joiner) build(correlationID string) *Workflow {
	b := newBuilder(j, correlationID)
	b.attach()
	b.emit()
	w := &Workflow{CorrelationID: correlationID, Nodes: b.nodes}
	b.await(w)
	w.summarise()
	w.Joined, w.Unjoined = b.joined(), b.full
	return w
}

func (w *Workflow) summarise() {
	functions, seen, failed := map[string]bool{}, map[ID]bool{}, map[ID]bool{}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		switch n.Kind {
		case KindEvent:
			if n.Span != nil || n.Gap != "" { // otherwise it is a schedule, which has no publication
				w.Counts.Events++
			}
		case KindHandling:
			if n.Again == 0 && n.Span != nil {
				w.Counts.Handlings++
			}
		case KindCall:
			w.Counts.Calls++
		case KindHop:
			w.Counts.Hops++
		}
		if n.Gap != "" {
			w.Counts.Gaps++
		}
		s := n.Span
		if n.Failed() && !failed[s.ID] { // of a batch, any place can be that of a failed record
			failed[s.ID] = true
			w.Counts.Errors++
		}
		if s == nil || seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		functions[s.Service] = true
		w.Counts.Spans++
		if n.Kind == KindHandling && s.Text(lineage.AttrRepeatKind) != "" {
			w.Counts.Repeats++
		}
		if w.Start.IsZero() || s.Start.Before(w.Start) {
			w.Start = s.Start
		}
		if s.End.After(w.End) {
			w.End = s.End
		}
	}
	w.loops()
	for name := range functions {
		w.Functions = append(w.Functions, name)
	}
	slices.Sort(w.Functions)
}
