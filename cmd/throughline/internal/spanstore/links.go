package spanstore

import (
	"github.com/throughline/throughline/cmd/throughline/internal/workflow"
	"github.com/throughline/throughline/internal/lineage"
)

// inferLinks restores the reason of links in backends that do not keep link attributes,
// from the links' targets and their order: causation first, then the origin.
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

// reason returns the reason of link n of s. target is nil if it was not found.
func reason(s *workflow.Span, n int, target *workflow.Span, caused bool) string {
	handles := s.Kind == "CONSUMER"
	batch, _ := s.Number("messaging.batch.message_count")
	switch {
	case caused: // the workflow's first event is both cause and origin
		return "correlation"
	case target != nil && target.Kind == "CONSUMER":
		return "repeat"
	case handles && n < int(batch): // one for each record, before the origins
		return "causation"
	case handles && batch > 0:
		return "correlation"
	case handles && target != nil && (causes(target, s) || n == 0): // an event can have no ID
		return "causation"
	case handles && target == nil && n == 0 && s.Text(lineage.AttrEventType) != "":
		return "causation"
	case handles && target == nil && n == 0: // no event: the invocation's own trace
		return "trace"
	case !handles && n == 0 && len(s.Links) > 1: // in a published event the cause comes first
		return "causation"
	default:
		return "correlation"
	}
}

func causes(publication, handling *workflow.Span) bool {
	id := publication.EventID()
	return id != "" && (id == handling.Text(lineage.AttrEventID) || handling.Text(lineage.AttrEventID) == "")
}
