// Package spanstore reads the spans of a workflow from where they are kept:
// OTLP/JSON files, Jaeger, X-Ray, and CloudWatch's Transaction Search. Each of
// them is a [Store]; what they read becomes package workflow's spans.
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

// Store is where spans are kept. Every method may take seconds and many
// requests; each ends early when its context does.
type Store interface {
	// Spans are those of every trace in which a span carries the correlation ID.
	Spans(ctx context.Context, correlationID string) ([]workflow.Span, error)
	// Find are the spans of every trace in which a span is what is asked for.
	Find(ctx context.Context, q Query) ([]workflow.Span, error)
	// CorrelationOf is the workflow of the event with this ID of its own, "" where
	// no span names the event.
	CorrelationOf(ctx context.Context, eventID string) (string, error)
	// Workflows are those that the store has, the one that ended last first. A
	// store that knows no more than the latest cheaply gives that one if lastOnly.
	Workflows(ctx context.Context, lastOnly bool) ([]workflow.Summary, error)
	// Complete are the distinct correlation IDs that begin with a prefix, or where
	// events is true the events' own IDs that do, sorted; a few of them where there
	// are many.
	Complete(ctx context.Context, prefix string, events bool) ([]string, error)
}

// Query is what spans are looked for by: those that carry one of the correlation IDs, and
// those that have the ID of a hop. The zero value asks for nothing.
type Query struct {
	Correlations []string
	Ends         []workflow.OpenEnd
}

// matcher tells the spans that a query is about.
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

// matches tells whether a span, or a link of it as in a batch over several workflows,
// carries one of the correlation IDs, or whether it has one of the IDs.
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

// completions collects IDs that begin with a prefix. prefix is required.
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

// span adds the IDs that a span, or a link of it as in a batch, has.
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

// maxSpans bounds the spans of one workflow that are kept in memory: about a
// gigabyte of them.
const maxSpans = 500_000

// errTooMany is told to a person whose workflow is larger than that.
var errTooMany = fmt.Errorf("more than %d spans: look at less with --since, or at one workflow", maxSpans)

// errTimes is for a span that no clock can have told of.
var errTimes = errors.New("its times are impossible")

// usable reports whether a span can have begun and ended at these times: from 1970
// on, and before the year 2200. X-Ray and Jaeger count in other units than OTLP, and
// a time in the wrong one is thousands of years off.
func usable(start, end time.Time) bool {
	const last = 2200
	return start.Unix() >= 0 && start.Year() < last && end.Unix() >= 0 && end.Year() < last
}

// Tell is whom a store speaks to. The zero value listens to nothing.
type Tell struct {
	Progress func(format string, args ...any) // what is being done just now
	Note     func(format string, args ...any) // what whoever reads the result must know
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

// Window is the time that a store is searched in.
type Window struct{ From, To time.Time }

// middle splits the window in two.
func (w Window) middle() time.Time { return w.From.Add(w.To.Sub(w.From) / 2) }

// errQuote is for an ID that a query could not hold.
var errQuote = errors.New(`the ID has a quote, a backslash or a control character in it, which this backend cannot be asked for`)

// quotable refuses an ID that would end the string it stands in. IDs come from
// events, and a query is a program.
func quotable(id string) error {
	if strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == 0x7f }) {
		return errQuote
	}
	return nil
}
