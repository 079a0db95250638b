package workflow

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/throughline/throughline/tracing"
)

// Document is a workflow as plain values: what --json writes and the page
// reads. Members are added to it and never renamed. Nodes are in the order of
// the tree, each after its parent, so that a reader needs no recursion.
type Document struct {
	CorrelationID string    `json:"correlation_id"`
	Start         time.Time `json:"start,omitzero"`
	DurationMS    float64   `json:"duration_ms"`
	Counts        Counts    `json:"counts"`
	Functions     []string  `json:"functions"`
	Nodes         []NodeDoc `json:"nodes"`
}

// NodeDoc is one node. Parent is the index of another, -1 for a root. Gap is
// one of the [Gap] values. Of the rest what does not apply is left out.
type NodeDoc struct {
	Kind      Kind     `json:"kind"`
	Depth     int      `json:"depth"`
	Parent    int      `json:"parent"`
	EventID   string   `json:"event_id,omitempty"`
	Type      string   `json:"event_type,omitempty"`
	Gap       Gap      `json:"gap,omitempty"`
	SameAs    *int     `json:"same_as,omitempty"` // a batch: the index of its first place
	SizeBytes *float64 `json:"size_bytes,omitempty"`
	LagMS     *float64 `json:"lag_ms,omitempty"`
	Hops      *float64 `json:"hops,omitempty"`
	Batch     *float64 `json:"batch,omitempty"` // how many records were handled at once
	Cold      bool     `json:"cold_start,omitempty"`
	EarlyMS   *float64 `json:"out_of_order_ms,omitempty"`
	Dropped   *float64 `json:"links_dropped,omitempty"`
	Replay    string   `json:"replay_name,omitempty"`
	Repeat    *Repeat  `json:"repeat,omitempty"`
	Status    *float64 `json:"status,omitempty"` // of an outbound call
	RequestID string   `json:"x_request_id,omitempty"`
	Resend    *float64 `json:"resend,omitempty"`
	Causation string   `json:"causation_id,omitempty"`
	Span      *SpanDoc `json:"span,omitempty"`
}

// Repeat is what a handling repeats.
type Repeat struct {
	Kind           string   `json:"kind"` // retry, redelivery, republish or replay
	Count          *float64 `json:"count,omitempty"`
	FirstRequestID string   `json:"first_request_id,omitempty"`
	FirstTime      string   `json:"first_time,omitempty"`
}

// SpanDoc is one span. OffsetMS is since the workflow's start. Failed is set
// beside an empty Error where a span in error gives no reason.
type SpanDoc struct {
	Trace      string    `json:"trace_id"`
	ID         string    `json:"span_id"`
	Name       string    `json:"name"`
	Function   string    `json:"function"`
	Start      time.Time `json:"start"`
	OffsetMS   float64   `json:"offset_ms"`
	DurationMS float64   `json:"duration_ms"`
	RequestID  string    `json:"request_id,omitempty"` // of the invocation
	Failed     bool      `json:"failed,omitempty"`
	Error      string    `json:"error,omitempty"`
	Links      []LinkDoc `json:"links,omitempty"`
}

// LinkDoc is one link of a span. Sampled is false where the link says that its
// span was not recorded.
type LinkDoc struct {
	Why     string `json:"why"`
	Trace   string `json:"trace_id"`
	ID      string `json:"span_id"`
	Sampled bool   `json:"sampled"`
}

// Document returns w as plain values.
func (w *Workflow) Document() Document {
	d := Document{
		CorrelationID: w.CorrelationID, Start: w.Start.UTC(), DurationMS: inMS(w.Duration()), Counts: w.Counts,
		Functions: append([]string{}, w.Functions...), Nodes: make([]NodeDoc, len(w.Nodes)),
	}
	for i := range w.Nodes {
		d.Nodes[i] = w.node(&w.Nodes[i])
	}
	return d
}

func (w *Workflow) node(n *Node) NodeDoc {
	d := NodeDoc{Kind: n.Kind, Depth: n.Depth, Parent: n.Parent, EventID: n.EventID, Type: n.Type, Gap: n.Gap}
	if n.Again > 0 {
		first := n.Again - 1
		d.SameAs = &first
	}
	s := n.Span
	if s == nil {
		return d
	}
	d.Span = w.span(s)
	switch n.Kind {
	case KindEvent:
		d.SizeBytes, d.Hops, d.Causation = number(s, tracing.AttrEntrySize), number(s, tracing.AttrHops), s.Text(tracing.AttrCausationID)
	case KindHandling:
		d.LagMS, d.Hops, d.Batch = number(s, tracing.AttrLag), number(s, tracing.AttrHops), number(s, "messaging.batch.message_count")
		d.EarlyMS, d.Dropped = number(s, tracing.AttrOrderEarly), number(s, tracing.AttrLinksDropped)
		d.Cold, d.Replay = s.Text("faas.coldstart") == "true", s.Text(tracing.AttrReplayName)
		if kind := s.Text(tracing.AttrRepeatKind); kind != "" {
			d.Repeat = &Repeat{kind, number(s, tracing.AttrRepeatCount), s.Text(tracing.AttrRepeatFirstRequest), s.Text(tracing.AttrRepeatFirstTime)}
		}
	case KindCall:
		d.Status, d.RequestID, d.Resend = number(s, "http.response.status_code"), s.header("x-request-id"), number(s, "http.request.resend_count")
	}
	return d
}

func (w *Workflow) span(s *Span) *SpanDoc {
	d := &SpanDoc{
		Trace: s.ID.Trace, ID: s.ID.Span, Name: s.Name, Function: s.Service, Start: s.Start.UTC(),
		OffsetMS: inMS(s.Start.Sub(w.Start)), DurationMS: inMS(s.Duration()), RequestID: s.Text(tracing.AttrInvocationID),
		Failed: s.failed(), Error: s.Message,
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
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(w.Document()); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
