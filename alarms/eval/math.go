package eval

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// calculator computes CloudWatch's metric math, as far as alarms of single series
// need it: arithmetic, comparisons, AND and OR, IF, FILL, ABS, CEIL, FLOOR,
// MIN, MAX, SUM, AVG. A datapoint that an operator lacks makes its result
// missing, as does a division by zero.
type calculator struct {
	stats   map[string]value
	seconds []int64
	queries []alarms.Query
}

func (m *calculator) query(q alarms.Query, above []string) (value, error) {
	if len(above) > 20 {
		return value{}, errors.New("expressions refer to each other in a circle")
	}
	p := &parser{m: m, above: append(above, q.ID), tokens: tokens(q.Expression)}
	v, err := p.expression(0)
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("%q was not expected", p.tokens[p.at])
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
	return value{}, fmt.Errorf("there is no %s", id)
}

// each applies f wherever every operand has a datapoint.
func (m *calculator) each(f func(args []float64) float64, operands ...value) value {
	args := make([]float64, len(operands))
	vector := false
	for i, o := range operands {
		vector = vector || o.vector
		args[i] = o.scalar
	}
	if !vector {
		return value{scalar: f(args)}
	}
	out := Series{}
next:
	for _, at := range m.seconds {
		for i, o := range operands {
			arg, ok := o.at(at)
			if !ok {
				continue next
			}
			args[i] = arg
		}
		if result := f(args); finite(result) {
			out[at] = result
		}
	}
	return value{series: out, vector: true}
}

// choose is IF: of the branches only the one that is taken needs a datapoint.
func (m *calculator) choose(condition, yes, no value) value {
	out := Series{}
	for _, at := range m.seconds {
		c, ok := condition.at(at)
		if !ok {
			continue
		}
		branch := no
		if c != 0 {
			branch = yes
		}
		if f, ok := branch.at(at); ok {
			out[at] = f
		}
	}
	return value{series: out, vector: true}
}

func (m *calculator) fill(series, with value) value {
	out := Series{}
	for _, at := range m.seconds {
		f, ok := series.at(at)
		if !ok {
			f, ok = with.at(at)
		}
		if ok {
			out[at] = f
		}
	}
	return value{series: out, vector: true}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// operators by how tightly they bind, loosest first.
var operators = []map[string]func(a []float64) float64{
	{"OR": func(a []float64) float64 { return truth(a[0] != 0 || a[1] != 0) }, "||": func(a []float64) float64 { return truth(a[0] != 0 || a[1] != 0) }},
	{"AND": func(a []float64) float64 { return truth(a[0] != 0 && a[1] != 0) }, "&&": func(a []float64) float64 { return truth(a[0] != 0 && a[1] != 0) }},
	{
		"==": func(a []float64) float64 { return truth(a[0] == a[1]) }, "!=": func(a []float64) float64 { return truth(a[0] != a[1]) },
		"<": func(a []float64) float64 { return truth(a[0] < a[1]) }, "<=": func(a []float64) float64 { return truth(a[0] <= a[1]) },
		">": func(a []float64) float64 { return truth(a[0] > a[1]) }, ">=": func(a []float64) float64 { return truth(a[0] >= a[1]) },
	},
	{"+": func(a []float64) float64 { return a[0] + a[1] }, "-": func(a []float64) float64 { return a[0] - a[1] }},
	{"*": func(a []float64) float64 { return a[0] * a[1] }, "/": func(a []float64) float64 { return a[0] / a[1] }},
	{"^": func(a []float64) float64 { return math.Pow(a[0], a[1]) }},
}

type parser struct {
	m      *calculator
	above  []string
	tokens []string
	at     int
	depth  int
}

func (p *parser) next() string {
	if p.at == len(p.tokens) {
		return ""
	}
	p.at++
	return p.tokens[p.at-1]
}

func (p *parser) peek() string {
	if p.at == len(p.tokens) {
		return ""
	}
	return p.tokens[p.at]
}

func (p *parser) expression(level int) (value, error) {
	if level == len(operators) {
		return p.operand()
	}
	left, err := p.expression(level + 1)
	for err == nil {
		f, ok := operators[level][strings.ToUpper(p.peek())]
		if !ok {
			break
		}
		p.next()
		var right value
		if right, err = p.expression(level + 1); err == nil {
			left = p.m.each(f, left, right)
		}
	}
	return left, err
}

func (p *parser) operand() (value, error) {
	if p.depth++; p.depth > 200 {
		return value{}, errors.New("nested too deep")
	}
	defer func() { p.depth-- }()
	token := p.next()
	if f, err := strconv.ParseFloat(token, 64); err == nil && token[0] != 'I' && token[0] != 'N' && token[0] != 'i' && token[0] != 'n' {
		return value{scalar: f}, nil
	}
	switch {
	case token == "":
		return value{}, errors.New("the expression ends early")
	case token == "-":
		v, err := p.operand()
		return p.m.each(func(a []float64) float64 { return -a[0] }, v), err
	case token == "(":
		v, err := p.expression(0)
		if err == nil && p.next() != ")" {
			err = errors.New("a bracket is not closed")
		}
		return v, err
	case p.peek() == "(":
		p.next()
		return p.call(strings.ToUpper(token))
	default:
		return p.m.name(token, p.above)
	}
}

func (p *parser) call(name string) (value, error) {
	var args []value
	list := false
	for p.peek() != ")" {
		if token := p.peek(); token == "[" || token == "]" {
			p.next() // SUM([m1, m2]) is the sum of both
			list = true
			continue
		}
		v, err := p.expression(0)
		if err != nil {
			return value{}, err
		}
		args = append(args, v)
		for p.peek() == "]" {
			p.next()
		}
		if p.peek() == "," {
			p.next()
		} else if p.peek() != ")" {
			return value{}, fmt.Errorf("%s is not closed", name)
		}
	}
	p.next()
	want, known := arity[name]
	if !known {
		return value{}, fmt.Errorf("%s is not computed here: this alarm cannot be tried on history", name)
	}
	switch {
	case name == "IF" && len(args) == 2: // without an else there is no datapoint
		args = append(args, value{vector: true})
	case len(args) != want && (want > 0 || len(args) == 0):
		return value{}, fmt.Errorf("%s takes %d arguments, not %d", name, want, len(args))
	case want == 0 && len(args) == 1 && !list:
		return value{}, fmt.Errorf("%s of one series is a number over all of it, which is not computed here: write %s([a, b])", name, name)
	}
	switch name {
	case "IF":
		return p.m.choose(args[0], args[1], args[2]), nil
	case "FILL":
		return p.m.fill(args[0], args[1]), nil
	default:
		return p.m.each(functions[name], args...), nil
	}
}

// arity is how many arguments a function takes; 0 is any number.
var arity = map[string]int{"IF": 3, "FILL": 2, "ABS": 1, "CEIL": 1, "FLOOR": 1, "SUM": 0, "AVG": 0, "MIN": 0, "MAX": 0}

var functions = map[string]func([]float64) float64{
	"ABS":   func(a []float64) float64 { return math.Abs(a[0]) },
	"CEIL":  func(a []float64) float64 { return math.Ceil(a[0]) },
	"FLOOR": func(a []float64) float64 { return math.Floor(a[0]) },
	"SUM":   sum,
	"AVG":   func(a []float64) float64 { return sum(a) / float64(len(a)) },
	"MIN": func(a []float64) float64 {
		least := math.Inf(1)
		for _, f := range a {
			least = min(least, f)
		}
		return least
	},
	"MAX": func(a []float64) float64 {
		most := math.Inf(-1)
		for _, f := range a {
			most = max(most, f)
		}
		return most
	},
}

func sum(a []float64) (total float64) {
	for _, f := range a {
		total += f
	}
	return total
}

// tokens splits an expression into numbers, names and signs.
func tokens(expression string) []string {
	var out []string
	for i := 0; i < len(expression); {
		c := expression[i]
		end := i + 1
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case wordByte(c):
			for end < len(expression) && wordByte(expression[end]) {
				end++
			}
		case end < len(expression) && strings.Contains("<= >= == != && ||", expression[i:end+1]) && expression[end] != ' ':
			end++
		}
		out = append(out, expression[i:end])
		i = end
	}
	return out
}

func wordByte(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
