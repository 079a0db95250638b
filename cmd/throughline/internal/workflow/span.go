// Package workflow turns the spans of one correlation ID, wherever they were
// kept, into the tree of its events by cause. Neither Jaeger nor X-Ray draws
// that tree, because it crosses traces: its edges are span links.
//
// [ReadJSON] reads spans, [Build] makes the tree, [WriteText] prints it.
package workflow

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// ID names a span: its trace and its span ID in lower-case hex. The zero
// value names none.
type ID struct{ Trace, Span string }

// Link is one link of a span. Why is throughline.link: causation, correlation,
// repeat or trace.
type Link struct {
	To         ID
	Why        string
	Sampled    bool
	Attributes map[string]any
}

// Span is one span as a backend keeps it. Values of Attributes are string,
// bool, int64, float64 or []any. The zero value is a span without a name.
type Span struct {
	ID         ID
	Parent     string
	Name       string
	Kind       string // PRODUCER, CONSUMER, CLIENT, SERVER, INTERNAL
	Service    string
	Start, End time.Time
	Error      bool
	Message    string // of the status
	Attributes map[string]any
	Links      []Link
}

// Text is the attribute as a string, "" where it is absent.
func (s *Span) Text(key string) string {
	switch v := s.Attributes[key].(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

// Number is the attribute as a number; ok is false where it is absent or none.
func (s *Span) Number(key string) (value float64, ok bool) {
	switch v := s.Attributes[key].(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}

// The parts of OTLP/JSON's ExportTraceServiceRequest that a workflow needs
// (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding").
type (
	request struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []keyValue }
			ScopeSpans []struct{ Spans []otlpSpan }
		}
	}
	otlpSpan struct {
		TraceID           string `json:"traceId"`
		SpanID            string `json:"spanId"`
		ParentSpanID      string `json:"parentSpanId"`
		Name              string
		Kind              int
		StartTimeUnixNano flexInt
		EndTimeUnixNano   flexInt
		Attributes        []keyValue
		Links             []struct {
			TraceID    string `json:"traceId"`
			SpanID     string `json:"spanId"`
			Flags      uint32
			Attributes []keyValue
		}
		Status struct {
			Code    int
			Message string
		}
	}
	keyValue struct {
		Key   string
		Value anyValue
	}
	anyValue struct {
		StringValue *string
		BoolValue   *bool
		IntValue    *flexInt
		DoubleValue *float64
		ArrayValue  *struct{ Values []anyValue }
	}
	// flexInt is a 64-bit integer, which OTLP/JSON writes as a string and takes as a number too.
	flexInt int64
)

func (i *flexInt) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("read integer: %w", err)
	}
	*i = flexInt(n)
	return nil
}

func (v anyValue) plain() any {
	switch {
	case v.StringValue != nil:
		return *v.StringValue
	case v.BoolValue != nil:
		return *v.BoolValue
	case v.IntValue != nil:
		return int64(*v.IntValue)
	case v.DoubleValue != nil:
		return *v.DoubleValue
	case v.ArrayValue != nil:
		list := make([]any, len(v.ArrayValue.Values))
		for i, item := range v.ArrayValue.Values {
			list[i] = item.plain()
		}
		return list
	default:
		return nil
	}
}

func attributes(list []keyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		m[kv.Key] = kv.Value.plain()
	}
	return m
}

var kinds = [...]string{"", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"}

// ReadJSON reads OTLP/JSON, one ExportTraceServiceRequest a line. An error
// names the line.
func ReadJSON(r io.Reader) ([]Span, error) {
	var spans []Span
	reader := bufio.NewReaderSize(r, 1<<16)
	for line := 1; ; line++ {
		data, err := reader.ReadBytes('\n')
		if len(bytes.TrimSpace(data)) > 0 {
			more, parseErr := readRequest(data)
			if parseErr != nil {
				return nil, fmt.Errorf("line %d: %w", line, parseErr)
			}
			spans = append(spans, more...)
		}
		if errors.Is(err, io.EOF) {
			return spans, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func readRequest(data []byte) ([]Span, error) {
	var req request
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, fmt.Errorf("read OTLP/JSON: %w", err)
	}
	var spans []Span
	for _, rs := range req.ResourceSpans {
		service, _ := attributes(rs.Resource.Attributes)["service.name"].(string)
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				spans = append(spans, s.span(service))
			}
		}
	}
	return spans, nil
}

func (s otlpSpan) span(service string) Span {
	span := Span{
		ID: ID{s.TraceID, s.SpanID}, Parent: s.ParentSpanID, Name: s.Name, Service: service,
		Start: time.Unix(0, int64(s.StartTimeUnixNano)).UTC(), End: time.Unix(0, int64(s.EndTimeUnixNano)).UTC(),
		Error: s.Status.Code == 2, Message: s.Status.Message, Attributes: attributes(s.Attributes),
	}
	if s.Kind >= 0 && s.Kind < len(kinds) {
		span.Kind = kinds[s.Kind]
	}
	for _, l := range s.Links {
		link := Link{To: ID{l.TraceID, l.SpanID}, Sampled: l.Flags&1 == 1, Attributes: attributes(l.Attributes)}
		link.Why, _ = link.Attributes["throughline.link"].(string)
		span.Links = append(span.Links, link)
	}
	return span
}
