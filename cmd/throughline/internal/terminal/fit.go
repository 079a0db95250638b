package terminal

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Fit calls print to write a report to out. On a terminal without --wide, the report fits
// its width: each UUID is shortened to eight digits and "…", and a long line is wrapped.
// Continuation lines are indented by hang columns or, after a line that begins with
// spaces or with the lines of a tree, by two columns more than it. A word that is too
// long stays whole. Elsewhere nothing changes. The error is that of print or out.
func Fit(out io.Writer, hang int, print func(io.Writer) error) error {
	columns := Columns(out)
	if columns == 0 {
		return print(out)
	}
	f := &fitter{out: out, columns: columns, hang: hang}
	err := print(f)
	return errors.Join(err, f.flush())
}

// Columns returns the maximum width of a report to out, or 0 if it is not limited.
func Columns(out io.Writer) int {
	switch w := out.(type) {
	case *Writer:
		return w.columns
	case *fitter:
		return w.columns
	}
	return 0
}

// Short returns an ID for a table cell: shortened as [Fit] does if the report has to fit
// a terminal.
func Short(out io.Writer, id string) string {
	if Columns(out) == 0 {
		return id
	}
	return shorten(id)
}

// Cut returns text with at most most characters, with "…" at the end if it was cut. 0
// means no limit.
func Cut(text string, most int) string {
	if most <= 0 || utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

var uuid = regexp.MustCompile(`\b([0-9a-fA-F]{8})(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`)

func shorten(text string) string { return uuid.ReplaceAllString(text, "$1…") }

// fitter fits lines to a terminal.
type fitter struct {
	out           io.Writer
	columns, hang int
	pending       []byte // the beginning of a line without its end
}

// Write implements [io.Writer].
func (f *fitter) Write(p []byte) (int, error) {
	f.pending = append(f.pending, p...)
	for {
		line, rest, ended := bytes.Cut(f.pending, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		text := f.fold(shorten(string(line)))
		f.pending = rest
		if _, err := io.WriteString(f.out, text+"\n"); err != nil {
			return 0, err
		}
	}
}

// flush writes a last line without an end.
func (f *fitter) flush() error {
	_, err := io.WriteString(f.out, f.fold(shorten(string(f.pending))))
	f.pending = nil
	return err
}

// fold wraps a line.
func (f *fitter) fold(line string) string {
	below := f.below(line)
	var b strings.Builder
	for room := f.columns; ; room = f.columns - utf8.RuneCountInString(below) {
		at := breakAt(line, room)
		b.WriteString(strings.TrimRight(line[:at], " "))
		if line = strings.TrimLeft(line[at:], " "); line == "" {
			return b.String()
		}
		b.WriteString("\n" + below)
	}
}

// below returns the beginning of the continuation lines of a line.
func (f *fitter) below(line string) string {
	var b strings.Builder
	for _, r := range line {
		switch r {
		case '│', '├':
			r = '│'
		case ' ', '└', '─', '┆':
			r = ' '
		default:
			r = 0
		}
		if r == 0 {
			break
		}
		b.WriteRune(r)
	}
	more := 2
	if b.Len() == 0 {
		more = f.hang
	}
	below := []rune(b.String() + strings.Repeat(" ", more))
	return string(below[:min(len(below), f.columns/2)])
}

// breakAt returns where to break a line so that the first part fits into room: at the
// last gap of two spaces in the second half of room, else at the last space, else after
// the first word.
func breakAt(line string, room int) int {
	gap, space, width := 0, 0, 0
	inWord := false
	for i := 0; i < len(line); {
		if n := markLength(line[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		if r == ' ' && inWord {
			if width > room && space > 0 {
				break
			}
			space = i
			if width > room {
				break
			}
			if strings.HasPrefix(line[i:], "  ") && width >= room/2 {
				gap = i
			}
		}
		inWord = r != ' ' && (inWord || !strings.ContainsRune("│├└─┆", r))
		if width++; width > room && space > 0 {
			break
		}
		i += size
	}
	switch {
	case width <= room || space == 0:
		return len(line)
	case gap > 0:
		return gap
	default:
		return space
	}
}

// markLength returns the length of the mark at the beginning of a text, or 0.
func markLength(text string) int {
	if !strings.HasPrefix(text, nonce) {
		return 0
	}
	return len(nonce) + strings.IndexAny(text[len(nonce):], "mK") + 1
}
