// Package runtimeapi is the runtime endpoint: Lambda's Runtime API 2018-06-01,
// byte for byte.
package runtimeapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/extension/internal/invocations"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// Config of an [Endpoint]. All fields are required but InitType and Sidecar.
type Config struct {
	Upstream    string // AWS_LAMBDA_RUNTIME_API: host:port
	Handling    handling.Handling
	Invocations *invocations.Tracker
	InFlight    *inflight.Invocations
	Metrics     *metrics.Set
	Budget      *server.Budget // for the payloads that are buffered
	Kept        *server.Budget // for the events of large batches that are being handled
	Now         func() time.Time
	// Settle is called before an invocation begins and before one ends. It has to
	// process the reports that are pending: they belong to the invocations in flight.
	Settle   func()
	InitType string // AWS_LAMBDA_INITIALIZATION_TYPE
	// Sidecar reports whether the runtime endpoint is the only source of invocations.
	Sidecar bool
}

// Endpoint is the runtime endpoint: a reverse proxy that reads each event and each
// answer. It is an http.Handler, and safe for concurrent use.
type Endpoint struct {
	config  Config
	proxy   *httputil.ReverseProxy
	buffers sync.Pool // of *bytes.Buffer
	begun   atomic.Bool
}

// New returns an Endpoint.
func New(config Config) *Endpoint {
	e := &Endpoint{config: config, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	e.proxy = &httputil.ReverseProxy{
		Rewrite: e.rewrite, ModifyResponse: e.answered, ErrorHandler: server.BreakOff, BufferPool: &server.CopyBuffers,
		ErrorLog: log.New(io.Discard, "", 0),
		// No timeout: next blocks until Lambda has an event.
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}
	return e
}

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		return
	}
	w.Header()["Content-Type"], w.Header()["Date"] = nil, nil // otherwise Go adds them if Lambda's answer has none
	c := &call{kept: keptBody{budget: e.config.Budget}}
	defer c.kept.release()
	c.kind, c.request = operation(r)
	e.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
}

// call is one call of the Runtime API.
type call struct {
	kind    string // next, response, error; empty for any other
	request string // ID
	in      *http.Request
	kept    keptBody
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func operation(r *http.Request) (kind, request string) {
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

func (e *Endpoint) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", e.config.Upstream, e.config.Upstream
	r.Out.URL.RawQuery = r.In.URL.RawQuery // unchanged, even if it cannot be parsed
	r.Out.Trailer = r.In.Trailer           // the same map: net/http sets its values when the body has been read
	c := callOf(r.In.Context())
	if c == nil || c.request == "" {
		return
	}
	c.in = r.In
	if r.Out.Body == nil { // an empty answer
		return
	}
	c.kept.ReadCloser = r.Out.Body
	r.Out.Body = &c.kept
}

// answered reads Lambda's answer before the runtime gets it. After a panic in
// Throughline's code the runtime still gets the answer.
func (e *Endpoint) answered(resp *http.Response) (err error) {
	defer func() {
		if recover() != nil {
			e.config.Metrics.Dropped(1)
			err = nil
		}
	}()
	c := callOf(resp.Request.Context())
	switch {
	case c == nil:
	case c.kind == "next" && resp.StatusCode == http.StatusOK:
		e.handOver(resp)
	case c.request != "" && resp.StatusCode < 300:
		e.done(c)
	}
	return nil
}

// handOver reads an event before it is passed to the runtime, or arranges that it
// is read as it passes.
func (e *Endpoint) handOver(resp *http.Response) {
	millis, _ := strconv.ParseInt(resp.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64) // 0 is no deadline
	inv := lineage.Invocation{
		FunctionName: e.config.Invocations.Function(), RequestID: resp.Header.Get("Lambda-Runtime-Aws-Request-Id"),
		ARN: resp.Header.Get("Lambda-Runtime-Invoked-Function-Arn"), TraceHeader: resp.Header.Get("Lambda-Runtime-Trace-Id"),
		ColdStart: !e.begun.Swap(true), InitKind: e.config.InitType, Deadline: time.UnixMilli(millis),
	}
	payload, whole := e.read(resp)
	e.config.Invocations.Arrive(inv.RequestID, e.config.Now())
	if !whole {
		e.stream(resp, inv)
		return
	}
	e.inFlight(e.config.Handling.Begin(context.Background(), payload, inv, !e.config.Sidecar), inv, 0)
}

// inFlight makes an invocation current; it ignores a nil one. kept is the number of
// bytes that its events hold of the budget Kept.
func (e *Endpoint) inFlight(i *handling.Invocation, inv lineage.Invocation, kept int) {
	if i == nil {
		e.config.Kept.Give(kept)
		return
	}
	e.config.Settle()
	for n := range i.Delivery.Events {
		i.Delivery.Events[n].Detail = nil // a detail aliases the payload, whose buffer is reused
	}
	e.config.InFlight.Begin(&inflight.Invocation{Invocation: i, Header: inv.TraceHeader, Kept: kept})
}

// reported is an error as a runtime reports it.
type reported struct{ kind, message string }

func (e *reported) Error() string     { return e.message }
func (e *reported) ErrorCode() string { return e.kind }

// done ends an invocation whose answer Lambda has accepted.
func (e *Endpoint) done(c *call) {
	const errorType = "Lambda-Runtime-Function-Error-Type"
	e.config.Settle()
	kept, ended := c.kept.read()
	switch {
	case c.kind == "error":
		var body struct{ ErrorType, ErrorMessage string }
		_ = json.Unmarshal(kept, &body) // fields that cannot be read stay empty
		e.end(c.request, nil, &reported{cmp.Or(c.in.Header.Get(errorType), body.ErrorType, "Runtime.Unknown"), body.ErrorMessage})
	case ended && c.in.Trailer.Get(errorType) != "":
		e.end(c.request, nil, &reported{c.in.Trailer.Get(errorType), "the answer broke off"})
	default:
		e.end(c.request, kept, nil)
	}
}

func (e *Endpoint) end(request string, answer []byte, err *reported) {
	if i := e.config.InFlight.End(request); i != nil {
		i.Answer = answer
		e.finish(i, err)
	}
}

// CutOff ends every invocation that is in flight, after a timeout or because the
// runtime has exited. reason is the reason of SHUTDOWN.
func (e *Endpoint) CutOff(reason string) {
	e.config.Settle()
	for _, i := range e.config.InFlight.EndAll() {
		e.finish(i, &reported{cmp.Or(strings.ToLower(reason), "shutdown"), "the invocation was cut off"})
	}
}

// finish ends an invocation's span and counts it.
func (e *Endpoint) finish(i *inflight.Invocation, err *reported) {
	defer e.config.Kept.Give(i.Kept)
	now := e.config.Now()
	errorType := ""
	if err != nil {
		i.End(err)
		errorType = err.kind
	} else {
		i.End(nil)
	}
	e.config.Invocations.Answered(i.Request, now, now.Sub(i.Start), errorType)
}
