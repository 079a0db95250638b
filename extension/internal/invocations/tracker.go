// Package invocations tracks an environment's invocations from the Extensions
// API, the Telemetry API, the runtime endpoint and received spans. It counts each
// fact once, whichever source reports it, and exports the span of each
// invocation.
package invocations

import (
	"cmp"
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Config describes the function. Metrics and Export are required.
type Config struct {
	Metrics *metrics.Set
	// Export takes the spans that are made here.
	Export func(request []byte)
	// Function is the function's name; the Extensions API may tell it later.
	Function string
	// Service is the service.name of the spans; empty is the function's name.
	Service string
	// InitType is AWS_LAMBDA_INITIALIZATION_TYPE.
	InitType string
	Region   string
	MemoryMB int
}

// Tracker tracks the invocations of one environment. It is safe for concurrent use.
type Tracker struct {
	config Config

	mu        sync.Mutex
	name      string
	listening bool          // to telemetry
	endpoint  bool          // the runtime uses our endpoint, which sees every end
	wrapper   bool          // the function uses the library's handler wrapper
	silent    bool          // telemetry did not tell of an end when it should have
	unsettled []*invocation // whose end was seen here, and that are not counted yet
	init      initPhase
	began     bool // the first invocation has begun
	current   *invocation
	known     map[string]*invocation // by request ID
	order     []string
	seen      map[recordKey]bool
	seenOrder []recordKey
}

// initPhase is the initialisation of the environment.
type initPhase struct {
	kind       string
	start, end time.Time
	counted    bool // InitDuration
	traced     bool // its span is written
}

// state is how far an invocation has come. It only grows.
type state int

const (
	running state = iota // its end is not known
	ended                // its end is known; telemetry may still tell more of it
	counted              // its metrics are recorded
	traced               // its span is written too
)

// invocation is one attempt at one invocation.
type invocation struct {
	requestID, arn string
	state          state
	over           chan struct{} // closed when it is ended
	cold           bool
	arrived        bool // its event came past the runtime endpoint

	begun, deadline time.Time     // by our clock; no deadline before the Extensions API has told of it
	start, end      time.Time     // by telemetry's; zero where it has not told
	seen            time.Time     // when its end was seen here, by our clock
	took            time.Duration // as seen here; 0 is unknown
	status          string
	errorType       string
	process         *otlp.Found // the span that handled its events; nil where none was found
}

type recordKey struct {
	kind, requestID string
	at              time.Time
}

const (
	maxKnown = 1_000 // invocations remembered
	maxSeen  = 4_000 // records
	maxID    = 128   // bytes of a request ID; Lambda's have 36
	// proactive is how long after its init an environment's first invocation
	// begins when it was not initialised for it.
	proactive = 10 * time.Second
	// overdue is how long after an end telemetry may still tell of it, before
	// what was seen here is counted in its place.
	overdue = 5 * time.Second
	// lastRecords is how long telemetry may still be on its way at SHUTDOWN.
	lastRecords = 300 * time.Millisecond
)

// New returns a Tracker that knows of no invocation.
func New(config Config) *Tracker {
	return &Tracker{config: config, name: config.Function, known: map[string]*invocation{}, seen: map[recordKey]bool{}}
}

// advance moves an invocation on to a state, and on to the next where all of
// that is known. It is the only place where a state changes. The mutex is held.
func (t *Tracker) advance(i *invocation, to state) {
	if i.state == running && to > running {
		close(i.over)
	}
	i.state = max(i.state, to)
	if i.state == counted && i.process != nil {
		i.state = traced
		t.writeSpan(i)
	}
}

// SetFunction sets the function's name, unless it is known.
func (t *Tracker) SetFunction(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name = cmp.Or(t.name, name)
}

// Function is the function's name, empty where it is not known.
func (t *Tracker) Function() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.name
}

// Subscribed says that telemetry will be delivered.
func (t *Tracker) Subscribed() { t.mu.Lock(); t.listening = true; t.mu.Unlock() }

// EndSignal says who tells of the end of an invocation.
type EndSignal int

// The signals.
const (
	NoSignal        EndSignal = iota // nobody
	TelemetrySignal                  // telemetry, after its buffer's 25 ms
	LocalSignal                      // the runtime endpoint, or the library's spans: at once
)

// EndSignal is who will tell of the end of the next invocation.
func (t *Tracker) EndSignal() EndSignal {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.endpoint || t.wrapper:
		return LocalSignal
	case t.listening && !t.silent:
		return TelemetrySignal
	default:
		return NoSignal
	}
}

// EndMissed says that an end was waited for in vain. It is not waited for again
// until telemetry has told of one.
func (t *Tracker) EndMissed() { t.mu.Lock(); t.silent, t.wrapper = true, false; t.mu.Unlock() }

// Begin takes an invocation that the Extensions API tells of, and returns a
// channel that is closed when its end is known.
func (t *Tracker) Begin(requestID, arn string, deadline, now time.Time) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.current; last != nil && last.state < counted && last.seen.IsZero() {
		last.seen = now // at the latest: Lambda waits for everybody
		t.unsettled = append(t.unsettled, last)
	}
	t.sweep(now, overdue)
	i := t.known[requestID]
	if i == nil || !i.deadline.IsZero() { // what is told of twice is another attempt
		i = t.add(requestID, now)
	}
	i.arn, i.deadline = arn, deadline
	t.current = i
	return i.over
}

// Arrive takes an invocation whose event is about to be handed to the runtime,
// which may answer before the Extensions API has told of it. Telemetry may have told
// of its end before: the runtime died while its event was on the way.
func (t *Tracker) Arrive(requestID string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endpoint = true
	i := t.known[requestID]
	if i == nil || i.arrived && i.state >= ended {
		i = t.add(requestID, now)
	}
	i.arrived = true
}

// sweep counts the invocations that have been over for a while and that
// telemetry has not told of: from what the runtime endpoint saw, else as lost.
func (t *Tracker) sweep(now time.Time, after time.Duration) {
	for len(t.unsettled) > 0 {
		i := t.unsettled[0]
		if i.state < counted && now.Sub(i.seen) < after && len(t.unsettled) <= maxKnown {
			return
		}
		t.unsettled[0], t.unsettled = nil, t.unsettled[1:]
		switch {
		case i.state >= counted:
		case i.took > 0:
			t.countSeen(i)
		default:
			if i.cold {
				t.record(i.seen, metrics.ColdStart, 1, i.requestID, t.coldKind(i))
			}
			t.config.Metrics.Dropped(1)
			t.advance(i, counted)
		}
	}
}

// countSeen counts an invocation as the runtime endpoint saw it.
func (t *Tracker) countSeen(i *invocation) {
	t.count(i, i.seen, float64(i.took)/float64(time.Millisecond))
	t.advance(i, counted)
}

// add begins an invocation; one with the same request ID before it was an
// attempt that failed. One whose ID is none is not remembered.
func (t *Tracker) add(requestID string, now time.Time) *invocation {
	i := &invocation{requestID: requestID, begun: now, over: make(chan struct{}), cold: !t.began}
	t.began = true
	if len(requestID) > maxID {
		return i
	}
	if t.known[requestID] == nil {
		t.order = append(t.order, requestID)
	}
	t.known[requestID] = i
	if len(t.order) > maxKnown {
		delete(t.known, t.order[0])
		t.order = t.order[1:]
	}
	return i
}

func (t *Tracker) record(at time.Time, name metrics.Name, value float64, requestID, kind string) {
	t.config.Metrics.Record(metrics.Observation{At: at, Name: name, Value: value, RequestID: requestID, Kind: kind})
}

// Spans looks for process spans in a request of spans: each is the child of its
// invocation's span, which is written here. fromLibrary says that the function's
// own handler wrapper sent them, and not our runtime endpoint.
func (t *Tracker) Spans(request []byte, fromLibrary bool, now time.Time) {
	for _, found := range otlp.Find(request, "faas.invocation_id", lineage.AttrInvokeParent) {
		t.process(found, fromLibrary, now)
	}
}

func (t *Tracker) process(found otlp.Found, fromLibrary bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.known[found.Texts[0]]
	if i == nil && fromLibrary { // before the Extensions API tells of the invocation
		i = t.add(found.Texts[0], now)
	}
	if i == nil || i.process != nil {
		return
	}
	i.process = &found
	// The library exports when the handler is done, so that finding the span
	// tells the end before telemetry does.
	t.wrapper = t.wrapper || fromLibrary
	t.advance(i, ended)
}

// Answered takes the end of an invocation from the runtime endpoint: errorType is
// empty for a success. It is counted where telemetry is not heard, or does not
// tell of it in time.
func (t *Tracker) Answered(requestID string, at time.Time, took time.Duration, errorType string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.known[requestID]
	if i == nil {
		return
	}
	if i.state < counted {
		i.seen, i.took = at, max(took, time.Nanosecond) // 0 is unknown
		switch i.status = "success"; errorType {
		case "":
		case "timeout", "failure":
			i.status = errorType
		default:
			i.status, i.errorType = "error", errorType
		}
		if t.listening {
			t.unsettled = append(t.unsettled, i)
			t.sweep(at, overdue)
		} else {
			t.countSeen(i)
		}
	}
	t.advance(i, ended)
}

// Settle waits for what telemetry still has to say of the last invocation, and
// counts what SHUTDOWN alone tells of it: reason is its reason.
func (t *Tracker) Settle(ctx context.Context, reason string, now time.Time) {
	t.mu.Lock()
	i, listening := t.current, t.listening
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sweep(now, math.MinInt64)
	}()
	if i == nil {
		return
	}
	if listening {
		ctx, cancel := context.WithTimeout(ctx, lastRecords)
		t.waitCounted(ctx, i)
		cancel()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i.state >= counted {
		return
	}
	if endsByFault(reason) {
		i.end, i.status = now, strings.ToLower(reason)
		t.count(i, now, float64(now.Sub(i.begun))/float64(time.Millisecond))
		t.advance(i, counted)
	}
}

// endsByFault says that a reason of SHUTDOWN, or a status, is a fault of an invocation.
func endsByFault(reason string) bool {
	return strings.EqualFold(reason, "timeout") || strings.EqualFold(reason, "failure")
}

// waitCounted waits until i is counted. Telemetry comes in batches 25 ms apart,
// so looking now and then costs nothing that matters at the end of an environment.
func (t *Tracker) waitCounted(ctx context.Context, i *invocation) {
	const step = 5 * time.Millisecond
	for {
		t.mu.Lock()
		done := i.state >= counted
		t.mu.Unlock()
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
