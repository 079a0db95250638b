// Package notice writes messages for people into the function's log, each once.
package notice

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Level is the verbosity of a Log. A level includes all levels before it. The zero
// value is Warn.
type Level int

// The levels.
const (
	Warn  Level = iota // problems that need a fix
	Info               // the addresses of the endpoints, and where spans are exported
	Debug              // every invocation and every export
)

// Log writes lines. A nil Log, and the zero value, write nothing. It is safe for
// concurrent use if its writer is.
type Log struct {
	out   io.Writer
	level Level

	mu    sync.Mutex
	known map[string]bool
}

// maxKnown bounds the warnings of a Log, which are all remembered.
const maxKnown = 200

// New returns a Log that writes to out the lines up to level. If out is nil, it
// writes nothing.
func New(out io.Writer, level Level) *Log {
	return &Log{out: out, level: level, known: map[string]bool{}}
}

// Once writes a warning, unless it has written the same one before. Two warnings are
// the same if they differ only in numbers and IDs, such as a port or a request ID.
func (l *Log) Once(format string, args ...any) {
	if l == nil || l.out == nil {
		return
	}
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	key := withoutNumbers(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[key] || len(l.known) == maxKnown {
		return
	}
	l.known[key] = true
	fmt.Fprintf(l.out, "throughline: %s\n", text)
}

// Tell writes a line if the level of the Log includes level.
func (l *Log) Tell(level Level, format string, args ...any) {
	if l != nil && l.out != nil && level <= l.level {
		fmt.Fprintf(l.out, "throughline: "+format+"\n", args...)
	}
}

// withoutNumbers returns text with each word that contains a digit replaced by #.
func withoutNumbers(text string) string {
	var key strings.Builder
	start, digit := -1, false
	end := func(i int) {
		if start >= 0 && digit {
			key.WriteByte('#')
		} else if start >= 0 {
			key.WriteString(text[start:i])
		}
		start, digit = -1, false
	}
	for i, r := range text {
		if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			if start < 0 {
				start = i
			}
			digit = digit || r >= '0' && r <= '9'
			continue
		}
		end(i)
		key.WriteRune(r)
	}
	end(len(text))
	return key.String()
}
