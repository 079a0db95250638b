package server

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Budget bounds the bytes of all requests that are held at once. It is safe for
// concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a Budget of n bytes.
func NewBudget(n int) *Budget {
	b := &Budget{}
	b.left.Store(int64(n))
	return b
}

// Take takes n bytes, which the caller gives back, and says whether they were left.
func (b *Budget) Take(n int) bool {
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

// Give gives n bytes back.
func (b *Budget) Give(n int) { b.left.Add(int64(n)) }

// The errors of [Read].
var (
	ErrTooLarge = errors.New("the request is too large")
	ErrBusy     = errors.New("too many requests at once")
	ErrBroken   = errors.New("the request broke off")
)

// bodyPatience is how long the body of a request may take where it is read whole.
const bodyPatience = 10 * time.Second

// ReadBody reads the body of a request, which has to arrive in time, as Read does.
func ReadBody(w http.ResponseWriter, r *http.Request, budget *Budget, longest int) (body []byte, release func(), err error) {
	defer hurry(w)()
	return Read(r.Body, int(min(r.ContentLength, int64(longest)+1)), budget, longest)
}

// ReadGzip reads a body that is packed with gzip as ReadBody does; longest bounds
// what it unpacks to.
func ReadGzip(w http.ResponseWriter, r *http.Request, budget *Budget, longest int) (body []byte, release func(), err error) {
	defer hurry(w)()
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return Read(zip, -1, budget, longest)
}

// hurry bounds the time that the body may take, until the function that it
// returns is called.
func hurry(w http.ResponseWriter) func() {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // which every connection of ours has
	return func() { _ = control.SetReadDeadline(time.Time{}) }
}

// Read reads all of in, of which size bytes are announced; below 0 for unknown.
// It takes what it holds from the budget until release is called, which is nil
// where err is not. The errors are ErrTooLarge, above longest, ErrBusy, where the
// budget is spent, and ErrBroken.
func Read(in io.Reader, size int, budget *Budget, longest int) (body []byte, release func(), err error) {
	const step = 16 << 10
	switch {
	case size > longest:
		return nil, nil, ErrTooLarge
	case size < 0:
		size = step
	}
	if !budget.Take(size + 1) {
		return nil, nil, ErrBusy
	}
	body = make([]byte, 0, size+1) // one more, to see the end
	for {
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch held := cap(body); {
		case err == io.EOF:
			return body, func() { budget.Give(held) }, nil
		case err != nil:
			budget.Give(held)
			return nil, nil, fmt.Errorf("%w: %w", ErrBroken, err)
		case len(body) < held:
		case held > longest:
			budget.Give(held)
			return nil, nil, ErrTooLarge
		default:
			grown := min(2*held, longest+1)
			if !budget.Take(grown - held) {
				budget.Give(held)
				return nil, nil, ErrBusy
			}
			body = append(make([]byte, 0, grown), body...)
		}
	}
}

// Refuse answers a request that Read could not read. What is left of the body is
// read first, within bounds, so that the caller, which still writes, sees the
// answer and not a broken connection.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	const (
		maxDrained = 64 << 20
		retryAfter = 1 // seconds
	)
	done := hurry(w)
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxDrained))
	done()
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrBusy):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	http.Error(w, err.Error(), status)
}
