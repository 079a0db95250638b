package extension

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/tracing"
)

// putEvents is the body of a PutEvents call, and where in it each entry's
// members stand: what is changed is spliced in, and every other byte stays.
type putEvents struct {
	body     []byte
	entries  []located
	endpoint string // EndpointId
}

// located is one entry and the places of the members that a stamp may change.
type located struct {
	entry       tracing.Entry
	end         int // of the entry: after its closing brace
	resources   place
	detail      place
	traceHeader place
	empty       bool
}

// place is where a member's value stands; the zero value is nowhere.
type place struct{ from, to int }

func (p place) there() bool { return p.to > 0 }

var errNotPutEvents = errors.New("the body is no PutEvents request")

// readPutEvents reads a body. The error says that it is to be left as it is.
func readPutEvents(body []byte) (putEvents, error) {
	p := putEvents{body: body}
	sound := utf8.Valid(body)
	m := jsonwalk.MembersOf(body, 0)
	var seen names
	for sound && m.NextKey() {
		sound = seen.first(m.Key)
		switch string(m.Key) {
		case "Entries":
			sound = sound && m.Resume(p.readEntries(m.At))
		case "EndpointId":
			sound = sound && m.Skip() && readString(m.Value, &p.endpoint)
		default:
			sound = sound && m.Skip()
		}
	}
	if !sound || m.After == 0 || jsonwalk.SkipSpace(body, m.After) != len(body) {
		return putEvents{body: body}, errNotPutEvents
	}
	return p, nil
}

// readEntries reads the array of entries at i and returns the index after it,
// below 0 where there is none.
func (p *putEvents) readEntries(i int) int {
	e := jsonwalk.ElementsOf(p.body, i)
	for e.NextAt() {
		entry, ok := readEntry(p.body, e.At)
		if !ok {
			return -1
		}
		p.entries = append(p.entries, entry)
		e.Resume(entry.end)
	}
	if e.After == 0 {
		return -1
	}
	return e.After
}

// readEntry reads the object at i.
func readEntry(body []byte, i int) (e located, ok bool) {
	m := jsonwalk.MembersOf(body, i)
	var seen names
	for ok = true; ok && m.Next(); {
		ok = seen.first(m.Key)
		value, at := m.Value, place{m.At, m.End}
		switch string(m.Key) {
		case "Source":
			ok = ok && readString(value, &e.entry.Source)
		case "DetailType":
			ok = ok && readString(value, &e.entry.DetailType)
		case "EventBusName":
			ok = ok && readString(value, &e.entry.Bus)
		case "Detail":
			// Not a copy: it may be large, and nobody keeps it for longer than the call.
			ok, e.detail = ok && (value[0] == '"' || string(value) == "null"), at
			e.entry.Detail = jsonwalk.View(jsonwalk.Inner(value))
		case "TraceHeader":
			ok, e.traceHeader = ok && readString(value, &e.entry.TraceHeader), at
		case "Resources":
			ok, e.resources = ok && readStrings(value, &e.entry.Resources), at
		case "Time":
			e.entry.HasTime = string(value) != "null"
		}
	}
	e.end, e.empty = m.After, m.Count == 0
	return e, ok && m.After > 0
}

// readString reads a string, or null as an empty one: a copy, because names may
// be kept for longer than the body.
func readString(raw []byte, into *string) bool {
	*into = jsonwalk.Text(raw)
	return raw[0] == '"' || string(raw) == "null"
}

func readStrings(raw []byte, into *[]string) bool {
	if string(raw) == "null" {
		return true
	}
	for e := jsonwalk.ElementsOf(raw, 0); e.Next(); {
		var text string
		if !readString(e.Value, &text) {
			return false
		}
		*into = append(*into, text)
	}
	return raw[0] == '['
}

// names are the keys of an object so far.
type names [][]byte

// mostNames is more than any object of the API has. Each is compared with those
// before it, so their number is bounded.
const mostNames = 64

// first says whether key had not been there, nor too many others.
func (n *names) first(key []byte) bool {
	if len(*n) == mostNames {
		return false
	}
	for _, other := range *n {
		if bytes.Equal(other, key) {
			return false
		}
	}
	if *n == nil {
		*n = make(names, 0, 8)
	}
	*n = append(*n, key)
	return true
}

// with returns the body with the entries as they are to be sent.
func (p putEvents) with(sent []tracing.Entry) ([]byte, error) {
	out := make([]byte, 0, len(p.body)+len(sent)*512)
	at := 0
	splice := func(where place, text []byte) {
		out = append(append(out, p.body[at:where.from]...), text...)
		at = where.to
	}
	for i := range p.entries {
		e, s := &p.entries[i], &sent[i]
		var changes []change
		if !slices.Equal(s.Resources, e.entry.Resources) {
			changes = append(changes, change{"Resources", e.resources, s.Resources})
		}
		if s.Detail != e.entry.Detail {
			changes = append(changes, change{"Detail", e.detail, s.Detail})
		}
		if s.TraceHeader != e.entry.TraceHeader {
			changes = append(changes, change{"TraceHeader", e.traceHeader, s.TraceHeader})
		}
		slices.SortStableFunc(changes, func(a, b change) int { return a.where(e).from - b.where(e).from })
		empty := e.empty
		for _, c := range changes {
			text, err := marshal(c.value)
			if err != nil {
				return nil, err
			}
			if !c.place.there() {
				text = slices.Concat([]byte(`"`+c.name+`":`), text)
				if !empty {
					text = slices.Concat([]byte(","), text)
				}
				empty = false
			}
			splice(c.where(e), text)
		}
	}
	return append(out, p.body[at:]...), nil
}

type change struct {
	name  string
	place place
	value any
}

// where is the place of the value, or before the brace that closes the entry.
func (c change) where(e *located) place {
	if c.place.there() {
		return c.place
	}
	return place{e.end - 1, e.end - 1}
}

// marshal writes text as it is: an escaped < or > would count more bytes for nothing.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readResults reads PutEvents' answer.
func readResults(answer []byte) []tracing.Result {
	var a struct {
		Entries []struct {
			EventID   string `json:"EventId"`
			ErrorCode string
		}
	}
	_ = json.Unmarshal(answer, &a) // what cannot be read is left empty
	results := make([]tracing.Result, len(a.Entries))
	for i, e := range a.Entries {
		results[i] = tracing.Result{EventID: e.EventID, ErrorCode: e.ErrorCode}
	}
	return results
}

// failedAs is the code of an answer that is no success, in AWS's JSON protocol.
func failedAs(header string, answer []byte) string {
	var a struct {
		Type string `json:"__type"`
		Code string `json:"code"`
	}
	_ = json.Unmarshal(answer, &a) // what cannot be read is left empty
	code := either(header, either(a.Type, either(a.Code, "RequestFailed")))
	if i := bytes.IndexByte([]byte(code), ':'); i >= 0 {
		code = code[:i]
	}
	return code[bytes.LastIndexByte([]byte(code), '#')+1:]
}
