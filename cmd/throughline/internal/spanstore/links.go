package spanstore

import (
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// inferLinks gives links that a backend keeps without attributes their reason
// back, from what they point at and from the order in which they are written:
// causation first, then the origin.
func inferLinks(spans []workflow.Span) {
	byID := map[workflow.ID]*workflow.Span{}
	for i := range spans {
		byID[spans[i].ID] = &spans[i]
	}
	for i := range spans {
		s := &spans[i]
		caused := map[workflow.ID]bool{}
		for n := range s.Links {
			link := &s.Links[n]
			if link.Why != "" {
				continue
			}
			target := byID[link.To]
			link.Why = reason(s, n, target, caused[link.To])
			caused[link.To] = caused[link.To] || link.Why == "causation"
			if link.Why == "causation" && s.Kind == "CONSUMER" && link.Attributes != nil {
				link.Attributes[lineage.AttrEventID] = s.Text(lineage.AttrEventID)
			}
		}
	}
}

// reason is what link n of s is for; target is nil where it was not seen.
func reason(s *workflow.Span, n int, target *workflow.Span, caused bool) string {
	handles := s.Kind == "CONSUMER"
	batch, _ := s.Number("messaging.batch.message_count")
	switch {
	case caused: // the workflow's first event is its cause and its origin
		return "correlation"
	case target != nil && target.Kind == "CONSUMER":
		return "repeat"
	case handles && n < int(batch): // one a record, before the origins
		return "causation"
	case handles && batch > 0:
		return "correlation"
	case handles && target != nil && (causes(target, s) || n == 0): // an event may have no ID of its own
		return "causation"
	case handles && target == nil && n == 0 && s.Text(lineage.AttrEventType) != "":
		return "causation"
	case handles && target == nil && n == 0: // no event: the invocation's own trace
		return "trace"
	case !handles && n == 0 && len(s.Links) > 1: // the cause of what is published comes first
		return "causation"
	default:
		return "correlation"
	}
}

func causes(publication, handling *workflow.Span) bool {
	id := publication.EventID()
	return id != "" && (id == handling.Text(lineage.AttrEventID) || handling.Text(lineage.AttrEventID) == "")
}
