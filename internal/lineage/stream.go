package lineage

import (
	"cmp"
	"slices"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Stream reads a payload that arrives in pieces. Of a batch it holds one record at a
// time, and stores the lineage of its events, but not their details. Of a payload that
// is not a batch it holds the members that a Reader reads. The result is the same as
// that of [Reader.Read] for the whole payload. Make one with [Reader.Stream]. It is
// not safe for concurrent use.
type Stream struct {
	reader  *Reader
	request string
	each    func(*Event)
	held    Room
	kept    Room

	split   jsonwalk.Splitter
	d       Delivery // without its events
	events  *packed
	batch   bool   // the payload has a member Records, or is a list
	unknown bool   // a record is of an unknown source
	unread  bool   // something was left out because there was no room
	rest    []byte // members of a payload that is not a batch
	used    int    // bytes that were taken from held for rest
}

const (
	// maxRecord bounds a record, in bytes: Lambda's payloads have at most 6 MB.
	maxRecord = 8 << 20
	// maxOther bounds a member that a Reader does not read, in bytes.
	maxOther = 64 << 10
	// maxUnpacked is the largest number of events that are stored as values.
	maxUnpacked = 64
)

// Room takes n more bytes from a memory budget, and returns false if they are not
// left. A nil Room is unlimited.
type Room func(n int) bool

func (r Room) take(n int) bool { return r == nil || r(n) }

// Stream returns a Stream for the payload of an invocation. each is called with each
// event while it has its detail; it may be nil. held is the budget for memory that is
// needed until the Stream is closed, and kept that for memory that the delivery needs.
func (r *Reader) Stream(requestID string, each func(*Event), held, kept Room) *Stream {
	s := &Stream{reader: r, request: requestID, each: each, held: held, kept: kept, events: &packed{room: kept}}
	s.split = jsonwalk.Splitter{List: "Records", Room: held.take, Most: s.most, Element: s.element, Member: s.member}
	return s
}

// Write reads the next piece. It never fails: input that cannot be read is no event.
func (s *Stream) Write(p []byte) { s.split.Write(p) }

// Used returns the bytes that were taken from each budget.
func (s *Stream) Used() (held, kept int) { return s.split.Used + s.used, s.events.used }

// Close ends the payload. For a batch it returns the delivery. For any other payload it
// returns the members to read with [Reader.Read], nil if the payload is malformed.
// unread reports whether something was left out because there was no room.
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

// most returns how many bytes of a value are held.
func (s *Stream) most(key []byte, element bool) int {
	if element || s.reader.reads(key) {
		return maxRecord
	}
	return maxOther
}

// envelopeKeys are the members at a payload's top that a Reader reads.
var envelopeKeys = []string{"id", "detail-type", "source", "time", "resources", "detail", "replay-name", "requestPayload", "requestContext", "body",
	"isBase64Encoded", "InitialExecutionState", "timestamp", "alarmArn", "alarmData", "Type", "Message", "MessageId", "TopicArn", "Timestamp", "MessageAttributes", "KinesisBatchInfo", "DDBStreamBatchInfo", "Data", "Metadata", "SystemMetadata",
	"traceparent", "tracestate", "_datadog", "specversion", "event_type", "eventType", "type", "metadata"}

// reads reports whether a Reader reads a member with this name.
func (r *Reader) reads(key []byte) bool {
	name := string(key)
	return name == r.detailKey || slices.Contains(r.pointers.names, name) || slices.Contains(envelopeKeys, name)
}

func (s *Stream) member(key, value []byte) {
	switch {
	case string(key) == s.split.List: // of two members with that name the last counts
		s.d, s.unknown, s.batch = Delivery{}, false, true
		s.events = &packed{room: s.kept, used: s.events.used}
	case s.batch: // the other members of a batch are not read
	case value == nil && !s.reader.reads(key):
		s.keep(key, []byte("null")) // a Reader reads that it is there
	case value == nil:
		s.unread = true
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
		s.d.Queue = queue // the queue of the first event
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
