package extension

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/extension/internal/invocations"
	"github.com/throughline/throughline/extension/internal/notice"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Run runs the extension until SHUTDOWN and then returns nil. It returns an error
// only if Lambda does not answer as the Extensions API specifies.
func Run(ctx context.Context, config Config) error {
	x := newExtension(config)
	defer x.close()
	if !config.Disabled {
		x.listenTelemetry()
		x.open(x.config.addresses())
		x.announce()
	}
	function, err := x.api.register(ctx, x.events())
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if config.Disabled {
		_, err := x.api.next(ctx, nil)
		return err
	}
	x.invocations.SetFunction(function)
	x.subscribe(ctx)
	x.log.Tell(notice.Info, "registered for %s; %s", strings.Join(x.events(), " and "), x.described())
	return x.loop(ctx)
}

// described returns where spans are exported, and the open endpoints, as text.
func (x *extension) described() string {
	text := "spans go nowhere"
	if x.exporter != nil {
		text = "spans go to " + otlp.WithoutSecrets(x.config.Upstream.URL)
	}
	return text + x.listening()
}

// events returns the events to register for, of those that Lambda allows in this
// environment.
func (x *extension) events() []string {
	if x.config.Disabled || x.config.InitType == ManagedInstances {
		return []string{"SHUTDOWN"}
	}
	return []string{"INVOKE", "SHUTDOWN"}
}

// loop handles events until SHUTDOWN. Before it asks for the next event, it writes
// the recorded metrics, whether spans were exported or not.
func (x *extension) loop(ctx context.Context) error {
	beside, stop := context.WithCancel(ctx)
	x.stop = stop
	if x.config.InitType == ManagedInstances { // it is never frozen, and gets no event but SHUTDOWN
		x.background.Go(func() { x.tend(beside) })
	}
	asked := sync.OnceFunc(func() { x.background.Go(func() { x.guard(func() { x.warm(beside) }) }) })
	invoked := sync.OnceFunc(func() {
		if x.config.Invoked != nil {
			x.config.Invoked()
		}
	})
	for {
		x.guard(x.writeMetrics)
		e, err := x.api.next(ctx, asked)
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

// warm opens the connections for which the first call would otherwise wait. It runs
// after init, when the environment does not wait for it. It ignores failures.
func (x *extension) warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmBudget)
	defer cancel()
	if x.config.Credentials != nil && (x.servers["events"] != nil || x.config.Upstream.Sign != nil) {
		_, _ = x.config.Credentials(ctx)
	}
	if x.config.Dedupe != nil {
		x.guard(func() { x.config.Dedupe.Warm(ctx) })
	}
	if x.exporter != nil {
		x.guard(func() { x.exporter.Warm(ctx) })
	}
}

// invoke handles one INVOKE event. When it returns, the extension asks for the next
// event; until then Lambda does not freeze the environment.
func (x *extension) invoke(ctx context.Context, e event) {
	now := x.config.Now()
	x.callsEnded() // at the latest: Lambda starts no invocation before the last one is over
	x.invoking, x.last = true, e
	over := x.invocations.Begin(e.RequestID, e.InvokedFunctionARN, e.deadline(), now)
	signal := x.invocations.EndSignal()
	oldest, _, waiting := x.oldest()
	atEnd := x.flushing.atEnd(now, oldest, waiting)
	if x.exporter != nil && x.exporter.Paused() {
		atEnd = false // nothing would be sent, and the environment would wait for it
	}
	if !atEnd {
		exported := x.flushBeside(ctx, e.deadline())
		if signal != invocations.LocalSignal {
			// Telemetry would report the end 25 ms late, and nothing depends on it.
			select {
			case <-exported:
			case <-over:
			case <-time.After(exportBudget):
			}
			return
		}
		x.await(ctx, over, e, now) // its metrics are then written before the freeze
		return
	}
	if signal == invocations.NoSignal {
		x.flush(ctx, e.deadline())
		return
	}
	if x.await(ctx, over, e, now) {
		x.flush(ctx, e.deadline())
	}
}

// await waits for the end of an invocation, until shortly before its deadline. It
// reports whether the invocation ended.
func (x *extension) await(ctx context.Context, over <-chan struct{}, e event, now time.Time) bool {
	timer := time.NewTimer(min(e.deadline().Sub(now), longestInvocation) - deadlineMargin)
	defer timer.Stop()
	select {
	case <-over:
		x.callsEnded()
		x.log.Tell(notice.Debug, "%s is over after %v", e.RequestID, x.config.Now().Sub(now).Round(time.Microsecond))
		return true
	case <-timer.C:
		x.invocations.EndMissed()
	case <-ctx.Done():
	}
	return false
}

// callsEnded closes the SDK calls of the last invocation, once.
func (x *extension) callsEnded() {
	if x.invoking {
		x.invoking = false
		if s := x.servers["runtime"]; s != nil {
			s.Drain(drainBudget)
		}
		x.settle()
		x.calls.InvocationEnded()
		x.hops.Close()
	}
}

// shutdown writes the remaining metrics and exports the remaining spans within
// Lambda's two seconds.
func (x *extension) shutdown(ctx context.Context, e event) {
	until := e.deadline().Add(-shutdownMargin)
	if bound := x.config.Now().Add(2*time.Second - shutdownMargin); until.After(bound) {
		until = bound // the deadline is not valid
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if x.runtime != nil {
		x.runtime.CutOff(e.ShutdownReason)
	}
	x.invocations.Settle(ctx, e.ShutdownReason, x.config.Now())
	x.tellUnseen(e.ShutdownReason)
	x.calls.Close()
	x.hops.Close()
	x.rest() // a pending export may hang on a connection that broke during a freeze
	x.writeMetrics()
	if x.exporter != nil {
		if err := x.exporter.Flush(ctx); err != nil {
			x.log.Once("%v", err)
		}
		if _, spans, waiting := x.exporter.Oldest(); waiting {
			x.metrics.Record(metrics.Observation{At: x.config.Now(), Name: metrics.SpansDropped, Value: float64(spans)})
		}
	}
	x.writeMetrics()
}

// tellUnseen writes the spans of invocations whose events were not seen. Their
// context and their sampling decision are those of an invocation without events. For
// that it makes a process span, which only the tracker gets: it is not exported.
func (x *extension) tellUnseen(reason string) {
	if x.exporter == nil {
		return
	}
	tracing := x.tracing
	tracing.TracerProvider = &otlp.Provider{Sample: x.config.Sample, Export: func(request []byte) {
		x.invocations.Spans(request, false, x.config.Now())
	}}
	for _, u := range x.invocations.Unseen(reason) {
		inv := lineage.Invocation{FunctionName: x.invocations.Function(), RequestID: u.RequestID, ARN: u.ARN, Start: u.Start}
		if u.RequestID == x.last.RequestID {
			inv.TraceHeader = x.last.Tracing.Value
		}
		inv.Invoke = lineage.MintInvoke(tracing, lineage.Delivery{}, inv.TraceHeader)
		_, span := lineage.StartProcess(context.Background(), tracing, lineage.Delivery{}, inv)
		span.End(trace.WithTimestamp(u.End))
	}
}
