package eval

import (
	"errors"
	"fmt"
	"math"

	"github.com/throughline/throughline/alarms"
)

// calculator computes metric math as "Using math expressions with CloudWatch metrics"
// describes it. If one operand of an arithmetic or comparison operator has a datapoint
// and the other has none, the missing one is 0. A division by zero has no datapoint.
type calculator struct {
	stats   map[string]value
	seconds []int64
	period  int64
	queries []alarms.Query
}

func (m *calculator) query(q alarms.Query, above []string) (value, error) {
	if len(above) > 20 {
		return value{}, errors.New("expressions refer to each other in a cycle")
	}
	p := &parser{m: m, above: append(above, q.ID), tokens: tokens(q.Expression)}
	v, err := p.expression(0)
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("unexpected %q", p.tokens[p.at])
	}
	return v, err
}

func (m *calculator) name(id string, above []string) (value, error) {
	if v, ok := m.stats[id]; ok {
		return v, nil
	}
	for _, q := range m.queries {
		if q.ID == id {
			return m.query(q, above)
		}
	}
	return value{}, fmt.Errorf("there is no metric or expression %s", id)
}

// map1 applies f to each datapoint.
func (m *calculator) map1(f func(float64) float64, v value) value {
	if v.items != nil {
		out, _ := m.over(v, func(v value) (value, error) { return m.map1(f, v), nil })
		return out
	}
	if !v.vector {
		return value{scalar: f(v.scalar)}
	}
	out := Series{}
	for at, point := range v.series {
		if result := f(point); finite(result) {
			out[at] = result
		}
	}
	return value{series: out, vector: true}
}

// over applies f to each series of an array.
func (m *calculator) over(v value, f func(value) (value, error)) (value, error) {
	items := make([]value, len(v.items))
	for i, item := range v.items {
		var err error
		if items[i], err = f(item); err != nil {
			return value{}, err
		}
	}
	return array(items), nil
}

// both applies f to two operands. One of them can be an array.
func (m *calculator) both(f func(a, b float64) float64, left, right value) (value, error) {
	switch {
	case left.items != nil && right.items != nil:
		return value{}, errors.New("only one operand of an operator can be an array of metrics")
	case left.items != nil:
		return m.over(left, func(v value) (value, error) { return m.both(f, v, right) })
	case right.items != nil:
		return m.over(right, func(v value) (value, error) { return m.both(f, left, v) })
	case !left.vector && !right.vector:
		return value{scalar: f(left.scalar, right.scalar)}, nil
	}
	out := Series{}
	for _, at := range m.seconds {
		a, okA := left.at(at)
		b, okB := right.at(at)
		if left.vector && okA || right.vector && okB {
			if result := f(a, b); finite(result) {
				out[at] = result
			}
		}
	}
	return value{series: out, vector: true}, nil
}

// reduce makes one series of several, where at least one has a datapoint.
func (m *calculator) reduce(f func([]float64) float64, zeros bool, list []value) (value, error) {
	vector := false
	for _, v := range list {
		if v.items != nil {
			return value{}, errors.New("an array cannot contain an array here")
		}
		vector = vector || v.vector
	}
	points := make([]float64, 0, len(list))
	collect := func(at int64) bool {
		points = points[:0]
		any := false
		for _, v := range list {
			point, ok := v.at(at)
			any = any || ok && (v.vector || !vector)
			if ok || zeros {
				points = append(points, point)
			}
		}
		return any
	}
	if !vector {
		collect(0)
		return value{scalar: f(points)}, nil
	}
	out := Series{}
	for _, at := range m.seconds {
		if collect(at) {
			if result := f(points); finite(result) {
				out[at] = result
			}
		}
	}
	return value{series: out, vector: true}, nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// operators are the operators by precedence, lowest first.
var operators = []map[string]func(a, b float64) float64{
	{"OR": func(a, b float64) float64 { return truth(a != 0 || b != 0) }, "||": func(a, b float64) float64 { return truth(a != 0 || b != 0) }},
	{"AND": func(a, b float64) float64 { return truth(a != 0 && b != 0) }, "&&": func(a, b float64) float64 { return truth(a != 0 && b != 0) }},
	{
		"==": func(a, b float64) float64 { return truth(a == b) }, "!=": func(a, b float64) float64 { return truth(a != b) },
		"<": func(a, b float64) float64 { return truth(a < b) }, "<=": func(a, b float64) float64 { return truth(a <= b) },
		">": func(a, b float64) float64 { return truth(a > b) }, ">=": func(a, b float64) float64 { return truth(a >= b) },
	},
	{"+": func(a, b float64) float64 { return a + b }, "-": func(a, b float64) float64 { return a - b }},
	{"*": func(a, b float64) float64 { return a * b }, "/": func(a, b float64) float64 { return a / b }},
	{"^": func(a, b float64) float64 { return math.Pow(a, b) }},
}
