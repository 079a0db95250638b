package alpaca_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	throughline "github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/internal/outbound"
)

const signal = `{"id":"6a7e8feb","detail-type":"SignalGenerated","source":"alchemiser.strategy","detail":{"event_id":"signal-1","correlation_id":"workflow-1"}}`

// exampleExchange says what it was sent.
func exampleExchange() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ratelimit-Remaining", "199")
		body, _ := io.ReadAll(r.Body)
		fmt.Println(strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body)))
	}))
}

func ExampleRoute() {
	fmt.Println(throughline.Route("/v1/trading/accounts/0d9d8e3b/orders/61e69015"))
	fmt.Printf("%q\n", throughline.Route("/v2/secret-path"))
	// Output:
	// /v1/trading/accounts/{account_id}/orders/{order_id}
	// ""
}

func ExampleHost() {
	fmt.Println(throughline.Host("/paper/v2/orders"))
	// Output: paper-api.alpaca.markets /v2/orders true
}

func ExampleAPI() {
	api := throughline.API(nil)
	fmt.Println(api.Hosts.Match("paper-api.alpaca.markets"), api.RouteOf("data.alpaca.markets", "/v2/stocks/AAPL/bars"))
	// Output: true /v2/stocks/{symbol}/bars
}

// 127.0.0.1 stands in for Alpaca; without hosts it is *.alpaca.markets.
func ExampleCalls() {
	server := exampleExchange()
	defer server.Close()
	client := outbound.Client(context.Background(), throughline.Calls("127.0.0.1"), outbound.WithObserver(func(_ context.Context, c outbound.Call) {
		fmt.Println(c.Route, c.Status, "calls left:", c.Remaining)
	}))
	resp, err := client.Get(server.URL + "/v2/positions/AAPL")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	// Output:
	// GET /v2/positions/AAPL
	// /v2/positions/{symbol_or_asset_id} 200 calls left: 199
}

// An event that is handled again places the same order again, under the same
// ID: Alpaca refuses the second. Two orders alike in one invocation differ.
func ExampleWithClientOrderID() {
	server := exampleExchange()
	defer server.Close()
	handle := lambda.NewHandler(handler.Wrap(func(ctx context.Context, _ json.RawMessage) error {
		client := outbound.Client(ctx, throughline.Calls("127.0.0.1"), throughline.WithClientOrderID())
		for range 2 {
			resp, err := client.Post(server.URL+"/v2/orders", "application/json", strings.NewReader(`{"symbol":"AAPL"}`))
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
		}
		return nil
	}))
	for range 2 {
		if _, err := handle.Invoke(context.Background(), []byte(signal)); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-ed5834527f434f1dd769f94ec5b52855"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-2dc970d847bbbad1e5bc2d20e478d292"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-ed5834527f434f1dd769f94ec5b52855"}
	// POST /v2/orders {"symbol":"AAPL","client_order_id":"tl-2dc970d847bbbad1e5bc2d20e478d292"}
}
