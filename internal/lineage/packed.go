package lineage

import (
	"encoding/binary"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// packed stores the events of a large batch, without details and resources, in a third
// of the memory that they take as values. A batch of SQS has up to 10 000 events, and
// several batches may be handled at once. Reading is safe for concurrent use after
// all events were added.
type packed struct {
	room   Room
	used   int // bytes that were taken from room
	blocks [][]byte
	places []uint64 // of each event: the block and the offset in it
	names  []string // that several events have in common
	known  map[string]uint64
	buffer []byte

	// The values that all events have; empty if they differ.
	eventType, correlation string
}

const (
	firstBlock = 4 << 10
	packBlock  = 64 << 10
	// maxNames bounds the strings that are stored once for all events.
	maxNames = 256
	// perEvent is the number of bytes of an element of places, as the list grows.
	perEvent = 16
)

func (p *packed) len() int { return len(p.places) }

// take takes n bytes from room, and reports whether they were left.
func (p *packed) take(n int) bool {
	if !p.room.take(n) {
		return false
	}
	p.used += n
	return true
}

// The flags of an event.
const (
	isCorrelated = 1 << iota
	isStamped
	isMintedContext
	isIgnored
	isDecided
	isIdentified
	hasTime
	hasPublisher
	hasOrigin
	hasOwnOrigin // it differs from the publisher
	hasState
	hasSegment
	isIngested
	isWithMetadata
)

// carriers are the values of Lineage.Carrier.
var carriers = [...]Carrier{"", CarrierResources, CarrierDetail, CarrierCloudEvents, CarrierDatadog, CarrierAttributes, CarrierXRay, CarrierMetadata}

// add appends e, and reports whether there was room.
func (p *packed) add(e *Event) bool {
	l := &e.Lineage
	var flags uint64
	for bit, set := range [...]bool{l.Correlated, l.Stamped, l.Minted, l.ignored, l.decided, e.identified, !e.Time.IsZero(),
		l.Publisher.IsValid(), l.Origin.IsValid(), l.Origin.IsValid() && !l.Origin.Equal(l.Publisher), l.Publisher.TraceState().Len() > 0, l.segment.IsValid(), e.ingested, e.withMetadata} {
		if set {
			flags |= 1 << bit
		}
	}
	b := binary.AppendUvarint(p.buffer[:0], flags)
	for _, name := range [...]string{e.Type, e.Source, e.Queue, e.ReplayName, l.CorrelationID, e.Group} {
		b = p.name(b, name)
	}
	for _, text := range [...]string{e.ID, e.EnvelopeID, e.MessageID, l.CausationID, l.ParentID, e.Digest, e.BusinessKey, e.RunID, e.Arrival.NotificationID, e.Arrival.OriginRequest, e.Arrival.S3Request, e.Arrival.TaskToken, e.Arrival.Change, e.Sequence} {
		b = appendText(b, text)
	}
	if record := e.Arrival.RecordID; record == e.MessageID { // for example of SQS
		b = append(b, 0)
	} else {
		b = appendText(append(b, 1), record)
	}
	b = binary.AppendUvarint(b, uint64(max(e.ReceiveCount, 0)))
	b = binary.AppendUvarint(b, uint64(max(l.Hops, 0)))
	for n, carrier := range carriers {
		if carrier == l.Carrier {
			b = append(b, byte(n))
		}
	}
	if flags&hasTime != 0 {
		b = binary.AppendVarint(b, e.Time.Unix())
		b = binary.AppendUvarint(b, uint64(e.Time.Nanosecond()))
	}
	if flags&hasPublisher != 0 {
		b = appendContext(b, l.Publisher)
	}
	if flags&hasOwnOrigin != 0 {
		b = appendContext(b, l.Origin)
	}
	if flags&hasSegment != 0 {
		b = appendContext(b, l.segment)
	}
	if flags&hasState != 0 {
		b = appendText(b, l.Publisher.TraceState().String())
	}
	p.buffer = b
	return p.put(b, e)
}

// put writes b, the encoded e, into a block.
func (p *packed) put(b []byte, e *Event) bool {
	last := len(p.blocks) - 1
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < len(b) {
		size := packBlock
		if last < 0 {
			size = firstBlock
		}
		if size = max(size, len(b)); !p.take(size) {
			return false
		}
		p.blocks = append(p.blocks, make([]byte, 0, size))
		last++
	}
	if !p.take(perEvent) {
		return false
	}
	if p.len() == 0 {
		p.eventType, p.correlation = e.Type, e.Lineage.CorrelationID
	}
	if p.eventType != e.Type {
		p.eventType = ""
	}
	if p.correlation != e.Lineage.CorrelationID {
		p.correlation = ""
	}
	p.places = append(p.places, uint64(last)<<32|uint64(len(p.blocks[last])))
	p.blocks[last] = append(p.blocks[last], b...)
	return true
}

// name appends a string that other events may have too: its index in names plus one
// or, if it is not in names, 0 and the string.
func (p *packed) name(b []byte, text string) []byte {
	n, ok := p.known[text]
	if !ok && len(p.names) < maxNames {
		if p.known == nil {
			p.known = map[string]uint64{}
		}
		p.names = append(p.names, text)
		n = uint64(len(p.names))
		p.known[text], ok = n, true
	}
	b = binary.AppendUvarint(b, n)
	if !ok {
		b = appendText(b, text)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendContext(b []byte, sc trace.SpanContext) []byte {
	id, span := sc.TraceID(), sc.SpanID()
	flags := byte(sc.TraceFlags()) << 1 // the specification defines fewer than seven
	if sc.IsRemote() {
		flags |= 1
	}
	return append(append(append(b, id[:]...), span[:]...), flags)
}

// unpacker decodes an event; its strings alias the block.
type unpacker []byte

func (u *unpacker) uvarint() uint64 {
	n, size := binary.Uvarint(*u)
	*u = (*u)[size:]
	return n
}

func (u *unpacker) varint() int64 {
	n, size := binary.Varint(*u)
	*u = (*u)[size:]
	return n
}

func (u *unpacker) bytes(n uint64) []byte {
	b := (*u)[:n]
	*u = (*u)[n:]
	return b
}

func (u *unpacker) text() string { return jsonwalk.View(u.bytes(u.uvarint())) }

func (u *unpacker) context() trace.SpanContext {
	var config trace.SpanContextConfig
	copy(config.TraceID[:], u.bytes(uint64(len(config.TraceID))))
	copy(config.SpanID[:], u.bytes(uint64(len(config.SpanID))))
	flags := u.bytes(1)[0]
	config.TraceFlags, config.Remote = trace.TraceFlags(flags>>1), flags&1 != 0
	return trace.NewSpanContext(config)
}

// read sets e to the n-th event.
func (p *packed) read(n int, e *Event) {
	place := p.places[n]
	u := unpacker(p.blocks[place>>32][place&0xffffffff:])
	flags := u.uvarint()
	*e = Event{identified: flags&isIdentified != 0, ingested: flags&isIngested != 0, withMetadata: flags&isWithMetadata != 0}
	l := &e.Lineage
	l.Correlated, l.Stamped, l.Minted, l.ignored, l.decided = flags&isCorrelated != 0, flags&isStamped != 0, flags&isMintedContext != 0, flags&isIgnored != 0, flags&isDecided != 0
	for _, name := range [...]*string{&e.Type, &e.Source, &e.Queue, &e.ReplayName, &l.CorrelationID, &e.Group} {
		if at := u.uvarint(); at > 0 {
			*name = p.names[at-1]
		} else {
			*name = u.text()
		}
	}
	for _, text := range [...]*string{&e.ID, &e.EnvelopeID, &e.MessageID, &l.CausationID, &l.ParentID, &e.Digest, &e.BusinessKey, &e.RunID, &e.Arrival.NotificationID, &e.Arrival.OriginRequest, &e.Arrival.S3Request, &e.Arrival.TaskToken, &e.Arrival.Change, &e.Sequence} {
		*text = u.text()
	}
	if e.Arrival.RecordID = e.MessageID; u.bytes(1)[0] != 0 {
		e.Arrival.RecordID = u.text()
	}
	e.ReceiveCount, l.Hops = int(u.uvarint()), int(u.uvarint())
	l.Carrier = carriers[u.bytes(1)[0]]
	if flags&hasTime != 0 {
		seconds := u.varint()
		e.Time = time.Unix(seconds, int64(u.uvarint())).UTC()
	}
	if flags&hasPublisher != 0 {
		l.Publisher = u.context()
	}
	if flags&hasOrigin != 0 {
		l.Origin = l.Publisher
	}
	if flags&hasOwnOrigin != 0 {
		l.Origin = u.context()
	}
	if flags&hasSegment != 0 {
		l.segment = u.context()
	}
	if flags&hasState != 0 {
		state, _ := trace.ParseTraceState(u.text()) // it was valid when it was added
		l.Publisher = l.Publisher.WithTraceState(state)
		if flags&hasOwnOrigin == 0 && flags&hasOrigin != 0 {
			l.Origin = l.Publisher
		}
	}
}
