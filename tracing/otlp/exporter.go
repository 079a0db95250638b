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
	// URL is where requests are posted, including /v1/traces.
	URL     string
	Headers map[string]string
	// Client posts the requests. Nil: a client with the transport of NewTransport.
	Client *http.Client
	// Sign is called with each request and the bytes that will be sent. Nil: no signature.
	Sign func(req *http.Request, body []byte) error
	// Plain sends requests uncompressed; otherwise they are compressed with gzip.
	Plain bool
	// QueueBytes limits the size of the queue; 0 means 8 MiB.
	QueueBytes int
	// Now is the wall clock, which continues while an environment is frozen. Nil: time.Now.
	Now func() time.Time
}

// Losses are what an Exporter dropped since the last call of Losses.
type Losses struct {
	Spans    int // not delivered, for any reason
	Failures int // requests that failed
}

// ErrPaused is returned by Flush during a pause after repeated failures of the backend.
var ErrPaused = errors.New("the backend failed repeatedly and is left alone for a while")

// Exporter keeps requests in a bounded queue and posts them on Flush. It has no
// goroutine. It is safe for concurrent use; flushes are one at a time.
type Exporter struct {
	config Config

	flushing chan struct{} // holds one token

	mu        sync.Mutex
	queue     []queued
	bytes     int // in the queue and in delivery
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
// own. If that variable has another type, NewTransport returns a transport with the
// proxies of the environment.
func NewTransport() *http.Transport {
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		return transport.Clone()
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
}

// Add queues a request. The caller must not change it afterwards. A request that
// does not fit, or that is not OTLP, is dropped and counted.
func (e *Exporter) Add(body []byte, isJSON bool) {
	spans := max(1, bytes.Count(body, []byte(`"spanId"`))) // an estimate, for JSON
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

// Oldest returns when the oldest queued request was added, and how many spans are
// queued; ok is false if the queue is empty.
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

// Flush posts the queued requests until ctx ends. Requests that may still be
// delivered later stay queued. Errors: ErrPaused, ctx's, or the backend's.
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

// now returns the time of the wall clock without the monotonic clock, which may
// stop while an environment is frozen.
func (e *Exporter) now() time.Time { return e.config.Now().Round(0) }

// Paused reports whether Flush would return ErrPaused, because the backend failed
// repeatedly.
func (e *Exporter) Paused() bool {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.pausedTil)
}

// take removes the next batch from the queue. It merges consecutive requests of the
// same encoding, within the limits of one request.
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
	if n > 1 { // a copy: the queued bytes must not be changed
		merged := make([]byte, 0, size)
		for _, q := range e.queue[:n] {
			merged = append(merged, q.body...)
		}
		batch.body = merged
	}
	e.queue = append([]queued(nil), e.queue[n:]...)
	return batch
}

// mergedBytes limits the size of merged requests.
const mergedBytes = 2 << 20

// deliver posts a batch, in as many requests as needed. It returns what cannot be
// delivered now to the queue. The error is that of the last request.
func (e *Exporter) deliver(ctx context.Context, batch queued) error {
	var failed error // if set, nothing more is posted
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
		case errors.As(err, &refused): // a retry would not help
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
	case errors.Is(failed, context.Canceled): // by the caller, not a failure of the backend
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

// free subtracts a batch that is no longer held from the size of the queue.
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

// succeedOrFail is the circuit breaker: after consecutive failures it pauses the
// exporter, and doubles the pause with each further failure.
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
