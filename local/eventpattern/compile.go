// Package eventpattern evaluates EventBridge's event patterns (EventBridge user guide,
// "Event patterns" and "Comparison operators for use in event patterns") and explains
// why an event does not match: which member differs, and how.
//
// Where the user guide is silent, it behaves as AWS's open-source engine does
// (github.com/aws/event-ruler): numbers compare by value, members of one element of an
// array must match together, and a dot in a name joins names. The guide says that 300
// and 300.0 are not equal; the engine and the service treat them as equal, and so does
// this package. It does not check whether a wildcard is too complex for EventBridge.
package eventpattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Pattern is an event pattern. Use [Compile]: the zero value matches every event. It is
// safe for concurrent use.
type Pattern struct {
	members []member   // in the order of their names
	either  []*Pattern // the alternatives of $or: one must match
	source  map[string]any
	absence bool // it only requires that members are absent
}

// member is a pattern's requirement for one member: conditions, one of which must be
// met, or a nested pattern.
type member struct {
	name       string
	conditions []condition
	below      *Pattern
	source     any
}

// Compile reads a pattern. It rejects what EventBridge rejects, and the error names the
// invalid member. If a name occurs twice, the last one counts.
func Compile(pattern []byte) (*Pattern, error) {
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
	return compileObject(object, "", false)
}

func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

const or = "$or"

// reserved are names that are operators, and not members, inside of $or.
var reserved = []string{"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after", "date-before",
	"date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range"}

func compileObject(object map[string]any, path string, inOr bool) (*Pattern, error) {
	object, err := undotted(object)
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	p := &Pattern{source: object, absence: true}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		value, at := object[key], join(path, key)
		if key == or {
			if p.either, err = compileOr(value, at, path); err != nil {
				return nil, err
			}
			p.absence = p.absence && !slices.ContainsFunc(p.either, func(b *Pattern) bool { return !b.absence })
			continue
		}
		if inOr && slices.Contains(reserved, key) {
			return nil, fmt.Errorf("%s: the name %s cannot stand in $or", at, key)
		}
		m := member{name: key, source: value}
		switch v := value.(type) {
		case map[string]any:
			if len(v) == 0 {
				return nil, fmt.Errorf("%s: an empty object", at)
			}
			if m.below, err = compileObject(v, at, inOr); err != nil {
				return nil, err
			}
			p.absence = p.absence && m.below.absence
		case []any:
			if m.conditions, err = compileList(v, at); err != nil {
				return nil, err
			}
			p.absence = p.absence && !slices.ContainsFunc(m.conditions, func(c condition) bool { return c.exists != mustNot })
		default:
			return nil, fmt.Errorf("%s: %q must be an object or an array", at, key)
		}
		p.members = append(p.members, m)
	}
	return p, nil
}

func compileOr(value any, at, path string) ([]*Pattern, error) {
	list, ok := value.([]any)
	if !ok || len(list) < 2 {
		return nil, fmt.Errorf("%s: $or takes an array of at least two patterns", at)
	}
	either := make([]*Pattern, 0, len(list))
	for _, item := range list {
		branch, ok := item.(map[string]any)
		if !ok || len(branch) == 0 {
			return nil, fmt.Errorf("%s: $or takes patterns", at)
		}
		compiled, err := compileObject(branch, path, true)
		if err != nil {
			return nil, err
		}
		either = append(either, compiled)
	}
	return either, nil
}

// undotted returns an object in which names with dots are replaced by nested objects:
// EventBridge treats both alike. It returns an error if a member is both a value and an
// object; the first of both is kept.
func undotted(object map[string]any) (map[string]any, error) {
	dotted := func(key string) bool { return strings.Contains(key, ".") }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(object)), dotted) {
		return object, nil
	}
	plain, err := make(map[string]any, len(object)), error(nil)
	for key, value := range object {
		if !dotted(key) {
			plain[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if dotted(key) && !put(plain, strings.Split(key, "."), object[key]) {
			err = fmt.Errorf("%q stands twice, with a dot and without", key)
		}
	}
	return plain, err
}

// put sets a nested member of an object and does not replace existing values. It reports
// whether the member could be set.
func put(object map[string]any, names []string, value any) bool {
	was, taken := object[names[0]]
	inner, isObject := was.(map[string]any)
	switch {
	case len(names) > 1 && !taken:
		inner = map[string]any{}
	case len(names) > 1 && isObject:
		inner = maps.Clone(inner)
	case len(names) > 1:
		return false
	default:
		other, both := value.(map[string]any)
		switch {
		case !taken:
			object[names[0]] = value
			return true
		case !isObject || !both:
			return false
		}
		inner, whole := maps.Clone(inner), true
		for key, v := range other {
			whole = put(inner, []string{key}, v) && whole
		}
		object[names[0]] = inner
		return whole
	}
	object[names[0]] = inner
	return put(inner, names[1:], value)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
