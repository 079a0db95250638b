package extension

import (
	"context"
	"errors"
	"time"

	"github.com/throughline/throughline/metrics"
)

// The pace of a sidecar, which nobody freezes.
const (
	sidecarMetrics = 10 * time.Second
	sidecarSpans   = time.Second
	sidecarEnd     = 5 * time.Second // for calls under way, then for what is queued
)

// Sidecar answers the endpoints outside Lambda until ctx ends, and then lets
// calls under way finish. ready is called with the addresses once they answer.
// An endpoint that cannot be opened is said and done without; it is an error
// where none can. The runtime endpoint
// stands before the Runtime API at config.RuntimeAPI: an emulator's. Nothing
// registers as an extension, so the function as a whole is not measured.
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

	// ctx has ended: what is left has its own bound.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sidecarEnd)
	defer cancel()
	for _, s := range x.servers {
		s.Shutdown(last) // what does not finish in time is cut off
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

// tend exports and writes now and then, until ctx ends.
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
