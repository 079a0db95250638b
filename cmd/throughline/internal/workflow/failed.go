package workflow

import (
	"slices"

	"github.com/throughline/throughline/internal/lineage"
)

// returnedItems reports whether the handler of a batch returned records as failed.
func (s *Span) returnedItems() bool { return s.Text("error.type") == lineage.ErrorTypeItems }

// record returns the ID of the record that the link is of, or "".
func (l *Link) record() string {
	if id, _ := l.Attributes[attrMessageID].(string); id != "" {
		return id
	}
	id, _ := l.Attributes[lineage.AttrEventID].(string)
	return id
}

// record returns the ID of the record that has an ID of AWS's, or "". The lists of IDs are
// in the order of the records, so they agree if each record has both IDs.
func (s *Span) record(id string) string {
	records := s.Texts(lineage.AttrMessageIDs)
	for _, key := range [...]string{lineage.AttrMessageIDs, lineage.AttrNotificationIDs, lineage.AttrS3RequestIDs} {
		ids := s.Texts(key)
		if at := slices.Index(ids, id); at >= 0 && len(ids) == len(records) {
			return records[at]
		}
	}
	return ""
}

// named reports whether the handler returned a record of the node as failed. known is
// false if the span does not say it: then the handling failed, but which records is not
// known, or all of them did.
func (n *Node) named() (failed, known bool) {
	ids := n.Span.Texts(lineage.AttrFailedIDs)
	count, _ := n.Span.Number(lineage.AttrFailedCount)
	if len(ids) == 0 || len(n.records) == 0 {
		return false, false
	}
	if slices.ContainsFunc(n.records, func(id string) bool { return slices.Contains(ids, id) }) {
		return true, true
	}
	return false, len(ids) == int(count)
}

// Failed reports whether the node's span failed. The handling of a batch did not fail for
// an event if its handler returned only other records as failed.
func (n *Node) Failed() bool {
	if n.Span == nil || !n.Span.failed() {
		return false
	}
	if n.Kind != KindHandling || !n.Span.returnedItems() {
		return true
	}
	failed, known := n.named()
	return failed || !known
}

// Error returns the message of a failed node's span, or "".
func (n *Node) Error() string {
	switch {
	case !n.Failed():
		return ""
	case n.Kind == KindHandling && n.Span.returnedItems():
		if failed, _ := n.named(); failed {
			return "returned in batchItemFailures"
		}
	}
	return n.Span.Message
}
