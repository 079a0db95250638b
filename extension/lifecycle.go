package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/otlp"
)

// extension is one run of Run.
type extension struct {
	config   Config
	api      *api
	metrics  *metrics.Set
	exporter *otlp.Exporter // nil: spans go nowhere
	books    *books
	pace     pace
	provider *otlp.Provider
	tracing  tracing.Config
	handling handling.Handling
	current  *current
	records  *listener
	servers  map[string]*receiver // by endpoint: those that answer
	warming  []func(context.Context)
	outside  bool // of Lambda: a sidecar

	background sync.WaitGroup // what goes on beside invocations
	stop       context.CancelFunc
	exporting  atomic.Bool

	said sync.Map // warnings said once
}

// Run lives as long as the environment does: it returns nil after SHUTDOWN. An
// error means that Lambda itself did not answer as its Extensions API says;
// nothing else ends it.
func Run(ctx context.Context, config Config) error {
	x := newExtension(config)
	defer x.close()
	if !config.Disabled {
		x.listen()
		x.announce()
	}
	name, err := x.api.register(ctx, x.events())
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if config.Disabled {
		_, err := x.api.next(ctx)
		return err
	}
	x.books.function(name.FunctionName)
	x.subscribe(ctx)
	x.inform(LogInfo, "registered for %s; %s", strings.Join(x.events(), " and "), x.described())
	return x.loop(ctx)
}

// described says in a line what goes where.
func (x *extension) described() string {
	text := "spans go nowhere"
	if x.exporter != nil {
		text = "spans go to " + otlp.WithoutSecrets(x.config.Upstream.URL)
	}
	for _, name := range endpointNames {
		if server := x.servers[name]; server != nil {
			text += ", " + name + " answers at " + server.address
		}
	}
	return text
}

func newExtension(config Config) *extension {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Out == nil {
		config.Out = io.Discard
	}
	if config.SizeLimit == 0 {
		config.SizeLimit = sizemeter.LimitMiB
	}
	if config.SizeWarn == 0 {
		config.SizeWarn = sizemeter.WarnDefault
	}
	x := &extension{
		config: config, metrics: metrics.New(config.Metrics), pace: pace{mode: config.Flush},
		api: &api{base: "http://" + config.RuntimeAPI, name: config.Name, client: &http.Client{Transport: &http.Transport{}}},
	}
	if config.Upstream.URL != "" {
		config.Upstream.Now = config.Now
		x.exporter = otlp.NewExporter(config.Upstream)
	}
	x.books = newBooks(config, x.metrics, x.export)
	x.provider = &otlp.Provider{Resource: x.books.described, Sample: config.Sample, Export: x.record}
	x.tracing = config.Tracing
	if x.exporter != nil {
		x.tracing.TracerProvider = x.provider
	}
	x.handling = handling.Handling{
		Reader: tracing.NewReader(x.tracing), Tracing: x.tracing, Metrics: x.metrics, Dedupe: config.Dedupe, Now: config.Now,
	}
	x.current, x.servers = newCurrent(config.TempDir), map[string]*receiver{}
	if config.Dedupe != nil {
		x.warming = append(x.warming, config.Dedupe.Warm)
	}
	if x.exporter != nil {
		x.warming = append(x.warming, x.exporter.Warm)
	}
	return x
}

// record takes a span that was recorded here.
func (x *extension) record(request []byte) {
	x.export(request)
	x.books.spans(request, false, x.config.Now())
}

func (x *extension) close() {
	x.rest()
	for _, server := range x.servers {
		server.close()
	}
	if x.records != nil {
		x.records.close()
	}
	x.current.close()
	x.api.client.CloseIdleConnections()
}

// events are those that Lambda lets this environment's extensions hear of.
func (x *extension) events() []string {
	if x.config.Disabled || x.config.InitType == ManagedInstances {
		return []string{"SHUTDOWN"}
	}
	return []string{"INVOKE", "SHUTDOWN"}
}

// subscribe asks for telemetry, in the newest schema and, where that is not
// known, in one that is. Without telemetry the extension goes on without it.
func (x *extension) subscribe(ctx context.Context) {
	if x.records == nil {
		return
	}
	err := x.api.subscribe(ctx, "2025-01-29", x.records.destination())
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusBadRequest {
		err = x.api.subscribe(ctx, "2022-12-13", x.records.destination())
	}
	if err != nil {
		x.say("function metrics are not seen: %v", err)
		return
	}
	x.books.subscribed()
}

// loop asks for the next event until SHUTDOWN. What was recorded is written
// before each, whatever becomes of spans.
func (x *extension) loop(ctx context.Context) error {
	beside, stop := context.WithCancel(ctx)
	x.stop = stop
	if x.config.InitType == ManagedInstances { // never frozen, and told of nothing but its end
		x.background.Go(func() { x.tend(beside) })
	}
	first := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		x.background.Go(func() { x.guard(func() { x.warm(beside) }) })
	}})
	invoked := sync.OnceFunc(func() {
		if x.config.Invoked != nil {
			x.config.Invoked()
		}
	})
	for asking := first; ; asking = ctx {
		x.guard(x.writeMetrics)
		e, err := x.api.next(asking)
		if err != nil {
			return fmt.Errorf("next event: %w", err)
		}
		switch e.EventType {
		case "INVOKE":
			x.guard(invoked)
			x.guard(func() { x.invoke(beside, e) })
		case "SHUTDOWN":
			x.guard(func() { x.shutdown(ctx, e) })
			return nil
		}
	}
}

// guard runs a piece of the lifecycle. A fault of ours is counted, and the
// environment lives on.
func (x *extension) guard(piece func()) {
	defer func() {
		if reason := recover(); reason != nil {
			x.metrics.Dropped(1)
			x.say("a fault of ours: %v", reason)
		}
	}()
	piece()
}

// warm opens what the first call would else wait for, once the environment
// does not wait for us. Nothing comes of a failure.
func (x *extension) warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmBudget)
	defer cancel()
	if x.config.Credentials != nil && (x.servers["events"] != nil || x.config.Upstream.Sign != nil) {
		_, _ = x.config.Credentials(ctx)
	}
	for _, open := range x.warming {
		x.guard(func() { open(ctx) })
	}
}

// rest ends what goes on beside invocations.
func (x *extension) rest() {
	if x.stop != nil {
		x.stop()
	}
	x.background.Wait()
}

// invoke accompanies one invocation, for as long as its way of flushing asks for.
func (x *extension) invoke(ctx context.Context, e event) {
	now := x.config.Now()
	over := x.books.begin(e, now)
	hears := x.books.hears()
	oldest, _, waiting := x.oldest()
	atEnd := x.pace.atEnd(now, oldest, waiting)
	if x.exporter != nil && x.exporter.Paused() {
		atEnd = false // nothing would be sent then, and the environment would be held up for it
	}
	if !atEnd {
		exported := x.flushBeside(ctx, e.deadline())
		if hears != soon {
			// Telemetry would tell 25 ms late of an end that nothing waits for.
			select {
			case <-exported:
			case <-over:
			case <-time.After(exportBudget):
			}
			return
		}
		x.await(ctx, over, e, now) // and what it recorded is written before the freeze
		return
	}
	if hears == never {
		x.flush(ctx, e.deadline())
		return
	}
	if x.await(ctx, over, e, now) {
		x.flush(ctx, e.deadline())
	}
}

// await waits for the end of an invocation, until shortly before its deadline.
func (x *extension) await(ctx context.Context, over <-chan struct{}, e event, now time.Time) bool {
	timer := time.NewTimer(min(e.deadline().Sub(now), longestInvocation) - deadlineMargin)
	defer timer.Stop()
	select {
	case <-over:
		x.inform(LogDebug, "%s is over after %v", e.RequestID, x.config.Now().Sub(now).Round(time.Microsecond))
		return true
	case <-timer.C:
		x.books.missed()
	case <-ctx.Done():
	}
	return false
}

func (x *extension) oldest() (time.Time, int, bool) {
	if x.exporter == nil {
		return time.Time{}, 0, false
	}
	return x.exporter.Oldest()
}

// flush exports within the budget and the deadline.
func (x *extension) flush(ctx context.Context, deadline time.Time) {
	x.flushWithin(ctx, min(exportBudget, time.Until(deadline)-deadlineMargin))
}

// flushBeside exports while the invocation goes on, and beyond it if need be:
// nobody waits. The channel is closed when there is nothing left to wait for.
func (x *extension) flushBeside(ctx context.Context, deadline time.Time) <-chan struct{} {
	done := make(chan struct{})
	if x.exporter == nil || !x.exporting.CompareAndSwap(false, true) {
		close(done)
		return done
	}
	x.background.Go(func() {
		defer close(done)
		defer x.exporting.Store(false)
		x.guard(func() { x.flushWithin(ctx, min(besideBudget, time.Until(deadline)-deadlineMargin)) })
	})
	return done
}

func (x *extension) flushWithin(ctx context.Context, budget time.Duration) {
	if x.exporter == nil || budget <= 0 {
		return
	}
	_, spans, waiting := x.exporter.Oldest()
	if !waiting {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	begun := time.Now()
	err := x.exporter.Flush(ctx)
	if err != nil && !errors.Is(err, otlp.ErrPaused) && !errors.Is(err, context.Canceled) {
		x.say("%v", err)
	}
	x.inform(LogDebug, "exported %d spans in %v: %v", spans, time.Since(begun).Round(time.Microsecond), err)
}

// shutdown writes what there is within Lambda's two seconds.
func (x *extension) shutdown(ctx context.Context, e event) {
	until := e.deadline().Add(-shutdownMargin)
	if bound := x.config.Now().Add(2*time.Second - shutdownMargin); until.After(bound) {
		until = bound // a deadline that is none
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for _, f := range x.current.all() { // cut off: by a time-out, or because the runtime is gone
		x.ended(f, false, &runtimeError{either(strings.ToLower(e.ShutdownReason), "shutdown"), "the invocation was cut off"})
	}
	x.books.settle(ctx, e.ShutdownReason, x.config.Now())
	x.rest() // an export on a connection that a freeze has broken would hold up the last one
	x.writeMetrics()
	if x.exporter != nil {
		if err := x.exporter.Flush(ctx); err != nil {
			x.say("%v", err)
		}
		if _, spans, waiting := x.exporter.Oldest(); waiting {
			x.metrics.Record(metrics.Observation{At: x.config.Now(), Name: metrics.SpansDropped, Value: float64(spans)})
		}
	}
	x.writeMetrics()
}

func (x *extension) writeMetrics() {
	now := x.config.Now()
	if x.exporter != nil {
		l := x.exporter.Losses()
		if l.Spans > 0 {
			x.metrics.Record(metrics.Observation{At: now, Name: metrics.SpansDropped, Value: float64(l.Spans)})
		}
		if l.Failures > 0 {
			x.metrics.Record(metrics.Observation{At: now, Name: metrics.ExportFailures, Value: float64(l.Failures)})
		}
	}
	_ = x.metrics.Flush(x.config.Out, now) // counted by the set itself
}

// export takes the extension's own spans.
func (x *extension) export(request []byte) {
	if x.exporter != nil {
		x.exporter.Add(request, false)
	}
}

// say tells a person something, once.
func (x *extension) say(format string, args ...any) {
	if x.config.Log == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if _, before := x.said.LoadOrStore(text, true); !before {
		fmt.Fprintf(x.config.Log, "throughline: %s\n", strings.TrimSpace(text))
	}
}

// inform tells what goes on, to who has asked for it.
func (x *extension) inform(level LogLevel, format string, args ...any) {
	if x.config.Log != nil && level <= x.config.LogLevel {
		fmt.Fprintf(x.config.Log, "throughline: "+format+"\n", args...)
	}
}
