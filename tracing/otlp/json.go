package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"

	"github.com/throughline/throughline/internal/protowire"
)

// shape is the form of a field in OTLP/JSON.
type shape uint8

const (
	asText   shape = iota
	asHex          // trace and span IDs
	asBase64       // any other bytes
	asNumber       // enums and 32-bit integers
	asLong         // 64-bit integers, which are strings in JSON
	asDouble
	asBool
	asMessage
)

// fieldJSON describes one field of a message.
type fieldJSON struct {
	name     string
	shape    shape
	repeated bool
	message  *messageJSON
}

type messageJSON struct {
	fields map[protowire.Number]fieldJSON
}

// requestJSON is ExportTraceServiceRequest with the field numbers and names of
// opentelemetry-proto 1.x.
var requestJSON = sync.OnceValue(func() *messageJSON {
	message := func(fields map[protowire.Number]fieldJSON) *messageJSON { return &messageJSON{fields} }
	value := message(nil)
	pair := message(map[protowire.Number]fieldJSON{1: {name: "key"}, 2: {name: "value", shape: asMessage, message: value}})
	list := message(map[protowire.Number]fieldJSON{1: {name: "values", shape: asMessage, repeated: true, message: value}})
	pairs := message(map[protowire.Number]fieldJSON{1: {name: "values", shape: asMessage, repeated: true, message: pair}})
	value.fields = map[protowire.Number]fieldJSON{
		1: {name: "stringValue"}, 2: {name: "boolValue", shape: asBool}, 3: {name: "intValue", shape: asLong},
		4: {name: "doubleValue", shape: asDouble}, 5: {name: "arrayValue", shape: asMessage, message: list},
		6: {name: "kvlistValue", shape: asMessage, message: pairs}, 7: {name: "bytesValue", shape: asBase64},
	}
	attributes := fieldJSON{name: "attributes", shape: asMessage, repeated: true, message: pair}
	dropped := fieldJSON{name: "droppedAttributesCount", shape: asNumber}
	event := message(map[protowire.Number]fieldJSON{1: {name: "timeUnixNano", shape: asLong}, 2: {name: "name"}, 3: attributes, 4: dropped})
	link := message(map[protowire.Number]fieldJSON{
		1: {name: "traceId", shape: asHex}, 2: {name: "spanId", shape: asHex}, 3: {name: "traceState"}, 4: attributes, 5: dropped, 6: {name: "flags", shape: asNumber},
	})
	status := message(map[protowire.Number]fieldJSON{2: {name: "message"}, 3: {name: "code", shape: asNumber}})
	span := message(map[protowire.Number]fieldJSON{
		spanTraceID: {name: "traceId", shape: asHex}, spanSpanID: {name: "spanId", shape: asHex}, spanTraceState: {name: "traceState"},
		spanParent: {name: "parentSpanId", shape: asHex}, spanName: {name: "name"}, spanKind: {name: "kind", shape: asNumber},
		spanStart: {name: "startTimeUnixNano", shape: asLong}, spanEnd: {name: "endTimeUnixNano", shape: asLong},
		spanAttributes: attributes, 10: dropped,
		spanEvents: {name: "events", shape: asMessage, repeated: true, message: event}, 12: {name: "droppedEventsCount", shape: asNumber},
		spanLinks: {name: "links", shape: asMessage, repeated: true, message: link}, spanDroppedLinks: {name: "droppedLinksCount", shape: asNumber},
		spanStatus: {name: "status", shape: asMessage, message: status}, spanFlags: {name: "flags", shape: asNumber},
	})
	scope := message(map[protowire.Number]fieldJSON{1: {name: "name"}, 2: {name: "version"}, 3: attributes, 4: dropped})
	scopeSpans := message(map[protowire.Number]fieldJSON{
		scopeSpansScope: {name: "scope", shape: asMessage, message: scope},
		scopeSpansSpans: {name: "spans", shape: asMessage, repeated: true, message: span}, 3: {name: "schemaUrl"},
	})
	resource := message(map[protowire.Number]fieldJSON{1: attributes, 2: dropped})
	resourceSpans := message(map[protowire.Number]fieldJSON{
		resourceSpansResource: {name: "resource", shape: asMessage, message: resource},
		resourceSpansScope:    {name: "scopeSpans", shape: asMessage, repeated: true, message: scopeSpans}, 3: {name: "schemaUrl"},
	})
	return message(map[protowire.Number]fieldJSON{requestResourceSpans: {name: "resourceSpans", shape: asMessage, repeated: true, message: resourceSpans}})
})

// maxDepth limits the depth of nested values, as protobuf's own decoders do.
const maxDepth = 100

// AppendJSON appends a request in protobuf to out as one line of OTLP/JSON without
// a line end: IDs in hex, 64-bit integers as strings, enums as numbers, according to
// "JSON Protobuf Encoding" of the OTLP specification. It omits unknown fields. On
// ErrMalformed it returns out unchanged.
func AppendJSON(out, request []byte) ([]byte, error) {
	before := len(out)
	out, err := appendObject(out, request, requestJSON(), 0)
	if err != nil {
		return out[:before], err
	}
	return out, nil
}

// CompactJSON appends a request in OTLP/JSON on one line.
func CompactJSON(out, request []byte) ([]byte, error) {
	b := bytes.NewBuffer(out)
	if err := json.Compact(b, request); err != nil {
		return out, fmt.Errorf("read OTLP/JSON: %w", err)
	}
	return b.Bytes(), nil
}

func appendObject(out, message []byte, schema *messageJSON, depth int) ([]byte, error) {
	if depth > maxDepth {
		return out, ErrMalformed
	}
	// The elements of a repeated field may be anywhere in the message, and the last
	// value of a singular field counts, so fields are collected before they are written.
	var order []protowire.Number
	gathered := map[protowire.Number][][]byte{}
	err := fields(message, func(number protowire.Number, kind protowire.Type, value []byte, varint uint64) error {
		f, known := schema.fields[number]
		if !known {
			return nil
		}
		text, err := f.append(nil, kind, value, varint, depth)
		if err != nil {
			return err
		}
		if _, seen := gathered[number]; !seen {
			order = append(order, number)
		}
		if f.repeated {
			gathered[number] = append(gathered[number], text)
		} else {
			gathered[number] = [][]byte{text}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	out = append(out, '{')
	for i, number := range order {
		if i > 0 {
			out = append(out, ',')
		}
		f := schema.fields[number]
		out = append(strconv.AppendQuote(out, f.name), ':')
		if !f.repeated {
			out = append(out, gathered[number][0]...)
			continue
		}
		out = append(out, '[')
		out = append(out, bytes.Join(gathered[number], []byte(","))...)
		out = append(out, ']')
	}
	return append(out, '}'), nil
}

func (f fieldJSON) append(out []byte, kind protowire.Type, value []byte, varint uint64, depth int) ([]byte, error) {
	want := protowire.BytesType
	switch f.shape {
	case asNumber, asLong, asBool:
		if kind == protowire.Fixed64Type && f.shape == asLong {
			varint, kind = binary.LittleEndian.Uint64(value), protowire.VarintType
		} else if kind == protowire.Fixed32Type && f.shape == asNumber {
			varint, kind = uint64(binary.LittleEndian.Uint32(value)), protowire.VarintType
		}
		want = protowire.VarintType
	case asDouble:
		want = protowire.Fixed64Type
	}
	if kind != want {
		return out, ErrMalformed
	}
	switch f.shape {
	case asHex:
		return append(hex.AppendEncode(append(out, '"'), value), '"'), nil
	case asBase64:
		return append(base64.StdEncoding.AppendEncode(append(out, '"'), value), '"'), nil
	case asNumber:
		return strconv.AppendInt(out, int64(varint), 10), nil
	case asLong:
		return append(strconv.AppendInt(append(out, '"'), int64(varint), 10), '"'), nil
	case asBool:
		return strconv.AppendBool(out, varint != 0), nil
	case asDouble:
		return appendDouble(out, math.Float64frombits(binary.LittleEndian.Uint64(value))), nil
	case asMessage:
		return appendObject(out, value, f.message, depth+1)
	default:
		text, err := json.Marshal(string(value))
		return append(out, text...), err
	}
}

// appendDouble appends a number. NaN and infinities are strings, as in protobuf's
// JSON mapping.
func appendDouble(out []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(out, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(out, `"-Infinity"`...)
	default:
		return strconv.AppendFloat(out, v, 'g', -1, 64)
	}
}
