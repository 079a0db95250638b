package extension

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/tracing"
)

// alpacaHosts are the only hosts that the alpaca endpoint calls, by the first
// element of the path: a client's base URL is http://127.0.0.1:4320/paper.
var alpacaHosts = map[string]string{
	"live": "api.alpaca.markets", "paper": "paper-api.alpaca.markets", "data": "data.alpaca.markets", "stream": "stream.data.alpaca.markets",
	"broker": "broker-api.alpaca.markets", "data-sandbox": "data.sandbox.alpaca.markets", "broker-sandbox": "broker-api.sandbox.alpaca.markets",
	"stream-sandbox": "stream.data.sandbox.alpaca.markets",
}

// alpacaHost is the host that a path names, by its word or by itself, and the
// rest of the path.
func alpacaHost(path string) (host, rest string, ok bool) {
	word, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if host, ok = alpacaHosts[word]; ok {
		return host, "/" + rest, true
	}
	for _, host := range alpacaHosts {
		if host == word {
			return host, "/" + rest, true
		}
	}
	return "", "", false
}

// alpacaProxy is the alpaca endpoint: a reverse proxy to Alpaca's hosts, traced
// and measured as the library's transport does it.
type alpacaProxy struct {
	x      *extension
	proxy  *httputil.ReverseProxy
	faults *faults
	base   *http.Transport
}

func newAlpacaProxy(x *extension) (*alpacaProxy, error) {
	p := &alpacaProxy{x: x, faults: &faults{}, base: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxIdleConnsPerHost: 16, TLSHandshakeTimeout: apiPatience,
	}}
	if err := p.faults.set(x.config.AlpacaFaults); err != nil {
		return nil, err
	}
	upstream, err := url.Parse(x.config.AlpacaUpstream)
	if err != nil {
		return nil, err
	}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: p.rewrite, ErrorHandler: brokenOff, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), BufferPool: &copyBuffers,
		Transport: tracing.NewTransport(&redirected{p.faults.over(p.base), upstream}, x.tracing, tracing.WithObserver(p.observe)),
	}
	return p, nil
}

func (p *alpacaProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		return
	case "/throughline/v1/faults":
		p.faults.serve(w, r)
		return
	}
	if _, _, ok := alpacaHost(r.URL.EscapedPath()); !ok {
		http.Error(w, "this endpoint calls Alpaca and nobody else: the path begins with /paper, /live, /data, /stream, /broker, /data-sandbox, /stream-sandbox or /broker-sandbox", http.StatusNotFound)
		return
	}
	ctx := r.Context()
	if f := p.x.current.find(""); f != nil {
		ctx = belonging{ctx, f.Context}
	}
	if parent, ok := tracing.ParseTraceparent(r.Header.Get("traceparent")); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	p.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// belonging is a call's context, whose values are also the invocation's.
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

func (p *alpacaProxy) rewrite(r *httputil.ProxyRequest) {
	host, rest, _ := alpacaHost(r.In.URL.EscapedPath())
	u := url.URL{Scheme: "https", Host: host, RawQuery: r.In.URL.RawQuery}
	u.Path, u.RawPath = rest, ""
	if plain, err := url.PathUnescape(rest); err == nil && plain != rest {
		u.Path, u.RawPath = plain, rest
	}
	r.Out.URL, r.Out.Host = &u, host
}

func (p *alpacaProxy) observe(ctx context.Context, c tracing.Call) {
	correlation := ""
	if d := tracing.DeliveryFromContext(ctx); d != nil && len(d.Events) == 1 {
		correlation = d.Events[0].Lineage.CorrelationID
	}
	handling.RecordCall(p.x.metrics, c, correlation)
}

// redirected sends calls to a stand-in, where one is configured, without
// anybody above knowing.
type redirected struct {
	base     http.RoundTripper
	upstream *url.URL
}

func (t *redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.upstream.Host == "" {
		return t.base.RoundTrip(r)
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = t.upstream.Scheme, t.upstream.Host
	return t.base.RoundTrip(out)
}

var errNoFaults = errors.New("faults are written as delay=2s,error=503:10%,rate-limit=100")
