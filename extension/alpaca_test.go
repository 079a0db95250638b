package extension

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/tracing/otlp"
)

func TestAlpacaEndpoint(t *testing.T) {
	var hosts []string
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host+r.URL.Path+" "+r.Header.Get("X-Correlation-ID")+" "+r.Header.Get("APCA-API-KEY-ID"))
		w.Header().Set("X-Request-ID", "q-1")
		_, _ = io.WriteString(w, `{"is_open":true}`)
	}))
	defer exchange.Close()
	d := newDesk(t, func(c *Config) { c.AlpacaUpstream = exchange.URL })
	url := d.serve("alpaca")
	f := &inflight.Invocation{}
	f.Invocation = d.handling.Begin(t.Context(), []byte(stampedEvent(1)), tracingInvocation("r-1"), true)
	d.inFlight.Begin(f)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/paper/v2/clock?a=b", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("APCA-API-KEY-ID", "PK")
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != `{"is_open":true}` || len(hosts) != 1 || hosts[0] != "paper-api.alpaca.markets/v2/clock workflow-1 PK" {
		t.Errorf("%s %q", body, hosts)
	}
	found := otlp.Find(d.spans[0], "url.template")
	if len(found) != 1 || found[0].ParentID != f.Span.SpanContext().SpanID() {
		t.Errorf("%+v", found)
	}
	for _, path := range []string{"/evil.example/v2", "/", "//paper", "/paper.evil.example/", "/paper-api.alpaca.markets.evil.example/v2", "/..%2fpaper/v2/clock"} {
		if resp, _ := get(t, url+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}

	t.Run("Faults", func(t *testing.T) {
		put := func(text string) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/throughline/v1/faults", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := plainClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return resp.StatusCode
		}
		for text, want := range map[string]int{"error=503": 503, "error=500:100%": 500, "rate-limit=0,error=429:0%": 200, "delay=1ms": 200, "": 200} {
			if status := put(text); status != http.StatusOK {
				t.Errorf("%s: %d", text, status)
			}
			if resp, _ := get(t, url+"/live/v2/account"); resp.StatusCode != want {
				t.Errorf("%s: %s", text, resp.Status)
			}
		}
		put("rate-limit=2")
		limited := 0
		for range 4 {
			if resp, _ := get(t, url+"/data/v2/stocks"); resp.StatusCode == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited < 2 && limited != 0 || limited == 0 && time.Now().Second() != 0 {
			t.Errorf("%d of 4 calls were limited", limited)
		}
		for _, wrong := range []string{"delay=x", "error=200", "error=500:200%", "storm=1", "delay=2h"} {
			if put(wrong) != http.StatusBadRequest {
				t.Errorf("%s was taken", wrong)
			}
		}
	})
}

// A websocket passes.
func TestAlpacaStreams(t *testing.T) {
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%v %v", err, r.Header)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, "heard "+line)
	}))
	defer exchange.Close()
	d := newDesk(t, func(c *Config) { c.AlpacaUpstream = exchange.URL })
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.serve("alpaca"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /stream/v2/sip HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := r.ReadString('\n'); err != nil || line != "heard hello\n" {
		t.Errorf("%q %v", line, err)
	}
}
