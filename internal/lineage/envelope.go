package lineage

import (
	"bytes"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// envelope is the raw members at the top of a payload or a message.
type envelope struct {
	id, detailType, source, time, resources, detail, replayName []byte
	records                                                     []byte
	requestPayload, requestContext, timestamp                   []byte // of a Lambda destination's record
	alarmARN, alarmData                                         []byte // of an alarm that invokes the function directly
	kind, message, messageID, topicARN, snsTime, attributes     []byte // of an SNS notification
	batchInfo                                                   []byte // of the record of a failed batch that a stream's event source mapping discarded
	body, base64                                                []byte // of an HTTP request
	durable                                                     []byte // the initial state of a durable execution
	data, metadata, system                                      []byte // of an event of a new custom bus, with its metadata
	valid                                                       bool   // a whole object
	more                                                        bool   // it has members that EventBridge does not write
}

func scanEnvelope(data []byte) envelope {
	var e envelope
	m := jsonwalk.MembersOf(data, 0)
	for m.Next() {
		switch string(m.Key) {
		case "id":
			e.id = m.Value
		case "detail-type":
			e.detailType = m.Value
		case "source":
			e.source = m.Value
		case "time":
			e.time = m.Value
		case "resources":
			e.resources = m.Value
		case "detail":
			e.detail = m.Value
		case "replay-name":
			e.replayName = m.Value
		case "Records":
			e.records = m.Value
		case "requestPayload":
			e.requestPayload = m.Value
		case "requestContext":
			e.requestContext = m.Value
		case "body":
			e.body = m.Value
		case "isBase64Encoded":
			e.base64 = m.Value
		case "InitialExecutionState":
			e.durable = m.Value
		case "timestamp":
			e.timestamp = m.Value
		case "alarmArn":
			e.alarmARN = m.Value
		case "alarmData":
			e.alarmData = m.Value
		case "Type":
			e.kind = m.Value
		case "Message":
			e.message = m.Value
		case "MessageId":
			e.messageID = m.Value
		case "TopicArn":
			e.topicARN = m.Value
		case "MessageAttributes":
			e.attributes = m.Value
		case "KinesisBatchInfo", "DDBStreamBatchInfo":
			e.batchInfo = m.Value
		case "Timestamp":
			e.snsTime = m.Value
		case "Data":
			e.data = m.Value
		case "Metadata":
			e.metadata = m.Value
		case "SystemMetadata":
			e.system = m.Value
		case "version", "account", "region":
		default:
			// A name with a hyphen, such as replay-name, may be a new one of EventBridge.
			e.more = e.more || bytes.IndexByte(m.Key, '-') < 0
		}
	}
	e.valid = m.After > 0 && jsonwalk.SkipSpace(data, m.After) == len(data)
	return e
}
