package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Jaeger reads from Jaeger's query API (its internal HTTP JSON, port 16686).
// The zero value is of no use: URL and Client are required. Safe for
// concurrent use.
type Jaeger struct {
	URL    string // base, as http://127.0.0.1:16686
	Client *http.Client
	// Lookback is how far back traces are searched. Zero: a week.
	Lookback time.Duration
	// Limit is how many traces of a service are read. Zero: 1500.
	Limit int
}

// maxAnswer bounds one answer of the query API.
const maxAnswer = 256 << 20

type jaegerAnswer[T any] struct {
	Data   T
	Errors []struct{ Msg string }
}

type jaegerTrace struct {
	Spans []struct {
		TraceID, SpanID, OperationName string
		References                     []struct{ RefType, TraceID, SpanID string }
		StartTime, Duration            int64 // microseconds
		Tags                           []jaegerTag
		ProcessID                      string
	}
	Processes map[string]struct{ ServiceName string }
}

type jaegerTag struct {
	Key, Type string
	Value     any
}

// Spans reads every span of the traces that carry correlationID, or of all
// recent traces where it is "". Jaeger keeps links without their attributes,
// so a link's reason is inferred from what it points at. An error names the
// request that failed.
func (j Jaeger) Spans(ctx context.Context, correlationID string) ([]Span, error) {
	var services jaegerAnswer[[]string]
	if err := j.get(ctx, "/api/services", nil, &services); err != nil {
		return nil, err
	}
	var spans []Span
	seen := map[ID]bool{}
	for _, service := range services.Data {
		query := url.Values{"service": {service}, "limit": {strconv.Itoa(orDefault(j.Limit, 1500))}}
		query.Set("lookback", "custom")
		end := time.Now()
		query.Set("start", strconv.FormatInt(end.Add(-orDefault(j.Lookback, 7*24*time.Hour)).UnixMicro(), 10))
		query.Set("end", strconv.FormatInt(end.Add(time.Hour).UnixMicro(), 10))
		if correlationID != "" {
			tags, err := json.Marshal(map[string]string{"throughline.correlation.id": correlationID})
			if err != nil {
				return nil, err
			}
			query.Set("tags", string(tags))
		}
		var traces jaegerAnswer[[]jaegerTrace]
		if err := j.get(ctx, "/api/traces", query, &traces); err != nil {
			return nil, err
		}
		for _, trace := range traces.Data {
			for _, s := range trace.spans() {
				if !seen[s.ID] {
					seen[s.ID] = true
					spans = append(spans, s)
				}
			}
		}
	}
	inferLinks(spans)
	return spans, nil
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (j Jaeger) get(ctx context.Context, path string, query url.Values, into any) error {
	target := strings.TrimSuffix(j.URL, "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("ask Jaeger: %w", err)
	}
	resp, err := j.Client.Do(req)
	if err != nil {
		return fmt.Errorf("ask Jaeger: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Jaeger: %s answered %s", path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read Jaeger's answer to %s: %w", path, err)
	}
	return nil
}

func (t jaegerTrace) spans() []Span {
	spans := make([]Span, 0, len(t.Spans))
	for _, s := range t.Spans {
		span := Span{
			ID: ID{s.TraceID, s.SpanID}, Name: s.OperationName, Service: t.Processes[s.ProcessID].ServiceName,
			Start: time.UnixMicro(s.StartTime).UTC(), Attributes: map[string]any{},
		}
		span.End = span.Start.Add(time.Duration(s.Duration) * time.Microsecond)
		for _, tag := range s.Tags {
			span.setTag(tag)
		}
		for _, ref := range s.References {
			if ref.RefType == "CHILD_OF" && ref.TraceID == s.TraceID && span.Parent == "" {
				span.Parent = ref.SpanID
				continue
			}
			span.Links = append(span.Links, Link{To: ID{ref.TraceID, ref.SpanID}, Sampled: true, Attributes: map[string]any{}})
		}
		spans = append(spans, span)
	}
	return spans
}

func (s *Span) setTag(tag jaegerTag) {
	switch tag.Key {
	case "span.kind":
		text, _ := tag.Value.(string)
		s.Kind = strings.ToUpper(text)
	case "error":
		s.Error, _ = tag.Value.(bool)
	case "otel.status_description":
		s.Message, _ = tag.Value.(string)
	default:
		s.Attributes[tag.Key] = tag.plain()
	}
}

// plain undoes what Jaeger does to values: integers come as JSON numbers, lists as JSON text.
func (t jaegerTag) plain() any {
	if n, ok := t.Value.(float64); ok && t.Type == "int64" {
		return int64(n)
	}
	if text, ok := t.Value.(string); ok && strings.HasPrefix(text, "[") {
		var list []any
		if json.Unmarshal([]byte(text), &list) == nil {
			return list
		}
	}
	return t.Value
}

// inferLinks gives links their reason back, from what they point at and from
// the order in which they are written: causation first, then the origin.
func inferLinks(spans []Span) {
	byID := map[ID]*Span{}
	for i := range spans {
		byID[spans[i].ID] = &spans[i]
	}
	for i := range spans {
		s := &spans[i]
		caused := map[ID]bool{}
		for n := range s.Links {
			link := &s.Links[n]
			target := byID[link.To]
			link.Why = reason(s, n, target, caused[link.To])
			caused[link.To] = caused[link.To] || link.Why == "causation"
			if link.Why == "causation" && s.Kind == "CONSUMER" {
				link.Attributes["throughline.event.id"] = s.Text("throughline.event.id")
			}
		}
	}
}

// reason is what link n of s is for; target is nil where it was not seen.
func reason(s *Span, n int, target *Span, caused bool) string {
	handles := s.Kind == "CONSUMER"
	switch {
	case caused: // the workflow's first event is its cause and its origin
		return "correlation"
	case target != nil && target.Kind == "CONSUMER":
		return "repeat"
	case handles && target != nil && (causes(target, s) || n == 0): // an event may have no ID of its own
		return "causation"
	case handles && target == nil && n == 0 && s.Text("throughline.event.type") != "":
		return "causation"
	case handles && target == nil && n == 0: // no event: the invocation's own trace
		return "trace"
	case !handles && n == 0 && len(s.Links) > 1: // the cause of what is published comes first
		return "causation"
	default:
		return "correlation"
	}
}

func causes(publication, handling *Span) bool {
	id := publication.Text("throughline.event.id")
	return id != "" && (id == handling.Text("throughline.event.id") || handling.Text("throughline.event.id") == "")
}
