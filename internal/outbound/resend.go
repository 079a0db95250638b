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

// maxDrain bounds the bytes that are read of a response that the caller may not read.
const maxDrain = 64 << 10

// attempt is the state of a request that may be sent again.
type attempt struct {
	url      weak.Pointer[url.URL]
	attempts int
	body     io.ReadCloser // the body that was consumed
	payload  []byte        // the body that was sent instead, if a Hook rewrote it
}

// resends remembers the latest requests that failed. http.Client copies a request that
// has a timeout, but neither its URL nor its body, so these identify a request that is
// sent again. It is safe for concurrent use.
type resends struct {
	mu     sync.Mutex
	failed [16]attempt
	next   int
	count  int
}

// take removes and returns the attempt of req, the zero attempt if req is new.
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

// put remembers req, and forgets the oldest request.
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

// mayBeSentAgain reports whether clients retry a request after this status.
func mayBeSentAgain(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// renewBody sets a new body of out if the earlier attempt consumed the body of req. It
// does not change a body that is not the consumed one.
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

// drained is the body of a response that is read in the background.
type drained struct {
	rest  io.ReadCloser
	ready chan struct{} // closed when ahead and err are set
	ahead bytes.Buffer
	err   error
}

// drain returns resp's body, which it reads in the background. A caller that neither
// reads nor closes the body, as alpaca-trade-api-go does after a 429, would otherwise
// keep the connection open.
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
	if d.err != nil { // io.EOF or an error: the connection is no longer needed
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
