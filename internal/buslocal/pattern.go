package buslocal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Pattern is an event pattern (EventBridge user guide, "Event patterns"). Use
// [CompilePattern]. It is safe for concurrent use.
type Pattern struct {
	members map[string]node // nil node members never occur
	either  []*Pattern      // of $or: one must match
}

// node is what a pattern says of one member: conditions, or a pattern of its own.
type node struct {
	conditions []condition
	below      *Pattern
}

// condition judges one value; absent is true where there is none.
type condition func(value any, absent bool) bool

// CompilePattern reads a pattern. The error names the member that is wrong.
func CompilePattern(pattern []byte) (*Pattern, error) {
	value, err := decode(pattern)
	if err != nil {
		return nil, fmt.Errorf("event pattern is not JSON: %w", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("event pattern is not an object")
	}
	if len(object) == 0 {
		return nil, errors.New("event pattern is empty")
	}
	return compileObject(object, "")
}

func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

func compileObject(object map[string]any, path string) (*Pattern, error) {
	p := &Pattern{members: map[string]node{}}
	for key, value := range object {
		at := path + "." + key
		if list, ok := value.([]any); ok && key == "$or" {
			if len(list) < 2 {
				return nil, fmt.Errorf("%s: $or takes at least two patterns", at)
			}
			for _, item := range list {
				branch, ok := item.(map[string]any)
				if !ok || len(branch) == 0 {
					return nil, fmt.Errorf("%s: $or takes patterns", at)
				}
				compiled, err := compileObject(branch, at)
				if err != nil {
					return nil, err
				}
				p.either = append(p.either, compiled)
			}
			continue
		}
		switch v := value.(type) {
		case map[string]any:
			if len(v) == 0 {
				return nil, fmt.Errorf("%s: an empty object", at)
			}
			below, err := compileObject(v, at)
			if err != nil {
				return nil, err
			}
			p.members[key] = node{below: below}
		case []any:
			conditions, err := compileList(v, at)
			if err != nil {
				return nil, err
			}
			p.members[key] = node{conditions: conditions}
		default:
			return nil, fmt.Errorf("%s: %q must be an object or an array", at, key)
		}
	}
	return p, nil
}

func compileList(list []any, at string) ([]condition, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: an empty array matches nothing", at)
	}
	conditions := make([]condition, 0, len(list))
	for _, item := range list {
		var c condition
		var err error
		if object, ok := item.(map[string]any); ok {
			c, err = compileOperator(object)
		} else if _, nested := item.([]any); nested {
			err = errors.New("an array in an array")
		} else {
			c = present(func(v any) bool { return same(v, item) })
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

// present is a condition that no absent value meets.
func present(match func(any) bool) condition {
	return func(v any, absent bool) bool { return !absent && match(v) }
}

// textual is a condition on strings.
func textual(match func(string) bool) condition {
	return present(func(v any) bool { s, ok := v.(string); return ok && match(s) })
}

func compileOperator(object map[string]any) (condition, error) {
	if len(object) != 1 {
		return nil, errors.New("an operator has exactly one name")
	}
	for name, argument := range object {
		switch name {
		case "exists":
			want, ok := argument.(bool)
			if !ok {
				return nil, errors.New("exists takes true or false")
			}
			return func(_ any, absent bool) bool { return absent != want }, nil
		case "numeric":
			return compileNumeric(argument)
		case "cidr":
			text, _ := argument.(string)
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("cidr: %w", err)
			}
			return textual(func(s string) bool {
				address, err := netip.ParseAddr(s)
				return err == nil && prefix.Contains(address)
			}), nil
		case "anything-but":
			return compileAnythingBut(argument)
		default:
			match, err := compileText(name, argument)
			if err != nil {
				return nil, err
			}
			return textual(match), nil
		}
	}
	return nil, errors.New("an empty operator")
}

// compileText compiles prefix, suffix, equals-ignore-case and wildcard.
func compileText(name string, argument any) (func(string) bool, error) {
	fold := false
	if object, ok := argument.(map[string]any); ok && len(object) == 1 && (name == "prefix" || name == "suffix") {
		if inner, ok := object["equals-ignore-case"]; ok {
			argument, fold = inner, true
		}
	}
	text, ok := argument.(string)
	if !ok {
		return nil, fmt.Errorf("%s takes a string", name)
	}
	switch name {
	case "prefix":
		return func(s string) bool {
			return len(s) >= len(text) && equal(s[:len(text)], text, fold)
		}, nil
	case "suffix":
		return func(s string) bool {
			return len(s) >= len(text) && equal(s[len(s)-len(text):], text, fold)
		}, nil
	case "equals-ignore-case":
		return func(s string) bool { return strings.EqualFold(s, text) }, nil
	case "wildcard":
		return compileWildcard(text)
	default:
		return nil, fmt.Errorf("unknown operator %q", name)
	}
}

func equal(a, b string, fold bool) bool {
	if fold {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// compileWildcard reads * as any characters; \* and \\ are themselves.
func compileWildcard(text string) (func(string) bool, error) {
	if strings.Contains(text, "**") {
		return nil, errors.New("wildcard takes no two asterisks in a row")
	}
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		case text[i] == '\\':
			return nil, errors.New("wildcard takes a backslash before * or \\ only")
		case text[i] == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(text[i])
		}
	}
	parts = append(parts, part.String())
	return func(s string) bool { return wild(s, parts) }, nil
}

func wild(s string, parts []string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	last := parts[len(parts)-1]
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, last)
}

func compileAnythingBut(argument any) (condition, error) {
	if object, ok := argument.(map[string]any); ok {
		if len(object) != 1 {
			return nil, errors.New("anything-but takes one operator")
		}
		for name, inner := range object {
			list, ok := inner.([]any)
			if !ok {
				list = []any{inner}
			}
			var matches []func(string) bool
			for _, item := range list {
				match, err := compileText(name, item)
				if err != nil {
					return nil, fmt.Errorf("anything-but: %w", err)
				}
				matches = append(matches, match)
			}
			return textual(func(s string) bool {
				return !slices.ContainsFunc(matches, func(m func(string) bool) bool { return m(s) })
			}), nil
		}
	}
	list, ok := argument.([]any)
	if !ok {
		list = []any{argument}
	}
	if len(list) == 0 {
		return nil, errors.New("anything-but takes at least one value")
	}
	for _, item := range list {
		switch item.(type) {
		case string, json.Number:
		default:
			return nil, errors.New("anything-but takes strings or numbers")
		}
	}
	return present(func(v any) bool {
		return !slices.ContainsFunc(list, func(item any) bool { return same(v, item) })
	}), nil
}

func compileNumeric(argument any) (condition, error) {
	list, _ := argument.([]any)
	if len(list) != 2 && len(list) != 4 {
		return nil, errors.New("numeric takes an operator and a number, once or twice")
	}
	var tests []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		operator, _ := list[i].(string)
		bound, ok := number(list[i+1])
		if !ok {
			return nil, errors.New("numeric compares with numbers")
		}
		test := map[string]func(float64) bool{
			"<": func(f float64) bool { return f < bound }, "<=": func(f float64) bool { return f <= bound },
			">": func(f float64) bool { return f > bound }, ">=": func(f float64) bool { return f >= bound },
			"=": func(f float64) bool { return f == bound },
		}[operator]
		if test == nil {
			return nil, fmt.Errorf("numeric does not know %q", operator)
		}
		tests = append(tests, test)
	}
	return present(func(v any) bool {
		f, ok := number(v)
		return ok && !slices.ContainsFunc(tests, func(test func(float64) bool) bool { return !test(f) })
	}), nil
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// same compares two scalars; numbers by value.
func same(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a.(type) {
	case string, bool, nil:
		return a == b
	default:
		return false
	}
}

// Match reports whether an event, as JSON, matches. What is not a JSON object does not.
func (p *Pattern) Match(event []byte) bool {
	value, err := decode(event)
	if err != nil {
		return false
	}
	object, ok := value.(map[string]any)
	return ok && p.match(object)
}

func (p *Pattern) match(object map[string]any) bool {
	for key, n := range p.members {
		value, ok := object[key]
		if !n.match(value, !ok) {
			return false
		}
	}
	return len(p.either) == 0 || slices.ContainsFunc(p.either, func(branch *Pattern) bool { return branch.match(object) })
}

// match judges one member. Of an array any element may match; an empty one is absent.
func (n node) match(value any, absent bool) bool {
	if list, ok := value.([]any); ok {
		if len(list) == 0 {
			return n.match(nil, true)
		}
		return slices.ContainsFunc(list, func(item any) bool { return n.match(item, false) })
	}
	if n.below != nil {
		object, ok := value.(map[string]any)
		if !ok {
			object = map[string]any{} // what asks for absence below is met
		}
		return n.below.match(object)
	}
	if _, inner := value.(map[string]any); inner { // exists looks at leaves alone
		absent = true
	}
	return slices.ContainsFunc(n.conditions, func(c condition) bool { return c(value, absent) })
}
