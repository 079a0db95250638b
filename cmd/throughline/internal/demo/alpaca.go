package demo

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// order is one request that reached the Alpaca stand-in, as the wire showed it.
type order struct {
	Traceparent, CorrelationID string
	RequestID                  string // X-Request-ID of the answer
	Status                     int
}

// alpaca stands in for Alpaca's trading API: it takes orders, answers with the
// headers that Alpaca sends, and refuses the first one, so that a plan goes
// back to its queue.
type alpaca struct {
	server *http.Server
	url    string
	mu     sync.Mutex
	orders []order
}

func startAlpaca() (*alpaca, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the Alpaca stand-in: %w", err)
	}
	a := &alpaca{url: "http://" + listener.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/orders", a.place)
	a.server = &http.Server{Handler: mux}
	go func() { _ = a.server.Serve(listener) }()
	return a, nil
}

func (a *alpaca) place(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	n := len(a.orders)
	o := order{
		Traceparent: r.Header.Get("traceparent"), CorrelationID: r.Header.Get("X-Correlation-ID"),
		RequestID: fmt.Sprintf("%032x", 0xa19aca00+n), Status: http.StatusOK,
	}
	if n == 0 {
		o.Status = http.StatusInternalServerError
	}
	a.orders = append(a.orders, o)
	a.mu.Unlock()

	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-ID", o.RequestID)
	w.Header().Set("X-Ratelimit-Limit", "200")
	w.Header().Set("X-Ratelimit-Remaining", fmt.Sprint(199-n))
	w.WriteHeader(o.Status)
	if o.Status != http.StatusOK {
		_ = json.NewEncoder(w).Encode(map[string]any{"code": 50010000, "message": "internal server error"})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": o.RequestID, "status": "accepted"})
}

// seen is every order so far.
func (a *alpaca) seen() []order {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]order(nil), a.orders...)
}

func (a *alpaca) close() { _ = a.server.Close() }
