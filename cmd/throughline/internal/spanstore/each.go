package spanstore

import (
	"context"

	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
)

// maxWorkflows bounds the workflows that [Each] reads one by one.
const maxWorkflows = 500

// Each visits spans of many workflows: every span of a file, and in other stores the
// spans of the most recent workflows, at most 500, with a note if there are more. A span
// can be visited twice. It returns the error of visit.
func Each(ctx context.Context, store Store, tell Tell, visit func(*workflow.Span) error) error {
	if file, ok := store.(File); ok {
		return file.eachThatSays(ctx, "", visit)
	}
	known, err := store.Workflows(ctx, false)
	if err != nil {
		return err
	}
	if len(known) > maxWorkflows {
		tell.note("only the %d most recent of %d workflows are read: narrow the time with --since", maxWorkflows, len(known))
		known = known[:maxWorkflows]
	}
	for i, w := range known {
		tell.say("reading workflow %d of %d", i+1, len(known))
		spans, err := store.Spans(ctx, w.CorrelationID)
		if err != nil {
			return err
		}
		for j := range spans {
			if err := visit(&spans[j]); err != nil {
				return err
			}
		}
	}
	return nil
}
