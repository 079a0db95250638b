package alpaca

import (
	"strings"
	"testing"
)

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/account": "/v2/account", "/v2/account/": "/v2/account", "/v2/orders": "/v2/orders", "/v2/orders/61e69015": "/v2/orders/{order_id}",
		"/v2/orders:by_client_order_id": "/v2/orders:by_client_order_id", "/v2/positions/BTC%2FUSD": "/v2/positions/{symbol_or_asset_id}",
		"/v2/stocks/bars": "/v2/stocks/bars", "/v2/stocks/bars/latest": "/v2/stocks/bars/latest", "/v2/stocks/AAPL/bars": "/v2/stocks/{symbol}/bars",
		"/v2/stocks/AAPL/snapshot": "/v2/stocks/{symbol}/snapshot", "/v1beta3/crypto/us/latest/orderbooks": "/v1beta3/crypto/{loc}/latest/orderbooks",
		"/v1beta1/options/snapshots/AAPL": "/v1beta1/options/snapshots/{underlying_symbol}", "/v1beta1/screener/stocks/movers": "/v1beta1/screener/{market_type}/movers",
		"/v1/accounts/0d9d/ach_relationships/9": "/v1/accounts/{account_id}/ach_relationships/{relationship_id}",
		"/v1/accounts/activities":               "/v1/accounts/activities", "/v1/accounts/0d9d": "/v1/accounts/{account_id}",
		"/v1/trading/accounts/0d9d/orders/1": "/v1/trading/accounts/{account_id}/orders/{order_id}",
		"/v1/trading/accounts/0d9d/orders":   "/v1/trading/accounts/{account_id}/orders",
		"":                                   "", "/": "", "//": "", "/v2": "", "/v2/": "", "/v2/unknown": "", "/v2/orders/1/2": "", "/v2/orders//": "", "/v2//orders": "", "/v9/orders": "",
	} {
		if got := Route(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// It fails where a literal hides a parameter's template, or two
// templates differ in a parameter's name alone.
func TestEveryRouteIsReachable(t *testing.T) {
	for template := range strings.FieldsSeq(templates) {
		path := template
		for strings.Contains(path, "{") {
			start, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:start] + "0f9e8d7c" + path[end+1:]
		}
		if got := Route(path); got != template {
			t.Errorf("%s: %q, want %q", path, got, template)
		}
	}
}

// FuzzRoute: whatever the path, what comes out is a template of the table.
func FuzzRoute(f *testing.F) {
	known := map[string]bool{"": true}
	for template := range strings.FieldsSeq(templates) {
		known[template] = true
		f.Add(template)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if got := Route(path); !known[got] {
			t.Fatalf("%q: %q", path, got)
		}
	})
}
