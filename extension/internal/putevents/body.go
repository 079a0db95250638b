// Package putevents reads PutEvents requests and responses in place, and
// replaces changed entries in a request: no other byte changes. Requests to
// classic buses are JSON. Requests to the new custom buses, including
// PutRawEvents, are CBOR.
package putevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// Copies is how many copies of a body are held while it is stamped: the original,
// one with unescaped details, and, by some callers, the changed body.
const Copies = 3

// MaxEntries is how many entries of a request are read. EventBridge accepts 10 on
// a classic bus, and 100 on a new one.
const MaxEntries = 100

// Target is the X-Amz-Target of PutEvents on a classic bus.
const Target = "AWSEvents.PutEvents"

// NewBusPath is the prefix of the paths of the new custom buses' operations.
const NewBusPath = "/service/AWSEventsV2/operation/"

// Recognise reports whether a POST request puts events (ok), and whether it does so
// on a new bus, in CBOR (cbor). header returns the value of a header by its name in
// lower case, empty if there is none.
func Recognise(path string, header func(name string) string) (cbor, ok bool) {
	switch path {
	case "/":
		return false, header("x-amz-target") == Target
	case NewBusPath + "PutEvents", NewBusPath + "PutRawEvents":
		return true, header("smithy-protocol") == "rpc-v2-cbor"
	}
	return false, false
}

// Body is the body of a PutEvents request, with the places of the members of each
// entry. It aliases the bytes that it was read from.
type Body struct {
	// EndpointID is the EndpointId of a request to a classic bus, empty if it has
	// none.
	EndpointID string
	// Bus is the EventBusArn of a request to a new bus.
	Bus string

	body    []byte
	entries []located
	cbor    bool
}

// Entries returns the request's entries. Their details may alias the body.
func (p *Body) Entries() []lineage.Entry {
	entries := make([]lineage.Entry, len(p.entries))
	for i := range p.entries {
		entries[i] = p.entries[i].entry
	}
	return entries
}

// located is one entry and the places of the members that a stamp may change.
type located struct {
	entry       lineage.Entry
	end         int // offset after the entry's closing brace
	resources   place
	detail      place
	traceHeader place
	empty       bool
	packed      *packed // only of a body in CBOR
}

// place is the place of a member's value; the zero value means no such member.
type place struct{ from, to int }

func (p place) there() bool { return p.to > 0 }

// The errors of [Read] and [ReadCBOR]. The body must be sent unchanged.
var (
	ErrMalformed = errors.New("the body is no PutEvents request")
	ErrTooMany   = errors.New("the request has more entries than are read")
)

// Read reads a body. The error is ErrMalformed or ErrTooMany.
func Read(body []byte) (Body, error) {
	p := Body{body: body}
	sound := utf8.Valid(body)
	m := jsonwalk.MembersOf(body, 0)
	var seen names
	for sound && m.NextKey() {
		sound = seen.first(m.Key)
		switch string(m.Key) {
		case "Entries":
			sound = sound && m.Resume(p.readEntries(m.At))
		case "EndpointId":
			sound = sound && m.Skip() && readString(m.Value, &p.EndpointID)
		default:
			sound = sound && m.Skip()
		}
	}
	if len(p.entries) > MaxEntries {
		return Body{body: body}, ErrTooMany
	}
	if !sound || m.After == 0 || jsonwalk.SkipSpace(body, m.After) != len(body) {
		return Body{body: body}, ErrMalformed
	}
	return p, nil
}

// readEntries reads the array of entries at i and returns the index after it, -1
// if there is no array or it has too many entries.
func (p *Body) readEntries(i int) int {
	e := jsonwalk.ElementsOf(p.body, i)
	for e.NextAt() {
		entry, ok := readEntry(p.body, e.At)
		if !ok {
			return -1
		}
		if p.entries = append(p.entries, entry); len(p.entries) > MaxEntries {
			return -1
		}
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
			// Not a copy: a detail may be large, and is not kept after the call.
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

// maxName bounds every string but the detail, in bytes of its JSON or CBOR form. The
// strings that EventBridge accepts are shorter.
const maxName = 16 << 10

// readString reads a string, or null as an empty one. It copies, because names may
// be kept longer than the body.
func readString(raw []byte, into *string) bool {
	if len(raw) > maxName {
		return false
	}
	*into = jsonwalk.Text(raw)
	return raw[0] == '"' || string(raw) == "null"
}

// maxResources bounds the resources of an entry. An entry with so many ARNs exceeds
// EventBridge's size limit; its request is sent unchanged.
const maxResources = 10_000

func readStrings(raw []byte, into *[]string) bool {
	if string(raw) == "null" {
		return true
	}
	for e := jsonwalk.ElementsOf(raw, 0); e.Next(); {
		var text string
		if !readString(e.Value, &text) || len(*into) == maxResources {
			return false
		}
		*into = append(*into, text)
	}
	return raw[0] == '['
}

// names are the keys of an object that were read so far.
type names [][]byte

// mostNames bounds the keys of an object, because each is compared with all before
// it. No object of the API has as many.
const mostNames = 64

// first adds key. It returns false if key was there already, or if there are too
// many keys.
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

// Change replaces Removed bytes of a body at the offset At by Text.
type Change struct {
	At, Removed int
	Text        []byte
}

// Apply returns a copy of body with changes. The changes must be sorted by offset and
// must not overlap.
func Apply(body []byte, changes []Change) []byte {
	size := len(body)
	for i := range changes {
		size += len(changes[i].Text) - changes[i].Removed
	}
	out := make([]byte, 0, size)
	at := 0
	for _, c := range changes {
		out = append(append(out, body[at:c.At]...), c.Text...)
		at = c.At + c.Removed
	}
	return append(out, body[at:]...)
}

// With returns the changes from the body's entries to sent. sent must have as many
// entries, and may differ only in resources, detail and trace header.
func (p *Body) With(sent []lineage.Entry) ([]Change, error) {
	if p.cbor {
		return p.withCBOR(sent), nil
	}
	var changes []Change
	for i := range p.entries {
		e, s := &p.entries[i], &sent[i]
		var members []member
		if !slices.Equal(s.Resources, e.entry.Resources) {
			members = append(members, member{"Resources", e.resources, s.Resources})
		}
		if s.Detail != e.entry.Detail {
			members = append(members, member{"Detail", e.detail, s.Detail})
		}
		if s.TraceHeader != e.entry.TraceHeader {
			members = append(members, member{"TraceHeader", e.traceHeader, s.TraceHeader})
		}
		slices.SortStableFunc(members, func(a, b member) int { return a.where(e).from - b.where(e).from })
		empty := e.empty
		for _, m := range members {
			text, err := marshal(m.value)
			if err != nil {
				return nil, err
			}
			if !m.place.there() {
				text = slices.Concat([]byte(`"`+m.name+`":`), text)
				if !empty {
					text = slices.Concat([]byte(","), text)
				}
				empty = false
			}
			where := m.where(e)
			changes = append(changes, Change{At: where.from, Removed: where.to - where.from, Text: text})
		}
	}
	return changes, nil
}

// member is a member of an entry whose value is changed.
type member struct {
	name  string
	place place
	value any
}

// where returns the place of the value. If the entry has no such member, it is the
// empty place before the entry's closing brace.
func (m member) where(e *located) place {
	if m.place.there() {
		return m.place
	}
	return place{e.end - 1, e.end - 1}
}

// marshal does not escape < and >, because escaping adds to the size of the entry.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
