package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing/otlp"
)

// collector stands in for a tracing backend: it keeps what it is sent as lines
// of OTLP/JSON, and passes it on to a real one where there is one.
type collector struct {
	server  *http.Server
	url     string
	forward *otlp.Exporter // nil: nowhere

	mu    sync.Mutex
	lines []byte
	err   error
}

func startCollector(forwardTo string, headers map[string]string) (*collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	c := &collector{url: "http://" + listener.Addr().String()}
	if forwardTo != "" {
		c.forward = otlp.NewExporter(otlp.Config{URL: forwardTo, Headers: headers})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.take)
	c.server = &http.Server{Handler: mux}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in = zip
	}
	body, err := io.ReadAll(in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	isJSON := r.Header.Get("Content-Type") == "application/json"
	c.mu.Lock()
	defer c.mu.Unlock()
	write := otlp.AppendJSON
	if isJSON {
		write = otlp.CompactJSON
	}
	if c.lines, err = write(c.lines, body); err != nil {
		c.err = errors.Join(c.err, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.lines = append(c.lines, '\n')
	if c.forward != nil {
		c.forward.Add(body, isJSON)
	}
}

// spans returns what was collected, as lines and as spans.
func (c *collector) spans() ([]byte, []workflow.Span, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, nil, fmt.Errorf("collect spans: %w", c.err)
	}
	spans, err := spanstore.ReadSpans(bytes.NewReader(c.lines))
	return c.lines, spans, err
}

// pass sends what was collected on, within ten seconds.
func (c *collector) pass(ctx context.Context) error {
	if c.forward == nil {
		return nil
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.forward.Flush(ctx)
}

func (c *collector) close() { _ = c.server.Close() }
