package spanstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing"
)

type object = map[string]any

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// otlpValue is a value as OTLP/JSON writes it: integers as strings.
func otlpValue(v any) object {
	switch v := v.(type) {
	case string:
		return object{"stringValue": v}
	case bool:
		return object{"boolValue": v}
	case int64:
		return object{"intValue": fmt.Sprint(v)}
	case float64:
		return object{"doubleValue": v}
	case []any:
		values := []object{}
		for _, item := range v {
			values = append(values, otlpValue(item))
		}
		return object{"arrayValue": object{"values": values}}
	}
	return object{}
}

func otlpAttributes(attrs map[string]any) []object {
	list := []object{}
	for k, v := range attrs {
		list = append(list, object{"key": k, "value": otlpValue(v)})
	}
	return list
}

var kindNumbers = map[string]int{"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}

// otlpLines writes spans as file exporters do, and as a collector is sent them:
// requests of up to a hundred spans.
func otlpLines(tb testing.TB, spans []workflow.Span) [][]byte {
	var lines [][]byte
	for chunk := range slices.Chunk(spans, 100) {
		resources := []object{}
		for _, s := range chunk {
			links := []object{}
			for _, l := range s.Links {
				flags := 256 // is-remote is told, the trace flags are not set
				if l.Sampled {
					flags |= 1
				}
				links = append(links, object{"traceId": l.To.Trace, "spanId": l.To.Span, "flags": flags, "attributes": otlpAttributes(l.Attributes)})
			}
			span := object{
				"traceId": s.ID.Trace, "spanId": s.ID.Span, "parentSpanId": s.Parent, "name": s.Name, "kind": kindNumbers[s.Kind],
				"startTimeUnixNano": fmt.Sprint(s.Start.UnixNano()), "endTimeUnixNano": fmt.Sprint(s.End.UnixNano()), "attributes": otlpAttributes(s.Attributes), "links": links,
			}
			if s.Error {
				span["status"] = object{"code": 2, "message": s.Message}
			}
			resources = append(resources, object{
				"resource":   object{"attributes": otlpAttributes(object{"service.name": s.Service})},
				"scopeSpans": []object{{"spans": []object{span}}},
			})
		}
		lines = append(lines, encode(tb, object{"resourceSpans": resources}))
	}
	return lines
}

// segmentDocument writes a span as OpenTelemetry's X-Ray exporter and X-Ray's
// OTLP endpoint do: annotations for what aws.xray.annotations lists, the rest
// as metadata, the resource at segments alone, HTTP in a block of its own.
func segmentDocument(tb testing.TB, s workflow.Span, dots bool) string {
	annotations, metadata := object{}, object{}
	listed, _ := s.Attributes[tracing.AttrXRayAnnotations].([]any)
	http := object{}
	for k, v := range s.Attributes {
		switch {
		case k == tracing.AttrXRayAnnotations:
		case k == "http.request.method":
			http["request"] = object{"method": v}
		case k == "http.response.status_code":
			http["response"] = object{"status": v, "content_length": 0}
		case slices.Contains(listed, any(k)) && !dots:
			annotations[strings.ReplaceAll(k, ".", "_")] = v
		case slices.Contains(listed, any(k)):
			annotations[k] = v
		default:
			metadata[k] = v
		}
	}
	document := object{
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
		document["cause"] = object{"exceptions": []object{{"id": "00000000000000aa", "message": s.Message}}}
	}
	if len(s.Links) > 0 {
		links := []object{}
		for _, l := range s.Links {
			links = append(links, object{"trace_id": "1-" + l.To.Trace[:8] + "-" + l.To.Trace[8:], "id": l.To.Span, "attributes": l.Attributes})
		}
		document["links"] = links
	}
	document["metadata"] = object{"default": metadata}
	return string(encode(tb, document))
}

// spanRecord writes a span as an event of aws/spans.
func spanRecord(tb testing.TB, s workflow.Span) string {
	links := []object{}
	for _, l := range s.Links {
		links = append(links, object{"traceId": l.To.Trace, "spanId": l.To.Span, "attributes": l.Attributes})
	}
	code := "UNSET"
	if s.Error {
		code = "ERROR"
	}
	record := object{
		"resource": object{"attributes": object{"service.name": s.Service, "cloud.platform": "aws_lambda"}}, "scope": object{"name": "throughline"},
		"traceId": s.ID.Trace, "spanId": s.ID.Span, "name": s.Name, "kind": s.Kind, "flags": 1,
		"startTimeUnixNano": s.Start.UnixNano(), "endTimeUnixNano": s.End.UnixNano(), "durationNano": s.Duration().Nanoseconds(),
		"attributes": s.Attributes, "status": object{"code": code, "message": s.Message}, "links": links,
	}
	if s.Parent != "" {
		record["parentSpanId"] = s.Parent
	}
	return string(encode(tb, record))
}

// jaegerTraces writes spans as Jaeger's query API does: a link is a reference
// without attributes.
func jaegerTraces(spans []workflow.Span) []object {
	byTrace := map[string][]workflow.Span{}
	for _, s := range spans {
		byTrace[s.ID.Trace] = append(byTrace[s.ID.Trace], s)
	}
	traces := []object{}
	for id, list := range byTrace {
		out, processes := []object{}, object{}
		for i, s := range list {
			references := []object{}
			if s.Parent != "" {
				references = append(references, object{"refType": "CHILD_OF", "traceID": s.ID.Trace, "spanID": s.Parent})
			}
			for _, l := range s.Links {
				references = append(references, object{"refType": "FOLLOWS_FROM", "traceID": l.To.Trace, "spanID": l.To.Span})
			}
			tags := []object{{"key": "span.kind", "type": "string", "value": strings.ToLower(s.Kind)}}
			if s.Error {
				tags = append(tags, object{"key": "error", "type": "bool", "value": true}, object{"key": "otel.status_description", "type": "string", "value": s.Message})
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
				tags = append(tags, object{"key": k, "type": kind, "value": v})
			}
			process := fmt.Sprint("p", i)
			processes[process] = object{"serviceName": s.Service}
			out = append(out, object{
				"traceID": id, "spanID": s.ID.Span, "operationName": s.Name, "references": references, "tags": tags, "processID": process,
				"startTime": s.Start.UnixMicro(), "duration": s.Duration().Microseconds(),
			})
		}
		traces = append(traces, object{"traceID": id, "spans": out, "processes": processes})
	}
	return traces
}
