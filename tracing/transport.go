package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Call is what a Transport saw of one attempt at a request. It holds no header,
// query or body of the request.
type Call struct {
	Method, Host string
	Route        string // its template; empty when the path is not known
	Status       int    // 0 when there was no answer
	Start        time.Time
	Duration     time.Duration // until the headers arrived
	RequestID    string        // X-Request-ID
	// Limit, Remaining and Reset are those of X-Ratelimit-*; -1 and the zero
	// time when absent.
	Limit, Remaining int
	Reset            time.Time
	RateLimited      bool // status 429
	Resend           int  // attempts at the same request before this one
	Err              error
}

// Transport is an http.RoundTripper that traces: a client span an attempt,
// which ends when the headers arrive; lineage headers on the hosts of
// Config.HTTPHosts and on no other. Of a request it records the method, the
// host and the template of the path: never a header, a query, a body, nor the
// IDs in a path. The zero value is not usable; it is safe for concurrent use.
//
// A client that sends one *http.Request again after a 429 or an error, as
// alpaca-trade-api-go does, is served: the body that the first attempt consumed
// is taken anew from GetBody, and the answer that it leaves unread is read in
// the background, up to 64 KiB, so that the connection can be used again.
type Transport struct {
	base    http.RoundTripper
	tracer  trace.Tracer // nil without a TracerProvider
	hosts   hostPatterns
	context context.Context // of a client for callers without one
	observe func(context.Context, Call)
	orders  bool
	resends resends
}

var _ http.RoundTripper = (*Transport)(nil)

// TransportOption changes a Transport that is being made.
type TransportOption func(*Transport)

// WithObserver calls observe once an attempt, in the goroutine of the call,
// with the context that the attempt belongs to.
func WithObserver(observe func(context.Context, Call)) TransportOption {
	return func(t *Transport) { t.observe = observe }
}

// WithClientOrderID gives an order that is placed without a client_order_id a
// deterministic one, made from the ID of the event being handled, the method,
// the path, the body, and the ordinal among identical bodies in the context of
// one StartProcess or ContextWithDelivery. A retried event's order is then
// refused by Alpaca (422) rather than placed twice. The condition: the handler
// places its orders in a repeatable order, with repeatable bodies. Where not
// exactly one event is being handled, nothing is set.
func WithClientOrderID() TransportOption {
	return func(t *Transport) { t.orders = true }
}

// NewTransport returns a Transport over base; nil means http.DefaultTransport.
func NewTransport(base http.RoundTripper, cfg Config, options ...TransportOption) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base, hosts: newHostPatterns(cfg.HTTPHosts)}
	if cfg.TracerProvider != nil {
		t.tracer = cfg.tracer()
	}
	for _, option := range options {
		option(t)
	}
	return t
}

// Client returns a client whose calls belong to the invocation of ctx, for
// libraries that take a client and no context:
//
//	alpaca.NewClient(alpaca.ClientOpts{HTTPClient: tracing.Client(ctx, cfg)})
//
// Make one an invocation; all share http.DefaultTransport's connections. A
// request's own context wins when it carries a span or a delivery. The time
// limit is 10 seconds, that of Alpaca's own default client.
func Client(ctx context.Context, cfg Config, options ...TransportOption) *http.Client {
	t := NewTransport(nil, cfg, options...)
	t.context = ctx
	return &http.Client{Transport: t, Timeout: 10 * time.Second}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := t.lineageOf(req.Context())
	ours := t.hosts.match(req.URL)
	call := Call{Method: req.Method, Host: req.URL.Hostname(), Limit: -1, Remaining: -1}
	if call.Method == "" {
		call.Method = http.MethodGet
	}
	if ours {
		call.Route = Route(req.URL.EscapedPath())
	}
	before := t.resends.take(req)
	call.Resend = before.attempts
	call.Start = time.Now()
	span := t.start(ctx, req, &call)
	out := t.outgoing(ctx, req, span, ours)
	sent := t.prepareBody(ctx, out, req, &call, before)

	resp, err := t.base.RoundTrip(out)

	call.Duration = time.Since(call.Start)
	call.Err = err
	if err == nil {
		call.answered(resp.StatusCode, resp.Header)
	}
	finishCall(span, &call, resp)
	if err != nil || mayBeSentAgain(call.Status) {
		t.resends.put(req, sent)
		if err == nil {
			resp.Body = drain(resp)
		}
	}
	t.report(ctx, call)
	return resp, err
}

// CloseIdleConnections closes those of the base, when it has any.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// lineageOf is the context that a call belongs to.
func (t *Transport) lineageOf(ctx context.Context) context.Context {
	if t.context == nil || trace.SpanContextFromContext(ctx).IsValid() || DeliveryFromContext(ctx) != nil {
		return ctx
	}
	return t.context
}

// outgoing is req with what we add; req itself stays as it is.
func (t *Transport) outgoing(ctx context.Context, req *http.Request, span trace.Span, ours bool) *http.Request {
	inner, sc := req.Context(), trace.SpanContextFromContext(ctx)
	if span != nil {
		inner, sc = trace.ContextWithSpan(inner, span), span.SpanContext()
	}
	out := req.WithContext(inner)
	if !ours {
		return out
	}
	out.Header = make(http.Header, len(req.Header)+lineageHeaders)
	for name, values := range req.Header {
		out.Header[name] = values[:len(values):len(values)] // adding to one leaves the caller's as it is
	}
	setLineageHeaders(ctx, sc, out.Header)
	return out
}

func (t *Transport) start(ctx context.Context, req *http.Request, call *Call) trace.Span {
	if t.tracer == nil {
		return nil
	}
	name, attrs := startedCall(make([]attribute.KeyValue, 0, 8), call, req.URL.Scheme, int(number(req.URL.Port())))
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && DeliveryFromContext(ctx) != nil {
		ctx = contextWithWish(ctx, asParent(parent))
	}
	_, span := t.tracer.Start(ctx, name, asClient,
		trace.WithAttributes(attrs...), trace.WithTimestamp(call.Start))
	return span
}

// startedCall is the name of a call's span, and what is known when it starts.
// A port below 0 is not known.
func startedCall(attrs []attribute.KeyValue, call *Call, scheme string, port int) (string, []attribute.KeyValue) {
	method := knownMethod(call.Method)
	attrs = append(attrs, keyMethod.String(method), keyServer.String(call.Host), keyScheme.String(scheme))
	if port >= 0 {
		attrs = append(attrs, keyPort.Int(port))
	}
	if call.Route != "" {
		attrs = append(attrs, keyTemplate.String(call.Route))
	}
	if call.Resend > 0 {
		attrs = append(attrs, keyResend.Int(call.Resend))
	}
	if method == errorTypeOther {
		method = "HTTP"
	}
	return spanName(method, call.Route), attrs
}

// DescribeCall is the name and the attributes of the client span of a call that
// somebody else made, and whether it failed. header holds what of the answer's
// headers may be told; failure is error.type where there was no answer. A port
// of 0 or less is not known. Of c what the headers say is filled in.
func DescribeCall(c *Call, scheme string, port int, header http.Header, failure string) (name string, attrs []attribute.KeyValue, failed bool) {
	if port == 0 {
		port = -1
	}
	c.answered(c.Status, header)
	name, attrs = startedCall(make([]attribute.KeyValue, 0, 16), c, scheme, port)
	if c.Status == 0 {
		return name, append(attrs, keyErrorType.String(first(failure, errorTypeOther))), true
	}
	return name, answeredCall(attrs, c, header), c.Status >= 400
}

// asClient is made once: it is the same for every call.
var asClient = trace.WithSpanKind(trace.SpanKindClient)

// finishCall ends the span of a call. The text of an error stays out of it: it
// may quote the URL.
func finishCall(span trace.Span, call *Call, resp *http.Response) {
	if span == nil {
		return
	}
	if call.Err != nil {
		fail(span, errorType(call.Err), "")
		span.End()
		return
	}
	if !span.IsRecording() {
		span.End()
		return
	}
	attrs := make([]attribute.KeyValue, 0, 8)
	if _, version, ok := strings.Cut(resp.Proto, "/"); ok {
		if resp.ProtoMajor > 1 {
			version = strings.TrimSuffix(version, ".0")
		}
		attrs = append(attrs, keyProtocol.String(version))
	}
	span.SetAttributes(answeredCall(attrs, call, resp.Header)...)
	if call.Status >= 400 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// answeredCall adds what an answer says to the attributes of a call.
func answeredCall(attrs []attribute.KeyValue, call *Call, header http.Header) []attribute.KeyValue {
	attrs = append(attrs, keyStatus.Int(call.Status))
	for _, h := range [...]struct {
		key  attribute.Key
		name string
	}{
		{keyHeaderRequestID, headerRequestID}, {keyHeaderLimit, headerLimit},
		{keyHeaderRemaining, headerRemaining}, {keyHeaderReset, headerReset},
	} {
		if value := header.Get(h.name); value != "" && validID(value) {
			attrs = append(attrs, h.key.StringSlice([]string{value}))
		}
	}
	if call.Status >= 400 {
		attrs = append(attrs, keyErrorType.String(strconv.Itoa(call.Status)))
	}
	return attrs
}

// answered takes what an answer's headers say.
func (c *Call) answered(status int, header http.Header) {
	c.Status = status
	c.RateLimited = status == http.StatusTooManyRequests
	c.RequestID = header.Get(headerRequestID)
	c.Limit, c.Remaining = int(number(header.Get(headerLimit))), int(number(header.Get(headerRemaining)))
	if seconds := number(header.Get(headerReset)); seconds > 0 {
		c.Reset = time.Unix(seconds, 0)
	}
}

// number reads a count; -1 when s is none.
func number(s string) int64 {
	if s == "" {
		return -1 // before strconv makes an error of it
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// report tells the observer; what that does wrong is not the caller's to bear.
func (t *Transport) report(ctx context.Context, call Call) {
	if t.observe == nil {
		return
	}
	defer func() { _ = recover() }()
	t.observe(ctx, call)
}

// knownMethod is one of the methods of RFC 9110 and 5789, else _OTHER.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return errorTypeOther
}

// hostPatterns are the hosts that get lineage headers.
type hostPatterns []string

func newHostPatterns(patterns []string) hostPatterns {
	if patterns == nil {
		return hostPatterns{"*.alpaca.markets"}
	}
	hosts := make(hostPatterns, 0, len(patterns))
	for _, pattern := range patterns {
		if pattern = strings.ToLower(strings.TrimSpace(pattern)); pattern != "" {
			hosts = append(hosts, pattern)
		}
	}
	return hosts
}

// match says that a pattern is the URL's host, with or without its port, or
// *.name for a name that the host stands under.
func (h hostPatterns) match(u *url.URL) bool {
	name, host := strings.ToLower(u.Hostname()), strings.ToLower(u.Host)
	for _, pattern := range h {
		suffix, wild := strings.CutPrefix(pattern, "*.")
		if wild && len(name) > len(suffix)+1 && strings.HasSuffix(name, suffix) && name[len(name)-len(suffix)-1] == '.' {
			return true
		}
		if !wild && (pattern == name || pattern == host) {
			return true
		}
	}
	return false
}
