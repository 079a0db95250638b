package alpaca

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"

	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
)

// orderIDKey is the member of an order's body; orderIDPrefix begins our IDs.
const (
	orderIDKey    = "client_order_id"
	orderIDPrefix = "tl-"
)

// WithClientOrderID sets a deterministic client_order_id on each order that
// has none. The ID is derived from the ID of the event being handled, the
// method, the path, the body, and the ordinal among identical bodies in one
// invocation or one context of tracing.ContextWithDelivery. When an event is
// retried, Alpaca then rejects the order (422) instead of placing it twice.
// This requires that the handler places its orders in the same sequence with
// the same bodies on each attempt. If the delivery does not have exactly one
// event, no ID is set. It is an option of tracing.NewTransport and
// tracing.Client.
func WithClientOrderID() outbound.Option {
	return outbound.WithHook(outbound.Hook{Rewrite: rewriteOrder})
}

// rewriteOrder is the Hook.Rewrite of orders.
func rewriteOrder(ctx context.Context, call *outbound.Call, u *url.URL) func([]byte) []byte {
	if call.Method != http.MethodPost || call.Route != "/v2/orders" && call.Route != "/v1/trading/accounts/{account_id}/orders" {
		return nil
	}
	d := lineage.DeliveryFromContext(ctx)
	if d == nil || len(d.Events) != 1 || d.Events[0].ID == "" {
		return nil
	}
	return func(body []byte) []byte {
		at, old := orderIDPlace(body)
		if at < 0 {
			return nil
		}
		hash := sha256.New()
		for _, part := range [][]byte{[]byte(call.Method), []byte(u.EscapedPath()), body} {
			_ = binary.Write(hash, binary.BigEndian, uint64(len(part)))
			_, _ = hash.Write(part)
		}
		var key [sha256.Size]byte
		hash.Sum(key[:0])
		_, _ = hash.Write([]byte(d.Events[0].ID))
		_ = binary.Write(hash, binary.BigEndian, lineage.Ordinal(ctx, key))
		id := `"` + orderIDPrefix + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`
		if old == 0 {
			id = `,"` + orderIDKey + `":` + id
		}
		payload := make([]byte, 0, len(body)+len(id))
		return append(append(append(payload, body[:at]...), id...), body[at+old:]...)
	}
}

// orderIDPlace finds the place of an ID in an order: it replaces old bytes, an
// empty ID, at the offset at. It returns -1 if the order has an ID, or if the
// body is not an order.
func orderIDPlace(body []byte) (at, old int) {
	m := jsonwalk.MembersOf(body, 0)
	for m.Next() {
		if string(m.Key) != orderIDKey {
			continue
		}
		if value := string(m.Value); value != `""` && value != "null" {
			return -1, 0
		}
		at, old = m.End-len(m.Value), len(m.Value)
	}
	if m.After == 0 || m.Count == 0 || jsonwalk.SkipSpace(body, m.After) != len(body) {
		return -1, 0
	}
	if old == 0 {
		at = m.End
	}
	return at, old
}
