// Package inflight tracks the invocations that the runtime endpoint has handed
// over and that have not been answered, and finds the invocation of a call.
package inflight

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/internal/lineage"
)

// Invocation is an invocation that the runtime endpoint has passed to the runtime.
type Invocation struct {
	*handling.Invocation
	Header string // Lambda's X-Ray header of the invocation
	Kept   int    // bytes that its events hold of a budget
}

// View is an invocation in the form that the shims read: the answer of
// /throughline/v1/current, and an element of the file.
type View struct {
	Trace         string `json:"trace,omitempty"`
	RequestID     string `json:"request_id"`
	Traceparent   string `json:"traceparent"`
	CorrelationID string `json:"correlation_id"`
	CausationID   string `json:"causation_id"`
	Events        int    `json:"events"`
	// Carry is the trace header of messages, with {span} instead of the span ID;
	// empty if messages keep their own header.
	Carry string `json:"carry,omitempty"`
}

// View returns the View of the invocation, without Trace and Carry.
func (i *Invocation) View() View {
	h := http.Header{}
	lineage.SetHeaders(i.Context, trace.SpanContextFromContext(i.Context), h)
	return View{
		RequestID: i.Request, Traceparent: h.Get("traceparent"), CorrelationID: h.Get("X-Correlation-ID"),
		CausationID: h.Get("X-Causation-ID"), Events: i.Delivery.Len(),
	}
}

// Invocations is the set of invocations in flight. The last one that began stays
// known until the next begins, because threads outlive invocations. It is safe for
// concurrent use.
type Invocations struct {
	// Carried returns View.Carry of an invocation from its context and its header; if
	// it is nil, Carry is empty. Set it before any method is called.
	Carried func(ctx context.Context, header string) string

	mu   sync.Mutex
	open []*Invocation
	last *Invocation
	file file
}

// New returns Invocations that keep the file at path up to date if the layer's
// wrapper has created it. If path is empty, there is no file.
func New(path string) *Invocations { return &Invocations{file: file{path: path}} }

// Begin adds an invocation.
func (v *Invocations) Begin(i *Invocation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open, v.last = append(v.open, i), i
	v.write()
}

// End removes an invocation and returns it, nil if it is not in flight.
func (v *Invocations) End(request string) *Invocation {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := slices.IndexFunc(v.open, func(i *Invocation) bool { return i.Request == request })
	if n < 0 {
		return nil
	}
	i := v.open[n]
	v.open = slices.Delete(v.open, n, n+1)
	v.write()
	return i
}

// EndAll removes all invocations and returns them, oldest first.
func (v *Invocations) EndAll() []*Invocation {
	v.mu.Lock()
	defer v.mu.Unlock()
	open := v.open
	v.open = nil
	return open
}

// Find returns the invocation that a call with this X-Ray header belongs to, nil if
// it cannot be identified. The header may be percent-encoded, or empty if the caller
// has none. If at most one invocation is in flight, Find ignores the header.
func (v *Invocations) Find(header string) *Invocation {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch len(v.open) {
	case 0:
		return v.last
	case 1:
		return v.open[0]
	}
	if header == "" {
		return nil
	}
	wanted, _ := lineage.ParseTraceHeader(decoded(header))
	var found *Invocation
	for _, i := range v.open {
		if header != i.Header && !sameSpan(wanted, i.Header) {
			continue
		}
		if found != nil {
			return nil // invocations by events of one publisher have the same header
		}
		found = i
	}
	return found
}

// sameSpan reports whether wanted and a trace header have the same span.
func sameSpan(wanted lineage.TraceHeader, header string) bool {
	h, _ := lineage.ParseTraceHeader(header)
	return wanted.Context.IsValid() && wanted.Context.TraceID() == h.Context.TraceID() && wanted.Context.SpanID() == h.Context.SpanID()
}

// decoded decodes the percent-encoding that AWS's SDK for Go applies to the header.
func decoded(header string) string {
	if plain, err := url.PathUnescape(header); err == nil {
		return plain
	}
	return header
}

// write brings the file up to date: with the invocations in flight, or with the
// last one if there are none. The caller holds the mutex.
func (v *Invocations) write() {
	if !v.file.wanted() {
		return
	}
	list := v.open
	if len(list) == 0 && v.last != nil {
		list = []*Invocation{v.last}
	}
	views := make([]View, len(list))
	for n, i := range list {
		views[n] = i.View()
		views[n].Trace = i.Header
		if v.Carried != nil {
			views[n].Carry = v.Carried(i.Context, i.Header)
		}
	}
	v.file.write(views)
}

// Close closes the file.
func (v *Invocations) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.file.release()
}
