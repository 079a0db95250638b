package dynamo

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/peertest"
)

// TestEventsOverMoto delivers 5 000 events (a twentieth by default) to five
// environments, each once new and once again in a known way elsewhere.
func TestEventsOverMoto(t *testing.T) {
	url := peertest.Moto(t)
	name := peertest.MotoTable(t, url, "events", "pk")
	events := 5000
	if os.Getenv("THROUGHLINE_SOAK") != "1" {
		events /= 20
	}
	var environments []*dedupe.Checker
	for range 5 {
		environments = append(environments, dedupe.New(dedupe.Config{Store: table(t, url, name), Wait: 30 * time.Second, Patience: 30 * time.Second, Warn: func(m string) { t.Error(m) }}))
	}
	repeats := []struct {
		kind   dedupe.Kind
		failed bool // the first handling
		change func(*dedupe.Delivery)
	}{
		{dedupe.Retry, true, func(d *dedupe.Delivery) {}},
		{dedupe.Retry, false, func(d *dedupe.Delivery) { d.ReceiveCount = 2 }},
		{dedupe.Retry, false, func(d *dedupe.Delivery) { d.RequestID = "r-first-" + d.EventID }},
		{dedupe.Redelivery, false, func(d *dedupe.Delivery) {}},
		{dedupe.Republish, false, func(d *dedupe.Delivery) { d.EnvelopeID += "-again" }},
		{dedupe.Replay, false, func(d *dedupe.Delivery) { d.ReplayName = "monday" }},
	}
	deliver := func(i int, d dedupe.Delivery, failed bool) dedupe.Verdict {
		p := environments[i%len(environments)].Start(t.Context(), []dedupe.Delivery{d})
		v := p.Verdicts(t.Context())[0]
		p.Done(t.Context(), failed)
		return v
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < events; i += 4 {
				r := repeats[i%len(repeats)]
				d := dedupe.Delivery{Consumer: "portfolio", EventType: "SignalGenerated", EventID: fmt.Sprint("signal-", i), EnvelopeID: fmt.Sprint("env-", i), RequestID: fmt.Sprint("r-first-signal-", i), At: at, Traceparent: fmt.Sprint("tp-", i)}
				if v := deliver(i, d, r.failed); v != (dedupe.Verdict{}) {
					t.Errorf("event %d is new: %+v", i, v)
				}
				again := d
				again.RequestID, again.At, again.Traceparent = fmt.Sprint("r-second-", i), at.Add(time.Minute), "tp-second"
				r.change(&again)
				v := deliver(i+1, again, false)
				if v.Kind != r.kind || v.Count != 1 || !v.FirstAt.Equal(at) || v.FirstRequestID != d.RequestID || v.FirstTraceparent != d.Traceparent {
					t.Errorf("event %d, want %s: %+v", i, r.kind, v)
				}
				again.At, again.RequestID = at.Add(2*time.Minute), fmt.Sprint("r-third-", i)
				again.ReceiveCount, again.ReplayName = 0, ""
				if v := deliver(i+2, again, false); v.Kind != dedupe.Redelivery || v.Count != 2 {
					t.Errorf("event %d, third: %+v", i, v)
				}
			}
		})
	}
	wg.Wait()
}
