package spanstore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// The parts of OTLP/JSON's ExportTraceServiceRequest that a workflow needs
// (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"). Enums are read as
// names too, which some exporters write.
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
		Kind              enum
		StartTimeUnixNano flexInt
		EndTimeUnixNano   flexInt
		Attributes        []keyValue
		Links             []otlpLink
		Status            struct {
			Code    enum
			Message string
		}
	}
	otlpLink struct {
		TraceID    string `json:"traceId"`
		SpanID     string `json:"spanId"`
		Flags      *uint32
		Attributes []keyValue
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
	// enum is an enum's number or its name.
	enum string
)

func (i *flexInt) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		// X-Ray's times in nanoseconds pass through languages that have only floats.
		f, floatErr := strconv.ParseFloat(text, 64)
		if floatErr != nil || f < -9.2e18 || f > 9.2e18 || f != f {
			return fmt.Errorf("read integer: %w", err)
		}
		n = int64(f)
	}
	*i = flexInt(n)
	return nil
}

func (e *enum) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*e = enum(text)
		return nil
	}
	var n int
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("read enum: %w", err)
	}
	*e = enum(strconv.Itoa(n))
	return nil
}

var kinds = map[string]string{
	"1": "INTERNAL", "2": "SERVER", "3": "CLIENT", "4": "PRODUCER", "5": "CONSUMER",
	"INTERNAL": "INTERNAL", "SERVER": "SERVER", "CLIENT": "CLIENT", "PRODUCER": "PRODUCER", "CONSUMER": "CONSUMER",
}

// kind is the span kind by number or name, "" where it is unspecified.
func (e enum) kind() string {
	return kinds[strings.TrimPrefix(strings.ToUpper(string(e)), "SPAN_KIND_")]
}

// failed tells whether a status code is that of an error.
func (e enum) failed() bool {
	return e == "2" || strings.TrimPrefix(strings.ToUpper(string(e)), "STATUS_CODE_") == "ERROR"
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

func id(trace, span string) workflow.ID {
	return workflow.ID{Trace: strings.ToLower(trace), Span: strings.ToLower(span)}
}

func (s *otlpSpan) span(service string) workflow.Span {
	span := workflow.Span{
		ID: id(s.TraceID, s.SpanID), Parent: strings.ToLower(s.ParentSpanID), Name: s.Name, Service: service, Kind: s.Kind.kind(),
		Start: time.Unix(0, int64(s.StartTimeUnixNano)).UTC(), End: time.Unix(0, int64(s.EndTimeUnixNano)).UTC(),
		Error: s.Status.Code.failed(), Message: s.Status.Message, Attributes: attributes(s.Attributes),
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, newLink(id(l.TraceID, l.SpanID), l.Flags, attributes(l.Attributes)))
	}
	return span
}

// newLink makes a link. Flags that are not told, or not told to be those of a
// trace (OTLP's SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK tells it), say nothing
// against the span that it points at having been recorded.
func newLink(to workflow.ID, flags *uint32, attributes map[string]any) workflow.Link {
	link := workflow.Link{To: to, Sampled: flags == nil || *flags&1 == 1, Attributes: attributes}
	link.Why, _ = attributes["throughline.link"].(string)
	return link
}

// maxLine bounds one request of a file: an exporter's batch is a few megabytes.
const maxLine = 64 << 20

// ReadOTLP reads OTLP/JSON and hands each span to visit, which must not keep
// the pointer: one ExportTraceServiceRequest a line, as file exporters write
// it, or one document over many lines. An error names the line, or is visit's.
func ReadOTLP(r io.Reader, visit func(*workflow.Span) error) error {
	reader := bufio.NewReaderSize(r, 1<<20)
	for line := 1; ; line++ {
		data, err := readLine(reader)
		if len(bytes.TrimSpace(data)) > 0 {
			parseErr := readRequest(data, visit)
			var syntax *json.SyntaxError
			if line == 1 && err == nil && errors.As(parseErr, &syntax) && syntax.Offset >= int64(len(bytes.TrimSpace(data))) {
				return readDocument(io.MultiReader(bytes.NewReader(data), reader), visit)
			}
			if parseErr != nil {
				return fmt.Errorf("line %d: %w", line, parseErr)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// readLine is ReadBytes with a bound.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d MiB: this is not OTLP/JSON, one request a line", maxLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func readRequest(data []byte, visit func(*workflow.Span) error) error {
	var req request
	if err := json.Unmarshal(data, &req); err != nil {
		return fmt.Errorf("read OTLP/JSON: %w", err)
	}
	return req.each(visit)
}

// readDocument reads requests whose JSON is laid out over lines.
func readDocument(r io.Reader, visit func(*workflow.Span) error) error {
	decoder := json.NewDecoder(io.LimitReader(r, maxLine))
	for {
		var req request
		if err := decoder.Decode(&req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("line 1 and what follows: read OTLP/JSON: %w", err)
		}
		if err := req.each(visit); err != nil {
			return err
		}
	}
}

func (req *request) each(visit func(*workflow.Span) error) error {
	for _, rs := range req.ResourceSpans {
		service, _ := attributes(rs.Resource.Attributes)["service.name"].(string)
		for _, ss := range rs.ScopeSpans {
			for i := range ss.Spans {
				span := ss.Spans[i].span(service)
				if err := visit(&span); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ReadSpans reads every span of OTLP/JSON, see [ReadOTLP].
func ReadSpans(r io.Reader) ([]workflow.Span, error) {
	var spans []workflow.Span
	err := ReadOTLP(r, func(s *workflow.Span) error {
		if len(spans) == maxSpans {
			return errTooMany
		}
		spans = append(spans, *s)
		return nil
	})
	return spans, err
}
