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

// Transport is an http.RoundTripper that traces calls. It makes one client span for
// each attempt, which ends when the headers of the response arrive. It adds lineage
// headers to requests to the hosts that its options name, and to no others. Of a
// request it records the method, the host and the template of the path, but no header,
// query or body, and no IDs in a path. Make one with NewTransport. It is safe for
// concurrent use.
//
// A client may send one *http.Request again after a 429 or an error, as
// alpaca-trade-api-go does. The Transport then gets the body that the first attempt
// consumed from GetBody. It reads the response that the client leaves unread in the
// background, up to 64 KiB, so that the connection can be used again.
type Transport struct {
	base      http.RoundTripper
	tracer    trace.Tracer // nil makes no spans
	inject    func(ctx context.Context, header http.Header)
	api       API
	context   context.Context // the context of Client, for calls whose own context has no lineage
	observers []func(context.Context, Call)
	resends   resends
}

var _ http.RoundTripper = (*Transport)(nil)

// Option configures a Transport.
type Option interface{ apply(*Transport) }

type optionFunc func(*Transport)

func (f optionFunc) apply(t *Transport) { f(t) }

// WithTracerProvider sets the provider that makes the spans; nil makes none.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(t *Transport) {
		if t.tracer = nil; p != nil {
			t.tracer = lineage.Config{TracerProvider: p}.Tracer()
		}
	})
}

// WithInjector sets the function that writes the trace context of the span in ctx; nil
// writes W3C Trace Context.
func WithInjector(inject func(ctx context.Context, header http.Header)) Option {
	return optionFunc(func(t *Transport) { t.inject = inject })
}

// WithAPI sets the description of the APIs that are called.
func WithAPI(api API) Option { return optionFunc(func(t *Transport) { t.api = api }) }

// WithHosts sets the hosts whose requests carry lineage headers: NAME, NAME:PORT, or
// *.NAME for all subdomains of NAME.
func WithHosts(patterns ...string) Option {
	return optionFunc(func(t *Transport) { t.api.Hosts = ParseHosts(patterns) })
}

// WithRoutes sets the function that returns the template of a path.
func WithRoutes(route RouteFunc) Option {
	return optionFunc(func(t *Transport) { t.api.Route = route })
}

// WithHook sets the fields of h that are not nil. The others keep the values of earlier
// options.
func WithHook(h Hook) Option { return optionFunc(func(t *Transport) { t.api = t.api.WithHook(h) }) }

// WithObserver adds an observer. It is called once for each attempt, in the goroutine
// of the call, with the context that the attempt belongs to. Its panics are recovered.
func WithObserver(observe func(context.Context, Call)) Option {
	return optionFunc(func(t *Transport) { t.observers = append(t.observers, observe) })
}

// Options combines several options.
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

// Client returns a client whose calls belong to the invocation of ctx. Its timeout is
// 10 s.
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

// CloseIdleConnections closes the idle connections of the base, if it supports that.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// lineageOf returns the context that a call belongs to.
func (t *Transport) lineageOf(ctx context.Context) context.Context {
	if t.context == nil || trace.SpanContextFromContext(ctx).IsValid() || lineage.DeliveryFromContext(ctx) != nil {
		return ctx
	}
	return t.context
}

// outgoing returns a copy of req with the added headers. It does not change req.
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
		out.Header[name] = values[:len(values):len(values)] // with this capacity, append copies and does not change the caller's values
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
	port, _ := strconv.Atoi(req.URL.Port()) // 0 if there is none
	name, attrs := started(make([]attribute.KeyValue, 0, 8), call, req.URL.Scheme, port)
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() && lineage.DeliveryFromContext(ctx) != nil {
		ctx = lineage.FollowParent(ctx, parent)
	}
	_, span := t.tracer.Start(ctx, name, asClient, trace.WithAttributes(attrs...), trace.WithTimestamp(call.Start))
	return span
}

// finish ends the span of a call. It leaves out the text of an error, which may quote
// the URL.
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

// report calls an observer and recovers its panic, so that the call does not fail.
func report(ctx context.Context, observe func(context.Context, Call), call Call) {
	defer func() { _ = recover() }()
	observe(ctx, call)
}
