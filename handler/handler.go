package handler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/otelglobal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing"
)

// Option configures Wrap.
type Option interface{ apply(*wrapped) }

type optionFunc func(*wrapped)

func (f optionFunc) apply(w *wrapped) { f(w) }

// WithTracing sets how lineage is read and traced. Without it, or if cfg has no
// TracerProvider, OpenTelemetry's global provider makes the spans. For no spans
// set noop.NewTracerProvider(); trace contexts are then random, so that
// causation still works.
func WithTracing(cfg tracing.Config) Option {
	return optionFunc(func(w *wrapped) { w.handling.Tracing = cfg })
}

// WithMetrics records into set, which a Publisher may share, and writes the
// metrics to out at the end of each invocation. out is the function's log,
// os.Stdout.
func WithMetrics(set *metrics.Set, out io.Writer) Option {
	return optionFunc(func(w *wrapped) { w.handling.Metrics, w.out = set, out })
}

// WithDedupe detects repeats with c. Without it no repeat is flagged.
func WithDedupe(c *dedupe.Checker) Option {
	return optionFunc(func(w *wrapped) { w.handling.Dedupe = c })
}

// WithFlush calls flush at the end of each invocation, with a context that ends
// before the invocation's deadline and at the latest after half a second. Its
// errors count as ExportFailures and do not fail the invocation.
func WithFlush(flush func(context.Context) error) Option {
	return optionFunc(func(w *wrapped) { w.flush = flush })
}

// WithExtension sets that Throughline's extension is attached: the extension
// then emits cold starts, durations and errors, and exports the span of the
// invocation.
func WithExtension(attached bool) Option {
	return optionFunc(func(w *wrapped) { w.extension = attached })
}

// WithInitKind sets how the environment was initialised: a value of
// AWS_LAMBDA_INITIALIZATION_TYPE.
func WithInitKind(kind string) Option {
	return optionFunc(func(w *wrapped) { w.initKind = kind })
}

// Wrap returns a handler that behaves as h, for lambda.Start or lambda.NewHandler. h
// is any handler that lambda.Start accepts; with any other value, invocations fail
// with the message of lambda.Start. For the JSON options of lambda.StartWithOptions,
// wrap lambda.NewHandlerWithOptions(h, …).
//
// A response of type io.Reader is streamed, and the span of the invocation ends when
// the reader is closed. A reader inside a response of type any is read completely
// before it is sent. The returned handler is safe for concurrent use if h is.
func Wrap(h any, options ...Option) any {
	w := &wrapped{handling: handling.Handling{Now: time.Now}, inner: sync.Pool{New: func() any { return lambda.NewHandler(h) }}}
	for _, o := range options {
		o.apply(w)
	}
	if w.handling.Tracing.TracerProvider == nil {
		w.handling.Tracing.TracerProvider = otelglobal.TracerProvider()
	}
	w.handling.Reader = lineage.NewReader(w.handling.Tracing)
	if streaming := w.streaming(h); streaming != nil {
		w.handling.Once = false // a streamed response cannot be repeated
		return streaming
	}
	return w
}

type wrapped struct {
	inner     sync.Pool // of lambda.Handler
	handling  handling.Handling
	claims    claimcheck.Store // nil: none are redeemed
	out       io.Writer
	flush     func(context.Context) error
	extension bool
	initKind  string
	warm      atomic.Bool
}

// Bounds of the time that an invocation waits for us after its handler has
// returned.
const (
	flushBudget = 500 * time.Millisecond
	flushMargin = 100 * time.Millisecond
)

// Invoke implements lambda.Handler.
func (w *wrapped) Invoke(ctx context.Context, payload []byte) (answer []byte, err error) {
	i := w.begin(ctx, payload)
	if i == nil {
		return w.call(ctx, payload)
	}
	defer func() {
		if reason := recover(); reason != nil {
			i.end(nil, fmt.Errorf("panic: %v", reason))
			panic(reason) // from here the handler's own frames are still on the stack
		}
		i.end(answer, err)
	}()
	if answer, refused, err := i.Claim(); refused {
		return answer, err
	}
	return w.call(i.Context, payload)
}

// call runs the user's handler.
func (w *wrapped) call(ctx context.Context, payload []byte) ([]byte, error) {
	payload, failed, err := w.restore(ctx, payload)
	if err != nil {
		return nil, err
	}
	// aws-lambda-go's own handler reuses the buffer of a response while the
	// caller still reads it, which would mix concurrent invocations: each
	// invocation has its own handler, and a copy of the response.
	inner, _ := w.inner.Get().(lambda.Handler)
	answer, err := inner.Invoke(ctx, payload)
	answer = bytes.Clone(answer)
	w.inner.Put(inner)
	if err != nil {
		return answer, err
	}
	return withFailures(answer, failed)
}

// invocation is one call.
type invocation struct {
	*handling.Invocation
	w    *wrapped
	cold bool
}

// begin reads the payload and starts the span; nil means that the invocation
// goes on without us.
func (w *wrapped) begin(ctx context.Context, payload []byte) *invocation {
	i := &invocation{w: w, cold: w.warm.CompareAndSwap(false, true)}
	inv := lineage.Invocation{FunctionName: lambdacontext.FunctionName, ColdStart: i.cold, InitKind: w.initKind}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		inv.RequestID, inv.ARN = lc.AwsRequestID, lc.InvokedFunctionArn
	}
	inv.TraceHeader, _ = ctx.Value("x-amzn-trace-id").(string) // where aws-lambda-go puts it
	if i.Invocation = w.handling.Begin(ctx, payload, inv, w.extension); i.Invocation == nil {
		return nil
	}
	return i
}

// end finishes the span, records metrics and flushes. It never fails the invocation.
func (i *invocation) end(answer []byte, err error) {
	defer func() { _ = recover() }() // an exporter's or a writer's fault is not the function's
	took := i.w.handling.Now().Sub(i.Start)
	i.Answer = answer
	i.End(err)
	if !i.w.extension {
		i.measure(took, err)
	}
	i.flush()
}

// measure records the metrics that the extension would emit if it were
// attached.
func (i *invocation) measure(took time.Duration, err error) {
	record := func(name metrics.Name, value float64, kind string) {
		i.w.handling.Metrics.Record(metrics.Observation{At: i.Start, Name: name, Value: value, Kind: kind, RequestID: i.Request})
	}
	record(metrics.Duration, handling.Millis(took), "")
	if i.cold {
		record(metrics.ColdStart, 1, i.w.initKind)
	}
	if err != nil {
		record(metrics.Errors, 1, "")
	}
	if deadline, ok := i.Context.Deadline(); ok && deadline.After(i.Start) {
		record(metrics.TimeoutUtilization, 100*float64(took)/float64(deadline.Sub(i.Start)), "")
	}
}

// flush waits for the exporter no longer than the invocation can spare.
func (i *invocation) flush() {
	now := i.w.handling.Now()
	if i.w.flush != nil {
		until := now.Add(flushBudget)
		if deadline, ok := i.Context.Deadline(); ok && deadline.Add(-flushMargin).Before(until) {
			until = deadline.Add(-flushMargin)
		}
		// The handler's own context may have ended; the invocation has not.
		ctx, cancel := context.WithDeadline(context.WithoutCancel(i.Context), until)
		err := i.w.flush(ctx)
		cancel()
		if err != nil {
			i.w.handling.Metrics.Record(metrics.Observation{At: now, Name: metrics.ExportFailures, Value: 1})
		}
	}
	if i.w.out != nil {
		_ = i.w.handling.Metrics.Flush(i.w.out, now) // counted by the set itself
	}
}
