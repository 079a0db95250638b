package lineage

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Stream reads a payload that comes in pieces. Of a batch it holds one record at
// a time, and keeps the lineage of its events, not their details. Of a payload
// that is no batch it holds what a Reader looks at. What it then says is what
// [Reader.Read] says of the whole payload. Use [Reader.Stream]. It is for one
// goroutine.
type Stream struct {
	reader  *Reader
	request string
	each    func(*Event)
	held    Room
	kept    Room

	split   jsonwalk.Splitter
	d       Delivery // but for its events
	events  *packed
	batch   bool   // there is a member Records, or the payload is a list
	unknown bool   // a record is of an unknown source
	unread  bool   // something had no room
	rest    []byte // members of a payload that is no batch
	used    int    // bytes that held had for them
}

const (
	// maxRecord bounds a record: Lambda's payloads have at most 6 MB.
	maxRecord = 8 << 20
	// maxOther bounds a member that says nothing about the lineage.
	maxOther = 64 << 10
	// maxUnpacked is how many events of a batch are kept as values.
	maxUnpacked = 64
)

// Room is asked for n more bytes of memory and says whether there is as much. Nil
// always has it.
type Room func(n int) bool

func (r Room) take(n int) bool { return r == nil || r(n) }

// Stream returns a Stream for the payload of an invocation. each, where it is not
// nil, is handed each event while its detail is there. held has room until the
// Stream is closed, kept for as long as its delivery is needed.
func (r *Reader) Stream(requestID string, each func(*Event), held, kept Room) *Stream {
	s := &Stream{reader: r, request: requestID, each: each, held: held, kept: kept, events: &packed{room: kept}}
	s.split = jsonwalk.Splitter{List: "Records", Room: held.take, Most: s.most, Element: s.element, Member: s.member}
	return s
}

// Write takes the next piece. It never fails: what cannot be read is no event.
func (s *Stream) Write(p []byte) { s.split.Write(p) }

// Used is how many bytes of memory there was room for.
func (s *Stream) Used() (held, kept int) { return s.split.Used + s.used, s.events.used }

// Close ends the payload. Of a batch it returns the delivery; of any other
// payload what is to be read as a whole, nil where it is malformed. Unread says
// that something had no room and is missing.
func (s *Stream) Close() (d Delivery, payload []byte, unread bool) {
	object, complete := s.split.Top() == '{', s.split.Close()
	switch {
	case s.unknown, s.split.Top() == 0, object && !complete:
		return Delivery{Shape: ShapeUnknown}, nil, s.unread
	case object && !s.batch:
		if s.rest == nil {
			s.rest = []byte{'{'}
		}
		return Delivery{Shape: ShapeUnknown}, append(s.rest, '}'), s.unread
	}
	d = s.d
	d.Shape = cmp.Or(d.Shape, ShapeUnknown)
	d.Events = nil
	if n := s.events.len(); n > 0 && n <= maxUnpacked {
		d.Events = make([]Event, n)
		for i := range d.Events {
			s.events.read(i, &d.Events[i])
		}
	} else if n > 0 {
		d.packed = s.events
	}
	return d.withIndex(), nil, s.unread
}

// most is how much of a value is held.
func (s *Stream) most(key []byte, element bool) int {
	if element || s.reader.reads(key) {
		return maxRecord
	}
	return maxOther
}

// envelopeKeys are the members of a payload's top that say what it is.
var envelopeKeys = []string{"id", "detail-type", "source", "time", "resources", "detail", "replay-name", "requestPayload", "requestContext", "body",
	"isBase64Encoded", "InitialExecutionState", "timestamp", "alarmArn", "alarmData", "Type", "Message", "MessageId", "TopicArn", "Timestamp", "MessageAttributes", "KinesisBatchInfo", "DDBStreamBatchInfo", "Data", "Metadata", "SystemMetadata",
	"traceparent", "tracestate", "_datadog", "specversion", "event_type", "eventType", "type", "metadata"}

// reads says whether a Reader looks at a member of this name.
func (r *Reader) reads(key []byte) bool {
	name := string(key)
	return name == r.detailKey || slices.Contains(r.pointers.names, name) || slices.Contains(envelopeKeys, name)
}

func (s *Stream) member(key, value []byte) {
	switch {
	case string(key) == s.split.List: // of two of that name the last counts
		s.d, s.unknown, s.batch = Delivery{}, false, true
		s.events = &packed{room: s.kept, used: s.events.used}
	case s.batch: // the others say nothing
	case value == nil:
		s.unread = s.unread || s.reader.reads(key)
	default:
		s.keep(key, value)
	}
}

func (s *Stream) keep(key, value []byte) {
	n := len(key)*6 + len(value) + len(`{"":,}`)
	if !s.held.take(n) {
		s.unread = true
		return
	}
	s.used += n
	if s.rest == nil {
		s.rest = append(s.rest, '{')
	} else {
		s.rest = append(s.rest, ',')
	}
	s.rest = append(append(appendQuoted(s.rest, string(key)), ':'), value...)
}

func (s *Stream) element(list []byte) {
	switch {
	case s.unknown:
		return
	case list == nil:
		s.unread = true
		return
	}
	queue := s.d.Queue
	s.d.Events = s.d.Events[:0]
	s.reader.readRecords(&s.d, list, 0)
	if len(s.d.Events) == 0 {
		s.unknown = true
		return
	}
	e := &s.d.Events[0]
	if s.events.len() > 0 {
		s.d.Queue = queue // the first one's
	}
	e.identify(s.request)
	if s.each != nil {
		s.each(e)
	}
	if !s.events.add(e) {
		s.unread = true
	}
	*e = Event{}
}
