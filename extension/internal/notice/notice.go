// Package notice writes messages for people into the function's log, each once.
package notice

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Level is how much is told; a level tells what those before it tell. The zero
// value is Warn.
type Level int

// The levels.
const (
	Warn  Level = iota // what somebody should mend
	Info               // what answers where, and where spans go
	Debug              // each invocation and each export
)

// Log writes lines. A nil Log writes nothing. It is safe for concurrent use.
type Log struct {
	out   io.Writer
	level Level

	mu    sync.Mutex
	known map[string]bool
}

// maxKnown bounds what is remembered to have been told, and what is told.
const maxKnown = 200

// New returns a Log that writes to out up to level; a nil out is nowhere.
func New(out io.Writer, level Level) *Log {
	return &Log{out: out, level: level, known: map[string]bool{}}
}

// Once warns, unless it has told the same before: the same but for the numbers
// and IDs in it, such as a port or a request's ID.
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

// Tell writes a line, where its level is asked for.
func (l *Log) Tell(level Level, format string, args ...any) {
	if l != nil && l.out != nil && level <= l.level {
		fmt.Fprintf(l.out, "throughline: "+format+"\n", args...)
	}
}

// withoutNumbers is text with each word that has a digit in it replaced.
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
