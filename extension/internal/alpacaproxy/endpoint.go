// Package alpacaproxy is the alpaca endpoint: a reverse proxy to Alpaca's hosts and no
// others, for clients whose base URL can be set.
package alpacaproxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/metrics"
)

// Config of an [Endpoint]. Metrics and InFlight are required.
type Config struct {
	// Upstream is called instead of Alpaca; nil is Alpaca.
	Upstream *url.URL
	// Faults are the faults to inject from the start: delay=2s,error=503:10%,rate-limit=100.
	Faults   string
	Provider trace.TracerProvider // nil: OpenTelemetry's global one
	API      outbound.API         // describes Alpaca's API
	Metrics  *metrics.Set
	InFlight *inflight.Invocations
}

// Endpoint is the alpaca endpoint. It traces and measures calls with the library's
// transport. It is an http.Handler, and safe for concurrent use.
type Endpoint struct {
	config Config
	proxy  *httputil.ReverseProxy
	faults *faults
}

const patience = 5 * time.Second // for a TLS handshake

// New returns an Endpoint. It returns an error only if the faults are malformed.
func New(config Config) (*Endpoint, error) {
	p := &Endpoint{config: config, faults: &faults{}}
	if err := p.faults.set(config.Faults); err != nil {
		return nil, err
	}
	base := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxIdleConnsPerHost: 16, TLSHandshakeTimeout: patience}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: p.rewrite, ErrorHandler: server.BreakOff, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), BufferPool: &server.CopyBuffers,
		Transport: outbound.NewTransport(&redirected{p.faults.over(base), config.Upstream},
			outbound.WithTracerProvider(config.Provider), outbound.WithAPI(config.API), outbound.WithObserver(p.observe)),
	}
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		return
	case "/throughline/v1/faults":
		p.faults.serve(w, r)
		return
	}
	if _, _, ok := alpaca.Host(r.URL.EscapedPath()); !ok {
		http.Error(w, "this endpoint calls Alpaca and nobody else: the path begins with /paper, /live, /data, /stream, /broker, /data-sandbox, /stream-sandbox or /broker-sandbox", http.StatusNotFound)
		return
	}
	ctx := r.Context()
	if f := p.config.InFlight.Find(""); f != nil {
		ctx = belonging{ctx, f.Context}
	}
	if parent, ok := lineage.ParseTraceparent(r.Header.Get("traceparent")); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	p.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// belonging is a call's context that also has the values of the invocation's context.
type belonging struct {
	context.Context
	invocation context.Context
}

func (b belonging) Value(key any) any {
	if v := b.Context.Value(key); v != nil {
		return v
	}
	return b.invocation.Value(key)
}

func (p *Endpoint) rewrite(r *httputil.ProxyRequest) {
	host, rest, _ := alpaca.Host(r.In.URL.EscapedPath())
	u := url.URL{Scheme: "https", Host: host, RawQuery: r.In.URL.RawQuery}
	u.Path, u.RawPath = rest, ""
	if plain, err := url.PathUnescape(rest); err == nil && plain != rest {
		u.Path, u.RawPath = plain, rest
	}
	r.Out.URL, r.Out.Host = &u, host
}

func (p *Endpoint) observe(ctx context.Context, c outbound.Call) {
	correlation := ""
	if d := lineage.DeliveryFromContext(ctx); d != nil && len(d.Events) == 1 {
		correlation = d.Events[0].Lineage.CorrelationID
	}
	handling.RecordCall(p.config.Metrics, c, correlation)
}

// redirected sends calls to the configured upstream, if there is one. Spans and
// metrics still have the original host.
type redirected struct {
	base     http.RoundTripper
	upstream *url.URL
}

func (t *redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.upstream == nil {
		return t.base.RoundTrip(r)
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = t.upstream.Scheme, t.upstream.Host
	return t.base.RoundTrip(out)
}

var errNoFaults = errors.New("faults are written as delay=2s,error=503:10%,rate-limit=100")
