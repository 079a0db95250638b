package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection of a client. net/http reads it in one goroutine at a time.
// It keeps the head of the request that is being read, bounds the time and the
// memory that a head takes, and keeps a request alive after its client has closed
// only its own direction.
type conn struct {
	*net.TCPConn
	server *Server

	head  []byte
	size  int  // of the head so far
	lines int  // of the head so far
	whole bool // the head has been read
	// early is the first byte of the next request, if net/http has read it to
	// detect a client that disconnects.
	early []byte
	held  int         // bytes of the budget
	busy  atomic.Bool // a request was read, at least in part, and is not answered yet

	mu     sync.Mutex
	closed bool
	wake   chan struct{} // closed to end a wait for the client; nil when nothing waits
}

const (
	// maxHead is the longest head that is kept, in bytes.
	maxHead = 64 << 10
	// maxLines is the largest number of lines of a head: net/http holds each header field
	// in about ten times its bytes if it is short. Clients send about twenty.
	maxLines = 256
	// longHead is the number of bytes that a head longer than maxHead takes of the
	// budget: net/http holds about three copies while it reads one.
	longHead = 3 * MaxHeaderBytes
	// longHeadPatience is how long a long head waits for the budget.
	longHeadPatience = 30 * time.Second
	// headPatience is how long a head may take from its first byte. Before that
	// byte a connection may be idle for any time.
	headPatience = 5 * time.Second
	// watch is the interval of checks whether a client that has closed its own
	// direction still waits for the answer.
	watch = 500 * time.Millisecond
)

func (c *conn) Read(p []byte) (int, error) {
	if c.lines > maxLines { // net/http can read again after an error
		return 0, errLines
	}
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		c.busy.Store(true)
	}
	if c.whole { // net/http reads one byte ahead while a request is being handled
		if len(p) == 1 {
			c.early = append(c.early[:0], p[:n]...)
			if errors.Is(err, io.EOF) {
				return 0, c.awaitClient()
			}
		}
		return n, err
	}
	if n > 0 {
		switch err := c.addHead(p[:n]); {
		case errors.Is(err, errLines):
			return 0, err // net/http answers 400
		case err != nil:
			return n, err
		}
	}
	return n, err
}

var errLines = errors.New("the head has too many lines")

// addHead processes a part of a head.
func (c *conn) addHead(part []byte) error {
	if c.size == 0 {
		_ = c.TCPConn.SetReadDeadline(time.Now().Add(headPatience))
	}
	c.size += len(part)
	if c.size <= maxHead {
		searched := max(0, len(c.head)-3)
		c.head = append(c.head, part...)
		if end := bytes.Index(c.head[searched:], headEnd); end >= 0 {
			c.head = c.head[:searched+end+len(headEnd)]
			c.headRead()
			c.lines = bytes.Count(c.head, newline)
		} else {
			c.lines += bytes.Count(part, newline)
		}
		return c.counted()
	}
	// Of a long head only the last bytes are kept, to find where it ends.
	tail := append(c.head[max(0, len(c.head)-3):len(c.head):len(c.head)], part...)
	c.head = append(c.head[:0], tail[max(0, len(tail)-3):]...)
	if end := bytes.Index(tail, headEnd); end >= 0 {
		c.headRead()
		c.lines += bytes.Count(tail[:end], newline)
		return c.counted()
	}
	c.lines += bytes.Count(part, newline)
	if err := c.counted(); err != nil {
		return err
	}
	return c.hold()
}

var headEnd, newline = []byte("\r\n\r\n"), []byte("\n")

// counted returns an error if the head has too many lines.
func (c *conn) counted() error {
	if c.lines > maxLines {
		return errLines
	}
	return nil
}

func (c *conn) headRead() {
	c.whole = true
	_ = c.TCPConn.SetReadDeadline(time.Time{})
}

// hold takes the bytes for a long head from the budget and waits until they are
// left. Meanwhile nothing is read, so the client cannot send the rest.
func (c *conn) hold() error {
	if c.held > 0 {
		return nil
	}
	for deadline := time.Now().Add(longHeadPatience); !c.server.budget.Take(longHead); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return os.ErrDeadlineExceeded
		}
	}
	c.held = longHead
	return c.TCPConn.SetReadDeadline(time.Now().Add(headPatience))
}

// release returns the bytes of the head to the budget.
func (c *conn) release() {
	if c.held > 0 {
		c.server.budget.Give(c.held)
		c.held = 0
	}
}

// idle prepares for the next request.
func (c *conn) idle() {
	if c.release(); cap(c.head) > 4<<10 {
		c.head = nil
	}
	c.head, c.whole = append(c.head[:0], c.early...), false
	c.size, c.lines, c.early = len(c.head), bytes.Count(c.head, newline), c.early[:0]
	c.busy.Store(false)
}

// SetReadDeadline implements net.Conn. It ignores a zero t while a head is read:
// net/http clears the deadline when it begins to read a head, after the head's
// first byte may have set one.
func (c *conn) SetReadDeadline(t time.Time) error {
	if t.IsZero() && c.size > 0 && !c.whole {
		return nil
	}
	err := c.TCPConn.SetReadDeadline(t)
	if !t.IsZero() && !t.After(time.Now()) {
		c.wakeUp(false)
	}
	return err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.wakeUp(true)
	c.server.forget(c)
	return c.TCPConn.Close()
}

func (c *conn) wakeUp(closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = c.closed || closed
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// awaitClient is called while a request is handled, after its client has sent the
// end of its data. It blocks while the client waits for the answer, and returns
// io.EOF, which cancels the request, when the client is gone.
func (c *conn) awaitClient() error {
	c.mu.Lock()
	wake := make(chan struct{})
	if c.wake = wake; c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.mu.Unlock()
	ticks := time.NewTicker(watch)
	defer ticks.Stop()
	for waitsForAnswer(c.TCPConn) {
		select {
		case <-wake:
			return os.ErrDeadlineExceeded // net/http has finished the request
		case <-ticks.C:
		}
	}
	return io.EOF
}

// unread reports whether bytes have arrived that are not read yet.
func (c *conn) unread() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT) // negative if there is nothing
	})
	return err == nil && n > 0
}

// listener accepts conns.
type listener struct {
	net.Listener
	server *Server
}

func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return accepted, err
	}
	c := &conn{TCPConn: tcp, server: l.server}
	l.server.remember(c)
	return c, err
}

type connKey struct{}

// observe sets the hooks of an http.Server through which its conns learn when a
// request is over and when a connection is closed.
func observe(s *http.Server) {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.ConnState = func(nc net.Conn, state http.ConnState) {
		c, ok := nc.(*conn)
		switch {
		case !ok:
		case state == http.StateIdle:
			c.idle()
		case state == http.StateClosed, state == http.StateHijacked:
			c.release()
			c.server.forget(c)
		}
	}
}

func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// framing is the way in which a request marks its end.
type framing int

const (
	framedOnce    framing = iota // by a Content-Length or by chunked coding
	framedTwice                  // by both
	framedSomehow                // unknown: the head was not kept
)

// framingOf returns how a request is framed. A request that has a Content-Length
// and is also chunked is ambiguous, and a server may refuse it (RFC 9112, 6.3).
// net/http reads it as chunked and removes the Content-Length, so a handler cannot
// detect it. Therefore conn keeps the head as it was received.
func framingOf(r *http.Request) framing {
	if len(r.TransferEncoding) == 0 {
		return framedOnce // net/http refuses a request with two lengths
	}
	c := connOf(r)
	if c == nil || !c.whole || c.size > maxHead {
		return framedSomehow
	}
	line, fields, _ := bytes.Cut(c.head, []byte("\r\n"))
	if string(line) != r.Method+" "+r.RequestURI+" "+r.Proto {
		return framedSomehow
	}
	for line := range bytes.Lines(fields) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			return framedTwice
		}
	}
	return framedOnce
}
