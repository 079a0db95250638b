// Package oneconn is an HTTP/1.1 client with one connection, for an API on this
// machine that gets one request after another. It starts faster than net/http,
// which uses two goroutines per connection.
package oneconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Client calls the API at Address, host:port. It is not safe for concurrent use.
type Client struct {
	Address string

	conn net.Conn // nil if none is open
	left int64    // bytes of the current response that may still be read
	in   *bufio.Reader
}

// Request is a request. It must be safe to send twice: Do sends it again if a
// connection that was kept open turns out to be closed.
type Request struct {
	Method, Path string
	Header       [][2]string
	Body         []byte // nil for none
	// Wrote is called once, after the request is written; it may be nil.
	Wrote func()
}

// Answer is the response of the API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most the first 1 MiB
}

const (
	longest     = 1 << 20  // bytes of a body
	longestHead = 64 << 10 // bytes of a head and of the framing of the body
)

var errTooLong = errors.New("the answer is too long")

// Do sends a request and returns the response. The error is that of the connection or
// of ctx; a response with an error status is not an error.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	text, err := c.encode(r)
	if err != nil {
		return Answer{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return Answer{}, err
		}
		reused := c.conn != nil
		if !reused {
			if err := c.dial(ctx); err != nil {
				return Answer{}, err
			}
		}
		answer, begun, err := c.exchange(ctx, text, &r)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() == nil && (begun || !reused):
			return Answer{}, err
		}
	}
}

func (c *Client) encode(r Request) ([]byte, error) {
	const usual = 512
	text := make([]byte, 0, usual+len(r.Body))
	text = append(text, r.Method+" "+r.Path+" HTTP/1.1\r\nHost: "+c.Address+"\r\nUser-Agent: throughline\r\n"...)
	for _, field := range r.Header {
		for _, b := range []byte(field[1]) {
			if b < ' ' && b != '\t' || b == 0x7f {
				return nil, fmt.Errorf("%s: %q is no value of a header", field[0], field[1])
			}
		}
		text = append(text, field[0]+": "+field[1]+"\r\n"...)
	}
	if r.Body != nil {
		text = append(strconv.AppendInt(append(text, "Content-Length: "...), int64(len(r.Body)), 10), "\r\n"...)
	}
	return append(append(text, "\r\n"...), r.Body...), nil
}

func (c *Client) dial(ctx context.Context) error {
	address := c.Address
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "80")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	c.conn = conn
	if c.in == nil {
		c.in = bufio.NewReader(reader{c})
	} else {
		c.in.Reset(reader{c})
	}
	return nil
}

// exchange writes a request and reads its response. begun reports whether a part of
// the response arrived. It closes a connection that cannot be used again.
func (c *Client) exchange(ctx context.Context, text []byte, r *Request) (answer Answer, begun bool, err error) {
	stop := context.AfterFunc(ctx, func(conn net.Conn) func() {
		return func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
	}(c.conn))
	again := false
	defer func() {
		if !stop() || !again || err != nil {
			c.Close()
		}
	}()
	c.left = longest + longestHead
	if _, err := c.conn.Write(text); err != nil {
		return Answer{}, false, err
	}
	if r.Wrote != nil {
		r.Wrote()
		r.Wrote = nil
	}
	if _, err := c.in.Peek(1); err != nil {
		return Answer{}, false, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	for err == nil && resp.StatusCode < http.StatusOK { // such as 100 Continue, which the response follows
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return Answer{}, true, errors.New("the API asks for another protocol")
		}
		resp, err = http.ReadResponse(c.in, nil)
	}
	if err != nil {
		return Answer{}, true, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, longest+1))
	if err != nil {
		return Answer{}, true, err
	}
	again = !resp.Close && len(body) <= longest && c.in.Buffered() == 0
	return Answer{resp.StatusCode, resp.Header, body[:min(len(body), longest)]}, true, nil
}

// Close closes the connection, if there is one. Do opens a new one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// reader reads the connection within the bounds of a response.
type reader struct{ c *Client }

func (r reader) Read(p []byte) (int, error) {
	if r.c.left <= 0 {
		return 0, errTooLong
	}
	n, err := r.c.conn.Read(p[:min(int64(len(p)), r.c.left)])
	r.c.left -= int64(n)
	return n, err
}
