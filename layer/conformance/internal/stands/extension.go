package stands

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The event that the function handles.
const (
	TraceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	SpanID  = "00f067aa0ba902b7"
	Current = `{"request_id":"r-1","traceparent":"00-` + TraceID + `-` + SpanID + `-01","correlation_id":"workflow-1","causation_id":"signal-1","events":1}`
)

// Outbound is one attempt as a shim reports it.
type Outbound struct {
	TraceID  string `json:"trace_id"`
	SpanID   string `json:"span_id"`
	ParentID string `json:"parent_id"`
	Request  string `json:"request_id"`
	Start    int64  `json:"start_unix_nano"`
	End      int64  `json:"end_unix_nano"`
	Method   string
	Scheme   string
	Host     string
	Port     int
	Path     string
	Resend   int `json:"resend_count"`
	Status   int
	Error    string
	Headers  map[string]string
}

// Outcome is the outcome of one SDK call as a shim reports it.
type Outcome struct {
	Call     string `json:"-"`
	Outcome  string
	Stamped  bool
	Reason   string
	Status   int
	Entries  []struct{ EventID, SuccessCode, SequenceNumber, ErrorCode string }
	Answer   []byte // of a new bus, in CBOR
	Error    string
	Attempts int
	Start    int64 `json:"start_unix_nano"`
	End      int64 `json:"end_unix_nano"`
}

// Extension emulates the extension's runtime endpoint, as docs/loopback.md
// describes it. Safe for concurrent use.
type Extension struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request, body []byte) bool
	asked    []string
	outbound []Outbound
	outcomes []Outcome
	hops     []Hop
	unasked  map[string]string
	pipe     *os.File // nil: no files are shared
	settled  chan struct{}
}

// NewExtension starts one that ends with the test.
func NewExtension(t *testing.T) *Extension {
	t.Helper()
	e := &Extension{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(t, w, r) }))
	t.Cleanup(e.Close)
	return e
}

// Close stops the server, even if a shim is waiting for a response.
func (e *Extension) Close() {
	e.CloseClientConnections()
	e.Server.Close()
}

// Address returns the value for AWS_LAMBDA_RUNTIME_API.
func (e *Extension) Address() string { return strings.TrimPrefix(e.URL, "http://") }

// Begin discards all requests and reports. It sets a function that may respond to a
// request, and then returns true; otherwise the protocol applies. answer may be nil.
func (e *Extension) Begin(answer func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer, e.asked, e.outbound, e.outcomes, e.hops, e.unasked = answer, nil, nil, nil, nil, map[string]string{}
}

// Told returns the paths of all requests, and the reported attempts and outcomes.
func (e *Extension) Told() (asked []string, outbound []Outbound, outcomes []Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked), slices.Clone(e.outbound), slices.Clone(e.outcomes)
}

// Hops returns the reported calls that left the bus.
func (e *Extension) Hops() []Hop {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.hops)
}

// Unasked returns the bodies of PutEvents requests that were sent unchanged without
// a response of the extension, by the IDs of their calls.
func (e *Extension) Unasked() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.unasked)
}

func (e *Extension) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the shim aborted the request
	}
	e.mu.Lock()
	answer := e.answer
	e.asked = append(e.asked, r.URL.Path)
	e.mu.Unlock()
	if r.Host != e.Address() || r.Header.Get("Origin") != "" {
		t.Errorf("%s: Host %q, Origin %q", r.URL.Path, r.Host, r.Header.Get("Origin"))
	}
	if answer != nil && answer(w, r, body) {
		return
	}
	name, _ := strings.CutPrefix(r.URL.Path, "/throughline/v1/")
	switch name {
	case "current":
		_, _ = io.WriteString(w, Current)
	case "events":
		kind := "application/x-amz-json-1.1"
		if isCBOR(body) {
			kind = "application/cbor"
		}
		if r.Header.Get("Content-Type") != kind || len(r.Header.Get("Throughline-Call")) != 32 {
			t.Errorf("events: Content-Type %q, Throughline-Call %q", r.Header.Get("Content-Type"), r.Header.Get("Throughline-Call"))
		}
		w.Header().Set("Content-Type", kind)
		stamped := Stamp(body)
		w.Header().Set("Content-Length", strconv.Itoa(len(stamped)))
		_, _ = w.Write(stamped)
	case "sign":
		if kind := r.Header.Get("Content-Type"); kind != "application/octet-stream" || len(r.Header.Get("Throughline-Call")) != 32 {
			t.Errorf("sign: Content-Type %q, Throughline-Call %q", kind, r.Header.Get("Throughline-Call"))
		}
		sign(w, body)
	default:
		if kind := r.Header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s: Content-Type %q", name, kind)
		}
		if e.report(t, name, body) {
			w.WriteHeader(http.StatusNoContent)
		} else {
			http.NotFound(w, r)
		}
	}
}

// report records a report to a path below /throughline/v1/. It returns whether the protocol has this path.
func (e *Extension) report(t *testing.T, name string, body []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	call, isOutcome := strings.CutPrefix(name, "events/")
	var err error
	switch {
	case name == "outbound":
		e.outbound = append(e.outbound, Outbound{})
		err = json.Unmarshal(body, &e.outbound[len(e.outbound)-1])
	case name == "hops":
		e.hops = append(e.hops, Hop{})
		err = json.Unmarshal(body, &e.hops[len(e.hops)-1])
	case isOutcome:
		e.outcomes = append(e.outcomes, Outcome{Call: call})
		err = json.Unmarshal(body, &e.outcomes[len(e.outcomes)-1])
	default:
		t.Errorf("%q is no report", name)
		return false
	}
	if err != nil {
		t.Errorf("%s: %v in %s", name, err, body)
	}
	return true
}

// mark is the stamp of this emulation. The real stamp has more content, and to a
// client both look alike.
var mark = []byte(`"TraceHeader":"stamped by the stand-in", `)

// Stamp returns a body with its first entry stamped.
func Stamp(body []byte) []byte {
	at, removed, text := stamp(body)
	return slices.Concat(body[:at], text, body[at+removed:])
}

// stamp returns the bytes that stamp a body, their offset, and how many bytes they
// replace. It returns no bytes if there is no entry.
func stamp(body []byte) (at, removed int, text []byte) {
	if isCBOR(body) {
		return stampCBOR(body)
	}
	if at = bytes.Index(body, []byte(`[{`)); at < 0 {
		return 0, 0, nil
	}
	return at + 2, 0, mark
}

// Unstamp removes the stamp. It returns whether there was one.
func Unstamp(body []byte) ([]byte, bool) {
	if isCBOR(body) {
		return unstampCBOR(body)
	}
	found := bytes.Contains(body, mark)
	return bytes.ReplaceAll(body, mark, nil), found
}
