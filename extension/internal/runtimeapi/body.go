package runtimeapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Bounds of what is kept of a payload and of an answer for reading. A longer
// payload is read as it passes; a longer answer passes unread.
const (
	maxEvent  = 1<<20 + 64<<10
	maxAnswer = 64 << 10
)

// keptBody keeps the beginning of a body that passes. Its lock is there because
// an upstream may answer before the transport has read the body's end.
type keptBody struct {
	io.ReadCloser
	mu       sync.Mutex
	kept     []byte
	overlong bool
	ended    bool // and so are its trailers, which are filled by then
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := maxAnswer - len(b.kept); n > room {
		b.overlong = true
	} else {
		b.kept = append(b.kept, p[:n]...)
	}
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// read returns what has passed; nothing where that is more than was kept.
func (b *keptBody) read() (kept []byte, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.overlong {
		return nil, b.ended
	}
	return b.kept, b.ended
}

// read takes a payload into a buffer and puts that before what is left of the
// body. It says whether it did: one that is long, or of unknown length, or for
// which there is no room, is to be read as it passes. A payload that breaks off is
// none.
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
	if err != nil { // which the runtime sees too
		return nil, true
	}
	return payload, true
}

type failing struct{ err error }

func (b failing) Read([]byte) (int, error) { return 0, b.err }

// pooledBody gives its buffer back when it is closed.
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
