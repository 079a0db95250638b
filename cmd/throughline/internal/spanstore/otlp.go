package spanstore

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/records"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/jsonwalk"
	"github.com/throughline/throughline/internal/lineage"
)

// encoded is one span in a document. Most spans of a file belong to other workflows and
// are never decoded.
type encoded struct {
	span     []byte // a JSON object
	resource []byte // for OTLP/JSON: the resource's attributes, a JSON array
	record   bool   // it is an event of aws/spans
}

// eachSpan calls visit with each span in a document: an ExportTraceServiceRequest of
// OTLP/JSON (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"), or an event of
// aws/spans. spans reports whether the document is one of these.
func eachSpan(document []byte, visit func(encoded) error) (spans bool, err error) {
	for m := jsonwalk.MembersOf(document, 0); m.NextKey(); {
		switch string(m.Key) {
		case "resourceSpans":
			list := jsonwalk.ElementsOf(document, m.At)
			for list.NextAt() {
				end, err := eachOfResource(document, list.At, visit)
				if err != nil {
					return true, err
				}
				if !list.Resume(end) {
					break
				}
			}
			return true, nil
		case "spanId":
			return true, visit(encoded{span: document, record: true})
		}
		if !m.Skip() {
			break
		}
	}
	return false, nil
}

// eachOfResource visits the spans of the ResourceSpans at i, and returns the index after
// it.
func eachOfResource(data []byte, i int, visit func(encoded) error) (end int, err error) {
	var resource []byte
	known, later := false, -1 // scopeSpans can stand before its resource
	m := jsonwalk.MembersOf(data, i)
	for m.NextKey() {
		end := -1
		switch {
		case string(m.Key) == "scopeSpans" && known:
			if end, err = eachOfScopes(data, m.At, resource, visit); err != nil {
				return -1, err
			}
		case string(m.Key) == "scopeSpans":
			later = m.At
		}
		if end > 0 {
			m.Resume(end)
			continue
		}
		isResource := string(m.Key) == "resource"
		if !m.Skip() {
			break
		}
		if isResource {
			known = true
			for r := jsonwalk.MembersOf(m.Value, 0); r.Next(); {
				if string(r.Key) == "attributes" {
					resource = r.Value
				}
			}
		}
	}
	if later >= 0 {
		_, err = eachOfScopes(data, later, resource, visit)
	}
	return after(m.After, data, i), err
}

// eachOfScopes visits the spans of the ScopeSpans in the array at i, and returns the
// index after it.
func eachOfScopes(data []byte, i int, resource []byte, visit func(encoded) error) (end int, err error) {
	scopes := jsonwalk.ElementsOf(data, i)
	for scopes.NextAt() {
		m := jsonwalk.MembersOf(data, scopes.At)
		for m.NextKey() {
			if string(m.Key) != "spans" {
				if !m.Skip() {
					break
				}
				continue
			}
			spans := jsonwalk.ElementsOf(data, m.At)
			for spans.Next() {
				if spans.Value[0] != '{' {
					continue
				}
				if err := visit(encoded{span: spans.Value, resource: resource}); err != nil {
					return -1, err
				}
			}
			if !m.Resume(after(spans.After, data, m.At)) {
				break
			}
		}
		if !scopes.Resume(after(m.After, data, scopes.At)) {
			break
		}
	}
	return after(scopes.After, data, i), nil
}

// after returns the index after the value at i. It is known if the value was read; a
// value of an unexpected type is skipped.
func after(known int, data []byte, i int) int {
	if known > 0 {
		return known
	}
	return jsonwalk.SkipValue(data, i)
}

// trace returns the span's trace ID in lower case.
func (e encoded) trace() string {
	for m := jsonwalk.MembersOf(e.span, 0); m.Next(); {
		if string(m.Key) == "traceId" {
			return w3c(string(jsonwalk.Inner(m.Value)))
		}
	}
	return ""
}

// says reports whether the span can contain the text. JSON does not escape IDs without
// special characters; for an ID with some it returns true.
func (e encoded) says(text string) bool {
	return strings.ContainsFunc(text, mayBeEscaped) || bytes.Contains(e.span, jsonwalk.Bytes(text)) || bytes.Contains(e.span, []byte(`\u`))
}

func mayBeEscaped(r rune) bool {
	return r < ' ' || r > '~' || strings.ContainsRune(`"\/<>&'`, r)
}

// summary returns the workflow of the span without decoding it completely. ok is false if
// it has none.
func (e encoded) summary() (s workflow.Summary, ok bool) {
	if !e.says(lineage.AttrCorrelationID) {
		return s, false
	}
	if e.record {
		span, err := e.decode()
		return span.Summary(), err == nil && span.Correlation() != ""
	}
	s.Start, s.End = time.Unix(0, 0).UTC(), time.Unix(0, 0).UTC() // for a span without times
	s.Spans = 1
	for m := jsonwalk.MembersOf(e.span, 0); m.Next(); {
		switch string(m.Key) {
		case "startTimeUnixNano":
			s.Start = unixNano(m.Value)
		case "endTimeUnixNano":
			s.End = unixNano(m.Value)
		case "attributes":
			eachAttribute(m.Value, func(key, value []byte) {
				switch string(key) {
				case lineage.AttrCorrelationID:
					s.CorrelationID, _ = anyValue(value).(string)
				case lineage.AttrRepeatKind:
					s.Repeats = 1
				}
			})
		case "status":
			for status := jsonwalk.MembersOf(m.Value, 0); status.Next(); {
				if string(status.Key) == "code" && enum(jsonwalk.Scalar(status.Value)).failed() {
					s.Errors = 1
				}
			}
		}
	}
	return s, s.CorrelationID != "" && usable(s.Start, s.End)
}

// decode decodes the span. It returns an error if the span is not valid.
func (e encoded) decode() (workflow.Span, error) {
	if e.record {
		return readRecord(e.span)
	}
	span := workflow.Span{Service: serviceOf(e.resource), Attributes: map[string]any{}, Start: time.Unix(0, 0).UTC(), End: time.Unix(0, 0).UTC()}
	for m := jsonwalk.MembersOf(e.span, 0); m.Next(); {
		switch string(m.Key) {
		case "traceId":
			span.ID.Trace = strings.ToLower(jsonwalk.Text(m.Value))
		case "spanId":
			span.ID.Span = strings.ToLower(jsonwalk.Text(m.Value))
		case "parentSpanId":
			span.Parent = strings.ToLower(jsonwalk.Text(m.Value))
		case "name":
			span.Name = jsonwalk.Text(m.Value)
		case "kind":
			span.Kind = enum(jsonwalk.Scalar(m.Value)).kind()
		case "startTimeUnixNano":
			span.Start = unixNano(m.Value)
		case "endTimeUnixNano":
			span.End = unixNano(m.Value)
		case "attributes":
			span.Attributes = attributes(m.Value)
		case "links":
			for l := jsonwalk.ElementsOf(m.Value, 0); l.Next(); {
				span.Links = append(span.Links, decodeLink(l.Value))
			}
		case "status":
			for s := jsonwalk.MembersOf(m.Value, 0); s.Next(); {
				switch string(s.Key) {
				case "code":
					span.Error = enum(jsonwalk.Scalar(s.Value)).failed()
				case "message":
					span.Message = jsonwalk.Text(s.Value)
				}
			}
		}
	}
	if !usable(span.Start, span.End) {
		return span, errTimes
	}
	return span, nil
}

func decodeLink(raw []byte) workflow.Link {
	var to workflow.ID
	var flags *uint32
	set := map[string]any{}
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		switch string(m.Key) {
		case "traceId":
			to.Trace = strings.ToLower(jsonwalk.Text(m.Value))
		case "spanId":
			to.Span = strings.ToLower(jsonwalk.Text(m.Value))
		case "flags":
			if n, err := strconv.ParseUint(jsonwalk.Scalar(m.Value), 10, 32); err == nil {
				told := uint32(n)
				flags = &told
			}
		case "attributes":
			set = attributes(m.Value)
		}
	}
	return newLink(to, flags, set)
}

// newLink makes a link. Flags that are missing, or not marked as trace flags (OTLP's
// SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK), do not mean that the target was not recorded.
func newLink(to workflow.ID, flags *uint32, attributes map[string]any) workflow.Link {
	link := workflow.Link{To: to, Sampled: flags == nil || *flags&1 == 1, Attributes: attributes}
	link.Why, _ = attributes["throughline.link"].(string)
	return link
}

// eachAttribute calls f with the key and the AnyValue of each KeyValue.
func eachAttribute(list []byte, f func(key, value []byte)) {
	for e := jsonwalk.ElementsOf(list, 0); e.Next(); {
		var key, value []byte
		for m := jsonwalk.MembersOf(e.Value, 0); m.Next(); {
			switch string(m.Key) {
			case "key":
				key = jsonwalk.Inner(m.Value)
			case "value":
				value = m.Value
			}
		}
		f(key, value)
	}
}

func attributes(list []byte) map[string]any {
	set := map[string]any{}
	eachAttribute(list, func(key, value []byte) { set[string(key)] = anyValue(value) })
	return set
}

func serviceOf(resource []byte) (service string) {
	eachAttribute(resource, func(key, value []byte) {
		if string(key) == "service.name" {
			service, _ = anyValue(value).(string)
		}
	})
	return service
}

// LeftOut counts what was skipped in a file of spans. The zero value means nothing.
type LeftOut struct {
	records.Left
	Documents int // documents without spans
	Spans     int // spans that cannot be read or have impossible times
}

// String describes what was skipped, or returns "".
func (l LeftOut) String() string {
	var parts []string
	if text := l.Left.String(); text != "" {
		parts = append(parts, text)
	}
	if l.Documents > 0 {
		parts = append(parts, phrase.Count(l.Documents, "document")+" without spans")
	}
	if l.Spans > 0 {
		parts = append(parts, phrase.Count(l.Spans, "span")+" that cannot be read or whose times are impossible")
	}
	return strings.Join(parts, ", ")
}

// readFile calls visit with each span in what package records reads: OTLP/JSON, one
// request a line as file exporters write it, or over many lines, and events of aws/spans.
func readFile(r io.Reader, visit func(encoded) error) (LeftOut, error) {
	var left LeftOut
	var err error
	left.Left, err = records.Read(r, func(d records.Document) error {
		spans, err := eachSpan(d.JSON, visit)
		if !spans {
			left.Documents++
		}
		return err
	})
	return left, err
}

// Visit calls visit with each valid span of a document.
func Visit(document []byte, visit func(*workflow.Span)) {
	_, _ = eachSpan(document, func(e encoded) error { // the callback returns no error
		if span, err := e.decode(); err == nil {
			visit(&span)
		}
		return nil
	})
}

// ReadSpans reads every span of a file; see [File]. left counts what was skipped.
func ReadSpans(r io.Reader) (spans []workflow.Span, left LeftOut, err error) {
	unread := 0
	left, err = readFile(r, func(e encoded) error {
		span, err := e.decode()
		if err != nil {
			unread++
			return nil
		}
		if len(spans) == maxSpans {
			return errTooMany
		}
		spans = append(spans, span)
		return nil
	})
	left.Spans = unread
	return spans, left, err
}
