package cborwalk

// walk iterates over the parts of a list or a map. It ends at a malformed part.
type walk struct {
	Head  Head   // of the list or map
	Begin int    // the index of its head
	At    int    // the index of the current value
	Value []byte // raw: a whole data item; it aliases the data
	End   int    // the index after Value; before the first part that after the head
	Count int    // of the values so far
	After int    // the index after the list or map; 0 until the walk has reached it

	data []byte
	pos  int // the index of the next part or the end; -1 if the walk is over
}

// begin returns a walk over the item at i. If the item has another type, the walk has
// no parts, and After stays 0.
func begin(data []byte, i int, major Major) walk {
	h, ok := HeadAt(data, i)
	if !ok || h.Major != major || h.Argument > uint64(len(data)) {
		return walk{pos: -1}
	}
	return walk{Head: h, Begin: i, data: data, pos: i + h.Size, End: i + h.Size}
}

// part returns the index of the next part, -1 if there is none.
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

// Skip skips the value at At, and reports whether it is well formed.
func (w *walk) Skip() bool { return w.Resume(Skip(w.data, w.At)) }

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

// Last returns the index at which a part can be appended, after the walk has reached
// the end.
func (w *walk) Last() int {
	if w.Head.Indefinite {
		return w.After - 1
	}
	return w.After
}

// Grown returns the head of the list or map with more parts, or with fewer if more is
// negative. It has the width of the present head, or more if necessary. If the length
// is indefinite, the head is unchanged.
func (w *walk) Grown(more int) []byte {
	if w.Head.Indefinite {
		return w.data[w.Begin : w.Begin+w.Head.Size]
	}
	return AppendHead(nil, w.Head.Major, w.Head.Argument+uint64(more), w.Head.Size-1)
}

// Members iterates over the members of a map. Make one with [MembersOf].
type Members struct {
	Key []byte
	walk
}

// MembersOf returns an iterator over the map at i.
func MembersOf(data []byte, i int) Members { return Members{walk: begin(data, i, Map)} }

// Next moves to the next member and reports whether there is one.
func (m *Members) Next() bool { return m.NextKey() && m.Skip() }

// NextKey is Next without the value: the caller must call Skip or Resume after it.
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

// Elements iterates over the elements of a list. Make one with [ElementsOf].
type Elements struct{ walk }

// ElementsOf returns an iterator over the list at i.
func ElementsOf(data []byte, i int) Elements { return Elements{begin(data, i, List)} }

// Next moves to the next element and reports whether there is one.
func (e *Elements) Next() bool { return e.NextAt() && e.Skip() }

// NextAt is Next without the element: the caller must call Skip or Resume after it.
func (e *Elements) NextAt() bool {
	e.At = e.part()
	return e.At >= 0
}
