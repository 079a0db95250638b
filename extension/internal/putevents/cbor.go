package putevents

import (
	"unicode/utf8"

	"github.com/throughline/throughline/internal/cborwalk"
	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// packed has the places of the members of an entry in a CBOR body.
type packed struct {
	members   cborwalk.Members  // the walk over the entry, at its end
	carrier   place             // the place of Resources or Metadata
	resources cborwalk.Elements // the walk over Resources, at its end
	metadata  cborwalk.Members  // the walk over Metadata, at its end
	carried   []carried         // the members of Metadata that carry lineage
	detail    place             // the place of Detail or Data
	body      []byte
}

// carried is a member of Metadata that carries lineage: the offset of its key, the
// place of its value, and the equivalent line of Resources.
type carried struct {
	from  int
	value place
	line  string
}

// ReadCBOR reads the body of PutEvents or PutRawEvents of the new custom buses
// (EventBridgeV2 API reference; protocol smithy-rpc-v2-cbor). It determines the
// operation from the members of an entry. The error is ErrMalformed or ErrTooMany.
func ReadCBOR(body []byte) (Body, error) {
	p := Body{body: body, cbor: true}
	sound, contentBased := true, false
	m := cborwalk.MembersOf(body, 0)
	var seen names
	for sound && m.NextKey() {
		sound = seen.first(m.Key)
		switch string(m.Key) {
		case "Entries":
			sound = sound && m.Resume(p.readPacked(m.At))
		case "EventBusArn":
			sound = sound && m.Skip() && readText(m.Value, &p.Bus)
		case "DeduplicationConfiguration":
			sound = sound && m.Skip()
			contentBased = sound && !cborwalk.IsNull(m.Value)
		default:
			sound = sound && m.Skip()
		}
	}
	if len(p.entries) > MaxEntries {
		return Body{body: body}, ErrTooMany
	}
	if !sound || m.After == 0 || m.After != len(body) {
		return Body{body: body}, ErrMalformed
	}
	for i := range p.entries {
		p.entries[i].entry.Bus, p.entries[i].entry.ContentBased = p.Bus, contentBased
	}
	return p, nil
}

// readPacked reads the list of entries at i and returns the index after it, -1 if
// there is no list or it has too many entries.
func (p *Body) readPacked(i int) int {
	e := cborwalk.ElementsOf(p.body, i)
	for e.NextAt() {
		entry, ok := readPackedEntry(p.body, e.At)
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

// readPackedEntry reads the map at i.
func readPackedEntry(body []byte, i int) (e located, ok bool) {
	p := &packed{}
	raw, structured, contentType := false, false, ""
	var data []byte
	m := cborwalk.MembersOf(body, i)
	var seen names
	for ok = true; ok && m.Next(); {
		ok = seen.first(m.Key)
		value, at := m.Value, place{m.At, m.End}
		switch string(m.Key) {
		case "Source":
			ok, structured = ok && readText(value, &e.entry.Source), true
		case "DetailType":
			ok, structured = ok && readText(value, &e.entry.DetailType), true
		case "Detail":
			// Not a copy: a detail may be large, and is not kept after the call.
			detail, sound := stringOf(value, cborwalk.Text)
			ok, structured, p.detail = ok && sound && utf8.Valid(detail), true, at
			e.entry.Detail = jsonwalk.View(detail)
		case "Resources":
			p.resources = cborwalk.ElementsOf(body, m.At)
			ok, structured, p.carrier = ok && readTexts(&p.resources, value, &e.entry.Resources), true, at
		case "Time":
			e.entry.HasTime = !cborwalk.IsNull(value)
			structured = structured || e.entry.HasTime
		case "Data":
			var sound bool
			data, sound = stringOf(value, cborwalk.Bytes)
			ok, raw, p.detail = ok && sound, true, at
		case "Metadata":
			p.metadata = cborwalk.MembersOf(body, m.At)
			ok, raw, p.carrier = ok && p.readMetadata(&e.entry, value), true, at
		case "SystemMetadata":
			ok = ok && readSystem(value, &e.entry.Group, &contentType)
		}
	}
	e.end, e.packed, p.members = m.After, p, m
	if !ok || m.After == 0 || raw && structured {
		return e, false
	}
	e.entry.Operation = lineage.PutEvents
	if raw {
		e.entry.Operation = lineage.PutRawEvents
		if contentType == "application/json" && utf8.Valid(data) {
			e.entry.Detail = jsonwalk.View(data)
		} else {
			e.entry.DataSize = len(data)
		}
	}
	return e, true
}

// stringOf returns the content of a text or byte string, nil if the value is null.
func stringOf(value []byte, major cborwalk.Major) (s []byte, ok bool) {
	if cborwalk.IsNull(value) {
		return nil, true
	}
	h, _ := cborwalk.HeadAt(value, 0)
	s, ok = cborwalk.StringOf(value)
	return s, ok && h.Major == major
}

// readText reads a text string, or null as an empty one. It copies, because names may
// be kept longer than the body.
func readText(value []byte, into *string) bool {
	text, ok := stringOf(value, cborwalk.Text)
	if !ok || len(text) > maxName || !utf8.Valid(text) {
		return false
	}
	*into = string(text)
	return true
}

// readTexts reads the list of e, or null as an empty one.
func readTexts(e *cborwalk.Elements, value []byte, into *[]string) bool {
	if cborwalk.IsNull(value) {
		return true
	}
	for e.Next() {
		var text string
		if !readText(e.Value, &text) || len(*into) == maxResources {
			return false
		}
		*into = append(*into, text)
	}
	return e.After > 0
}

// readMetadata reads the map of metadata, or null as an empty one. A duplicate key of
// lineage makes it malformed.
func (p *packed) readMetadata(e *lineage.Entry, value []byte) bool {
	if cborwalk.IsNull(value) {
		return true
	}
	m := &p.metadata
	var fields names
	from := m.End
	for m.Next() {
		text, ok := stringOf(m.Value, cborwalk.Text)
		if e.Metadata.Keys == maxResources || !ok {
			return false
		}
		e.Metadata.Keys++
		e.Metadata.Bytes += len(m.Key) + len(text)
		if line, ours := lineage.MetadataLine(string(m.Key), string(text)); ours && len(text) <= maxName {
			if !fields.first(m.Key) {
				return false
			}
			p.carried = append(p.carried, carried{from, place{m.At, m.End}, line})
			e.Resources = append(e.Resources, line)
		}
		from = m.End
	}
	return m.After > 0
}

// readSystem reads the group and the content type in a SystemMetadata, if it has them.
func readSystem(value []byte, group, contentType *string) bool {
	if cborwalk.IsNull(value) {
		return true
	}
	m := cborwalk.MembersOf(value, 0)
	for m.Next() {
		switch string(m.Key) {
		case "EventGroupId":
			if !readText(m.Value, group) {
				return false
			}
		case "ContentType":
			if !readText(m.Value, contentType) {
				return false
			}
		}
	}
	return m.After > 0
}
