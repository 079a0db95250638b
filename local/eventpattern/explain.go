package eventpattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Kind is how an event differs from what a pattern wants of one member.
type Kind string

// The kinds. In a near miss, the rule and the event probably mean the same and are written
// differently.
const (
	Capital     Kind = "capital"      // near: the same text in different case
	Type        Kind = "type"         // near: the same text as another type, "1" and 1
	Space       Kind = "space"        // near: the same text except for white space or invisible characters
	Punctuation Kind = "punctuation"  // near: the same text except for punctuation and case
	Spelling    Kind = "spelling"     // near: a text that differs in few letters
	KeyCapital  Kind = "key-capital"  // near: the member's name has different case
	KeySpelling Kind = "key-spelling" // near: the member's name is spelt differently
	Elsewhere   Kind = "elsewhere"    // near: the member is at another place of the event
	Index       Kind = "index"        // near: the rule names an element of an array by its number
	JSONText    Kind = "json-text"    // near: the event has JSON in a string, and no members
	Array       Kind = "array"        // near: the event has an array of values, and no members
	Object      Kind = "object"       // near: the event has an object, and conditions look at values
	Scalar      Kind = "scalar"       // near: the event has a value, and no members
	Split       Kind = "split"        // near: no single element of an array meets the whole rule
	Null        Kind = "null"         // the event has null
	Empty       Kind = "empty"        // the event has an empty text or array
	Missing     Kind = "missing"      // the event has no such member
	Present     Kind = "present"      // the rule wants the member absent
	Excluded    Kind = "excluded"     // anything-but excludes the value
	Range       Kind = "range"        // the number or the address is outside of the range
	Value       Kind = "value"        // the event has another value
)

// Near reports whether the kind is that of a near miss.
func (k Kind) Near() bool {
	switch k {
	case Null, Empty, Missing, Present, Excluded, Range, Value:
		return false
	}
	return k != ""
}

// Miss is a member in which an event differs from a pattern.
type Miss struct {
	Path string `json:"member"` // detail.items[0].sku
	Kind Kind   `json:"kind"`
	// Wants is the pattern's requirement for the member, and Has the event's value, "" if
	// there is none. Both are JSON, truncated if long.
	Wants string `json:"wants"`
	Has   string `json:"has,omitempty"`
	// At is where the event has what the pattern looks for at Path: the name of another
	// member, or a path.
	At string `json:"at,omitempty"`
	// Either is the number of alternatives of the $or if this is a miss of its nearest
	// alternative, else 0.
	Either int `json:"either,omitempty"`
}

// String describes the miss in one line.
func (m Miss) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the rule wants %s", m.Path, m.Wants)
	if m.Has != "" {
		fmt.Fprintf(&b, ", the event has %s", m.Has)
	}
	if note := m.note(); note != "" {
		b.WriteString(": " + note)
	}
	if m.Either > 0 {
		fmt.Fprintf(&b, " (the nearest of %d in $or)", m.Either)
	}
	return b.String()
}

func (m Miss) note() string {
	switch m.Kind {
	case Capital:
		return "they differ in capitals"
	case Type:
		return "they differ in type"
	case Space:
		return "they differ in white space"
	case Punctuation:
		return "they differ in punctuation"
	case Spelling:
		return "they differ in few letters"
	case KeyCapital, KeySpelling:
		return "the event calls it " + m.At
	case Elsewhere:
		return "the event has it at " + m.At
	case Index:
		return "a rule counts no elements, it takes any of an array"
	case JSONText:
		return "that is JSON in a string, which has no members"
	case Array:
		return "that is an array of values, which have no members"
	case Object:
		return "that is an object, and a rule looks at values"
	case Scalar:
		return "that is a value, which has no members"
	case Split:
		return "no one element has all of it"
	case Missing:
		return "the event has no such member"
	case Excluded:
		return "the rule leaves it out"
	case Range:
		return "it is outside of the range"
	}
	return ""
}

// Distance orders lists of misses: less is nearer to a match. A difference in the source or
// type that is no near miss counts more than all differences in the detail.
func Distance(misses []Miss) int {
	const near, far, other = 1, 3, 100
	sum := 0
	for _, m := range misses {
		switch {
		case m.Kind.Near():
			sum += near
		case m.Path == "source" || m.Path == "detail-type":
			sum += other
		default:
			sum += far
		}
	}
	return sum
}

// report collects misses.
type report struct {
	root   map[string]any
	misses []Miss
}

func (r *report) add(misses ...Miss) { r.misses = append(r.misses, misses...) }

// nearest returns the misses of the nearest of n alternatives.
func (r *report) nearest(n int, explain func(int, *report), mark func(*Miss)) []Miss {
	var best []Miss
	for i := range n {
		part := &report{root: r.root}
		explain(i, part)
		if best == nil || Distance(part.misses) < Distance(best) {
			best = part.misses
		}
	}
	for i := range best {
		mark(&best[i])
	}
	return best
}

// elementMiss returns why no element of an array matches: the misses of the nearest
// element, or that each element matches only in part.
func (m *member) elementMiss(r *report, objects []any, path string) []Miss {
	var everywhere map[string]bool // missed by each element
	best := r.nearest(len(objects), func(i int, part *report) {
		m.below.match(objects[i].(map[string]any), at(path, i), part)
		missed := map[string]bool{}
		for _, miss := range part.misses {
			if inner := strings.TrimPrefix(miss.Path, at(path, i)); everywhere == nil || everywhere[inner] {
				missed[inner] = true
			}
		}
		everywhere = missed
	}, func(*Miss) {})
	if len(everywhere) == 0 {
		return []Miss{{Path: path, Kind: Split, Wants: short(m.source), Has: short(objects)}}
	}
	return best
}

// belowMiss returns the miss of a member that should have members and has none.
func (m *member) belowMiss(value any, found bool, path string) Miss {
	miss := Miss{Path: path, Wants: short(m.source), Kind: Scalar}
	if !found {
		miss.Kind = Missing
		return miss
	}
	miss.Has = short(value)
	switch v := value.(type) {
	case nil:
		miss.Kind = Null
	case []any:
		miss.Kind = Array
		if len(v) == 0 {
			miss.Kind = Empty
		} else if slices.ContainsFunc(m.below.members, func(m member) bool { return digits(m.name) }) {
			miss.Kind = Index
		}
	case string:
		if inner, err := decode([]byte(v)); err == nil {
			switch inner.(type) {
			case map[string]any, []any:
				miss.Kind = JSONText
			}
		}
	}
	return miss
}

// leafMiss returns the miss of a member that meets none of its conditions.
func (m *member) leafMiss(value any, found bool, present []any, path string) Miss {
	miss := Miss{Path: path, Wants: m.wants(), Kind: Missing}
	if !found {
		return miss
	}
	miss.Has = short(value)
	list, isArray := value.([]any)
	_, isObject := value.(map[string]any)
	switch {
	case isArray && len(list) == 0:
		miss.Kind = Empty
	case isObject, isArray && len(present) == 0:
		miss.Kind = Object
	case !isArray:
		miss.Kind = m.valueKind(value)
	default:
		miss.Kind = m.valueKind(present[0])
		for i, v := range present {
			if kind := m.valueKind(v); kind.Near() {
				miss.Kind, miss.Has = kind, short(v)
				if len(present) == len(list) {
					miss.Path = at(path, i)
				}
				break
			}
		}
	}
	return miss
}

// valueKind returns how a scalar differs from what the conditions want.
func (m *member) valueKind(value any) Kind {
	all := func(is func(condition) bool) bool {
		return !slices.ContainsFunc(m.conditions, func(c condition) bool { return !is(c) })
	}
	some := func(is func(condition) bool) bool { return slices.ContainsFunc(m.conditions, is) }
	if all(func(c condition) bool { return c.exists == mustNot }) {
		return Present
	}
	s, isText := value.(string)
	for _, other := range retyped(value) {
		if some(func(c condition) bool { return c.exists == either && !c.but && c.match(other) }) {
			return Type
		}
	}
	if isText {
		for _, n := range []struct {
			kind Kind
			form func(string) string
		}{{Capital, strings.ToLower}, {Space, unspaced}, {Punctuation, bare}} {
			if some(func(c condition) bool {
				return c.text != nil && (n.kind != Punctuation || c.text.op != "wildcard") && c.text.holds(s, n.form)
			}) {
				return n.kind
			}
		}
		if some(func(c condition) bool { return c.text != nil && c.text.op == "exactly" && misspelt(s, c.text.text) }) {
			return Spelling
		}
	}
	_, isNumber := value.(json.Number)
	_, notAddress := netip.ParseAddr(s)
	switch {
	case value == nil:
		return Null
	case isText && strings.TrimSpace(s) == "":
		return Empty
	case isNumber && some(func(c condition) bool { return c.numeric }), notAddress == nil && some(func(c condition) bool { return c.cidr }):
		return Range
	case !isNumber && all(func(c condition) bool { return c.numeric }):
		return Type
	case all(func(c condition) bool { return c.but }):
		return Excluded
	}
	return Value
}

// retyped returns a scalar as the other types that its author may have meant: the text of
// a number, the number of a text.
func retyped(value any) []any {
	switch v := value.(type) {
	case string:
		if other, err := decode([]byte(strings.ToLower(strings.TrimSpace(v)))); err == nil {
			return []any{other}
		}
	case json.Number:
		return []any{string(v), v == "1"}
	case bool:
		if v {
			return []any{"true", "True", json.Number("1")}
		}
		return []any{"false", "False", json.Number("0")}
	case nil:
		return []any{"null", ""}
	}
	return nil
}

// wants returns the pattern's requirement for the member: a single condition, or the list.
func (m *member) wants() string {
	if list, ok := m.source.([]any); ok && len(list) == 1 {
		return short(list[0])
	}
	return short(m.source)
}

// short returns a value as JSON, truncated if long.
func short(value any) string {
	const longest = 200
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// nameKey adds to the miss of an absent member where the event may have it: under a similar
// name, or at another place.
func (r *report) nameKey(p *Pattern, object map[string]any, path string, m *member, found bool) {
	miss := &r.misses[len(r.misses)-1]
	if found || miss.Kind != Missing || miss.Path != join(path, m.name) {
		return
	}
	if digits(m.name) && strings.HasSuffix(path, "]") {
		miss.Kind = Index
		return
	}
	named := func(key string) bool {
		return slices.ContainsFunc(p.members, func(m member) bool { return m.name == key })
	}
	for _, n := range []struct {
		kind Kind
		is   func(a, b string) bool
	}{{KeyCapital, strings.EqualFold}, {KeySpelling, Alike}} {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if !named(key) && n.is(key, m.name) {
				miss.Kind, miss.At, miss.Has = n.kind, key, short(object[key])
				return
			}
		}
	}
	if where, value := search(r.root, "", m, new(int)); where != "" {
		miss.Kind, miss.At, miss.Has = Elsewhere, where, short(value)
	}
}

// search finds a member of an event that has the name and meets the pattern's requirement.
func search(object map[string]any, path string, m *member, looked *int) (string, any) {
	const enough = 10_000
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if *looked++; *looked > enough {
			return "", nil
		}
		value, here := object[key], join(path, key)
		if key == m.name && m.asked() && (m.below != nil && m.matchBelow(value, true, "", nil) || m.below == nil && m.matchLeaf(value, true, "", nil)) {
			return here, value
		}
		inner, ok := value.(map[string]any)
		if !ok {
			continue
		}
		if where, found := search(inner, here, m, looked); where != "" {
			return where, found
		}
	}
	return "", nil
}

// asked reports whether the member's pattern requires a value.
func (m *member) asked() bool {
	if m.below != nil {
		return !m.below.absence
	}
	return slices.ContainsFunc(m.conditions, func(c condition) bool { return c.exists == either })
}

func digits(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }
