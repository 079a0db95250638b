package alpaca_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/internal/outbound/outboundtest"
)

func TestClientOrderID(t *testing.T) {
	const order = `{"symbol":"AAPL","qty":"1"}`
	place := func(ctx context.Context, bodies ...string) []string {
		x := outboundtest.New(t)
		client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls(), alpaca.WithClientOrderID())}
		for _, body := range bodies {
			outboundtest.Send(t, client, outboundtest.Request(t, "POST", "http://paper-api.alpaca.markets/v2/orders", body).WithContext(ctx))
		}
		return x.Bodies
	}
	handling := func() context.Context { return lineage.ContextWithDelivery(t.Context(), outboundtest.Handled()) }
	first, again := place(handling(), order, order), place(handling(), order, order)
	const prefix = `{"symbol":"AAPL","qty":"1","client_order_id":"tl-`
	if !strings.HasPrefix(first[0], prefix) || len(first[0]) != len(prefix)+34 || !json.Valid([]byte(first[0])) {
		t.Errorf("sent %s", first[0])
	}
	if first[0] == first[1] {
		t.Error("two identical orders of one invocation got one ID")
	}
	if first[0] != again[0] || first[1] != again[1] {
		t.Errorf("a retried event places %q, then %q", first, again)
	}
	other := outboundtest.Handled()
	other.Events[0].ID = "trade-2"
	if place(lineage.ContextWithDelivery(t.Context(), other), order)[0] == first[0] {
		t.Error("another event's order got the same ID")
	}
	empty := place(handling(), `{"client_order_id":"", "qty":"1"}`, `{"a":1,"client_order_id" : null}`)
	if strings.Count(empty[0], "client_order_id") != 1 || !strings.HasPrefix(empty[0], `{"client_order_id":"tl-`) || !strings.HasPrefix(empty[1], `{"a":1,"client_order_id" : "tl-`) {
		t.Errorf("empty ones: %q", empty)
	}
	for _, body := range []string{`{"client_order_id":"mine"}`, `not json`, `[]`, `{}`, `{"a":1} x`, strings.Repeat(" ", 1<<20) + order} {
		if got := place(handling(), body)[0]; got != body {
			t.Errorf("%.40q became %.80q", body, got)
		}
	}
	batch := outboundtest.Handled()
	batch.Events = append(batch.Events, batch.Events[0])
	for name, ctx := range map[string]context.Context{"NoEvent": t.Context(), "Batch": lineage.ContextWithDelivery(t.Context(), batch)} {
		if got := place(ctx, order)[0]; got != order {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestClientOrderIDElsewhere(t *testing.T) {
	x := outboundtest.New(t)
	ctx := lineage.ContextWithDelivery(t.Context(), outboundtest.Handled())
	client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls(), alpaca.WithClientOrderID())}
	for _, c := range []struct{ method, url string }{
		{"PATCH", "http://api.alpaca.markets/v2/orders/1"}, {"POST", "http://api.alpaca.markets/v2/watchlists"}, {"POST", "http://example.com/v2/orders"},
	} {
		outboundtest.Send(t, client, outboundtest.Request(t, c.method, c.url, `{"qty":"1"}`).WithContext(ctx))
		if last := x.Bodies[len(x.Bodies)-1]; last != `{"qty":"1"}` {
			t.Errorf("%s %s: %s", c.method, c.url, last)
		}
	}
	off := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls())}
	outboundtest.Send(t, off, outboundtest.Request(t, "POST", "http://api.alpaca.markets/v2/orders", `{"qty":"1"}`).WithContext(ctx))
	if last := x.Bodies[len(x.Bodies)-1]; last != `{"qty":"1"}` {
		t.Errorf("without the option: %s", last)
	}
}

// A retry of one request is the same order; also where the body cannot be had again.
func TestClientOrderIDOfARetry(t *testing.T) {
	for _, again := range []bool{true, false} {
		x := outboundtest.New(t)
		x.Status = []int{429, 429}
		client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls(), alpaca.WithClientOrderID())}
		req := outboundtest.Request(t, "POST", "http://broker-api.alpaca.markets/v1/trading/accounts/a/orders", `{"qty":"1"}`)
		req = req.WithContext(lineage.ContextWithDelivery(t.Context(), outboundtest.Handled()))
		if !again {
			req.GetBody = nil
		}
		outboundtest.SendAgain(t, client, req)
		if len(x.Bodies) != 3 || x.Bodies[0] != x.Bodies[1] || x.Bodies[1] != x.Bodies[2] || !strings.Contains(x.Bodies[0], "tl-") {
			t.Errorf("GetBody %v: %q", again, x.Bodies)
		}
	}
}

func TestTransportConcurrent(t *testing.T) {
	x := outboundtest.New(t)
	client := &http.Client{Transport: outbound.NewTransport(x.Base(t), alpaca.Calls(), alpaca.WithClientOrderID())}
	ctx := lineage.ContextWithDelivery(t.Context(), outboundtest.Handled())
	for range 40 {
		x.Status = append(x.Status, 429, 200)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 10 {
				req := outboundtest.Request(t, "POST", "http://api.alpaca.markets/v2/orders", fmt.Sprintf(`{"symbol":"S%d","qty":"%d"}`, i, j)).WithContext(ctx)
				for {
					resp, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					if resp.StatusCode != http.StatusTooManyRequests {
						_ = resp.Body.Close()
						break
					}
				}
			}
		})
	}
	wait.Wait()
	ids := map[any]string{}
	for _, body := range x.Bodies {
		var order map[string]any
		if err := json.Unmarshal([]byte(body), &order); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		of := fmt.Sprint(order["symbol"], order["qty"])
		if before, ok := ids[order["client_order_id"]]; ok && before != of {
			t.Fatalf("%s is the ID of %s and of %s", order["client_order_id"], before, of)
		}
		ids[order["client_order_id"]] = of
	}
	if len(ids) != 80 {
		t.Errorf("%d IDs for 80 orders in %d attempts", len(ids), len(x.Bodies))
	}
}
