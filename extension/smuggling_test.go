package extension

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/tracing/otlp"
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

// splitByABuffer is sent in parts: net/http's buffer of 4 096 bytes is left with
// room for one, so that the end of a line is read alone.
var splitByABuffer = []string{
	"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
	"A: " + strings.Repeat("a", 4095-len("A: \r")) + "\r",
	"\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

func smuggle(t *testing.T, a *answers, address string) {
	for name, raw := range map[string]string{
		"both lengths":      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"split by a buffer": strings.Join(splitByABuffer, ""),
		"behind another":    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nPOST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"two lengths":       "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloGET /smuggled HTTP/1.1\r\n\r\n",
		"odd encoding":      "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"header with feed":  "POST / HTTP/1.1\r\nHost: localhost\r\nA: b\nTransfer-Encoding : chunked\r\n\r\n",
		"long header":       "POST / HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("a", 4<<20) + "\r\n\r\n",
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
			parts := []string{raw}
			if name == "split by a buffer" {
				parts = splitByABuffer
			}
			for _, part := range parts {
				_, _ = io.WriteString(conn, part)
				time.Sleep(10 * time.Millisecond)
			}
			in, most := bufio.NewReader(conn), 0
			if name == "behind another" { // it and the one before it are passed on as two, and nothing more
				most = 2
				if _, err := http.ReadResponse(in, nil); err != nil {
					t.Fatal(err)
				}
			} else if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode < 400 || !answer.Close {
				t.Errorf("answered %+v, %v", answer, err)
			}
			_, _ = io.Copy(io.Discard, conn) // until it is closed, and all that was passed on has been
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.requests) > most {
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

// What is chunked as it should be, as Go's runtime answers, keeps its connection.
func TestChunkedRequestsShareAConnection(t *testing.T) {
	d := newDesk(t, nil)
	url := d.serve("otlp") + "/v1/traces"
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 5 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(bytes.NewReader(otlp.Encode(otlp.Resource{}, otlp.Span{Name: "work"}))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || reused != (i > 0) {
			t.Errorf("request %d: %s, on a connection of before: %v", i, resp.Status, reused)
		}
	}
}
