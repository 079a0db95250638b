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

// Budget bounds the bytes that all requests together hold at one time. It is safe
// for concurrent use. The zero value is a budget of 0 bytes.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a Budget of n bytes.
func NewBudget(n int) *Budget {
	b := &Budget{}
	b.left.Store(int64(n))
	return b
}

// Take takes n bytes, which the caller returns with Give. It returns false, and takes
// nothing, if fewer bytes are left.
func (b *Budget) Take(n int) bool {
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

// Give returns n bytes to the budget.
func (b *Budget) Give(n int) { b.left.Add(int64(n)) }

// The errors of [Read].
var (
	ErrTooLarge = errors.New("the request is too large")
	ErrBusy     = errors.New("too many requests at once")
	ErrBroken   = errors.New("the request broke off")
)

// bodyPatience is how long the body of a request may take if it is read as a whole.
const bodyPatience = 10 * time.Second

// ReadBody reads the body of a request as Read does. The body has to arrive within
// 10 s, or the error is ErrBroken.
func ReadBody(w http.ResponseWriter, r *http.Request, budget *Budget, longest int) (body []byte, release func(), err error) {
	defer hurry(w)()
	return Read(r.Body, int(min(r.ContentLength, int64(longest)+1)), budget, longest)
}

// ReadGzip reads a body that is compressed with gzip as ReadBody does; longest
// bounds the uncompressed size.
func ReadGzip(w http.ResponseWriter, r *http.Request, budget *Budget, longest int) (body []byte, release func(), err error) {
	defer hurry(w)()
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return Read(zip, -1, budget, longest)
}

// hurry sets a deadline for reading the body; the function that it returns removes
// the deadline.
func hurry(w http.ResponseWriter) func() {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // all connections of the server support deadlines
	return func() { _ = control.SetReadDeadline(time.Time{}) }
}

// Read reads all of in. size is the expected number of bytes, negative if it is
// unknown. The memory of body is taken from the budget until the caller calls
// release, which is nil if err is not. The error is ErrTooLarge if in is longer than
// longest, ErrBusy if the budget is spent, or wraps ErrBroken if reading fails.
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
	body = make([]byte, 0, size+1) // one more byte, to detect the end
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

// Refuse answers a request that Read could not read: 413 for ErrTooLarge, 503 for
// ErrBusy, otherwise 400. It first reads the rest of the body, up to 64 MiB, so that
// a client that is still writing gets the answer and not a broken connection.
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
