package template

import (
	"strings"

	"github.com/throughline/throughline/internal/yamltree"
)

// truth is the value of a condition: true, false or unknown.
type truth int

const (
	unknown truth = iota
	yes
	no
)

// condition returns the value of a named condition.
func (r *resolver) condition(name string, depth int) truth {
	if r.assumed[name] {
		return yes
	}
	return r.holds(r.root.At("Conditions", name), depth)
}

func (r *resolver) holds(n *yamltree.Node, depth int) truth {
	if n == nil || len(n.Pairs) != 1 || depth > deepest {
		return unknown
	}
	of := n.Pairs[0].Value
	switch n.Pairs[0].Key {
	case "Condition":
		return r.condition(of.Value(), depth+1)
	case "Fn::Equals":
		a, okA := r.operand(at(of, 0), depth)
		b, okB := r.operand(at(of, 1), depth)
		if !okA || !okB || strings.Contains(a+b, "${") {
			return unknown
		}
		return truthOf(a == b)
	case "Fn::Not":
		switch r.holds(at(of, 0), depth+1) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	case "Fn::And":
		return r.all(of, yes, depth)
	case "Fn::Or":
		return r.all(of, no, depth)
	}
	return unknown
}

// operand returns an operand of Fn::Equals, which can be empty.
func (r *resolver) operand(n *yamltree.Node, depth int) (string, bool) {
	if n.Scalar() {
		return n.Value(), true
	}
	if p := r.root.At("Parameters", n.Get("Ref").Value()); p.Get("Default") != nil && r.values[n.Get("Ref").Value()] == "" {
		return p.Get("Default").Value(), true
	}
	return r.eval(n, exact, depth+1)
}

// all returns wanted if every one of the conditions has that value, and its opposite if
// one has not.
func (r *resolver) all(of *yamltree.Node, wanted truth, depth int) truth {
	result := wanted
	for _, n := range of.List() {
		switch got := r.holds(n, depth+1); {
		case got == unknown:
			result = unknown
		case got != wanted:
			return got
		}
	}
	return result
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// list returns the items of a list. For an Fn::If with an unknown condition, these are
// the items of both branches.
func (r *resolver) list(n *yamltree.Node) []*yamltree.Node {
	var out []*yamltree.Node
	for _, branch := range r.branches(n, 0) {
		for _, item := range branch.List() {
			out = append(out, r.branches(item, 0)...)
		}
	}
	return out
}

// branches returns the values that n can have: n itself, or the branches of Fn::If, both
// if the condition is unknown. AWS::NoValue counts as none.
func (r *resolver) branches(n *yamltree.Node, depth int) []*yamltree.Node {
	if n == nil || noValue(n) {
		return nil
	}
	of := n.Get("Fn::If")
	if of == nil || depth > deepest {
		return []*yamltree.Node{n}
	}
	var out []*yamltree.Node
	condition := r.condition(at(of, 0).Value(), depth+1)
	if condition != no {
		out = append(out, r.branches(at(of, 1), depth+1)...)
	}
	if condition != yes {
		out = append(out, r.branches(at(of, 2), depth+1)...)
	}
	return out
}
