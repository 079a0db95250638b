package spanstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// record is one span of Transaction Search, an event of the log group aws/spans: OTLP's
// names, attributes as an object, enums as names.
type record struct {
	TraceID           string   `json:"traceId"`
	SpanID            string   `json:"spanId"`
	ParentSpanID      string   `json:"parentSpanId"`
	Name              string   `json:"name"`
	Kind              enum     `json:"kind"`
	StartTimeUnixNano flexInt  `json:"startTimeUnixNano"`
	EndTimeUnixNano   flexInt  `json:"endTimeUnixNano"`
	DurationNano      flexInt  `json:"durationNano"`
	Attributes        valueMap `json:"attributes"`
	Resource          struct {
		Attributes valueMap `json:"attributes"`
	} `json:"resource"`
	Status struct {
		Code    enum   `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Links []struct {
		TraceID    string   `json:"traceId"`
		SpanID     string   `json:"spanId"`
		Flags      *uint32  `json:"flags"`
		Attributes valueMap `json:"attributes"`
	} `json:"links"`
}

// valueMap is a set of attributes, as an object or as OTLP's list of pairs.
type valueMap map[string]any

func (m *valueMap) UnmarshalJSON(data []byte) error {
	*m = valueMap{}
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		*m = attributes(data)
		return nil
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("read attributes: %w", err)
	}
	m.flatten("", values, 0)
	return nil
}

// flatten joins the names of nested objects with dots.
func (m valueMap) flatten(prefix string, values map[string]any, depth int) {
	const deepest = 16
	for key, value := range values {
		if inner, ok := value.(map[string]any); ok && depth < deepest {
			m.flatten(prefix+key+".", inner, depth+1)
			continue
		}
		m[prefix+key] = whole(value)
	}
}

// readRecord reads one event of aws/spans.
func readRecord(message []byte) (workflow.Span, error) {
	var r record
	if err := json.Unmarshal(message, &r); err != nil {
		return workflow.Span{}, fmt.Errorf("read span: %w", err)
	}
	if r.Attributes == nil {
		r.Attributes = valueMap{}
	}
	span := workflow.Span{
		ID: id(w3c(r.TraceID), r.SpanID), Parent: id("", r.ParentSpanID).Span, Name: r.Name, Kind: r.Kind.kind(),
		Start: time.Unix(0, int64(r.StartTimeUnixNano)).UTC(), End: time.Unix(0, int64(r.EndTimeUnixNano)).UTC(),
		Error: r.Status.Code.failed(), Message: r.Status.Message, Attributes: r.Attributes,
	}
	if r.EndTimeUnixNano == 0 {
		span.End = span.Start.Add(time.Duration(r.DurationNano))
	}
	for _, key := range []string{"service.name", "aws.local.service", "faas.name"} {
		if span.Service, _ = r.Resource.Attributes[key].(string); span.Service != "" {
			break
		}
	}
	if span.Service == "" {
		span.Service = span.Text("aws.local.service")
	}
	for _, l := range r.Links {
		if l.Attributes == nil {
			l.Attributes = valueMap{}
		}
		span.Links = append(span.Links, newLink(id(w3c(l.TraceID), l.SpanID), l.Flags, l.Attributes))
	}
	if !usable(span.Start, span.End) {
		return span, errTimes
	}
	return span, nil
}
