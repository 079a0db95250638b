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

// Prefix is the prefix of the path of every request of the protocol.
const Prefix = "/throughline/v1/"

const (
	maxReport  = 64 << 10 // bytes of a report
	maxRequest = 2 << 20  // bytes of the body of a PutEvents request
	maxHead    = 64 << 10 // bytes of the line before it
)

// Endpoint answers the requests of the protocol. All fields but Settle and
// Credentials are required. It is safe for concurrent use.
type Endpoint struct {
	InFlight *inflight.Invocations
	Calls    *sdkcalls.Calls
	Metrics  *metrics.Set
	Spans    *otlp.Provider // receives the spans of outbound calls
	API      outbound.API   // describes the APIs that are called
	Hops     *hops.Hops
	Budget   *server.Budget
	// Settle processes the pending reports of the shims before each request; nil
	// does nothing.
	Settle func()
	// Credentials returns the function's credentials, as its SDK has them; nil if
	// there are none.
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

// current answers with the invocation in progress, or 204 if there is none.
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

// publishing returns the context in which a call publishes, and the events that are
// being handled by its invocation. header is Lambda's X-Ray header as the sender has
// it, and traceparent is the header of the call itself; both may be empty.
func (e *Endpoint) publishing(header, traceparent string) (context.Context, *lineage.Delivery) {
	ctx := context.Background() // not the request's: the shim may have disconnected and still send its call
	var delivery *lineage.Delivery
	if i := e.InFlight.Find(header); i != nil {
		ctx, delivery = i.Context, &i.Delivery
	}
	if parent, ok := lineage.ParseTraceparent(traceparent); ok {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return ctx, delivery
}

// read reads a body. If ok is false, it has answered the request.
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

// readEvents reads a request that contains a PutEvents body, and takes the memory for
// stamping it from the budget. If ok is false, it has answered the request.
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
