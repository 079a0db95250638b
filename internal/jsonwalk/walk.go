package jsonwalk

import "bytes"

// walk goes over the parts of an object or an array. What is malformed ends it.
type walk struct {
	At    int    // where the value begins
	Value []byte // raw; it aliases the data
	End   int    // the index after Value; before the first that after the opening bracket
	Count int    // of the values so far
	After int    // the index after the closing bracket; 0 until the walk has come there

	data []byte
	pos  int // where the next part, or the end, is looked for; -1 when the walk is over
}

// begin is a walk from the bracket at i, where space may stand. Where there is
// none it has no parts, and no end.
func begin(data []byte, i int, opening byte) walk {
	i = SkipSpace(data, i)
	if i >= len(data) || data[i] != opening {
		return walk{pos: -1}
	}
	return walk{data: data, pos: i + 1, End: i + 1}
}

// part returns the index where the next part begins, -1 where there is none.
func (w *walk) part(closing byte) int {
	if w.pos < 0 {
		return -1
	}
	b, i := w.data, SkipSpace(w.data, w.pos)
	w.pos = -1
	switch {
	case i < len(b) && b[i] == closing:
		w.After = i + 1
		return -1
	case w.Count == 0:
		return i
	case i < len(b) && b[i] == ',':
		return SkipSpace(b, i+1)
	default:
		return -1
	}
}

// Skip finds the end of the value at At, and says whether it is well formed.
func (w *walk) Skip() bool { return w.Resume(SkipValue(w.data, w.At)) }

// Resume goes on where somebody has read the value to its end; below 0 it is
// malformed.
func (w *walk) Resume(end int) bool {
	if end < 0 {
		return false
	}
	w.Value, w.pos, w.End = w.data[w.At:end], end, end
	w.Count++
	return true
}

// Members walks over the members of an object. Use [MembersOf].
type Members struct {
	Key []byte // without quotes and escapes
	walk
}

// MembersOf begins at the object at i, where space may stand.
func MembersOf(data []byte, i int) Members { return Members{walk: begin(data, i, '{')} }

// Next goes to the next member and says whether there is one.
func (m *Members) Next() bool { return m.NextKey() && m.Skip() }

// NextKey is Next as far as the value: Skip or Resume must follow.
func (m *Members) NextKey() bool {
	i := m.part('}')
	if i < 0 {
		return false
	}
	keyEnd, value := skipKey(m.data, i)
	if value < 0 {
		return false
	}
	m.Key, m.At = m.data[i+1:keyEnd-1], value
	if bytes.IndexByte(m.Key, '\\') >= 0 {
		m.Key = unescape(m.Key)
	}
	return true
}

// Elements walks over the elements of an array. Use [ElementsOf].
type Elements struct{ walk }

// ElementsOf begins at the array at i, where space may stand.
func ElementsOf(data []byte, i int) Elements { return Elements{begin(data, i, '[')} }

// Next goes to the next element and says whether there is one.
func (e *Elements) Next() bool { return e.NextAt() && e.Skip() }

// NextAt is Next as far as the element: Skip or Resume must follow.
func (e *Elements) NextAt() bool {
	e.At = e.part(']')
	return e.At >= 0
}
