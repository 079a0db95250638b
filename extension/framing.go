package extension

import (
	"bytes"
	"context"
	"net"
	"net/http"
)

// A request that has a Content-Length and is chunked too can be read in two
// ways. net/http reads it in one and takes the other's header off, so that
// nobody behind it can tell; RFC 9112, 6.3, has it refused. For that the head
// is kept as it came.

// framedListener accepts framedConns.
type framedListener struct{ net.Listener }

func (l framedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &framedConn{TCPConn: tcp}, err
	}
	return conn, err
}

// framedConn keeps the head of the request that is being read. net/http reads
// in one goroutine at a time.
type framedConn struct {
	*net.TCPConn
	head  []byte
	whole bool
	// early is the next request's first byte, where it was read to notice a client
	// that goes away.
	early []byte
}

// maxHead is as much of a head as is kept: of a longer one nothing is known.
const maxHead = 64 << 10

func (c *framedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if c.whole && len(p) == 1 {
		c.early = append(c.early[:0], p[:n]...)
	}
	if c.whole || n <= 0 || len(c.head)+n > maxHead {
		return n, err //nolint:wrapcheck // the connection's own
	}
	searched := max(0, len(c.head)-3)
	c.head = append(c.head, p[:n]...)
	if end := bytes.Index(c.head[searched:], []byte("\r\n\r\n")); end >= 0 {
		c.head, c.whole = c.head[:searched+end+4], true
	}
	return n, err //nolint:wrapcheck // the connection's own
}

// frames has a server keep heads.
func frames(s *http.Server) {
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, framedKey{}, conn)
	}
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		if c, ok := conn.(*framedConn); ok && state == http.StateIdle {
			c.head, c.whole = append(c.head[:0], c.early...), false
			c.early = c.early[:0]
		}
	}
}

type framedKey struct{}

// framing is what is known of how a request says where it ends.
type framing int

const (
	framedOnce    framing = iota // in one way
	framedTwice                  // in two
	framedSomehow                // its head was not seen: it stood behind another request
)

func framingOf(r *http.Request) framing {
	if len(r.TransferEncoding) == 0 {
		return framedOnce // two lengths net/http refuses itself
	}
	c, _ := r.Context().Value(framedKey{}).(*framedConn)
	if c == nil || !c.whole {
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
