// Package server is the common part of the extension's HTTP endpoints: they
// listen only on loopback, answer programs on this machine and no web pages,
// and hold a bounded number of bytes.
package server

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/loopback"
)

// Server serves one listener.
type Server struct {
	// Address is where it listens: host:port.
	Address string

	server *http.Server
	budget *Budget
	done   chan struct{}

	mu    sync.Mutex
	conns map[*conn]bool
}

// MaxHeaderBytes bounds the head of a request. Runtime clients of Lambda send
// heads of a MiB, and a little more.
const MaxHeaderBytes = 2 << 20

// Serve serves a listener until Close. Long heads take of the budget.
func Serve(l net.Listener, handler http.Handler, budget *Budget) *Server {
	s := &Server{
		Address: l.Addr().String(), budget: budget, done: make(chan struct{}), conns: map[*conn]bool{},
		// Idle connections are kept: a freeze may be hours long.
		server: &http.Server{Handler: handler, MaxHeaderBytes: MaxHeaderBytes, ErrorLog: log.New(io.Discard, "", 0)},
	}
	observe(s.server)
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener{l, s}) // ends with Close
	}()
	return s
}

func (s *Server) remember(c *conn) { s.mu.Lock(); s.conns[c] = true; s.mu.Unlock() }

func (s *Server) forget(c *conn) { s.mu.Lock(); delete(s.conns, c); s.mu.Unlock() }

// Close ends the server, and what it serves.
func (s *Server) Close() {
	_ = s.server.Close()
	<-s.done
}

// Shutdown lets requests under way finish until ctx ends. Close ends the rest.
func (s *Server) Shutdown(ctx context.Context) { _ = s.server.Shutdown(ctx) }

// Unhurried says that Drain does not wait for the end of a request, because that
// may be far.
func Unhurried(r *http.Request) {
	if c := connOf(r); c != nil {
		c.busy.Store(false)
	}
}

// Drain waits until the requests that have arrived are answered, for a while at
// most: their clients may not have waited for that.
func (s *Server) Drain(patience time.Duration) {
	const step = time.Millisecond
	for deadline := time.Now().Add(patience); s.pending() && time.Now().Before(deadline); {
		time.Sleep(step)
	}
}

func (s *Server) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.busy.Load() || c.unread() {
			return true
		}
	}
	return false
}

// Listen listens on a loopback address and on no other: whoever reaches an
// endpoint calls with the function's role.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !loopback.Is(host) {
		return nil, fmt.Errorf("%s is not a loopback address, such as 127.0.0.1", address)
	}
	return ListenTCP(address)
}

// ListenTCP listens on an address whose host is not asked about. It is TCP alone:
// Go listens for Multipath TCP too, which nobody on this machine speaks, and asks the
// kernel about it first.
func ListenTCP(address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}
