package workflow

import (
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// LagFrom says what a lag is measured from. The values are stable.
type LagFrom string

// What a lag is measured from.
const (
	LagFromPublisher LagFrom = "publisher" // the end of the span that published the event
	LagFromMessage   LagFrom = "message"   // when the queue or stream got the message, in milliseconds
	LagFromEvent     LagFrom = "event"     // the event's own time, in whole seconds: up to a second too much
)

// Lag is how long it took from an event's publication until its handling began,
// and what that is measured from, which is empty where it is not known. The clocks
// of two machines may differ: it is not below zero.
func (w *Workflow) Lag(n *Node) (time.Duration, LagFrom) {
	s := n.Span
	if n.Kind != KindHandling || s == nil {
		return 0, ""
	}
	replayed := s.Text(lineage.AttrReplayName) != "" || s.Text(lineage.AttrRepeatKind) == "replay"
	if n.Parent >= 0 && !replayed {
		if p := &w.Nodes[n.Parent]; p.Kind == KindEvent && p.Span != nil && !p.Span.End.IsZero() {
			return max(0, s.Start.Sub(p.Span.End)), LagFromPublisher
		}
	}
	lag, ok := s.Number(lineage.AttrLag)
	if !ok {
		return 0, ""
	}
	from := LagFromEvent
	if s.Text(lineage.AttrLagFrom) == lineage.LagFromMessage {
		from = LagFromMessage
	}
	return max(0, milliseconds(lag)), from
}
