package jsonwalk

import "bytes"

// Members walks over the members of an object. Use [MembersOf].
type Members struct {
	Key   []byte // without quotes and escapes
	At    int    // where the value begins
	Value []byte // raw; it aliases the data
	End   int    // the index after Value, or after the opening brace
	Count int    // of the members so far
	After int    // the index after the object; 0 until the walk has reached its end

	data []byte
	pos  int // where the next member, or the end, is looked for; -1 when the walk is over
}

// MembersOf begins at the object at i, where space may stand. Where there is
// none it has no members, and no end.
func MembersOf(data []byte, i int) Members {
	i = SkipSpace(data, i)
	if i >= len(data) || data[i] != '{' {
		return Members{pos: -1}
	}
	return Members{data: data, pos: i + 1, End: i + 1}
}

// Next goes to the next member and says whether there is one. What is malformed
// ends the walk.
func (m *Members) Next() bool { return m.NextKey() && m.Skip() }

// NextKey is Next as far as the value, which begins at At: [Members.Skip] or
// [Members.Resume] must follow.
func (m *Members) NextKey() bool {
	if m.pos < 0 {
		return false
	}
	b, i := m.data, SkipSpace(m.data, m.pos)
	m.pos = -1
	if i < len(b) && b[i] == '}' {
		m.After = i + 1
		return false
	}
	if m.Count > 0 {
		if i >= len(b) || b[i] != ',' {
			return false
		}
		i = SkipSpace(b, i+1)
	}
	keyEnd, value := skipKey(b, i)
	if value < 0 {
		return false
	}
	m.Key, m.At = b[i+1:keyEnd-1], value
	if bytes.IndexByte(m.Key, '\\') >= 0 {
		m.Key = unescape(m.Key)
	}
	return true
}

// Skip finds the end of the value at At, and says whether it is well formed.
func (m *Members) Skip() bool { return m.Resume(SkipValue(m.data, m.At)) }

// Resume goes on where somebody has read the value to its end; below 0 it is
// malformed.
func (m *Members) Resume(end int) bool {
	if end < 0 {
		return false
	}
	m.Value, m.pos, m.End = m.data[m.At:end], end, end
	m.Count++
	return true
}

// Elements walks over the elements of an array. Use [ElementsOf].
type Elements struct {
	At    int    // where the element begins
	Value []byte // raw; it aliases the data
	End   int    // the index after Value
	Count int    // of the elements so far
	After int    // the index after the array; 0 until the walk has reached its end

	data []byte
	pos  int // as in Members
}

// ElementsOf begins at the array at i, where space may stand. Where there is
// none it has no elements.
func ElementsOf(data []byte, i int) Elements {
	i = SkipSpace(data, i)
	if i >= len(data) || data[i] != '[' {
		return Elements{pos: -1}
	}
	return Elements{data: data, pos: i + 1}
}

// Next goes to the next element and says whether there is one. What is
// malformed ends the walk.
func (e *Elements) Next() bool { return e.NextAt() && e.Resume(SkipValue(e.data, e.At)) }

// NextAt is Next as far as the element, which begins at At: [Elements.Resume]
// must follow. After is set where there is no further one.
func (e *Elements) NextAt() bool {
	if e.pos < 0 {
		return false
	}
	b, i := e.data, SkipSpace(e.data, e.pos)
	e.pos = -1
	if i < len(b) && b[i] == ']' {
		e.After = i + 1
		return false
	}
	if e.Count > 0 {
		if i >= len(b) || b[i] != ',' {
			return false
		}
		i = SkipSpace(b, i+1)
	}
	e.At = i
	return true
}

// Resume goes on where somebody has read the element to its end; below 0 it is
// malformed.
func (e *Elements) Resume(end int) bool {
	if end < 0 {
		return false
	}
	e.Value, e.pos, e.End = e.data[e.At:end], end, end
	e.Count++
	return true
}
