package tracing

// envelope is what stands at the top of a payload or a message, raw.
type envelope struct {
	id, detailType, source, time, resources, detail, replayName []byte
	records                                                     []byte
	requestPayload, requestContext, timestamp                   []byte // of a Lambda destination's record
	alarmARN, alarmData                                         []byte // of an alarm that invokes Lambda itself
	kind, message, messageID, topicARN, snsTime                 []byte // of an SNS notification
	valid                                                       bool   // a whole object
}

func scanEnvelope(data []byte) envelope {
	var e envelope
	m := membersOf(data, 0)
	for m.next() {
		switch string(m.key) {
		case "id":
			e.id = m.value
		case "detail-type":
			e.detailType = m.value
		case "source":
			e.source = m.value
		case "time":
			e.time = m.value
		case "resources":
			e.resources = m.value
		case "detail":
			e.detail = m.value
		case "replay-name":
			e.replayName = m.value
		case "Records":
			e.records = m.value
		case "requestPayload":
			e.requestPayload = m.value
		case "requestContext":
			e.requestContext = m.value
		case "timestamp":
			e.timestamp = m.value
		case "alarmArn":
			e.alarmARN = m.value
		case "alarmData":
			e.alarmData = m.value
		case "Type":
			e.kind = m.value
		case "Message":
			e.message = m.value
		case "MessageId":
			e.messageID = m.value
		case "TopicArn":
			e.topicARN = m.value
		case "Timestamp":
			e.snsTime = m.value
		}
	}
	e.valid = m.after > 0 && skipSpace(data, m.after) == len(data)
	return e
}
