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

// Server serves one listener. It is safe for concurrent use.
type Server struct {
	// Address is the address that it listens on, as host:port.
	Address string

	server *http.Server
	budget *Budget
	done   chan struct{}

	mu    sync.Mutex
	conns map[*conn]bool
}

// MaxHeaderBytes is the largest head of a request, in bytes. Lambda's runtime
// clients send heads of slightly more than 1 MiB.
const MaxHeaderBytes = 2 << 20

// Serve serves a listener until Close. Heads longer than 64 KiB take memory from
// the budget.
func Serve(l net.Listener, handler http.Handler, budget *Budget) *Server {
	s := &Server{
		Address: l.Addr().String(), budget: budget, done: make(chan struct{}), conns: map[*conn]bool{},
		// No idle timeout: an environment may be frozen for hours.
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

// Close closes the listener and all connections.
func (s *Server) Close() {
	_ = s.server.Close()
	<-s.done
}

// Shutdown waits until the requests in progress are answered, or until ctx is done.
// Close then ends the others.
func (s *Server) Shutdown(ctx context.Context) { _ = s.server.Shutdown(ctx) }

// Unhurried marks a request for whose answer Drain does not wait, because it may
// take long.
func Unhurried(r *http.Request) {
	if c := connOf(r); c != nil {
		c.busy.Store(false)
	}
}

// Drain waits until the requests that have arrived are answered, but not longer than
// patience. A client may send a report without waiting for the answer.
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

// Listen listens on a loopback address and returns an error for any other: a client
// of an endpoint makes calls with the function's role.
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

// ListenTCP listens on an address without a check of its host. It turns off Multipath
// TCP, which Go enables by default: no client on this machine uses it, and Go has to
// ask the kernel about it first.
func ListenTCP(address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}
