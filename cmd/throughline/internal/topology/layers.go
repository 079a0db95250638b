package topology

import (
	"cmp"
	"slices"
)

// layers arranges the nodes of a graph in layers from top to bottom, and from left to
// right within a layer. Nodes are below their predecessors, except in cycles, and edges
// have few crossings (Sugiyama, Tagawa and Toda, 1981). An edge over several layers has a
// bend in each layer between.
type layers struct {
	rows  [][]int // nodes and bends, by layer, from the left
	layer []int   // the layer of a node or a bend
	bends map[[2]int][]int
}

// newLayers arranges n nodes. Edges can be in any direction.
func newLayers(n int, edges [][2]int) layers {
	down := acyclic(n, edges)
	l := layers{layer: longest(n, down), bends: map[[2]int][]int{}}
	var neighbours [][]int
	grow := func(node int) {
		for len(neighbours) <= node {
			neighbours = append(neighbours, nil)
		}
	}
	grow(n - 1)
	join := func(a, b int) {
		grow(max(a, b))
		neighbours[a] = append(neighbours[a], b)
		neighbours[b] = append(neighbours[b], a)
	}
	for i, e := range down {
		at := e[0]
		for layer := l.layer[e[0]] + 1; layer < l.layer[e[1]]; layer++ {
			bend := len(l.layer)
			l.layer = append(l.layer, layer)
			l.bends[edges[i]] = append(l.bends[edges[i]], bend)
			join(at, bend)
			at = bend
		}
		join(at, e[1])
		if e != edges[i] {
			slices.Reverse(l.bends[edges[i]])
		}
	}
	l.rows = make([][]int, 1+slices.Max(append(slices.Clone(l.layer), 0)))
	for node, layer := range l.layer {
		l.rows[layer] = append(l.rows[layer], node)
	}
	l.order(neighbours)
	return l
}

// order moves each node to the middle of its neighbours, from top to bottom and back.
func (l *layers) order(neighbours [][]int) {
	const sweeps = 8
	place := make([]float64, len(l.layer))
	settle := func(row []int) {
		for i, node := range row {
			place[node] = float64(i) - float64(len(row)-1)/2
		}
	}
	for _, row := range l.rows {
		settle(row)
	}
	for sweep := range sweeps {
		above := -1
		rows := slices.Clone(l.rows)
		if sweep%2 == 1 {
			above = 1
			slices.Reverse(rows)
		}
		for _, row := range rows {
			middle := map[int]float64{}
			for _, node := range row {
				sum, count := 0.0, 0
				for _, other := range neighbours[node] {
					if l.layer[other]-l.layer[node] == above {
						sum, count = sum+place[other], count+1
					}
				}
				if middle[node] = place[node]; count > 0 {
					middle[node] = sum / float64(count)
				}
			}
			slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(middle[a], middle[b]) })
			settle(row)
		}
	}
}

// acyclic returns the edges, with those reversed that would close a cycle.
func acyclic(n int, edges [][2]int) [][2]int {
	out := make([][]int, n) // edges by their first node
	in := make([]int, n)
	for i, e := range edges {
		out[e[0]] = append(out[e[0]], i)
		in[e[1]]++
	}
	down := slices.Clone(edges)
	const (
		open = 1
		done = 2
	)
	state := make([]int, n)
	var visit func(node int)
	visit = func(node int) {
		state[node] = open
		for _, i := range out[node] {
			switch to := edges[i][1]; state[to] {
			case open:
				down[i] = [2]int{to, node}
			case 0:
				visit(to)
			}
		}
		state[node] = done
	}
	for _, roots := range []bool{true, false} { // nodes without predecessors first
		for node := range n {
			if state[node] == 0 && (!roots || in[node] == 0) {
				visit(node)
			}
		}
	}
	return down
}

// longest returns for each node the length of the longest path to it.
func longest(n int, down [][2]int) []int {
	layer, in, out := make([]int, n), make([]int, n), make([][]int, n)
	for _, e := range down {
		if e[0] != e[1] {
			in[e[1]]++
			out[e[0]] = append(out[e[0]], e[1])
		}
	}
	var free []int
	for node := range n {
		if in[node] == 0 {
			free = append(free, node)
		}
	}
	for len(free) > 0 {
		node := free[0]
		free = free[1:]
		for _, to := range out[node] {
			layer[to] = max(layer[to], layer[node]+1)
			if in[to]--; in[to] == 0 {
				free = append(free, to)
			}
		}
	}
	return layer
}
