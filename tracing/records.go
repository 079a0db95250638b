package tracing

import (
	"strconv"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// readRecords reads the batch of an SQS event source, or SNS's notification. A
// record of another source makes the whole payload unknown.
func (r *Reader) readRecords(d *Delivery, records []byte, depth int) {
	for record := jsonwalk.ElementsOf(records, 0); record.Next(); {
		var source, sourceARN, body, sns, attributes, id []byte
		for m := jsonwalk.MembersOf(record.Value, 0); m.Next(); {
			switch string(m.Key) {
			case "eventSource", "EventSource":
				source = m.Value
			case "eventSourceARN":
				sourceARN = m.Value
			case "body":
				body = m.Value
			case "Sns":
				sns = m.Value
			case "attributes":
				attributes = m.Value
			case "messageId":
				id = m.Value
			}
		}
		switch jsonwalk.Text(source) {
		case "aws:sqs":
			d.Shape = ShapeSQS
			d.Events = append(d.Events, r.readMessage(d, jsonwalk.Text(id), lastSegment(jsonwalk.Text(sourceARN)), jsonwalk.Inner(body), attributes, depth))
		case "aws:sns":
			d.Shape = ShapeSNS
			notification := scanEnvelope(sns)
			var event Event
			r.readNotification(d, &event, &notification, "", depth)
			d.Events = append(d.Events, event)
		default:
			*d = Delivery{Shape: ShapeUnknown}
			return
		}
	}
	if len(d.Events) > 0 {
		d.Queue = d.Events[0].Queue
	}
}

// readMessage reads one SQS record.
func (r *Reader) readMessage(d *Delivery, id, queue string, body, attributes []byte, depth int) Event {
	event := Event{MessageID: id, Queue: queue}
	traceHeader := ""
	for m := jsonwalk.MembersOf(attributes, 0); m.Next(); {
		switch string(m.Key) {
		case "ApproximateReceiveCount":
			event.ReceiveCount, _ = strconv.Atoi(jsonwalk.Scalar(m.Value))
		case "SentTimestamp":
			event.Time = parseMillis(jsonwalk.Scalar(m.Value))
		case "AWSTraceHeader":
			traceHeader = jsonwalk.Text(m.Value)
		}
	}
	e := scanEnvelope(body)
	if e.notification() {
		r.readNotification(d, &event, &e, traceHeader, depth)
		return event
	}
	r.readBody(d, &event, body, &e, traceHeader, depth)
	return event
}

// notification says that e is what SNS makes of a message.
func (e *envelope) notification() bool {
	return e.message != nil && e.topicARN != nil && jsonwalk.Text(e.kind) == "Notification"
}

// readNotification reads the message in an SNS notification, which came
// straight or, as event says, by a queue.
func (r *Reader) readNotification(d *Delivery, event *Event, e *envelope, traceHeader string, depth int) {
	if event.Queue == "" {
		event.Queue = lastSegment(jsonwalk.Text(e.topicARN))
	}
	if event.MessageID == "" {
		event.MessageID = jsonwalk.Text(e.messageID)
	}
	event.Time = parseTime(jsonwalk.Text(e.snsTime), event.Time)
	message := jsonwalk.Inner(e.message)
	top := scanEnvelope(message)
	r.readBody(d, event, message, &top, traceHeader, depth)
}

// readBody reads a message's body. One that is no JSON object is still an
// event, with the message's ID.
func (r *Reader) readBody(d *Delivery, event *Event, body []byte, e *envelope, traceHeader string, depth int) {
	if !e.valid {
		r.finish(d, event, nil, traceHeader) // the record's own header still counts
		event.Detail = body
		return
	}
	r.readEvent(d, event, body, e, traceHeader, depth)
}
