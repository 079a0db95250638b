package dedupe

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

var at = time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)

func delivery(event, envelope, request string) Delivery {
	return Delivery{Consumer: "portfolio", Source: "alchemiser", EventType: "SignalGenerated", EventID: event, EnvelopeID: envelope, RequestID: request, At: at, Traceparent: "tp-" + request}
}

func TestKinds(t *testing.T) {
	first := delivery("signal-1", "env-1", "r-1")
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
		{"RepublishAfterAFailure", func(d *Delivery) { d.EnvelopeID = "env-2" }, true, Republish},
		{"Replay", func(d *Delivery) { d.ReplayName = "monday" }, false, Replay},
		{"ReplayUnderANewEnvelope", func(d *Delivery) { d.ReplayName, d.EnvelopeID = "monday", "env-2" }, false, Replay},
		{"AnotherConsumer", func(d *Delivery) { d.Consumer = "reports" }, false, ""},
		{"AnotherEvent", func(d *Delivery) { d.EventID = "signal-2" }, false, ""},
		{"AfterTheWindow", func(d *Delivery) { d.At = at.Add(61 * time.Minute) }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Config{})
			if v := c.Check(first); v != (Verdict{}) {
				t.Fatalf("a new event: %+v", v)
			}
			c.Done(first, tt.failed)
			second := delivery("signal-1", "env-1", "r-2")
			second.At = at.Add(time.Second)
			tt.change(&second)
			v := c.Check(second)
			if v.Kind != tt.want {
				t.Fatalf("got %q, want %q", v.Kind, tt.want)
			}
			if v.Kind != "" && (v.Count != 1 || v.FirstRequestID != "r-1" || v.FirstTraceparent != "tp-r-1" || !v.FirstAt.Equal(at)) {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

func TestReplayOfWhatWasNotSeenIsNoRepeat(t *testing.T) {
	d := delivery("signal-1", "env-1", "r-1")
	d.ReplayName = "monday"
	if v := New(Config{}).Check(d); v.Kind != "" {
		t.Errorf("got %q", v.Kind)
	}
}

func TestTheQueueKnowsOfARetryElsewhere(t *testing.T) {
	d := delivery("signal-1", "env-1", "r-1")
	d.ReceiveCount = 3
	if v := New(Config{}).Check(d); v.Kind != Retry || v.Count != 2 {
		t.Errorf("verdict %+v", v)
	}
}

func TestBusinessKey(t *testing.T) {
	c := New(Config{})
	a, b := delivery("trade-executed-1", "env-1", "r-1"), delivery("trade-executed-2", "env-2", "r-2")
	a.BusinessKey, b.BusinessKey = "trade-7", "trade-7"
	c.Check(a)
	if v := c.Check(b); v.Kind != Republish {
		t.Errorf("got %q", v.Kind)
	}
	b.EventType = "TradeSettled"
	if v := c.Check(b); v.Kind != "" {
		t.Errorf("the same key of another type is %q", v.Kind)
	}
}

func TestConsumer(t *testing.T) {
	var none *Checker
	for want, c := range map[string]*Checker{"portfolio-blue": New(Config{}), "portfolio": New(Config{Consumer: "portfolio"})} {
		if got := c.Consumer("portfolio-blue"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := none.Consumer("f"); got != "f" {
		t.Errorf("got %q", got)
	}
}

func TestWithoutAnIDNothingIsTold(t *testing.T) {
	c := New(Config{})
	for range 2 {
		if v := c.Check(delivery("", "env-1", "r-1")); v != (Verdict{}) {
			t.Errorf("verdict %+v", v)
		}
	}
	var none *Checker
	none.Done(Delivery{EventID: "x"}, true)
	if v := none.Check(Delivery{EventID: "x"}); v != (Verdict{}) {
		t.Errorf("a nil checker knows %+v", v)
	}
}

func TestOutOfOrder(t *testing.T) {
	c := New(Config{})
	child := delivery("all-trades-1", "env-2", "r-1")
	child.ParentID = "trade-1"
	if v := c.Check(child); v.OutOfOrder {
		t.Error("the child is flagged")
	}
	parent := delivery("trade-1", "env-1", "r-2")
	parent.At = at.Add(3 * time.Second)
	if v := c.Check(parent); !v.OutOfOrder || v.Early != 3*time.Second {
		t.Errorf("verdict %+v", v)
	}
	if v := c.Check(delivery("trade-2", "env-3", "r-3")); v.OutOfOrder {
		t.Error("an event without a child is flagged")
	}
	again := delivery("trade-1", "env-1", "r-4")
	if v := c.Check(again); v.OutOfOrder || v.Kind != Redelivery {
		t.Errorf("a repeat of the parent is out of order again: %+v", v)
	}
}

func TestInOrderIsNotFlagged(t *testing.T) {
	c := New(Config{})
	c.Check(delivery("trade-1", "env-1", "r-1"))
	child := delivery("all-trades-1", "env-2", "r-2")
	child.ParentID = "trade-1"
	if v := c.Check(child); v.OutOfOrder {
		t.Errorf("verdict %+v", v)
	}
}

func TestLoop(t *testing.T) {
	c := New(Config{})
	for hops, want := range []bool{false, false, false, true} {
		d := delivery("", "", "r") // an ID is of no account
		d.CorrelationID, d.Hops = "workflow-1", hops
		if v := c.Check(d); v.Loop != want {
			t.Errorf("at the hop count %d: loop %v", hops, v.Loop)
		}
	}
	for i := range 10 { // the same hop count over and over is a fan-out
		d := delivery(fmt.Sprint("trade-", i), fmt.Sprint("env-t", i), "r")
		d.CorrelationID, d.Hops = "workflow-2", 2
		if v := c.Check(d); v.Loop {
			t.Error("a fan-out is a loop")
		}
	}
}

func TestWindowForgetsTheOldest(t *testing.T) {
	c := New(Config{Window: 100})
	for i := range 250 {
		c.Check(delivery(fmt.Sprint("e-", i), fmt.Sprint("env-", i), fmt.Sprint("r-", i)))
	}
	if n := c.Len(); n != 100 {
		t.Errorf("%d events remembered", n)
	}
	if v := c.Check(delivery("e-249", "env-249", "r-new")); v.Kind != Redelivery {
		t.Errorf("the newest is %q", v.Kind)
	}
	if v := c.Check(delivery("e-149", "env-149", "r-new")); v.Kind != "" {
		t.Errorf("one beyond the window is %q", v.Kind)
	}
}

// TestGroundTruth plays deliveries whose kinds are known against the checker.
func TestGroundTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := New(Config{Window: 1 << 20, Age: 24 * time.Hour})
	type past struct {
		d      Delivery
		failed bool
	}
	var history []past
	for i := range 50_000 {
		d := delivery(fmt.Sprint("e-", i), fmt.Sprint("env-", i), fmt.Sprint("r-", i))
		want := Kind("")
		if len(history) > 0 && random.IntN(3) == 0 {
			n := random.IntN(len(history))
			old := history[n]
			d = old.d
			d.RequestID, d.ReplayName, d.ReceiveCount = fmt.Sprint("r-", i), "", 0
			switch random.IntN(5) {
			case 0:
				d.RequestID, want = old.d.RequestID, Retry
			case 1:
				d.ReceiveCount, want = 2, Retry
			case 2:
				d.ReplayName, want = "monday", Replay
			case 3:
				d.EnvelopeID, want = fmt.Sprint("new-", i), Republish
			default:
				if want = Redelivery; old.failed {
					want = Retry
				}
			}
			if got := c.Check(d).Kind; got != want {
				t.Fatalf("delivery %d: got %q, want %q (first failed: %v)", i, got, want, old.failed)
			}
			continue
		}
		if got := c.Check(d).Kind; got != "" {
			t.Fatalf("delivery %d is new and called %q", i, got)
		}
		failed := random.IntN(5) == 0
		c.Done(d, failed)
		history = append(history, past{d, failed})
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New(Config{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	kinds := map[Kind]int{}
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				v := c.Check(delivery(fmt.Sprint("e-", i), fmt.Sprint("env-", i), ""))
				mu.Lock()
				kinds[v.Kind]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if kinds[""] != 500 || kinds[Redelivery] != 3500 {
		t.Errorf("kinds %v", kinds)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("e-1", "env-1", "parent", "corr", int64(0), 3, 1)
	f.Add("", "\x00", "", "", int64(-1), -5, -1)
	f.Fuzz(func(t *testing.T, event, envelope, parent, correlation string, ns int64, hops, receives int) {
		c := New(Config{Window: 4})
		d := Delivery{EventID: event, EnvelopeID: envelope, ParentID: parent, CorrelationID: correlation, EventType: "T", RequestID: "r", At: time.Unix(0, ns), Hops: hops, ReceiveCount: receives}
		c.Check(d)
		c.Done(d, false)
		d.RequestID = "r-2"
		if v := c.Check(d); event != "" && v.Kind == "" {
			t.Errorf("the same delivery twice is new: %+v", v)
		}
	})
}

// BenchmarkCheck stands beside what one would write by hand: a map under a lock
// that tells whether an ID was there, and forgets nothing but all at once.
func BenchmarkCheck(b *testing.B) {
	b.Run("MapUnderALock", func(b *testing.B) {
		ids := make([]string, 1<<16)
		for i := range ids {
			ids[i] = fmt.Sprint("portfolio#trade-executed-", i)
		}
		var mu sync.Mutex
		seen := map[string]time.Time{}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			mu.Lock()
			if _, again := seen[ids[i%len(ids)]]; !again {
				if len(seen) == defaultWindow {
					clear(seen)
				}
				seen[ids[i%len(ids)]] = at
			}
			mu.Unlock()
		}
	})
	b.Run("New", func(b *testing.B) {
		ids := make([]string, 1<<16)
		for i := range ids {
			ids[i] = fmt.Sprint("trade-executed-", i)
		}
		c := New(Config{})
		d := delivery("", "env", "r")
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			d.EventID, d.EnvelopeID = ids[i%len(ids)], ids[i%len(ids)]
			c.Check(d)
		}
	})
	b.Run("NewWithLineage", func(b *testing.B) { // with a parent and a correlation ID, as a workflow's events have
		ids := make([]string, 1<<16)
		for i := range ids {
			ids[i] = fmt.Sprint("trade-executed-", i)
		}
		c := New(Config{})
		d := delivery("", "env", "r")
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			d.EventID, d.EnvelopeID, d.ParentID, d.CorrelationID = ids[i%len(ids)], ids[i%len(ids)], ids[(i+1)%len(ids)], ids[i%len(ids)]
			c.Check(d)
		}
	})
	b.Run("Hit", func(b *testing.B) {
		c := New(Config{})
		d := delivery("e", "env", "r")
		c.Check(d)
		b.ReportAllocs()
		for b.Loop() {
			c.Check(d)
		}
	})
	for name, all := range map[string]bool{"MemoryPerEvent": false, "MemoryPerEventWithLineage": true} {
		b.Run(name, func(b *testing.B) { benchmarkMemory(b, all) })
	}
}

// benchmarkMemory fills a window; with all there is to remember of each event,
// its request's and its span's IDs included.
func benchmarkMemory(b *testing.B, all bool) {
	const events = 100_000
	ids := make([]string, events)
	for i := range ids {
		ids[i] = fmt.Sprint("trade-executed-", i)
	}
	var before, after runtime.MemStats
	var c *Checker
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		c = New(Config{Window: events})
		for i, id := range ids {
			d := Delivery{Consumer: "f", EventID: id, EnvelopeID: id, At: at}
			if all {
				d.ParentID, d.CorrelationID, d.EventType = ids[(i+1)%events], id, "TradeExecuted"
				d.RequestID = fmt.Sprintf("%036d", i)
				d.Traceparent = fmt.Sprintf("%055d", i)
			}
			c.Check(d)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/events, "B/event")
	runtime.KeepAlive(c)
	runtime.KeepAlive(ids) // counted before, and so after
}
