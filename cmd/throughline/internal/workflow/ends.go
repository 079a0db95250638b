package workflow

import "github.com/throughline/throughline/internal/lineage"

// OpenEnd is one end of a hop whose other end may be missing from the known spans.
type OpenEnd struct {
	ID string
	// Attributes are the attributes in which the span at the other end has the ID, as a
	// text or in a list.
	Attributes []string
	// At is the queue, topic or stream of the message, or "".
	At string
}

// IDAttributes are all attributes that an [OpenEnd] can name.
var IDAttributes = []string{
	lineage.AttrMessageIDs, attrMessageID, lineage.AttrNotificationIDs, lineage.AttrS3RequestIDs, lineage.AttrInvocationID, lineage.AttrCalleeRequestID,
	lineage.AttrOriginRequestID, lineage.AttrOriginRequestIDs, lineage.AttrExecutionARN, lineage.AttrStarterARN, lineage.AttrScheduleARN,
	lineage.AttrTaskTokenHash, lineage.AttrTaskTokenHashes, awsRequest[0], awsRequest[1],
}

// awsRequest are the attributes with the request ID in OpenTelemetry's instrumentations
// of AWS's SDKs. The second is that of JavaScript.
var awsRequest = [...]string{"aws.request_id", "aws.request.id"}

// IDs reports whether is returns true for an ID of the span in one of [IDAttributes].
func (s *Span) IDs(is func(id string) bool) bool {
	for _, key := range IDAttributes {
		for _, id := range s.Texts(key) {
			if is(id) {
				return true
			}
		}
	}
	return false
}

// OpenEnds returns what may be missing from the tree of a workflow: hops whose other end,
// or another delivery, may be in other spans. Hops without any known other end come
// first. It also returns the correlation IDs that hops join to the workflow, including
// its own.
func OpenEnds(spans []Span, correlationID string) (ends []OpenEnd, correlations []string) {
	j := newJoiner(spans)
	m := j.members(correlationID)
	seen, linked := map[string]bool{}, map[ID]bool{} // publications that a handling names
	for _, h := range j.handlings {
		for _, l := range h.causes() {
			linked[l.To] = true
		}
	}
	var answered []OpenEnd
	open := func(at string, attributes []string, ids ...string) {
		for _, id := range ids {
			if key := attributes[0] + " " + id; !seen[key] {
				seen[key] = true
				ends = append(ends, OpenEnd{id, attributes, at})
			}
		}
	}
	for _, s := range j.all {
		switch {
		case !m.in[s.ID]:
		case s.hop() != "":
			for _, k := range s.sent() {
				if len(j.receives[k.key]) == 0 {
					open(s.Text(attrDestination), k.other, k.id)
				} else { // it may have other consumers or deliveries, under another correlation ID
					answered = append(answered, OpenEnd{k.id, k.other, s.Text(attrDestination)})
				}
			}
		case isPublication(s):
			if id := s.Text(attrMessageID); id != "" && !linked[s.ID] && len(j.answered[id]) > 0 && len(m.consumers[s.ID]) == 0 {
				open("", []string{attrMessageID}, id)
			}
		case isHandling(s):
			if (s.Error || len(j.handled[s.requestID()]) > 1) && s.requestID() != "" && len(j.gaveUp[s.requestID()]) == 0 {
				open("", []string{lineage.AttrOriginRequestID, lineage.AttrOriginRequestIDs}, s.requestID())
			}
			if len(s.causes()) > 0 || len(j.of(s)) > 0 {
				continue
			}
			if id := s.busEvent(); id != "" {
				open("", []string{attrMessageID}, id)
			}
			for _, k := range s.receivedKeys() {
				if k.kind != keyRequest || s.Text("faas.trigger") == "other" {
					open(s.Text(attrDestination), k.other, k.id)
				}
			}
			open("", []string{lineage.AttrInvocationID, lineage.AttrCalleeRequestID}, s.all(lineage.AttrOriginRequestID, lineage.AttrOriginRequestIDs)...)
			for _, made := range j.madeBy(s) {
				if made.hop() == ViaStates {
					open("", []string{lineage.AttrTaskTokenHash, lineage.AttrTaskTokenHashes}, made.Texts(lineage.AttrTaskTokenHash)...)
				}
			}
		}
	}
	for _, end := range answered {
		open(end.At, end.Attributes, end.ID)
	}
	return ends, m.correlations
}
