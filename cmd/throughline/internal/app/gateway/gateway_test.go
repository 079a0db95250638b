package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/app/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a gateway that plays played.example, allows the hosts below allowed.example,
// which are servers of the test, and refuses all others.
type scene struct {
	*gateway.Gateway
	t       *testing.T
	secure  *httptest.Server // allowed, with TLS
	mu      sync.Mutex
	refused []string
	dialled []string
	fault   gateway.Fault
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "allowed %s %s", r.Host, r.URL.Path) })
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	s.secure = httptest.NewTLSServer(handler)
	t.Cleanup(s.secure.Close)
	var err error
	s.Gateway, err = gateway.Start(t.TempDir(), gateway.Options{
		Played: map[string]http.Handler{"*.played.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "played %s %s %s", r.Host, r.URL.Path, body)
		})},
		Allow: []string{"*.allowed.example", "127.0.0.1"},
		Fault: func(string) gateway.Fault { s.mu.Lock(); defer s.mu.Unlock(); return s.fault },
		OnRefused: func(host string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.refused = append(s.refused, host)
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			s.mu.Lock()
			s.dialled = append(s.dialled, address)
			s.mu.Unlock()
			to := strings.TrimPrefix(plain.URL, "http://")
			if strings.HasSuffix(address, ":443") {
				to = strings.TrimPrefix(s.secure.URL, "https://")
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// client calls through the gateway: as a proxy, or as if the gateway were every host.
func (s *scene) client(proxy bool) *http.Client {
	s.t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(s.CA)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		s.t.Fatalf("authorities: %v", err)
	}
	roots.AddCert(s.secure.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	if proxy {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: s.Address})
	} else {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Address)
		}
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (s *scene) get(c *http.Client, target string) (int, string) {
	s.t.Helper()
	resp, err := c.Post(target, "text/plain", strings.NewReader("body"))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

func TestWays(t *testing.T) {
	for name, proxy := range map[string]bool{"Proxy": true, "Host": false} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c := s.client(proxy)
			for target, want := range map[string]string{
				"http://api.played.example/v2/a":    "played api.played.example /v2/a body",
				"https://api.played.example/v2/a":   "played api.played.example /v2/a body",
				"http://api.allowed.example/b":      "allowed api.allowed.example /b",
				"https://played.example.evil/v2/a":  "",
				"http://other.example/":             "",
				"https://other.example/":            "",
				"https://played.example/":           "", // below it, not itself
				"http://allowed.example.evil.test/": "",
			} {
				status, body := s.get(c, target)
				switch {
				case want != "" && (status != http.StatusOK || body != want):
					t.Errorf("%s: %d %s", target, status, body)
				case want == "" && status == http.StatusOK:
					t.Errorf("%s went through: %s", target, body)
				}
			}
			// The test's server has a certificate for example.com, so TLS itself tells that it was reached.
			if status, body := s.get(c, "https://api.allowed.example/b"); status != 0 || !strings.Contains(body, "certificate is valid for example.com") {
				t.Errorf("%d %s", status, body)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if got := strings.Join(s.dialled, " "); !strings.Contains(got, "api.allowed.example:443") || !strings.Contains(got, "api.allowed.example:80") || strings.Contains(got, "evil") || strings.Contains(got, "other") || strings.Contains(got, "played") {
				t.Errorf("dialled %s", got)
			}
			if len(s.refused) < 5 {
				t.Errorf("refused %q", s.refused)
			}
		})
	}
}

func TestRefusalSaysWhatToDo(t *testing.T) {
	s := newScene(t)
	status, body := s.get(s.client(true), "http://other.example/")
	if status != http.StatusForbidden || !strings.Contains(body, "--allow other.example") {
		t.Errorf("%d %s", status, body)
	}
}

func TestFaults(t *testing.T) {
	s := newScene(t)
	s.fault = gateway.Fault{Status: http.StatusServiceUnavailable}
	c := s.client(true)
	for _, target := range []string{"http://api.played.example/", "https://api.played.example/", "http://api.allowed.example/"} {
		if status, _ := s.get(c, target); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", target, status)
		}
	}
	if status, _ := s.get(c, "https://api.allowed.example/"); status != 0 { // nothing is seen of it: its connection ends
		t.Errorf("status %d", status)
	}
}

// TestRubbish: what is neither TLS nor HTTP, and TLS that names no host, ends.
func TestRubbish(t *testing.T) {
	s := newScene(t)
	for _, rubbish := range []string{"\x16\x03\x01\x00\x05hello", "\x16", "GET\r\n\r\n", "\x00\x00", "CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, rubbish)
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		if strings.Contains(string(answer), "200") {
			t.Errorf("%q was answered %q", rubbish, answer)
		}
		_ = conn.Close()
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()); err == nil {
		t.Error("TLS without a host was answered")
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		host    string
		pattern string
		want    bool
	}{
		{"a.example", "a.example", true}, {"A.example.", "a.example", true}, {"b.a.example", "a.example", false}, {"b.a.example", "*.a.example", true}, {"a.example", "*.a.example", false},
		{"evila.example", "*.a.example", false}, {"x", "*", true}, {"ab", "*b", false},
	} {
		if got := gateway.Matches(c.host, []string{c.pattern}); got != c.want {
			t.Errorf("%s and %s: %v", c.host, c.pattern, got)
		}
	}
}
