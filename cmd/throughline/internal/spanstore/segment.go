package spanstore

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// segment is an X-Ray segment document (X-Ray developer guide, "Segment documents"; links
// and the names in metadata as OpenTelemetry's exporter and X-Ray's OTLP endpoint write
// them). A span becomes a segment or a subsegment, which X-Ray can return within its
// segment.
type segment struct {
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	TraceID     string                     `json:"trace_id"`
	ParentID    string                     `json:"parent_id"`
	StartTime   float64                    `json:"start_time"`
	EndTime     float64                    `json:"end_time"`
	Type        string                     `json:"type"`
	Namespace   string                     `json:"namespace"`
	Origin      string                     `json:"origin"`
	Inferred    bool                       `json:"inferred"` // X-Ray's inferred segment of a called service; not a span
	Error       bool                       `json:"error"`    // 4xx
	Fault       bool                       `json:"fault"`    // 5xx and every other failure
	Cause       json.RawMessage            `json:"cause"`    // an object, or the ID of another segment with it
	HTTP        *segmentHTTP               `json:"http"`
	Annotations map[string]any             `json:"annotations"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
	Links       []struct {
		TraceID    string         `json:"trace_id"`
		ID         string         `json:"id"`
		Attributes map[string]any `json:"attributes"`
	} `json:"links"`
	Subsegments []*segment `json:"subsegments"`
}

type segmentHTTP struct {
	Request  struct{ Method, URL string }
	Response struct{ Status int64 }
}

// annotated are the attributes by their annotation names from before keys could have
// dots. Documents with either form exist.
var annotated = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		lineage.AttrEventID, lineage.AttrEventType, lineage.AttrCorrelationID, lineage.AttrCausationID, lineage.AttrParentEventID, lineage.AttrHops,
		lineage.AttrLinksDropped, lineage.AttrRepeatKind, lineage.AttrRepeatCount, lineage.AttrRepeatFirstRequest, lineage.AttrRepeatFirstTime,
		lineage.AttrOrderEarly, lineage.AttrLag, lineage.AttrLagFrom, lineage.AttrEntrySize, lineage.AttrReplayName, lineage.AttrInvocationID,
		lineage.AttrHopIDs, "faas.coldstart", "messaging.operation.type", "messaging.batch.message_count", "http.request.resend_count", "url.template", "error.type",
		resourceService,
	} {
		names[strings.Map(func(r rune) rune {
			if r == '.' {
				return '_'
			}
			return r
		}, name)] = name
	}
	return names
}()

const resourceService = "otel.resource.service.name"

// readSegments reads the documents of one trace.
func readSegments(documents []string) (spans []workflow.Span, unread int) {
	var queue []*segment
	for _, d := range documents {
		s := &segment{}
		if err := json.Unmarshal([]byte(d), s); err != nil {
			unread++
			continue
		}
		queue = append(queue, s)
	}
	at := map[string]int{}
	for ; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		for _, sub := range s.Subsegments {
			if sub == nil {
				continue
			}
			if sub.ParentID == "" {
				sub.ParentID = s.ID
			}
			if sub.TraceID == "" {
				sub.TraceID = s.TraceID
			}
			queue = append(queue, sub)
		}
		if s.Inferred || s.ID == "" {
			continue
		}
		span := s.span()
		at[span.ID.Span] = len(spans)
		spans = append(spans, span)
	}
	nameServices(spans, at)
	return spans, unread
}

// nameServices sets the service of spans without a resource, such as subsegments, to that
// of their segment.
func nameServices(spans []workflow.Span, at map[string]int) {
	for i := range spans {
		parent := spans[i].Parent
		for range 1000 {
			k, known := at[parent]
			if spans[i].Service != "" || !known {
				break
			}
			spans[i].Service, parent = spans[k].Service, spans[k].Parent
		}
		if spans[i].Service == "" {
			spans[i].Service = spans[i].Name
		}
	}
}

// w3c converts a trace ID from X-Ray's form, 1-<8 hex>-<24 hex>, to W3C's.
func w3c(trace string) string {
	if rest, ok := strings.CutPrefix(trace, "1-"); ok {
		return strings.ToLower(strings.ReplaceAll(rest, "-", ""))
	}
	return strings.ToLower(trace)
}

func (s *segment) span() workflow.Span {
	span := workflow.Span{
		ID: id(w3c(s.TraceID), s.ID), Parent: strings.ToLower(s.ParentID), Name: s.Name, Start: seconds(s.StartTime), End: seconds(max(s.StartTime, s.EndTime)),
		Error: s.Error || s.Fault, Message: s.message(), Attributes: s.attributes(),
	}
	span.Kind = s.kind(&span)
	if s.HTTP != nil && s.HTTP.Request.Method != "" {
		span.Name = strings.TrimSpace(s.HTTP.Request.Method + " " + span.Text("url.template"))
	}
	switch {
	case span.Text(resourceService) != "":
		span.Service = span.Text(resourceService)
	case s.Type == "" && span.Kind != "CONSUMER" && span.Kind != "PRODUCER":
		span.Service = s.Name // a segment has the name of its service
	}
	for _, l := range s.Links {
		if l.Attributes == nil {
			l.Attributes = map[string]any{}
		}
		span.Links = append(span.Links, newLink(id(w3c(l.TraceID), l.ID), nil, l.Attributes))
	}
	return span
}

// kind restores the span kind, which segments do not have.
func (s *segment) kind(span *workflow.Span) string {
	switch span.Text("messaging.operation.type") {
	case "create", "send":
		if span.Text(lineage.AttrEventID) != "" || span.Text(lineage.AttrEventType) != "" {
			return "PRODUCER"
		}
		return "CLIENT"
	case "process":
		return "CONSUMER"
	}
	switch {
	case span.Text("faas.trigger") != "":
		return "SERVER" // an invocation without an event
	case s.Namespace == "remote" || s.Namespace == "aws":
		return "CLIENT"
	case s.Type == "":
		return "SERVER"
	default:
		return "INTERNAL"
	}
}

// seconds converts Unix seconds with a fraction. The precision of a float is then a
// quarter of a microsecond.
func seconds(s float64) time.Time {
	if math.IsNaN(s) || math.Abs(s) > 1e11 {
		return time.Unix(0, 0).UTC()
	}
	return time.UnixMicro(int64(math.Round(s * 1e6))).UTC()
}

func (s *segment) message() string {
	var cause struct {
		Message    string
		Exceptions []struct{ Message, Type string }
	}
	if len(s.Cause) == 0 || json.Unmarshal(s.Cause, &cause) != nil {
		return ""
	}
	if len(cause.Exceptions) > 0 {
		if e := cause.Exceptions[0]; e.Message != "" {
			return e.Message
		}
		return cause.Exceptions[0].Type
	}
	return cause.Message
}

func (s *segment) attributes() map[string]any {
	attrs := map[string]any{}
	for namespace, data := range s.Metadata {
		var values map[string]any
		if json.Unmarshal(data, &values) != nil {
			continue // the user's metadata can have any form
		}
		for key, value := range values {
			if namespace != "default" {
				key = namespace + "." + key
			}
			attrs[key] = whole(value)
		}
	}
	for key, value := range s.Annotations {
		attrs[key] = whole(value)
	}
	for key, name := range annotated {
		if value, ok := attrs[key]; ok && attrs[name] == nil {
			attrs[name] = value
		}
	}
	if s.HTTP != nil && s.HTTP.Request.Method != "" {
		attrs["http.request.method"] = s.HTTP.Request.Method
		if s.HTTP.Response.Status != 0 {
			attrs["http.response.status_code"] = s.HTTP.Response.Status
		}
	}
	return attrs
}

// whole converts a JSON number without a fraction to an integer.
func whole(v any) any {
	if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return v
}
