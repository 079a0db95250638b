package spanstore

import (
	"context"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// Bounds of what is searched beyond a workflow's own correlation ID.
const (
	maxRounds       = 20
	maxEnds         = 2000 // the number of IDs of hops
	maxCorrelations = 500
)

// Gather reads the spans of a workflow: those with its correlation ID, those of other
// correlation IDs that hops join to it, and those without one at the other ends of its
// hops. It repeats this while it finds open ends, and adds a note on what it does not
// search.
func Gather(ctx context.Context, store Store, correlationID string, tell Tell) ([]workflow.Span, error) {
	first, err := store.Spans(ctx, correlationID)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	var found collected
	if err := found.merge(first); err != nil {
		return nil, err
	}
	asked := map[string]bool{correlationID: true}
	ends, correlations, left := 0, 1, 0
	for range maxRounds {
		open, joined := workflow.OpenEnds(found.spans, correlationID)
		var q Query
		left = 0
		for _, id := range joined {
			switch {
			case asked[id]:
			case correlations == maxCorrelations:
				left++
			default:
				asked[id] = true
				correlations++
				q.Correlations = append(q.Correlations, id)
			}
		}
		for _, end := range open {
			key := end.Attributes[0] + " " + end.ID
			switch {
			case asked[key]:
			case ends == maxEnds:
				left++
			default:
				asked[key] = true
				ends++
				q.Ends = append(q.Ends, end)
			}
		}
		if len(q.Correlations)+len(q.Ends) == 0 {
			break
		}
		tell.say("looking for the other ends of %s", phrase.Count(len(q.Ends), "hop"))
		before := len(found.spans)
		more, err := store.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		if err := found.merge(more); err != nil {
			return nil, err
		}
		if len(found.spans) == before {
			break
		}
	}
	if left > 0 {
		tell.note("%s are not searched: their spans are missing here", phrase.Count(left, "more ID"))
	}
	return found.spans, nil
}

// WorkflowOf returns the correlation ID for a message, notification, invocation,
// execution, schedule or S3 request to which a service gave an ID: that of its sender,
// else of its receiver, else the ID itself if it is the correlation ID of an invocation
// without events, else that of what caused the sender. It returns "" if no span has it.
func WorkflowOf(ctx context.Context, store Store, id string) (string, error) {
	ids := []string{id}
	for range 2 {
		spans, err := store.Find(ctx, endsOf(ids))
		if err != nil {
			return "", err
		}
		found, rank, more := "", 0, []string(nil)
		for i := range spans {
			s := &spans[i]
			if !s.IDs(func(other string) bool { return slices.Contains(ids, other) }) {
				continue
			}
			its := 1
			if s.Kind != "CONSUMER" && s.Kind != "SERVER" {
				its = 2
			}
			if s.Correlation() != "" && its > rank {
				found, rank = s.Correlation(), its
			}
			s.IDs(func(other string) bool {
				more = append(more, other)
				return false
			})
		}
		if found != "" || len(more) == 0 {
			return found, nil
		}
		own, err := store.Find(ctx, Query{Correlations: []string{id}})
		if err != nil || slices.ContainsFunc(own, func(s workflow.Span) bool { return s.Correlation() == id }) {
			return id, err
		}
		ids = more
	}
	return "", nil
}

// endsOf returns a query for IDs of any kind.
func endsOf(ids []string) Query {
	var q Query
	others := slices.DeleteFunc(slices.Clone(workflow.IDAttributes), func(name string) bool { return name == lineage.AttrInvocationID })
	for _, id := range ids {
		q.Ends = append(q.Ends, workflow.OpenEnd{ID: id, Attributes: []string{lineage.AttrInvocationID}}, workflow.OpenEnd{ID: id, Attributes: others})
	}
	return q
}

// merge adds spans, each once.
func (c *collected) merge(spans []workflow.Span) error {
	for i := range spans {
		if err := c.add(spans[i]); err != nil {
			return err
		}
	}
	return nil
}
