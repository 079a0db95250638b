package records

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// readFile reads a file: rows if it is CSV with messages, else lines.
func (s *scan) readFile(r io.Reader) error {
	in, err := decoded(r)
	if err != nil {
		return err
	}
	head, _ := in.Peek(512)
	if column := messageColumn(head); column >= 0 {
		return s.readRows(in, column)
	}
	for {
		line, err := s.readLine(in)
		s.readOne(line)
		if s.err != nil {
			return s.err
		}
		if err != nil {
			s.endBlock()
			if errors.Is(err, io.EOF) {
				err = nil
			} else if !errors.Is(err, errTruncated) {
				err = fmt.Errorf("read: %w", err)
			}
			return errors.Join(s.err, err)
		}
	}
}

// readLine returns a line, which is valid until the next call. For a line that is too
// long it returns nil.
func (s *scan) readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := slices.Clone(line)
	tooLong := false
	for {
		line, err = r.ReadSlice('\n')
		if tooLong = tooLong || len(long)+len(line) > MaxDocument; tooLong {
			long = nil
		} else {
			long = append(long, line...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if tooLong {
				s.left.TooLong++
			}
			return long, err
		}
	}
}

// messageColumn returns the column with messages if head begins a CSV file: @message of
// Logs Insights, or message next to a timestamp in the console's export of log events. It
// returns -1 if there is none.
func messageColumn(head []byte) int {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '{' || line[0] == '[' {
		return -1
	}
	names, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return -1
	}
	if i := slices.Index(names, "@message"); i >= 0 {
		return i
	}
	if slices.Contains(names, "timestamp") {
		return slices.Index(names, "message")
	}
	return -1
}

// readRows reads CSV.
func (s *scan) readRows(r io.Reader, column int) error {
	table := csv.NewReader(r)
	table.FieldsPerRecord, table.LazyQuotes, table.ReuseRecord = -1, true, true
	_, _ = table.Read() // the header was already read
	for {
		row, err := table.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read CSV: %w", err)
		case column < len(row):
			s.readText([]byte(row[column]), false, 0)
		default:
			s.left.Lines++
		}
		if s.err != nil {
			return s.err
		}
	}
}

// colours are the escape sequences for colours, which the AWS CLI and SAM write. JSON
// cannot contain them.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// readOne reads one line of a file.
func (s *scan) readOne(text []byte) {
	text = bytes.TrimSpace(text)
	if bytes.IndexByte(text, 0x1b) >= 0 {
		text = colours.ReplaceAll(text, nil)
	}
	if len(text) == 0 || s.extendBlock(text) {
		return
	}
	if s.readDocuments(text, false, 0) || s.err != nil || s.startBlock(text) {
		return
	}
	s.left.Lines++
}

// readText reads the text of a log event or the body of a message, which can have several
// lines.
func (s *scan) readText(text []byte, queued bool, depth int) {
	if s.readDocuments(text, queued, depth) || s.err != nil {
		return
	}
	s.left.Lines++
}

// readDocuments unwraps each document in text and reports whether there was one.
func (s *scan) readDocuments(text []byte, queued bool, depth int) bool {
	found := false
	for i, tries := 0, 0; tries < 32 && s.err == nil; tries++ {
		if i = next(text, i); i < 0 {
			break
		}
		if end := jsonwalk.SkipValue(text, i); end > 0 {
			s.unwrap(text[i:end], queued, depth)
			found, i, tries = true, end, 0
			continue
		}
		_, end, ok := open(nil, text[i:])
		switch {
		case end > 0: // words in brackets
			i += end
		case ok || end < 0: // the document is incomplete, and its parts are not documents
			i = len(text)
		default:
			i++
		}
	}
	if !found && (bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Infinity"))) {
		if mended, changed := withoutNaN(text); changed {
			return s.readDocuments(mended, queued, depth)
		}
	}
	return found
}

// next returns where a document can begin in text from i on: an object with members, or
// an array of objects or arrays. It returns -1 if there is none. Words in brackets, such
// as [INFO], are not documents.
func next(text []byte, i int) int {
	for i < len(text) {
		at := bytes.IndexAny(text[i:], "{[")
		if at < 0 {
			return -1
		}
		i += at
		first := byte(0) // the first byte inside the brackets
		if inner := jsonwalk.SkipSpace(text, i+1); inner < len(text) {
			first = text[inner]
		}
		if first == 0 || text[i] == '{' && (first == '"' || first == '}') || text[i] == '[' && (first == '{' || first == '[') {
			return i
		}
		i++
	}
	return -1
}

// withoutNaN replaces the bare words NaN and Infinity, which Python's json writes and
// JSON does not allow, by null.
func withoutNaN(text []byte) (mended []byte, changed bool) {
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\' && i+1 < len(text):
			mended = append(mended, c)
			i++
			c = text[i]
			mended = append(mended, c)
			continue
		case c == '"':
			inString = !inString
		case !inString:
			if word := bareNumber(text[i:]); word > 0 {
				mended, changed = append(mended, "null"...), true
				i += word - 1
				continue
			}
		}
		mended = append(mended, text[i])
	}
	return mended, changed
}

func bareNumber(text []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
