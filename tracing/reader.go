package tracing

import (
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxNesting bounds how deep an event may stand inside messages and
// destination records: a failing chain of functions wraps it once a hop.
const maxNesting = 16

// Reader reads what a Lambda function is handed. It is safe for concurrent use.
type Reader struct {
	pointers  *pointers
	detailKey string
}

// NewReader returns a Reader that follows cfg's pointers and detail key.
func NewReader(cfg Config) *Reader {
	return &Reader{pointers: newPointers(cfg), detailKey: cfg.detailKey()}
}

// Read tells the events in payload and their lineage. It never fails and never
// panics: what it does not know has ShapeUnknown and no events. The delivery's
// details alias payload where they are not escaped inside it.
func (r *Reader) Read(payload []byte) Delivery {
	e := scanEnvelope(payload)
	d := Delivery{Shape: ShapeUnknown}
	if !e.valid {
		return d
	}
	if e.records != nil {
		r.readRecords(&d, e.records, 0)
		return d
	}
	var event Event
	shape := r.readEvent(&d, &event, payload, &e, "", 0)
	if shape == ShapeUnknown {
		return Delivery{Shape: ShapeUnknown}
	}
	d.Shape, d.Events = shape, []Event{event}
	return d
}

// readEvent reads one event from data, whose top e is. What the event brings
// from its message must be set before: MessageID, Queue, Time.
func (r *Reader) readEvent(d *Delivery, event *Event, data []byte, e *envelope, traceHeader string, depth int) Shape {
	switch {
	case e.requestPayload != nil && e.requestContext != nil:
		return r.readDestination(d, event, data, e, depth)
	case e.detailType != nil && e.detail != nil:
		return r.readEnvelope(d, event, e, traceHeader, depth)
	case e.alarmARN != nil && e.alarmData != nil:
		event.Type, event.Source = alarmType, jsonwalk.Text(e.source)
		event.Time = parseTime(jsonwalk.Text(e.time), event.Time)
		r.finish(d, event, data, traceHeader)
		return ShapeAlarm
	}
	found := r.finish(d, event, data, traceHeader)
	switch source := jsonwalk.Text(e.source); {
	case found.carries():
		return ShapeDirect
	case source == "schedule" || source == "aws.scheduler" || source == "aws.events":
		return ShapeSchedule
	}
	return ShapeUnknown
}

const (
	alarmSource       = "aws.cloudwatch"
	alarmType         = "CloudWatch Alarm State Change"
	scheduleType      = "Scheduled Event"
	destinationSource = "lambda"
	destinationTypes  = "Lambda Function Invocation Result"
)

// readEnvelope reads an event in EventBridge's envelope, or in one that a
// direct invocation imitates without an id.
func (r *Reader) readEnvelope(d *Delivery, event *Event, e *envelope, traceHeader string, depth int) Shape {
	event.EnvelopeID, event.Type, event.Source = jsonwalk.Text(e.id), jsonwalk.Text(e.detailType), jsonwalk.Text(e.source)
	event.Time = parseTime(jsonwalk.Text(e.time), event.Time)
	event.ReplayName = jsonwalk.Text(e.replayName)
	event.Resources = jsonwalk.Texts(e.resources)
	body := e.detail
	if body[0] == '"' { // EventBridge Scheduler's
		body = jsonwalk.Inner(body)
	}
	if event.Source == destinationSource && strings.HasPrefix(event.Type, destinationTypes) {
		record := scanEnvelope(body)
		if record.requestPayload != nil {
			return r.readDestination(d, event, body, &record, depth)
		}
	}
	r.finish(d, event, body, traceHeader)
	switch {
	case event.Source == alarmSource && event.Type == alarmType:
		return ShapeAlarm
	case event.Type == scheduleType:
		return ShapeSchedule
	case event.EnvelopeID == "":
		return ShapeDirect
	}
	return ShapeEventBridge
}

// readDestination reads the record of an asynchronous invocation's result. Its
// lineage is that of the event which was being handled, one hop on: a function
// that fails on its own failures is a loop.
func (r *Reader) readDestination(d *Delivery, event *Event, data []byte, e *envelope, depth int) Shape {
	event.Detail = data
	if event.Time.IsZero() {
		event.Time = parseTime(jsonwalk.Text(e.timestamp), event.Time)
	}
	cause := r.readCause(d, e.requestPayload, depth+1)
	event.ID = event.EnvelopeID
	if event.ID == "" {
		event.ID = jsonwalk.Text(member(e.requestContext, "requestId"))
	}
	if event.Type == "" {
		event.Type = cause.Type
	}
	event.Lineage = cause.Lineage
	if cause.ID != "" {
		event.Lineage.CausationID, event.Lineage.ParentID = cause.ID, cause.ID
		event.Lineage.Hops++
	}
	event.correlate()
	return ShapeDestination
}

// readCause reads the event that an asynchronous invocation was handed.
func (r *Reader) readCause(d *Delivery, payload []byte, depth int) Event {
	var cause Event
	request := scanEnvelope(payload)
	switch {
	case depth > maxNesting:
	case request.records != nil:
		var inner Delivery
		r.readRecords(&inner, request.records, depth)
		d.Malformed += inner.Malformed
		if len(inner.Events) > 0 {
			cause = inner.Events[0]
		}
	default:
		r.readEvent(d, &cause, payload, &request, "", depth)
	}
	return cause
}

// finish reads an event's detail and joins its carriers.
func (r *Reader) finish(d *Delivery, event *Event, data []byte, traceHeader string) detail {
	event.Detail = data
	found := r.walkDetail(data)
	if event.Type == "" {
		event.Type = jsonwalk.Text(found.name)
	}
	event.ID = first(found.eventID(), event.EnvelopeID, event.MessageID)
	lineage, malformed := found.lineage(event.Resources, traceHeader)
	d.Malformed += malformed
	event.Lineage = lineage
	event.correlate()
	return found
}

// correlate gives an event without a correlation ID its own: two consumers of
// one uncorrelated event then agree.
func (e *Event) correlate() {
	if e.Lineage.CorrelationID == "" {
		e.Lineage.CorrelationID = e.ID
	}
}

func parseTime(s string, otherwise time.Time) time.Time {
	if s == "" {
		return otherwise
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700"} { // the second is an alarm's
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return otherwise
}

// parseMillis reads the time stamps of SQS.
func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// lastSegment is the name in an ARN.
func lastSegment(arn string) string {
	return arn[strings.LastIndexByte(arn, ':')+1:]
}
