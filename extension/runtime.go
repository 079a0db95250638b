package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/tracing"
)

// Bounds of what is kept of a payload and of an answer for reading. Longer ones
// pass all the same, unread.
const (
	maxEvent  = 1<<20 + 64<<10
	maxAnswer = 64 << 10
)

// runtimeProxy is the runtime endpoint: Lambda's Runtime API 2018-06-01, byte
// for byte, and what our shims ask. It sees each event on its way in and each
// answer on its way out.
type runtimeProxy struct {
	x        *extension
	upstream string
	proxy    *httputil.ReverseProxy
	handling handling.Handling
	buffers  sync.Pool // of *bytes.Buffer
	begun    atomic.Bool
}

func newRuntimeProxy(x *extension) *runtimeProxy {
	p := &runtimeProxy{x: x, upstream: x.config.RuntimeAPI, handling: x.handling, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: p.rewrite, ModifyResponse: p.answered, ErrorHandler: brokenOff, BufferPool: &copyBuffers,
		ErrorLog: log.New(io.Discard, "", 0),
		// No time limit: next blocks for as long as there is nothing to do.
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}
	return p
}

// brokenOff ends the connection as the upstream ended ours: the client sees
// what it would have seen, and tries again as it would have.
func brokenOff(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }

func (p *runtimeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/throughline/v1/current":
		p.x.current.serve(w, r)
	case "/throughline/v1/outbound":
		p.x.outbound(w, r)
	case "/healthz":
	default:
		call := &runtimeCall{}
		call.kind, call.request = runtimeOperation(r)
		p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), runtimeCallKey{}, call)))
	}
}

// runtimeCall is one call of the Runtime API on its way.
type runtimeCall struct {
	kind    string // next, response, error; empty for any other
	request string // ID
	in      *http.Request
	kept    keptBody
}

type runtimeCallKey struct{}

func runtimeOperation(r *http.Request) (kind, request string) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/2018-06-01/runtime/invocation/")
	if !ok {
		return "", ""
	}
	if rest == "next" && r.Method == http.MethodGet {
		return "next", ""
	}
	request, kind, _ = strings.Cut(rest, "/")
	if r.Method != http.MethodPost || kind != "response" && kind != "error" {
		return "", ""
	}
	return kind, request
}

func (p *runtimeProxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", p.upstream, p.upstream
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, even where it cannot be parsed
	r.Out.Trailer = r.In.Trailer           // one map: it is filled when the body has been read
	call, _ := r.In.Context().Value(runtimeCallKey{}).(*runtimeCall)
	if call == nil || call.request == "" {
		return
	}
	call.in = r.In
	if r.Out.Body == nil { // an empty answer
		return
	}
	call.kept.ReadCloser = r.Out.Body
	r.Out.Body = &call.kept
}

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

// answered looks at what Lambda answered before the runtime gets it. Whatever
// goes wrong in here, the answer goes on.
func (p *runtimeProxy) answered(resp *http.Response) (err error) {
	defer func() {
		if recover() != nil {
			p.x.metrics.Dropped(1)
			err = nil
		}
	}()
	call, _ := resp.Request.Context().Value(runtimeCallKey{}).(*runtimeCall)
	switch {
	case call == nil:
	case call.kind == "next" && resp.StatusCode == http.StatusOK:
		p.next(resp)
	case call.request != "" && resp.StatusCode < 300:
		p.done(call)
	}
	return nil
}

// next reads an event that is about to be handed to the runtime.
func (p *runtimeProxy) next(resp *http.Response) {
	var payload []byte
	if resp.ContentLength <= maxEvent {
		payload = p.read(resp)
	}
	millis, _ := strconv.ParseInt(resp.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	cold := !p.begun.Swap(true)
	request := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	p.x.books.arrives(request, p.x.config.Now())
	inv := tracing.Invocation{
		FunctionName: p.x.books.functionName(), RequestID: request,
		ARN: resp.Header.Get("Lambda-Runtime-Invoked-Function-Arn"), TraceHeader: resp.Header.Get("Lambda-Runtime-Trace-Id"),
		ColdStart: cold, InitKind: p.x.config.InitType, Deadline: time.UnixMilli(millis),
	}
	f := &inFlight{request: inv.RequestID, header: inv.TraceHeader}
	f.trace, _ = tracing.ParseTraceHeader(inv.TraceHeader)
	f.Invocation = p.handling.Begin(context.Background(), payload, inv, !p.x.outside)
	if f.Invocation == nil {
		return
	}
	for n := range f.Delivery.Events {
		f.Delivery.Events[n].Detail = nil // part of the payload, which is not kept
	}
	p.x.current.begin(f)
}

// read takes a payload into a buffer and puts that before what is left of the
// body. It returns nothing of one that is too long.
func (p *runtimeProxy) read(resp *http.Response) []byte {
	buffer, _ := p.buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	_, err := buffer.ReadFrom(io.LimitReader(resp.Body, maxEvent+1))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	payload := buffer.Bytes()
	resp.Body = &pooledBody{Reader: io.MultiReader(bytes.NewReader(payload), rest), body: resp.Body, release: func() {
		if buffer.Cap() <= maxEvent+bytes.MinRead+64<<10 {
			p.buffers.Put(buffer)
		}
	}}
	if len(payload) > maxEvent || err != nil {
		return nil
	}
	return payload
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

// runtimeError is an error as a runtime reports it.
type runtimeError struct{ kind, message string }

func (e *runtimeError) Error() string     { return e.message }
func (e *runtimeError) ErrorCode() string { return e.kind }

// done ends an invocation whose answer Lambda has taken.
func (p *runtimeProxy) done(call *runtimeCall) {
	kept, ended := call.kept.read()
	var err error
	soft := false
	switch {
	case call.kind == "error":
		var body struct{ ErrorType, ErrorMessage string }
		_ = json.Unmarshal(kept, &body) // what cannot be read is left empty
		err = &runtimeError{either(call.in.Header.Get("Lambda-Runtime-Function-Error-Type"), either(body.ErrorType, "Runtime.Unknown")), body.ErrorMessage}
	case ended && call.in.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "":
		err = &runtimeError{call.in.Trailer.Get("Lambda-Runtime-Function-Error-Type"), "the answer broke off"}
	default:
		soft = handling.SoftError(kept)
	}
	p.x.ended(p.x.current.end(call.request), soft, err)
}

// ended finishes an invocation and tells the books.
func (x *extension) ended(f *inFlight, soft bool, err error) {
	if f == nil {
		return
	}
	now := x.config.Now()
	f.End(soft, err)
	kind := ""
	if err != nil {
		kind = "Unhandled"
		var told *runtimeError
		if errors.As(err, &told) {
			kind = told.kind
		}
	}
	x.books.handled(f.request, now, now.Sub(f.Start), kind)
}
