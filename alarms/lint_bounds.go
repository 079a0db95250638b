package alarms

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/metrics"
)

// bounds are the lowest and the highest value that a query can have.
type bounds struct {
	low, high float64
	// A count of a Lambda function, or a multiple of it: its errors, its invocations, or
	// its invocations without errors. The quotient of two of them has an upper bound.
	of    string
	share string
	times float64
}

const (
	shareErrors      = "errors"
	shareInvocations = "invocations"
	shareSuccesses   = "successes"
)

var unbounded = bounds{low: math.Inf(-1), high: math.Inf(1)}

// reach checks that the values of the returned expression can meet the threshold.
func (l *linter) reach(a Alarm, q Query) {
	if !q.Return || a.ThresholdMetric != "" {
		return
	}
	p := bounding{queries: a.Queries, own: l.set.Namespace, profile: l.set.Profile, known: map[string]bounds{}}
	b := p.query(q)
	text, bound, dead := q.Expression, "", false
	switch t := a.Threshold; a.Comparison {
	case Greater, GreaterOrEqual:
		bound, dead = "at most "+number(b.high), b.high < t || a.Comparison == Greater && b.high == t
	case Less, LessOrEqual:
		bound, dead = "at least "+number(b.low), b.low > t || a.Comparison == Less && b.low == t
	}
	if dead {
		l.errorf("it can never fire: %s is %s, and the threshold is %s %s", text, bound, a.Comparison.Symbol(), number(a.Threshold))
	}
}

// bounding computes bounds of expressions. What it does not understand is unbounded.
type bounding struct {
	queries []Query
	own     string
	profile metrics.Profile
	known   map[string]bounds // of expressions, by ID; unbounded within their own expression
}

func (p *bounding) query(q Query) bounds {
	if q.Stat != nil {
		return p.stat(*q.Stat)
	}
	if b, begun := p.known[q.ID]; begun {
		return b
	}
	p.known[q.ID] = unbounded
	e := bounded{p: p, tokens: mathTokens(q.Expression)}
	if b := e.level(0); !e.failed && e.at == len(e.tokens) {
		p.known[q.ID] = b
	}
	return p.known[q.ID]
}

func (p *bounding) stat(s Stat) bounds {
	if _, known := Lookup(s.Namespace, s.Metric, p.own, p.profile); !known {
		return unbounded
	}
	b := bounds{high: math.Inf(1)}
	if most, _, ok := ceiling(s, p.own); ok {
		b.high = most
	}
	if s.Namespace == "AWS/Lambda" && s.Statistic == "Sum" && (s.Metric == "Errors" || s.Metric == "Invocations") {
		b.of, b.share, b.times = dimensionText(s.Dimensions), strings.ToLower(s.Metric), 1
	}
	return b
}

// bounded parses one expression.
type bounded struct {
	p      *bounding
	tokens []string
	at     int
	nested int
	failed bool
}

var levels = [][]string{{"OR", "||"}, {"AND", "&&"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/"}, {"^"}}

func (e *bounded) peek() string {
	if e.at < len(e.tokens) {
		return e.tokens[e.at]
	}
	return ""
}

func (e *bounded) fail() bounds {
	e.failed = true
	return unbounded
}

func (e *bounded) level(n int) bounds {
	if n == len(levels) {
		return e.operand()
	}
	left := e.level(n + 1)
	for !e.failed && slices.Contains(levels[n], e.peek()) {
		operator := e.peek()
		e.at++
		left = combine(operator, left, e.level(n+1))
	}
	return left
}

func (e *bounded) operand() bounds {
	if e.nested++; e.nested > 100 {
		return e.fail()
	}
	defer func() { e.nested-- }()
	token := e.peek()
	e.at++
	if f, err := strconv.ParseFloat(token, 64); err == nil && (token[0] == '.' || token[0] >= '0' && token[0] <= '9') {
		return bounds{low: f, high: f}
	}
	switch {
	case token == "-":
		return combine("-", bounds{}, e.operand())
	case token == "(":
		b := e.level(0)
		if e.peek() != ")" {
			return e.fail()
		}
		e.at++
		return b
	case lowerID(token):
		for _, q := range e.p.queries {
			if q.ID == token {
				return e.p.query(q)
			}
		}
	case e.peek() == "(":
		e.at++
		return e.call(token)
	}
	return e.fail()
}

// call returns the bounds of a function.
func (e *bounded) call(name string) bounds {
	var args []bounds
	for e.peek() != ")" && !e.failed {
		if word := e.peek(); word == "REPEAT" || word == "LINEAR" {
			e.at++
		} else {
			args = append(args, e.level(0))
		}
		if e.peek() == "," {
			e.at++
		}
	}
	e.at++
	if len(args) == 0 {
		return e.fail()
	}
	first := args[0]
	switch name {
	case "IF":
		return union(args[1:])
	case "FILL":
		filled := union(args)
		if first.share != "" && filled.low >= 0 { // no invocation has no error
			filled.of, filled.share, filled.times = first.of, first.share, first.times
		}
		return filled
	case "AVG", "MAX", "MIN":
		return union(args)
	case "CEIL":
		return bounds{low: math.Ceil(first.low), high: math.Ceil(first.high)}
	case "FLOOR":
		return bounds{low: math.Floor(first.low), high: math.Floor(first.high)}
	case "ABS":
		return bounds{high: math.Max(math.Abs(first.low), math.Abs(first.high))}
	case "SUM", "RUNNING_SUM":
		if union(args).low >= 0 {
			return bounds{high: math.Inf(1)}
		}
	case "MINUTE":
		return bounds{high: 59}
	case "HOUR":
		return bounds{high: 23}
	case "DAY":
		return bounds{low: 1, high: 7}
	case "DATE":
		return bounds{low: 1, high: 31}
	case "MONTH":
		return bounds{low: 1, high: 12}
	}
	return unbounded
}

func union(all []bounds) bounds {
	if len(all) == 0 {
		return unbounded
	}
	out := bounds{low: math.Inf(1), high: math.Inf(-1)}
	for _, b := range all {
		out.low, out.high = math.Min(out.low, b.low), math.Max(out.high, b.high)
	}
	return out
}

func combine(operator string, a, b bounds) bounds {
	constant := func(b bounds) bool { return b.low == b.high && b.share == "" }
	switch operator {
	case "+":
		return bounds{low: a.low + b.low, high: a.high + b.high}
	case "-":
		if a.share == shareInvocations && b.share == shareErrors && a.of == b.of && a.times == b.times {
			return bounds{high: math.Inf(1), of: a.of, share: shareSuccesses, times: a.times}
		}
		return bounds{low: a.low - b.high, high: a.high - b.low}
	case "*":
		if constant(a) {
			a, b = b, a
		}
		out := corners(a, b)
		if constant(b) && b.low > 0 {
			out.of, out.share, out.times = a.of, a.share, a.times*b.low
		}
		return out
	case "/":
		return quotient(a, b, constant(b))
	case "^":
		if a.low >= 0 && constant(b) && b.low >= 0 {
			return bounds{low: math.Pow(a.low, b.low), high: math.Pow(a.high, b.low)}
		}
		return unbounded
	}
	return bounds{high: 1} // comparisons, AND and OR
}

func quotient(a, b bounds, constant bool) bounds {
	switch {
	case a.share != "" && b.share == shareInvocations && a.of == b.of:
		return bounds{high: a.times / b.times}
	case constant && b.low > 0:
		return bounds{low: a.low / b.low, high: a.high / b.low, of: a.of, share: a.share, times: a.times / b.low}
	case a.low >= 0 && b.low >= 0:
		return bounds{high: math.Inf(1)}
	}
	return unbounded
}

// corners returns the bounds of a product.
func corners(a, b bounds) bounds {
	out := bounds{low: math.Inf(1), high: math.Inf(-1)}
	for _, x := range []float64{a.low, a.high} {
		for _, y := range []float64{b.low, b.high} {
			v := x * y
			if math.IsNaN(v) { // 0 times infinity
				v = 0
			}
			out.low, out.high = math.Min(out.low, v), math.Max(out.high, v)
		}
	}
	return out
}

// mathTokens splits an expression into numbers, names and operators. A list in square
// brackets counts as its elements.
func mathTokens(expression string) []string {
	var out []string
	word := func(c byte) bool {
		return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for i := 0; i < len(expression); {
		end := i + 1
		switch c := expression[i]; {
		case strings.IndexByte(" \t\r\n[]", c) >= 0:
			i++
			continue
		case word(c):
			for end < len(expression) && word(expression[end]) {
				end++
			}
		case end < len(expression) && slices.Contains([]string{"<=", ">=", "==", "!=", "&&", "||"}, expression[i:end+1]):
			end++
		}
		out = append(out, expression[i:end])
		i = end
	}
	return out
}
