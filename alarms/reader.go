package alarms

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/nearest"
	"github.com/throughline/throughline/internal/yamltree"
)

// Problem is an error in a spec. Line is 0 if the problem has no line.
type Problem struct {
	Line    int
	Message string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message)
}

// Problems are all errors in a spec, sorted by line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// reader reads a spec's values from its tree and collects problems, so that the user sees
// all of them at once.
type reader struct{ problems Problems }

func (r *reader) fail(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// err returns the collected problems sorted by line, or nil.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r.problems
}

// fields calls the function of each member of a mapping. It refuses a key without a
// function, and a key that is given twice.
func (r *reader) fields(n *yamltree.Node, what string, take map[string]func(*yamltree.Node)) {
	if n == nil || n.Kind == yamltree.Null {
		return
	}
	if n.Kind != yamltree.Map {
		r.fail(n.Line, "%s is %s: it must be a mapping", what, n.Kind)
		return
	}
	known := slices.Sorted(maps.Keys(take))
	for _, pair := range n.Pairs {
		f, ok := take[pair.Key]
		switch {
		case !ok:
			r.fail(pair.Line, "%s has no member %q%s", what, pair.Key, suggestOf(pair.Key, known))
		case pair.First > 0:
			r.fail(pair.Line, "%s: %s is given twice, first on line %d", what, pair.Key, pair.First)
		default:
			f(pair.Value)
		}
	}
}

// suggestOf returns a hint with the nearest key, or with all keys if none is near.
func suggestOf(wanted string, known []string) string {
	if near := nearest.Hint(wanted, known); near != "" {
		return near
	}
	return ": there are " + strings.Join(known, ", ")
}

func (r *reader) list(n *yamltree.Node, what string) []*yamltree.Node {
	if n == nil || n.Kind == yamltree.Null {
		return nil
	}
	if n.Kind != yamltree.List {
		r.fail(n.Line, "%s is %s: it must be a list", what, n.Kind)
		return nil
	}
	return n.Items
}

// text reads a scalar that can contain placeholders. Whether they are declared is checked
// when all parameters are known.
func (r *reader) text(n *yamltree.Node, what string) string {
	if !n.Scalar() || n.Value() == "" {
		line := 0
		if n != nil {
			line = n.Line
		}
		r.fail(line, "%s is empty or not a text", what)
		return ""
	}
	if _, err := Parts(n.Value()); err != nil {
		r.fail(n.Line, "%s: %v", what, err)
	}
	return n.Value()
}

func (r *reader) texts(n *yamltree.Node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		out = append(out, r.text(item, what))
	}
	return out
}

func (r *reader) bool(n *yamltree.Node, what string) bool {
	if n.Kind != yamltree.Bool {
		r.fail(n.Line, "%s is %s: write true or false", what, n.Kind)
	}
	return n.True()
}

func (r *reader) duration(n *yamltree.Node, what string) time.Duration {
	d, ok := duration(n.Value())
	if !ok || d == 0 {
		r.fail(n.Line, "%s: %q is not a duration: write 30s, 5m, 1h or 14d", what, n.Value())
	}
	return d
}

func (r *reader) number(n *yamltree.Node, what string) float64 {
	f, err := n.Float()
	if err != nil || f <= 0 {
		r.fail(n.Line, "%s: %q is not a number above 0", what, n.Value())
	}
	return f
}

// choice reads one of a few words.
func (r *reader) choice(n *yamltree.Node, what string, of ...string) string {
	if !slices.Contains(of, n.Value()) {
		r.fail(n.Line, "%s: %q%s", what, n.Value(), suggestOf(n.Value(), of))
	}
	return n.Value()
}

// parse reads the tree of a document.
func parse(data []byte) (*yamltree.Node, error) {
	n, err := yamltree.Parse(data)
	if at, ok := errors.AsType[*yamltree.Error](err); ok {
		return nil, Problems{{at.Line, at.Message}}
	}
	return n, err
}
