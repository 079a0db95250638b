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

// Pipe is a named pipe. A write does not wake the extension: only a call of Read reads
// the lines. The zero value is a closed pipe, of which Read reads nothing. It is safe
// for concurrent use.
type Pipe struct {
	mu   sync.Mutex
	open bool
	// fd is not an os.File, for which each write would wake Go's poller.
	fd   int
	held []byte // the bytes of an incomplete line; its capacity is atOnce
}

const (
	// MaxLine is the longest line in bytes, including its newline. A longer write to a
	// pipe may be interleaved with another (pipe(7), PIPE_BUF).
	MaxLine = 4096
	// atOnce is how many bytes one system call reads: a line of MaxLine always fits.
	atOnce = 4 * MaxLine
	// most bounds the bytes that one Read reads, even if others write continuously. A
	// pipe holds 64 KiB.
	most = 128 << 10
)

// Open creates and opens the pipe at path. The path must not exist, and its directory
// must be private. Other users can neither read nor write the pipe.
func (p *Pipe) Open(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("open the pipe: %s: %w", path, err)
	}
	// Also for writing: reads then never return EOF, and a writer always has a reader.
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

// Read calls take with each line in the pipe, without its newline, and does not wait
// for more. take must not keep the line, and must not call Read. Read skips lines
// longer than MaxLine.
func (p *Pipe) Read(take func(line []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for read := 0; p.open && read < most; {
		n, err := syscall.Read(p.fd, p.held[len(p.held):cap(p.held)])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if n <= 0 { // the pipe is empty
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

// Close closes the pipe. Read then reads nothing.
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
