package tracing

import "strconv"

// readRecords reads the batch of an SQS event source, or SNS's notification. A
// record of another source makes the whole payload unknown.
func (r *Reader) readRecords(d *Delivery, records []byte, depth int) {
	for record := elementsOf(records); record.next(); {
		var source, sourceARN, body, sns, attributes, id []byte
		for m := membersOf(record.value, 0); m.next(); {
			switch string(m.key) {
			case "eventSource", "EventSource":
				source = m.value
			case "eventSourceARN":
				sourceARN = m.value
			case "body":
				body = m.value
			case "Sns":
				sns = m.value
			case "attributes":
				attributes = m.value
			case "messageId":
				id = m.value
			}
		}
		switch text(source) {
		case "aws:sqs":
			d.Shape = ShapeSQS
			d.Events = append(d.Events, r.readMessage(d, text(id), lastSegment(text(sourceARN)), inner(body), attributes, depth))
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
	for m := membersOf(attributes, 0); m.next(); {
		switch string(m.key) {
		case "ApproximateReceiveCount":
			event.ReceiveCount, _ = strconv.Atoi(scalar(m.value))
		case "SentTimestamp":
			event.Time = parseMillis(scalar(m.value))
		case "AWSTraceHeader":
			traceHeader = text(m.value)
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
	return e.message != nil && e.topicARN != nil && text(e.kind) == "Notification"
}

// readNotification reads the message in an SNS notification, which came
// straight or, as event says, by a queue.
func (r *Reader) readNotification(d *Delivery, event *Event, e *envelope, traceHeader string, depth int) {
	if event.Queue == "" {
		event.Queue = lastSegment(text(e.topicARN))
	}
	if event.MessageID == "" {
		event.MessageID = text(e.messageID)
	}
	event.Time = parseTime(text(e.snsTime), event.Time)
	message := inner(e.message)
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
