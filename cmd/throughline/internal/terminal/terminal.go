// Package terminal has what the commands print with: a writer that keeps control
// characters of events, spans, logs and servers from the terminal, colours, a progress
// line, JSON, and exit codes.
package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit codes of every command. 0 means that the command succeeded and found nothing
// to report. An error without a code ends the process with [CouldNot].
const (
	Found    = 1 // the command succeeded and found something to look at, or did not find what it looked for
	Misused  = 2 // wrong arguments or flags
	CouldNot = 3 // the command failed: no credentials, unreachable, a file that cannot be read
)

// Exit is an error that ends the command with a code and an optional message. The zero
// value ends it with 0.
type Exit struct {
	Code    int
	Message string
}

func (e Exit) Error() string { return e.Message }

// ExitCode returns the exit code.
func (e Exit) ExitCode() int { return e.Code }

// Finding returns an error that ends the command with [Found].
func Finding(format string, args ...any) error {
	return Exit{Found, fmt.Sprintf(format, args...)}
}

// Misuse returns an error that ends the command with [Misused]. Its message names the
// wrong flag or argument, and what to write instead.
func Misuse(format string, args ...any) error {
	return Exit{Misused, fmt.Sprintf(format, args...)}
}

// As returns err with an exit code, or nil if err is nil.
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

// In adds the name of a command before the message of err. An error without a message,
// and nil, stay as they are.
func In(command string, err error) error {
	if err == nil || err.Error() == "" {
		return err
	}
	return fmt.Errorf("%s: %w", command, err)
}

// Code returns the exit code of a command that ended with err.
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

// Paint colours text if it is true.
type Paint bool

// Painter returns a Paint for out. It is true if out is a [Writer] to a terminal,
// NO_COLOR (no-color.org) is not set, and TERM is not dumb.
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

// Dim makes s faint.
func (p Paint) Dim(s string) string { return p.in("2", s) }

// Progress shows one line on a terminal and overwrites it. Elsewhere, and for the zero
// value, it writes nothing.
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

// Open opens a file by name, or returns in for "-". The caller must close it. The error
// for a file that does not exist is [os.ErrNotExist].
func Open(in io.Reader, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(in), nil
	}
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noFile(name)
	}
	return file, err
}

type noFile string

func (name noFile) Error() string { return "there is no file " + string(name) }
func (noFile) Unwrap() error      { return os.ErrNotExist }

// Reading returns a reader of in that shows how much was read, if in is large.
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

// PrintJSON writes v as indented JSON; see [JSON].
func PrintJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(JSON(out))
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
