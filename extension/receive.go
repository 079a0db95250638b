package extension

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/throughline/throughline/tracing/otlp"
)

// maxSpans bounds the body of one request of spans, unpacked.
const maxSpans = 8 << 20

// receiver is a listener and what serves it.
type receiver struct {
	address string
	server  *http.Server
	done    chan struct{}
}

// newOTLPReceiver is the otlp endpoint: OTLP/HTTP, protobuf and JSON, plain and
// gzip. Spans are kept as they came; metrics and logs, which the runtime's SDK
// sends here too once its endpoint is replaced, are passed on.
func newOTLPReceiver(x *extension) http.Handler {
	pass := passOn(x)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz":
		case r.URL.Path == "/v1/traces" && r.Method == http.MethodPost:
			receive(w, r, x.received)
		case strings.HasPrefix(r.URL.Path, "/v1/") && r.Method == http.MethodPost:
			pass.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// passOn sends a signal other than spans where the runtime would have sent it.
func passOn(x *extension) http.Handler {
	target, err := url.Parse(x.config.Signals.URL)
	if err != nil || target.Host == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxSpans))
			x.metrics.Dropped(1) // there is nowhere to send it
			taken(w, isJSON(r))
		})
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, target.Host
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimSuffix(target.Path, "/")+r.In.URL.Path, ""
			for name, value := range x.config.Signals.Headers {
				if r.Out.Header.Get(name) == "" { // a setting for the signal alone wins, as in the SDK
					r.Out.Header.Set(name, value)
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		BufferPool:   &copyBuffers,
		ErrorLog:     log.New(io.Discard, "", 0),
		Transport:    &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: x.config.Signals.TLS, ResponseHeaderTimeout: apiPatience, TLSHandshakeTimeout: apiPatience, DialContext: (&net.Dialer{Timeout: apiPatience}).DialContext},
	}
}

// copyBuffers are those that bodies pass through.
var copyBuffers = bufferPool{sync.Pool{New: func() any { return make([]byte, 32<<10) }}}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().([]byte) }
func (p *bufferPool) Put(b []byte) { p.Pool.Put(b) } //nolint:staticcheck // 24 bytes beside 32 KB

func serve(listener net.Listener, handler http.Handler) *receiver {
	r := &receiver{
		address: listener.Addr().String(), done: make(chan struct{}),
		// Idle connections are kept: a freeze may be hours long.
		server: &http.Server{Handler: handler, ReadHeaderTimeout: apiPatience, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)},
	}
	frames(r.server)
	go func() {
		defer close(r.done)
		_ = r.server.Serve(framedListener{listener}) // ends with close
	}()
	return r
}

func (r *receiver) close() {
	_ = r.server.Close()
	<-r.done
}

// receive answers as OTLP/HTTP says, and at once: exporting is not the caller's wait.
func receive(w http.ResponseWriter, r *http.Request, take func([]byte, bool)) {
	asJSON := isJSON(r)
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !asJSON {
		if _, err := otlp.CountSpans(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	take(body, asJSON)
	taken(w, asJSON)
}

func isJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

// taken answers that all was taken, in the request's own encoding.
func taken(w http.ResponseWriter, asJSON bool) {
	if asJSON {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

var errTooLarge = errors.New("the request has more than 8 MiB")

func readBody(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		in = zip
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(in, maxSpans+1))
	if err != nil {
		return nil, err
	}
	if n > maxSpans {
		return nil, errTooLarge
	}
	return body.Bytes(), nil
}

// listener receives telemetry from Lambda.
type listener struct {
	receiver *receiver
	port     string
}

// maxBatch bounds one delivery of telemetry: twice the buffer that was asked
// for and some room, as the Telemetry API's reference says to expect.
const maxBatch = 2 << 20

// listenTelemetry listens on every address, because Lambda delivers to
// sandbox.localdomain, which is not promised to be the loopback interface.
func listenTelemetry(b *books) (*listener, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBatch))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest) // Lambda sends it again
			return
		}
		b.telemetry(body, b.config.Now())
	})
	return &listener{receiver: serve(l, handler), port: port}, nil
}

func (l *listener) destination() string { return "http://sandbox.localdomain:" + l.port }

func (l *listener) close() { l.receiver.close() }
