package workflow

import "github.com/throughline/throughline/internal/lineage"

// The kinds of IDs, in front of each in a joiner's maps: two services' IDs never meet.
const (
	keyMessage      = "message "
	keyNotification = "notification "
	keyRequest      = "request "
	keyExecution    = "execution "
	keySchedule     = "schedule "
	keyS3           = "s3 "
)

// named is an ID that one end of a hop names.
type named struct {
	kind, key, id string
	by            string   // the kind, for a person
	record        bool     // it is that of one record
	other         []string // the attributes in which the other end has it
}

// sent are the IDs that the service gave to what a hop's span sent.
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
		kind, attributes, other = keyExecution, []string{lineage.AttrExecutionARN}, []string{lineage.AttrExecutionARN}
	case ViaScheduler:
		kind, attributes, other = keySchedule, []string{lineage.AttrScheduleARN}, []string{lineage.AttrScheduleARN}
	case ViaS3:
		kind, attributes, other = keyS3, []string{attrAWSRequest}, []string{lineage.AttrS3RequestIDs}
	}
	for _, id := range s.all(attributes...) {
		list = append(list, named{kind: kind, key: kind + id, id: id, other: other})
	}
	return list
}

// receivedKeys are the IDs by which the senders of what a handling was handed are
// found, the strongest first.
func (s *Span) receivedKeys() (list []named) {
	for _, k := range [...]struct {
		kind, by, attribute string
		record              bool
		other               []string
	}{
		{keyMessage, "message ID", lineage.AttrMessageIDs, true, []string{lineage.AttrMessageIDs, attrMessageID}},
		{keyNotification, "notification ID", lineage.AttrNotificationIDs, true, []string{lineage.AttrMessageIDs, attrMessageID}},
		{keyS3, "S3 request ID", lineage.AttrS3RequestIDs, true, []string{attrAWSRequest}},
		{keyRequest, "request ID", lineage.AttrInvocationID, false, []string{lineage.AttrCalleeRequestID}},
		{keyExecution, "execution ARN", lineage.AttrExecutionARN, false, []string{lineage.AttrExecutionARN}},
		{keySchedule, "schedule ARN", lineage.AttrScheduleARN, false, []string{lineage.AttrScheduleARN}},
	} {
		for _, id := range s.Texts(k.attribute) {
			list = append(list, named{k.kind, k.kind + id, id, k.by, k.record, k.other})
		}
	}
	return list
}
