package spanstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Jaeger reads from Jaeger's query API (its internal HTTP JSON, port 16686). URL, Client
// and Window are required. It is safe for concurrent use.
type Jaeger struct {
	URL    string // the base URL, such as http://127.0.0.1:16686
	Client *http.Client
	Window Window
	// Limit is the number of traces that one search requests. If a service has more, the
	// time is searched in halves. 0 means 1500, Jaeger's own limit.
	Limit int
	Tell  Tell
}

// maxAnswer bounds the size of a response in bytes.
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

// Spans implements [Store]. Jaeger does not keep the attributes and flags of links, so a
// link's reason is inferred from its target.
func (j Jaeger) Spans(ctx context.Context, correlationID string) ([]workflow.Span, error) {
	return j.find(ctx, map[string]string{lineage.AttrCorrelationID: correlationID})
}

// maxQuestions bounds the searches for IDs of hops, each in all services.
const maxQuestions = 200

// Find implements [Store]. Jaeger finds a tag only by its whole value, and keeps a list
// as one value. So a batch is searched by the name of its queue, and a batch of a topic's
// events among all process spans. Other results are dropped here.
func (j Jaeger) Find(ctx context.Context, q Query) ([]workflow.Span, error) {
	var found collected
	for _, id := range q.Correlations {
		spans, err := j.Spans(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := found.merge(spans); err != nil {
			return nil, err
		}
	}
	m := Query{Ends: q.Ends}.matcher()
	questions := q.questions()
	if len(questions) > maxQuestions {
		j.Tell.note("%s are not searched: the spans at their other ends are missing here", phrase.Count(len(questions)-maxQuestions, "ID of a hop"))
		questions = questions[:maxQuestions]
	}
	for _, tags := range questions {
		spans, err := j.find(ctx, tags)
		if err != nil {
			return nil, err
		}
		traces := map[string]bool{}
		for i := range spans {
			if m.matches(&spans[i]) {
				traces[spans[i].ID.Trace] = true
			}
		}
		for i := range spans {
			if traces[spans[i].ID.Trace] {
				if err := found.add(spans[i]); err != nil {
					return nil, err
				}
			}
		}
	}
	return found.finish(j.Tell), nil
}

// questions returns the tags by which Jaeger finds the IDs, queues first, without
// duplicates.
func (q Query) questions() (queues []map[string]string) {
	var ids []map[string]string
	seen := map[string]bool{}
	for _, end := range q.Ends {
		key, value := "messaging.destination.name", end.At
		if slices.Contains(end.Attributes, lineage.AttrNotificationIDs) {
			key, value = "messaging.operation.type", "process" // of any queue
		}
		if value != "" && !seen[value] {
			seen[value] = true
			queues = append(queues, map[string]string{key: value})
		}
		for _, name := range end.Attributes {
			value := end.ID
			switch name {
			case lineage.AttrMessageIDs, lineage.AttrNotificationIDs, lineage.AttrS3RequestIDs, lineage.AttrOriginRequestIDs, lineage.AttrTaskTokenHashes:
				text, err := json.Marshal([]string{value})
				if err != nil {
					continue
				}
				value = string(text)
			}
			ids = append(ids, map[string]string{name: value})
		}
	}
	return append(queues, ids...)
}

// CorrelationOf implements [Store].
func (j Jaeger) CorrelationOf(ctx context.Context, eventID string) (string, error) {
	spans, err := j.find(ctx, map[string]string{lineage.AttrEventID: eventID})
	for i := range spans {
		if spans[i].EventID() == eventID && spans[i].Correlation() != "" {
			return spans[i].Correlation(), nil
		}
	}
	return "", err
}

// Workflows implements [Store]. Jaeger has no index of tag values: every trace of the
// window is read.
func (j Jaeger) Workflows(ctx context.Context, _ bool) ([]workflow.Summary, error) {
	spans, err := j.find(ctx, nil)
	var index workflow.Index
	for i := range spans {
		index.Add(&spans[i])
	}
	return index.Workflows(), err
}

// Complete implements [Store]. It reads every trace of the window.
func (j Jaeger) Complete(ctx context.Context, prefix string, events bool) ([]string, error) {
	spans, err := j.find(ctx, nil)
	c := completions{prefix: prefix, events: events}
	for i := range spans {
		c.span(&spans[i])
	}
	return c.list(), err
}

// All returns the spans of every trace of the window.
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
	var found collected
	for n, service := range services.Data {
		j.Tell.say("asking Jaeger about %s, %d of %d services: %d spans", service, n+1, len(services.Data), len(found.spans))
		query.Set("service", service)
		if err := j.search(ctx, query, j.Window, &found); err != nil {
			return nil, err
		}
	}
	return found.finish(j.Tell), nil
}

// collected is a set of spans. The zero value is empty.
type collected struct {
	spans  []workflow.Span
	seen   map[workflow.ID]bool
	unread int // the number of spans that cannot be read or have impossible times
}

// add adds a span once.
func (c *collected) add(s workflow.Span) error {
	switch {
	case c.seen[s.ID]:
		return nil
	case !usable(s.Start, s.End):
		c.unread++
		return nil
	case c.seen == nil:
		c.seen = map[workflow.ID]bool{}
	}
	c.seen[s.ID] = true
	return c.keep(s)
}

func (c *collected) keep(s workflow.Span) error {
	if len(c.spans) == maxSpans {
		return errTooMany
	}
	c.spans = append(c.spans, s)
	return nil
}

// finish adds a note on skipped spans, infers links, and returns the spans.
func (c *collected) finish(tell Tell) []workflow.Span {
	if c.unread > 0 {
		tell.note("%s cannot be read or have impossible times, and are skipped", phrase.Count(c.unread, "span"))
	}
	inferLinks(c.spans)
	return c.spans
}

// search reads one service's traces in a window. It halves the window if the response has
// as many traces as requested, down to a millisecond.
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
		return fmt.Errorf("ask Jaeger at %s: %w; its query API is on port 16686", j.URL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Jaeger: %s returned %s", path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read Jaeger's response to %s: %w", path, err)
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

// plain restores values that Jaeger changes: integers become JSON numbers, lists JSON
// text.
func (t jaegerTag) plain() any {
	switch n := t.Value.(type) {
	case float64:
		if t.Type == "int64" {
			return int64(n)
		}
	case string:
		if whole, err := strconv.ParseInt(n, 10, 64); err == nil && t.Type == "int64" {
			return whole
		}
	}
	if text, ok := t.Value.(string); ok && strings.HasPrefix(text, "[") {
		var list []any
		if json.Unmarshal([]byte(text), &list) == nil {
			return list
		}
	}
	return t.Value
}
