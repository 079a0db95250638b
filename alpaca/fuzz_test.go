package alpaca

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/outbound/outboundtest"
)

// FuzzOrder: an order gets one ID, or stays as it is.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `null`, `{"a":1,}`, `{"a":{"b":[1,2,{"c":null}]},"d":"x"}`, `{"dup":1,"dup":2}`, `{"a":1}{`, `{"a":"\u00e9"}`, `{"client_order_id":""}`, `{"qty":"1"}`, `{"client_order_id":null,"client_order_id":""}`, ` {"client_order_id":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx := lineage.ContextWithDelivery(t.Context(), outboundtest.Handled())
		sent := rewriteOrder(ctx, &outbound.Call{Method: "POST", Route: "/v2/orders"}, &url.URL{Path: "/v2/orders"})(body)
		if sent == nil {
			return
		}
		if !json.Valid(body) || !json.Valid(sent) {
			t.Fatalf("%q became %q", body, sent)
		}
		var order map[string]any
		if err := json.Unmarshal(sent, &order); err != nil {
			t.Fatal(err)
		}
		if id, _ := order[orderIDKey].(string); !strings.HasPrefix(id, orderIDPrefix) || len(id) > 48 {
			t.Fatalf("%q became %q", body, sent)
		}
	})
}
