package extension

import (
	"context"
	"errors"
	"time"

	"github.com/throughline/throughline/metrics"
)

// The intervals of a sidecar, which is never frozen.
const (
	sidecarMetrics = 10 * time.Second
	sidecarSpans   = time.Second
	sidecarEnd     = 5 * time.Second // for calls in progress, and then for the queued spans
)

// Sidecar serves the endpoints outside Lambda until ctx is done, and then waits up to
// 5 s for calls in progress. It calls ready with the addresses of the open endpoints
// by name; ready may be nil. If an endpoint cannot be opened, Sidecar logs a warning
// and continues without it; if none can, it returns an error. The runtime endpoint is
// a proxy of the Runtime API of an emulator at config.RuntimeAPI. The sidecar does not
// register as an extension, so it does not measure invocations as Lambda does.
func Sidecar(ctx context.Context, config Config, ready func(addresses map[string]string)) error {
	if config.RuntimeAddr != "" && config.RuntimeAPI == "" {
		return errors.New("the runtime endpoint has nothing to stand before: set AWS_LAMBDA_RUNTIME_API to the emulator's host:port")
	}
	x := newExtension(config)
	defer x.close()
	x.sidecar = true
	x.open(config.addresses())
	addresses := map[string]string{}
	for name, s := range x.servers {
		addresses[name] = s.Address
	}
	if len(addresses) == 0 {
		return errors.New("no endpoint answers: THROUGHLINE_ENDPOINTS takes otlp, events, alpaca and runtime")
	}
	if ready != nil {
		ready(addresses)
	}
	x.tend(ctx)

	// ctx is done: the rest has a bound of its own.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sidecarEnd)
	defer cancel()
	for _, s := range x.servers {
		s.Shutdown(last) // calls that do not finish in time are cut off
	}
	x.calls.Close()
	x.hops.Close()
	if x.exporter != nil {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), sidecarEnd)
		defer cancel()
		if err := x.exporter.Flush(flush); err != nil {
			x.log.Once("%v", err)
		}
		if _, spans, waiting := x.exporter.Oldest(); waiting {
			x.metrics.Record(metrics.Observation{At: x.config.Now(), Name: metrics.SpansDropped, Value: float64(spans)})
		}
	}
	x.writeMetrics()
	return nil
}

// tend exports spans and writes metrics at intervals until ctx is done.
func (x *extension) tend(ctx context.Context) {
	lines, spans := time.NewTicker(sidecarMetrics), time.NewTicker(sidecarSpans)
	defer lines.Stop()
	defer spans.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-lines.C:
			x.guard(x.calls.Expire)
			x.guard(x.hops.Close)
			x.guard(x.writeMetrics)
		case <-spans.C:
			x.guard(x.settle)
			x.guard(func() { x.flushWithin(ctx, sidecarEnd) })
		}
	}
}
