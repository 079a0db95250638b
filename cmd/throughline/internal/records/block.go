package records

import "bytes"

// block is the part that has been read of a document over several lines. The zero value
// is empty.
type block struct {
	text   []byte
	ends   []int  // the ends of its lines
	closes []byte // the closing brackets that are still missing, the innermost last
}

// startBlock reports whether a document begins in text and continues on the next line. If
// so, it keeps the text.
func (s *scan) startBlock(text []byte) bool {
	for i, tries := 0, 0; tries < 8; tries++ {
		if i = next(text, i); i < 0 {
			return false
		}
		if closes, end, ok := open(nil, text[i:]); ok && end == 0 {
			s.block = block{closes: closes}
			s.block.add(text[i:])
			return true
		}
		i++
	}
	return false
}

// extendBlock adds a line to the block and reports whether it belongs to it.
func (s *scan) extendBlock(line []byte) bool {
	b := &s.block
	if len(b.closes) == 0 {
		return false
	}
	closes, ok := b.closes, plausible(line[0], b.closes[len(b.closes)-1] == '}')
	if ok {
		closes, _, ok = open(closes, line)
	}
	if !ok {
		s.endBlock()
		return false
	}
	if len(b.text)+len(line) > MaxDocument {
		s.left.TooLong++
		s.block = block{}
		return true
	}
	b.add(line)
	if b.closes = closes; len(closes) > 0 {
		return true
	}
	whole := s.block
	s.block = block{}
	if !s.readDocuments(whole.text, false, 0) {
		s.readLines(whole)
	}
	return true
}

// endBlock ends a block whose document is incomplete. Its lines can contain documents
// themselves.
func (s *scan) endBlock() {
	broken := s.block
	s.block = block{}
	s.readLines(broken)
}

// readLines reads the lines of a block one by one.
func (s *scan) readLines(b block) {
	begin := 0
	for _, end := range b.ends {
		if s.err == nil && !s.readDocuments(b.text[begin:end], false, 0) {
			s.left.Lines++
		}
		begin = end
	}
}

func (b *block) add(line []byte) {
	b.text = append(append(b.text, line...), '\n')
	b.ends = append(b.ends, len(b.text))
}

// plausible reports whether a line within an object or an array can begin with c.
func plausible(c byte, object bool) bool {
	if object {
		return c == '"' || c == '}' || c == ','
	}
	return bytes.IndexByte([]byte(`"{[],-0123456789tfnNI`), c) >= 0
}

// open follows the brackets of text. closes are the closing brackets that are missing
// before text. It returns those that are missing after text, or the index after the
// document's last bracket. ok is false if text cannot be part of a document; the index is
// negative if the reason is a string without an end.
func open(closes, text []byte) (_ []byte, end int, ok bool) {
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{':
			closes = append(closes, '}')
		case c == '[':
			closes = append(closes, ']')
		case c == '}' || c == ']':
			if len(closes) == 0 || closes[len(closes)-1] != c {
				return nil, 0, false
			}
			if closes = closes[:len(closes)-1]; len(closes) == 0 {
				return nil, i + 1, true
			}
		}
	}
	if inString {
		return nil, -1, false
	}
	return closes, 0, true
}
