package devcmd

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/throughline/throughline/internal/loopback"
)

// tokenHeader is what a request that changes anything carries: the token of this start,
// which the page alone was given.
const tokenHeader = "Throughline-Token"

func newToken() string { return rand.Text() }

// own lets pages of other sites get nothing and change nothing: neither by a name of
// their own for this address, nor by a request across origins, nor by one that a browser
// sends without asking first. What is not read alone needs the token too. played, if not
// nil, answers below /app/ and asks for a token of its own.
func own(token string, next, played http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, err := net.SplitHostPort(r.Host)
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		if err != nil || !loopback.Is(name) || origin != "" && origin != "http://"+r.Host || site != "" && site != "same-origin" && site != "none" {
			http.Error(w, "this page is for its own address alone", http.StatusForbidden)
			return
		}
		of, needed := next, r.Method != http.MethodGet && r.Method != http.MethodHead
		if played != nil && strings.HasPrefix(r.URL.Path, "/app/") {
			of, needed = played, false
		}
		given := r.Header.Get(tokenHeader)
		if needed && subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "the token is another: open the page again", http.StatusForbidden)
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
