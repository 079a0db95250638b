// Package terminal is what the commands print with: a writer through which no
// control character of an event, a span, a log or a server reaches a terminal,
// colours where a terminal takes them, one line of progress, JSON, and exit codes.
package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit codes of every command. 0 means that it did its work and found nothing to
// look at. An error without a code of its own ends the process with [CouldNot].
const (
	Found    = 1 // it did its work, and found what somebody should look at, or nothing where there should be something
	Misused  = 2 // it was called wrongly
	CouldNot = 3 // it could not do its work: no credentials, unreachable, a file that cannot be read
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

// Finding is an error that ends the command with [Found].
func Finding(format string, args ...any) error {
	return Exit{Found, fmt.Sprintf(format, args...)}
}

// Misuse is an error that ends the command with [Misused]. Its message names the flag or
// the argument that is wrong, and what to write instead.
func Misuse(format string, args ...any) error {
	return Exit{Misused, fmt.Sprintf(format, args...)}
}

// As is err, ending the command with a code; nil where err is nil.
func As(code int, err error) error {
	if err == nil {
		return nil
	}
	return coded{err, code}
}

type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }
func (c coded) ExitCode() int { return c.code }

// In puts the name of a command before the message of err. An error without a message,
// and nil, stay as they are.
func In(command string, err error) error {
	if err == nil || err.Error() == "" {
		return err
	}
	return fmt.Errorf("%s: %w", command, err)
}

// Code is the exit code of a command that ended with err.
func Code(err error) int {
	var with interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &with):
		return with.ExitCode()
	default:
		return CouldNot
	}
}

// Paint colours text where it is true, and leaves it as it is where it is not.
type Paint bool

// Painter returns a Paint for out: true where it is a [Writer] to a terminal, NO_COLOR
// (no-color.org) is not set, and TERM is not dumb.
func Painter(out io.Writer) Paint {
	if f, fitted := out.(*fitter); fitted {
		return Painter(f.out)
	}
	w, ok := out.(*Writer)
	return Paint(ok && w.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (p Paint) in(code, text string) string {
	if !p {
		return text
	}
	return mark(code+"m") + text + mark("0m")
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
		fmt.Fprintf(p.out, mark("K")+format, args...)
	}
}

// End clears the line.
func (p Progress) End() {
	if p.on {
		fmt.Fprint(p.out, mark("K"))
	}
}

// Open returns the file of a name, and in for "-". Close it.
func Open(in io.Reader, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(in), nil
	}
	return os.Open(name)
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
	return n, err
}

// PrintJSON writes v as indented JSON, see [JSON].
func PrintJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(JSON(out))
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
