package shims

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// The content types of a body: for a classic bus, and for a new one.
const (
	typeJSON = "application/x-amz-json-1.1"
	typeCBOR = "application/cbor"
)

// events answers a request for the stamped form of a body that is not signed yet.
func (e *Endpoint) events(w http.ResponseWriter, r *http.Request) {
	if !server.Accepts(w, r, typeJSON, typeCBOR) {
		return
	}
	kind := typeJSON
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), typeCBOR) {
		kind = typeCBOR
	}
	id, ok := callID(w, r.Header.Get("Throughline-Call"))
	if !ok {
		return
	}
	body, release, ok := e.readEvents(w, r, maxRequest)
	if !ok {
		return
	}
	defer release()
	ctx, delivery := e.publishing(r.URL.Query().Get("trace"), "")
	changes, reason := e.Calls.Ask(sdkcalls.Attempt{ID: id, Whole: true, Body: body, CBOR: kind == typeCBOR, Context: ctx, Delivery: delivery})
	switch {
	case reason != "":
		w.Header().Set("Throughline-Reason", reason)
		http.Error(w, "the body is to be sent as it is: "+reason, http.StatusUnprocessableEntity)
	case len(changes) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, kind, putevents.Apply(body, changes))
	}
}

func answer(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// callID checks the Throughline-Call of a request, which is 32 lower-case hexadecimal
// digits. If ok is false, it has answered the request.
func callID(w http.ResponseWriter, id string) (_ string, ok bool) {
	if !isCallID(id) {
		http.Error(w, errCallID.Error(), http.StatusBadRequest)
		return "", false
	}
	return id, true
}

var errCallID = errors.New("a call's ID is 32 hexadecimal digits")

func isCallID(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

// told is the outcome of a call or an attempt, as the shims write it.
type told struct {
	Outcome    string  `json:"outcome"`
	Stamped    bool    `json:"stamped"`
	Reason     string  `json:"reason"`
	Status     int     `json:"status"`
	Entries    entries `json:"entries"`
	Error      string  `json:"error"`
	Attempts   int     `json:"attempts"`
	Start      int64   `json:"start_unix_nano"`
	End        int64   `json:"end_unix_nano"`
	Invocation string  `json:"invocation_id"`
	Answer     []byte  `json:"answer"` // the response of a new bus, instead of entries and error
}

type entry struct{ EventID, SuccessCode, ErrorCode, SequenceNumber string }

// entries are the results of a request's entries, putevents.MaxEntries at most.
type entries []entry

// UnmarshalJSON implements json.Unmarshaler.
func (e *entries) UnmarshalJSON(list []byte) error {
	for elements := jsonwalk.ElementsOf(list, 0); len(*e) < putevents.MaxEntries && elements.Next(); {
		var one entry
		if err := json.Unmarshal(elements.Value, &one); err != nil {
			return fmt.Errorf("read an entry: %w", err)
		}
		*e = append(*e, one)
	}
	return nil
}

// outcome processes a report of the outcome of a call or an attempt.
func (e *Endpoint) outcome(id string, body []byte) error {
	if !isCallID(id) {
		return errCallID
	}
	var t told
	if err := read(body, &t); err != nil {
		return err
	}
	e.Calls.Report(id, t.asOutcome())
	return nil
}

func (t *told) asOutcome() sdkcalls.Outcome {
	o := sdkcalls.Outcome{
		Kind: sdkcalls.Kind(t.Outcome), Stamped: t.Stamped, Reason: t.Reason, Status: t.Status, Error: t.Error, Attempts: t.Attempts,
		Invocation: t.Invocation, Entries: make([]lineage.Result, len(t.Entries)),
	}
	if t.Start > 0 && t.End >= t.Start {
		o.Start, o.End = time.Unix(0, t.Start), time.Unix(0, t.End)
	}
	switch ok := t.Status < http.StatusBadRequest; {
	case len(t.Answer) > 0 && ok:
		o.Entries = putevents.ResultsCBOR(t.Answer)
		return o
	case len(t.Answer) > 0:
		o.Error = putevents.ErrorCodeCBOR(t.Answer)
	}
	for i, entry := range t.Entries {
		o.Entries[i] = lineage.Result{EventID: entry.EventID, SuccessCode: entry.SuccessCode, ErrorCode: entry.ErrorCode, Sequence: entry.SequenceNumber}
	}
	return o
}
