// Package shims answers the requests of the Python and Node.js shims in the
// function's process. docs/loopback.md specifies the protocol.
package shims

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/extension/internal/hops"
	"github.com/throughline/throughline/extension/internal/inflight"
	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// Prefix begins the path of every request of the protocol.
const Prefix = "/throughline/v1/"

const (
	maxReport  = 64 << 10 // an outcome, or an outbound call
	maxRequest = 2 << 20  // the body of a PutEvents request
	maxHead    = 64 << 10 // the line before it
)

// Endpoint answers the protocol. All fields are required but Settle; Credentials
// may be nil where there are none.
type Endpoint struct {
	InFlight *inflight.Invocations
	Calls    *sdkcalls.Calls
	Metrics  *metrics.Set
	Spans    *otlp.Provider // of outbound calls
	API      outbound.API   // what is known of the APIs that are called
	Hops     *hops.Hops
	Budget   *server.Budget
	// Settle takes what the shims have reported before; nil takes nothing.
	Settle func()
	// Credentials are the function's, as its SDK has them.
	Credentials func(context.Context) (aws.Credentials, error)
	Now         func() time.Time
}

// ServeHTTP implements http.Handler for the paths that begin with Prefix.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.Settle != nil {
		e.Settle()
	}
	path := strings.TrimPrefix(r.URL.Path, Prefix)
	method, serve := http.MethodPost, http.HandlerFunc(nil)
	switch path {
	case "current":
		method, serve = http.MethodGet, e.current
	case "sign":
		serve = e.sign
	case "events":
		serve = e.events
	default:
		take := e.report(path)
		if take == nil {
			http.NotFound(w, r)
			return
		}
		serve = func(w http.ResponseWriter, r *http.Request) { e.reported(w, r, take) }
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		http.Error(w, "the method is to be "+method, http.StatusMethodNotAllowed)
		return
	}
	serve(w, r)
}

// current answers which event the function handles.
func (e *Endpoint) current(w http.ResponseWriter, r *http.Request) {
	i := e.InFlight.Find(r.URL.Query().Get("trace"))
	if i == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	view := i.View()
	if view.Events == 0 && view.Traceparent == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(view)
}

// publishing is the context that a call publishes in, and the events being
// handled that it belongs to. header is Lambda's X-Ray header as its sender has
// it, and traceparent what the call itself carries; empty for none.
func (e *Endpoint) publishing(header, traceparent string) (context.Context, *lineage.Delivery) {
	ctx := context.Background() // an asker that is gone may have sent the request
	var delivery *lineage.Delivery
	if i := e.InFlight.Find(header); i != nil {
		ctx, delivery = i.Context, &i.Delivery
	}
	if parent, ok := lineage.ParseTraceparent(traceparent); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return ctx, delivery
}

// read reads a body. It has answered the request where ok is false.
func (e *Endpoint) read(w http.ResponseWriter, r *http.Request, longest int) (body []byte, release func(), ok bool) {
	body, release, err := server.ReadBody(w, r, e.Budget, longest)
	if err == nil {
		return body, release, true
	}
	reason := "body"
	switch {
	case errors.Is(err, server.ErrTooLarge):
		reason = "size"
	case errors.Is(err, server.ErrBusy):
		reason = "busy"
	}
	w.Header().Set("Throughline-Reason", reason)
	server.Refuse(w, r, err)
	return nil, nil, false
}

// readEvents reads a request that holds a PutEvents body, and takes what it needs
// of the budget. It has answered the request where ok is false.
func (e *Endpoint) readEvents(w http.ResponseWriter, r *http.Request, longest int) (body []byte, release func(), ok bool) {
	body, give, ok := e.read(w, r, longest)
	if !ok {
		return nil, nil, false
	}
	more := (putevents.Copies - 1) * len(body)
	if !e.Budget.Take(more) {
		give()
		w.Header().Set("Throughline-Reason", "busy")
		server.Refuse(w, r, server.ErrBusy)
		return nil, nil, false
	}
	return body, func() { e.Budget.Give(more); give() }, true
}
