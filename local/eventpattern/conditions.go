package eventpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// condition is a condition on one value, or, if exists is set, on the member's presence only.
type condition struct {
	exists presence
	match  func(value any) bool
	// The condition on a string, which is used to find near misses.
	text *text
	// Whether the condition is anything-but, numeric or cidr: their misses have kinds of
	// their own.
	but, numeric, cidr bool
}

// presence is what a condition requires of a member's existence.
type presence int

const (
	either presence = iota // nothing
	must
	mustNot
)

func compileList(list []any, at string) ([]condition, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: an empty array matches nothing", at)
	}
	conditions := make([]condition, 0, len(list))
	for _, item := range list {
		c, err := compileItem(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func compileItem(item any) (condition, error) {
	switch v := item.(type) {
	case map[string]any:
		return compileOperator(v)
	case []any:
		return condition{}, errors.New("an array in an array")
	case string:
		return textual(&text{op: "exactly", text: v}), nil
	default:
		return condition{match: func(value any) bool { return same(value, item) }}, nil
	}
}

// textual is a condition on strings.
func textual(t *text) condition {
	return condition{text: t, match: func(value any) bool {
		s, ok := value.(string)
		return ok && t.holds(s, nil)
	}}
}

func compileOperator(object map[string]any) (condition, error) {
	if len(object) != 1 {
		return condition{}, errors.New("an operator has exactly one name")
	}
	var name string
	var argument any
	for name, argument = range object {
	}
	switch name {
	case "exists":
		want, ok := argument.(bool)
		switch {
		case !ok:
			return condition{}, errors.New("exists takes true or false")
		case want:
			return condition{exists: must}, nil
		default:
			return condition{exists: mustNot}, nil
		}
	case "numeric":
		match, err := compileNumeric(argument)
		return condition{match: match, numeric: true}, err
	case "cidr":
		prefix, err := netip.ParsePrefix(asText(argument))
		if err != nil {
			return condition{}, fmt.Errorf("cidr takes an address and the length of its prefix, as 10.0.0.0/24: %w", err)
		}
		return condition{cidr: true, match: func(value any) bool {
			address, err := netip.ParseAddr(asText(value))
			return err == nil && prefix.Contains(address)
		}}, nil
	case "anything-but":
		match, err := compileAnythingBut(argument)
		return condition{match: match, but: true}, err
	}
	t, err := compileText(name, argument)
	if err != nil {
		return condition{}, err
	}
	return textual(t), nil
}

func asText(value any) string {
	s, _ := value.(string)
	return s
}

// text is a condition on a string.
type text struct {
	op    string // exactly, prefix, suffix, equals-ignore-case, wildcard
	text  string
	fold  bool     // prefix and suffix ignore case
	parts []string // the parts of a wildcard between its asterisks
}

// compileText compiles prefix, suffix, equals-ignore-case, wildcard and exactly.
func compileText(name string, argument any) (*text, error) {
	t := &text{op: name}
	if object, ok := argument.(map[string]any); ok && len(object) == 1 && (name == "prefix" || name == "suffix") {
		if inner, ok := object["equals-ignore-case"]; ok {
			argument, t.fold = inner, true
		}
	}
	switch name {
	case "prefix", "suffix", "equals-ignore-case", "wildcard", "exactly":
	default:
		return nil, fmt.Errorf("unknown operator %q", name)
	}
	var ok bool
	if t.text, ok = argument.(string); !ok {
		return nil, fmt.Errorf("%s takes a string", name)
	}
	var err error
	if name == "wildcard" {
		t.parts, err = splitWildcard(t.text)
	}
	return t, err
}

// holds reports whether a string meets the condition. form, if not nil, is applied to both
// sides first.
func (t *text) holds(s string, form func(string) string) bool {
	want := t.text
	if form == nil {
		form = func(s string) string { return s }
	} else {
		s, want = form(s), form(want)
	}
	switch t.op {
	case "exactly":
		return s == want || sameAddress(s, want)
	case "prefix":
		return len(s) >= len(want) && equal(s[:len(want)], want, t.fold)
	case "suffix":
		return len(s) >= len(want) && equal(s[len(s)-len(want):], want, t.fold)
	case "equals-ignore-case":
		return strings.EqualFold(s, want)
	}
	parts := make([]string, len(t.parts))
	for i, part := range t.parts {
		parts[i] = form(part)
	}
	return wild(s, parts)
}

// sameAddress reports whether two texts are the same IP address, however it is written.
func sameAddress(a, b string) bool {
	if !strings.Contains(a, ":") || !strings.Contains(b, ":") { // IPv4 addresses have one spelling
		return false
	}
	x, err := netip.ParseAddr(a)
	y, wrong := netip.ParseAddr(b)
	return err == nil && wrong == nil && x == y
}

func equal(a, b string, fold bool) bool {
	if fold {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// splitWildcard splits a wildcard at each *, which matches any characters; \* and \\ are
// literal characters.
func splitWildcard(text string) ([]string, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		case text[i] == '\\':
			return nil, errors.New("wildcard takes a backslash before * or \\ only")
		case text[i] == '*' && i+1 < len(text) && text[i+1] == '*':
			return nil, errors.New("wildcard takes no two asterisks in a row")
		case text[i] == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(text[i])
		}
	}
	return append(parts, part.String()), nil
}

func wild(s string, parts []string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
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
	return strings.HasSuffix(s, parts[len(parts)-1])
}

func compileAnythingBut(argument any) (func(any) bool, error) {
	if object, ok := argument.(map[string]any); ok {
		if len(object) != 1 {
			return nil, errors.New("anything-but takes one operator")
		}
		for name, inner := range object {
			texts, err := excludedTexts(name, inner)
			return func(value any) bool {
				s, ok := value.(string)
				return !ok || !slices.ContainsFunc(texts, func(t *text) bool { return t.holds(s, nil) })
			}, err
		}
	}
	list := listOf(argument)
	if len(list) == 0 {
		return nil, errors.New("anything-but takes at least one value")
	}
	_, texts := list[0].(string)
	for _, item := range list {
		_, isText := item.(string)
		n, isNumber := item.(json.Number)
		_, comparable := scaled(string(n))
		switch {
		case !isText && !isNumber || isText != texts:
			return nil, errors.New("anything-but takes strings, or numbers, and not both")
		case isNumber && !comparable:
			return nil, errNumber
		}
	}
	return func(value any) bool {
		return !slices.ContainsFunc(list, func(item any) bool { return same(value, item) })
	}, nil
}

// excludedTexts returns the conditions that anything-but excludes by an operator on strings.
func excludedTexts(name string, argument any) ([]*text, error) {
	list := listOf(argument)
	if len(list) == 0 || name == "exactly" {
		return nil, fmt.Errorf("anything-but takes no %s of this", name)
	}
	var texts []*text
	for _, item := range list {
		t, err := compileText(name, item)
		switch {
		case err != nil:
			return nil, fmt.Errorf("anything-but: %w", err)
		case t.fold:
			return nil, fmt.Errorf("anything-but takes %s of strings alone", name)
		case t.text == "" && (name == "prefix" || name == "suffix"):
			return nil, fmt.Errorf("anything-but takes no empty %s", name)
		}
		texts = append(texts, t)
	}
	return texts, nil
}

func listOf(argument any) []any {
	if list, ok := argument.([]any); ok {
		return list
	}
	return []any{argument}
}
