package buslocal

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/throughline/throughline/local/internal/wire"
)

// Start listens on a free port of the loopback interface and returns the URL
// for AWS_ENDPOINT_URL_EVENTBRIDGE.
func (b *Bus) Start() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start bus: %w", err)
	}
	b.server = &http.Server{Handler: wire.NoPages(b), ReadHeaderTimeout: 10 * time.Second}
	b.serving = make(chan struct{})
	go func() {
		defer close(b.serving)
		_ = b.server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), nil
}

// entry is one element of a PutEvents request. An absent field is nil.
type entry struct {
	Source, DetailType, Detail *string
	EventBusName               *string
	Resources                  []string
	Time                       *json.Number
	TraceHeader                *string
}

type result struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// fault is an error of a whole request, in AWS JSON 1.1.
type fault struct {
	status        int
	code, message string
}

const (
	operation  = "AWSEvents.PutEvents"
	maxBody    = 16 << 20
	maxEntries = 10
	maxLine    = 2048 // of a resource
)

// ServeHTTP implements http.Handler: it serves EventBridge's API, of which it
// supports only PutEvents.
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, fault{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "the body is too large"})
		return
	}
	if target := r.Header.Get("X-Amz-Target"); r.Method != http.MethodPost || target != operation {
		refuse(w, fault{http.StatusBadRequest, "UnknownOperationException", ""})
		return
	}
	b.mu.Lock()
	b.ledger.Calls++
	throttled, cut := b.throttle > 0, b.cut > 0
	if throttled {
		b.throttle--
	} else if cut {
		b.cut--
	}
	b.mu.Unlock()
	if throttled {
		refuse(w, fault{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"})
		return
	}
	results, problem := b.Put(body, r.Header.Get("X-Amzn-Trace-Id"))
	if cut {
		panic(http.ErrAbortHandler) // closes the connection without a response
	}
	if problem != nil {
		refuse(w, *problem)
		return
	}
	failed := 0
	for _, res := range results {
		if res.ErrorCode != "" {
			failed++
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": failed, "Entries": results})
}

func refuse(w http.ResponseWriter, f fault) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", f.code)
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.code, "message": f.message})
}

// Put handles the body of a PutEvents request. traceHeader is the trace header of the call.
func (b *Bus) Put(body []byte, traceHeader string) ([]result, *fault) {
	var request struct{ Entries []entry }
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, &fault{http.StatusBadRequest, "SerializationException", "the body is not a PutEvents request: " + err.Error()}
	}
	n := len(request.Entries)
	if n < 1 || n > maxEntries {
		return nil, validation(fmt.Sprintf("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d, inclusive, and has %d", maxEntries, n))
	}
	size, whole := 0, 0
	for i := range request.Entries {
		e := &request.Entries[i]
		size += e.size()
		for _, line := range e.Resources {
			if utf8.RuneCountInString(line) > maxLine {
				return nil, validation("a resource has more than 2048 characters")
			}
		}
		if e.Source != nil && e.DetailType != nil && e.Detail != nil {
			whole++
		}
	}
	if size >= b.options.Limit {
		return nil, validation("Total size of the entries in the request is over the limit.")
	}
	if whole == 0 {
		return nil, validation("no entry has a Source, a DetailType and a Detail")
	}
	results := make([]result, n)
	for i := range request.Entries {
		results[i] = b.take(&request.Entries[i], traceHeader)
	}
	return results, nil
}

func validation(message string) *fault {
	return &fault{http.StatusBadRequest, "ValidationException", message}
}

// size returns the size of an entry according to the EventBridge user guide. It is
// deliberately a second implementation, to be compared with the product's.
func (e *entry) size() int {
	n := 0
	if e.Time != nil {
		n = 14
	}
	for _, s := range []*string{e.Source, e.DetailType, e.Detail} {
		if s != nil {
			n += len(*s)
		}
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// take accepts one entry, or rejects it with an error code.
func (b *Bus) take(e *entry, callHeader string) result {
	if code, message := b.judge(e); code != "" {
		b.mu.Lock()
		b.ledger.Refused++
		b.mu.Unlock()
		return result{ErrorCode: code, ErrorMessage: message}
	}
	now := b.options.Now()
	event := &Event{
		ID: newID(), Bus: busName(text(e.EventBusName)), Source: *e.Source, DetailType: *e.DetailType, Detail: *e.Detail,
		Resources: append([]string{}, e.Resources...), Time: now, Size: e.size(), Taken: now,
	}
	if e.Time != nil {
		if seconds, err := e.Time.Float64(); err == nil {
			whole, fraction := math.Modf(seconds)
			event.Time = time.Unix(int64(whole), int64(fraction*1e9)).UTC()
		}
	}
	// The entry's header takes precedence even if it is malformed, and is dropped then.
	header := callHeader
	if e.TraceHeader != nil {
		header = *e.TraceHeader
	}
	if strings.Contains(header, "Root=") {
		event.TraceHeader = header
	}
	event.Envelope = b.envelope(event)
	b.note(event)
	if b.exists(text(e.EventBusName)) { // else the event is accepted and dropped, as in EventBridge
		b.route(event)
	}
	return result{EventID: event.ID}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (b *Bus) judge(e *entry) (code, message string) {
	b.mu.Lock()
	if b.failCount > 0 {
		b.failCount--
		code = b.failCode
	}
	b.mu.Unlock()
	switch {
	case code != "":
		return code, "failed on purpose"
	case e.Source == nil || *e.Source == "":
		return "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."
	case e.DetailType == nil || *e.DetailType == "":
		return "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."
	case e.Detail == nil || *e.Detail == "":
		return "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."
	case strings.HasPrefix(*e.Source, "aws."):
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(*e.Detail), &object) != nil || object == nil {
		return "MalformedDetail", "Detail is malformed."
	}
	return "", ""
}

// envelope returns the event as targets receive it. The detail is the publisher's bytes.
func (b *Bus) envelope(e *Event) []byte {
	quote := func(v any) []byte { data, _ := json.Marshal(v); return data } // strings always marshal
	var out []byte
	member := func(name string, value []byte) {
		out = append(append(append(append(out, '"'), name...), '"', ':'), value...)
	}
	out = append(out, '{')
	member("version", []byte(`"0",`))
	member("id", append(quote(e.ID), ','))
	member("detail-type", append(quote(e.DetailType), ','))
	member("source", append(quote(e.Source), ','))
	member("account", append(quote(b.options.Account), ','))
	member("time", append(quote(e.Time.UTC().Format("2006-01-02T15:04:05Z")), ','))
	member("region", append(quote(b.options.Region), ','))
	member("resources", append(quote(e.Resources), ','))
	if e.Replay != "" {
		member("replay-name", append(quote(e.Replay), ','))
	}
	member("detail", []byte(e.Detail))
	return append(out, '}')
}
