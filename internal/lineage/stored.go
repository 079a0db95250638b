package lineage

import (
	"cmp"
	"time"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// stored is the SystemMetadata of an event, which a new custom bus delivers to
// subscribers with the transformer WITH_METADATA (EventBridge user guide,
// "Transforming events").
type stored struct {
	eventID, sequence, group, ingestion, source, detailType string
	replayed                                                bool
}

// replayedByBus is the ReplayName of an event that a new bus replays: the bus does not
// give the name of the replay.
const replayedByBus = "REPLAY"

// readStored reads the SystemMetadata of e. ok is false if it is not that of a bus:
// aws:DeliveryType, the only member that is always present, is missing.
func readStored(e *envelope) (s stored, ok bool) {
	for m := jsonwalk.MembersOf(e.system, 0); m.Next(); {
		switch value := jsonwalk.Text(m.Value); string(m.Key) {
		case "aws:DeliveryType":
			ok, s.replayed = value != "", value == replayedByBus
		case "aws:EventId":
			s.eventID = value
		case "aws:SequenceNumber":
			s.sequence = value
		case "aws:IngestionTime":
			s.ingestion = value
		case "aws:Source":
			s.source = value
		case "aws:DetailType":
			s.detailType = value
		case "EventGroupId":
			s.group = value
		}
	}
	return s, ok
}

// readWithMetadata reads an event in three parts: Data, which is all that a subscriber
// without metadata gets, Metadata and SystemMetadata.
func (r *Reader) readWithMetadata(d *Delivery, event *Event, e *envelope, s *stored, m message, depth int) Shape {
	for member := jsonwalk.MembersOf(e.metadata, 0); member.Next(); {
		if line, ok := MetadataLine(string(member.Key), jsonwalk.Scalar(member.Value)); ok {
			m.metadata = append(m.metadata, line)
		}
	}
	event.Source, event.Type, event.EnvelopeID = s.source, s.detailType, s.eventID
	shape := ShapeUnknown
	if inner := scanEnvelope(e.data); inner.valid {
		shape = r.readEvent(d, event, e.data, &inner, m, depth+1)
	} else {
		r.finish(d, event, nil, m)
		event.Detail = e.data
	}
	// If the detail has no ID, the event gets the bus's ID. The correlation ID stays
	// the envelope's ID, which consumers without metadata use.
	if event.ID == event.EnvelopeID {
		event.ID = cmp.Or(s.eventID, event.ID)
	}
	event.EnvelopeID = cmp.Or(s.eventID, event.EnvelopeID)
	event.Group, event.Sequence, event.withMetadata = s.group, s.sequence, true
	if at := parseTime(s.ingestion, time.Time{}); !at.IsZero() {
		event.Time, event.ingested = at, true
	}
	if s.replayed {
		event.ReplayName = cmp.Or(event.ReplayName, replayedByBus)
	}
	switch shape {
	case ShapeUnknown, ShapeDirect:
		return ShapeEventBridge
	}
	return shape
}

// WithMetadata reports whether a new custom bus delivered the event with its
// metadata. No other source delivers events in this form.
func (e *Event) WithMetadata() bool { return e.withMetadata }
