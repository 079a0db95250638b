package workflow

import "github.com/throughline/throughline/internal/lineage"

// Loop says why an event may be in a loop, or is "". The values are stable.
type Loop string

// The values of [Loop].
const (
	LoopType Loop = "type" // one of its causes has the same type
	LoopHops Loop = "hops" // it has more hops than the limit for a loop
)

// loops marks and counts the events that may be in a loop.
func (w *Workflow) loops() {
	var path []string // the types of the events above; "" for other nodes
	above := map[string]int{}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		for _, left := range path[min(n.Depth, len(path)):] {
			above[left]--
		}
		path = path[:min(n.Depth, len(path))]
		of := ""
		if n.Kind == KindEvent {
			of = n.Type
			switch {
			case of != "" && above[of] > 0:
				n.Loop = LoopType
			case n.Span != nil && n.Span.hops() > lineage.DefaultMaxHops:
				n.Loop = LoopHops
			}
		}
		if n.Loop != "" {
			w.Counts.Loops++
		}
		above[of]++
		path = append(path, of)
	}
}

// hops returns the number of events above the span's event.
func (s *Span) hops() float64 {
	n, _ := s.Number(lineage.AttrHops)
	return n
}
