// Package spanstore reads the spans of a workflow from where they are kept:
// OTLP/JSON files, Jaeger, X-Ray, and CloudWatch's Transaction Search. Each of
// them is a [Store]; what they read becomes package workflow's spans.
package spanstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// Store is where spans are kept. Every method may take seconds and many
// requests; each ends early when its context does.
type Store interface {
	// Spans are those of every trace in which a span carries the correlation ID.
	Spans(ctx context.Context, correlationID string) ([]workflow.Span, error)
	// CorrelationOf is the workflow of the event with this ID of its own, "" where
	// no span names the event.
	CorrelationOf(ctx context.Context, eventID string) (string, error)
	// Workflows are those that the store has, the one that ended last first. A
	// store that knows no more than the latest cheaply gives that one if lastOnly.
	Workflows(ctx context.Context, lastOnly bool) ([]workflow.Summary, error)
}

// maxSpans bounds the spans of one workflow that are kept in memory: about a
// gigabyte of them.
const maxSpans = 500_000

// errTooMany is told to a person whose workflow is larger than that.
var errTooMany = fmt.Errorf("more than %d spans: look at less with --since, or at one workflow", maxSpans)

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
