package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/peertest"
)

// oneByOne stands before moto, which looks at a condition and writes in two
// steps; DynamoDB does both at once.
func oneByOne(t *testing.T, moto string) string {
	t.Helper()
	upstream, err := url.Parse(moto)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	var mu sync.Mutex
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)
	return gate.URL
}

// TestOnceOverMoto lets environments race for events; some fail, some die with
// their claim, and each event comes until it is answered.
func TestOnceOverMoto(t *testing.T) {
	moto := peertest.Moto(t)
	store := table(t, oneByOne(t, moto), peertest.MotoTable(t, moto, "once", "pk"))
	var mu sync.Mutex
	completed := map[string]int{}
	const events, environments = 12, 3
	for attempt := range 4 {
		now := at.Add(time.Duration(attempt) * time.Hour) // the leases of the attempt before have ended
		var together sync.WaitGroup
		for e := range environments {
			together.Go(func() {
				c := dedupe.New(dedupe.Config{Store: store, Patience: 30 * time.Second, Warn: func(m string) { t.Error(m) }})
				for i := range events {
					id := fmt.Sprint("plan-", i)
					d := dedupe.Delivery{Consumer: "execution", EventID: id, EnvelopeID: "env-" + id, RequestID: fmt.Sprint("r-", e, "-", attempt), At: now}
					if attempt == 0 && e == i%environments {
						c.Claim(t.Context(), d, now.Add(time.Minute)) // and dies
						continue
					}
					out, err := c.Once(t.Context(), d, now.Add(time.Minute), func(context.Context) ([]byte, error) {
						if attempt == 1 {
							return nil, errors.New("failed")
						}
						mu.Lock()
						completed[id]++
						mu.Unlock()
						return []byte(id), nil
					})
					if err == nil && string(out) != id || attempt == 3 && err != nil {
						t.Errorf("%s is answered with %q, %v", id, out, err)
					}
				}
			})
		}
		together.Wait()
	}
	for i := range events {
		if n := completed[fmt.Sprint("plan-", i)]; n != 1 {
			t.Errorf("event %d completed %d times", i, n)
		}
	}
}
