package workflow

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Document is a workflow as plain values: what --json writes and the page reads.
type Document struct {
	CorrelationID string        `json:"correlation_id"`
	Start         int64         `json:"start_unix_nano"`
	End           int64         `json:"end_unix_nano"`
	Events        int           `json:"events"`
	Functions     []string      `json:"functions"`
	Roots         []EventDoc    `json:"roots"`
	Unlinked      []HandlingDoc `json:"unlinked,omitempty"`
}

// EventDoc is one event. Size is in bytes; Gap names what is missing, if anything is.
type EventDoc struct {
	ID      string        `json:"id"`
	Type    string        `json:"type"`
	Gap     string        `json:"gap,omitempty"`
	Span    *SpanDoc      `json:"published,omitempty"`
	Size    float64       `json:"size_bytes,omitempty"`
	Handled []HandlingDoc `json:"handled,omitempty"`
}

// HandlingDoc is one process span with what it caused.
type HandlingDoc struct {
	Span      SpanDoc    `json:"span"`
	LagMS     *float64   `json:"lag_ms,omitempty"`
	Hops      *float64   `json:"hops,omitempty"`
	Repeat    string     `json:"repeat,omitempty"`
	EarlyMS   *float64   `json:"out_of_order_ms,omitempty"`
	Cold      bool       `json:"cold_start,omitempty"`
	Outbound  []SpanDoc  `json:"outbound,omitempty"`
	Published []EventDoc `json:"published,omitempty"`
}

// SpanDoc is one span. Times are Unix nanoseconds.
type SpanDoc struct {
	Trace   string    `json:"trace_id"`
	ID      string    `json:"span_id"`
	Name    string    `json:"name"`
	Service string    `json:"function"`
	Start   int64     `json:"start_unix_nano"`
	End     int64     `json:"end_unix_nano"`
	Error   string    `json:"error,omitempty"`
	Status  string    `json:"status,omitempty"`
	Request string    `json:"x_request_id,omitempty"`
	Links   []LinkDoc `json:"links,omitempty"`
}

// LinkDoc is one link of a span.
type LinkDoc struct {
	Why   string `json:"why"`
	Trace string `json:"trace_id"`
	ID    string `json:"span_id"`
}

// Document returns w as plain values.
func (w *Workflow) Document() Document {
	d := Document{CorrelationID: w.CorrelationID, Events: w.Events(), Functions: w.Functions, Roots: eventDocs(w.Roots)}
	if !w.Start.IsZero() {
		d.Start, d.End = w.Start.UnixNano(), w.End.UnixNano()
	}
	for _, h := range w.Unlinked {
		d.Unlinked = append(d.Unlinked, handlingDoc(h))
	}
	return d
}

func eventDocs(events []*Event) []EventDoc {
	docs := make([]EventDoc, 0, len(events))
	for _, e := range events {
		d := EventDoc{ID: e.ID, Type: e.Type, Gap: e.Gap}
		if e.Published != nil {
			span := spanDoc(e.Published)
			d.Span = &span
			d.Size, _ = e.Published.Number("throughline.entry.size")
		}
		for _, h := range e.Handled {
			d.Handled = append(d.Handled, handlingDoc(h))
		}
		docs = append(docs, d)
	}
	return docs
}

func handlingDoc(h *Handling) HandlingDoc {
	d := HandlingDoc{
		Span: spanDoc(h.Span), LagMS: number(h.Span, "throughline.lag_ms"), Hops: number(h.Span, "throughline.hops"),
		Repeat: h.Span.Text("throughline.repeat.kind"), EarlyMS: number(h.Span, "throughline.order.early_ms"),
		Cold: h.Span.Text("faas.coldstart") == "true", Published: eventDocs(h.Published),
	}
	for _, s := range h.Outbound {
		d.Outbound = append(d.Outbound, spanDoc(s))
	}
	return d
}

func number(s *Span, key string) *float64 {
	if n, ok := s.Number(key); ok {
		return &n
	}
	return nil
}

func spanDoc(s *Span) SpanDoc {
	d := SpanDoc{
		Trace: s.ID.Trace, ID: s.ID.Span, Name: s.Name, Service: s.Service,
		Start: s.Start.UnixNano(), End: s.End.UnixNano(),
		Status: s.Text("http.response.status_code"), Request: headerText(s, "x-request-id"),
	}
	if s.Error {
		d.Error = "error"
		if s.Message != "" {
			d.Error = s.Message
		}
	}
	for _, l := range s.Links {
		d.Links = append(d.Links, LinkDoc{l.Why, l.To.Trace, l.To.Span})
	}
	return d
}

// WriteJSON writes the workflow as one JSON document.
func WriteJSON(out io.Writer, w *Workflow) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(w.Document())
}

// WriteMermaid writes the workflow as a Mermaid flowchart: a box an event, an
// arrow a handling, named by the function that handled it.
func WriteMermaid(out io.Writer, w *Workflow) error {
	m := &mermaid{}
	m.b.WriteString("flowchart LR\n")
	for _, e := range w.Roots {
		m.event(e)
	}
	for _, h := range w.Unlinked {
		m.published(h, m.node(h.Span.Service, ""))
	}
	_, err := io.WriteString(out, m.b.String())
	return err
}

type mermaid struct {
	b strings.Builder
	n int
}

func (m *mermaid) node(label, note string) string {
	m.n++
	id := "n" + strconv.Itoa(m.n)
	if note != "" {
		label += "<br/>" + note
	}
	fmt.Fprintf(&m.b, "  %s[\"%s\"]\n", id, strings.NewReplacer(`"`, "#quot;", "\n", " ").Replace(label))
	return id
}

func (m *mermaid) event(e *Event) string {
	note := e.ID
	if e.Gap != "" {
		note += "<br/>(" + e.Gap + ")"
	}
	from := m.node(orDefault(e.Type, "event"), note)
	for _, h := range e.Handled {
		label := h.Span.Service
		if kind := h.Span.Text("throughline.repeat.kind"); kind != "" {
			label += " (" + kind + ")"
		}
		if len(h.Published) == 0 {
			fmt.Fprintf(&m.b, "  %s --> %s\n", from, m.node(label, took(h.Span.End.Sub(h.Span.Start))))
			continue
		}
		for _, next := range h.Published {
			fmt.Fprintf(&m.b, "  %s -->|%s| %s\n", from, strings.NewReplacer("|", "/", `"`, "").Replace(label), m.event(next))
		}
	}
	return from
}

func (m *mermaid) published(h *Handling, from string) {
	for _, next := range h.Published {
		fmt.Fprintf(&m.b, "  %s --> %s\n", from, m.event(next))
	}
}
