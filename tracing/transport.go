package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/outbound"
)

// Transport is an http.RoundTripper that traces: it creates one client span for each
// attempt of a request, and adds lineage headers for the hosts of [WithHosts] only.
// It records the method, the host and the template of the path of a request: never a
// header, a query, a body, or the IDs in a path. It is safe for concurrent use. Use
// NewTransport.
//
// A client may send one *http.Request again after a 429 or an error. The Transport
// then gets the body from GetBody again. It reads an unread response in the
// background, up to 64 KiB, so that the connection can be reused.
type Transport = outbound.Transport

// Call is what a Transport observed of one attempt of a request. It has no header,
// query or body of the request.
type Call = outbound.Call

// Hook adds handling for one HTTP API to a Transport; see package alpaca for one.
type Hook = outbound.Hook

// Option configures a Transport.
type Option = outbound.Option

// NewTransport returns a Transport over base; nil means http.DefaultTransport.
func NewTransport(base http.RoundTripper, options ...Option) *Transport {
	return outbound.NewTransport(base, withGlobals(options)...)
}

// Client returns a client whose calls belong to the invocation of ctx, for
// libraries that take a client and no context:
//
//	client := alpaca.NewClient(alpaca.ClientOpts{HTTPClient: tracing.Client(ctx, tracing.WithTelemetry(telemetry))})
//
// Create one for each invocation; all share http.DefaultTransport's connections.
// The context of a request has precedence if it has a span or a delivery. The
// timeout is 10 seconds.
func Client(ctx context.Context, options ...Option) *http.Client {
	return outbound.Client(ctx, withGlobals(options)...)
}

func withGlobals(options []Option) []Option {
	return append([]Option{WithTracerProvider(nil), WithPropagator(nil)}, options...)
}

// WithTelemetry configures a transport with the result of export.Setup: spans,
// metrics, hosts and routes. Put it before other options.
func WithTelemetry(t interface{ Transport() Option }) Option { return t.Transport() }

// WithTracerProvider sets the provider of the spans. The default, and the meaning of
// nil, is OpenTelemetry's global provider, otel.GetTracerProvider. For no spans set
// noop.NewTracerProvider().
func WithTracerProvider(p trace.TracerProvider) Option {
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return outbound.WithTracerProvider(p)
}

// WithPropagator sets the propagator that writes the trace context into the headers
// of requests. The default, and the meaning of nil, is OpenTelemetry's global
// propagator, otel.GetTextMapPropagator, which writes nothing until one is set: see
// export.Propagator. For none set propagation.NewCompositeTextMapPropagator(). The
// correlation and causation IDs are written in any case.
func WithPropagator(p propagation.TextMapPropagator) Option {
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	return outbound.WithInjector(func(ctx context.Context, header http.Header) {
		p.Inject(ctx, propagation.HeaderCarrier(header))
	})
}

// WithHosts sets the hosts whose requests get lineage headers: NAME, NAME:PORT, or
// *.NAME for every name under it. Without it there are none.
func WithHosts(patterns ...string) Option { return outbound.WithHosts(patterns...) }

// WithRoutes sets how paths are named in spans. route returns the template of a
// path, such as /v2/orders/{order_id}, and "" for an unknown host or path. The path
// is escaped as in a URL; host may have a port. route is called concurrently.
func WithRoutes(route func(host, path string) string) Option { return outbound.WithRoutes(route) }

// WithHook adds handling for one API. A nil field of h keeps what an earlier option
// set.
func WithHook(h Hook) Option { return outbound.WithHook(h) }

// WithObserver calls observe once for each attempt, in the goroutine of the
// call, with the context of the attempt. A panic of observe is recovered. Each such
// option adds an observer.
func WithObserver(observe func(context.Context, Call)) Option { return outbound.WithObserver(observe) }
