package lineage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// record is the raw members of a record of an event source.
type record struct {
	source, sourceARN, id, eventID, eventName, eventTime []byte
	body, sns, attributes, messageAttributes             []byte
	kinesis, data, arrival, dynamodb, s3, response       []byte
}

func scanRecord(data []byte) (r record) {
	for m := jsonwalk.MembersOf(data, 0); m.Next(); {
		switch string(m.Key) {
		case "eventSource", "EventSource":
			r.source = m.Value
		case "eventSourceARN":
			r.sourceARN = m.Value
		case "messageId":
			r.id = m.Value
		case "eventID":
			r.eventID = m.Value
		case "eventName":
			r.eventName = m.Value
		case "eventTime":
			r.eventTime = m.Value
		case "body":
			r.body = m.Value
		case "Sns":
			r.sns = m.Value
		case "attributes":
			r.attributes = m.Value
		case "messageAttributes":
			r.messageAttributes = m.Value
		case "responseElements":
			r.response = m.Value
		case "kinesis":
			r.kinesis = m.Value
		case "data":
			r.data = m.Value
		case "approximateArrivalTimestamp":
			r.arrival = m.Value
		case "dynamodb":
			r.dynamodb = m.Value
		case "s3":
			r.s3 = m.Value
		}
	}
	return r
}

// readRecords reads the batch of an event source, a notification of SNS, or a list of
// EventBridge Pipes. If a record is from another source, the whole payload is unknown.
func (r *Reader) readRecords(d *Delivery, records []byte, depth int) {
	for element := jsonwalk.ElementsOf(records, 0); element.Next(); {
		rec := scanRecord(element.Value)
		var event Event
		switch jsonwalk.Text(rec.source) {
		case "aws:sqs":
			d.Shape = ShapeSQS
			event = r.readMessage(d, &rec, depth)
		case "aws:sns":
			d.Shape = ShapeSNS
			notification := scanEnvelope(rec.sns)
			event.Arrival.RecordID = jsonwalk.Text(notification.messageID)
			r.readNotification(d, &event, &notification, message{}, depth)
		case "aws:kinesis":
			d.Shape = ShapeKinesis
			event = r.readStreamed(d, &rec, depth)
		case "aws:dynamodb":
			d.Shape = ShapeDynamoDB
			event = readChange(&rec)
		case "aws:s3":
			d.Shape = ShapeS3
			event = readObject(&rec)
		default:
			e := scanEnvelope(element.Value)
			shape := ShapeUnknown
			if len(rec.source) == 0 && e.valid {
				shape = r.readEvent(d, &event, element.Value, &e, message{}, depth)
			}
			if shape == ShapeUnknown {
				*d = Delivery{Shape: ShapeUnknown}
				return
			}
			d.Shape = shape
		}
		d.Events = append(d.Events, event)
	}
	if len(d.Events) > 0 {
		d.Queue = d.Events[0].Queue
	}
}

// readStreamed reads one record of a Kinesis stream, in the form of an event source
// mapping or of a pipe.
func (r *Reader) readStreamed(d *Delivery, rec *record, depth int) Event {
	event := streamed(rec)
	data, arrival := rec.data, rec.arrival
	if rec.kinesis != nil {
		data, arrival = member(rec.kinesis, "data"), member(rec.kinesis, "approximateArrivalTimestamp")
	}
	event.Time = parseSeconds(arrival)
	body := content(data)
	if !isObject(data) {
		body = decodeBase64(body)
	}
	e := scanEnvelope(body)
	r.readBody(d, &event, body, &e, message{}, depth)
	return event
}

// streamed reads the fields that the records of all streams have.
func streamed(rec *record) Event {
	id := jsonwalk.Text(rec.eventID)
	return Event{MessageID: id, Queue: segment(rec.sourceARN, 1), Arrival: Arrival{RecordID: id}}
}

// readChange reads one record of a DynamoDB stream. It carries no lineage.
func readChange(rec *record) Event {
	event := streamed(rec)
	event.Type, event.Detail = jsonwalk.Text(rec.eventName), rec.dynamodb
	event.Time = parseSeconds(member(rec.dynamodb, "ApproximateCreationDateTime"))
	event.ID, event.Arrival.Change = event.MessageID, jsonwalk.Text(member(rec.dynamodb, "SequenceNumber"))
	event.correlate()
	return event
}

// readObject reads one event notification of S3. It carries no lineage. Its ID is made
// from the object and the sequencer, which orders the events of one object.
func readObject(rec *record) Event {
	bucket, object := member(member(rec.s3, "bucket"), "name"), member(rec.s3, "object")
	event := Event{Queue: jsonwalk.Text(bucket), Type: jsonwalk.Text(rec.eventName), Time: parseTime(jsonwalk.Text(rec.eventTime), time.Time{}), Detail: rec.s3,
		Arrival: Arrival{S3Request: rec.s3Request()}}
	if sequencer := jsonwalk.Text(member(object, "sequencer")); sequencer != "" {
		sum := sha256.Sum256([]byte(event.Queue + "/" + jsonwalk.Text(member(object, "key")) + " " + event.Type))
		event.ID = hex.EncodeToString(sum[:8]) + "-" + sequencer
	}
	event.correlate()
	return event
}

// s3Request returns the ID of the request that caused a notification of S3.
func (r *record) s3Request() string { return jsonwalk.Text(member(r.response, "x-amz-request-id")) }

// segment returns part n of the resource in an ARN: 1 is the name in
// arn:aws:kinesis:…:stream/name, also of a stream of a table and of a consumer of a stream.
func segment(arn []byte, n int) string {
	const resource = 5
	parts := strings.SplitN(jsonwalk.Text(arn), ":", resource+1)
	if parts = strings.Split(parts[len(parts)-1], "/"); n < len(parts) {
		return parts[n]
	}
	return ""
}

// isHTTP reports whether a request context is that of an HTTP request or of a
// WebSocket message: from API Gateway, an Application Load Balancer, a function URL or VPC
// Lattice.
func isHTTP(context []byte) bool {
	for m := jsonwalk.MembersOf(context, 0); m.Next(); {
		switch string(m.Key) {
		case "http", "httpMethod", "elb", "connectionId", "serviceNetworkArn":
			return true
		}
	}
	return false
}

// readHTTP reads an event in the body of an HTTP request: one of EventBridge, as an API
// destination sends it, or a notification, as SNS sends it to a subscribed URL. Other requests contain no events.
func (r *Reader) readHTTP(d *Delivery, e *envelope) {
	d.Shape = ShapeHTTP
	body := jsonwalk.Inner(e.body)
	if string(e.base64) == "true" {
		body = decodeBase64(body)
	}
	inner := scanEnvelope(body)
	var event Event
	switch {
	case !inner.valid:
		return
	case inner.id != nil && inner.detailType != nil && inner.detail != nil:
		r.readEnvelope(d, &event, &inner, message{}, 0)
	case inner.notification():
		r.readNotification(d, &event, &inner, message{}, 0)
	default:
		return
	}
	d.Events = []Event{event}
}

// readDurable reads the event that started a durable execution. Each invocation that
// resumes the execution has it in its payload again.
func (r *Reader) readDurable(d *Delivery, state []byte) {
	for o := jsonwalk.ElementsOf(member(state, "Operations"), 0); o.Next(); {
		if jsonwalk.Text(member(o.Value, "Type")) != "EXECUTION" {
			continue
		}
		input := jsonwalk.Inner(member(member(o.Value, "ExecutionDetails"), "InputPayload"))
		inner := r.Read(input)
		d.Malformed = inner.Malformed
		if len(inner.Events) > 0 {
			*d = inner
			d.Shape = ShapeDurable
		}
		return
	}
}

// readMessage reads one SQS record.
func (r *Reader) readMessage(d *Delivery, rec *record, depth int) Event {
	id := jsonwalk.Text(rec.id)
	event := Event{MessageID: id, Queue: lastSegment(jsonwalk.Text(rec.sourceARN)), Arrival: Arrival{RecordID: id}}
	var m message
	for a := jsonwalk.MembersOf(rec.attributes, 0); a.Next(); {
		switch string(a.Key) {
		case "ApproximateReceiveCount":
			event.ReceiveCount, _ = strconv.Atoi(jsonwalk.Scalar(a.Value))
		case "SentTimestamp":
			event.Time = parseMillis(jsonwalk.Scalar(a.Value))
		case "AWSTraceHeader":
			m.traceHeader = jsonwalk.Text(a.Value)
		}
	}
	m.sent = event.Time
	m.take(&event, rec.messageAttributes)
	body := content(rec.body)
	e := scanEnvelope(body)
	if e.notification() {
		r.readNotification(d, &event, &e, m, depth)
		return event
	}
	r.readBody(d, &event, body, &e, m, depth)
	return event
}

// take sets a message's attributes. If Lambda sent the message to the dead-letter queue
// of an asynchronous invocation, they contain the request ID of that invocation.
func (m *message) take(event *Event, attributes []byte) {
	const empty = len("{}")
	if len(attributes) <= empty {
		return
	}
	m.attributes = attributes
	if request := readAttributes(attributes).requestID; request != "" {
		event.Arrival.OriginRequest = request
	}
}

// content returns the text of a message or a record. EventBridge Pipes parses JSON in it if
// an input transformer refers to it, so that it is an object.
func content(raw []byte) []byte {
	if isObject(raw) {
		return raw
	}
	return jsonwalk.Inner(raw)
}

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

// notification reports whether e is a notification of SNS.
func (e *envelope) notification() bool {
	return e.message != nil && e.topicARN != nil && jsonwalk.Text(e.kind) == "Notification"
}

// readNotification reads the message in an SNS notification, which arrived directly or
// in the queue event.Queue.
func (r *Reader) readNotification(d *Delivery, event *Event, e *envelope, m message, depth int) {
	if event.Queue == "" {
		event.Queue = lastSegment(jsonwalk.Text(e.topicARN))
	}
	// One notification in two queues is one event, and a second delivery to one
	// queue is a repeat. Both have the same notification ID.
	event.Arrival.NotificationID = jsonwalk.Text(e.messageID)
	event.MessageID = cmp.Or(event.Arrival.NotificationID, event.MessageID)
	event.Time = parseTime(jsonwalk.Text(e.snsTime), event.Time)
	m.take(event, e.attributes)
	text := jsonwalk.Inner(e.message)
	top := scanEnvelope(text)
	r.readBody(d, event, text, &top, m, depth)
}

// readBody reads a message's body. A body that is not a JSON object is also an event,
// with the message's ID.
func (r *Reader) readBody(d *Delivery, event *Event, body []byte, e *envelope, m message, depth int) {
	if !e.valid {
		r.finish(d, event, nil, m) // the record's own trace header is still read
		event.Detail = body
		return
	}
	for rec := jsonwalk.ElementsOf(e.records, 0); rec.Next(); { // a notification of S3 in a queue or a topic
		if inner := scanRecord(rec.Value); jsonwalk.Text(inner.source) == "aws:s3" {
			event.Arrival.S3Request = inner.s3Request()
			break
		}
	}
	r.readEvent(d, event, body, e, m, depth)
}
