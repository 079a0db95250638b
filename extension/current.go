package extension

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/throughline/throughline/internal/handling"
	"github.com/throughline/throughline/tracing"
)

// inFlight is an invocation that the runtime endpoint has handed over.
type inFlight struct {
	*handling.Invocation
	request string
	header  string // Lambda's X-Ray header, as it was handed over
	trace   tracing.TraceHeader
}

// view is what an invocation looks like from outside: the answer of /current,
// and an element of the file beside the endpoints.
type view struct {
	Trace         string `json:"trace,omitempty"`
	RequestID     string `json:"request_id"`
	Traceparent   string `json:"traceparent"`
	CorrelationID string `json:"correlation_id"`
	CausationID   string `json:"causation_id"`
	Events        int    `json:"events"`
}

func (f *inFlight) view() view {
	h := http.Header{}
	tracing.SetLineageHeaders(f.Context, h)
	return view{
		RequestID: f.request, Traceparent: h.Get("traceparent"), CorrelationID: h.Get("X-Correlation-ID"),
		CausationID: h.Get("X-Causation-ID"), Events: len(f.Delivery.Events),
	}
}

// current knows which events are being handled. The last stays until the next
// arrives: threads outlive invocations.
type current struct {
	mu   sync.Mutex
	open []*inFlight
	last *inFlight
	// path is of a file that is kept as new as the answers, for Node, which cannot
	// wait for one where it sets headers. It is written only where the wrapper has
	// made it.
	path    string
	asked   bool
	file    *os.File // nil: not written
	written []byte
}

func newCurrent(tempDir string) *current {
	return &current{path: filepath.Join(tempDir, "throughline", "current")}
}

func (c *current) begin(f *inFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.last = append(c.open, f), f
	c.write()
}

// end takes the invocation out and returns it, nil where it is not known.
func (c *current) end(request string) *inFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open, func(f *inFlight) bool { return f.request == request })
	if i < 0 {
		return nil
	}
	f := c.open[i]
	c.open = slices.Delete(c.open, i, i+1)
	c.write()
	return f
}

// all takes out every invocation that is still open.
func (c *current) all() []*inFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.open
	c.open = nil
	return open
}

// find is the one invocation that a call with this X-Ray header belongs to, nil
// where that cannot be told.
func (c *current) find(header string) *inFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch len(c.open) {
	case 0:
		return c.last
	case 1:
		return c.open[0]
	}
	var fits *inFlight
	wanted, _ := tracing.ParseTraceHeader(decoded(header))
	for _, f := range c.open {
		if header == "" || header != f.header && (!wanted.Context.IsValid() || wanted.Context.TraceID() != f.trace.Context.TraceID() || wanted.Context.SpanID() != f.trace.Context.SpanID()) {
			continue
		}
		if fits != nil {
			return nil // the events of one publisher share its header
		}
		fits = f
	}
	return fits
}

// decoded undoes the percent-encoding that Go's SDK applies to the header.
func decoded(header string) string {
	if plain, err := url.PathUnescape(header); err == nil {
		return plain
	}
	return header
}

// write brings the file up to date. The mutex is held.
func (c *current) write() {
	if !c.asked {
		c.asked = true
		c.file, _ = os.OpenFile(c.path, os.O_WRONLY, 0) // nil where it is not there
	}
	if c.file == nil {
		return
	}
	list := c.open
	if len(list) == 0 && c.last != nil {
		list = []*inFlight{c.last}
	}
	views := make([]view, len(list))
	for i, f := range list {
		views[i] = f.view()
		views[i].Trace = f.header
	}
	text, err := json.Marshal(views)
	if err == nil && bytes.Equal(text, c.written) {
		return // an end changes nothing: the last event stays current
	}
	if _, gone := os.Stat(c.path); gone != nil { // a function may clean its /tmp
		c.release()
		_ = os.MkdirAll(filepath.Dir(c.path), 0o755)
		if c.file, gone = os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o644); gone != nil {
			c.file = nil
			return
		}
	}
	// In place, because the runtime waits for this and a rename takes forty times
	// as long. The sum tells a reader whether it has read one writing, and the
	// line's end where that ends.
	c.written = text
	if err == nil {
		sum := fnv.New32a()
		_, _ = sum.Write(text)
		_, err = c.file.WriteAt(fmt.Appendf(nil, "%08x\n%s\n", sum.Sum32(), text), 0)
	}
	if err != nil {
		c.release()
		_ = os.Remove(c.path) // an old answer is worse than none
	}
}

func (c *current) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

func (c *current) release() {
	if c.file != nil {
		_ = c.file.Close()
		c.file = nil
	}
}

// serve answers GET /throughline/v1/current.
func (c *current) serve(w http.ResponseWriter, r *http.Request) {
	f := c.find(r.URL.Query().Get("trace"))
	if f == nil || len(f.Delivery.Events) == 0 && f.view().Traceparent == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(f.view())
}
