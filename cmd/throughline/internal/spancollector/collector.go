// Package spancollector replaces a tracing backend while a day is played: it keeps the
// spans that functions export.
package spancollector

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/otlpserver"
	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing/otlp"
)

// Collector keeps requests as lines of OTLP/JSON, and can forward them to a real backend.
// Use [Start], and close it. It is safe for concurrent use.
type Collector struct {
	URL     string // for OTEL_EXPORTER_OTLP_ENDPOINT
	server  *http.Server
	forward *otlp.Exporter // nil means no backend

	mu    sync.Mutex
	lines []byte
}

// Start listens on a free port of the loopback interface. forwardTo is the URL of traces
// of a real backend, or "".
func Start(forwardTo string, headers map[string]string) (*Collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	c := &Collector{URL: "http://" + listener.Addr().String()}
	if forwardTo != "" {
		c.forward = otlp.NewExporter(otlp.Config{URL: forwardTo, Headers: headers})
	}
	c.server = &http.Server{Handler: otlpserver.Handler(c.take)}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

func (c *Collector) take(r otlpserver.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(append(c.lines, r.Line...), '\n')
	if c.forward != nil {
		c.forward.Add(r.Body, r.JSON)
	}
	return nil
}

// Spans returns what was collected, as lines and as spans. Exporters repeat a request
// after a late response: each span counts once.
func (c *Collector) Spans() ([]byte, []workflow.Span, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans, left, err := spanstore.ReadSpans(bytes.NewReader(c.lines))
	if err == nil && left != (spanstore.LeftOut{}) {
		err = fmt.Errorf("collect spans: skipped: %s", left)
	}
	seen := map[workflow.ID]bool{}
	spans = slices.DeleteFunc(spans, func(s workflow.Span) bool {
		again := seen[s.ID]
		seen[s.ID] = true
		return again
	})
	return c.lines, spans, err
}

// Pass forwards what was collected, within ten seconds.
func (c *Collector) Pass(ctx context.Context) error {
	if c.forward == nil {
		return nil
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.forward.Flush(ctx)
}

// Close ends the server.
func (c *Collector) Close() { _ = c.server.Close() }
