package records

import "bytes"

// block is a document that is printed over several lines, as far as it has been
// read. The zero value is none.
type block struct {
	text   []byte
	ends   []int  // of its lines
	closes []byte // the brackets that are still to come, the innermost last
}

// startBlock reports whether a document begins in text that goes on in the next line,
// and keeps it.
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

// endBlock ends a block whose document is not whole: its lines may hold documents
// of their own.
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

// plausible reports whether a line of a printed document can begin with c, inside
// of an object or of an array.
func plausible(c byte, object bool) bool {
	if object {
		return c == '"' || c == '}' || c == ','
	}
	return bytes.IndexByte([]byte(`"{[],-0123456789tfnNI`), c) >= 0
}

// open follows the brackets of text, behind those that closes are still to come of.
// It returns what is to come behind text, or the index after the document's last
// bracket. ok is false where text cannot be a part of a document; the index is below
// 0 where that is because a string does not end.
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
