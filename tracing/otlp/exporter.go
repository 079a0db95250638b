package otlp

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Limits of X-Ray's OTLP endpoint, which are small enough for any backend
// (CloudWatch user guide, "OTLP endpoints").
const (
	MaxRequestBytes = 5_000_000
	MaxRequestSpans = 10_000
)

const (
	defaultQueueBytes = 8 << 20
	maxAnswer         = 64 << 10
	breakerThreshold  = 3
	breakerFirst      = time.Second
	breakerLongest    = time.Minute
)

// Config of an [Exporter]. URL is required.
type Config struct {
	// URL is where requests are posted, /v1/traces included.
	URL     string
	Headers map[string]string
	// Client posts. Nil: one with a transport of its own, no proxy settings lost.
	Client *http.Client
	// Sign is called on each request with the bytes that will be sent. Nil: not.
	Sign func(req *http.Request, body []byte) error
	// Plain sends requests as they are; otherwise they are compressed with gzip.
	Plain bool
	// QueueBytes bounds what waits; 0 means 8 MiB.
	QueueBytes int
	// Now is the wall clock, which goes on while an environment is frozen. Nil: time.Now.
	Now func() time.Time
}

// Losses are what an Exporter dropped since the last call of Losses.
type Losses struct {
	Spans    int // not delivered, for whatever reason
	Failures int // requests that failed
}

// ErrPaused is returned by Flush while a backend that failed repeatedly is left alone.
var ErrPaused = errors.New("the backend failed repeatedly and is left alone for a while")

// Exporter keeps requests in a bounded queue and posts them on Flush. It has no
// goroutine. It is safe for concurrent use; flushes are one at a time.
type Exporter struct {
	config Config

	flushing chan struct{} // holds one token

	mu        sync.Mutex
	queue     []queued
	bytes     int // that wait, and that are being delivered
	losses    Losses
	failed    int // in a row
	pausedTil time.Time
}

type queued struct {
	body  []byte
	json  bool
	spans int
	at    time.Time
}

// NewExporter returns an Exporter with an empty queue.
func NewExporter(config Config) *Exporter {
	if config.QueueBytes <= 0 {
		config.QueueBytes = defaultQueueBytes
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Client == nil {
		config.Client = &http.Client{Transport: NewTransport()}
	}
	return &Exporter{config: config, flushing: make(chan struct{}, 1)}
}

// NewTransport returns a copy of http.DefaultTransport, with connections of its
// own; where somebody has put another kind of transport there, one with the
// environment's proxies.
func NewTransport() *http.Transport {
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		return transport.Clone()
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
}

// Add queues a request, which is kept as it is and must not be changed. A
// request that does not fit, or that is no OTLP, is given up and counted.
func (e *Exporter) Add(body []byte, isJSON bool) {
	spans := max(1, bytes.Count(body, []byte(`"spanId"`))) // of JSON, about
	if !isJSON {
		n, err := CountSpans(body)
		if err != nil {
			e.lose(1, 0)
			return
		}
		if n == 0 {
			return
		}
		spans = n
	}
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bytes+len(body) > e.config.QueueBytes {
		e.losses.Spans += spans
		return
	}
	e.bytes += len(body)
	e.queue = append(e.queue, queued{body, isJSON, spans, now})
}

// Oldest is when the oldest request that waits was added, and how many spans
// wait; ok is false when none does.
func (e *Exporter) Oldest() (at time.Time, spans int, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.queue {
		spans += q.spans
	}
	if len(e.queue) == 0 {
		return time.Time{}, 0, false
	}
	return e.queue[0].at, spans, true
}

// Losses returns what was dropped since the last call.
func (e *Exporter) Losses() Losses {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.losses
	e.losses = Losses{}
	return l
}

// Flush posts what is queued, until ctx ends. What could not be delivered but
// may be later stays queued. Errors: ErrPaused, ctx's, or what the backend said.
func (e *Exporter) Flush(ctx context.Context) error {
	select {
	case e.flushing <- struct{}{}:
		defer func() { <-e.flushing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if e.Paused() {
			return ErrPaused
		}
		batch := e.take()
		if batch.body == nil {
			return nil
		}
		if err := e.deliver(ctx, batch); err != nil {
			return err
		}
	}
}

// now is the time of the wall clock alone: the monotonic one may stand still
// while an environment is frozen.
func (e *Exporter) now() time.Time { return e.config.Now().Round(0) }

// Paused says that a backend which failed repeatedly is left alone: Flush would
// return ErrPaused.
func (e *Exporter) Paused() bool {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.pausedTil)
}

// take removes the next batch from the queue: neighbours of the same form in
// one request, within the limits of one.
func (e *Exporter) take() queued {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return queued{}
	}
	batch, n, size := e.queue[0], 1, len(e.queue[0].body)
	for ; n < len(e.queue) && !batch.json; n++ {
		next := e.queue[n]
		if next.json || size+len(next.body) > mergedBytes || batch.spans+next.spans > MaxRequestSpans {
			break
		}
		size += len(next.body)
		batch.spans += next.spans
	}
	if n > 1 { // the queued bytes belong to whoever added them
		merged := make([]byte, 0, size)
		for _, q := range e.queue[:n] {
			merged = append(merged, q.body...)
		}
		batch.body = merged
	}
	e.queue = append([]queued(nil), e.queue[n:]...)
	return batch
}

// mergedBytes bounds what is copied together of requests that wait.
const mergedBytes = 2 << 20

// deliver posts a batch, in as many requests as it takes. What cannot be
// delivered now goes back into the queue. The error is that of the last request.
func (e *Exporter) deliver(ctx context.Context, batch queued) error {
	var failed error // and nothing more is posted
	var refusal error
	post := func(piece []byte) {
		n := spansIn(piece, batch)
		if failed != nil {
			e.putBack(queued{piece, batch.json, n, batch.at})
			return
		}
		err := e.post(ctx, piece, batch.json)
		var refused *refusedError
		switch {
		case err == nil:
			refusal = nil
		case errors.As(err, &refused): // trying again would change nothing
			e.lose(n, 1)
			e.succeedOrFail(nil)
			refusal = err
		default:
			failed = err
			e.free(len(batch.body))
			e.putBack(queued{piece, batch.json, n, batch.at})
		}
	}
	if batch.json {
		post(batch.body)
	} else if Split(batch.body, MaxRequestBytes, MaxRequestSpans, post) != nil {
		e.lose(batch.spans, 0)
	}
	if failed == nil {
		e.free(len(batch.body))
	}
	switch {
	case errors.Is(failed, context.Canceled): // by us, and no fault of the backend's
		return failed
	case failed != nil:
		e.lose(0, 1)
		e.succeedOrFail(failed)
		return failed
	case refusal == nil:
		e.succeedOrFail(nil)
	}
	return refusal
}

// free gives back the room of a batch that is no longer held.
func (e *Exporter) free(n int) { e.mu.Lock(); e.bytes -= n; e.mu.Unlock() }

func spansIn(piece []byte, batch queued) int {
	if n, err := CountSpans(piece); err == nil && !batch.json {
		return n
	}
	return batch.spans
}

func (e *Exporter) putBack(q queued) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bytes+len(q.body) > e.config.QueueBytes {
		e.losses.Spans += q.spans
		return
	}
	e.queue = append([]queued{q}, e.queue...)
	e.bytes += len(q.body)
}

func (e *Exporter) lose(spans, failures int) {
	e.mu.Lock()
	e.losses.Spans += spans
	e.losses.Failures += failures
	e.mu.Unlock()
}

// succeedOrFail is the circuit breaker: after failures in a row the backend is
// left alone, for twice as long after each further one.
func (e *Exporter) succeedOrFail(err error) {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.failed = 0
		return
	}
	e.failed++
	pause := time.Duration(0)
	if over := e.failed - breakerThreshold; over >= 0 {
		pause = min(breakerFirst<<min(over, 16), breakerLongest)
	}
	if busy, ok := errors.AsType[*busyError](err); ok {
		pause = max(pause, min(busy.after, breakerLongest))
	}
	e.pausedTil = now.Add(pause)
}
