package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// It ends by itself, half a second after a connection was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func serving(t *testing.T, handler http.HandlerFunc) *Server {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Guarded(handler, l.Addr().String(), func(reason any) { t.Log(reason) }), NewBudget(12<<20))
	t.Cleanup(s.Close)
	return s
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// A client that has closed its own direction gets its answer: here a second later
// than an ordinary server would notice.
func TestHalfClosedConnections(t *testing.T) {
	s := serving(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * watch):
			fmt.Fprint(w, "answer")
		case <-r.Context().Done():
		}
	})
	c := dial(t, s)
	fmt.Fprintf(c, "GET /next HTTP/1.1\r\nHost: %s\r\n\r\n", s.Address)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "answer" {
		t.Errorf("%q, %v", body, err)
	}
}

// A client that is gone ends its request, also after it had closed its own
// direction: Lambda must not hand an event to nobody.
func TestClientsThatAreGone(t *testing.T) {
	for name, half := range map[string]bool{"at once": false, "after its direction": true} {
		t.Run(name, func(t *testing.T) {
			var began, ended atomic.Bool
			s := serving(t, func(_ http.ResponseWriter, r *http.Request) {
				began.Store(true)
				<-r.Context().Done()
				ended.Store(true)
			})
			c := dial(t, s)
			fmt.Fprintf(c, "GET /next HTTP/1.1\r\nHost: %s\r\n\r\n", s.Address)
			until(t, "the request", began.Load)
			if half {
				_ = c.(*net.TCPConn).CloseWrite()
				time.Sleep(watch / 10)
				if ended.Load() {
					t.Error("the request ended although its client waits")
				}
			}
			c.Close()
			until(t, "its end", ended.Load)
		})
	}
}

// Heads of more than a MiB, as runtime clients send them, arrive whole.
func TestLongHeads(t *testing.T) {
	long := strings.Repeat("x", 1<<20+1<<18)
	s := serving(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header.Get("Cause"))) })
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 5 { // on one connection: what a head held is given back
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Address, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cause", long)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != fmt.Sprint(len(long)) {
			t.Errorf("%s: %s of %d", resp.Status, body, len(long))
		}
	}
	client.CloseIdleConnections()
	until(t, "the release of the budget", func() bool { return s.budget.left.Load() == 12<<20 })
}

// A head that does not come to its end is not waited for, however it drips.
func TestSlowHeads(t *testing.T) {
	s := serving(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came of it") })
	c := dial(t, s)
	stop := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(c, "%c", "GET / HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[i%40]); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(headPatience / 50):
			}
		}
	}()
	defer close(stop)
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("it was waited for: %v", err)
	}
}

// A connection may be open for long before its first request.
func TestEarlyConnections(t *testing.T) {
	s := serving(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answer") })
	c := dial(t, s)
	time.Sleep(headPatience + headPatience/10)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", s.Address)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestGuard(t *testing.T) {
	s := serving(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Address)
	for head, want := range map[string]int{
		"Host: " + s.Address + "\r\n":                                         200,
		"Host: localhost:" + port + "\r\n":                                    200,
		"Host: LOCALHOST\r\n":                                                 200,
		"Host: [::1]:" + port + "\r\n":                                        200,
		"Host: 127.0.0.1\r\n":                                                 200,
		"Host: 127.0.0.1:1\r\n":                                               403,
		"Host: rebound.example:" + port + "\r\n":                              403,
		"Host: 127.0.0.1.example\r\n":                                         403,
		"Host: " + s.Address + "\r\nOrigin: https://a.example\r\n":            403,
		"Host: " + s.Address + "\r\nOrigin: null\r\n":                         403,
		"Host: " + s.Address + "\r\nOrigin: http://" + s.Address + "\r\n":     403,
		"Host: " + s.Address + "\r\nSec-Fetch-Site: cross-site\r\n":           403,
		"Host: " + s.Address + "\r\nSec-Fetch-Site: none\r\n":                 200,
		"Host: " + s.Address + "\r\nSec-Fetch-Mode: cors\r\n":                 200,
		"Host: " + s.Address + "\r\nX-Forwarded-Host: rebound.example\r\n":    200,
		"Host: " + s.Address + "\r\nReferer: https://a.example/page.html\r\n": 200,
	} {
		c := dial(t, s)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\n%s\r\n", head)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%q: %v, %v, want %d", head, resp, err, want)
		}
	}
}

func TestListen(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "nonsense", ""} {
		if l, err := Listen(address); err == nil {
			l.Close()
			t.Errorf("%s is listened on", address)
		}
	}
}

// Drain waits for what has arrived, and not for what is far.
func TestDrain(t *testing.T) {
	var answered atomic.Int32
	s := serving(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/next" {
			Unhurried(r)
			<-r.Context().Done()
			return
		}
		time.Sleep(20 * time.Millisecond)
		answered.Add(1)
	})
	next := dial(t, s)
	fmt.Fprintf(next, "GET /next HTTP/1.1\r\nHost: %s\r\n\r\n", s.Address)
	until(t, "next", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 1 })
	until(t, "quiet", func() bool { return !s.pending() })
	for range 3 {
		fmt.Fprintf(dial(t, s), "POST /report HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\n{}", s.Address)
	}
	until(t, "the connections", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 4 })
	if s.Drain(10 * time.Second); answered.Load() != 3 {
		t.Errorf("%d of 3 reports were taken", answered.Load())
	}
}

func TestReadIsBounded(t *testing.T) {
	budget := NewBudget(100 << 10)
	for name, tt := range map[string]struct {
		length, size int
		want         error
	}{
		"Announced": {50 << 10, 50 << 10, nil}, "Chunked": {40 << 10, -1, nil}, "Empty": {0, 0, nil},
		"Too large": {70 << 10, 70 << 10, ErrTooLarge}, "Too large, chunked": {70 << 10, -1, ErrTooLarge},
	} {
		body, release, err := Read(strings.NewReader(strings.Repeat("x", tt.length)), tt.size, budget, 60<<10)
		if !errors.Is(err, tt.want) || err == nil && len(body) != tt.length {
			t.Errorf("%s: %d bytes, %v", name, len(body), err)
		}
		if release != nil {
			release()
		}
		if left := budget.left.Load(); left != 100<<10 {
			t.Errorf("%s: %d bytes of the budget are left", name, left)
		}
	}
	budget.Take(90 << 10)
	if _, _, err := Read(strings.NewReader(strings.Repeat("x", 20<<10)), -1, budget, 60<<10); !errors.Is(err, ErrBusy) {
		t.Errorf("a spent budget: %v", err)
	}
	if left := budget.left.Load(); left != 10<<10 {
		t.Errorf("%d bytes of the budget are left", left)
	}
}

func FuzzHasSocket(f *testing.F) {
	f.Add("   0: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1\n", 40000, 8080)
	f.Fuzz(func(_ *testing.T, list string, local, remote int) {
		_ = hasSocket(list, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: local}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: remote})
	})
}

// Requests are told apart however their bytes fall into reads.
func FuzzFraming(f *testing.F) {
	f.Add("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", 7)
	f.Add("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 1)
	f.Fuzz(func(t *testing.T, text string, step int) {
		if step <= 0 || len(text) > 4<<10 {
			return
		}
		l, err := Listen("127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		s := Serve(l, Guarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/smuggled" && strings.Contains(strings.ToLower(text), "chunked") && strings.Count(text, "\r\n\r\n") < 3 {
				t.Errorf("%q smuggles a request", text)
			}
		}), l.Addr().String(), func(any) {}), NewBudget(1<<20))
		defer s.Close()
		c, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		for part := range min(len(text)/step+1, 50) {
			_, _ = io.WriteString(c, text[min(part*step, len(text)):min((part+1)*step, len(text))])
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, c)
	})
}
