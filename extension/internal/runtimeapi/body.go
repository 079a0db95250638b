package runtimeapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/handling"
)

// The largest payload and the largest answer, in bytes, that are buffered to be
// read. A longer payload is read as it passes; a longer answer passes unread, unless
// its beginning names failed items of a batch: then it may have handling.MaxAnswer, which
// is taken from the budget.
const (
	maxEvent  = 1<<20 + 64<<10
	maxAnswer = 64 << 10
)

// keptBody keeps the bytes of a body that passes, if it is not too long. It has a lock
// because the upstream may answer before the transport has read the whole body.
type keptBody struct {
	io.ReadCloser
	mu       sync.Mutex
	kept     []byte
	budget   *server.Budget
	held     int // bytes of the budget
	overlong bool
	ended    bool // the body was read to its end, and its trailers are set
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(p[:n])
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// keep keeps p if there is room.
func (b *keptBody) keep(p []byte) {
	if len(b.kept)+len(p) > maxAnswer && b.held == 0 && !b.overlong && (handling.NamesFailures(b.kept) || handling.NamesFailures(p)) && b.budget.Take(handling.MaxAnswer) {
		b.held = handling.MaxAnswer
	}
	if b.overlong = b.overlong || len(b.kept)+len(p) > max(maxAnswer, b.held); b.overlong {
		b.kept = nil
		return
	}
	b.kept = append(b.kept, p...)
}

// release drops the bytes that were kept.
func (b *keptBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.overlong, b.kept = true, nil // the transport may still read the body
	b.budget.Give(b.held)
	b.held = 0
}

// read returns the bytes that have passed, nil if they are too many.
func (b *keptBody) read() (kept []byte, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.overlong {
		return nil, b.ended
	}
	return b.kept, b.ended
}

// read reads a payload into a buffer and replaces the response's body by it. whole
// is false, and nothing is read, if the payload is too long, its length is unknown,
// or the budget is spent: the payload is then read as it passes. The payload is nil
// if the body ends early.
func (e *Endpoint) read(resp *http.Response) (payload []byte, whole bool) {
	if resp.ContentLength < 0 || resp.ContentLength > maxEvent || !e.config.Budget.Take(int(resp.ContentLength)) {
		return nil, false
	}
	buffer, _ := e.buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	_, err := buffer.ReadFrom(resp.Body)
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	payload = buffer.Bytes()
	resp.Body = &pooledBody{Reader: io.MultiReader(bytes.NewReader(payload), rest), body: resp.Body, release: func() {
		e.config.Budget.Give(int(resp.ContentLength))
		if buffer.Cap() <= maxEvent+bytes.MinRead+64<<10 {
			e.buffers.Put(buffer)
		}
	}}
	if err != nil { // the runtime gets the same error
		return nil, true
	}
	return payload, true
}

type failing struct{ err error }

func (b failing) Read([]byte) (int, error) { return 0, b.err }

// pooledBody returns its buffer to the pool when it is closed.
type pooledBody struct {
	io.Reader
	body    io.Closer
	release func()
	once    sync.Once
}

func (b *pooledBody) Close() error {
	b.once.Do(b.release)
	return b.body.Close()
}
