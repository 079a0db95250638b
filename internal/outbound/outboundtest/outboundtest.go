// Package outboundtest is an HTTP server and a client for tests of transports.
package outboundtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/throughline/throughline/internal/lineage"
)

// Handled is a delivery of the event trade-1 of workflow-1.
func Handled() *lineage.Delivery {
	d := lineage.NewReader(lineage.Config{}).Read([]byte(`{"id":"env-1","detail-type":"TradeExecuted","source":"execution",` +
		`"resources":["correlation:workflow-1","hops:3"],"detail":{"event_id":"trade-1","correlation_id":"workflow-1"}}`))
	return &d
}

// Exchange answers as Alpaca does and stores the requests that it gets.
type Exchange struct {
	*httptest.Server
	mu      sync.Mutex
	Headers []http.Header
	Bodies  []string
	Status  []int // of the answers to come; then 200
	Body    string
}

// New returns an Exchange that ends with t.
func New(t *testing.T) *Exchange {
	x := &Exchange{Body: `{"code":42910000,"message":"rate limit exceeded"}`}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.Headers, x.Bodies = append(x.Headers, r.Header), append(x.Bodies, string(body))
		status := http.StatusOK
		if len(x.Status) > 0 {
			status, x.Status = x.Status[0], x.Status[1:]
		}
		w.Header().Set("X-Request-ID", "alpaca-request-1")
		w.Header().Set("X-Ratelimit-Limit", "200")
		w.Header().Set("X-Ratelimit-Remaining", "199")
		w.Header().Set("X-Ratelimit-Reset", "1763892060")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, x.Body)
	}))
	t.Cleanup(x.Close)
	return x
}

// Base returns a transport that sends the requests to all hosts to the exchange.
func (x *Exchange) Base(t *testing.T) *http.Transport {
	base := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, x.Listener.Addr().String())
	}}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// Request is a request with secrets in its headers.
func Request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("APCA-API-KEY-ID", "hush-key")
	req.Header.Set("APCA-API-SECRET-KEY", "hush-secret")
	req.Header.Set("Authorization", "Bearer hush-token")
	req.Header.Set("Cookie", "hush-cookie")
	return req
}

// Send does req and drops the answer.
func Send(t *testing.T, client *http.Client, req *http.Request) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// SendAgain sends a request as alpaca-trade-api-go v3.9.1 does: the same request
// again after a 429, whose body it neither reads nor closes.
func SendAgain(t *testing.T, client *http.Client, req *http.Request) {
	t.Helper()
	for range 4 {
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("the retry failed: %v", err)
		}
		if resp.StatusCode == http.StatusTooManyRequests {
			t.Cleanup(func() { _ = resp.Body.Close() }) // http.Client's timer waits for it; alpaca's never does
			continue
		}
		_ = resp.Body.Close()
		return
	}
	t.Fatal("never answered")
}
