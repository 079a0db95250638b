package cborwalk

// walk goes over the parts of a list or a map. What is malformed ends it.
type walk struct {
	Head  Head   // of the list or map
	Begin int    // where its head stands
	At    int    // where the value begins
	Value []byte // raw: a whole data item; it aliases the data
	End   int    // the index after Value; before the first part that after the head
	Count int    // of the values so far
	After int    // the index after the list or map; 0 until the walk has come there

	data []byte
	pos  int // where the next part, or the end, is looked for; -1 when the walk is over
}

// begin is a walk over the item at i. Where that is of another type it has no
// parts, and no end.
func begin(data []byte, i int, major Major) walk {
	h, ok := HeadAt(data, i)
	if !ok || h.Major != major || h.Argument > uint64(len(data)) {
		return walk{pos: -1}
	}
	return walk{Head: h, Begin: i, data: data, pos: i + h.Size, End: i + h.Size}
}

// part returns the index where the next part begins, -1 where there is none.
func (w *walk) part() int {
	if w.pos < 0 {
		return -1
	}
	i := w.pos
	w.pos = -1
	switch {
	case w.Head.Indefinite && i < len(w.data) && w.data[i] == stop:
		w.After = i + 1
		return -1
	case !w.Head.Indefinite && uint64(w.Count) == w.Head.Argument:
		w.After = i
		return -1
	}
	return i
}

// Skip finds the end of the value at At, and says whether it is well formed.
func (w *walk) Skip() bool { return w.Resume(Skip(w.data, w.At)) }

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

// Last is where one more part goes: behind the others, once the walk has come to
// the end.
func (w *walk) Last() int {
	if w.Head.Indefinite {
		return w.After - 1
	}
	return w.After
}

// Grown is the head that the list or map has with more parts, or below 0 with
// fewer, as wide as the one that stands there where that suffices; the same one
// where its length is indefinite.
func (w *walk) Grown(more int) []byte {
	if w.Head.Indefinite {
		return w.data[w.Begin : w.Begin+w.Head.Size]
	}
	return AppendHead(nil, w.Head.Major, w.Head.Argument+uint64(more), w.Head.Size-1)
}

// Members walks over the members of a map. Use [MembersOf].
type Members struct {
	Key []byte
	walk
}

// MembersOf begins at the map at i.
func MembersOf(data []byte, i int) Members { return Members{walk: begin(data, i, Map)} }

// Next goes to the next member and says whether there is one.
func (m *Members) Next() bool { return m.NextKey() && m.Skip() }

// NextKey is Next as far as the value: Skip or Resume must follow.
func (m *Members) NextKey() bool {
	i := m.part()
	if i < 0 {
		return false
	}
	end := skipKey(m.data, i)
	if end < 0 {
		return false
	}
	m.Key, _ = StringOf(m.data[i:end])
	m.At = end
	return true
}

// Elements walks over the elements of a list. Use [ElementsOf].
type Elements struct{ walk }

// ElementsOf begins at the list at i.
func ElementsOf(data []byte, i int) Elements { return Elements{begin(data, i, List)} }

// Next goes to the next element and says whether there is one.
func (e *Elements) Next() bool { return e.NextAt() && e.Skip() }

// NextAt is Next as far as the element: Skip or Resume must follow.
func (e *Elements) NextAt() bool {
	e.At = e.part()
	return e.At >= 0
}
