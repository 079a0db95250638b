// Package terminal is what the commands print with: colours where a terminal
// takes them, one line of progress, JSON, and exit codes.
package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit ends the command with a code and, where there is one, a message. The
// zero value ends it with 0.
type Exit struct {
	Code    int
	Message string
}

func (e Exit) Error() string { return e.Message }

// ExitCode is what the process ends with.
func (e Exit) ExitCode() int { return e.Code }

// Paint colours text where it is true, and leaves it as it is where it is not.
type Paint bool

// Painter returns a Paint for out: true where it is a terminal and NO_COLOR is
// not set.
func Painter(out io.Writer) Paint {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := file.Stat()
	return Paint(err == nil && info.Mode()&os.ModeCharDevice != 0)
}

func (p Paint) in(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Red colours s red.
func (p Paint) Red(s string) string { return p.in("31", s) }

// Green colours s green.
func (p Paint) Green(s string) string { return p.in("32", s) }

// Yellow colours s yellow.
func (p Paint) Yellow(s string) string { return p.in("33", s) }

// Dim makes s fainter.
func (p Paint) Dim(s string) string { return p.in("2", s) }

// Progress writes over one line of a terminal, and nothing elsewhere. The zero
// value writes nothing.
type Progress struct {
	out io.Writer
	on  bool
}

// NewProgress returns the progress of a command, on its standard error.
func NewProgress(cmd *cobra.Command) Progress {
	return Progress{cmd.ErrOrStderr(), bool(Painter(cmd.ErrOrStderr()))}
}

// Show replaces the line.
func (p Progress) Show(format string, args ...any) {
	if p.on {
		fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
	}
}

// End clears the line.
func (p Progress) End() {
	if p.on {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// Reading is in, and shows how much of it has been read: of what is small, nothing.
func (p Progress) Reading(name string, in io.Reader) io.Reader {
	if !p.on {
		return in
	}
	return &reading{Reader: in, name: name, progress: p}
}

type reading struct {
	io.Reader
	name     string
	progress Progress
	read     int64
}

func (r *reading) Read(b []byte) (int, error) {
	const step = 8 << 20
	n, err := r.Reader.Read(b)
	before := r.read / step
	if r.read += int64(n); r.read/step > before {
		r.progress.Show("%s: %d MB read", r.name, r.read>>20)
	}
	if err != nil {
		r.progress.End()
	}
	return n, err //nolint:wrapcheck // the reader's own
}

// PrintJSON writes v as indented JSON.
func PrintJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
