package extension

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/throughline/throughline/tracing/otlp"
)

// maxSpans bounds the body of one request of spans, unpacked.
const maxSpans = 8 << 20

// receiver is the otlp endpoint: OTLP/HTTP, protobuf and JSON, plain and gzip.
// Bodies are kept as they came.
type receiver struct {
	address string
	server  *http.Server
	done    chan struct{}
}

func serveOTLP(listener net.Listener, take func(body []byte, isJSON bool)) *receiver {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) { receive(w, r, take) })
	return serve(listener, mux)
}

func serve(listener net.Listener, handler http.Handler) *receiver {
	r := &receiver{
		address: listener.Addr().String(), done: make(chan struct{}),
		// Idle connections are kept: a freeze may be hours long.
		server: &http.Server{Handler: handler, ReadHeaderTimeout: apiPatience, MaxHeaderBytes: 64 << 10},
	}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(listener) // ends with close
	}()
	return r
}

func (r *receiver) close() {
	_ = r.server.Close()
	<-r.done
}

// receive answers as OTLP/HTTP says, and at once: exporting is not the caller's wait.
func receive(w http.ResponseWriter, r *http.Request, take func([]byte, bool)) {
	isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !isJSON {
		if _, err := otlp.CountSpans(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	take(body, isJSON)
	if isJSON {
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
		b.telemetry(body, time.Now())
	})
	return &listener{receiver: serve(l, handler), port: port}, nil
}

func (l *listener) destination() string { return "http://sandbox.localdomain:" + l.port }

func (l *listener) close() { l.receiver.close() }
