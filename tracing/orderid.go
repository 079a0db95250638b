package tracing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"sync"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxOrder bounds the body that is looked into for a client_order_id.
const maxOrder = 1 << 20

// orderIDKey is the member of an order's body, orderIDPrefix what ours begin with.
const (
	orderIDKey    = "client_order_id"
	orderIDPrefix = "tl-"
)

// ordinals counts identical orders within one invocation.
type ordinals struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]uint64
}

func (o *ordinals) next(key [sha256.Size]byte) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = make(map[[sha256.Size]byte]uint64)
	}
	o.seen[key]++
	return o.seen[key]
}

// prepareBody gives out the body to send, and returns what must be remembered
// should the request be sent again.
func (t *Transport) prepareBody(ctx context.Context, out, req *http.Request, call *Call, before attempt) attempt {
	now := attempt{attempts: before.attempts + 1}
	if req.Body == nil || req.Body == http.NoBody {
		return now
	}
	if req.GetBody != nil && req.ContentLength >= 0 && req.ContentLength <= maxOrder {
		now.body = req.Body
	}
	if before.payload != nil && sameBody(before.body, req.Body) {
		setBody(out, before.payload)
		now.body, now.payload = req.Body, before.payload
		return now
	}
	before.renewBody(out, req)
	if t.orders && placesOrder(call) {
		if payload := identifyOrder(ctx, out, call.Method); payload != nil {
			now.body, now.payload = req.Body, payload
		}
	}
	return now
}

func placesOrder(call *Call) bool {
	return call.Method == http.MethodPost &&
		(call.Route == "/v2/orders" || call.Route == "/v1/trading/accounts/{account_id}/orders")
}

// identifyOrder puts a client_order_id into the order that out places, and
// returns the new body; nil when the order is left as it is.
func identifyOrder(ctx context.Context, out *http.Request, method string) []byte {
	h, _ := ctx.Value(deliveryKey{}).(*handling)
	if h == nil || h.delivery == nil || len(h.delivery.Events) != 1 || h.delivery.Events[0].ID == "" {
		return nil
	}
	source := out.Body
	body, err := io.ReadAll(io.LimitReader(source, maxOrder+1))
	if err != nil || len(body) > maxOrder { // not ours to judge: hand on what there is, in its order
		out.Body = readCloser{io.MultiReader(bytes.NewReader(body), failing{err}, source), source}
		return nil
	}
	_ = source.Close()
	hash := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(out.URL.EscapedPath()), body} {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(part)))
		_, _ = hash.Write(part)
	}
	var key [sha256.Size]byte
	hash.Sum(key[:0])
	at, old := orderIDPlace(body)
	if at < 0 {
		setBody(out, body)
		return nil
	}
	_, _ = hash.Write([]byte(h.delivery.Events[0].ID))
	_ = binary.Write(hash, binary.BigEndian, h.orders.next(key))
	id := `"` + orderIDPrefix + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`
	if old == 0 {
		id = `,"` + orderIDKey + `":` + id
	}
	payload := make([]byte, 0, len(body)+len(id))
	payload = append(append(append(payload, body[:at]...), id...), body[at+old:]...)
	setBody(out, payload)
	return payload
}

// orderIDPlace finds where an ID goes into an order: at, in the place of old
// bytes, which are an empty one. It returns -1 when the order has an ID, or is
// nothing we know.
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

func setBody(out *http.Request, body []byte) {
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failing passes on the error of a read that was made before, if there was one.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
