// Package spanstore reads the spans of a workflow from a [Store]: OTLP/JSON files,
// Jaeger, X-Ray, and CloudWatch's Transaction Search. The results are spans of package
// workflow.
package spanstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Store is a backend with spans. Every method can take seconds and many requests, and
// ends when its context ends.
type Store interface {
	// Spans returns the spans of every trace in which a span has the correlation ID.
	Spans(ctx context.Context, correlationID string) ([]workflow.Span, error)
	// Find returns the spans of every trace in which a span matches the query.
	Find(ctx context.Context, q Query) ([]workflow.Span, error)
	// CorrelationOf returns the correlation ID of the event with this ID, or "" if no
	// span names the event.
	CorrelationOf(ctx context.Context, eventID string) (string, error)
	// Workflows returns the workflows of the store, the latest end first. With lastOnly,
	// a store can return only the latest if that is cheaper.
	Workflows(ctx context.Context, lastOnly bool) ([]workflow.Summary, error)
	// Complete returns the distinct correlation IDs with a prefix or, if events is set,
	// the event IDs with it, sorted. It returns a few of them if there are many.
	Complete(ctx context.Context, prefix string, events bool) ([]string, error)
}

// Query selects spans: those with one of the correlation IDs, and those with the ID of a
// hop. The zero value selects none.
type Query struct {
	Correlations []string
	Ends         []workflow.OpenEnd
}

// matcher matches spans with a query.
type matcher struct{ correlations, ids map[string]bool }

func (q Query) matcher() matcher {
	m := matcher{map[string]bool{}, map[string]bool{}}
	for _, id := range q.Correlations {
		m.correlations[id] = true
	}
	for _, e := range q.Ends {
		m.ids[e.ID] = true
	}
	return m
}

// matches reports whether a span, or a link of a batch span, has one of the correlation
// IDs, or whether the span has one of the other IDs.
func (m matcher) matches(s *workflow.Span) bool {
	if m.correlations[s.Correlation()] {
		return true
	}
	for _, l := range s.Links {
		if id, _ := l.Attributes[lineage.AttrCorrelationID].(string); m.correlations[id] {
			return true
		}
	}
	return len(m.ids) > 0 && s.IDs(func(id string) bool { return m.ids[id] })
}

// completions collects IDs with a prefix. prefix is required.
type completions struct {
	prefix string
	events bool
	found  map[string]bool
}

func (c *completions) add(id string) {
	const few = 100
	if id == "" || !strings.HasPrefix(id, c.prefix) || len(c.found) == few {
		return
	}
	if c.found == nil {
		c.found = map[string]bool{}
	}
	c.found[id] = true
}

// span adds the IDs of a span and, for a batch, of its links.
func (c *completions) span(s *workflow.Span) {
	if c.events {
		c.add(s.EventID())
		return
	}
	c.add(s.Correlation())
	for _, l := range s.Links {
		text, _ := l.Attributes[lineage.AttrCorrelationID].(string)
		c.add(text)
	}
}

func (c *completions) list() []string { return slices.Sorted(maps.Keys(c.found)) }

// maxSpans bounds the spans of one workflow in memory: they take about a gigabyte.
const maxSpans = 500_000

// errTooMany is the error for a larger workflow.
var errTooMany = fmt.Errorf("more than %d spans: narrow the time with --since, or name one workflow", maxSpans)

// errTimes is the error for a span with impossible times.
var errTimes = errors.New("its times are impossible")

// usable reports whether a span can have these times: between 2000 and 2200, or none.
// X-Ray, Jaeger and OTLP count in different units, and a time in the wrong unit is in
// 1970 or thousands of years off.
func usable(start, end time.Time) bool {
	const first, last = 2000, 2200
	possible := func(t time.Time) bool { return t.Unix() == 0 || t.Year() >= first && t.Year() < last }
	return possible(start) && possible(end)
}

// Tell receives the progress and notes of a store. The zero value ignores them.
type Tell struct {
	Progress func(format string, args ...any) // the current step
	Note     func(format string, args ...any) // a note that belongs to the result
}

func (t Tell) say(format string, args ...any) {
	if t.Progress != nil {
		t.Progress(format, args...)
	}
}

func (t Tell) note(format string, args ...any) {
	if t.Note != nil {
		t.Note(format, args...)
	}
}

// Window is the time range that a store is searched in.
type Window struct{ From, To time.Time }

// middle returns the time in the middle of the window.
func (w Window) middle() time.Time { return w.From.Add(w.To.Sub(w.From) / 2) }

// errQuote is the error for an ID that a query cannot contain.
var errQuote = errors.New(`the ID has a quote, a backslash or a control character, which this backend cannot search for`)

// quotable refuses an ID that would end the string in a query, because IDs come from
// events.
func quotable(id string) error {
	if strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == 0x7f }) {
		return errQuote
	}
	return nil
}
