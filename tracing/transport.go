package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/outbound"
)

// Transport is an http.RoundTripper that traces: one client span for each
// attempt at a request, and lineage headers on the hosts of [WithHosts] and on
// no other. Of a request it records the method, the host and the template of the
// path: never a header, a query, a body, nor the IDs in a path. Use NewTransport
// to make one. It is safe for concurrent use.
//
// A client may send one *http.Request again after a 429 or an error. The body
// that the first attempt consumed is then taken from GetBody again, and an
// answer that is left unread is read in the background, up to 64 KiB, so that
// the connection can be used again.
type Transport = outbound.Transport

// Call is what a Transport saw of one attempt at a request. It holds no header,
// query or body of the request.
type Call = outbound.Call

// Hook is what one HTTP API needs beside tracing; see package alpaca for one.
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
// Make one for each invocation; all share http.DefaultTransport's connections.
// A request's own context wins when it carries a span or a delivery. The time
// limit is 10 seconds.
func Client(ctx context.Context, options ...Option) *http.Client {
	return outbound.Client(ctx, withGlobals(options)...)
}

func withGlobals(options []Option) []Option {
	return append([]Option{WithTracerProvider(nil), WithPropagator(nil)}, options...)
}

// WithTelemetry makes a transport follow what export.Setup found: the spans,
// the metrics, the hosts and the routes. It comes before other options.
func WithTelemetry(t interface{ Transport() Option }) Option { return t.Transport() }

// WithTracerProvider sets who makes the spans. Nil, and no such option, mean
// OpenTelemetry's global provider, otel.GetTracerProvider. Give
// noop.NewTracerProvider() for no spans.
func WithTracerProvider(p trace.TracerProvider) Option {
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return outbound.WithTracerProvider(p)
}

// WithPropagator sets who writes the trace context into the headers of requests.
// Nil, and no such option, mean OpenTelemetry's global propagator,
// otel.GetTextMapPropagator, which writes nothing until one is set: see
// export.Propagator. Give propagation.NewCompositeTextMapPropagator() for none.
// The correlation and causation IDs are written in any case.
func WithPropagator(p propagation.TextMapPropagator) Option {
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	return outbound.WithInjector(func(ctx context.Context, header http.Header) {
		p.Inject(ctx, propagation.HeaderCarrier(header))
	})
}

// WithHosts names the hosts whose requests carry lineage headers: NAME,
// NAME:PORT, or *.NAME for every name under it.
// Without it there are none.
func WithHosts(patterns ...string) Option { return outbound.WithHosts(patterns...) }

// WithRoutes sets how paths are named in spans. route returns the template of a
// path, such as /v2/orders/{order_id}, and is empty for a host or a path that it
// does not know. The path is escaped as in a URL; host may have a port. route is
// called concurrently.
func WithRoutes(route func(host, path string) string) Option { return outbound.WithRoutes(route) }

// WithHook adds what one API needs. A field of h that is nil leaves what an
// earlier option set.
func WithHook(h Hook) Option { return outbound.WithHook(h) }

// WithObserver calls observe once for each attempt, in the goroutine of the
// call, with the context that the attempt belongs to. A panic of observe is
// recovered. Each such option adds an observer.
func WithObserver(observe func(context.Context, Call)) Option { return outbound.WithObserver(observe) }
