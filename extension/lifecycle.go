package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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
	return x.loop(ctx)
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
	return x
}

// record takes a span that was recorded here.
func (x *extension) record(request []byte) {
	x.export(request)
	x.books.spans(request)
}

func (x *extension) close() {
	for _, server := range x.servers {
		server.close()
	}
	if x.records != nil {
		x.records.close()
	}
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
	for {
		x.writeMetrics()
		e, err := x.api.next(ctx)
		if err != nil {
			return fmt.Errorf("next event: %w", err)
		}
		switch e.EventType {
		case "INVOKE":
			x.invoke(ctx, e)
		case "SHUTDOWN":
			x.shutdown(ctx, e)
			return nil
		}
	}
}

// invoke accompanies one invocation, for as long as its way of flushing asks for.
func (x *extension) invoke(ctx context.Context, e event) {
	now := x.config.Now()
	over := x.books.begin(e, now)
	oldest, _, waiting := x.oldest()
	if !x.pace.atEnd(now, oldest, waiting) {
		x.flush(ctx, e.deadline()) // beside the invocation
		return
	}
	// Nothing tells of the end: neither telemetry nor spans.
	if !x.books.hears() {
		x.flush(ctx, e.deadline())
		return
	}
	timer := time.NewTimer(e.deadline().Sub(now) - deadlineMargin)
	defer timer.Stop()
	select {
	case <-over:
		x.flush(ctx, e.deadline())
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (x *extension) oldest() (time.Time, int, bool) {
	if x.exporter == nil {
		return time.Time{}, 0, false
	}
	return x.exporter.Oldest()
}

// flush exports within the budget and the deadline.
func (x *extension) flush(ctx context.Context, deadline time.Time) {
	if x.exporter == nil {
		return
	}
	budget := min(exportBudget, time.Until(deadline)-deadlineMargin)
	if budget <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	if err := x.exporter.Flush(ctx); err != nil && !errors.Is(err, otlp.ErrPaused) {
		x.say("%v", err)
	}
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
