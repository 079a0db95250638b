// Package otlpserver receives spans over OTLP/HTTP (OpenTelemetry Protocol 1.x,
// "OTLP/HTTP"), as protobuf or JSON, and passes them on as lines of OTLP/JSON.
package otlpserver

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/throughline/throughline/tracing/otlp"
)

// MaxRequest is the maximum size of a request in bytes, uncompressed.
const MaxRequest = 64 << 20

// Request is one ExportTraceServiceRequest.
type Request struct {
	Line []byte // OTLP/JSON on one line, without its end
	Body []byte // the body, uncompressed
	JSON bool   // Body is OTLP/JSON, not protobuf
}

// Handler serves /v1/traces. It accepts and drops /v1/metrics and /v1/logs, which SDKs
// send to the same endpoint. It responds to a request with spans after take has returned,
// with status 500 if take returns an error. It refuses requests of web pages, which could
// send made-up spans.
func Handler(take func(Request) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) { receive(w, r, take) })
	drop := func(w http.ResponseWriter, r *http.Request) {
		if _, isJSON, ok := read(w, r); ok {
			answer(w, isJSON)
		}
	}
	mux.HandleFunc("POST /v1/metrics", drop)
	mux.HandleFunc("POST /v1/logs", drop)
	return mux
}

func receive(w http.ResponseWriter, r *http.Request, take func(Request) error) {
	body, isJSON, ok := read(w, r)
	if !ok {
		return
	}
	write := otlp.AppendJSON
	if isJSON {
		write = otlp.CompactJSON
	}
	line, err := write(nil, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := take(Request{Line: line, Body: body, JSON: isJSON}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, isJSON)
}

// read returns the uncompressed body. If ok is false, it has already sent an error
// response.
func read(w http.ResponseWriter, r *http.Request) (body []byte, isJSON, ok bool) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		http.Error(w, "spans are not accepted from web pages", http.StatusForbidden)
		return nil, false, false
	case kind != "application/json" && kind != "application/x-protobuf":
		http.Error(w, "send Content-Type application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
		return nil, false, false
	}
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return nil, false, false
		}
		in = zip
	}
	body, err := io.ReadAll(io.LimitReader(in, MaxRequest+1))
	if err == nil && len(body) > MaxRequest {
		err = errors.New("the request is too large")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, false, false
	}
	return body, kind == "application/json", true
}

// answer sends an empty response, which accepts everything.
func answer(w http.ResponseWriter, isJSON bool) {
	if !isJSON {
		w.Header().Set("Content-Type", "application/x-protobuf")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}") // the client may have gone
}
