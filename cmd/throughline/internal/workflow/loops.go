package workflow

import "github.com/throughline/throughline/internal/lineage"

// Loop says why an event seems to go round, "" where it does not. The values are stable.
type Loop string

// Why an event seems to go round.
const (
	LoopType Loop = "type" // an event of its type is among its own causes
	LoopHops Loop = "hops" // it came over more hops than are taken for a loop
)

// loops marks the events that seem to go round, and counts them.
func (w *Workflow) loops() {
	var path []string // the types of the events above, and "" for other nodes
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

// hops is how many events stand above the span's.
func (s *Span) hops() float64 {
	n, _ := s.Number(lineage.AttrHops)
	return n
}
