// Package events is the events endpoint: EventBridge's API on loopback, for
// clients that use it as endpoint. It stamps PutEvents requests, and PutRawEvents
// requests of the new custom buses, that are signed with the function's key, and
// traces and measures them. It forwards every other request unchanged.
package events

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/extension/internal/sigv4"
	"github.com/throughline/throughline/internal/lineage"
)

const (
	maxRequest = 2 << 20 // bytes of a request that is read; a longer one is forwarded unread
	maxAnswer  = 1 << 20 // bytes of a response that are read
	// patience is how long the body of a request, and a TLS handshake, may take.
	patience = 30 * time.Second
)

// Endpoint is the events endpoint. All fields but Credentials and Upstream are
// required. Make one with New. It is safe for concurrent use.
type Endpoint struct {
	InFlight *inflight.Invocations
	Calls    *sdkcalls.Calls
	Budget   *server.Budget
	// Credentials returns the function's credentials: requests that are signed with
	// them can be signed again. It is nil if there are none.
	Credentials func(context.Context) (aws.Credentials, error)
	// Region is the region of requests whose signature does not name one.
	Region string
	// Upstream is called instead of EventBridge; nil is EventBridge.
	Upstream *url.URL
	Now      func() time.Time

	transport *http.Transport
}

// New returns an Endpoint with these fields, ready to serve.
func New(e Endpoint) *Endpoint {
	e.transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxIdleConnsPerHost: 64, TLSHandshakeTimeout: patience,
		DialContext: (&net.Dialer{Timeout: patience}).DialContext,
	}
	return &e
}

// request is one request that is being forwarded.
type request struct {
	in       *http.Request
	body     []byte    // nil if it is not read
	rest     io.Reader // the part of the body that is not read; nil if all is read
	cbor     bool      // it publishes to a new bus
	endpoint string    // the EndpointId of a request that is signed for all regions
	attempt  sdkcalls.Attempt
}

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		return
	}
	if r.Method == http.MethodPost && !server.Accepts(w, r, "application/x-amz-json-1.1", "application/x-amz-json-1.0", "application/cbor") {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	q := &request{in: r, rest: r.Body}
	if release, ok := e.read(w, q); !ok {
		return
	} else if release != nil {
		defer release()
	}
	out, err := e.outgoing(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	start := e.Now()
	resp, err := e.transport.RoundTrip(out)
	if err != nil {
		e.report(q, sdkcalls.Outcome{Kind: sdkcalls.Failed, Error: "RequestFailed"}, start)
		panic(http.ErrAbortHandler) // the client sees that the connection to EventBridge broke
	}
	defer resp.Body.Close()
	e.answer(w, q, resp, start)
}

// read reads the body of a request that puts events, if the budget allows. release
// is nil if nothing was read. If ok is false, it has answered the request.
func (e *Endpoint) read(w http.ResponseWriter, q *request) (release func(), ok bool) {
	r := q.in
	cbor, puts := putevents.Recognise(r.URL.EscapedPath(), r.Header.Get)
	if r.Method != http.MethodPost || !puts || r.URL.RawQuery != "" || r.Header.Get("Content-Encoding") != "" {
		return nil, true
	}
	q.cbor = cbor
	reserved := maxRequest
	if r.ContentLength >= 0 {
		reserved = int(min(r.ContentLength, maxRequest+1))
	}
	tooLarge := reserved > maxRequest
	reserved *= putevents.Copies
	switch {
	case tooLarge:
		e.Calls.Skipped("size")
		return nil, true
	case !e.Budget.Take(reserved):
		e.Calls.Skipped("busy")
		return nil, true
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(r.Body, maxRequest+1)); err != nil {
		e.Budget.Give(reserved)
		http.Error(w, "the request broke off", http.StatusBadRequest)
		return nil, false
	}
	q.body = b.Bytes()
	if q.rest = nil; len(q.body) > maxRequest {
		q.rest = r.Body
		e.Calls.Skipped("size")
	}
	return func() { e.Budget.Give(reserved) }, true
}

// outgoing returns the request to EventBridge. A request that puts events and is
// signed with the function's key is stamped and signed again, because the signature
// covers the Host header too. Every other request is forwarded unchanged.
func (e *Endpoint) outgoing(q *request) (*http.Request, error) {
	signed := q.in.Header.Get("Authorization") != ""
	covered := sigv4.Request{Method: q.in.Method, Path: q.in.URL.EscapedPath(), Header: func(name string) []string { return q.header(name, q.in.Host, q.in.ContentLength) }}
	whole := q.body != nil && q.rest == nil
	if whole {
		covered.PayloadHash = sigv4.Hash(q.body)
	}
	verified, reason := sigv4.Verify(q.in.Context(), "events", covered, e.Credentials)
	switch {
	case !signed:
		reason = "" // there is no signature to invalidate
	case reason == "" && (q.in.ContentLength < 0 && verified.Signs("content-length") || slices.ContainsFunc(hopByHop, verified.Signs)):
		reason = "headers"
	}
	body := q.body
	if whole {
		if signed && reason == sigv4.ReasonAlgorithm && !q.cbor {
			q.endpoint = endpointOf(q.body)
		}
		if q.in.Header.Get("Throughline-Stamped") != "1" { // otherwise the library's client has stamped and counted it
			body = e.stamp(q, verified.AccessKeyID, reason)
		}
	}
	target, err := e.target(verified.Region, q)
	switch {
	case err != nil:
		return nil, err
	case whole && signed && reason == "":
		return q.anew(target, body, &verified, covered)
	case signed:
		return q.passed(target, q.in.Host) // the signature covers the Host header
	default:
		q.body = body
		return q.passed(target, "")
	}
}

// anew returns the request with body, signed again for target.
func (q *request) anew(target *url.URL, body []byte, verified *sigv4.Verified, covered sigv4.Request) (*http.Request, error) {
	out, err := q.over(target, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	covered.PayloadHash = sigv4.Hash(body)
	if out.Header.Get("X-Amz-Content-Sha256") != "" {
		out.Header.Set("X-Amz-Content-Sha256", covered.PayloadHash)
	}
	sent := &request{in: out}
	covered.Header = func(name string) []string { return sent.header(name, target.Host, out.ContentLength) }
	out.Header.Set("Authorization", verified.Sign(covered))
	return out, nil
}

// header returns the values of a header that a signature covers.
func (q *request) header(name, host string, length int64) []string {
	switch name {
	case "host":
		return []string{host}
	case "content-length":
		return []string{strconv.FormatInt(length, 10)}
	}
	return q.in.Header[http.CanonicalHeaderKey(name)]
}

// stamp returns the body to send. reason is why the body must not be changed, empty
// if it may be.
func (e *Endpoint) stamp(q *request, key, reason string) []byte {
	ctx := q.in.Context()
	var delivery *lineage.Delivery
	if i := e.InFlight.Find(q.in.Header.Get("X-Amzn-Trace-Id")); i != nil {
		ctx, delivery = i.Context, &i.Delivery
	}
	if parent, ok := lineage.ParseTraceparent(q.in.Header.Get("traceparent")); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	q.attempt = sdkcalls.Attempt{Key: key, Body: q.body, CBOR: q.cbor, Raw: reason, Context: ctx, Delivery: delivery}
	if id := q.in.Header.Get("Amz-Sdk-Invocation-Id"); len(id) <= sdkcalls.MaxID {
		q.attempt.Invocation = id
	}
	q.attempt.Number, q.attempt.Max = sdkcalls.Attempts(q.in.Header.Get("Amz-Sdk-Request"))
	changes, why := e.Calls.Ask(q.attempt)
	q.attempt.Raw = why
	return putevents.Apply(q.body, changes)
}

// passed returns the request with its body unchanged. host is its Host header; if it
// is empty, the target's.
func (q *request) passed(target *url.URL, host string) (*http.Request, error) {
	body, length := io.Reader(bytes.NewReader(q.body)), int64(len(q.body))
	if q.rest != nil {
		body, length = io.MultiReader(body, q.rest), q.in.ContentLength
	}
	out, err := q.over(target, body, length)
	if err == nil {
		out.Host = host
	}
	return out, err
}

// hopByHop are the headers that belong to one connection (RFC 9110, 7.6.1), in lower case.
var hopByHop = []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization", "expect"}

// over returns the request to target with another body.
func (q *request) over(target *url.URL, body io.Reader, length int64) (*http.Request, error) {
	u := *target
	u.Path, u.RawPath, u.RawQuery = q.in.URL.Path, q.in.URL.RawPath, q.in.URL.RawQuery
	if length == 0 {
		body = http.NoBody
	}
	out, err := http.NewRequestWithContext(q.in.Context(), q.in.Method, u.String(), body)
	if err != nil {
		return nil, errors.New("the request cannot be passed on")
	}
	out.ContentLength, out.Header = length, q.in.Header.Clone()
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if _, named := out.Header["User-Agent"]; !named {
		out.Header.Set("User-Agent", "") // otherwise Go sets its own
	}
	return out, nil
}

// answer forwards EventBridge's response byte for byte, and reads a copy of it.
func (e *Endpoint) answer(w http.ResponseWriter, q *request, resp *http.Response, start time.Time) {
	for name, values := range resp.Header {
		if !slices.Contains(hopByHop, strings.ToLower(name)) {
			w.Header()[name] = values
		}
	}
	if q.attempt.Body == nil {
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	e.report(q, outcomeOf(resp, answer, q.cbor), start)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
	_, _ = io.Copy(w, resp.Body)
}

// report records the outcome of the request.
func (e *Endpoint) report(q *request, outcome sdkcalls.Outcome, start time.Time) {
	if q.attempt.Body == nil {
		return
	}
	outcome.Start, outcome.End = start, e.Now()
	outcome.Stamped, outcome.Reason = q.attempt.Raw == "", q.attempt.Raw
	e.Calls.Answered(&q.attempt, outcome)
}
