package shims

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline/throughline/extension/internal/sdkcalls"
	"github.com/throughline/throughline/extension/internal/server"
)

// taking processes a report. trace is Lambda's X-Ray header as the sender has it. The
// error says what is wrong with the report.
type taking func(trace string, body []byte) error

// report returns the function that processes reports to a path, nil if there is none.
func (e *Endpoint) report(path string) taking {
	call, isOutcome := strings.CutPrefix(path, "events/")
	switch {
	case isOutcome:
		return func(_ string, body []byte) error { return e.outcome(call, body) }
	case path == "outbound":
		return e.outbound
	case path == "hops":
		return e.hops
	default:
		return nil
	}
}

// Line processes a report that a shim wrote into the pipe. A line is the part of the
// path after Prefix with the query, a space, and the body that the request would
// have. Line drops an invalid report, because its sender gets no answer.
func (e *Endpoint) Line(line []byte) {
	target, body, _ := strings.Cut(string(line), " ")
	path, query, _ := strings.Cut(target, "?")
	values, _ := url.ParseQuery(query) // parameters that cannot be read are left out
	if path == "events" {
		e.unasked(values, []byte(body))
	} else if take := e.report(path); take != nil {
		_ = take(values.Get("trace"), []byte(body))
	}
}

// unasked records the body of a call, or of an attempt, that is sent unchanged: the
// shim did not ask for changes, or got no answer in time.
func (e *Endpoint) unasked(about url.Values, body []byte) {
	id := about.Get("call")
	if !isCallID(id) {
		return
	}
	ctx, delivery := e.publishing(about.Get("trace"), "")
	attempt := sdkcalls.Attempt{ID: id, Invocation: invocation(about.Get("invocation")), Whole: !about.Has("attempts"), Body: body, Raw: sdkcalls.ReasonUnasked, Context: ctx, Delivery: delivery}
	attempt.Number, attempt.Max = attempts(about.Get("attempts"))
	_, _ = e.Calls.Ask(attempt)
}

// attempts reads the header amz-sdk-request of SDK v3 for Node.js. Versions of 2023 make
// one attempt more than the maximum in it.
func attempts(header string) (number, most int) {
	if number, most = sdkcalls.Attempts(header); most > 0 {
		most++
	}
	return number, most
}

// reported processes a report that a shim sent as an HTTP request.
func (e *Endpoint) reported(w http.ResponseWriter, r *http.Request, take taking) {
	if !server.Accepts(w, r, "application/json") {
		return
	}
	body, release, ok := e.read(w, r, maxReport)
	if !ok {
		return
	}
	defer release()
	if err := take(r.URL.Query().Get("trace"), body); err != nil {
		w.Header().Set("Throughline-Reason", "report") // shows a shim that an extension answered
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// read reads the JSON of a report.
func read(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return errors.New("the body is not the JSON that this request takes")
	}
	return nil
}
