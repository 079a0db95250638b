package outbound

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"weak"
)

// maxDrain bounds what is read of an answer that nobody may read.
const maxDrain = 64 << 10

// attempt is what is remembered of a request that may be sent again.
type attempt struct {
	url      weak.Pointer[url.URL]
	attempts int
	body     io.ReadCloser // the consumed one
	payload  []byte        // what was sent in its place, where a Hook rewrote it
}

// resends remembers the latest requests that went wrong. http.Client copies a
// request that has a time limit, but neither its URL nor its body: by these a
// request is known again.
type resends struct {
	mu     sync.Mutex
	failed [16]attempt
	next   int
	count  int
}

// take returns what is remembered of req, the zero attempt when it is new, and
// forgets it.
func (r *resends) take(req *http.Request) attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		return attempt{}
	}
	key := weak.Make(req.URL)
	for i, a := range r.failed {
		if a.attempts > 0 && a.url == key {
			r.failed[i] = attempt{}
			r.count--
			return a
		}
	}
	return attempt{}
}

// put remembers req, in the place of the oldest.
func (r *resends) put(req *http.Request, a attempt) {
	a.url = weak.Make(req.URL)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed[r.next].attempts == 0 {
		r.count++
	}
	r.failed[r.next] = a
	r.next = (r.next + 1) % len(r.failed)
}

// mayBeSentAgain says that clients repeat a request after this status.
func mayBeSentAgain(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// renewBody gives out a body that can be read, when req's was consumed by the
// attempt before. A body that is a new one is left alone.
func (a *attempt) renewBody(out, req *http.Request) {
	if a.body == nil || req.GetBody == nil || !sameBody(a.body, req.Body) {
		return
	}
	if body, err := req.GetBody(); err == nil {
		out.Body = body
	}
}

func sameBody(a, b io.ReadCloser) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.IsValid() && y.IsValid() && x.Comparable() && y.Comparable() && a == b
}

// drained is the body of an answer that is read ahead.
type drained struct {
	rest  io.ReadCloser
	ready chan struct{} // closed when ahead and err are set
	ahead bytes.Buffer
	err   error
}

// drain returns resp's body, which is being read in the background: a caller
// that drops it, as alpaca-trade-api-go does with a 429's, would hold the
// connection, and nobody has to wait for it here.
func drain(resp *http.Response) io.ReadCloser {
	if resp.Body == nil || resp.Body == http.NoBody {
		return resp.Body
	}
	d := &drained{rest: resp.Body, ready: make(chan struct{})}
	go d.readAhead()
	return d
}

func (d *drained) readAhead() {
	defer close(d.ready)
	defer func() {
		if recover() != nil {
			d.err = io.ErrUnexpectedEOF
		}
	}()
	_, d.err = io.CopyN(&d.ahead, d.rest, maxDrain)
	if d.err != nil { // the end, or a failure: either way the connection is done with
		_ = d.rest.Close()
	}
}

// Read implements io.Reader.
func (d *drained) Read(p []byte) (int, error) {
	<-d.ready
	if d.ahead.Len() > 0 {
		return d.ahead.Read(p)
	}
	if d.err != nil {
		return 0, d.err
	}
	return d.rest.Read(p)
}

// Close implements io.Closer.
func (d *drained) Close() error { return d.rest.Close() }
