package alarms

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/throughline/throughline/internal/nearest"
)

// expression checks metric math without CloudWatch: it is not empty, its brackets match,
// and every name in it is an ID or a function.
func (l *linter) expression(q Query, ids map[string]bool) {
	if strings.TrimSpace(q.Expression) == "" {
		l.errorf("the expression %s is empty", q.ID)
		return
	}
	depth := 0
	for _, r := range q.Expression {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		l.errorf("the brackets of %s do not match: %s", q.ID, q.Expression)
	}
	for _, c := range calls(q.Expression) {
		l.call(q.ID, c)
	}
	for _, word := range words(q.Expression) {
		switch {
		case word == q.ID:
			l.errorf("the expression %s refers to itself", q.ID)
		case word == "SEARCH":
			l.errorf("%s: SEARCH returns any number of series, and an alarm watches one: name the metrics", q.ID)
		case lowerID(word) && !ids[word]:
			l.errorf("%s: there is no %s%s", q.ID, word, suggestOf(word, slices.Sorted(maps.Keys(ids))))
		}
	}
}

// words returns the names in an expression, without quoted texts.
func words(expression string) []string {
	var out []string
	for i, piece := range strings.Split(strings.ReplaceAll(expression, "'", `"`), `"`) {
		if i%2 == 1 {
			continue
		}
		for _, word := range strings.FieldsFunc(piece, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			if _, err := strconv.ParseFloat(word, 64); err != nil {
				out = append(out, word)
			}
		}
	}
	return out
}

// arity is the least and most number of arguments of a function of metric math. most is 0
// for any number.
type arity struct{ least, most int }

// mathFunctions are the functions of "Using math expressions with CloudWatch metrics"
// that an alarm can use.
var mathFunctions = map[string]arity{
	"ABS": {1, 1}, "ANOMALY_DETECTION_BAND": {1, 2}, "AVG": {1, 0}, "CEIL": {1, 1}, "DATAPOINT_COUNT": {1, 0}, "DAY": {1, 1}, "DATE": {1, 1}, "DIFF": {1, 1}, "DIFF_TIME": {1, 1},
	"EPOCH": {1, 1}, "FILL": {2, 2}, "FIRST": {1, 0}, "FLOOR": {1, 1}, "HOUR": {1, 1}, "IF": {2, 3}, "INSIGHT_RULE_METRIC": {2, 2}, "LAMBDA": {1, 0}, "LAST": {1, 0},
	"LOG": {1, 1}, "LOG10": {1, 1}, "MAX": {1, 0}, "METRIC_COUNT": {1, 0}, "METRICS": {0, 1}, "MIN": {1, 0}, "MINUTE": {1, 1}, "MONTH": {1, 1}, "PERIOD": {1, 1}, "RATE": {1, 1},
	"REMOVE_EMPTY": {1, 1}, "RUNNING_SUM": {1, 1}, "SERVICE_QUOTA": {1, 1}, "SLICE": {2, 3}, "SORT": {3, 4}, "STDDEV": {1, 0}, "SUM": {1, 0}, "TIME_SERIES": {1, 1}, "YEAR": {1, 1},
}

// called is a function call with its number of arguments.
type called struct {
	name string
	args int
}

// call checks that a function exists and that its number of arguments is correct.
func (l *linter) call(id string, c called) {
	want, known := mathFunctions[c.name]
	switch {
	case c.name == "SEARCH" || c.name == "METRICS": // expression reports it
	case !known:
		l.errorf("%s: metric math has no %s%s", id, c.name, nearest.Hint(c.name, slices.Sorted(maps.Keys(mathFunctions))))
	case c.args < want.least || want.most > 0 && c.args > want.most:
		takes := strconv.Itoa(want.least)
		switch {
		case want.most == 0:
			takes = "at least " + takes
		case want.most > want.least:
			takes += " or " + strconv.Itoa(want.most)
		}
		l.errorf("%s: %s has %d arguments and needs %s", id, c.name, c.args, takes)
	}
}

// calls returns the function calls in an expression, without quoted texts.
func calls(expression string) []called {
	var out []called
	var open []int // the call of each open bracket, -1 for a bracket without one
	word, empty, quoted, gap := "", false, false, false
	for _, r := range expression {
		quote := r == '"' || r == '\''
		if quote {
			quoted = !quoted
		}
		if quoted || quote {
			empty = false
			continue
		}
		switch {
		case r == '(' || r == '[':
			index := -1
			if _, err := strconv.ParseFloat(word, 64); word != "" && err != nil && r == '(' && word != "AND" && word != "OR" {
				index = len(out)
				out = append(out, called{name: word})
			}
			open, word, empty = append(open, index), "", true
		case r == ')' || r == ']':
			if n := len(open); n > 0 {
				if at := open[n-1]; at >= 0 && !empty {
					out[at].args++
				}
				open = open[:n-1]
			}
			word, empty = "", false
		case r == ',':
			if n := len(open); n > 0 && open[n-1] >= 0 {
				out[open[n-1]].args++
			}
			word = ""
		case unicode.IsSpace(r):
			gap = true // a bracket may still follow the name
			continue
		case r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z':
			if gap {
				word = ""
			}
			word, empty = word+string(r), false
		default:
			word, empty = "", false
		}
		gap = false
	}
	return out
}
