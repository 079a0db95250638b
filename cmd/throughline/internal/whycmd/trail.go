package whycmd

import (
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Trail is what spans have of an event. The zero value is empty.
type Trail struct {
	Published *Publication `json:"published,omitempty"`
	Handlings []Handling   `json:"handlings,omitempty"`
}

// Publication is the span that published the event.
type Publication struct {
	By         string    `json:"by"`
	Bus        string    `json:"bus,omitempty"`
	At         time.Time `json:"at,omitzero"`
	EventID    string    `json:"event_id,omitempty"`
	EnvelopeID string    `json:"envelope_id,omitempty"`
	Type       string    `json:"event_type,omitempty"`
	Source     string    `json:"source,omitempty"`
	// Error says why EventBridge refused the event, or is "".
	Error string `json:"error,omitempty"`
}

// Handling is an invocation that handled the event.
type Handling struct {
	Function string        `json:"function"`
	At       time.Time     `json:"at,omitzero"`
	Took     time.Duration `json:"took_ns"`
	Repeat   string        `json:"repeat,omitempty"` // retry, redelivery, republish, replay
	Failed   bool          `json:"failed,omitempty"`
	Error    string        `json:"error,omitempty"`

	eventID, eventType, source string

	envelope string // the ID of the event's envelope, if a bus delivered it
}

// trailOf finds an event in its workflow, by any of the IDs: its own, or that of its
// envelope. Empty IDs are ignored.
func trailOf(w *workflow.Workflow, ids ...string) Trail {
	var t Trail
	is := func(id string) bool { return id != "" && slices.Contains(ids, id) }
	at := map[int]bool{} // the event's nodes
	for i := range w.Nodes {
		n := &w.Nodes[i]
		s := n.Span
		switch {
		case n.Kind == workflow.KindEvent && (is(n.EventID) || s != nil && is(s.Text("messaging.message.id"))):
			at[i] = true
			if s != nil && (t.Published == nil || t.Published.Error != "") {
				t.Published = publication(n, s)
			}
		case n.Kind == workflow.KindHandling && s != nil && (at[n.Parent] || is(s.EventID()) || is(s.Text("messaging.message.id"))):
			h := Handling{Function: function(s), At: s.Start.UTC(), Took: s.Duration(), Repeat: s.Text(lineage.AttrRepeatKind), Failed: s.Error && n.Failed(), Error: n.Error(), eventID: s.EventID(), eventType: s.Text(lineage.AttrEventType), source: s.Text(lineage.AttrEventSource)}
			if s.Text("messaging.system") == "aws.eventbridge" {
				h.envelope = s.Text("messaging.message.id")
			}
			if !slices.Contains(t.Handlings, h) {
				t.Handlings = append(t.Handlings, h)
			}
		}
	}
	slices.SortStableFunc(t.Handlings, func(a, b Handling) int { return a.At.Compare(b.At) })
	return t
}

func publication(n *workflow.Node, s *workflow.Span) *Publication {
	p := &Publication{By: s.Service, Bus: arn.Name(s.Text("messaging.destination.name")), At: s.Start.UTC(), EventID: n.EventID, EnvelopeID: s.Text("messaging.message.id"), Type: n.Type}
	if s.Error {
		p.Error = s.Message
		if code := s.Text("error.type"); code != "" && code != lineage.ErrorTypeOther && p.Error != code {
			p.Error = code + ": " + p.Error
		}
	}
	return p
}

// function returns the function's name of a handling's span.
func function(s *workflow.Span) string {
	if of := s.Text("cloud.resource_id"); arn.Service(of) == "lambda" {
		return arn.Function(of)
	}
	return s.Service
}
