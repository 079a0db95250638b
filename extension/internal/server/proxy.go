package server

import (
	"net/http"
	"sync"
)

// CopyBuffers is the BufferPool of reverse proxies: buffers of 32 KiB.
var CopyBuffers = bufferPool{sync.Pool{New: func() any { return make([]byte, 32<<10) }}}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().([]byte) }
func (p *bufferPool) Put(b []byte) { p.Pool.Put(b) } //nolint:staticcheck // 24 bytes beside 32 KB

// BreakOff is the ErrorHandler of a reverse proxy. It closes the connection without
// an answer, so that the client sees the same failure as without the proxy, and
// retries in the same way.
func BreakOff(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
