package workflow

import (
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// await finds the handlings that others waited for. If many events are counted in a
// table, the function publishes when the last one arrives: that handling is the parent of
// the next event, and the other handlings seem to have no effect. These had an event of
// the same type, in the same function and the same run, and published nothing. Without a
// run they have the same correlation ID, of which only the last handling published.
func (b *builder) await(w *Workflow) {
	type group struct{ function, kind, run, correlation string }
	groups := map[group][]int{}
	var order []group
	children := make([]bool, len(w.Nodes))
	for i := range w.Nodes {
		n := &w.Nodes[i]
		if n.Parent >= 0 && (n.Kind == KindEvent || n.Kind == KindHop && n.Span != nil) {
			children[n.Parent] = true
		}
		s := n.Span
		if n.Kind != KindHandling || s == nil || n.Again > 0 || s.records() > 1 || s.Text(lineage.AttrRepeatKind) != "" || s.Error || n.Type == "" {
			continue
		}
		g := group{s.Service, n.Type, s.Text(lineage.AttrRunID), s.Correlation()}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], i)
	}
	for _, g := range order {
		places := groups[g]
		slices.SortStableFunc(places, func(x, y int) int { return w.Nodes[x].Span.End.Compare(w.Nodes[y].Span.End) })
		released := 0
		for _, i := range places {
			if children[i] {
				released++
			}
		}
		last := places[len(places)-1]
		if g.correlation == "" || g.run == "" && (released != 1 || !children[last]) {
			continue
		}
		var waiting []int
		for _, i := range places {
			if !children[i] {
				waiting = append(waiting, i)
				continue
			}
			w.Nodes[i].Waited = waiting
			waiting = nil
		}
	}
}
