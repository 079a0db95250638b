package otlp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/protowire"
)

// ErrMalformed is returned for bytes that are not a protobuf message.
var ErrMalformed = errors.New("malformed protobuf")

// fields calls visit with each field of a message. A length-delimited or fixed
// value is passed as bytes, which alias message; a varint as a number.
func fields(message []byte, visit func(field protowire.Number, kind protowire.Type, value []byte, number uint64) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return ErrMalformed
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type, protowire.Fixed64Type:
			n = 4
			if kind == protowire.Fixed64Type {
				n = 8
			}
			if len(message) < n {
				return ErrMalformed
			}
			value = message[:n]
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return ErrMalformed
		}
		message = message[n:]
		if err := visit(field, kind, value, number); err != nil {
			return err
		}
	}
	return nil
}

// each calls visit with every message of one length-delimited field.
func each(message []byte, wanted protowire.Number, visit func([]byte) error) error {
	return fields(message, func(field protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if field != wanted || kind != protowire.BytesType {
			return nil
		}
		return visit(value)
	})
}

// eachSpan calls visit with the bytes of every span of a request.
func eachSpan(request []byte, visit func(span []byte) error) error {
	return each(request, requestResourceSpans, func(resource []byte) error {
		return each(resource, resourceSpansScope, func(scope []byte) error {
			return each(scope, scopeSpansSpans, visit)
		})
	})
}

// CountSpans returns the number of spans in an ExportTraceServiceRequest. The error
// is ErrMalformed.
func CountSpans(request []byte) (int, error) {
	n := 0
	err := eachSpan(request, func([]byte) error { n++; return nil })
	return n, err
}

// Found is a span that Find returns.
type Found struct {
	TraceID    trace.TraceID
	SpanID     trace.SpanID
	ParentID   trace.SpanID // zero for a root
	Start, End time.Time
	Sampled    bool
	Texts      []string // values of the requested keys, in their order; "" if there is none
}

// Find returns the spans of a request that have a string attribute with the first of keys.
func Find(request []byte, keys ...string) []Found {
	if len(keys) == 0 {
		return nil
	}
	var all []Found
	wanted := []byte(keys[0])
	if !bytes.Contains(request, wanted) { // most requests: no need to parse them
		return nil
	}
	_ = eachSpan(request, func(span []byte) error { // spans after a malformed part are ignored
		if !bytes.Contains(span, wanted) {
			return nil
		}
		found := Found{Texts: make([]string, len(keys))}
		err := fields(span, func(field protowire.Number, kind protowire.Type, data []byte, _ uint64) error {
			switch {
			case field == spanTraceID && len(data) == 16:
				found.TraceID = trace.TraceID(data)
			case field == spanSpanID && len(data) == 8:
				found.SpanID = trace.SpanID(data)
			case field == spanParent && len(data) == 8 && kind == protowire.BytesType:
				found.ParentID = trace.SpanID(data)
			case field == spanStart && kind == protowire.Fixed64Type:
				found.Start = time.Unix(0, int64(binary.LittleEndian.Uint64(data)))
			case field == spanEnd && kind == protowire.Fixed64Type:
				found.End = time.Unix(0, int64(binary.LittleEndian.Uint64(data)))
			case field == spanFlags && kind == protowire.Fixed32Type:
				found.Sampled = data[0]&1 == 1
			case field == spanAttributes && kind == protowire.BytesType:
				readText(data, keys, found.Texts)
			}
			return nil
		})
		if err == nil && found.Texts[0] != "" {
			all = append(all, found)
		}
		return err
	})
	return all
}

// maxText limits the length of the values that are found, which are mostly IDs. A
// longer value is ignored.
const maxText = 1 << 10

// readText reads the string value of a KeyValue whose key is one of keys.
func readText(pair []byte, keys, texts []string) {
	at, text := -1, ""
	_ = fields(pair, func(field protowire.Number, _ protowire.Type, data []byte, _ uint64) error { // a malformed KeyValue is ignored
		switch field {
		case 1:
			for i, key := range keys {
				if string(data) == key {
					at = i
				}
			}
		case 2:
			return fields(data, func(inner protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
				if inner == 1 && kind == protowire.BytesType && len(value) <= maxText {
					text = string(value)
				}
				return nil
			})
		}
		return nil
	})
	if at >= 0 {
		texts[at] = text
	}
}

// Split splits a request into requests of at most maxSpans spans and, as far as the
// sizes of single spans and of their resource allow, maxBytes bytes. It creates one
// piece at a time and calls visit with it. A request within both limits is passed on
// unchanged. Spans keep their order, resource and scope. The attributes of a resource
// are repeated in each of its pieces: if they are large, the resource is not split by
// bytes, because that would multiply the size of the request. The error is
// ErrMalformed.
func Split(request []byte, maxBytes, maxSpans int, visit func(piece []byte)) error {
	n, err := CountSpans(request)
	if err != nil {
		return err
	}
	if len(request) <= maxBytes && n <= maxSpans {
		visit(request)
		return nil
	}
	s := splitter{maxBytes: maxBytes, maxSpans: maxSpans, visit: visit}
	if err := each(request, requestResourceSpans, s.resource); err != nil {
		return fmt.Errorf("split request: %w", err)
	}
	s.flush()
	return nil
}

type splitter struct {
	maxBytes, maxSpans int
	visit              func([]byte)
	current            []byte
	spans              int
}

// resource splits one ResourceSpans.
func (s *splitter) resource(resource []byte) error {
	head, err := without(resource, resourceSpansScope)
	if err != nil {
		return err
	}
	return each(resource, resourceSpansScope, func(scope []byte) error {
		scopeHead, err := without(scope, scopeSpansSpans)
		if err != nil {
			return err
		}
		const overhead = 32 // tags and lengths around a piece
		const share = 4     // heads may use a quarter of a piece
		repeated := len(head) + len(scopeHead) + overhead
		maxBytes := s.maxBytes
		if repeated > maxBytes/share {
			maxBytes = math.MaxInt
		}
		var spans [][]byte
		size := 0
		put := func() {
			if len(spans) > 0 {
				s.add(head, scopeHead, spans, repeated+size)
				spans, size = spans[:0], 0
			}
		}
		err = each(scope, scopeSpansSpans, func(span []byte) error {
			if len(spans) >= s.maxSpans || len(spans) > 0 && repeated+size+len(span) > maxBytes {
				put()
			}
			spans = append(spans, span)
			size += len(span) + protowire.SizeTag(scopeSpansSpans) + protowire.SizeVarint(uint64(len(span)))
			return nil
		})
		put()
		return err
	})
}

// add appends spans with the heads of their resource and scope, in at most about
// size bytes, to the current piece or to a new one.
func (s *splitter) add(head, scopeHead []byte, spans [][]byte, size int) {
	if s.spans > 0 && (s.spans+len(spans) > s.maxSpans || len(s.current)+size > s.maxBytes) {
		s.flush()
	}
	b, resource := open(slices.Grow(s.current, size), requestResourceSpans)
	b, scope := open(append(b, head...), resourceSpansScope)
	b = append(b, scopeHead...)
	for _, span := range spans {
		b = appendMessage(b, scopeSpansSpans, span)
	}
	s.current = shut(shut(b, scope), resource)
	s.spans += len(spans)
}

func (s *splitter) flush() {
	if s.spans > 0 {
		s.visit(s.current)
	}
	s.current, s.spans = nil, 0
}

// without returns a message without one of its fields.
func without(message []byte, unwanted protowire.Number) ([]byte, error) {
	var kept []byte
	for rest := message; len(rest) > 0; {
		field, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, ErrMalformed
		}
		if field != unwanted {
			kept = append(kept, rest[:n]...)
		}
		rest = rest[n:]
	}
	return kept, nil
}
