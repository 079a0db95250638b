package outbound

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
)

// Transport is an http.RoundTripper that traces: one client span for each
// attempt, which ends when the headers of the answer arrive, and lineage headers
// on the hosts that its options name and on no other. Of a request it records
// the method, the host and the template of the path: never a header, a query, a
// body, nor the IDs in a path. Use NewTransport to make one. It is safe for
// concurrent use.
//
// A client may send one *http.Request again after a 429 or an error, as
// alpaca-trade-api-go does. The body that the first attempt consumed is then
// taken from GetBody again, and the answer that the client leaves unread is read
// in the background, up to 64 KiB, so that the connection can be used again.
type Transport struct {
	base      http.RoundTripper
	tracer    trace.Tracer // nil makes no spans
	inject    func(ctx context.Context, header http.Header)
	api       API
	context   context.Context // of a client for callers without one
	observers []func(context.Context, Call)
	resends   resends
}

var _ http.RoundTripper = (*Transport)(nil)

// Option configures a Transport.
type Option interface{ apply(*Transport) }

type optionFunc func(*Transport)

func (f optionFunc) apply(t *Transport) { f(t) }

// WithTracerProvider sets who makes the spans; nil makes none.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(t *Transport) {
		if t.tracer = nil; p != nil {
			t.tracer = lineage.Config{TracerProvider: p}.Tracer()
		}
	})
}

// WithInjector sets who writes the trace context of the span in ctx; nil writes
// W3C Trace Context.
func WithInjector(inject func(ctx context.Context, header http.Header)) Option {
	return optionFunc(func(t *Transport) { t.inject = inject })
}

// WithAPI sets all that is known of the APIs that are called.
func WithAPI(api API) Option { return optionFunc(func(t *Transport) { t.api = api }) }

// WithHosts names the hosts whose requests carry lineage headers: NAME,
// NAME:PORT, or *.NAME for every name under it.
func WithHosts(patterns ...string) Option {
	return optionFunc(func(t *Transport) { t.api.Hosts = ParseHosts(patterns) })
}

// WithRoutes sets how paths are named.
func WithRoutes(route RouteFunc) Option {
	return optionFunc(func(t *Transport) { t.api.Route = route })
}

// WithHook adds what one API needs; a field of h that is nil leaves what an
// option before set.
func WithHook(h Hook) Option { return optionFunc(func(t *Transport) { t.api = t.api.WithHook(h) }) }

// WithObserver calls observe once for each attempt, in the goroutine of the
// call, with the context that the attempt belongs to. A panic of observe is
// recovered. Each such option adds an observer.
func WithObserver(observe func(context.Context, Call)) Option {
	return optionFunc(func(t *Transport) { t.observers = append(t.observers, observe) })
}

// Options is several options as one.
func Options(options ...Option) Option {
	return optionFunc(func(t *Transport) {
		for _, o := range options {
			o.apply(t)
		}
	})
}

// NewTransport returns a Transport over base; nil means http.DefaultTransport.
func NewTransport(base http.RoundTripper, options ...Option) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base}
	Options(options...).apply(t)
	return t
}

// Client returns a client whose calls belong to the invocation of ctx.
func Client(ctx context.Context, options ...Option) *http.Client {
	t := NewTransport(nil, options...)
	t.context = ctx
	return &http.Client{Transport: t, Timeout: 10 * time.Second}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := t.lineageOf(req.Context())
	carries := t.api.Hosts.Match(req.URL.Host)
	call := Call{Method: req.Method, Host: req.URL.Hostname(), Limit: -1, Remaining: -1}
	call.Method = cmp.Or(call.Method, http.MethodGet)
	call.Route = t.api.RouteOf(req.URL.Host, req.URL.EscapedPath())
	before := t.resends.take(req)
	call.Resend = before.attempts
	call.Start = time.Now()
	span := t.start(ctx, req, &call)
	out := t.outgoing(ctx, req, span, carries)
	sent := t.prepareBody(ctx, out, req, &call, before)

	resp, err := t.base.RoundTrip(out)

	call.Duration = time.Since(call.Start)
	call.Err = err
	if err == nil {
		t.api.answered(&call, resp.StatusCode, resp.Header)
	}
	t.finish(span, &call, resp)
	if err != nil || mayBeSentAgain(call.Status) {
		t.resends.put(req, sent)
		if err == nil {
			resp.Body = drain(resp)
		}
	}
	for _, observe := range t.observers {
		report(ctx, observe, call)
	}
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
	if t.context == nil || trace.SpanContextFromContext(ctx).IsValid() || lineage.DeliveryFromContext(ctx) != nil {
		return ctx
	}
	return t.context
}

// outgoing is req with the headers that are added; req itself stays as it is.
func (t *Transport) outgoing(ctx context.Context, req *http.Request, span trace.Span, carries bool) *http.Request {
	inner, sc := req.Context(), trace.SpanContextFromContext(ctx)
	if span != nil {
		inner, sc = trace.ContextWithSpan(inner, span), span.SpanContext()
	}
	out := req.WithContext(inner)
	if !carries {
		return out
	}
	out.Header = make(http.Header, len(req.Header)+lineage.HeaderCount)
	for name, values := range req.Header {
		out.Header[name] = values[:len(values):len(values)] // appending copies: the caller's values stay
	}
	if t.inject != nil {
		injected := http.Header{}
		t.inject(trace.ContextWithSpanContext(inner, sc), injected)
		for name, values := range injected {
			if _, present := out.Header[name]; !present {
				out.Header[name] = values
			}
		}
		sc = trace.SpanContext{}
	}
	lineage.SetHeaders(ctx, sc, out.Header)
	return out
}

func (t *Transport) start(ctx context.Context, req *http.Request, call *Call) trace.Span {
	if t.tracer == nil {
		return nil
	}
	port, _ := strconv.Atoi(req.URL.Port()) // 0 when there is none
	name, attrs := started(make([]attribute.KeyValue, 0, 8), call, req.URL.Scheme, port)
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && lineage.DeliveryFromContext(ctx) != nil {
		ctx = lineage.FollowParent(ctx, parent)
	}
	_, span := t.tracer.Start(ctx, name, asClient, trace.WithAttributes(attrs...), trace.WithTimestamp(call.Start))
	return span
}

// finish ends the span of a call. The text of an error is left out: it may
// quote the URL.
func (t *Transport) finish(span trace.Span, call *Call, resp *http.Response) {
	switch {
	case span == nil:
		return
	case call.Err != nil:
		lineage.Fail(span, lineage.ErrorType(call.Err), "")
	case span.IsRecording():
		attrs := make([]attribute.KeyValue, 0, 8)
		if _, version, ok := strings.Cut(resp.Proto, "/"); ok {
			if resp.ProtoMajor > 1 {
				version = strings.TrimSuffix(version, ".0")
			}
			attrs = append(attrs, keyProtocol.String(version))
		}
		span.SetAttributes(t.api.answer(attrs, call, resp.Header)...)
		if call.Status >= 400 {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// report calls an observer and recovers its panic: the call is not to fail by it.
func report(ctx context.Context, observe func(context.Context, Call), call Call) {
	defer func() { _ = recover() }()
	observe(ctx, call)
}
