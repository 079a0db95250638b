package eventpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var errNumber = errors.New("numbers compare between -5.0e9 and 5.0e9, with six digits to the right of the decimal point")

// scaled returns a JSON number times a million. It returns false for a number that
// EventBridge does not compare by value: beyond ±5.0e9, or with more than six decimals.
func scaled(number string) (int64, bool) {
	const decimals, longest, limit = 6, 16, 5_000_000_000_000_000
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(number), "e")
	shift := 0
	if hasExponent {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil {
			return 0, false
		}
	}
	negative := strings.HasPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	shift -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	shift += len(digits) - len(trimmed)
	switch {
	case number == "":
		return 0, false
	case trimmed == "":
		return 0, true
	case shift < -decimals || shift > longest || len(trimmed)+shift+decimals > longest:
		return 0, false
	}
	n, err := strconv.ParseInt(trimmed+strings.Repeat("0", shift+decimals), 10, 64)
	if err != nil || n > limit {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// same compares two scalars: numbers by value if EventBridge does so, else by their text.
func same(a, b any) bool {
	if x, ok := a.(json.Number); ok {
		y, ok := b.(json.Number)
		if !ok || x == y {
			return ok
		}
		n, comparable := scaled(string(x))
		m, too := scaled(string(y))
		return comparable && too && n == m
	}
	switch a.(type) {
	case string, bool, nil:
		return a == b
	default:
		return false
	}
}

// compileNumeric reads ["=", n], ["<", n], [">", n] and [">", n, "<", m], and the same
// with <= and >=.
func compileNumeric(argument any) (func(any) bool, error) {
	list, _ := argument.([]any)
	if len(list) != 2 && len(list) != 4 {
		return nil, errors.New("numeric takes an operator and a number, once or twice")
	}
	var tests []func(int64) bool
	var bounds []int64
	for i := 0; i < len(list); i += 2 {
		operator, _ := list[i].(string)
		n, ok := list[i+1].(json.Number)
		if !ok {
			return nil, errors.New("numeric compares with numbers")
		}
		bound, ok := scaled(string(n))
		if !ok {
			return nil, errNumber
		}
		test := map[string]func(int64) bool{
			"<": func(n int64) bool { return n < bound }, "<=": func(n int64) bool { return n <= bound },
			">": func(n int64) bool { return n > bound }, ">=": func(n int64) bool { return n >= bound },
			"=": func(n int64) bool { return n == bound },
		}[operator]
		if test == nil {
			return nil, fmt.Errorf("numeric does not know %q", operator)
		}
		if len(list) > 2 && !strings.HasPrefix(operator, []string{">", "<"}[i/2]) {
			return nil, fmt.Errorf("a range of numeric is > or >= and then < or <=, not %q", operator)
		}
		tests, bounds = append(tests, test), append(bounds, bound)
	}
	if len(bounds) > 1 && bounds[0] >= bounds[1] {
		return nil, errors.New("a range of numeric begins below its end")
	}
	return func(value any) bool {
		n, ok := value.(json.Number)
		if !ok {
			return false
		}
		v, ok := scaled(string(n))
		return ok && !slices.ContainsFunc(tests, func(test func(int64) bool) bool { return !test(v) })
	}, nil
}
