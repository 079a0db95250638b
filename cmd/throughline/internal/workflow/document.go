package workflow

import (
	"io"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/lineage"
)

// Document is a workflow as plain values, which --json writes and the page reads. New
// members can be added; existing ones are never renamed. Nodes are in the order of the
// tree, each after its parent, so that a reader needs no recursion.
type Document struct {
	CorrelationID string    `json:"correlation_id"`
	TraceID       string    `json:"trace_id,omitempty"`               // set for a trace without a workflow
	Joined        []string  `json:"joined_correlation_ids,omitempty"` // correlation IDs that hops join to the workflow
	Start         time.Time `json:"start,omitzero"`
	DurationMS    float64   `json:"duration_ms"`
	Counts        Counts    `json:"counts"`
	Functions     []string  `json:"functions"`
	Nodes         []NodeDoc `json:"nodes"`
}

// NodeDoc is one node. Parent is the index of another node, or -1 for a root. Gap is one
// of the [Gap] values. Members that do not apply are omitted.
type NodeDoc struct {
	Kind          Kind     `json:"kind"`
	Depth         int      `json:"depth"`
	Parent        int      `json:"parent"`
	EventID       string   `json:"event_id,omitempty"`
	Type          string   `json:"event_type,omitempty"`
	Gap           Gap      `json:"gap,omitempty"`
	Loop          Loop     `json:"loop,omitempty"`
	SameAs        *int     `json:"same_as,omitempty"` // for a batch: the index of its first place
	SizeBytes     *float64 `json:"size_bytes,omitempty"`
	LagMS         *float64 `json:"lag_ms,omitempty"`
	LagFrom       LagFrom  `json:"lag_from,omitempty"`
	Hops          *float64 `json:"hops,omitempty"`
	Batch         *float64 `json:"batch,omitempty"`          // the number of records in the batch
	FailedRecords *float64 `json:"failed_records,omitempty"` // the number of them that the handler returned as failed
	Cold          bool     `json:"cold_start,omitempty"`
	EarlyMS       *float64 `json:"out_of_order_ms,omitempty"`
	Dropped       *float64 `json:"links_dropped,omitempty"`
	Replay        string   `json:"replay_name,omitempty"`
	Repeat        *Repeat  `json:"repeat,omitempty"`
	Status        *float64 `json:"status,omitempty"` // the status of an outbound call
	RequestID     string   `json:"x_request_id,omitempty"`
	Resend        *float64 `json:"resend,omitempty"`
	Causation     string   `json:"causation_id,omitempty"`

	Via         Via      `json:"via,omitempty"` // for a handling: how it was caused; for a hop: its kind
	How         How      `json:"how,omitempty"` // for a handling: the evidence for its cause
	By          string   `json:"by,omitempty"`  // the ID that joins it
	Correlation string   `json:"correlation_id,omitempty"`
	Changed     bool     `json:"correlation_changed,omitempty"` // it differs from the node above
	Messages    *float64 `json:"messages,omitempty"`            // for a hop: the number of sent messages
	Failed      *float64 `json:"failed_messages,omitempty"`
	Waited      []int    `json:"waited_for,omitempty"` // indexes of the handlings that this one waited for
	Run         string   `json:"run_id,omitempty"`

	Span *SpanDoc `json:"span,omitempty"`
}

// Repeat describes a repeated handling.
type Repeat struct {
	Kind           string   `json:"kind"` // retry, redelivery, republish or replay
	Count          *float64 `json:"count,omitempty"`
	FirstRequestID string   `json:"first_request_id,omitempty"`
	FirstTime      string   `json:"first_time,omitempty"`
}

// SpanDoc is one span. OffsetMS is the time since the workflow's start. Failed is set
// with an empty Error if a failed span has no message. It is not set for the handling of
// a batch in which another record failed.
type SpanDoc struct {
	Trace      string    `json:"trace_id"`
	ID         string    `json:"span_id"`
	Name       string    `json:"name"`
	Function   string    `json:"function"`
	Start      time.Time `json:"start"`
	OffsetMS   float64   `json:"offset_ms"`
	DurationMS float64   `json:"duration_ms"`
	RequestID  string    `json:"request_id,omitempty"` // the request ID of the invocation
	Failed     bool      `json:"failed,omitempty"`
	Error      string    `json:"error,omitempty"`
	Links      []LinkDoc `json:"links,omitempty"`
}

// LinkDoc is one link of a span. Sampled is false if the link says that its span was not
// recorded.
type LinkDoc struct {
	Why     string `json:"why"`
	Trace   string `json:"trace_id"`
	ID      string `json:"span_id"`
	Sampled bool   `json:"sampled"`
}

// Document returns w as plain values.
func (w *Workflow) Document() Document {
	d := Document{
		CorrelationID: w.CorrelationID, TraceID: w.TraceID, Joined: w.Joined, Start: w.Start.UTC(), DurationMS: inMS(w.Duration()), Counts: w.Counts,
		Functions: append([]string{}, w.Functions...), Nodes: make([]NodeDoc, len(w.Nodes)),
	}
	for i := range w.Nodes {
		d.Nodes[i] = w.node(&w.Nodes[i])
	}
	return d
}

func (w *Workflow) node(n *Node) NodeDoc {
	d := NodeDoc{Kind: n.Kind, Depth: n.Depth, Parent: n.Parent, EventID: n.EventID, Type: n.Type, Gap: n.Gap, Loop: n.Loop, Via: n.Edge.Via, How: n.Edge.How, By: n.Edge.By, Waited: n.Waited}
	if n.Again > 0 {
		first := n.Again - 1
		d.SameAs = &first
	}
	s := n.Span
	if s == nil {
		return d
	}
	d.Span = w.span(s)
	d.Span.Failed, d.Span.Error = n.Failed(), n.Error()
	d.Correlation, d.Changed = w.otherCorrelation(n), w.changes(n)
	switch n.Kind {
	case KindEvent:
		d.SizeBytes, d.Hops, d.Causation = number(s, lineage.AttrEntrySize), number(s, lineage.AttrHops), s.Text(lineage.AttrCausationID)
	case KindHandling:
		if lag, from := w.Lag(n); from != "" {
			ms := inMS(lag)
			d.LagMS, d.LagFrom = &ms, from
		}
		d.Hops, d.Batch = number(s, lineage.AttrHops), number(s, attrBatchCount)
		if d.Batch != nil {
			d.FailedRecords = number(s, lineage.AttrFailedCount)
		}
		d.EarlyMS, d.Dropped = number(s, lineage.AttrOrderEarly), number(s, lineage.AttrLinksDropped)
		d.Run = s.Text(lineage.AttrRunID)
		d.Cold, d.Replay = s.Text("faas.coldstart") == "true", s.Text(lineage.AttrReplayName)
		if kind := s.Text(lineage.AttrRepeatKind); kind != "" {
			d.Repeat = &Repeat{kind, number(s, lineage.AttrRepeatCount), s.Text(lineage.AttrRepeatFirstRequest), s.Text(lineage.AttrRepeatFirstTime)}
		}
	case KindHop:
		d.Via, d.Messages, d.Failed = s.hop(), number(s, attrBatchCount), number(s, lineage.AttrFailedCount)
		if d.SizeBytes = number(s, attrBodySize); d.SizeBytes == nil {
			d.SizeBytes = number(s, attrRequestSize)
		}
	case KindCall, KindSpan:
		d.Status, d.RequestID, d.Resend = number(s, "http.response.status_code"), s.header("x-request-id"), number(s, "http.request.resend_count")
	}
	return d
}

// otherCorrelation returns the correlation ID of an event or a handling if it differs
// from the workflow's: it was lost or changed.
func (w *Workflow) otherCorrelation(n *Node) string {
	if n.Span == nil || n.Kind != KindEvent && n.Kind != KindHandling {
		return ""
	}
	if id := n.Span.Correlation(); id != w.CorrelationID {
		return id
	}
	return ""
}

// changes reports whether the correlation ID differs from that of the node above, because
// it was changed or lost here. It returns false for a root, and for a schedule, because a
// workflow often begins with one.
func (w *Workflow) changes(n *Node) bool {
	switch {
	case n.Span == nil || n.Kind != KindEvent && n.Kind != KindHandling:
		return false
	case n.Kind == KindHandling && (n.Edge.How == "" || n.Edge.Via == ViaScheduler):
		return false
	}
	id := n.Span.Correlation()
	return id != "" && id != w.above(n)
}

// above returns the correlation ID of the node above.
func (w *Workflow) above(n *Node) string {
	for at := n.Parent; at >= 0; at = w.Nodes[at].Parent {
		up := &w.Nodes[at]
		if up.Span != nil && up.Kind != KindCall && up.Span.Correlation() != "" && (up.Kind != KindHandling || up.Edge.How != "") {
			return up.Span.Correlation()
		}
	}
	return w.CorrelationID
}

func (w *Workflow) span(s *Span) *SpanDoc {
	d := &SpanDoc{
		Trace: s.ID.Trace, ID: s.ID.Span, Name: s.Name, Function: s.Service, Start: s.Start.UTC(),
		OffsetMS: inMS(s.Start.Sub(w.Start)), DurationMS: inMS(s.Duration()), RequestID: s.Text(lineage.AttrInvocationID),
	}
	for _, l := range s.Links {
		d.Links = append(d.Links, LinkDoc{l.Why, l.To.Trace, l.To.Span, l.Sampled})
	}
	return d
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func number(s *Span, key string) *float64 {
	if n, ok := s.Number(key); ok {
		return &n
	}
	return nil
}

// WriteJSON writes the workflow as one JSON document.
func WriteJSON(out io.Writer, w *Workflow) error {
	return terminal.PrintJSON(out, w.Document())
}
