package dedupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// moment names where an environment dies.
type moment string

const (
	nowhere        moment = ""
	beforeClaim    moment = "before the claim"
	claimLost      moment = "after the claim was written, before its answer"
	beforeHandling moment = "before the handling"
	inHandling     moment = "in the handling"
	afterHandling  moment = "after the handling"
	completionLost moment = "after the completion was written, before its answer"
	afterAll       moment = "after the completion"
)

var moments = []moment{beforeClaim, claimLost, beforeHandling, inHandling, afterHandling, completionLost, afterAll}

// crash is what a dying environment panics with: nothing runs after it.
type crash struct{ at moment }

// mortal is a store as an environment sees it that dies at a moment.
type mortal struct {
	Store
	at moment
}

func (m mortal) Claim(ctx context.Context, key string, r Record, now time.Time) (Record, bool, error) {
	m.die(beforeClaim)
	before, won, err := m.Store.Claim(ctx, key, r, now)
	m.die(claimLost)
	return before, won, err
}

func (m mortal) Settle(ctx context.Context, key string, o Outcome) error {
	if m.at == inHandling || m.at == beforeHandling || m.at == afterHandling {
		panic(crash{m.at}) // a process that died tells nobody
	}
	err := m.Store.Settle(ctx, key, o)
	m.die(completionLost)
	return err
}

func (m mortal) die(at moment) {
	if m.at == at {
		panic(crash{at})
	}
}

// environment handles one delivery and may die; handled counts the handlings that were carried out.
func environment(t *testing.T, store Store, d Delivery, lease time.Time, dies moment, handled *int) (result string, err error, died bool) {
	t.Helper()
	defer func() {
		if reason := recover(); reason != nil {
			if _, ok := reason.(crash); !ok {
				panic(reason)
			}
			died = true
		}
	}()
	m := mortal{store, dies}
	out, err := New(Config{Store: m}).Once(t.Context(), d, lease, func(context.Context) ([]byte, error) {
		m.die(beforeHandling)
		m.die(inHandling)
		*handled++
		m.die(afterHandling)
		return []byte("first"), nil
	})
	m.die(afterAll)
	return string(out), err, false
}

// TestCrashAtEveryStep delivers an event until its consumer answers, as Lambda
// does, with environments that die at one moment and then another.
func TestCrashAtEveryStep(t *testing.T) {
	for _, sameRequest := range []bool{true, false} {
		for _, first := range moments {
			for _, second := range append([]moment{nowhere}, moments...) {
				t.Run(fmt.Sprintf("%s, %s, same request %v", first, second, sameRequest), func(t *testing.T) {
					store, handled := new(Memory), 0
					deaths := []moment{first, second}
					now, answered := at, false
					for attempt := 0; !answered && attempt < 6; attempt++ {
						dies := nowhere
						if attempt < len(deaths) {
							dies = deaths[attempt]
						}
						d := delivery("trade-1", "env-1", "r-1")
						d.At = now
						if !sameRequest {
							d.RequestID = fmt.Sprint("r-", attempt)
						}
						result, err, died := environment(t, store, d, now.Add(30*time.Second), dies, &handled)
						switch {
						case died:
						case errors.Is(err, ErrInProgress):
						case err != nil:
							t.Fatal(err)
						default:
							answered = true
							if result != "first" {
								t.Errorf("attempt %d answers %q", attempt, result)
							}
						}
						now = now.Add(20 * time.Second) // the lease of the attempt before may still run
					}
					if handled == 0 || !answered {
						t.Fatalf("handled %d times, answered %v", handled, answered)
					}
					// Only a death between the handling and its completion may handle again.
					allowed := 1
					for _, s := range deaths {
						if s == afterHandling {
							allowed++
						}
					}
					if handled > allowed {
						t.Errorf("handled %d times, %d allowed", handled, allowed)
					}
					// What completed is not handled again, whoever brings it.
					now = now.Add(time.Hour)
					d := delivery("trade-1", "env-2", "r-late")
					d.At = now
					before := handled
					if result, err, _ := environment(t, store, d, now.Add(time.Minute), nowhere, &handled); err != nil || result != "first" || handled != before {
						t.Errorf("a republication: %q, %v, handled %d more", result, err, handled-before)
					}
				})
			}
		}
	}
}

func TestOnceAtATime(t *testing.T) {
	store := new(Memory)
	var mu sync.Mutex
	handled, refused := 0, 0
	var wg sync.WaitGroup
	started := make(chan struct{})
	for i := range 20 {
		wg.Go(func() {
			d := delivery("trade-1", "env-1", fmt.Sprint("r-", i))
			_, err := New(Config{Store: store}).Once(t.Context(), d, at.Add(time.Minute), func(context.Context) ([]byte, error) {
				mu.Lock()
				handled++
				mu.Unlock()
				<-started
				return nil, nil
			})
			if errors.Is(err, ErrInProgress) {
				mu.Lock()
				if refused++; refused == 19 {
					close(started)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if handled != 1 || refused != 19 {
		t.Errorf("handled %d times, refused %d", handled, refused)
	}
}

func TestFailureIsHandledAgain(t *testing.T) {
	store, wrong := new(Memory), errors.New("no such account")
	c := New(Config{Store: store})
	calls := 0
	once := func(request string, err error) ([]byte, error) {
		return c.Once(t.Context(), delivery("trade-1", "env-1", request), at.Add(time.Hour), func(context.Context) ([]byte, error) {
			calls++
			return []byte(request), err
		})
	}
	if _, err := once("r-1", wrong); !errors.Is(err, wrong) {
		t.Fatal(err)
	}
	if out, err := once("r-2", nil); err != nil || string(out) != "r-2" {
		t.Fatalf("%q, %v", out, err)
	}
	if out, err := once("r-3", nil); err != nil || string(out) != "r-2" || calls != 2 {
		t.Errorf("%q, %v, handled %d times", out, err, calls)
	}
}

func TestPanicLetsGo(t *testing.T) {
	c := New(Config{Store: new(Memory)})
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic is not the handler's")
			}
		}()
		_, _ = c.Once(t.Context(), delivery("trade-1", "env-1", "r-1"), at.Add(time.Hour), func(context.Context) ([]byte, error) { panic("boom") })
	}()
	if k := c.Claim(t.Context(), delivery("trade-1", "env-1", "r-2"), at.Add(time.Hour)); !k.Granted() || k.Verdict.Kind != Retry {
		t.Errorf("granted %v, verdict %+v", k.Granted(), k.Verdict)
	}
}

func TestReplaysPassByChoice(t *testing.T) {
	for _, pass := range []bool{false, true} {
		c := New(Config{Store: new(Memory), ReplaysPass: pass})
		calls := 0
		for i := range 3 {
			d := delivery("trade-1", "env-1", fmt.Sprint("r-", i))
			if i > 0 {
				d.ReplayName = "monday"
			}
			if _, err := c.Once(t.Context(), d, at.Add(time.Hour), func(context.Context) ([]byte, error) { calls++; return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]int{false: 1, true: 3}[pass]; calls != want {
			t.Errorf("replays pass %v: handled %d times, want %d", pass, calls, want)
		}
	}
}

// TestWhatAReplayHandledFirst is not handled again by what comes later, whether
// or not replays pass.
func TestWhatAReplayHandledFirst(t *testing.T) {
	for _, pass := range []bool{false, true} {
		c := New(Config{Store: new(Memory), ReplaysPass: pass})
		calls := 0
		for _, replay := range []string{"monday", ""} {
			d := delivery("trade-1", "env-1", "r-"+replay)
			d.ReplayName = replay
			out, err := c.Once(t.Context(), d, at.Add(time.Hour), func(context.Context) ([]byte, error) { calls++; return []byte("done"), nil })
			if err != nil || string(out) != "done" {
				t.Errorf("%q, %v", out, err)
			}
		}
		if calls != 1 {
			t.Errorf("replays pass %v: handled %d times", pass, calls)
		}
	}
}

// TestOrderOfWhatIsHandledOnce: claims tell of order what checks do.
func TestOrderOfWhatIsHandledOnce(t *testing.T) {
	rules := []Rule{{Then: "TradeExecuted", First: "RebalancePlanned"}}
	for name, environment := range map[string]func(*Memory) *Checker{
		"Memory": func() func(*Memory) *Checker {
			c := New(Config{Order: rules})
			return func(*Memory) *Checker { return c }
		}(),
		"Shared": func(m *Memory) *Checker { return New(Config{Order: rules, Store: m, ShareOrder: true}) },
	} {
		store := new(Memory)
		claim := func(eventType, id, parent string, after time.Duration) Verdict {
			d := delivery(id, "env-"+id, "r-"+id)
			d.EventType, d.ParentID, d.CorrelationID, d.At = eventType, parent, "w-1", at.Add(after)
			k := environment(store).Claim(t.Context(), d, at.Add(time.Hour))
			if !k.Granted() {
				t.Errorf("%s: %s is refused", name, id)
			}
			k.Finish(t.Context(), nil, false)
			return k.Verdict
		}
		if v := claim("TradeExecuted", "trade-1", "plan-1", 0); !v.OutOfOrder || v.Awaited != "RebalancePlanned" {
			t.Errorf("%s: %+v", name, v)
		}
		if v := claim("RebalancePlanned", "plan-1", "", time.Second); !v.OutOfOrder || v.Early != time.Second {
			t.Errorf("%s: %+v", name, v)
		}
		if v := claim("TradeExecuted", "trade-2", "plan-1", time.Minute); v.OutOfOrder {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestWithoutAStoreEveryEventIsHandled(t *testing.T) {
	var none *Checker
	for name, c := range map[string]*Checker{"NoStore": New(Config{}), "Nil": none, "Gone": New(Config{Store: hanging{}, Patience: time.Millisecond})} {
		calls := 0
		for range 3 {
			if _, err := c.Once(t.Context(), delivery("trade-1", "env-1", "r-1"), at, func(context.Context) ([]byte, error) { calls++; return nil, nil }); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if calls != 3 {
			t.Errorf("%s: handled %d times", name, calls)
		}
	}
}

func TestOnlyShortResultsAreKept(t *testing.T) {
	c := New(Config{Store: new(Memory), KeepResult: 10})
	for i, size := range []int{10, 11} {
		d := delivery(fmt.Sprint("trade-", i), "env-1", "r-1")
		handle := func(context.Context) ([]byte, error) { return make([]byte, size), nil }
		if _, err := c.Once(t.Context(), d, at.Add(time.Hour), handle); err != nil {
			t.Fatal(err)
		}
		d.RequestID = "r-2"
		out, err := c.Once(t.Context(), d, at.Add(time.Hour), handle)
		if kept := out != nil; err != nil || kept != (size == 10) {
			t.Errorf("%d bytes: kept %v, %v", size, kept, err)
		}
	}
}

// TestWhatWasOnlySeenIsHandled is the day on which suppression is switched on:
// that an event was seen does not say that it was handled.
func TestWhatWasOnlySeenIsHandled(t *testing.T) {
	c := New(Config{Store: new(Memory), Wait: time.Second})
	d := delivery("trade-1", "env-1", "r-1")
	c.Start(t.Context(), []Delivery{d}).Verdicts(t.Context())
	d.RequestID = "r-2"
	if k := c.Claim(t.Context(), d, at.Add(time.Hour)); !k.Granted() || k.Verdict.Kind != Redelivery {
		t.Errorf("granted %v, %+v", k.Granted(), k.Verdict)
	}
}

// hanging is a store that never answers.
type hanging struct{}

func (hanging) Claim(ctx context.Context, _ string, _ Record, _ time.Time) (Record, bool, error) {
	<-ctx.Done()
	return Record{}, false, ctx.Err()
}

func (hanging) Repeat(ctx context.Context, _ string, _ Handling, _ string, _ time.Time) (Record, error) {
	<-ctx.Done()
	return Record{}, ctx.Err()
}

func (hanging) Settle(ctx context.Context, _ string, _ Outcome) error {
	<-ctx.Done()
	return ctx.Err()
}
