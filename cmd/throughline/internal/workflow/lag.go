package workflow

import (
	"time"

	"github.com/throughline/throughline/internal/lineage"
)

// LagFrom is the start of a lag. The values are stable.
type LagFrom string

// The values of [LagFrom].
const (
	LagFromPublisher LagFrom = "publisher" // the end of the span that published the event
	LagFromMessage   LagFrom = "message"   // when the queue or stream received the message, in milliseconds
	LagFromEvent     LagFrom = "event"     // the event's time, in whole seconds: the lag can be a second too long
)

// Lag returns the time from an event's publication to the start of its handling, and what
// it is measured from, which is empty if unknown. Clocks of two machines can differ: a
// negative lag is returned as 0.
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
