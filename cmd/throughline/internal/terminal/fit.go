package terminal

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Fit has print write a report to out. Where out is a terminal, unless --wide was given,
// the report fits it: eight digits and "…" stand for each UUID, and a line that is longer
// than the terminal is wide goes on below: hang columns from the left, or, where it begins
// with spaces or the lines of a tree, behind these and two columns more. A word that is
// longer stays whole. Elsewhere nothing changes. The error is print's or out's.
func Fit(out io.Writer, hang int, print func(io.Writer) error) error {
	columns := Columns(out)
	if columns == 0 {
		return print(out)
	}
	f := &fitter{out: out, columns: columns, hang: hang}
	err := print(f)
	return errors.Join(err, f.flush())
}

// Columns is how wide a report to out may be, 0 where nothing bounds it.
func Columns(out io.Writer) int {
	switch w := out.(type) {
	case *Writer:
		return w.columns
	case *fitter:
		return w.columns
	}
	return 0
}

// Short is an ID in a cell of a table in a report to out: where the report has to fit a
// terminal, as [Fit] writes it.
func Short(out io.Writer, id string) string {
	if Columns(out) == 0 {
		return id
	}
	return shorten(id)
}

// Cut is a text of at most so many characters, "…" at its end where it is longer; 0 is no
// bound.
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
	pending       []byte // of a line that has not ended
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

// fold breaks a line.
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

// below is what the lines begin with that continue a line.
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

// breakAt is where to break a line so that what stands before it fits room: at the last
// gap of two spaces in the second half of the room, else at the last space; at the first
// one behind a word that is longer.
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

// markLength is the length of the mark that a text begins with, 0 where it begins with none.
func markLength(text string) int {
	if !strings.HasPrefix(text, nonce) {
		return 0
	}
	return len(nonce) + strings.IndexAny(text[len(nonce):], "mK") + 1
}
