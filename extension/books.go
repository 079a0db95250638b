package extension

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// books is what is known of the environment and its invocations, from the
// Extensions API, from telemetry and from the spans that pass by. Each fact is
// counted once, whatever telemetry repeats.
type books struct {
	config  Config
	metrics *metrics.Set
	export  func(request []byte)

	mu        sync.Mutex
	name      string
	listening bool          // to telemetry
	watching  bool          // the runtime endpoint is used, which tells of every end
	wrapped   bool          // the library's handler wrapper is
	deaf      bool          // telemetry did not tell of an end when it should have
	unsettled []*invocation // over, and not counted yet
	init      initPhase
	began     bool // the first invocation has begun
	current   *invocation
	open      map[string]*invocation // by request ID
	order     []string
	seen      map[seenKey]bool
	seenOrder []seenKey
}

// initPhase is the initialisation of this process's environment.
type initPhase struct {
	kind       string
	start, end time.Time
	counted    bool // InitDuration
	written    bool // the span
}

// invocation is one attempt at one invocation.
type invocation struct {
	requestID, arn  string
	begun, deadline time.Time
	start, end      time.Time // in telemetry's clock
	cold            bool
	over            chan struct{} // closed when the end is known
	told            bool          // over is closed
	done            bool          // Duration and its like are counted
	oom             bool
	ended           time.Time // by our clock
	took            time.Duration
	untold          bool // counted although telemetry has told nothing of it
	status          string
	errorType       string
	process         otlp.Found // the span of the library's handler wrapper
	found           bool
	written         bool // the invoke span
}

type seenKey struct {
	kind, requestID string
	at              time.Time
}

const (
	maxOpen = 1_000 // invocations remembered
	maxSeen = 4_000 // records
	// proactive is how long after its init an environment's first invocation
	// begins when it was not initialised for it.
	proactive = 10 * time.Second
	// overdue is how long after an end telemetry may still tell of it, before
	// what was seen here is counted in its place.
	overdue = 5 * time.Second
)

func newBooks(config Config, set *metrics.Set, export func([]byte)) *books {
	return &books{config: config, metrics: set, export: export, name: config.FunctionName, open: map[string]*invocation{}, seen: map[seenKey]bool{}}
}

func (b *books) function(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.name == "" {
		b.name = name
	}
}

func (b *books) subscribed() { b.mu.Lock(); b.listening = true; b.mu.Unlock() }

// hearing says whether and when the end of an invocation will be told.
type hearing int

const (
	never hearing = iota
	late          // by telemetry, after its buffer's 25 ms
	soon          // by the runtime endpoint, or by the library's spans
)

func (b *books) hears() hearing {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.watching || b.wrapped:
		return soon
	case b.listening && !b.deaf:
		return late
	default:
		return never
	}
}

// missed says that an end was waited for in vain. It is not waited for again
// until telemetry has told of one.
func (b *books) missed() { b.mu.Lock(); b.deaf, b.wrapped = true, false; b.mu.Unlock() }

func (b *books) functionName() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.name
}

// begin opens an invocation and returns a channel that is closed when its end is known.
func (b *books) begin(e event, now time.Time) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := b.current; last != nil && !last.done && last.ended.IsZero() {
		last.ended = now // at the latest: Lambda waits for everybody
		b.unsettled = append(b.unsettled, last)
	}
	b.sweep(now, overdue)
	i := b.open[e.RequestID]
	if i == nil || i.announced() {
		i = b.add(e.RequestID, now)
	}
	i.arn, i.deadline = e.InvokedFunctionARN, e.deadline()
	b.current = i
	return i.over
}

// arrives opens an invocation whose event is about to be handed to the runtime,
// which may have answered before the Extensions API has told of it.
func (b *books) arrives(request string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watching = true
	if i := b.open[request]; i == nil || i.told {
		b.add(request, now)
	}
}

// sweep counts the invocations that have been over for a while and that
// telemetry has not told of: from what the runtime endpoint saw, else as lost.
func (b *books) sweep(now time.Time, after time.Duration) {
	for len(b.unsettled) > 0 {
		i := b.unsettled[0]
		if !i.done && now.Sub(i.ended) < after && len(b.unsettled) <= maxOpen {
			return
		}
		b.unsettled[0], b.unsettled = nil, b.unsettled[1:]
		i.untold = !i.done && i.start.IsZero()
		switch {
		case i.done:
		case i.took > 0:
			b.settled(i)
		default:
			i.done = true
			if i.cold {
				b.record(i.ended, metrics.ColdStart, 1, i.requestID, b.coldKind(i))
			}
			b.metrics.Dropped(1)
		}
	}
}

// settled counts an invocation as the runtime endpoint saw it.
func (b *books) settled(i *invocation) {
	i.done, i.start, i.end = true, i.ended.Add(-i.took), i.ended
	b.count(i, i.ended, float64(i.took)/float64(time.Millisecond))
	b.writeInvoke(i)
}

// announced reports whether the Extensions API has told of this attempt, so that
// what it tells next under the same request ID is another one.
func (i *invocation) announced() bool { return !i.deadline.IsZero() }

// add opens an invocation; one with the same request ID before it was an
// attempt that failed.
func (b *books) add(requestID string, now time.Time) *invocation {
	i := &invocation{requestID: requestID, begun: now, over: make(chan struct{}), cold: !b.began}
	b.began = true
	if b.open[requestID] == nil {
		b.order = append(b.order, requestID)
	}
	b.open[requestID] = i
	if len(b.order) > maxOpen {
		delete(b.open, b.order[0])
		b.order = b.order[1:]
	}
	return i
}

func (b *books) record(at time.Time, name metrics.Name, value float64, requestID, kind string) {
	b.metrics.Record(metrics.Observation{At: at, Name: name, Value: value, RequestID: requestID, Kind: kind})
}

// tell says that the end of i is known.
func (b *books) tell(i *invocation) {
	if !i.told {
		i.told = true
		close(i.over)
	}
}

// spans looks for process spans in a request of spans: each is the child of its
// invocation's span, which is written here. inLibrary says that the function's
// own handler wrapper sent them, and not our runtime endpoint.
func (b *books) spans(request []byte, inLibrary bool, now time.Time) {
	for _, found := range otlp.Find(request, "faas.invocation_id", tracing.AttrInvokeParent) {
		b.process(found, inLibrary, now)
	}
}

func (b *books) process(found otlp.Found, inLibrary bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.open[found.Texts[0]]
	if i == nil && inLibrary { // before the Extensions API tells of the invocation
		i = b.add(found.Texts[0], now)
	}
	if i == nil || i.found {
		return
	}
	i.process, i.found = found, true
	// The library exports when the handler is done, so that finding the span
	// tells the end before telemetry does.
	b.wrapped = b.wrapped || inLibrary
	b.tell(i)
	b.writeInvoke(i)
}

// handled takes the end of an invocation from the runtime endpoint. It is
// counted where telemetry is not heard, or does not tell of it in time.
func (b *books) handled(request string, at time.Time, took time.Duration, kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.open[request]
	if i == nil {
		return
	}
	if !i.done {
		i.ended, i.took = at, max(took, time.Nanosecond) // 0 is unknown
		switch i.status = "success"; kind {
		case "":
		case "timeout", "failure":
			i.status = kind
		default:
			i.status, i.errorType = "error", kind
		}
		if b.listening {
			b.unsettled = append(b.unsettled, i)
			b.sweep(at, overdue)
		} else {
			b.settled(i)
		}
	}
	b.tell(i)
	b.writeInvoke(i)
}

// settle waits for what telemetry still has to say of the last invocation, and
// counts what SHUTDOWN alone tells of it.
func (b *books) settle(ctx context.Context, reason string, now time.Time) {
	b.mu.Lock()
	i, listening := b.current, b.listening
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sweep(now, math.MinInt64)
	}()
	if i == nil {
		return
	}
	if listening {
		ctx, cancel := context.WithTimeout(ctx, lastRecords)
		b.waitDone(ctx, i)
		cancel()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i.done {
		return
	}
	if strings.EqualFold(reason, "timeout") || strings.EqualFold(reason, "failure") {
		i.done, i.end, i.status = true, now, strings.ToLower(reason)
		b.count(i, now, float64(now.Sub(i.begun))/float64(time.Millisecond))
		b.writeInvoke(i)
	}
}

// waitDone waits until i is counted. Telemetry comes in batches 25 ms apart, so
// looking now and then costs nothing that matters at the end of an environment.
func (b *books) waitDone(ctx context.Context, i *invocation) {
	const step = 5 * time.Millisecond
	for {
		b.mu.Lock()
		done := i.done
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(step):
		}
	}
}
