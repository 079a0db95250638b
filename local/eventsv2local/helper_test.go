package eventsv2local

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	function = "arn:aws:lambda:us-east-1:123456789012:function:handler"
	queueARN = "arn:aws:sqs:us-east-1:123456789012:dead"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// handler is a function: it keeps what it is handed.
type handler struct {
	mu       sync.Mutex
	payloads []string
	sync     []bool
	answer   func(payload string) ([]byte, error) // nil: takes everything
}

func (h *handler) target() Function {
	return Function{FunctionName: "handler", Invoke: func(_ context.Context, payload []byte, sync bool) ([]byte, error) {
		h.mu.Lock()
		h.payloads, h.sync = append(h.payloads, string(payload)), append(h.sync, sync)
		answer := h.answer
		h.mu.Unlock()
		if answer == nil {
			return nil, nil
		}
		return answer(string(payload))
	}}
}

func (h *handler) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.payloads...)
}

// stage is a service with a bus and a function.
type stage struct {
	*Service
	t     *testing.T
	bus   *Bus
	clock *clock.Clock
	h     *handler
	dead  *DeadLetters
}

func newStage(t *testing.T, o Options) *stage {
	t.Helper()
	s := &stage{t: t, h: &handler{}, dead: &DeadLetters{}, clock: o.Clock}
	s.Service = New(o)
	t.Cleanup(s.Close)
	bus, err := s.CreateBus("orders", 0)
	if err != nil {
		t.Fatal(err)
	}
	s.bus = bus
	s.Target(function, s.h.target())
	s.DeadLetters(queueARN, s.dead)
	return s
}

// subscribe adds a subscriber that is called "s" and invokes the function.
func (s *stage) subscribe(change func(*Spec)) *Subscriber {
	s.t.Helper()
	spec := Spec{Name: "s", Invoke: Invoke{TargetARN: function}, MaxBatch: 1}
	if change != nil {
		change(&spec)
	}
	sub, err := s.bus.Subscribe(spec)
	if err != nil {
		s.t.Fatal(err)
	}
	return sub
}

// put puts an event for each detail.
func (s *stage) put(details ...string) []Result {
	s.t.Helper()
	var entries []Entry
	for _, d := range details {
		entries = append(entries, Entry{Source: "shop", DetailType: "OrderPlaced", Detail: d, Resources: []string{"hops:0"}})
	}
	results, err := s.Put(s.bus.ARN, entries, false, false)
	if err != nil {
		s.t.Fatal(err)
	}
	return results
}

func (s *stage) wait() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// advance moves the clock on until nothing is left to deliver.
func (s *stage) advance(d time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.clock.Advance(d)
			time.Sleep(time.Millisecond) // lets those who wait go on; nothing depends on how long
		}
	}()
	s.wait()
	cancel()
	<-done
}

// three is an event with its metadata, as it was delivered.
type three struct {
	Data           json.RawMessage
	Metadata       map[string]string
	SystemMetadata map[string]string
}

func parse[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func code(err error) string {
	if err == nil {
		return ""
	}
	code, _, _ := strings.Cut(err.Error(), ":")
	return code
}

func number(n int) *int { return &n }
