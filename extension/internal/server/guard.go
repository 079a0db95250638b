package server

import (
	"net"
	"net/http"
	"strings"

	"github.com/throughline/throughline/internal/loopback"
)

// Guarded returns handler behind checks of every request of an endpoint that listens
// on address. It refuses a request that is framed in two ways, whose Host is not a
// loopback address, or that comes from a page in a browser. If handler panics, it
// calls fault with the value and closes the connection.
func Guarded(handler http.Handler, address string, fault func(reason any)) http.Handler {
	_, port, _ := net.SplitHostPort(address) // port is empty if address has none
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason)
			default:
				fault(reason)
				panic(http.ErrAbortHandler)
			}
		}()
		switch framingOf(r) {
		case framedTwice:
			w.Header().Set("Connection", "close")
			http.Error(w, "the request has a Content-Length and is chunked: it can be read in two ways", http.StatusBadRequest)
			return
		case framedSomehow:
			w.Header().Set("Connection", "close") // no bytes after it are read as another request
		}
		if !local(r.Host, port) || fromPage(r) {
			w.Header().Set("Connection", "close")
			http.Error(w, "this endpoint answers programs on this machine: Host is its loopback address, and there is no Origin", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// local reports whether host is a loopback address, which protects against DNS
// rebinding. An empty host is allowed: HTTP/1.0 has requests without one.
func local(host, port string) bool {
	if host == "" {
		return true
	}
	name, named := host, ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		name, named = h, p
	}
	name = strings.Trim(name, "[]")
	return (named == "" || named == port) && loopback.Is(strings.ToLower(name))
}

// fromPage reports whether a browser sent the request for a page. Browsers add
// Origin to requests that may change something and to WebSockets, and Sec-Fetch-Site
// (Fetch Metadata Request Headers) to all others; programs add neither.
func fromPage(r *http.Request) bool {
	_, origin := r.Header["Origin"]
	site := r.Header.Get("Sec-Fetch-Site")
	return origin || site != "" && site != "none"
}

// Accepts reports whether the request's Content-Type is one of types, and answers
// 415 if it is not.
func Accepts(w http.ResponseWriter, r *http.Request, types ...string) bool {
	got, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	got = strings.TrimSpace(got)
	for _, t := range types {
		if strings.EqualFold(got, t) {
			return true
		}
	}
	http.Error(w, "Content-Type is to be "+strings.Join(types, " or "), http.StatusUnsupportedMediaType)
	return false
}
