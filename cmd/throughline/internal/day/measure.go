package main

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// seenEdge is an edge in the output of throughline trace.
type seenEdge struct {
	via, how string
	from, to string // request IDs
}

// measured is what Throughline reported of a day.
type measured struct {
	workflows []*workflow.Workflow
	edges     []seenEdge     // without duplicates
	spans     map[string]int // the number of spans of each invocation, by request ID
}

// measure reads the trees of every workflow of the day.
func measure(spans []workflow.Span) measured {
	m := measured{spans: map[string]int{}}
	shown := map[string]bool{} // correlation IDs that are part of another tree
	known := map[seenEdge]bool{}
	counted := map[workflow.ID]bool{}
	var all []*workflow.Workflow
	for _, id := range workflow.Correlations(spans) {
		w := workflow.Build(spans, id)
		all = append(all, w)
		for _, other := range w.Joined {
			shown[other] = true
		}
		for i := range w.Nodes {
			n := &w.Nodes[i]
			to := requestID(n)
			if to == "" {
				continue
			}
			if !counted[n.Span.ID] {
				counted[n.Span.ID] = true
				m.spans[to]++
			}
			if from := above(w, n); from != "" {
				known[seenEdge{string(n.Edge.Via), string(n.Edge.How), from, to}] = true
			}
		}
	}
	for _, w := range all {
		if !shown[w.CorrelationID] || len(w.Joined) > 0 {
			m.workflows = append(m.workflows, w)
		}
	}
	for e := range known {
		m.edges = append(m.edges, e)
	}
	slices.SortFunc(m.edges, func(a, b seenEdge) int { return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.from, b.from)) })
	return m
}

// requestID returns the request ID of a handling, or "" for another node.
func requestID(n *workflow.Node) string {
	if n.Kind != workflow.KindHandling || n.Span == nil {
		return ""
	}
	return n.Span.Text("faas.invocation_id")
}

// above returns the request ID of the nearest handling above a node.
func above(w *workflow.Workflow, n *workflow.Node) string {
	for at := n.Parent; at >= 0; at = w.Nodes[at].Parent {
		if id := requestID(&w.Nodes[at]); id != "" {
			return id
		}
	}
	return ""
}

// trees counts the trees of invocations: those of several invocations, and those of one.
func trees(invocations []invocation, edges []seenEdge) (several, single int) {
	root := map[string]string{}
	var find func(string) string
	find = func(id string) string {
		if root[id] != id {
			root[id] = find(root[id])
		}
		return root[id]
	}
	for _, i := range invocations {
		root[i.RequestID] = i.RequestID
	}
	for _, e := range edges {
		if root[e.from] != "" && root[e.to] != "" {
			root[find(e.from)] = find(e.to)
		}
	}
	size := map[string]int{}
	for _, i := range invocations {
		size[find(i.RequestID)]++
	}
	for _, n := range size {
		if n > 1 {
			several++
		} else {
			single++
		}
	}
	return several, single
}
