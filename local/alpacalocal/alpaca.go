// Package alpacalocal emulates Alpaca's trading API v2 (docs.alpaca.markets, 2026): it
// accepts orders and fills them at once, returns the account, the clock and positions,
// and sends Alpaca's response headers. It does not simulate a market: every price is
// 100, and the market is always open.
package alpacalocal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/wire"
)

// Options of a [Service].
type Options struct {
	// FailFirst is how many orders are rejected with 500, from the first one on.
	FailFirst int
	// Keep is how many orders are kept. Zero: 10 000.
	Keep int
}

// Order is one received request for an order.
type Order struct {
	Traceparent, CorrelationID string
	RequestID                  string // X-Request-ID of the response
	Status                     int    // of the response
}

// Service is a local Alpaca, an http.Handler. Use [New]. Safe for concurrent use.
type Service struct {
	options Options
	server  wire.Server
	mux     *http.ServeMux

	mu        sync.Mutex
	asked     int // requests for orders
	seen      []Order
	orders    []map[string]any // the oldest first
	positions map[string]float64
}

// New returns a Service without orders.
func New(o Options) *Service {
	o.Keep = cmp.Or(o.Keep, 10_000)
	s := &Service{options: o, mux: http.NewServeMux(), positions: map[string]float64{}}
	s.mux.HandleFunc("POST /v2/orders", s.place)
	s.mux.HandleFunc("GET /v2/orders", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		list := slices.Clone(s.orders)
		s.mu.Unlock()
		slices.Reverse(list)
		answer(w, http.StatusOK, list)
	})
	s.mux.HandleFunc("GET /v2/orders/{id}", s.order)
	s.mux.HandleFunc("GET /v2/positions", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.held()) })
	s.mux.HandleFunc("GET /v2/clock", func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		answer(w, http.StatusOK, map[string]any{"timestamp": now, "is_open": true, "next_open": now.Add(24 * time.Hour), "next_close": now.Add(time.Hour)})
	})
	s.mux.HandleFunc("GET /v2/account", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"id": "904837e3-3b76-47ec-b432-046db621571b", "account_number": "LOCAL", "status": "ACTIVE", "currency": "USD", "cash": "100000", "equity": "100000",
			"last_equity": "100000", "portfolio_value": "100000", "buying_power": "200000", "trading_blocked": false, "account_blocked": false, "pattern_day_trader": false,
		})
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, map[string]any{"code": 40410000, "message": "the local stand-in for Alpaca does not answer " + r.Method + " " + r.URL.Path})
	})
	return s
}

// Start listens on a free port of the loopback interface and returns the URL.
func (s *Service) Start() (string, error) {
	url, err := s.server.Start(s)
	if err != nil {
		return "", fmt.Errorf("start the local Alpaca: %w", err)
	}
	return url, nil
}

// Close ends the server.
func (s *Service) Close() { s.server.Close() }

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Orders returns the requests for orders so far, in their order of arrival.
func (s *Service) Orders() []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

const maxBody = 1 << 20

func (s *Service) place(w http.ResponseWriter, r *http.Request) {
	body, ok := wire.Body(w, r, maxBody)
	asked := map[string]any{}
	if ok && len(body) > 0 {
		ok = json.Unmarshal(body, &asked) == nil
	}
	s.mu.Lock()
	n := s.asked
	s.asked++
	o := Order{Traceparent: r.Header.Get("traceparent"), CorrelationID: r.Header.Get("X-Correlation-ID"), RequestID: fmt.Sprintf("%032x", 0xa19aca00+n), Status: http.StatusOK}
	switch {
	case n < s.options.FailFirst:
		o.Status = http.StatusInternalServerError
	case !ok:
		o.Status = http.StatusUnprocessableEntity
	}
	s.seen = kept(append(s.seen, o), s.options.Keep)
	order := map[string]any{}
	if o.Status == http.StatusOK {
		order = filled(asked, o.RequestID, time.Now())
		s.orders = kept(append(s.orders, order), s.options.Keep)
		quantity, _ := strconv.ParseFloat(fmt.Sprint(order["qty"]), 64)
		if order["side"] == "sell" {
			quantity = -quantity
		}
		if symbol := fmt.Sprint(order["symbol"]); quantity != 0 && (len(s.positions) < s.options.Keep || s.positions[symbol] != 0) {
			s.positions[symbol] += quantity
		}
	}
	s.mu.Unlock()
	w.Header().Set("X-Request-ID", o.RequestID)
	w.Header().Set("X-Ratelimit-Limit", "200")
	w.Header().Set("X-Ratelimit-Remaining", strconv.Itoa(199-n%200))
	switch o.Status {
	case http.StatusOK:
		answer(w, o.Status, order)
	case http.StatusUnprocessableEntity:
		answer(w, o.Status, map[string]any{"code": 42210000, "message": "the order is not valid JSON"})
	default:
		answer(w, o.Status, map[string]any{"code": 50010000, "message": "internal server error"})
	}
}

// filled returns a filled order as Alpaca's API represents it.
func filled(asked map[string]any, id string, now time.Time) map[string]any {
	order := maps.Clone(asked)
	order["id"], order["status"] = id[:8]+"-"+id[8:12]+"-"+id[12:16]+"-"+id[16:20]+"-"+id[20:], "accepted"
	order["created_at"], order["submitted_at"], order["filled_at"] = now, now, now
	order["filled_qty"], order["filled_avg_price"], order["asset_class"] = order["qty"], "100", "us_equity"
	if order["client_order_id"] == nil {
		order["client_order_id"] = order["id"]
	}
	return order
}

func (s *Service) order(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	i := slices.IndexFunc(s.orders, func(o map[string]any) bool { return o["id"] == r.PathValue("id") })
	found := map[string]any{}
	if i >= 0 {
		found = maps.Clone(s.orders[i])
	}
	s.mu.Unlock()
	if i < 0 {
		answer(w, http.StatusNotFound, map[string]any{"code": 40410000, "message": "order not found for " + r.PathValue("id")})
		return
	}
	found["status"] = "filled"
	answer(w, http.StatusOK, found)
}

func (s *Service) held() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]any{}
	for _, symbol := range slices.Sorted(maps.Keys(s.positions)) {
		if quantity := s.positions[symbol]; quantity != 0 {
			text := strconv.FormatFloat(quantity, 'f', -1, 64)
			list = append(list, map[string]any{"symbol": symbol, "qty": text, "qty_available": text, "side": map[bool]string{true: "long", false: "short"}[quantity > 0],
				"avg_entry_price": "100", "current_price": "100", "market_value": strconv.FormatFloat(quantity*100, 'f', -1, 64), "asset_class": "us_equity"})
		}
	}
	return list
}

func kept[T any](list []T, most int) []T {
	if len(list) > most {
		return slices.Clone(list[len(list)-most/2:])
	}
	return list
}

func answer(w http.ResponseWriter, status int, v any) {
	if w.Header().Get("X-Request-ID") == "" {
		w.Header().Set("X-Request-ID", wire.UUID())
	}
	body, _ := json.Marshal(v) // plain values always marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no response
}
