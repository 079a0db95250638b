package jsonwalk

import "bytes"

// walk iterates over the parts of an object or an array. It ends at a malformed part.
type walk struct {
	At    int    // the index of the current value
	Value []byte // raw; it aliases the data
	End   int    // the index after Value; before the first that after the opening bracket
	Count int    // of the values so far
	After int    // the index after the closing bracket; 0 until the walk has reached it

	data []byte
	pos  int // the index after the last part; -1 if the walk is over
}

// begin returns a walk from the opening bracket at i, which spaces may precede. Without
// a bracket the walk has no parts, and After stays 0.
func begin(data []byte, i int, opening byte) walk {
	i = SkipSpace(data, i)
	if i >= len(data) || data[i] != opening {
		return walk{pos: -1}
	}
	return walk{data: data, pos: i + 1, End: i + 1}
}

// part returns the index of the next part, -1 if there is none.
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

// Skip skips the value at At, and reports whether it is well formed.
func (w *walk) Skip() bool { return w.Resume(SkipValue(w.data, w.At)) }

// Resume continues after the caller has read the value at At. end is the index after
// the value, negative if it is malformed. Resume reports whether it is well formed.
func (w *walk) Resume(end int) bool {
	if end < 0 {
		return false
	}
	w.Value, w.pos, w.End = w.data[w.At:end], end, end
	w.Count++
	return true
}

// Members iterates over the members of an object. Make one with [MembersOf].
type Members struct {
	Key []byte // without quotes and escapes
	walk
}

// MembersOf returns an iterator over the object at i, which spaces may precede.
func MembersOf(data []byte, i int) Members { return Members{walk: begin(data, i, '{')} }

// Next moves to the next member and reports whether there is one.
func (m *Members) Next() bool { return m.NextKey() && m.Skip() }

// NextKey is Next without the value: the caller must call Skip or Resume after it.
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

// Elements iterates over the elements of an array. Make one with [ElementsOf].
type Elements struct{ walk }

// ElementsOf returns an iterator over the array at i, which spaces may precede.
func ElementsOf(data []byte, i int) Elements { return Elements{begin(data, i, '[')} }

// Next moves to the next element and reports whether there is one.
func (e *Elements) Next() bool { return e.NextAt() && e.Skip() }

// NextAt is Next without the element: the caller must call Skip or Resume after it.
func (e *Elements) NextAt() bool {
	e.At = e.part(']')
	return e.At >= 0
}
