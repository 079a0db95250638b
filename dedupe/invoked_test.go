package dedupe

import (
	"context"
	"testing"
	"time"
)

// An envelope that an invocation hands over alone comes again from EventBridge soon
// or not at all: later it is somebody else's, which is no repeat, is in no order,
// and is never suppressed. What failed is a retry, whenever it comes again.
func TestInvokedAgain(t *testing.T) {
	start := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name          string
		after         time.Duration
		invoked, fail bool
		want          Kind
	}{
		{"at once", time.Second, true, false, Redelivery},
		{"after a minute", 61 * time.Second, true, false, ""},
		{"after a minute, by a queue", 61 * time.Second, false, false, Redelivery},
		{"after a minute, having failed", 61 * time.Second, true, true, Retry},
	} {
		for _, store := range []Store{nil, new(Memory)} {
			t.Run(c.name, func(t *testing.T) {
				checker := New(Config{Store: store, Wait: time.Minute, Order: []Rule{{Then: "T", First: "Earlier"}}})
				d := Delivery{Consumer: "f", Source: "s", EventType: "T", EventID: "e", Digest: "x", EnvelopeID: "env", CorrelationID: "w", RequestID: "r-1", At: start, Invoked: c.invoked}
				child := Delivery{Consumer: "f", Source: "s", EventType: "C", EventID: "c", Digest: "y", EnvelopeID: "env-c", CorrelationID: "w", ParentID: "e", RequestID: "r-c", At: start.Add(time.Millisecond)}
				handled := 0
				once := func(d Delivery) Verdict {
					k := checker.Claim(t.Context(), d, d.At.Add(time.Second))
					if k.Granted() {
						handled++
						k.Finish(t.Context(), nil, c.fail)
					}
					return k.Verdict
				}
				once(d)
				checker.Check(child)
				d.RequestID, d.At = "r-2", start.Add(c.after)
				v := once(d)
				if v.Kind != c.want || v.Kind == "" && (v.OutOfOrder || v.Count != 0 || !v.FirstAt.IsZero()) {
					t.Errorf("%+v", v)
				}
				suppressed := store != nil && c.want == Redelivery
				if (handled == 1) != suppressed {
					t.Errorf("handled %d times", handled)
				}
				d.RequestID = "r-3"
				p := checker.Start(context.WithoutCancel(t.Context()), []Delivery{d})
				if v := p.Verdicts(t.Context())[0]; c.want == "" && v.Kind != "" {
					t.Errorf("beside the handler: %+v", v)
				}
			})
		}
	}
}
