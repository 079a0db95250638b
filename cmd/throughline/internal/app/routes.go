package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/eventfile"
	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/stage"
	"github.com/throughline/throughline/internal/lineage"
)

const maxAsked = 64 << 20 // the maximum size of a request in bytes; a replay has many events

// routes returns the handler for requests of the page and of commands.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /app/{$}", page)
	mux.HandleFunc("GET /app/state", a.control.own(a.state))
	for name, do := range map[string]func(r *http.Request, body []byte) (any, error){"send": a.send, "invoke": a.invoke, "fire": a.fire, "replay": a.replay, "faults": a.putFaults} {
		mux.HandleFunc("POST /app/"+name, a.control.own(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked))
			if err != nil {
				refuse(w, http.StatusRequestEntityTooLarge, "the request is larger than 64 MiB")
				return
			}
			a.stage.Look() // what is asked for sees the code as it is now
			out, err := do(r, body)
			if err != nil {
				refuse(w, http.StatusBadRequest, err.Error())
				return
			}
			answer(w, http.StatusOK, out)
		}))
	}
	return mux
}

// asked is a request to send events: a text with events, or a type with members of the
// detail. Bus and Source replace those of the events.
type asked struct {
	Event  string         `json:"event,omitempty"`
	Type   string         `json:"type,omitempty"`
	Detail map[string]any `json:"detail,omitempty"`
	Bus    string         `json:"bus,omitempty"`
	Source string         `json:"source,omitempty"`
}

// sentEvent is the result of sending an event.
type sentEvent struct {
	ID            string   `json:"id"`
	Bus           string   `json:"bus"`
	Type          string   `json:"type"`
	CorrelationID string   `json:"correlation_id"`
	Rules         []string `json:"rules"`
	Near          string   `json:"near,omitempty"`
	// Sample is the detail where dev has made it.
	Sample json.RawMessage `json:"sample,omitempty"`
}

func (a *App) send(_ *http.Request, body []byte) (any, error) {
	var in asked
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var events []eventfile.Event
	if in.Event != "" {
		read, err := eventfile.Read(bytes.NewReader([]byte(in.Event)))
		if err != nil {
			return nil, err
		}
		events = read
		for i := range events { // sent as new events, not replayed
			events[i].ID, events[i].Replay, events[i].Time = "", "", time.Time{}
		}
	} else {
		e, ok := eventfile.Sample(a.stage.Rules(), in.Type, in.Detail)
		if !ok {
			return nil, errors.New("no rule names the detail-type " + in.Type + ": send a file with the event, or one of " + join(a.types()))
		}
		events = []eventfile.Event{e}
	}
	var out []sentEvent
	for _, e := range events {
		e.Bus, e.Source = cmp.Or(in.Bus, e.Bus), cmp.Or(in.Source, e.Source)
		one, err := a.put(e)
		if err != nil {
			return nil, err
		}
		if in.Event == "" {
			one.Sample = e.Detail
		}
		out = append(out, one)
	}
	return out, nil
}

// put sends one event.
func (a *App) put(e eventfile.Event) (sentEvent, error) {
	sent, err := a.stage.Send(e)
	if err != nil {
		return sentEvent{}, err
	}
	one := sentEvent{ID: sent.ID, Bus: sent.Bus, Type: e.DetailType, Rules: sent.Rules, Near: sent.Near, CorrelationID: sent.ID}
	if read := lineage.NewReader(lineage.Config{}).Read(sent.Envelope).Events; len(read) > 0 {
		one.CorrelationID = cmp.Or(read[0].Lineage.CorrelationID, sent.ID)
	}
	return one, nil
}

// replayed is the result of a replay.
type replayed struct {
	Events  int    `json:"events"`
	Matched int    `json:"matched"`
	Left    int    `json:"left,omitempty"` // events of buses that the application does not have
	Why     string `json:"why,omitempty"`
}

func (a *App) replay(r *http.Request, body []byte) (any, error) {
	events, err := eventfile.Read(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	name := cmp.Or(r.URL.Query().Get("name"), "dev")
	matched, left := 0, 0
	var noBus error
	for _, e := range events {
		e.Replay = name
		one, err := a.put(e)
		if errors.Is(err, stage.ErrNoBus) { // dev keeps the events of each application that it played at a port
			noBus = err
			left++
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(one.Rules) > 0 {
			matched++
		}
	}
	if left == len(events) {
		return nil, noBus
	}
	out := replayed{Events: len(events) - left, Matched: matched, Left: left}
	if left > 0 {
		out.Why = noBus.Error()
	}
	return out, nil
}

// invocation is the result of an invocation.
type invocation struct {
	RequestID     string          `json:"request_id"`
	FunctionError string          `json:"function_error,omitempty"`
	Payload       json.RawMessage `json:"payload,omitempty"`
}

func (a *App) invoke(r *http.Request, body []byte) (any, error) {
	name, async := r.URL.Query().Get("function"), r.URL.Query().Get("async") == "true"
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) {
		return nil, errors.New("the payload is not JSON")
	}
	result, err := a.stage.Invoke(r.Context(), name, body, async)
	out := invocation{result.RequestID, result.FunctionError, result.Payload}
	if !json.Valid(out.Payload) && !async {
		out.Payload, _ = json.Marshal(string(result.Payload)) // strings always marshal
	}
	return out, err
}

func (a *App) fire(r *http.Request, _ []byte) (any, error) {
	name := r.URL.Query().Get("schedule")
	return map[string]string{"fired": name}, a.stage.Fire(r.Context(), name)
}

// putFaults replaces the faults by those of a JSON array.
func (a *App) putFaults(_ *http.Request, body []byte) (any, error) {
	var texts []string
	if err := json.Unmarshal(body, &texts); err != nil {
		return nil, err
	}
	rules, err := parseFaults(texts)
	if err != nil {
		return nil, err
	}
	if err := a.strikes(rules); err != nil {
		return nil, err
	}
	a.faults.Put(rules)
	return a.faults.Rules(), nil
}

// types returns the detail-types that rules name, in order.
func (a *App) types() []string {
	var types []string
	for _, r := range a.stage.Rules() {
		var pattern struct {
			Types []any `json:"detail-type"`
		}
		if json.Unmarshal([]byte(r.Pattern), &pattern) != nil {
			continue
		}
		for _, t := range pattern.Types {
			if text, ok := t.(string); ok && !slices.Contains(types, text) {
				types = append(types, text)
			}
		}
	}
	return types
}

func join(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	var b bytes.Buffer
	for i, item := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(item)
	}
	return b.String()
}

// state serves what the page shows. An empty list is [], never null, because the page
// appends to it.
func (a *App) state(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	lines, total := a.log.lines.after(after)
	types := []map[string]any{}
	for _, t := range a.types() {
		if e, ok := eventfile.Sample(a.stage.Rules(), t, nil); ok {
			types = append(types, map[string]any{"type": t, "bus": e.Bus, "source": e.Source, "detail": e.Detail})
		}
	}
	schedules := []string{}
	for _, one := range a.plan.Schedules {
		schedules = append(schedules, one.Name)
	}
	notes := append(append([]string{}, a.plan.Notes...), slices.Concat(a.stage.Notes(), a.refused())...)
	answer(w, http.StatusOK, map[string]any{
		"template": a.path, "changed": a.files.news(), "functions": a.stage.Functions(), "queues": a.stage.Queues(), "bus": a.stage.Bus(), "waiting": a.stage.Waiting(), "types": types, "schedules": schedules, "faults": a.faults.Rules(), "kinds": faults.Kinds(),
		"not_played": notPlayed(a.plan), "notes": notes, "log": lines, "lines": total,
	})
}
