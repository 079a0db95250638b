package lineage

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxNesting bounds the nesting of an event in messages and destination records: a
// chain of failing functions adds one level for each hop.
const maxNesting = 16

// Reader reads the payloads of Lambda functions. It is safe for concurrent use.
type Reader struct {
	pointers    *pointers
	detailKey   string
	xray        bool // spans are exported to X-Ray
	ownSampling bool
	// configured are the kinds of IDs whose pointers were configured. Default
	// pointers are not applied to events of AWS's services, whose members with these
	// names have other meanings.
	configured [idKinds]bool
}

// NewReader returns a Reader with the pointers and the detail key of cfg.
func NewReader(cfg Config) *Reader {
	return &Reader{
		pointers: newPointers(cfg), detailKey: cfg.detailKey(), xray: cfg.XRay, ownSampling: cfg.OwnSampling,
		configured: [idKinds]bool{cfg.EventID != nil, cfg.CorrelationID != nil, cfg.CausationID != nil},
	}
}

// Read returns the events in payload and their lineage. It never fails and never
// panics: for an unknown payload it returns ShapeUnknown and no events. The details
// of the events alias payload, unless they are escaped in it.
func (r *Reader) Read(payload []byte) Delivery {
	d := Delivery{Shape: ShapeUnknown}
	if list := jsonwalk.SkipSpace(payload, 0); list < len(payload) && payload[list] == '[' { // a batch of EventBridge Pipes
		r.readRecords(&d, payload, 0)
		return d.withIndex()
	}
	e := scanEnvelope(payload)
	if !e.valid {
		return d
	}
	if e.records != nil {
		r.readRecords(&d, e.records, 0)
		return d.withIndex()
	}
	if e.requestPayload == nil && e.detail == nil && isHTTP(e.requestContext) {
		r.readHTTP(&d, &e)
		return d
	}
	if e.durable != nil {
		r.readDurable(&d, e.durable)
		return d
	}
	var event Event
	shape := r.readEvent(&d, &event, payload, &e, message{}, 0)
	switch shape {
	case ShapeUnknown:
		return Delivery{Shape: ShapeUnknown, Context: servicesContext(payload)}
	case ShapeDirect:
		d.Context = servicesContext(payload)
	case ShapeSchedule:
		d.Context.Schedule = scheduleOf(&event, payload)
	case ShapeEventBridge:
		d.Called = e.more && !event.withMetadata
	}
	d.Shape, d.Events = shape, []Event{event}
	return d
}

// withIndex returns d, with an index of its events if there are several.
func (d Delivery) withIndex() Delivery {
	if d.Len() > 1 {
		d.index = new(index)
	}
	return d
}

// readEvent reads one event from data. e is the envelope of data. The fields that come
// from the event's message must already be set: MessageID, Queue, Time.
func (r *Reader) readEvent(d *Delivery, event *Event, data []byte, e *envelope, m message, depth int) Shape {
	switch {
	case e.requestContext != nil && (e.requestPayload != nil || e.batchInfo != nil):
		return r.readDestination(d, event, data, e, depth)
	case e.detailType != nil && e.detail != nil:
		return r.readEnvelope(d, event, e, m, depth)
	case e.system != nil && e.data != nil && depth <= maxNesting:
		if stored, ok := readStored(e); ok {
			return r.readWithMetadata(d, event, e, &stored, m, depth)
		}
	}
	switch {
	case e.alarmARN != nil && e.alarmData != nil:
		event.Type, event.Source = alarmType, jsonwalk.Text(e.source)
		event.Time = parseTime(jsonwalk.Text(e.time), event.Time)
		r.finish(d, event, data, m)
		return ShapeAlarm
	}
	found := r.finish(d, event, data, m)
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
	s3Source          = "aws.s3"
	alarmType         = "CloudWatch Alarm State Change"
	scheduleType      = "Scheduled Event"
	destinationSource = "lambda"
	destinationTypes  = "Lambda Function Invocation Result"
)

// readEnvelope reads an event in EventBridge's envelope. An envelope without an id is
// one that the caller of a direct invocation made.
func (r *Reader) readEnvelope(d *Delivery, event *Event, e *envelope, m message, depth int) Shape {
	event.EnvelopeID, event.Type, event.Source = jsonwalk.Text(e.id), jsonwalk.Text(e.detailType), jsonwalk.Text(e.source)
	event.Time = parseTime(jsonwalk.Text(e.time), event.Time)
	event.ReplayName = jsonwalk.Text(e.replayName)
	event.Resources = jsonwalk.Texts(e.resources)
	body := e.detail
	if body[0] == '"' { // as EventBridge Scheduler writes it
		body = jsonwalk.Inner(body)
	}
	if event.Source == destinationSource && strings.HasPrefix(event.Type, destinationTypes) {
		record := scanEnvelope(body)
		if record.requestPayload != nil {
			return r.readDestination(d, event, body, &record, depth)
		}
	}
	r.finish(d, event, body, m)
	if event.Source == s3Source {
		event.Arrival.S3Request = jsonwalk.Text(member(body, "request-id"))
	}
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

// readDestination reads the record of an asynchronous invocation's result. The event
// that was handled is the cause of the record, which has one hop more. A function that
// fails on its own failures is then detected as a loop.
func (r *Reader) readDestination(d *Delivery, event *Event, data []byte, e *envelope, depth int) Shape {
	event.Detail = data
	if event.Time.IsZero() {
		event.Time = parseTime(jsonwalk.Text(e.timestamp), event.Time)
	}
	event.Arrival.OriginRequest = jsonwalk.Text(member(e.requestContext, "requestId"))
	cause := r.readCause(d, e.requestPayload, depth+1)
	event.ID = cmp.Or(event.EnvelopeID, event.Arrival.OriginRequest)
	event.Type = cmp.Or(event.Type, cause.Type)
	event.Lineage, event.RunID = cause.Lineage, cause.RunID
	if cause.ID != "" {
		event.Lineage.CausationID, event.Lineage.ParentID = cause.ID, cause.ID
		event.Lineage.Hops++
	}
	event.correlate()
	return ShapeDestination
}

// scheduleOf returns the ARN of the schedule that sent event. EventBridge Scheduler
// writes it into the resources of its default event, and into a configured input only
// if the user refers to it there.
func scheduleOf(event *Event, payload []byte) string {
	for _, arn := range event.Resources {
		if isARN(arn, "scheduler", "schedule/") {
			return arn
		}
	}
	return servicesContext(payload).Schedule
}

// readCause reads the event that an asynchronous invocation handled.
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
		r.readEvent(d, &cause, payload, &request, message{}, depth)
	}
	return cause
}

// finish reads an event's detail, and sets its IDs and its lineage from all carriers.
func (r *Reader) finish(d *Delivery, event *Event, data []byte, m message) detail {
	event.Detail = data
	found := r.walkDetail(data)
	if event.Type == "" {
		event.Type = jsonwalk.Text(found.name)
	}
	switch {
	case strings.HasPrefix(event.Source, "aws."):
		for kind, configured := range r.configured {
			if !configured {
				found.value[kind], found.rank[kind] = nil, 0
			}
		}
	case found.specversion != nil:
		event.Source = cmp.Or(jsonwalk.Text(found.cloudSource), event.Source)
	}
	if !r.configured[idEvent] && isCode(found.value[idEvent]) {
		found.value[idEvent], found.rank[idEvent] = nil, 0
	}
	event.ID = cmp.Or(found.eventID(), event.EnvelopeID, event.MessageID)
	event.RunID = found.runID()
	event.Arrival.TaskToken = TokenHash(jsonwalk.Text(found.token))
	lineage, malformed := found.lineage(r, event.Resources, &m)
	d.Malformed += malformed
	event.Lineage = lineage
	if event.Lineage.CorrelationID == "" && event.EnvelopeID == "" && found.cloudID != nil && event.ID == jsonwalk.Text(found.cloudID) {
		event.Lineage.CorrelationID = found.cloudWorkflow(event.ID)
	}
	event.correlate()
	return found
}

// correlate sets the correlation ID of an event without one to its envelope's ID, or
// to its own ID if it has no envelope. Two consumers of one event then agree, and
// events with the same number from two sources belong to different workflows.
func (e *Event) correlate() {
	if e.Lineage.CorrelationID == "" {
		e.Lineage.CorrelationID = cmp.Or(e.EnvelopeID, e.ID)
	}
}

func parseTime(s string, otherwise time.Time) time.Time {
	if s == "" {
		return otherwise
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700"} { // the second is the format of alarms
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return otherwise
}

// parseMillis reads a timestamp of SQS, in milliseconds.
func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// parseSeconds reads a timestamp of a stream, in seconds.
func parseSeconds(raw []byte) time.Time {
	seconds, err := strconv.ParseFloat(jsonwalk.Scalar(raw), 64)
	if err != nil || !(seconds > 0 && seconds < 1<<33) {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

// lastSegment returns the last part of an ARN.
func lastSegment(arn string) string {
	return arn[strings.LastIndexByte(arn, ':')+1:]
}
