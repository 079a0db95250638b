// Package gateway is the HTTP proxy through which functions that run locally reach other
// hosts. It passes calls to emulated hosts to their handlers, forwards calls to allowed
// hosts, and refuses all others. It also serves requests that are sent to it as if it
// were the host: HTTP by the Host header, TLS by the server name.
package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of a [Gateway].
type Options struct {
	// Played are the hosts that handlers answer, each a name or *.domain.
	Played map[string]http.Handler
	// Allow are other hosts that can be called, in the same form. * means every host.
	Allow []string
	// Fault, if not nil, returns the fault for a call. For encrypted calls to hosts
	// without a handler it is called once for each connection. It can be called from
	// several goroutines at once.
	Fault func(host string) Fault
	// OnRefused, if not nil, is called for each refusal, from one goroutine at a time.
	OnRefused func(host string)
	// Dial, if not nil, connects to allowed hosts. The default is that of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Fault is a fault to inject into a call. The zero value is no fault.
type Fault struct {
	Delay time.Duration
	// Status is the response's status. An encrypted connection to a host without a
	// handler is closed instead.
	Status int
}

// Gateway listens on loopback. Use [Start], and close it. It is safe for concurrent use.
type Gateway struct {
	// Address is host:port. CA is the path of the PEM file with the authorities that
	// clients have to trust: the system's, and the gateway's own, whose key is only in
	// this process.
	Address, CA string

	options  Options
	issuer   *issuer
	listener net.Listener
	plain    *handed
	server   *http.Server
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	telling  sync.Mutex

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// Start listens on a free port of the loopback interface. dir is the folder for the file
// of authorities.
func Start(dir string, o Options) (*Gateway, error) {
	issuer, err := newIssuer()
	if err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	ca, err := issuer.write(dir)
	if err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialing}).DialContext
	}
	g := &Gateway{Address: listener.Addr().String(), CA: ca, options: o, issuer: issuer, listener: listener, open: map[net.Conn]struct{}{}}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.plain = &handed{conns: make(chan net.Conn), done: g.ctx.Done(), address: listener.Addr()}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	g.running.Go(func() { _ = g.server.Serve(g.plain) })
	g.running.Go(g.accept)
	return g, nil
}

const dialing = 10 * time.Second

// Close ends every connection.
func (g *Gateway) Close() {
	g.stop()
	_ = g.listener.Close()
	_ = g.server.Close()
	g.mu.Lock()
	for conn := range g.open {
		_ = conn.Close()
	}
	g.mu.Unlock()
	g.running.Wait()
}

func (g *Gateway) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.running.Go(func() { g.take(conn, "") })
	}
}

// keep registers a connection until the returned function is called.
func (g *Gateway) keep(conn net.Conn) (forget func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[conn] = struct{}{}
	if g.ctx.Err() != nil {
		_ = conn.Close()
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, conn)
	}
}

// take detects the protocol of a connection. to is the address of the CONNECT request, or
// "" if the client connected to the gateway as to the host.
func (g *Gateway) take(conn net.Conn, to string) {
	forget := g.keep(conn)
	defer forget()
	reader := bufio.NewReaderSize(conn, maxHello)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	first, err := reader.Peek(1)
	if err != nil {
		_ = conn.Close()
		return
	}
	const handshake = 22 // the type of TLS's first record
	if first[0] != handshake {
		_ = conn.SetReadDeadline(time.Time{})
		g.plain.hand(&peeked{conn, reader})
		return
	}
	host, hello, err := serverName(reader)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil {
		_ = conn.Close()
		return
	}
	again := &peeked{conn, io.MultiReader(bytes.NewReader(hello), reader)}
	if g.handler(host) != nil {
		g.plain.hand(g.issuer.server(again))
		return
	}
	if to == "" {
		to = net.JoinHostPort(host, "443")
	}
	g.splice(again, to)
}

// splice forwards a connection to an allowed host.
func (g *Gateway) splice(conn net.Conn, to string) {
	defer func() { _ = conn.Close() }()
	host, _, err := net.SplitHostPort(to)
	if err != nil || !g.allowed(host) {
		g.refused(host)
		return
	}
	if f := g.fault(host); !g.wait(f.Delay) || f.Status != 0 {
		return
	}
	upstream, err := g.options.Dial(g.ctx, "tcp", to)
	if err != nil {
		return
	}
	defer g.keep(upstream)()
	defer func() { _ = upstream.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(upstream, conn)
		if half, ok := upstream.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(conn, upstream)
	_ = conn.Close()
	<-done
}

func (g *Gateway) wait(d time.Duration) bool {
	if d <= 0 {
		return g.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

func (g *Gateway) fault(host string) Fault {
	if g.options.Fault == nil {
		return Fault{}
	}
	return g.options.Fault(host)
}

func (g *Gateway) refused(host string) {
	if g.options.OnRefused == nil {
		return
	}
	g.telling.Lock()
	defer g.telling.Unlock()
	g.options.OnRefused(host)
}

// Advice returns how to allow a call to a host that was refused.
func Advice(host string) string {
	if Matches(host, []string{"*.amazonaws.com", "*.api.aws"}) {
		return "real AWS needs --aws real"
	}
	return "allow it with --allow " + host
}

// Matches reports whether a host matches one of the patterns: a name, *.domain, or *.
func Matches(host string, patterns []string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(patterns, func(p string) bool {
		domain, below := strings.CutPrefix(p, "*")
		return p == "*" || p == host || below && strings.HasPrefix(domain, ".") && strings.HasSuffix(host, domain)
	})
}

func (g *Gateway) allowed(host string) bool { return Matches(host, g.options.Allow) }

// handler returns the handler of an emulated host, or nil.
func (g *Gateway) handler(host string) http.Handler {
	for pattern, h := range g.options.Played {
		if Matches(host, []string{pattern}) {
			return h
		}
	}
	return nil
}

// ServeHTTP serves requests to the proxy, and requests that are for the host itself.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	handler := g.handler(host)
	if handler == nil && !g.allowed(host) {
		g.refused(host)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "throughline dev refused a call to %s: %s\n", host, Advice(host))
		return
	}
	if r.Method == http.MethodConnect {
		g.tunnel(w, r.Host, handler != nil)
		return
	}
	f := g.fault(host)
	if !g.wait(f.Delay) {
		return
	}
	switch {
	case f.Status != 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, `{"code": %d, "message": "throughline dev injected this failure"}`+"\n", f.Status)
	case handler != nil:
		handler.ServeHTTP(w, r)
	default:
		proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", r.Host, r.Host
		}, Transport: &http.Transport{DialContext: g.options.Dial, DisableKeepAlives: true}}
		proxy.ServeHTTP(w, r)
	}
}

// tunnel serves CONNECT. It terminates TLS for emulated hosts, and forwards bytes for
// others.
func (g *Gateway) tunnel(w http.ResponseWriter, to string, played bool) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "the connection does not support tunnels", http.StatusNotImplemented)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	inner := &peeked{conn, buffered.Reader}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil { // the gateway is closed
		_ = conn.Close()
		return
	}
	g.running.Go(func() {
		if played {
			g.take(inner, to)
			return
		}
		defer g.keep(conn)()
		g.splice(inner, to)
	})
}

// peeked is a connection whose first bytes were read already.
type peeked struct {
	net.Conn
	from io.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.from.Read(b) }

// handed is a listener for connections that another listener accepted.
type handed struct {
	conns   chan net.Conn
	done    <-chan struct{}
	address net.Addr
}

func (h *handed) hand(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.done:
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, errClosed
	}
}

var errClosed = errors.New("the gateway is closed")

// Close implements net.Listener.
func (h *handed) Close() error { return nil }

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return h.address }
