package runtimeapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// unreadBusy is the kind of [metrics.InvocationsUnread] for a payload that passed
// unread, in whole or in part, because the memory budget was spent.
const unreadBusy = "busy"

// stream arranges that a payload is read as it passes.
func (e *Endpoint) stream(resp *http.Response, inv lineage.Invocation) {
	s := e.config.Handling.Stream(inv.RequestID, e.config.Budget.Take, e.config.Kept.Take)
	failed := false // after a panic in Throughline's code: the payload passes unread
	guarded := func(do func()) {
		defer func() {
			if recover() != nil {
				failed = true
				e.config.Metrics.Dropped(1)
			}
		}()
		do()
	}
	resp.Body = &streamedBody{ReadCloser: resp.Body,
		write: func(p []byte) {
			if !failed {
				guarded(func() { s.Write(p) })
			}
		},
		ended: func(complete bool) {
			guarded(func() {
				held, kept := s.Used()
				defer func() { e.config.Budget.Give(held) }()
				if !complete || failed { // the runtime sees a payload that breaks off too
					e.config.Kept.Give(kept)
					e.inFlight(e.config.Handling.Begin(context.Background(), nil, inv, !e.config.Sidecar), inv, 0)
					return
				}
				i, unread := e.config.Handling.BeginStream(context.Background(), s, inv, !e.config.Sidecar)
				if unread {
					e.config.Metrics.Record(metrics.Observation{At: e.config.Now(), Name: metrics.InvocationsUnread, Value: 1, Kind: unreadBusy})
				}
				e.inFlight(i, inv, kept)
			})
		},
	}
}

// streamedBody is a payload that is read as it passes. It holds back the last byte
// until the whole payload was read, so that the events are known before the function
// handles them.
type streamedBody struct {
	io.ReadCloser
	write func([]byte)        // gets the bytes that pass
	ended func(complete bool) // is called once, at the end of the body
	once  sync.Once

	last  byte
	holds bool  // last is not passed on yet
	err   error // the error after the last byte
}

// Read implements [io.Reader].
func (b *streamedBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.err == nil {
		from := 0
		if b.holds && len(p) > 1 {
			from = 1
		}
		n, err := b.ReadCloser.Read(p[from:])
		b.write(p[from : from+n])
		if err != nil {
			b.err = err
			b.end(errors.Is(err, io.EOF))
		}
		if n == 0 {
			continue
		}
		last := p[from+n-1]
		if b.holds {
			p[0] = b.last
		} else {
			n--
		}
		b.last, b.holds = last, true
		if n > 0 {
			return n, nil
		}
	}
	if b.holds {
		p[0], b.holds = b.last, false
		return 1, nil
	}
	return 0, b.err
}

// Close implements [io.Closer].
func (b *streamedBody) Close() error {
	b.end(false)
	return b.ReadCloser.Close()
}

func (b *streamedBody) end(complete bool) { b.once.Do(func() { b.ended(complete) }) }
