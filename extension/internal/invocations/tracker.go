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
	// Export receives the spans that the Tracker makes, as an OTLP request.
	Export func(request []byte)
	// Function is the function's name; if it is empty, SetFunction sets it.
	Function string
	// Service is the service.name of the spans; if it is empty, the function's name.
	Service string
	// InitType is the value of AWS_LAMBDA_INITIALIZATION_TYPE.
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
	endpoint  bool          // the runtime uses the runtime endpoint, which sees every end
	wrapper   bool          // the function uses the library's handler wrapper
	silent    bool          // the last end that was waited for was not reported in time
	unsettled []*invocation // they ended, and telemetry has not reported the end yet
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
	counted    bool // InitDuration is recorded
	traced     bool // its span is written
}

// state is the progress of an invocation. It only grows.
type state int

const (
	running state = iota // its end is not known
	ended                // its end is known; telemetry may still report more of it
	counted              // its metrics are recorded
	traced               // its span is written too
)

// invocation is one attempt at one invocation.
type invocation struct {
	requestID, arn string
	state          state
	over           chan struct{} // closed when its end is known
	cold           bool
	arrived        bool // its event passed the runtime endpoint

	begun, deadline time.Time     // by the extension's clock; no deadline before the Extensions API reports it
	start, end      time.Time     // by telemetry's clock; zero until telemetry reports them
	seen            time.Time     // when the extension saw its end, by the extension's clock
	took            time.Duration // as the runtime endpoint measured it; 0 if it is unknown
	status          string
	errorType       string
	process         *otlp.Found // the span that handled its events; nil if none was found
}

type recordKey struct {
	kind, requestID string
	at              time.Time
}

const (
	maxKnown = 1_000 // invocations remembered
	maxSeen  = 4_000 // records
	maxID    = 128   // bytes of a request ID; Lambda's have 36
	// proactive is the time between init and the first invocation above which
	// the environment was initialised proactively, and not for that invocation.
	proactive = 10 * time.Second
	// overdue is how long after an end telemetry may report it. After that time
	// the invocation is counted as the extension saw it.
	overdue = 5 * time.Second
	// lastRecords is how long Settle waits for telemetry at SHUTDOWN.
	lastRecords = 300 * time.Millisecond
)

// New returns a Tracker without invocations.
func New(config Config) *Tracker {
	return &Tracker{config: config, name: config.Function, known: map[string]*invocation{}, seen: map[recordKey]bool{}}
}

// advance moves an invocation to a state. A counted invocation whose process span
// is known moves on to traced. No other function changes a state. The caller holds
// the mutex.
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

// SetFunction sets the function's name, unless the name is already known.
func (t *Tracker) SetFunction(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name = cmp.Or(t.name, name)
}

// Function returns the function's name, empty if it is not known.
func (t *Tracker) Function() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.name
}

// Subscribed records that the extension is subscribed to the Telemetry API.
func (t *Tracker) Subscribed() { t.mu.Lock(); t.listening = true; t.mu.Unlock() }

// EndSignal is the source that reports the end of an invocation.
type EndSignal int

// The signals.
const (
	NoSignal        EndSignal = iota // no source
	TelemetrySignal                  // telemetry, which is buffered for 25 ms
	LocalSignal                      // the runtime endpoint, or the library's spans: without delay
)

// EndSignal returns the source that will report the end of the next invocation.
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

// EndMissed records that the end of an invocation was not reported in time.
// EndSignal does not return TelemetrySignal until telemetry reports an end.
func (t *Tracker) EndMissed() { t.mu.Lock(); t.silent, t.wrapper = true, false; t.mu.Unlock() }

// Begin records an invocation that the Extensions API reports, and returns a
// channel that is closed when the end of the invocation is known.
func (t *Tracker) Begin(requestID, arn string, deadline, now time.Time) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.current; last != nil && last.state < counted && last.seen.IsZero() {
		last.seen = now // at the latest: Lambda starts no invocation before the last one is over
		t.unsettled = append(t.unsettled, last)
	}
	t.sweep(now, overdue)
	i := t.known[requestID]
	if i == nil || !i.deadline.IsZero() { // a request ID that is reported twice is a retry
		i = t.add(requestID, now)
	}
	i.arn, i.deadline = arn, deadline
	t.current = i
	return i.over
}

// Arrive records an invocation whose event is about to be passed to the runtime.
// The runtime may answer before the Extensions API reports the invocation. If the
// runtime exits while the event is on its way, telemetry may report the end of the
// invocation before Arrive is called.
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

// sweep counts the invocations that ended longer ago than after and whose end
// telemetry has not reported: as the runtime endpoint saw them, or else as dropped.
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

// countSeen counts an invocation with the duration that the runtime endpoint measured.
func (t *Tracker) countSeen(i *invocation) {
	t.count(i, i.seen, float64(i.took)/float64(time.Millisecond))
	t.advance(i, counted)
}

// add adds an invocation. It replaces an earlier one with the same request ID,
// which was an attempt that failed. An invocation whose ID is longer than a
// request ID can be is returned but not stored.
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

// Spans finds the process spans in an OTLP request. A process span is the child of
// the span of its invocation, which the Tracker writes. fromLibrary reports whether
// the library's handler wrapper sent the spans, and not the runtime endpoint.
func (t *Tracker) Spans(request []byte, fromLibrary bool, now time.Time) {
	for _, found := range otlp.Find(request, "faas.invocation_id", lineage.AttrInvokeParent) {
		t.process(found, fromLibrary, now)
	}
}

func (t *Tracker) process(found otlp.Found, fromLibrary bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.known[found.Texts[0]]
	if i == nil && fromLibrary { // the Extensions API has not reported the invocation yet
		i = t.add(found.Texts[0], now)
	}
	if i == nil || i.process != nil {
		return
	}
	i.process = &found
	// The library exports when the handler returns, so the span shows the end
	// before telemetry reports it.
	t.wrapper = t.wrapper || fromLibrary
	t.advance(i, ended)
}

// Answered records the end of an invocation that the runtime endpoint saw; errorType
// is empty for a success. The invocation is counted as the endpoint saw it if
// telemetry is not subscribed to, or does not report the end in time.
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

// Settle waits until telemetry reports the last invocation, for 300 ms at most. If
// it does not, and the reason of SHUTDOWN is a fault, Settle counts the invocation
// as ended by that fault. It also counts all other invocations that have ended.
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

// endsByFault reports whether a reason of SHUTDOWN, or a status, is a fault of an invocation.
func endsByFault(reason string) bool {
	return strings.EqualFold(reason, "timeout") || strings.EqualFold(reason, "failure")
}

// waitCounted waits until i is counted. It polls: telemetry arrives in batches 25 ms
// apart, and the environment ends after the wait.
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
