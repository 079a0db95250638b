package server

import (
	"net/http"
	"sync"
)

// CopyBuffers are those that bodies pass through, for httputil.ReverseProxy.
var CopyBuffers = bufferPool{sync.Pool{New: func() any { return make([]byte, 32<<10) }}}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().([]byte) }
func (p *bufferPool) Put(b []byte) { p.Pool.Put(b) } //nolint:staticcheck // 24 bytes beside 32 KB

// BreakOff ends the connection as the upstream ended ours: the client sees what
// it would have seen, and tries again as it would have. It is the ErrorHandler of
// a reverse proxy.
func BreakOff(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
