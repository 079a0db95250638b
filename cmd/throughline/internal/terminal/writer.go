package terminal

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer is the standard output or error of a command. It passes text through, but
// replaces control characters other than tab and newline, characters that change the
// direction of text, and invalid UTF-8 by dots. Colours and the progress line of this
// package pass. It is safe for concurrent use.
type Writer struct {
	out      io.Writer
	terminal bool
	columns  int  // the maximum width of reports, see [Fit]; 0 means no limit
	json     bool // escape instead of replacing by a dot

	mu      sync.Mutex
	pending []byte // an incomplete character or mark at the end of a write
}

// NewWriter returns a Writer to out. If out is a terminal, reports fit its width.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		w.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
		if w.terminal {
			const usual, least = 80, 40
			w.columns = max(cmp.Or(columnsOf(file), usual), least)
		}
	}
	return w
}

// SetColumns sets the maximum width of reports, see [Fit]; 0 means no limit. Call it
// before the first use.
func (w *Writer) SetColumns(n int) { w.columns = n }

// JSON returns a writer for JSON to out. It escapes the characters that a [Writer]
// replaces, and other invisible characters that JSON allows, so that no value changes. In
// JSON they only occur in strings.
func JSON(out io.Writer) io.Writer { return &Writer{out: out, json: true} }

// nonce is secret, so that text from outside cannot contain a mark.
var nonce = "\x1b" + rand.Text()

// mark returns a command for the Writer: "31m" selects a colour, "K" clears the line.
func mark(order string) string { return nonce + order }

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	data := p
	if len(w.pending) > 0 {
		data = append(w.pending, p...)
	}
	clean := make([]byte, 0, len(data)+16)
	i := 0
	for i < len(data) {
		if c := data[i]; c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			clean = append(clean, c)
			i++
			continue
		}
		n := 0
		if clean, n = w.special(clean, data[i:]); n == 0 {
			break // the next write has the rest
		}
		i += n
	}
	w.pending = bytes.Clone(data[i:])
	if _, err := w.out.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the rest of an incomplete character.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) == 0 {
		return nil
	}
	w.pending = nil
	_, err := io.WriteString(w.out, "·")
	return err
}

// special appends the replacement of the first character in data, and returns the length
// of that character in bytes, or 0 if more bytes are needed.
func (w *Writer) special(clean, data []byte) (_ []byte, n int) {
	if data[0] == nonce[0] && !w.json {
		whole := min(len(data), len(nonce))
		switch {
		case string(data[:whole]) != nonce[:whole]:
		case whole < len(nonce):
			return clean, 0
		default:
			return order(clean, data)
		}
	}
	if !utf8.FullRune(data) {
		return clean, 0
	}
	r, size := utf8.DecodeRune(data)
	switch {
	case r == utf8.RuneError && size == 1 && w.json:
		return append(clean, `\ufffd`...), size
	case r == utf8.RuneError && size == 1:
		return append(clean, "·"...), size
	case w.json && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)):
		for _, unit := range utf16.Encode([]rune{r}) {
			clean = fmt.Appendf(clean, `\u%04x`, unit)
		}
		return clean, size
	case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
		return append(clean, "·"...), size
	}
	return append(clean, data[:size]...), size
}

// order appends the escape sequence of a mark.
func order(clean, data []byte) ([]byte, int) {
	for i := len(nonce); i < len(data); i++ {
		switch data[i] {
		case 'm':
			return append(append(clean, "\x1b["...), data[len(nonce):i+1]...), i + 1
		case 'K':
			return append(clean, "\r\x1b[K"...), i + 1
		}
	}
	return clean, 0
}

// Line makes a text from outside a part of one line. Characters that break a line or a
// column become spaces, and those that a [Writer] replaces, or that are invisible, become
// dots.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return '·'
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "·"))
}
