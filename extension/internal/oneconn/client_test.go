package oneconn

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// serving is a client of handler, and how many connections it has opened.
func serving(t *testing.T, handler http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := &Client{Address: strings.TrimPrefix(server.URL, "http://")}
	t.Cleanup(c.Close)
	return c, &opened
}

// scripted is a client of an API that answers each connection's requests with what
// stands in its list, and then closes it.
func scripted(t *testing.T, connections ...[]string) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, answers := range connections {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for _, answer := range answers {
				r, err := http.ReadRequest(in)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(conn, answer)
			}
			_ = conn.Close()
		}
	}()
	c := &Client{Address: l.Addr().String()}
	t.Cleanup(func() { c.Close(); _ = l.Close(); <-done })
	return c
}

func TestRequestsComeAsTheyAreAsked(t *testing.T) {
	c, opened := serving(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Seen", strings.Join([]string{r.Method, r.RequestURI, r.Host, r.Header.Get("Lambda-Extension-Name"), string(body)}, " "))
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, strings.Repeat("answer", 2000)) // chunked
	})
	wrote := 0
	for _, r := range []Request{
		{Method: "POST", Path: "/register", Header: [][2]string{{"Lambda-Extension-Name", "x"}}, Body: []byte("{}"), Wrote: func() { wrote++ }},
		{Method: "GET", Path: "/next?a=b", Wrote: func() { wrote++ }},
	} {
		answer, err := c.Do(t.Context(), r)
		want := strings.TrimSpace(r.Method + " " + r.Path + " " + c.Address + " " + map[string]string{"POST": "x {}"}[r.Method])
		if err != nil || strings.TrimSpace(answer.Header.Get("Seen")) != want || string(answer.Body) != strings.Repeat("answer", 2000) {
			t.Errorf("%v; saw %q, want %q; %d bytes", err, answer.Header.Get("Seen"), want, len(answer.Body))
		}
		if forbidden := answer.Status == http.StatusForbidden; forbidden != (r.Method == "GET") {
			t.Errorf("%s: status %d", r.Method, answer.Status)
		}
	}
	if opened.Load() != 1 || wrote != 2 {
		t.Errorf("%d connections, told %d times", opened.Load(), wrote)
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

// A connection that was closed meanwhile is opened again, once, and only where it
// has served before and nothing of the answer came.
func TestClosedConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		connections [][]string
		requests    int
		fails       bool // the last one
	}{
		"Closed after an answer":                {[][]string{{ok}, {ok}}, 2, false},
		"Closed after the head came":            {[][]string{{ok, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"}, {ok}}, 2, true},
		"Closed at once":                        {[][]string{{""}, {ok}}, 1, true},
		"Closed twice":                          {[][]string{{ok}, {""}, {ok}}, 2, true},
		"It says that it closes":                {[][]string{{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"}, {ok}}, 2, false},
		"HTTP/1.0":                              {[][]string{{"HTTP/1.0 200 OK\r\n\r\n{}"}, {ok}}, 2, false},
		"More than an answer":                   {[][]string{{ok + ok}, {ok}}, 2, false},
		"100 Continue":                          {[][]string{{"HTTP/1.1 100 Continue\r\n\r\n" + ok, ok}}, 2, false},
		"101 Switching Protocols":               {[][]string{{"HTTP/1.1 101 Switching Protocols\r\n\r\n"}, {ok}}, 1, true},
		"No HTTP":                               {[][]string{{"SSH-2.0\r\n"}, {ok}}, 1, true},
		"A head without an end":                 {[][]string{{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 300_000)}, {ok}}, 1, true},
		"A body in chunks that never get there": {[][]string{{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"}, {ok}}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := scripted(t, tt.connections...)
			for n := range tt.requests {
				answer, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
				if fails := tt.fails && n == tt.requests-1; (err != nil) != fails {
					t.Fatalf("request %d: %v", n, err)
				}
				if err == nil && (answer.Status != 200 || string(answer.Body) != "{}") {
					t.Errorf("request %d: %d %q", n, answer.Status, answer.Body)
				}
			}
		})
	}
}

// A context bounds a request, and the connection is not used again.
func TestContextEnds(t *testing.T) {
	c, opened := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "{}")
	})
	ask := func(ctx context.Context, path string) error {
		_, err := c.Do(ctx, Request{Method: "GET", Path: path})
		return err
	}
	if err := ask(t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := ask(short, "/hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after its time: %v", err)
	}
	if err := ask(t.Context(), "/"); err != nil || opened.Load() != 2 {
		t.Errorf("%v, over %d connections", err, opened.Load())
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ask(canceled, "/"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
}

func TestBounds(t *testing.T) {
	c, opened := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", longest+1))
	})
	answer, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
	if err != nil || len(answer.Body) != longest {
		t.Errorf("%v, %d bytes", err, len(answer.Body))
	}
	for _, value := range []string{"a\r\nEvil: b", "a\nb", "\x00", "\x7f"} {
		if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/", Header: [][2]string{{"Name", value}}}); err == nil {
			t.Errorf("%q is sent as a value", value)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections", opened.Load())
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Address: l.Addr().String()}
	_ = l.Close()
	if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}
