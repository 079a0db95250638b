package otlp

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of opentelemetry-proto 1.x, trace/v1 and its neighbours.
const (
	requestResourceSpans protowire.Number = 1

	resourceSpansResource protowire.Number = 1
	resourceSpansScope    protowire.Number = 2

	scopeSpansScope protowire.Number = 1
	scopeSpansSpans protowire.Number = 2

	spanTraceID      protowire.Number = 1
	spanSpanID       protowire.Number = 2
	spanTraceState   protowire.Number = 3
	spanParent       protowire.Number = 4
	spanName         protowire.Number = 5
	spanKind         protowire.Number = 6
	spanStart        protowire.Number = 7
	spanEnd          protowire.Number = 8
	spanAttributes   protowire.Number = 9
	spanEvents       protowire.Number = 11
	spanLinks        protowire.Number = 13
	spanDroppedLinks protowire.Number = 14
	spanStatus       protowire.Number = 15
	spanFlags        protowire.Number = 16
)

// flagsHasRemote says that the next bit, whether the parent or the linked
// context is remote, is known.
const (
	flagsHasRemote = 1 << 8
	flagsRemote    = 1 << 9
)

// Span is a finished span. Context, Name and the times are required.
type Span struct {
	Context       trace.SpanContext
	Parent        trace.SpanContext // not valid for a root
	Name          string
	Kind          trace.SpanKind
	Start, End    time.Time
	Attributes    []attribute.KeyValue
	Events        []Event
	Links         []trace.Link
	DroppedLinks  int
	Status        codes.Code
	StatusMessage string
}

// Event is something that happened at a moment of a span.
type Event struct {
	Time       time.Time
	Name       string
	Attributes []attribute.KeyValue
}

// Resource is what the spans of a request come from: attributes such as
// service.name, and the instrumentation scope.
type Resource struct {
	Attributes []attribute.KeyValue
	Scope      string
}

// Encode returns an ExportTraceServiceRequest with spans, nil for none. Two
// requests one behind the other are a request too, as in any protobuf message
// of a repeated field.
func Encode(r Resource, spans ...Span) []byte {
	if len(spans) == 0 {
		return nil
	}
	var scope []byte
	scope = appendMessage(scope, scopeSpansScope, appendString(nil, 1, r.Scope))
	for i := range spans {
		scope = appendMessage(scope, scopeSpansSpans, spans[i].encode())
	}
	var resource []byte
	resource = appendMessage(resource, resourceSpansResource, appendAttributes(nil, 1, r.Attributes))
	resource = appendMessage(resource, resourceSpansScope, scope)
	return appendMessage(nil, requestResourceSpans, resource)
}

func (s *Span) encode() []byte {
	b := make([]byte, 0, 512)
	traceID, spanID := s.Context.TraceID(), s.Context.SpanID()
	b = appendBytes(b, spanTraceID, traceID[:])
	b = appendBytes(b, spanSpanID, spanID[:])
	b = appendString(b, spanTraceState, s.Context.TraceState().String())
	if s.Parent.IsValid() {
		parent := s.Parent.SpanID()
		b = appendBytes(b, spanParent, parent[:])
	}
	b = appendString(b, spanName, s.Name)
	b = appendVarint(b, spanKind, uint64(s.Kind))
	b = appendTime(b, spanStart, s.Start)
	b = appendTime(b, spanEnd, s.End)
	b = appendAttributes(b, spanAttributes, s.Attributes)
	for _, e := range s.Events {
		event := appendTime(nil, 1, e.Time)
		event = appendString(event, 2, e.Name)
		b = appendMessage(b, spanEvents, appendAttributes(event, 3, e.Attributes))
	}
	for _, l := range s.Links {
		b = appendMessage(b, spanLinks, encodeLink(l))
	}
	b = appendVarint(b, spanDroppedLinks, uint64(max(s.DroppedLinks, 0)))
	if s.Status != codes.Unset {
		status := appendString(nil, 2, s.StatusMessage)
		code := uint64(2) // STATUS_CODE_ERROR
		if s.Status == codes.Ok {
			code = 1
		}
		b = appendMessage(b, spanStatus, appendVarint(status, 3, code))
	}
	return appendFlags(b, spanFlags, s.Context.TraceFlags(), s.Parent.IsValid(), s.Parent.IsRemote())
}

func encodeLink(l trace.Link) []byte {
	traceID, spanID := l.SpanContext.TraceID(), l.SpanContext.SpanID()
	b := appendBytes(nil, 1, traceID[:])
	b = appendBytes(b, 2, spanID[:])
	b = appendString(b, 3, l.SpanContext.TraceState().String())
	b = appendAttributes(b, 4, l.Attributes)
	return appendFlags(b, 6, l.SpanContext.TraceFlags(), true, l.SpanContext.IsRemote())
}

func appendFlags(b []byte, field protowire.Number, flags trace.TraceFlags, known, remote bool) []byte {
	value := uint32(flags)
	if known {
		value |= flagsHasRemote
		if remote {
			value |= flagsRemote
		}
	}
	b = protowire.AppendTag(b, field, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, value)
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return appendMessage(b, field, value)
}

func appendString(b []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, value)
}

func appendVarint(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, uint64(t.UnixNano()))
}

func appendAttributes(b []byte, field protowire.Number, attributes []attribute.KeyValue) []byte {
	for _, kv := range attributes {
		if !kv.Valid() {
			continue
		}
		pair := appendString(nil, 1, string(kv.Key))
		b = appendMessage(b, field, appendMessage(pair, 2, encodeValue(kv.Value)))
	}
	return b
}

func encodeValue(v attribute.Value) []byte {
	switch v.Type() {
	case attribute.BOOL:
		return boolValue(v.AsBool())
	case attribute.INT64:
		return intValue(v.AsInt64())
	case attribute.FLOAT64:
		return floatValue(v.AsFloat64())
	case attribute.BOOLSLICE:
		return listValue(v.AsBoolSlice(), boolValue)
	case attribute.INT64SLICE:
		return listValue(v.AsInt64Slice(), intValue)
	case attribute.FLOAT64SLICE:
		return listValue(v.AsFloat64Slice(), floatValue)
	case attribute.STRINGSLICE:
		return listValue(v.AsStringSlice(), stringValue)
	default:
		return stringValue(v.String())
	}
}

func stringValue(s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), s)
}

func boolValue(v bool) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), protowire.EncodeBool(v))
}

func intValue(v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), uint64(v))
}

func floatValue(v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), math.Float64bits(v))
}

func listValue[T any](items []T, encode func(T) []byte) []byte {
	var list []byte
	for _, item := range items {
		list = appendMessage(list, 1, encode(item))
	}
	return appendMessage(nil, 5, list)
}
