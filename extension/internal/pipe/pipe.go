// Package pipe reads the shims' reports from a named pipe, without blocking
// (docs/loopback.md).
package pipe

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// Pipe is a named pipe. Who writes to it wakes nobody: the lines are read where
// Read is called. The zero value is none, of which nothing is read. It is safe for
// concurrent use.
type Pipe struct {
	mu   sync.Mutex
	open bool
	// fd is no os.File: each write would wake the runtime for that.
	fd   int
	held []byte // read, and not a whole line yet; its capacity is what is read at once
}

const (
	// MaxLine is the longest line in bytes, its end included. A longer write to a
	// pipe can mingle with another's (pipe(7), PIPE_BUF).
	MaxLine = 4096
	// atOnce is how much one system call reads: a line of MaxLine always fits.
	atOnce = 4 * MaxLine
	// most bounds what one Read takes, however fast others write: a pipe holds 64 KiB.
	most = 128 << 10
)

// Open makes the pipe at path, where nothing is, in a directory that is ours alone.
// Other users can neither read nor write it.
func (p *Pipe) Open(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("open the pipe: %s: %w", path, err)
	}
	// For writing as well: it then never ends, and a writer never finds it without a reader.
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open the pipe: %s: %w", path, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
	p.open, p.fd, p.held = true, fd, make([]byte, 0, atOnce)
	return nil
}

// Read gives take each line that is there, without its end, and does not wait for
// more. take must not keep the line, nor call Read. What is no line of at most
// MaxLine is left out.
func (p *Pipe) Read(take func(line []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for read := 0; p.open && read < most; {
		n, err := syscall.Read(p.fd, p.held[len(p.held):cap(p.held)])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if n <= 0 { // nothing is there
			return
		}
		read += n
		rest := p.held[:len(p.held)+n]
		for {
			line, after, whole := bytes.Cut(rest, []byte("\n"))
			if !whole {
				break
			}
			if rest = after; len(line) < MaxLine {
				take(line)
			}
		}
		if len(rest) >= MaxLine {
			rest = nil
		}
		p.held = p.held[:copy(p.held[:cap(p.held)], rest)]
	}
}

// Close ends it. Nothing is read of it then.
func (p *Pipe) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}

func (p *Pipe) close() {
	if p.open {
		p.open = false
		_ = syscall.Close(p.fd)
	}
}
