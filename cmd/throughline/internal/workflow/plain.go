package workflow

import "slices"

// OfTrace makes the tree of one trace by the parents of its spans, for a trace without a
// workflow. A span whose parent is not in spans is a root.
func OfTrace(spans []Span, trace string) *Workflow {
	below, known, seen := map[string][]*Span{}, map[string]bool{}, map[ID]bool{}
	var all []*Span
	for i := range spans {
		s := &spans[i]
		if s.ID.Trace == trace && !seen[s.ID] { // exporters deliver at least once
			seen[s.ID], known[s.ID.Span] = true, true
			all = append(all, s)
		}
	}
	byStart(all)
	for _, s := range all {
		parent := s.Parent
		if !known[parent] || parent == s.ID.Span {
			parent = ""
		}
		below[parent] = append(below[parent], s)
	}
	w := &Workflow{TraceID: trace}
	placed := map[ID]bool{}
	place := func(roots []*Span) {
		stack := []pending{}
		push := func(list []*Span, parent int) {
			for _, s := range slices.Backward(list) {
				stack = append(stack, pending{call: s, parent: parent})
			}
		}
		for push(roots, -1); len(stack) > 0; {
			p := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if placed[p.call.ID] {
				continue
			}
			placed[p.call.ID] = true
			n := Node{Kind: KindSpan, Span: p.call, Parent: p.parent}
			if p.call.Kind == "CLIENT" {
				n.Kind = KindCall
			}
			if p.parent >= 0 {
				n.Depth = w.Nodes[p.parent].Depth + 1
			}
			w.Nodes = append(w.Nodes, n)
			push(below[p.call.ID.Span], len(w.Nodes)-1)
		}
	}
	place(below[""])
	place(all) // spans in a cycle of parents
	w.summarise()
	return w
}
