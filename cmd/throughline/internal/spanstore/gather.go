package spanstore

import (
	"context"
	"slices"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// The bounds of what is asked for beyond a workflow's own correlation ID.
const (
	maxRounds       = 20
	maxEnds         = 2000 // IDs of hops
	maxCorrelations = 500
)

// Gather reads the spans of a workflow, those of the other correlation IDs that hops
// join to it, and those that have none at the other ends of its hops. It asks again as
// long as what it finds has open ends, and says what it leaves unasked.
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
		tell.note("%s to look for are left unasked: what they would find is missing here", phrase.Count(left, "more ID"))
	}
	return found.spans, nil
}

// WorkflowOf is the correlation ID of the message, notification, invocation, execution,
// schedule or object's request that a service gave an ID: that of what sent it, else of
// what was handed it, else of what sent that; "" where no span tells.
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
		if found != "" {
			return found, nil
		}
		ids = more
	}
	return "", nil
}

// endsOf asks for IDs under whatever name.
func endsOf(ids []string) Query {
	var q Query
	others := slices.DeleteFunc(slices.Clone(workflow.IDAttributes), func(name string) bool { return name == lineage.AttrInvocationID })
	for _, id := range ids {
		q.Ends = append(q.Ends, workflow.OpenEnd{ID: id, Attributes: []string{lineage.AttrInvocationID}}, workflow.OpenEnd{ID: id, Attributes: others})
	}
	return q
}

// merge keeps spans, each once.
func (c *collected) merge(spans []workflow.Span) error {
	for i := range spans {
		if err := c.add(spans[i]); err != nil {
			return err
		}
	}
	return nil
}
