package otlp

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"github.com/throughline/throughline/internal/protowire"
)

// wireField describes the required encoding of a field. The zero value is an
// unknown field, with any encoding.
type wireField struct {
	known bool
	kind  protowire.Type
	text  bool         // a string: UTF-8
	size  int          // of an ID, in bytes; 0 for any
	empty bool         // the ID may be empty
	parts *wireMessage // nil: not a message
}

// wireMessage has the fields of a message by number. No number is above maxField.
type wireMessage struct {
	fields [maxField + 1]wireField
	needed uint32 // the numbers of the required fields, as bits
}

const maxField = 16

// wireRequest is ExportTraceServiceRequest of opentelemetry-proto 1.x, with the
// fields that backends validate. It is created at its first use, so that it does
// not delay the start of a program.
var wireRequest = sync.OnceValue(func() *wireMessage {
	number := wireField{known: true, kind: protowire.VarintType}
	fixed32, fixed64 := wireField{known: true, kind: protowire.Fixed32Type}, wireField{known: true, kind: protowire.Fixed64Type}
	text := wireField{known: true, kind: protowire.BytesType, text: true}
	data := wireField{known: true, kind: protowire.BytesType}
	id := func(size int, empty bool) wireField {
		return wireField{known: true, kind: protowire.BytesType, size: size, empty: empty}
	}
	of := func(m *wireMessage) wireField { return wireField{known: true, kind: protowire.BytesType, parts: m} }
	message := func(fields map[protowire.Number]wireField) *wireMessage {
		m := &wireMessage{}
		for number, f := range fields {
			if m.fields[number] = f; f.size > 0 && !f.empty {
				m.needed |= 1 << number
			}
		}
		return m
	}
	value := &wireMessage{}
	pair := message(map[protowire.Number]wireField{1: text, 2: of(value)})
	*value = *message(map[protowire.Number]wireField{
		1: text, 2: number, 3: number, 4: fixed64, 7: data,
		5: of(message(map[protowire.Number]wireField{1: of(value)})), 6: of(message(map[protowire.Number]wireField{1: of(pair)})),
	})
	event := message(map[protowire.Number]wireField{1: fixed64, 2: text, 3: of(pair), 4: number})
	link := message(map[protowire.Number]wireField{1: id(16, false), 2: id(8, false), 3: text, 4: of(pair), 5: number, 6: fixed32})
	status := message(map[protowire.Number]wireField{2: text, 3: number})
	span := message(map[protowire.Number]wireField{
		spanTraceID: id(16, false), spanSpanID: id(8, false), spanTraceState: text, spanParent: id(8, true), spanName: text, spanKind: number,
		spanStart: fixed64, spanEnd: fixed64, spanAttributes: of(pair), 10: number, spanEvents: of(event), 12: number, spanLinks: of(link),
		spanDroppedLinks: number, spanStatus: of(status), spanFlags: fixed32,
	})
	scope := message(map[protowire.Number]wireField{1: text, 2: text, 3: of(pair), 4: number})
	scopeSpans := message(map[protowire.Number]wireField{scopeSpansScope: of(scope), scopeSpansSpans: of(span), 3: text})
	resource := message(map[protowire.Number]wireField{1: of(pair), 2: number})
	resourceSpans := message(map[protowire.Number]wireField{resourceSpansResource: of(resource), resourceSpansScope: of(scopeSpans), 3: text})
	return message(map[protowire.Number]wireField{requestResourceSpans: of(resourceSpans)})
})

// Clean returns a request that a backend accepts completely: U+FFFD replaces
// invalid UTF-8 in strings, and malformed spans, links, events and attributes are
// removed, so that they do not affect others. A valid request is returned
// unchanged. dropped is the number of removed spans. The error is ErrMalformed if
// the request cannot be split into spans.
func Clean(request []byte) (clean []byte, dropped int, err error) {
	if wireRequest().sound(request, 0) {
		return request, 0, nil
	}
	before, err := CountSpans(request)
	if err != nil {
		return nil, 0, err
	}
	clean, ok := wireRequest().clean(make([]byte, 0, len(request)), request, 0)
	if !ok {
		return nil, 0, ErrMalformed
	}
	after, err := CountSpans(clean)
	return clean, before - after, err
}

// next parses the next field of a message. ok is false if that is not possible, or
// if the encoding of a known field is wrong.
func (m *wireMessage) next(message []byte) (number protowire.Number, f *wireField, value []byte, n int, ok bool) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 || kind == protowire.StartGroupType || kind == protowire.EndGroupType {
		return 0, nil, nil, 0, false
	}
	f = &unknownField
	if number <= maxField {
		f = &m.fields[number]
	}
	if f.known && kind != f.kind {
		return 0, nil, nil, 0, false
	}
	size := 0
	if kind == protowire.BytesType {
		value, size = protowire.ConsumeBytes(message[n:])
	} else {
		size = protowire.ConsumeFieldValue(number, kind, message[n:])
	}
	if size < 0 || f.size > 0 && len(value) != f.size && (!f.empty || len(value) > 0) {
		return 0, nil, nil, 0, false
	}
	return number, f, value, n + size, true
}

var unknownField wireField

// sound reports whether a message needs no cleaning.
func (m *wireMessage) sound(message []byte, depth int) bool {
	if depth > maxDepth {
		return false
	}
	missing := m.needed
	for len(message) > 0 {
		number, f, value, n, ok := m.next(message)
		if !ok || f.text && !utf8.Valid(value) || f.parts != nil && !f.parts.sound(value, depth+1) {
			return false
		}
		missing &^= 1 << min(number, maxField+1)
		message = message[n:]
	}
	return missing == 0
}

// clean appends a message to out without its malformed parts. ok is false if the
// message itself is malformed.
func (m *wireMessage) clean(out, message []byte, depth int) (_ []byte, ok bool) {
	if depth > maxDepth {
		return out, false
	}
	missing := m.needed
	for len(message) > 0 {
		number, f, value, n, ok := m.next(message)
		switch {
		case !ok:
			return out, false
		case f.parts != nil:
			start := len(out)
			grown, at := open(out, number)
			if grown, ok = f.parts.clean(grown, value, depth+1); ok {
				out = shut(grown, at)
			} else {
				out = grown[:start]
			}
		case f.text && !utf8.Valid(value):
			out = appendMessage(out, number, bytes.ToValidUTF8(value, []byte("\uFFFD")))
		default:
			out = append(out, message[:n]...)
		}
		missing &^= 1 << min(number, maxField+1)
		message = message[n:]
	}
	return out, missing == 0
}
