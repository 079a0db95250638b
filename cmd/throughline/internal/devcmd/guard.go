package devcmd

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/throughline/throughline/internal/loopback"
)

// tokenHeader is the header with the token of this process, which only its page has.
// Requests that change something need it.
const tokenHeader = "Throughline-Token"

func newToken() string { return rand.Text() }

// own protects the page from other sites: it refuses requests with another host name,
// requests across origins, and cross-origin requests that a browser sends without a
// preflight. Requests that are not reads also need the token. played, if not nil, serves
// /app/ and checks a token of its own.
func own(token string, next, played http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, err := net.SplitHostPort(r.Host)
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		if err != nil || !loopback.Is(name) || origin != "" && origin != "http://"+r.Host || site != "" && site != "same-origin" && site != "none" {
			http.Error(w, "this server only answers requests to its own address", http.StatusForbidden)
			return
		}
		of, needed := next, r.Method != http.MethodGet && r.Method != http.MethodHead
		if played != nil && strings.HasPrefix(r.URL.Path, "/app/") {
			of, needed = played, false
		}
		given := r.Header.Get(tokenHeader)
		if needed && subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "the token is wrong: reload the page", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		of.ServeHTTP(w, r)
	})
}
