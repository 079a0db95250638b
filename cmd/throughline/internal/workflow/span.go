// Package workflow turns the spans of one correlation ID, from any backend, into the tree
// of its events by cause. Neither Jaeger nor X-Ray draws that tree, because it spans
// several traces: its edges are span links.
//
// [Build] makes the tree; [WriteText], [WriteJSON], [WriteMermaid] and [WriteHTML] print
// it. The package reads nothing: spans come from package spanstore.
package workflow

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// ID is a span's trace ID and span ID in lower-case hex. The zero value is no span.
type ID struct{ Trace, Span string }

// Link is one link of a span. Why is throughline.link: causation, correlation, repeat or
// trace. Sampled is false only if the backend keeps the link's flags and they say so.
type Link struct {
	To         ID
	Why        string
	Sampled    bool
	Attributes map[string]any
}

// Span is one span as a backend keeps it. Values of Attributes are string, bool, int64,
// float64 or []any. The zero value is a span without a name.
type Span struct {
	ID         ID
	Parent     string
	Name       string
	Kind       string // PRODUCER, CONSUMER, CLIENT, SERVER, INTERNAL
	Service    string
	Start, End time.Time
	Error      bool
	Message    string // the message of the status
	Attributes map[string]any
	Links      []Link
}

// Correlation returns the correlation ID of the span, or "".
func (s *Span) Correlation() string { return s.Text(lineage.AttrCorrelationID) }

// EventID returns the ID of the span's event: its own or, for a publication of an event
// without one, the ID that EventBridge returned, which consumers use.
func (s *Span) EventID() string {
	if id := s.Text(lineage.AttrEventID); id != "" || !isPublication(s) {
		return id
	}
	return s.Text("messaging.message.id")
}

// Duration returns the span's duration, or 0 if its clock went backwards.
func (s *Span) Duration() time.Duration { return max(0, s.End.Sub(s.Start)) }

// Text returns an attribute as a string, or "" if it is absent.
func (s *Span) Text(key string) string {
	switch v := s.Attributes[key].(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// Number returns an attribute as a number. ok is false if it is absent or not a finite
// number.
func (s *Span) Number(key string) (value float64, ok bool) {
	switch v := s.Attributes[key].(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	default:
		return 0, false
	}
}

// causes returns the links to what the span handled or was caused by.
func (s *Span) causes() []Link {
	var causes []Link
	for _, l := range s.Links {
		if l.Why == "causation" {
			causes = append(causes, l)
		}
	}
	return causes
}

// parentEvent returns the ID of the event that was being handled when the span's event
// was published. The stamp omits it if the causation ID is the same.
func (s *Span) parentEvent() string {
	if id := s.Text(lineage.AttrParentEventID); id != "" {
		return id
	}
	return s.Text(lineage.AttrCausationID)
}

// failed reports whether the span's status is an error, or its HTTP response was one.
func (s *Span) failed() bool {
	status, _ := s.Number("http.response.status_code")
	return s.Error || status >= 400
}

// header returns a recorded response header, which is a list in the semantic conventions.
func (s *Span) header(name string) string {
	key := "http.response.header." + name
	if list, ok := s.Attributes[key].([]any); ok && len(list) > 0 {
		text, _ := list[0].(string)
		return text
	}
	return s.Text(key)
}

// Summary is one workflow in an index of spans. Spans, Errors and Repeats are counts; a
// span that was exported twice counts twice. They are 0 if the store only has the times.
type Summary struct {
	CorrelationID          string
	Start, End             time.Time
	Spans, Errors, Repeats int
}

// Summary returns the workflow of the span, with this span only.
func (s *Span) Summary() Summary {
	w := Summary{CorrelationID: s.Correlation(), Start: s.Start, End: s.End, Spans: 1}
	if s.Error {
		w.Errors = 1
	}
	if s.Text(lineage.AttrRepeatKind) != "" {
		w.Repeats = 1
	}
	return w
}

// Index collects the workflows of spans that are added one by one. The zero value is
// ready. It is not safe for concurrent use.
type Index struct{ byID map[string]*Summary }

// Add adds a span.
func (x *Index) Add(s *Span) {
	if s.Correlation() != "" {
		x.Extend(s.Summary())
	}
}

// Extend adds more of a workflow.
func (x *Index) Extend(s Summary) {
	known := x.byID[s.CorrelationID]
	if known == nil {
		if x.byID == nil {
			x.byID = map[string]*Summary{}
		}
		x.byID[s.CorrelationID] = &s
		return
	}
	if s.Start.Before(known.Start) {
		known.Start = s.Start
	}
	if s.End.After(known.End) {
		known.End = s.End
	}
	known.Spans += s.Spans
	known.Errors += s.Errors
	known.Repeats += s.Repeats
}

// Workflows returns the workflows, the one with the latest end first.
func (x *Index) Workflows() []Summary {
	list := make([]Summary, 0, len(x.byID))
	for _, s := range x.byID {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Summary) int {
		if c := b.End.Compare(a.End); c != 0 {
			return c
		}
		if a.CorrelationID < b.CorrelationID {
			return -1
		}
		return 1
	})
	return list
}

// Correlations returns the distinct correlation IDs of spans, the one with the most
// recent span first.
func Correlations(spans []Span) []string {
	var x Index
	for i := range spans {
		x.Add(&spans[i])
	}
	list := x.Workflows()
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].CorrelationID
	}
	return ids
}
