package spanstore

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

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/tracing"
)

// Jaeger reads from Jaeger's query API (its internal HTTP JSON, port 16686).
// The zero value is of no use: URL, Client and Window are required. Safe for
// concurrent use.
type Jaeger struct {
	URL    string // base, as http://127.0.0.1:16686
	Client *http.Client
	Window Window
	// Limit is how many traces one search asks for; where a service has more, the
	// time is searched in halves. Zero: 1500, Jaeger's own bound.
	Limit int
	Tell  Tell
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

// Spans implements [Store]. Jaeger keeps links without their attributes and
// flags, so a link's reason is inferred from what it points at.
func (j Jaeger) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	return j.find(ctx, map[string]string{tracing.AttrCorrelationID: correlationID})
}

// CorrelationOf implements [Store].
func (j Jaeger) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	spans, err := j.find(ctx, map[string]string{tracing.AttrEventID: eventID})
	for i := range spans {
		if spans[i].EventID() == eventID && spans[i].Correlation() != "" {
			return spans[i].Correlation(), nil
		}
	}
	return "", err
}

// Workflows implements [Store]. Jaeger has no index of tags' values: every
// trace of the window is read.
func (j Jaeger) Workflows(ctx context.Context, _ bool) ([]workflow.Summary, error) {
	spans, err := j.find(ctx, nil)
	var index workflow.Index
	for i := range spans {
		index.Add(&spans[i])
	}
	return index.Workflows(), err
}

// All are the spans of every trace of the window.
func (j Jaeger) All(ctx context.Context) ([]workflow.Span, error) { return j.find(ctx, nil) }

// find reads the traces of every service that have a span with the tags.
func (j Jaeger) find(ctx context.Context, tags map[string]string) ([]workflow.Span, error) {
	if j.Limit == 0 {
		j.Limit = 1500
	}
	var services jaegerAnswer[[]string]
	if err := j.get(ctx, "/api/services", nil, &services); err != nil {
		return nil, err
	}
	query := url.Values{"limit": {strconv.Itoa(j.Limit)}, "lookback": {"custom"}}
	if tags != nil {
		text, err := json.Marshal(tags)
		if err != nil {
			return nil, err
		}
		query.Set("tags", string(text))
	}
	found := collected{seen: map[workflow.ID]bool{}}
	for n, service := range services.Data {
		j.Tell.say("asking Jaeger about %s, %d of %d services: %d spans", service, n+1, len(services.Data), len(found.spans))
		query.Set("service", service)
		if err := j.search(ctx, query, j.Window, &found); err != nil {
			return nil, err
		}
	}
	inferLinks(found.spans)
	return found.spans, nil
}

// collected are spans, each once.
type collected struct {
	spans []workflow.Span
	seen  map[workflow.ID]bool
}

func (c *collected) add(s workflow.Span) error {
	if c.seen[s.ID] {
		return nil
	}
	if len(c.spans) == maxSpans {
		return errTooMany
	}
	c.seen[s.ID] = true
	c.spans = append(c.spans, s)
	return nil
}

// search reads one service's traces of a window, and halves the window where
// the answer is as long as was asked for. It ends at windows of a millisecond.
func (j Jaeger) search(ctx context.Context, query url.Values, w Window, found *collected) error {
	query.Set("start", strconv.FormatInt(w.From.UnixMicro(), 10))
	query.Set("end", strconv.FormatInt(w.To.UnixMicro(), 10))
	var traces jaegerAnswer[[]jaegerTrace]
	if err := j.get(ctx, "/api/traces", query, &traces); err != nil {
		return err
	}
	if len(traces.Data) >= j.Limit && w.To.Sub(w.From) > time.Millisecond {
		middle := w.middle()
		if err := j.search(ctx, query, Window{w.From, middle}, found); err != nil {
			return err
		}
		return j.search(ctx, query, Window{middle, w.To}, found)
	}
	if len(traces.Data) >= j.Limit {
		j.Tell.note("Jaeger has more than %d traces of %s in the millisecond after %s: the rest is missing here", j.Limit, query.Get("service"), w.From.UTC().Format(time.RFC3339Nano))
	}
	for _, trace := range traces.Data {
		for _, s := range trace.spans() {
			if err := found.add(s); err != nil {
				return err
			}
		}
	}
	return nil
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
		return fmt.Errorf("ask Jaeger at %s, whose query API is on port 16686: %w", j.URL, err)
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

func (t jaegerTrace) spans() []workflow.Span {
	spans := make([]workflow.Span, 0, len(t.Spans))
	for _, s := range t.Spans {
		span := workflow.Span{
			ID: id(s.TraceID, s.SpanID), Name: s.OperationName, Service: t.Processes[s.ProcessID].ServiceName,
			Start: time.UnixMicro(s.StartTime).UTC(), Attributes: map[string]any{},
		}
		span.End = span.Start.Add(time.Duration(s.Duration) * time.Microsecond)
		for _, tag := range s.Tags {
			tag.set(&span)
		}
		for _, ref := range s.References {
			if ref.RefType == "CHILD_OF" && ref.TraceID == s.TraceID && span.Parent == "" {
				span.Parent = id("", ref.SpanID).Span
				continue
			}
			span.Links = append(span.Links, workflow.Link{To: id(ref.TraceID, ref.SpanID), Sampled: true, Attributes: map[string]any{}})
		}
		spans = append(spans, span)
	}
	return spans
}

func (t jaegerTag) set(s *workflow.Span) {
	switch t.Key {
	case "span.kind":
		text, _ := t.Value.(string)
		s.Kind = strings.ToUpper(text)
	case "error":
		s.Error, _ = t.Value.(bool)
	case "otel.status_description":
		s.Message, _ = t.Value.(string)
	default:
		s.Attributes[t.Key] = t.plain()
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
