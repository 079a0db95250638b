package detail

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxDepth is the maximum nesting of a detail (API reference, PutEvents).
const maxDepth = 1000

// Error is the reason why a detail, or a value to encode, is rejected. It is
// safe for concurrent use.
type Error struct {
	// Path is the JSON path of the value, such as $.legs[2].price.
	Path string
	// Reason is what is wrong and, if it helps, what to do.
	Reason string
}

func (e *Error) Error() string { return e.Path + ": " + e.Reason }

// Validate reports what EventBridge would reject or change in a detail. A
// detail must be a JSON object (RFC 8259) in UTF-8, nested at most 1000 deep,
// with integers within int64. The error is an [*Error]; without an error
// Validate does not allocate. Validate is safe for concurrent use.
func Validate(detail []byte) error {
	s := scanner{data: detail, valid: utf8.Valid(detail)}
	i := s.space(0)
	if i >= len(detail) || detail[i] != '{' {
		return (&fault{reason: "a detail must be a JSON object"}).error()
	}
	end, f := s.value(i, 0)
	if f == nil && s.space(end) != len(detail) {
		f = &fault{reason: "there is more after the object"}
	}
	return f.error()
}

// fault is an Error whose path grows while the call stack unwinds.
type fault struct {
	path   []string // innermost first
	reason string
}

func (f *fault) in(segment string) *fault {
	f.path = append(f.path, segment)
	return f
}

func (f *fault) error() error {
	if f == nil {
		return nil
	}
	var path strings.Builder
	path.WriteByte('$')
	for i := len(f.path) - 1; i >= 0; i-- {
		path.WriteString(f.path[i])
	}
	return &Error{path.String(), f.reason}
}

// member is the segment of a path that names an object's member.
func member(key string) string {
	for i, r := range key {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return "[" + strconv.Quote(key) + "]"
		}
	}
	if key == "" {
		return `[""]`
	}
	return "." + key
}

func element(i int) string { return "[" + strconv.Itoa(i) + "]" }

// scanner reads JSON in place and builds nothing.
type scanner struct {
	data  []byte
	valid bool // the whole is valid UTF-8: strings need not be looked at again
}

func (s *scanner) space(i int) int {
	for i < len(s.data) && (s.data[i] == ' ' || s.data[i] == '\n' || s.data[i] == '\r' || s.data[i] == '\t') {
		i++
	}
	return i
}

const (
	endsEarly = "the JSON ends early"
	tooDeep   = "nested more than 1000 deep"
)

// value returns the index after the value at i, which is nested depth levels
// deep.
func (s *scanner) value(i, depth int) (int, *fault) {
	if i >= len(s.data) {
		return 0, &fault{reason: endsEarly}
	}
	switch c := s.data[i]; {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return 0, &fault{reason: tooDeep}
		}
		if c == '{' {
			return s.object(i, depth+1)
		}
		return s.array(i, depth+1)
	case c == '"':
		return s.text(i)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	case c == 't':
		return s.word(i, "true")
	case c == 'f':
		return s.word(i, "false")
	case c == 'n':
		return s.word(i, "null")
	}
	return 0, &fault{reason: "not JSON at byte " + strconv.Itoa(i)}
}

func (s *scanner) object(i, depth int) (int, *fault) {
	if i = s.space(i + 1); i < len(s.data) && s.data[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(s.data) || s.data[i] != '"' {
			return 0, s.expected(i, "a member's name")
		}
		end, f := s.text(i)
		if f != nil {
			f.reason = "a member's name: " + f.reason
			return 0, f
		}
		key := s.data[i:end]
		if i = s.space(end); i >= len(s.data) || s.data[i] != ':' {
			return 0, s.expected(i, "a colon").in(quotedMember(key))
		}
		if i, f = s.value(s.space(i+1), depth); f != nil {
			return 0, f.in(quotedMember(key))
		}
		if i = s.space(i); i < len(s.data) && s.data[i] == '}' {
			return i + 1, nil
		}
		if i >= len(s.data) || s.data[i] != ',' {
			return 0, s.expected(i, "a comma or a closing brace")
		}
		i = s.space(i + 1)
	}
}

func (s *scanner) array(i, depth int) (int, *fault) {
	if i = s.space(i + 1); i < len(s.data) && s.data[i] == ']' {
		return i + 1, nil
	}
	for n := 0; ; n++ {
		var f *fault
		if i, f = s.value(i, depth); f != nil {
			return 0, f.in(element(n))
		}
		if i = s.space(i); i < len(s.data) && s.data[i] == ']' {
			return i + 1, nil
		}
		if i >= len(s.data) || s.data[i] != ',' {
			return 0, s.expected(i, "a comma or a closing bracket")
		}
		i = s.space(i + 1)
	}
}

func (s *scanner) expected(i int, what string) *fault {
	if i >= len(s.data) {
		return &fault{reason: endsEarly}
	}
	return &fault{reason: "not JSON at byte " + strconv.Itoa(i) + ", where " + what + " should stand"}
}

// quotedMember is member of a name as it stands in JSON.
func quotedMember(quoted []byte) string {
	var key string
	if json.Unmarshal(quoted, &key) != nil {
		key = string(quoted)
	}
	return member(key)
}

func (s *scanner) word(i int, word string) (int, *fault) {
	if len(s.data)-i < len(word) || string(s.data[i:i+len(word)]) != word {
		return 0, s.expected(i, word)
	}
	return i + len(word), nil
}

func (s *scanner) number(i int) (int, *fault) {
	start, d := i, s.data
	if d[i] == '-' {
		i++
	}
	switch {
	case i < len(d) && d[i] == '0':
		i++
	default:
		if i = jsonwalk.SkipDigits(s.data, i); i < 0 {
			return 0, s.expected(start, "a number")
		}
	}
	whole := true
	if i < len(d) && d[i] == '.' {
		if i, whole = jsonwalk.SkipDigits(s.data, i+1), false; i < 0 {
			return 0, s.expected(start, "a number")
		}
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		whole = false
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		if i = jsonwalk.SkipDigits(s.data, i); i < 0 {
			return 0, s.expected(start, "a number")
		}
	}
	const safe = 18 // digits that always fit
	if whole && i-start > safe {
		if _, err := strconv.ParseInt(string(d[start:i]), 10, 64); err != nil {
			return 0, &fault{reason: beyondInt64}
		}
	}
	return i, nil
}

const beyondInt64 = "an integer beyond int64, which EventBridge does not keep: send it as a string"

// text returns the index after the string at i.
func (s *scanner) text(i int) (int, *fault) {
	start, d := i, s.data
	for i++; ; {
		if i = jsonwalk.SkipPlain(d, i); i == len(d) {
			return 0, &fault{reason: endsEarly}
		}
		switch d[i] {
		case '"':
			if !s.valid && !utf8.Valid(d[start:i]) {
				return 0, &fault{reason: notUTF8}
			}
			return i + 1, nil
		case '\\':
			end := jsonwalk.SkipEscape(d, i)
			if end < 0 {
				return 0, &fault{reason: "not an escape, at byte " + strconv.Itoa(i)}
			}
			i = end
		default:
			return 0, &fault{reason: "a control character in a string, at byte " + strconv.Itoa(i)}
		}
	}
}

const notUTF8 = "not UTF-8"
