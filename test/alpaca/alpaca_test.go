package alpaca_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/alpaca"
	"github.com/shopspring/decimal"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	throughline "github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
)

// exchange stands in for Alpaca's trading API: the first answers are 429 with
// a body, and an order ID that was used is refused as Alpaca does.
type exchange struct {
	mu      sync.Mutex
	busy    int
	orders  map[string]string // by client_order_id
	headers []http.Header
}

func (x *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.headers = append(x.headers, r.Header.Clone())
	w.Header().Set("X-Request-ID", fmt.Sprint("request-", len(x.headers)))
	w.Header().Set("X-Ratelimit-Remaining", fmt.Sprint(200-len(x.headers)))
	if x.busy > 0 {
		x.busy--
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"code":42910000,"message":"too many requests."}`)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, `{"is_open":true}`)
		return
	}
	var order struct {
		Symbol string `json:"symbol"`
		ID     string `json:"client_order_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if x.orders[order.ID] != "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":40010001,"message":"client_order_id must be unique"}`)
		return
	}
	x.orders[order.ID] = order.Symbol
	_, _ = fmt.Fprintf(w, `{"id":"o-1","client_order_id":%q,"symbol":%q}`, order.ID, order.Symbol)
}

const tradeEvent = `{"version":"0","id":"env-1","detail-type":"RebalancePlanned","source":"alchemiser.portfolio","time":"2026-11-23T20:45:00Z",` +
	`"resources":["correlation:workflow-1","causation:signal-1","hops:1"],"detail":{"event_id":"plan-1"}}`

// The real client, which takes no context: its calls belong to the invocation,
// its retried 429 succeeds, and a retried event places no second order.
func TestAlpacaTradeAPI(t *testing.T) {
	x := &exchange{busy: 1, orders: map[string]string{}}
	server := httptest.NewServer(x)
	defer server.Close()
	spans := tracetest.NewInMemoryExporter()
	cfg := lineage.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))}
	reader := lineage.NewReader(cfg)

	handle := func(request string) (process trace.Span, err error) {
		ctx, span := lineage.StartProcess(t.Context(), cfg, reader.Read([]byte(tradeEvent)), lineage.Invocation{RequestID: request})
		client := alpaca.NewClient(alpaca.ClientOpts{
			APIKey: "PKSECRETKEY", APISecret: "verysecret", BaseURL: server.URL, RetryDelay: time.Millisecond,
			HTTPClient: outbound.Client(ctx, throughline.Calls("127.0.0.1"), outbound.WithTracerProvider(cfg.TracerProvider), throughline.WithClientOrderID()),
		})
		quantity := decimal.NewFromInt(1)
		for _, symbol := range []string{"AAPL", "GOOGL"} {
			if _, placed := client.PlaceOrder(alpaca.PlaceOrderRequest{Symbol: symbol, Qty: &quantity, Side: alpaca.Buy, Type: alpaca.Market, TimeInForce: alpaca.Day}); placed != nil {
				err = placed
			}
		}
		if _, clock := client.GetClock(); clock != nil {
			t.Errorf("clock: %v", clock)
		}
		lineage.FinishProcess(span, err)
		return span, err
	}
	process, err := handle("r-1")
	if err != nil {
		t.Fatalf("the order whose first attempt was a 429: %v", err)
	}
	if len(x.orders) != 2 {
		t.Errorf("orders %v", x.orders)
	}
	if _, err := handle("r-2"); err == nil || !strings.Contains(err.Error(), "client_order_id must be unique") {
		t.Errorf("the retried event's order: %v", err)
	}
	if len(x.orders) != 2 {
		t.Errorf("a second order was placed: %v", x.orders)
	}

	names := map[string]int{}
	for _, s := range spans.GetSpans() {
		names[s.Name]++
		if s.SpanKind == trace.SpanKindClient && s.SpanContext.TraceID() == process.SpanContext().TraceID() && s.Parent.SpanID() != process.SpanContext().SpanID() {
			t.Errorf("%s is no child of the process span", s.Name)
		}
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, "SECRET") || strings.Contains(text, "verysecret") {
			t.Errorf("%s tells a key: %s", s.Name, text)
		}
	}
	if names["POST /v2/orders"] != 5 || names["GET /v2/clock"] != 2 { // three attempts for two orders, and two that were refused
		t.Errorf("spans %v", names)
	}
	for _, h := range x.headers {
		if h.Get("X-Correlation-ID") != "workflow-1" || h.Get("X-Causation-ID") != "plan-1" || h.Get("traceparent") == "" || h.Get("APCA-API-KEY-ID") != "PKSECRETKEY" {
			t.Errorf("headers %v", h)
		}
	}
}
