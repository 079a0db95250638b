package extension

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What could be read in two ways is refused or closed, never passed on twice.
func TestRequestSmuggling(t *testing.T) {
	a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, published) })
	d := newDesk(t, func(c *Config) {
		c.EventsUpstream, c.AlpacaUpstream, c.RuntimeAPI, c.Signals.URL = a.URL, a.URL, strings.TrimPrefix(a.URL, "http://"), a.URL
	})
	for _, endpoint := range endpointNames {
		t.Run(endpoint, func(t *testing.T) { smuggle(t, a, strings.TrimPrefix(d.serve(endpoint), "http://")) })
	}
}

func smuggle(t *testing.T, a *answers, address string) {
	for name, raw := range map[string]string{
		"both lengths":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloGET /smuggled HTTP/1.1\r\n\r\n",
		"odd encoding":     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"header with feed": "POST / HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding : chunked\r\n\r\n",
		"long header":      "POST / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.requests = nil
			a.mu.Unlock()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(conn, raw)
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil && !answer.Close {
				t.Error("the connection goes on")
			}
			_, _ = io.Copy(io.Discard, conn) // until it is closed, and all that was passed on has been
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.requests) > 1 || len(a.requests) == 1 && name != "both lengths" {
				t.Errorf("%d requests passed on", len(a.requests))
			}
			for _, r := range a.requests {
				if len(r.TransferEncoding) > 0 && r.ContentLength > 0 || r.URL.Path == "/smuggled" {
					t.Errorf("passed on: %s %s", r.Method, r.URL)
				}
			}
		})
	}
}
