package otlp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is returned for bytes that are no protobuf message.
var ErrMalformed = errors.New("malformed protobuf")

// fields calls visit with each field of a message. A length-delimited or fixed
// value is given as its bytes, which alias message; a varint as its number.
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

// CountSpans is the number of spans in an ExportTraceServiceRequest. The error
// is ErrMalformed.
func CountSpans(request []byte) (int, error) {
	n := 0
	err := eachSpan(request, func([]byte) error { n++; return nil })
	return n, err
}

// Found is what Find tells of a span.
type Found struct {
	TraceID    trace.TraceID
	SpanID     trace.SpanID
	ParentID   trace.SpanID // zero for a root
	Start, End time.Time
	Sampled    bool
	Texts      []string // of the keys that were asked for, in their order; empty where there is none
}

// Find returns the spans of a request that have a text under the first of keys.
func Find(request []byte, keys ...string) []Found {
	if len(keys) == 0 {
		return nil
	}
	var all []Found
	wanted := []byte(keys[0])
	if !bytes.Contains(request, wanted) { // as most requests: no need to take them apart
		return nil
	}
	_ = eachSpan(request, func(span []byte) error { // what is malformed has no more spans
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

// readText takes the text of a KeyValue whose key is one of keys.
func readText(pair []byte, keys, texts []string) {
	at, text := -1, ""
	_ = fields(pair, func(field protowire.Number, _ protowire.Type, data []byte, _ uint64) error { // what is malformed is none of them
		switch field {
		case 1:
			for i, key := range keys {
				if string(data) == key {
					at = i
				}
			}
		case 2:
			return fields(data, func(inner protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
				if inner == 1 && kind == protowire.BytesType {
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

// Split cuts a request into requests of at most maxSpans spans and, as far as
// single spans allow, maxBytes bytes. A request within both is returned as it
// is. Spans keep their order, resource and scope. The error is ErrMalformed.
func Split(request []byte, maxBytes, maxSpans int) ([][]byte, error) {
	n, err := CountSpans(request)
	if err != nil {
		return nil, err
	}
	if len(request) <= maxBytes && n <= maxSpans {
		return [][]byte{request}, nil
	}
	s := splitter{maxBytes: maxBytes, maxSpans: maxSpans}
	err = each(request, requestResourceSpans, s.resource)
	if err != nil {
		return nil, fmt.Errorf("split request: %w", err)
	}
	s.flush()
	return s.out, nil
}

type splitter struct {
	maxBytes, maxSpans int
	out                [][]byte
	current            []byte
	spans              int
}

// resource cuts one ResourceSpans: what is not a span is repeated before each piece.
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
		var spans []byte
		count := 0
		put := func() {
			if count > 0 {
				piece := appendMessage(append([]byte(nil), head...), resourceSpansScope, append(append([]byte(nil), scopeHead...), spans...))
				s.add(appendMessage(nil, requestResourceSpans, piece), count)
				spans, count = nil, 0
			}
		}
		const overhead = 32 // tags and lengths around a piece
		err = each(scope, scopeSpansSpans, func(span []byte) error {
			if count > 0 && (count >= s.maxSpans || len(head)+len(scopeHead)+len(spans)+len(span)+overhead > s.maxBytes) {
				put()
			}
			spans = appendMessage(spans, scopeSpansSpans, span)
			count++
			return nil
		})
		put()
		return err
	})
}

func (s *splitter) add(piece []byte, count int) {
	if s.spans > 0 && (s.spans+count > s.maxSpans || len(s.current)+len(piece) > s.maxBytes) {
		s.flush()
	}
	s.current = append(s.current, piece...)
	s.spans += count
}

func (s *splitter) flush() {
	if s.spans > 0 {
		s.out = append(s.out, s.current)
	}
	s.current, s.spans = nil, 0
}

// without is a message less one of its fields.
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
