package eventpattern

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Event is a parsed event, to be matched against several patterns. The zero value has no
// members. It is safe for concurrent use.
type Event struct {
	object map[string]any
}

// Read reads an event, which is a JSON object.
func Read(event []byte) (Event, error) {
	value, err := decode(event)
	if err != nil {
		return Event{}, fmt.Errorf("event is not JSON: %w", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return Event{}, errors.New("event is not an object")
	}
	return Event{plain(object).(map[string]any)}, nil
}

// plain returns a value without dots in the names of its members. See undotted.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		v, _ = undotted(v) // in an event, the first of both counts
		for key, inner := range v {
			v[key] = plain(inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	}
	return value
}

// Match reports whether an event, as JSON, matches. Only a JSON object can match.
func (p *Pattern) Match(event []byte) bool {
	e, err := Read(event)
	return err == nil && p.Matches(e)
}

// Matches reports whether an event matches.
func (p *Pattern) Matches(e Event) bool { return p.match(e.object, "", nil) }

// Explain returns why an event does not match, one miss for each member that differs; nil if
// it matches. For $or it explains the nearest branch, and for an array of objects the nearest
// element.
func (p *Pattern) Explain(e Event) []Miss {
	r := &report{root: e.object}
	p.match(e.object, "", r)
	return r.misses
}

// Members returns the sorted names of the top-level members that the pattern requires.
func (p *Pattern) Members() []string {
	var names []string
	for _, m := range p.members {
		names = append(names, m.name)
	}
	for _, branch := range p.either {
		names = append(names, branch.Members()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// match reports whether an object matches. r, if not nil, records every miss; path is used
// only for r.
func (p *Pattern) match(object map[string]any, path string, r *report) bool {
	matches := true
	for i := range p.members {
		m := &p.members[i]
		at := ""
		if r != nil {
			at = join(path, m.name)
		}
		value, found := object[m.name]
		ok := false
		if m.below != nil {
			ok = m.matchBelow(value, found, at, r)
		} else {
			ok = m.matchLeaf(value, found, at, r)
		}
		switch {
		case ok:
		case r == nil:
			return false
		default:
			matches = false
			r.nameKey(p, object, path, m, found)
		}
	}
	return p.matchEither(object, path, r) && matches
}

// matchEither reports whether $or matches.
func (p *Pattern) matchEither(object map[string]any, path string, r *report) bool {
	if len(p.either) == 0 || slices.ContainsFunc(p.either, func(branch *Pattern) bool { return branch.match(object, "", nil) }) {
		return true
	}
	if r != nil {
		r.add(r.nearest(len(p.either), func(i int, r *report) { p.either[i].match(object, path, r) }, func(m *Miss) { m.Either = len(p.either) })...)
	}
	return false
}

// matchLeaf reports whether a member with conditions matches. In an array, any element may
// meet one. An empty array and an object count as absent, because conditions apply only to
// values.
func (m *member) matchLeaf(value any, found bool, path string, r *report) bool {
	values := [1]any{value}
	present := values[:]
	switch v := value.(type) {
	case []any:
		present = flat(nil, v, false)
	case map[string]any:
		present = nil
	}
	if !found {
		present = nil
	}
	for _, c := range m.conditions {
		switch {
		case c.exists == must && len(present) > 0, c.exists == mustNot && len(present) == 0:
			return true
		case c.exists == either && slices.ContainsFunc(present, c.match):
			return true
		}
	}
	if r != nil {
		r.add(m.leafMiss(value, found, present, path))
	}
	return false
}

// matchBelow reports whether a member with a nested pattern matches. In an array, any object
// may match; if the pattern only requires absence, all must. A value without members is
// treated as an empty object.
func (m *member) matchBelow(value any, found bool, path string, r *report) bool {
	var objects []any
	switch v := value.(type) {
	case map[string]any:
		return m.below.match(v, path, r)
	case []any:
		objects = flat(nil, v, true)
	}
	match := func(o any) bool { return m.below.match(o.(map[string]any), "", nil) }
	switch {
	case len(objects) == 0:
		if m.below.match(nil, "", nil) {
			return true
		}
		if r != nil {
			r.add(m.belowMiss(value, found, path))
		}
	case m.below.absence:
		i := slices.IndexFunc(objects, func(o any) bool { return !match(o) })
		if i < 0 {
			return true
		}
		if r != nil {
			m.below.match(objects[i].(map[string]any), at(path, i), r)
		}
	default:
		if slices.ContainsFunc(objects, match) {
			return true
		}
		if r != nil {
			r.add(m.elementMiss(r, objects, path)...)
		}
	}
	return false
}

// flat appends the objects of an array, or its other values, arrays in it included.
func flat(to, list []any, objects bool) []any {
	for _, item := range list {
		_, isObject := item.(map[string]any)
		if inner, ok := item.([]any); ok {
			to = flat(to, inner, objects)
		} else if isObject == objects {
			to = append(to, item)
		}
	}
	return to
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
