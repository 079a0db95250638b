package workflow

import (
	"slices"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// Kind is what a node of the tree stands for.
type Kind string

// The kinds of nodes. Below an event or a hop stand its handlings, below a handling
// the calls that it made, the events that it published, and its hops.
const (
	KindEvent    Kind = "event"
	KindHandling Kind = "handling"
	KindCall     Kind = "call" // an outbound HTTP call
	KindHop      Kind = "hop"  // messages that were sent, an invocation, a schedule: what leaves the bus
	KindSpan     Kind = "span" // of a trace that tells of no workflow, see OfTrace
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
	Loop          Loop // of an event
	// Again is the index plus one of the earlier place of the same handling, 0
	// for none. A batch stands below each of its events, and its calls at the first.
	Again int
	// Edge is, of a handling, what it came by from the node above. A root has none.
	Edge Edge
	// Waited are the places of the handlings whose outcome this one waited for,
	// in a table or elsewhere, to publish what they had in common.
	Waited []int

	of any // the *event or *hop that stands here
}

// Workflow is the tree of one correlation ID, flattened: Nodes holds it in
// order, each node after its parent, so that no depth overflows a reader. The
// zero value is empty. It points into the spans that it was built of.
type Workflow struct {
	CorrelationID string
	TraceID       string // of the tree of a trace, see [OfTrace]; else empty
	// Unjoined says that there were more of them than a tree joins.
	Unjoined bool
	// Joined are the other correlation IDs that hops join to it, of which spans are here.
	Joined     []string
	Nodes      []Node
	Functions  []string // sorted
	Start, End time.Time
	Counts     Counts
}

// Counts are what a workflow adds up to.
type Counts struct {
	Events    int `json:"events"`
	Handlings int `json:"handlings"`
	Calls     int `json:"calls"`
	Hops      int `json:"hops"`
	Spans     int `json:"spans"`
	Repeats   int `json:"repeats"`
	Loops     int `json:"loops"` // events that seem to go round
	Errors    int `json:"errors"`
	Gaps      int `json:"gaps"`
}

// Duration is from the start of its first span to the end of its last.
func (w *Workflow) Duration() time.Duration { return w.End.Sub(w.Start) }

// Build makes the tree of correlationID out of spans. Spans of other workflows are
// left out, but for those that hang below one of this one and those that a hop joins
// to it.
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
	functions, seen := map[string]bool{}, map[ID]bool{}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		switch n.Kind {
		case KindEvent:
			if n.Span != nil || n.Gap != "" { // else a schedule, which nobody published
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
		if s == nil || seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		functions[s.Service] = true
		w.Counts.Spans++
		if s.failed() {
			w.Counts.Errors++
		}
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
