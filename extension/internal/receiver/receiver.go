// Package receiver is the otlp endpoint: OTLP/HTTP, protobuf and JSON, plain and
// gzip ("OTLP/HTTP", OpenTelemetry protocol specification). It keeps spans as
// received bytes. It forwards metrics and logs, which an SDK also sends here
// when its endpoint is replaced, and nothing else.
package receiver

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

const (
	maxSpans = 8 << 20 // bytes of a request of spans, uncompressed
	patience = 5 * time.Second
	// largeBody is the size, in bytes, above which a request is followed by a garbage
	// collection.
	largeBody = 1 << 20
	protobuf  = "application/x-protobuf"
	asJSON    = "application/json"
)

// Signals is the OTLP/HTTP backend for metrics and logs.
type Signals struct {
	URL     string            // without /v1/…; empty for no backend
	Headers map[string]string // added to requests that do not have them
	TLS     *tls.Config       // nil trusts the system's certificates
}

// Config of the endpoint. All fields are required.
type Config struct {
	// Take gets a request of spans, which it may keep, and of which it may drop parts.
	Take    func(request []byte, isJSON bool)
	Signals Signals
	Metrics *metrics.Set
	Budget  *server.Budget
	Now     func() time.Time
}

// New returns the endpoint. It is safe for concurrent use.
func New(config Config) http.Handler {
	pass := passOn(config)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			return
		case "/v1/traces", "/v1/metrics", "/v1/logs":
		default:
			http.NotFound(w, r)
			return
		}
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "the method is to be POST", http.StatusMethodNotAllowed)
		case !server.Accepts(w, r, protobuf, asJSON):
		case r.URL.Path == "/v1/traces":
			receive(w, r, config)
		default:
			pass.ServeHTTP(w, r)
		}
	})
}

// receive answers a request of spans as OTLP/HTTP specifies. It does not wait for the
// export.
func receive(w http.ResponseWriter, r *http.Request, config Config) {
	body, release, err := read(w, r, config.Budget)
	if err != nil {
		server.Refuse(w, r, err)
		return
	}
	defer release()
	body, err = config.clean(body, isJSON(r))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if cap(body) > len(body)+len(body)/4 { // it may be held for a long time
		body = bytes.Clone(body)
	}
	config.Take(body, isJSON(r))
	accepted(w, r)
	if len(body) > largeBody {
		// After release the budget no longer counts this garbage.
		runtime.GC()
	}
}

// clean returns the request without the spans that a backend would reject, and counts
// them.
func (c *Config) clean(request []byte, isJSON bool) ([]byte, error) {
	if isJSON {
		if !json.Valid(request) {
			return nil, errors.New("the request is no JSON")
		}
		if !utf8.Valid(request) {
			request = bytes.ToValidUTF8(request, []byte("\uFFFD"))
		}
		return request, nil
	}
	clean, dropped, err := otlp.Clean(request)
	if dropped > 0 {
		c.Metrics.Record(metrics.Observation{At: c.Now(), Name: metrics.SpansDropped, Value: float64(dropped)})
	}
	return clean, err
}

// read reads and decompresses the body of a request.
func read(w http.ResponseWriter, r *http.Request, budget *server.Budget) (body []byte, release func(), err error) {
	if r.Header.Get("Content-Encoding") == "gzip" {
		return server.ReadGzip(w, r, budget, maxSpans)
	}
	return server.ReadBody(w, r, budget, maxSpans)
}

func isJSON(r *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), asJSON)
}

// accepted answers that all data was accepted, in the request's encoding.
func accepted(w http.ResponseWriter, r *http.Request) {
	if isJSON(r) {
		w.Header().Set("Content-Type", asJSON)
		_, _ = io.WriteString(w, "{}")
		return
	}
	w.Header().Set("Content-Type", protobuf)
}

// passOn forwards metrics and logs to the backend to which the runtime would have sent
// them.
func passOn(config Config) http.Handler {
	target, err := url.Parse(config.Signals.URL)
	if err != nil || target.Host == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxSpans))
			config.Metrics.Dropped(1) // there is no backend
			accepted(w, r)
		})
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, target.Host
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimSuffix(target.Path, "/")+r.In.URL.Path, ""
			for name, value := range config.Signals.Headers {
				if r.Out.Header.Get(name) == "" { // a header set for one signal takes precedence, as in SDKs
					r.Out.Header.Set(name, value)
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		BufferPool:   &server.CopyBuffers,
		ErrorLog:     log.New(io.Discard, "", 0),
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config.Signals.TLS, ResponseHeaderTimeout: patience, TLSHandshakeTimeout: patience,
			DialContext: (&net.Dialer{Timeout: patience}).DialContext,
		},
	}
}
