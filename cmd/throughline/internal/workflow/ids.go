package workflow

import "github.com/throughline/throughline/internal/lineage"

// The kinds of IDs are prefixes of the keys in a joiner's maps, so that IDs of two
// services never match.
const (
	keyMessage      = "message "
	keyNotification = "notification "
	keyRequest      = "request "
	keyExecution    = "execution "
	keySchedule     = "schedule "
	keyS3           = "s3 "
)

// named is an ID that one end of a hop has.
type named struct {
	kind, key, id string
	by            string   // the kind in words
	record        bool     // the ID is that of one record
	other         []string // the attributes with the ID at the other end
}

// sent returns the IDs that the service returned for what a hop's span sent.
func (s *Span) sent() (list []named) {
	kind, attributes, other := "", []string{}, []string{}
	switch s.hop() {
	case ViaSQS, ViaKinesis:
		kind, attributes, other = keyMessage, []string{lineage.AttrMessageIDs, attrMessageID}, []string{lineage.AttrMessageIDs, attrMessageID}
	case ViaSNS:
		kind, attributes, other = keyNotification, []string{lineage.AttrMessageIDs, attrMessageID}, []string{lineage.AttrNotificationIDs}
	case ViaLambda:
		kind, attributes, other = keyRequest, []string{lineage.AttrCalleeRequestID}, []string{lineage.AttrInvocationID}
	case ViaStates:
		kind, attributes, other = keyExecution, []string{lineage.AttrExecutionARN}, []string{lineage.AttrExecutionARN, lineage.AttrStarterARN}
	case ViaScheduler:
		kind, attributes, other = keySchedule, []string{lineage.AttrScheduleARN}, []string{lineage.AttrScheduleARN}
	case ViaS3:
		kind, attributes, other = keyS3, awsRequest[:], []string{lineage.AttrS3RequestIDs}
	}
	for _, id := range s.all(attributes...) {
		list = append(list, named{kind: kind, key: kind + id, id: id, other: other})
	}
	return list
}

// receivedKeys returns the IDs by which the senders of a handling's messages are found,
// the most reliable first.
func (s *Span) receivedKeys() (list []named) {
	for _, k := range [...]struct {
		kind, by, attribute string
		record              bool
		other               []string
	}{
		{keyMessage, "message ID", lineage.AttrMessageIDs, true, []string{lineage.AttrMessageIDs, attrMessageID}},
		{keyNotification, "notification ID", lineage.AttrNotificationIDs, true, []string{lineage.AttrMessageIDs, attrMessageID}},
		{keyS3, "S3 request ID", lineage.AttrS3RequestIDs, true, awsRequest[:]},
		{keyRequest, "request ID", lineage.AttrInvocationID, false, []string{lineage.AttrCalleeRequestID}},
		{keyExecution, "execution ARN", lineage.AttrExecutionARN, false, []string{lineage.AttrExecutionARN}},
		{keyExecution, "ARN of the starting execution", lineage.AttrStarterARN, false, []string{lineage.AttrExecutionARN}},
		{keySchedule, "schedule ARN", lineage.AttrScheduleARN, false, []string{lineage.AttrScheduleARN}},
	} {
		for _, id := range s.Texts(k.attribute) {
			list = append(list, named{k.kind, k.kind + id, id, k.by, k.record, k.other})
		}
	}
	return list
}
