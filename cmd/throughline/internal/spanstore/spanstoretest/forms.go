// Package spanstoretest writes spans in the forms that package spanstore reads, emulates
// X-Ray and Logs Insights, and runs commands that read spans, for tests.
package spanstoretest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Object is a document of JSON.
type Object = map[string]any

// Encode returns a value as JSON.
func Encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// otlpValue returns a value in the form of OTLP/JSON: integers as strings.
func otlpValue(v any) Object {
	switch v := v.(type) {
	case string:
		return Object{"stringValue": v}
	case bool:
		return Object{"boolValue": v}
	case int64:
		return Object{"intValue": fmt.Sprint(v)}
	case float64:
		return Object{"doubleValue": v}
	case []any:
		values := []Object{}
		for _, item := range v {
			values = append(values, otlpValue(item))
		}
		return Object{"arrayValue": Object{"values": values}}
	}
	return Object{}
}

func otlpAttributes(attrs map[string]any) []Object {
	list := []Object{}
	for k, v := range attrs {
		list = append(list, Object{"key": k, "value": otlpValue(v)})
	}
	return list
}

var kindNumbers = map[string]int{"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}

// OTLPLines writes spans as file exporters do and as a collector receives them: requests
// of up to a hundred spans.
func OTLPLines(tb testing.TB, spans []workflow.Span) [][]byte {
	var lines [][]byte
	for chunk := range slices.Chunk(spans, 100) {
		resources := []Object{}
		for _, s := range chunk {
			links := []Object{}
			for _, l := range s.Links {
				flags := 256 // is-remote is known, and the trace flags are not set
				if l.Sampled {
					flags |= 1
				}
				links = append(links, Object{"traceId": l.To.Trace, "spanId": l.To.Span, "flags": flags, "attributes": otlpAttributes(l.Attributes)})
			}
			span := Object{
				"traceId": s.ID.Trace, "spanId": s.ID.Span, "parentSpanId": s.Parent, "name": s.Name, "kind": kindNumbers[s.Kind],
				"startTimeUnixNano": fmt.Sprint(s.Start.UnixNano()), "endTimeUnixNano": fmt.Sprint(s.End.UnixNano()), "attributes": otlpAttributes(s.Attributes), "links": links,
			}
			if s.Error {
				span["status"] = Object{"code": 2, "message": s.Message}
			}
			resources = append(resources, Object{
				"resource":   Object{"attributes": otlpAttributes(Object{"service.name": s.Service})},
				"scopeSpans": []Object{{"spans": []Object{span}}},
			})
		}
		lines = append(lines, Encode(tb, Object{"resourceSpans": resources}))
	}
	return lines
}

// SegmentDocument writes a span as OpenTelemetry's X-Ray exporter and X-Ray's OTLP
// endpoint do: annotations for the attributes in aws.xray.annotations, metadata for the
// others, the resource only in segments, and HTTP in its own block.
func SegmentDocument(tb testing.TB, s workflow.Span, dots bool) string {
	annotations, metadata := Object{}, Object{}
	listed, _ := s.Attributes[lineage.AttrXRayAnnotations].([]any)
	http := Object{}
	for k, v := range s.Attributes {
		switch {
		case k == lineage.AttrXRayAnnotations:
		case k == "http.request.method":
			http["request"] = Object{"method": v}
		case k == "http.response.status_code":
			http["response"] = Object{"status": v, "content_length": 0}
		case slices.Contains(listed, any(k)) && !dots:
			annotations[strings.ReplaceAll(k, ".", "_")] = v
		case slices.Contains(listed, any(k)):
			annotations[k] = v
		default:
			metadata[k] = v
		}
	}
	document := Object{
		"id": s.ID.Span, "trace_id": "1-" + s.ID.Trace[:8] + "-" + s.ID.Trace[8:], "name": s.Name, "annotations": annotations,
		"start_time": float64(s.Start.UnixNano()) / 1e9, "end_time": float64(s.End.UnixNano()) / 1e9,
		"error": false, "fault": s.Error, "throttle": false,
	}
	if s.Parent != "" {
		document["parent_id"] = s.Parent
		document["type"] = "subsegment"
	} else {
		metadata["otel.resource.service.name"] = s.Service
	}
	if len(http) > 0 {
		document["http"], document["namespace"], document["name"] = http, "remote", "paper-api.alpaca.markets"
	}
	if s.Message != "" {
		document["cause"] = Object{"exceptions": []Object{{"id": "00000000000000aa", "message": s.Message}}}
	}
	if len(s.Links) > 0 {
		links := []Object{}
		for _, l := range s.Links {
			links = append(links, Object{"trace_id": "1-" + l.To.Trace[:8] + "-" + l.To.Trace[8:], "id": l.To.Span, "attributes": l.Attributes})
		}
		document["links"] = links
	}
	document["metadata"] = Object{"default": metadata}
	return string(Encode(tb, document))
}

// SpanRecord writes a span as an event of aws/spans.
func SpanRecord(tb testing.TB, s workflow.Span) string {
	links := []Object{}
	for _, l := range s.Links {
		links = append(links, Object{"traceId": l.To.Trace, "spanId": l.To.Span, "attributes": l.Attributes})
	}
	code := "UNSET"
	if s.Error {
		code = "ERROR"
	}
	record := Object{
		"resource": Object{"attributes": Object{"service.name": s.Service, "cloud.platform": "aws_lambda"}}, "scope": Object{"name": "throughline"},
		"traceId": s.ID.Trace, "spanId": s.ID.Span, "name": s.Name, "kind": s.Kind, "flags": 1,
		"startTimeUnixNano": s.Start.UnixNano(), "endTimeUnixNano": s.End.UnixNano(), "durationNano": s.Duration().Nanoseconds(),
		"attributes": s.Attributes, "status": Object{"code": code, "message": s.Message}, "links": links,
	}
	if s.Parent != "" {
		record["parentSpanId"] = s.Parent
	}
	return string(Encode(tb, record))
}

// JaegerTraces writes spans in the form of Jaeger's query API: a link is a reference
// without attributes.
func JaegerTraces(spans []workflow.Span) []Object {
	byTrace := map[string][]workflow.Span{}
	for _, s := range spans {
		byTrace[s.ID.Trace] = append(byTrace[s.ID.Trace], s)
	}
	traces := []Object{}
	for id, list := range byTrace {
		out, processes := []Object{}, Object{}
		for i, s := range list {
			references := []Object{}
			if s.Parent != "" {
				references = append(references, Object{"refType": "CHILD_OF", "traceID": s.ID.Trace, "spanID": s.Parent})
			}
			for _, l := range s.Links {
				references = append(references, Object{"refType": "FOLLOWS_FROM", "traceID": l.To.Trace, "spanID": l.To.Span})
			}
			tags := []Object{{"key": "span.kind", "type": "string", "value": strings.ToLower(s.Kind)}}
			if s.Error {
				tags = append(tags, Object{"key": "error", "type": "bool", "value": true}, Object{"key": "otel.status_description", "type": "string", "value": s.Message})
			}
			for k, v := range s.Attributes {
				kind := "string"
				switch list := v.(type) {
				case int64:
					kind = "int64"
				case bool:
					kind = "bool"
				case []any:
					text, _ := json.Marshal(list)
					v = string(text)
				}
				tags = append(tags, Object{"key": k, "type": kind, "value": v})
			}
			process := fmt.Sprint("p", i)
			processes[process] = Object{"serviceName": s.Service}
			out = append(out, Object{
				"traceID": id, "spanID": s.ID.Span, "operationName": s.Name, "references": references, "tags": tags, "processID": process,
				"startTime": s.Start.UnixMicro(), "duration": s.Duration().Microseconds(),
			})
		}
		traces = append(traces, Object{"traceID": id, "spans": out, "processes": processes})
	}
	return traces
}
