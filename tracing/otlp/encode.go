package otlp

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/protowire"
)

// The field numbers of opentelemetry-proto 1.x: trace/v1 and the packages that it uses.
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

// flagsHasRemote means that flagsRemote is valid. flagsRemote means that the
// parent or the linked context is remote.
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

// Event is something that happened at a point in time during a span.
type Event struct {
	Time       time.Time
	Name       string
	Attributes []attribute.KeyValue
}

// Resource is the source of the spans of a request: attributes such as
// service.name, and the instrumentation scope.
type Resource struct {
	Attributes []attribute.KeyValue
	Scope      string
}

// Encode returns an ExportTraceServiceRequest with spans, nil for none. The
// concatenation of two requests is a request too, as for any protobuf message with
// only repeated fields.
func Encode(r Resource, spans ...Span) []byte {
	if len(spans) == 0 {
		return nil
	}
	room, _ := rooms.Get().(*[]byte)
	b := appendRequest((*room)[:0], &r, spans)
	request := bytes.Clone(b) // without spare capacity, because it may be queued for long
	if *room = b; cap(b) <= maxRoom {
		rooms.Put(room)
	}
	return request
}

// rooms are buffers in which requests are encoded, each of at most maxRoom bytes.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

const maxRoom = 64 << 10

func appendRequest(b []byte, r *Resource, spans []Span) []byte {
	b, request := open(b, requestResourceSpans)
	b, resource := open(b, resourceSpansResource)
	b = shut(appendAttributes(b, 1, r.Attributes), resource)
	b, scopeSpans := open(b, resourceSpansScope)
	b, scope := open(b, scopeSpansScope)
	b = shut(appendString(b, 1, r.Scope), scope)
	for i := range spans {
		var span int
		b, span = open(b, scopeSpansSpans)
		b = shut(spans[i].append(b), span)
	}
	return shut(shut(b, scopeSpans), request)
}

func (s *Span) append(b []byte) []byte {
	traceID, spanID := s.Context.TraceID(), s.Context.SpanID()
	b = appendMessage(b, spanTraceID, traceID[:])
	b = appendMessage(b, spanSpanID, spanID[:])
	b = appendState(b, spanTraceState, s.Context)
	if s.Parent.IsValid() {
		parent := s.Parent.SpanID()
		b = appendMessage(b, spanParent, parent[:])
	}
	b = appendString(b, spanName, s.Name)
	b = appendVarint(b, spanKind, uint64(s.Kind))
	b = appendTime(b, spanStart, s.Start)
	b = appendTime(b, spanEnd, s.End)
	b = appendAttributes(b, spanAttributes, s.Attributes)
	for i := range s.Events {
		var event int
		b, event = open(b, spanEvents)
		b = appendString(appendTime(b, 1, s.Events[i].Time), 2, s.Events[i].Name)
		b = shut(appendAttributes(b, 3, s.Events[i].Attributes), event)
	}
	for i := range s.Links {
		var link int
		b, link = open(b, spanLinks)
		b = shut(appendLink(b, &s.Links[i]), link)
	}
	b = appendVarint(b, spanDroppedLinks, uint64(max(s.DroppedLinks, 0)))
	if s.Status != codes.Unset {
		var status int
		b, status = open(b, spanStatus)
		code := uint64(2) // STATUS_CODE_ERROR
		if s.Status == codes.Ok {
			code = 1
		}
		b = shut(appendVarint(appendString(b, 2, s.StatusMessage), 3, code), status)
	}
	return appendFlags(b, spanFlags, s.Context.TraceFlags(), s.Parent.IsValid(), s.Parent.IsRemote())
}

func appendLink(b []byte, l *trace.Link) []byte {
	traceID, spanID := l.SpanContext.TraceID(), l.SpanContext.SpanID()
	b = appendMessage(b, 1, traceID[:])
	b = appendMessage(b, 2, spanID[:])
	b = appendState(b, 3, l.SpanContext)
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

// open begins a message of unknown length. It reserves one byte for the length,
// which is enough for most messages. Pass at to shut, which ends the message.
func open(b []byte, field protowire.Number) (grown []byte, at int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0)
	return b, len(b)
}

func shut(b []byte, at int) []byte {
	size := len(b) - at
	if size < 1<<7 {
		b[at-1] = byte(size)
		return b
	}
	var room [binary.MaxVarintLen64]byte
	extra := protowire.SizeVarint(uint64(size)) - 1
	b = append(b, room[:extra]...)
	copy(b[at+extra:], b[at:at+size])
	protowire.AppendVarint(b[:at-1], uint64(size))
	return b
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, message)
}

func appendString(b []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, valid(value))
}

// valid returns a text as valid UTF-8, as protobuf requires: backends reject a whole
// request because of one invalid string.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func appendState(b []byte, field protowire.Number, sc trace.SpanContext) []byte {
	if sc.TraceState().Len() == 0 {
		return b
	}
	return appendString(b, field, sc.TraceState().String())
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
	for i := range attributes {
		kv := &attributes[i]
		if !kv.Valid() {
			continue
		}
		var pair, value int
		b, pair = open(b, field)
		b = appendString(b, 1, string(kv.Key))
		b, value = open(b, 2)
		b = shut(shut(appendValue(b, &kv.Value), value), pair)
	}
	return b
}

func appendValue(b []byte, v *attribute.Value) []byte {
	switch v.Type() {
	case attribute.STRING:
		return appendText(b, v.AsString())
	case attribute.BOOL:
		return appendBool(b, v.AsBool())
	case attribute.INT64:
		return appendInt(b, v.AsInt64())
	case attribute.FLOAT64:
		return appendFloat(b, v.AsFloat64())
	case attribute.BOOLSLICE:
		return appendList(b, v.AsBoolSlice(), appendBool)
	case attribute.INT64SLICE:
		return appendList(b, v.AsInt64Slice(), appendInt)
	case attribute.FLOAT64SLICE:
		return appendList(b, v.AsFloat64Slice(), appendFloat)
	case attribute.STRINGSLICE:
		return appendList(b, v.AsStringSlice(), appendText)
	default:
		return appendText(b, v.String())
	}
}

func appendText(b []byte, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), valid(s))
}

func appendBool(b []byte, v bool) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), protowire.EncodeBool(v))
}

func appendInt(b []byte, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(v))
}

func appendFloat(b []byte, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, 4, protowire.Fixed64Type), math.Float64bits(v))
}

func appendList[T any](b []byte, items []T, appendItem func([]byte, T) []byte) []byte {
	b, list := open(b, 5)
	for _, item := range items {
		var value int
		b, value = open(b, 1)
		b = shut(appendItem(b, item), value)
	}
	return shut(b, list)
}
