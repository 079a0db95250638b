package spansource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/spanstore"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// ErrNotFound is wrapped by the errors of [Source.Find] and [Source.OfEvent] if the
// source does not have the ID, or not yet.
var ErrNotFound = errors.New("not found")

// notFound is an ErrNotFound with a message of its own.
type notFound string

func (e notFound) Error() string        { return string(e) }
func (e notFound) Is(target error) bool { return target == ErrNotFound }
func (notFound) ExitCode() int          { return terminal.Found }

// None returns the error for a source without any workflow.
func (s Source) None(ctx context.Context) error {
	return notFound(fmt.Sprintf("no span has a correlation ID %s%s", s.Where, cmp.Or(s.failure(ctx, time.Time{}), s.Hint)))
}

// NoteFailure notes the last failed invocation that belongs to no workflow, if it ended
// after a time: the most recent workflow is then not what ran last.
func (s Source) NoteFailure(ctx context.Context, after time.Time) {
	if text := s.failure(ctx, after); text != "" && s.tell.Note != nil {
		s.tell.Note("%s", strings.TrimPrefix(text, ": "))
	}
}

// failure describes the last failed invocation that belongs to no workflow, after a colon.
// It returns "" if there is none after the given time, or if the source is not a file.
func (s Source) failure(ctx context.Context, after time.Time) string {
	file, ok := s.Store.(spanstore.File)
	if !ok {
		return ""
	}
	last, ok, err := file.LastFailure(ctx)
	if err != nil || !ok || !last.End.After(after) {
		return ""
	}
	return fmt.Sprintf(": an invocation of %s failed at %s, and no span says that it received an event%s; see the function's log",
		workflow.Clean(last.Service), last.End.UTC().Format("15:04:05Z"), in(last.Text("error.type")))
}

// in returns the type of an error in brackets, or "".
func in(errorType string) string {
	if errorType == "" {
		return ""
	}
	return " (" + workflow.Clean(errorType) + ")"
}

// Find returns the workflow of a correlation ID, or of the only one with this prefix.
func (s Source) Find(ctx context.Context, correlationID string) (*workflow.Workflow, error) {
	w, err := s.build(ctx, correlationID)
	if err != nil || len(w.Nodes) > 0 {
		return w, err
	}
	whole, err := complete(ctx, s.Store, correlationID, false)
	switch {
	case err != nil:
		return nil, err
	case whole == "" || whole == correlationID:
		return nil, s.unknown(ctx, correlationID)
	}
	return s.build(ctx, whole)
}

func (s Source) build(ctx context.Context, correlationID string) (*workflow.Workflow, error) {
	spans, err := spanstore.Gather(ctx, s.Store, correlationID, s.tell)
	if err != nil {
		return nil, err
	}
	return workflow.Build(spans, correlationID), nil
}

// OfEvent returns the correlation ID of an event and the event's whole ID, for this ID or
// a prefix of it.
func (s Source) OfEvent(ctx context.Context, event string) (correlationID, eventID string, err error) {
	id, err := s.CorrelationOf(ctx, event)
	if err != nil || id != "" {
		return id, event, err
	}
	whole, err := complete(ctx, s.Store, event, true)
	if err == nil && whole != "" {
		id, err = s.CorrelationOf(ctx, whole)
	}
	if err == nil && id == "" {
		err = notFound(fmt.Sprintf("no span names the event %s %s (an event's ID is event_id or eventId in its detail, or what THROUGHLINE_EVENT_ID names, or else its envelope's ID)%s", event, s.Where, cmp.Or(s.failure(ctx, time.Time{}), s.Hint)))
	}
	return id, whole, err
}

// OfID returns the correlation ID for an ID or ARN of an AWS service: a message, an
// invocation, an execution, a schedule. It also returns the whole ID: in a file a prefix of
// the ID is enough.
func (s Source) OfID(ctx context.Context, id string) (correlationID, whole string, err error) {
	whole = id
	correlationID, err = spanstore.WorkflowOf(ctx, s.Store, id)
	if file, ok := s.Store.(spanstore.File); ok && err == nil && correlationID == "" {
		known, wrong := file.CompleteID(ctx, id)
		if whole, err = only(id, known, wrong); err == nil && whole != "" {
			correlationID, err = spanstore.WorkflowOf(ctx, s.Store, whole)
		}
	}
	if err == nil && correlationID == "" {
		err = notFound(fmt.Sprintf("no span of a workflow has the ID %s %s%s", id, s.Where, s.Hint))
	}
	return correlationID, whole, err
}

// OfWhole returns the correlation ID of the first of the IDs that the source has, and that
// ID. Empty IDs are skipped, and prefixes are not completed.
func (s Source) OfWhole(ctx context.Context, ids ...string) (correlationID, id string, err error) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		correlationID, err = s.CorrelationOf(ctx, id)
		if err == nil && correlationID == "" {
			correlationID, err = spanstore.WorkflowOf(ctx, s.Store, id)
		}
		if err != nil || correlationID != "" {
			return correlationID, id, err
		}
	}
	return "", "", ErrNotFound
}

// complete returns the only correlation or event ID with a prefix.
func complete(ctx context.Context, store spanstore.Store, prefix string, events bool) (string, error) {
	known, err := store.Complete(ctx, prefix, events)
	return only(prefix, known, err)
}

// only returns the only one of the IDs with a prefix, or "" if there is none. Several are
// an error.
func only(prefix string, known []string, err error) (string, error) {
	switch {
	case err != nil || len(known) == 0:
		return "", err
	case len(known) == 1:
		return known[0], nil
	}
	const show = 5
	text := "several IDs begin with " + prefix + ":"
	for _, id := range known[:min(show, len(known))] {
		text += "\n  " + workflow.Clean(id)
	}
	if len(known) > show {
		text += "\n  …"
	}
	return "", terminal.Misuse("%s", text)
}

// unknown returns the error for a workflow that does not exist, with the existing ones if
// they are cheap to list.
func (s Source) unknown(ctx context.Context, wanted string) error {
	text := fmt.Sprintf("no span has the correlation ID %s %s%s", wanted, s.Where, s.Hint)
	if file, ok := s.Store.(spanstore.File); ok {
		if id, err := file.CorrelationOf(ctx, wanted); err == nil && id != "" {
			return notFound(fmt.Sprintf("no span has the correlation ID %s %s: it is the ID of an event of the workflow %s; name it with --event", wanted, s.Where, workflow.Clean(id)))
		}
		known, err := file.Workflows(ctx, false)
		if err != nil {
			return err
		}
		const show = 5
		for i, summary := range known[:min(show, len(known))] {
			if i == 0 {
				text += "; the most recent are:"
			}
			text += "\n  " + workflow.Clean(summary.CorrelationID)
		}
	}
	return notFound(text)
}
