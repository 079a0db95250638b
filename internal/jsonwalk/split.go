package jsonwalk

// Splitter splits a JSON text that arrives in pieces: an array into its elements, an
// object into its members, and the array of the member called List into its
// elements too. It holds one of these at a time, and at most Most bytes of it. Set
// its fields, then write the pieces. It is not safe for concurrent use.
type Splitter struct {
	// List is the name of the member whose elements are passed on instead of it.
	List string
	// Most returns the maximum size of a member's value, or of an element, in bytes.
	// A longer one, and one for which there is no room, is not held.
	Most func(key []byte, element bool) int
	// Room takes n more bytes of memory, and returns false if they are not left; nil
	// is unlimited.
	Room func(n int) bool
	// Element gets an element as an array with one element, nil if it was not held.
	// It must not keep the bytes.
	Element func(list []byte)
	// Member gets a member at the top, with the value nil if it was not held. It gets
	// the member List, if that is an array, with the value nil before the elements. It
	// must not keep the bytes.
	Member func(key, value []byte)

	Used int // bytes that were taken from Room

	state   splitState
	list    bool // within the elements of an array
	top     byte // the bracket of the top
	key     []byte
	window  []byte
	skip    bool // the value is not held
	most    int
	text    bool // the value is a string
	depth   int  // of brackets within the value; 1 within a string that is the value
	quoted  bool // within a string
	escaped bool // after a backslash
}

type splitState uint8

const (
	atTop       splitState = iota
	atFirst                // a key, an element, or the end
	atNext                 // a key or an element
	inKey                  //
	atColon                //
	atValue                //
	inNested               // an object, an array or a string
	inScalar               //
	atComma                // or the end
	atEnd                  // of the text: only space may follow
	isMalformed            //
)

// Write processes the next piece of the text.
func (s *Splitter) Write(p []byte) {
	for i := 0; i < len(p); {
		i = s.step(p, i)
	}
}

// Close ends the text and reports whether it is a whole object or array.
func (s *Splitter) Close() (complete bool) {
	if s.state == inScalar {
		s.ended()
	}
	return s.state == atEnd
}

// Top returns the bracket that the text begins with, 0 if it begins with another byte.
func (s *Splitter) Top() byte { return s.top }

// step processes a part of p from i on and returns the index after it.
func (s *Splitter) step(p []byte, i int) int {
	switch s.state {
	case inKey, inNested:
		return s.within(p, i)
	case inScalar:
		start := i
		for i < len(p) && !endsScalar(p[i]) {
			i++
		}
		s.hold(p[start:i])
		if i < len(p) {
			s.ended()
		}
		return i
	case isMalformed:
		return len(p)
	}
	if i = SkipSpace(p, i); i == len(p) {
		return i
	}
	c := p[i]
	switch s.state {
	case atTop:
		if s.state = isMalformed; c == '{' || c == '[' {
			s.top, s.list, s.state = c, c == '[', atFirst
		}
	case atFirst, atNext:
		closing := byte('}')
		if s.list {
			closing = ']'
		}
		switch {
		case c == closing && s.state == atFirst:
			s.close()
		case s.list:
			return s.begin(p, i)
		case c == '"':
			s.key, s.state = append(s.key[:0], c), inKey
			s.text, s.quoted, s.escaped, s.depth = true, true, false, 1
		default:
			s.state = isMalformed
		}
	case atColon:
		if s.state = isMalformed; c == ':' {
			s.state = atValue
		}
	case atValue:
		return s.begin(p, i)
	case atComma:
		closing := byte('}')
		if s.list {
			closing = ']'
		}
		switch c {
		case ',':
			s.state = atNext
		case closing:
			s.close()
		default:
			s.state = isMalformed
		}
	default:
		s.state = isMalformed // a byte other than space after the end
	}
	return i + 1
}

func endsScalar(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// close ends the array of the member List, or the text.
func (s *Splitter) close() {
	if s.list && s.top == '{' {
		s.list, s.state = false, atComma
		return
	}
	s.state = atEnd
}

// begin begins a value at i.
func (s *Splitter) begin(p []byte, i int) int {
	c := p[i]
	name := s.name()
	if !s.list && c == '[' && string(name) == s.List {
		s.list, s.state = true, atFirst
		s.Member(name, nil)
		return i + 1
	}
	s.most, s.skip, s.window = s.Most(name, s.list), false, s.window[:0]
	if s.list {
		s.hold([]byte{'['})
	}
	switch c {
	case '{', '[', '"':
		s.depth, s.text, s.quoted, s.escaped = 1, c == '"', c == '"', false
		s.hold(p[i : i+1])
		s.state = inNested
		return i + 1
	}
	if s.state = inScalar; endsScalar(c) {
		s.state = isMalformed
	}
	return i
}

// name returns the key of the member, empty if it is longer than maxKey.
func (s *Splitter) name() []byte {
	if s.list || len(s.key) > maxKey {
		return nil
	}
	return unescape(s.key[1 : len(s.key)-1])
}

// maxKey is how many bytes of a key are held.
const maxKey = 1024

// within continues in a key, or in a value of more than one token, to its end or to the
// end of p.
func (s *Splitter) within(p []byte, i int) int {
	start := i
	for i < len(p) && s.depth > 0 {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			if i = SkipPlain(p, i); i == len(p) {
				continue
			}
			switch p[i] {
			case '"':
				if s.quoted = false; s.text {
					s.depth = 0
				}
			case '\\':
				s.escaped = true
			}
		default:
			switch p[i] {
			case '"':
				s.quoted = true
			case '{', '[':
				s.depth++
			case '}', ']':
				s.depth--
			}
		}
		i++
	}
	if s.state == inKey {
		s.key = append(s.key, p[start:min(i, start+max(0, maxKey+1-len(s.key)))]...)
		if s.depth == 0 {
			s.state = atColon
			if len(s.key) <= maxKey && SkipValue(s.key, 0) != len(s.key) {
				s.state = isMalformed
			}
		}
		return i
	}
	s.hold(p[start:i])
	if s.depth == 0 {
		s.ended()
	}
	return i
}

// hold adds b to the value.
func (s *Splitter) hold(b []byte) {
	n := len(s.window) + len(b)
	switch {
	case s.skip:
		return
	case n > s.most || !s.grow(n+1):
		s.skip, s.window = true, s.window[:0]
		return
	}
	s.window = append(s.window, b...)
}

// grow makes room for at least n bytes.
func (s *Splitter) grow(n int) bool {
	const least = 4 << 10
	if n <= cap(s.window) {
		return true
	}
	n = max(n+n/8, least)
	more := n - cap(s.window)
	if s.Room != nil && !s.Room(more) {
		return false
	}
	s.Used += more
	s.window = append(make([]byte, 0, n), s.window...)
	return true
}

// ended passes on the value that has ended.
func (s *Splitter) ended() {
	value, scalar := s.window, s.state == inScalar
	s.state = atComma
	switch {
	case s.skip:
		value = nil
	case scalar: // it may begin with a value and continue with other bytes
		from := 0
		if s.list {
			from = 1
		}
		end := SkipValue(value, from)
		if end != len(value) {
			s.state = isMalformed
		}
		if end < 0 {
			return
		}
		if value = value[:end]; s.list {
			value = append(value, ']') // grow has left room for it
		}
	case s.list:
		value = append(value, ']')
		from, end := 0, len(value)
		if s.top == '[' { // the element is checked alone, because the added array would count as a level
			from, end = 1, end-1
		}
		if SkipValue(value, from) != end {
			s.state = isMalformed
			return
		}
	case SkipValue(value, 0) != len(value):
		s.state = isMalformed
		return
	}
	if s.list {
		s.Element(value)
	} else {
		s.Member(s.name(), value)
	}
}
