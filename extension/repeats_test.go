package extension

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/tracing/otlp"
)

// TestRepeatsOverEnvironments hands events to two environments that share a
// store, through the runtime endpoint: what the one saw the other flags.
func TestRepeatsOverEnvironments(t *testing.T) {
	l := newLambdaAPI(t)
	store := new(dedupe.Memory)
	requests := 0
	handle := func(environment *desk, url, payload string, fails bool) {
		requests++
		l.payloads <- []byte(payload)
		get(t, url+runtimePath+"next")
		if fails {
			post(t, fmt.Sprintf("%s%sr-%d/error", url, runtimePath, requests), `{}`)
		} else {
			post(t, fmt.Sprintf("%s%sr-%d/response", url, runtimePath, requests), `{}`)
		}
	}
	var environments [2]*desk
	var urls [2]string
	for i := range environments {
		environments[i] = newDesk(t, func(c *Config) {
			c.RuntimeAPI = strings.TrimPrefix(l.URL, "http://")
			c.Dedupe = dedupe.New(dedupe.Config{Store: store, ShareOrder: true, Wait: time.Minute})
		})
		urls[i] = environments[i].serve("runtime")
	}
	caused := strings.ReplaceAll(strings.Replace(stampedEvent(3), `"hops:0"`, `"hops:1","causation:signal-4"`, 1), "workflow-3", "workflow-4")
	handle(environments[0], urls[0], stampedEvent(1), false)
	handle(environments[0], urls[0], stampedEvent(2), true)
	handle(environments[0], urls[0], caused, false)

	handle(environments[1], urls[1], stampedEvent(1), false)
	handle(environments[1], urls[1], stampedEvent(2), false)
	handle(environments[1], urls[1], strings.Replace(stampedEvent(1), "env-1", "env-9", 1), false)
	handle(environments[1], urls[1], stampedEvent(4), false)
	handle(environments[1], urls[1], strings.Replace(stampedEvent(5), "hops:0", "hops:17", 1), false)

	for i, want := range []map[string]float64{
		{"DuplicateEvents": 0, "RetriedEvents": 0, "OutOfOrderEvents": 0, "LoopSuspected": 0},
		{"DuplicateEvents": 2, "DuplicateEvents_redelivery": 1, "DuplicateEvents_republish": 1, "RetriedEvents": 1, "OutOfOrderEvents": 1, "LoopSuspected": 1},
	} {
		sums := environments[i].sums()
		for name, n := range want {
			if sums[name] != n {
				t.Errorf("environment %d: %s is %v, want %v", i, name, sums[name], n)
			}
		}
	}
	out := environments[1].out.String()
	for _, want := range []string{
		`"throughline":"repeat","message":"already processed"`, `"kind":"redelivery"`, `"first_request_id":"r-1"`, `"kind":"retry"`, `"first_request_id":"r-2"`,
		`"throughline":"out-of-order"`, `"throughline":"loop"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	spans := otlp.Find(environments[1].spans[0], "throughline.repeat.first.request_id")
	if len(spans) != 1 || spans[0].Texts[0] != "r-1" {
		t.Errorf("the span says %+v", spans)
	}
}
