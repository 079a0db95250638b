package dedupe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit)) }

// shared is an environment that shares store.
func shared(t *testing.T, store Store, config Config) *Checker {
	t.Helper()
	config.Store = store
	config.Wait = or(config.Wait, 5*time.Second)
	return New(config)
}

// deliver is an invocation with one event.
func deliver(t *testing.T, c *Checker, d Delivery, failed bool) Verdict {
	t.Helper()
	p := c.Start(t.Context(), []Delivery{d})
	v := p.Verdicts(t.Context())[0]
	p.Done(t.Context(), failed)
	return v
}

func TestKindsAcrossEnvironments(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Delivery)
		failed bool
		want   Kind
	}{
		{"RetryOfTheSameRequest", func(d *Delivery) { d.RequestID = "r-1" }, false, Retry},
		{"RetryByTheQueue", func(d *Delivery) { d.ReceiveCount = 2 }, false, Retry},
		{"RetryAfterAFailure", func(*Delivery) {}, true, Retry},
		{"Redelivery", func(*Delivery) {}, false, Redelivery},
		{"Republish", func(d *Delivery) { d.EnvelopeID = "env-2" }, false, Republish},
		{"Replay", func(d *Delivery) { d.ReplayName = "monday" }, false, Replay},
		{"ReplayUnderANewEnvelope", func(d *Delivery) { d.ReplayName, d.EnvelopeID = "monday", "env-2" }, false, Replay},
		{"AnotherConsumer", func(d *Delivery) { d.Consumer = "reports" }, false, ""},
		{"AfterItExpired", func(d *Delivery) { d.At = at.Add(8 * 24 * time.Hour) }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := new(Memory)
			a, b := shared(t, store, Config{}), shared(t, store, Config{})
			if v := deliver(t, a, delivery("signal-1", "env-1", "r-1"), tt.failed); v != (Verdict{}) {
				t.Fatalf("a new event: %+v", v)
			}
			second := delivery("signal-1", "env-1", "r-2")
			second.At = at.Add(time.Second)
			tt.change(&second)
			v := deliver(t, b, second, false)
			if v.Kind != tt.want || v.Kind != "" && (v.Count != 1 || v.FirstRequestID != "r-1" || v.FirstTraceparent != "tp-r-1" || !v.FirstAt.Equal(at)) {
				t.Errorf("want %q: %+v", tt.want, v)
			}
		})
	}
}

// TestMemoryIsNotTheLastWord repeats, in the first environment, a publication
// that only the second one has seen.
func TestMemoryIsNotTheLastWord(t *testing.T) {
	store := new(Memory)
	a, b := shared(t, store, Config{}), shared(t, store, Config{})
	deliver(t, a, delivery("signal-1", "env-1", "r-1"), false)
	if v := deliver(t, b, delivery("signal-1", "env-2", "r-2"), true); v.Kind != Republish {
		t.Fatalf("%+v", v)
	}
	if v := deliver(t, a, delivery("signal-1", "env-2", "r-3"), false); v.Kind != Retry || v.Count != 2 {
		t.Errorf("after a failure: %+v", v)
	}
	if v := deliver(t, b, delivery("signal-1", "env-2", "r-4"), false); v.Kind != Redelivery || v.Count != 3 {
		t.Errorf("after a success: %+v", v)
	}
}

func TestOneBatchMayHoldAnEventTwice(t *testing.T) {
	store := new(Memory)
	var batch []Delivery
	for i := range 40 {
		for _, message := range []string{"a", "b"} {
			d := delivery(fmt.Sprint("signal-", i), fmt.Sprint("env-", i, message), "r-1")
			d.ReceiveCount = 1
			batch = append(batch, d)
		}
	}
	p := shared(t, store, Config{}).Start(t.Context(), batch)
	for i, v := range p.Verdicts(t.Context()) {
		if want := map[int]Kind{0: "", 1: Republish}[i%2]; v.Kind != want || v.Unknown {
			t.Errorf("record %d: %+v, want %q", i, v, want)
		}
	}
	p.Done(t.Context(), false)
}

// TestStoreThatHangs times nothing: a wait that had no bound would not end.
func TestStoreThatHangs(t *testing.T) {
	var said []string
	var mu sync.Mutex
	c := New(Config{Store: hanging{}, Wait: time.Millisecond, Patience: 50 * time.Millisecond, Warn: func(m string) {
		mu.Lock()
		said = append(said, m)
		mu.Unlock()
	}})
	var all []*Pending
	for i := range 2 * maxAsking {
		d := delivery(fmt.Sprint("signal-", i), "env-1", "r-1")
		p := c.Start(t.Context(), []Delivery{d})
		if v := p.Verdicts(t.Context())[0]; !v.Unknown || v.Kind != "" {
			t.Fatalf("event %d: %+v", i, v)
		}
		p.Done(t.Context(), false)
		all = append(all, p)
	}
	if v := deliver(t, c, delivery("signal-0", "env-1", "r-2"), false); v.Kind != Redelivery || v.Unknown {
		t.Errorf("memory knows, and says %+v", v)
	}
	for _, p := range all {
		<-p.finished
	}
	mu.Lock()
	defer mu.Unlock()
	if len(said) != 1 || !strings.Contains(said[0], "no answer within 50ms") {
		t.Errorf("said %q", said)
	}
}

// TestTheDeadlineIsKept: whatever the store does, the handler gets its time and
// what it returned leaves before the invocation ends. The clock is synctest's.
func TestTheDeadlineIsKept(t *testing.T) {
	for name, tt := range map[string]struct {
		left, want time.Duration // until the deadline; what is waited
		wait       func(context.Context, *Checker)
	}{
		"Verdicts":         {150 * time.Millisecond, 50 * time.Millisecond, verdicts},
		"VerdictsTooLate":  {90 * time.Millisecond, 0, verdicts},
		"VerdictsInTime":   {time.Minute, 100 * time.Millisecond, verdicts},
		"Claim":            {time.Second, 250 * time.Millisecond, claim},
		"ClaimInTime":      {time.Minute, 2 * time.Second, claim},
		"Finish":           {time.Second, 900 * time.Millisecond, finish},
		"FinishAtTheEnd":   {60 * time.Millisecond, 30 * time.Millisecond, finish},
		"FinishAfterIt":    {-time.Second, 0, finish},
		"FinishInFullTime": {time.Minute, 2 * time.Second, finish},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.left)
				defer cancel()
				start := time.Now()
				tt.wait(ctx, New(Config{Store: hanging{}}))
				if took := time.Since(start); took != tt.want {
					t.Errorf("waited %s of %s, want %s", took, tt.left, tt.want)
				}
				time.Sleep(time.Minute) // the store's patience ends too
			})
		})
	}
}

func verdicts(ctx context.Context, c *Checker) {
	c.Start(ctx, []Delivery{delivery("signal-1", "env-1", "r-1")}).Verdicts(ctx)
}

func claim(ctx context.Context, c *Checker) {
	c.Claim(ctx, delivery("signal-1", "env-1", "r-1"), time.Now().Add(time.Minute))
}

func finish(ctx context.Context, c *Checker) {
	k := &Claim{checker: c, delivery: delivery("signal-1", "env-1", "r-1"), lease: time.Now().Add(time.Minute)}
	k.Finish(ctx, nil, false)
}

// TestSlowStoreIsWaitedForOnce: after that the store has to be quick again.
func TestSlowStoreIsWaitedForOnce(t *testing.T) {
	gate := make(chan struct{})
	store := &gated{Store: new(Memory), gate: gate}
	c := New(Config{Store: store, Wait: time.Millisecond, Patience: time.Minute})
	first := c.Start(t.Context(), []Delivery{delivery("signal-1", "env-1", "r-1")})
	if v := first.Verdicts(t.Context())[0]; !v.Unknown || !c.slow.Load() {
		t.Fatalf("%+v, slow %v", v, c.slow.Load())
	}
	close(gate)
	<-first.finished
	c.config.Wait = time.Minute // whatever this machine is busy with
	second := c.Start(t.Context(), []Delivery{delivery("signal-2", "env-2", "r-2")})
	<-second.finished
	if v := second.Verdicts(t.Context())[0]; v.Unknown || c.slow.Load() {
		t.Errorf("%+v, slow %v", v, c.slow.Load())
	}
}

type gated struct {
	Store
	gate chan struct{}
}

func (g *gated) Claim(ctx context.Context, key string, r Record, now time.Time) (Record, bool, error) {
	<-g.gate
	return g.Store.Claim(ctx, key, r, now)
}

func TestHandlersContextMayEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := shared(t, new(Memory), Config{})
	p := c.Start(ctx, []Delivery{delivery("signal-1", "env-1", "r-1")})
	cancel()
	<-p.finished
	if v := p.Verdicts(ctx)[0]; v.Unknown {
		t.Errorf("%+v", v)
	}
}

type broken struct{ Store }

func (broken) Claim(context.Context, string, Record, time.Time) (Record, bool, error) {
	return Record{}, false, errors.New("the table is gone: make it")
}

// TestBadInput says each thing once, and goes on.
func TestBadInput(t *testing.T) {
	keys, err := ParseKeys("TradeExecuted=/metadata/trade_id")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		deliver func(c *Checker, i int) Verdict
		want    string
	}{
		"NoID": {func(c *Checker, i int) Verdict { return c.Check(delivery("", fmt.Sprint(i), "")) }, "has no ID"},
		"NoIDOfItsOwn": {func(c *Checker, i int) Verdict { // absent, neither string nor number, or of 10 KB: the reader takes the envelope's
			id := fmt.Sprint("env-", i)
			aws := delivery(id+"-aws", id+"-aws", "")
			aws.Source = "aws.s3"
			c.Check(aws) // has none by nature
			return c.Check(delivery(id, id, ""))
		}, `type "SignalGenerated" from "alchemiser" has no ID of its own`},
		"LongID": {func(c *Checker, i int) Verdict {
			return c.Check(delivery(strings.Repeat("x", 10<<10)+fmt.Sprint(i), fmt.Sprint(i), ""))
		}, "has an ID of 10"},
		"OneIDForAll": {func(c *Checker, i int) Verdict {
			c.Check(delivery("signal", fmt.Sprint(i), fmt.Sprint(i)))
			return Verdict{}
		}, "came under 16 envelope IDs in a row"},
		"NoBusinessKey": {func(c *Checker, i int) Verdict {
			c.BusinessKey("TradeExecuted", func(string) string { return "" })
			return Verdict{}
		}, "no business key at /metadata/trade_id"},
		"StoreIsGone": {func(c *Checker, i int) Verdict {
			d := delivery(fmt.Sprint(i), fmt.Sprint("env-", i), "")
			c.config.Store = broken{}
			p := c.Start(t.Context(), []Delivery{d})
			v := p.Verdicts(t.Context())[0]
			if !v.Unknown {
				t.Errorf("event %d is known: %+v", i, v)
			}
			p.Done(t.Context(), true)
			return Verdict{}
		}, "the table is gone: make it"},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			c := New(Config{Keys: keys, Wait: time.Second, Warn: func(m string) { said = append(said, m) }})
			for i := range 200 {
				if v := tt.deliver(c, i); v.Kind != "" || v.OutOfOrder {
					t.Fatalf("event %d: %+v", i, v)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], tt.want) {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestLongIDsAreToldApartInTheStore(t *testing.T) {
	store := new(Memory)
	long := strings.Repeat("x", 10<<10)
	for i, id := range []string{long + "1", long + "2", long + "1"} {
		v := deliver(t, shared(t, store, Config{}), delivery(id, "env-1", fmt.Sprint("r-", i)), false)
		if want := map[bool]Kind{true: Redelivery}[i == 2]; v.Kind != want {
			t.Errorf("%d: %+v", i, v)
		}
	}
	for key := range store.records {
		if len(key) > maxKey {
			t.Errorf("a key of %d bytes", len(key))
		}
	}
}

func TestStoreKeysAreUnambiguous(t *testing.T) {
	if a, b := storeKey("f#a", markEvent, "b"), storeKey("f", markEvent, "a#b"); a == b {
		t.Errorf("both are %q", a)
	}
	if a, b := storeKey("f", markEvent, "\xff"), storeKey("f", markEvent, "\xfe"); a == b {
		t.Errorf("both are %q", a)
	}
	if a, b := joined("a", "b:c", "d"), joined("a:b", "c", "d"); a == b {
		t.Errorf("both are %q", a)
	}
	d := Delivery{Consumer: "portfolio", Source: "shop", EventType: "Sold", EventID: "signal-1"}
	if got := d.storeKey(); got != "portfolio#4:shop:4:Sold:signal-1" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkStart(b *testing.B) {
	for name, store := range map[string]Store{"Memory": nil, "Shared": new(Memory)} {
		b.Run(name, func(b *testing.B) {
			c := New(Config{Store: store})
			ids := make([]string, 1<<16)
			for i := range ids {
				ids[i] = fmt.Sprint("trade-executed-", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := c.Start(b.Context(), []Delivery{{Consumer: "f", EventID: ids[i%len(ids)], EnvelopeID: ids[i%len(ids)], At: at}})
				p.Verdicts(b.Context())
				p.Done(b.Context(), false)
			}
		})
	}
}

// A store that panics leaves checks unknown, and the process alive.
func TestAStoreThatPanics(t *testing.T) {
	var mu sync.Mutex
	said := 0
	c := New(Config{
		Store: struct{ Store }{}, ShareOrder: true, Order: []Rule{{First: "SignalGenerated", Then: "TradeExecuted"}},
		Warn: func(string) { mu.Lock(); said++; mu.Unlock() },
	})
	var batch []Delivery
	for _, id := range []string{"e-1", "e-2", "e-3"} {
		d := delivery(id, "env-"+id, "r-1")
		d.ParentID, d.CorrelationID, d.EventType, d.BusinessKey = "parent-of-"+id, "workflow-1", "TradeExecuted", "trade-"+id
		batch = append(batch, d)
	}
	for _, deliveries := range [][]Delivery{batch, batch[:1]} {
		p := c.Start(t.Context(), deliveries)
		for i, v := range p.Verdicts(t.Context()) {
			if !v.Unknown && v.Kind == "" {
				t.Errorf("%d: %+v", i, v)
			}
		}
		p.Done(t.Context(), true)
	}
	mu.Lock()
	defer mu.Unlock()
	if said == 0 {
		t.Error("nothing was said of it")
	}
}
