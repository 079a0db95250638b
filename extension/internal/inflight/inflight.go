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

// Invocation is one that the runtime endpoint has handed over.
type Invocation struct {
	*handling.Invocation
	Header string // Lambda's X-Ray header, as it was handed over
	Kept   int    // bytes of memory that its events take of a budget
}

// View is what an invocation looks like to the shims: the answer of
// /throughline/v1/current, and an element of the file that they read.
type View struct {
	Trace         string `json:"trace,omitempty"`
	RequestID     string `json:"request_id"`
	Traceparent   string `json:"traceparent"`
	CorrelationID string `json:"correlation_id"`
	CausationID   string `json:"causation_id"`
	Events        int    `json:"events"`
	// Carry is the trace header of messages, with {span} for the ID of their span;
	// empty where they keep theirs.
	Carry string `json:"carry,omitempty"`
}

// View is the invocation as the shims see it, without its trace header.
func (i *Invocation) View() View {
	h := http.Header{}
	lineage.SetHeaders(i.Context, trace.SpanContextFromContext(i.Context), h)
	return View{
		RequestID: i.Request, Traceparent: h.Get("traceparent"), CorrelationID: h.Get("X-Correlation-ID"),
		CausationID: h.Get("X-Causation-ID"), Events: i.Delivery.Len(),
	}
}

// Invocations are those in flight, oldest first. The last one that began stays
// known until the next begins, because threads outlive invocations. It is safe
// for concurrent use.
type Invocations struct {
	// Carried tells View.Carry of an invocation, by its context and its header; nil
	// tells nothing. It is set before others use the Invocations.
	Carried func(ctx context.Context, header string) string

	mu   sync.Mutex
	open []*Invocation
	last *Invocation
	file file
}

// New returns Invocations that keep the file at path up to date where the
// layer's wrapper has made it; an empty path is no file.
func New(path string) *Invocations { return &Invocations{file: file{path: path}} }

// Begin adds an invocation.
func (v *Invocations) Begin(i *Invocation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open, v.last = append(v.open, i), i
	v.write()
}

// End takes an invocation out and returns it, nil where it is not known.
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

// EndAll takes every invocation out and returns them.
func (v *Invocations) EndAll() []*Invocation {
	v.mu.Lock()
	defer v.mu.Unlock()
	open := v.open
	v.open = nil
	return open
}

// Find is the one invocation that a call with this X-Ray header belongs to, nil
// where that cannot be told. The header may be percent-encoded, or empty where
// the caller knows none.
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
			return nil // the events of one publisher share its header
		}
		found = i
	}
	return found
}

// sameSpan says whether a trace header names the span that wanted names.
func sameSpan(wanted lineage.TraceHeader, header string) bool {
	h, _ := lineage.ParseTraceHeader(header)
	return wanted.Context.IsValid() && wanted.Context.TraceID() == h.Context.TraceID() && wanted.Context.SpanID() == h.Context.SpanID()
}

// decoded undoes the percent-encoding that Go's SDK applies to the header.
func decoded(header string) string {
	if plain, err := url.PathUnescape(header); err == nil {
		return plain
	}
	return header
}

// write brings the file up to date: with the invocations in flight, or with the
// last one where there are none. The mutex is held.
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
