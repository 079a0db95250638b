package dynamo

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
)

// TestWrites counts what is charged for: the table of prices in the package's
// documentation stands on it.
func TestWrites(t *testing.T) {
	event := dedupe.Delivery{Consumer: "f", EventType: "T", EventID: "e-1", EnvelopeID: "env-1", CorrelationID: "w-1", ParentID: "e-0", RequestID: "r-1", At: at, Traceparent: "tp"}
	first := event
	first.ParentID = ""
	business := event
	business.BusinessKey = "trade-1"
	flag := func(c *dedupe.Checker, d dedupe.Delivery, failed bool) {
		p := c.Start(t.Context(), []dedupe.Delivery{d})
		p.Verdicts(t.Context())
		p.Done(t.Context(), failed)
	}
	for name, tt := range map[string]struct {
		config dedupe.Config
		there  bool // the event, in the table
		do     func(*dedupe.Checker)
		want   int32
	}{
		"Flagged":              {dedupe.Config{}, false, func(c *dedupe.Checker) { flag(c, event, false) }, 1},
		"OrderShared":          {dedupe.Config{ShareOrder: true}, false, func(c *dedupe.Checker) { flag(c, event, false) }, 3},
		"OrderOfABusinessKey":  {dedupe.Config{ShareOrder: true}, false, func(c *dedupe.Checker) { flag(c, business, false) }, 3},
		"TheEarlierTypeOfRule": {dedupe.Config{Order: []dedupe.Rule{{Then: "U", First: "T"}}}, false, func(c *dedupe.Checker) { flag(c, event, false) }, 2},
		"OrderOfTheFirst":      {dedupe.Config{ShareOrder: true}, false, func(c *dedupe.Checker) { flag(c, first, false) }, 2},
		"Failed":               {dedupe.Config{}, false, func(c *dedupe.Checker) { flag(c, event, true) }, 2},
		"Repeat":               {dedupe.Config{}, true, func(c *dedupe.Checker) { flag(c, event, false) }, 2},
		"RepeatThatMemoryKnows": {dedupe.Config{}, true, func(c *dedupe.Checker) {
			flag(c, event, false)
			flag(c, event, false)
		}, 3},
		"Once": {dedupe.Config{}, false, func(c *dedupe.Checker) {
			c.Claim(t.Context(), event, at.Add(time.Minute)).Finish(t.Context(), []byte("{}"), false)
		}, 2},
		"OnceAndOrderShared": {dedupe.Config{ShareOrder: true}, false, func(c *dedupe.Checker) {
			c.Claim(t.Context(), event, at.Add(time.Minute)).Finish(t.Context(), []byte("{}"), false)
		}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int32
			var largest atomic.Int64
			tt.config.Store = answering(t, func(w http.ResponseWriter, r *http.Request) {
				writes.Add(1)
				n, _ := io.Copy(io.Discard, r.Body)
				largest.Store(max(largest.Load(), n))
				switch {
				case !tt.there:
					fmt.Fprint(w, "{}")
				case strings.HasSuffix(r.Header.Get("X-Amz-Target"), "PutItem"):
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprint(w, `{"__type":"x#ConditionalCheckFailedException","Item":{"pk":{"S":"f#e-1"},"state":{"S":"seen"},"request":{"S":"r-0"}}}`)
				default:
					fmt.Fprint(w, `{"Attributes":{"pk":{"S":"f#e-1"},"state":{"S":"seen"},"request":{"S":"r-0"}}}`)
				}
			})
			tt.config.Wait, tt.config.Patience = 10*time.Second, 10*time.Second
			tt.config.Warn = func(m string) { t.Error(m) }
			c := dedupe.New(tt.config)
			tt.do(c)
			if n := writes.Load(); n != tt.want {
				t.Errorf("%d writes, want %d", n, tt.want)
			}
			if n := largest.Load(); n > 1024 { // the whole request; the item is part of it
				t.Errorf("a request of %d bytes", n)
			}
		})
	}
}
