package extension

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

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
	r := placeReader{json.NewDecoder(bytes.NewReader(body))}
	out := putEvents{body: body}
	err := r.object(func(key string) error {
		switch key {
		case "Entries":
			return r.list(func() error {
				e, err := r.entry()
				out.entries = append(out.entries, e)
				return err
			})
		case "EndpointId":
			return r.text(&out.endpoint)
		default:
			_, err := r.skip()
			return err
		}
	})
	if err == nil {
		if _, more := r.Token(); more != io.EOF { //nolint:errorlint // the decoder returns io.EOF itself
			err = errNotPutEvents
		}
	}
	return out, err
}

// placeReader is a decoder that knows where values stand.
type placeReader struct{ *json.Decoder }

func (r placeReader) expect(wanted json.Delim) error {
	token, err := r.Token()
	if err != nil {
		return err
	}
	if token != wanted {
		return errNotPutEvents
	}
	return nil
}

// object visits the members of an object; each key at most once.
func (r placeReader) object(visit func(key string) error) error {
	if err := r.expect('{'); err != nil {
		return err
	}
	seen := make([]string, 0, 8)
	for r.More() {
		token, err := r.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if slices.Contains(seen, key) {
			return fmt.Errorf("%w: %s stands there twice", errNotPutEvents, key)
		}
		seen = append(seen, key)
		if err := visit(key); err != nil {
			return err
		}
	}
	return r.expect('}')
}

func (r placeReader) list(visit func() error) error {
	if err := r.expect('['); err != nil {
		return err
	}
	for r.More() {
		if err := visit(); err != nil {
			return err
		}
	}
	return r.expect(']')
}

// skip reads a value and says where it stands.
func (r placeReader) skip() (place, error) {
	var raw json.RawMessage
	if err := r.Decode(&raw); err != nil {
		return place{}, err
	}
	end := int(r.InputOffset())
	return place{end - len(raw), end}, nil
}

func (r placeReader) text(into *string) error {
	var value *string
	if err := r.Decode(&value); err != nil {
		return err
	}
	if value != nil {
		*into = *value
	}
	return nil
}

func (r placeReader) entry() (e located, err error) {
	e.empty = true
	err = r.object(func(key string) error {
		e.empty = false
		switch key {
		case "Source":
			return r.text(&e.entry.Source)
		case "DetailType":
			return r.text(&e.entry.DetailType)
		case "EventBusName":
			return r.text(&e.entry.Bus)
		case "Detail":
			return r.placed(&e.detail, &e.entry.Detail)
		case "TraceHeader":
			return r.placed(&e.traceHeader, &e.entry.TraceHeader)
		case "Resources":
			return r.placed(&e.resources, &e.entry.Resources)
		case "Time":
			p, err := r.skip()
			e.entry.HasTime = p.to-p.from > len("null") || p.to-p.from == 0
			return err
		default:
			_, err := r.skip()
			return err
		}
	})
	e.end = int(r.InputOffset())
	return e, err
}

// placed reads a value and keeps its place.
func (r placeReader) placed(p *place, into any) error {
	var raw json.RawMessage
	if err := r.Decode(&raw); err != nil {
		return err
	}
	p.to = int(r.InputOffset())
	p.from = p.to - len(raw)
	return json.Unmarshal(raw, into)
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
