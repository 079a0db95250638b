package lineage

import (
	"cmp"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// detail is what one walk over the top of a detail finds, raw.
type detail struct {
	ids
	stamp, datadog          []byte
	traceparent, tracestate []byte
	specversion, cloudID    []byte
	cloudSource             []byte
	name                    []byte // what a bare message calls its type
	nameRank                int
	run, metadata           []byte
	token                   []byte // a task token of Step Functions
}

// walkDetail reads the top of data. A detail that is no object, or breaks off,
// yields what was found until there.
func (r *Reader) walkDetail(data []byte) detail {
	var d detail
	for m := jsonwalk.MembersOf(data, 0); m.Next(); {
		r.pointers.offer(&d.ids, m.Key, m.Value)
		switch string(m.Key) {
		case "traceparent":
			d.traceparent = m.Value
		case "tracestate":
			d.tracestate = m.Value
		case "_datadog":
			d.datadog = m.Value
		case "specversion":
			d.specversion = m.Value
		case "id":
			d.cloudID = m.Value
		case "source":
			d.cloudSource = m.Value
		case "detail-type", "event_type", "eventType", "type":
			d.named(m.Key, m.Value)
		case "run_id", "runId":
			d.run = m.Value
		case "metadata":
			d.metadata = m.Value
		case "TaskToken", "taskToken", "task_token":
			d.token = m.Value
		}
		if d.stamp == nil && string(m.Key) == r.detailKey {
			d.stamp = m.Value
		}
	}
	return d
}

// bareType is what data without an envelope calls its type, empty where it does not.
func bareType(data string) string {
	var d detail
	for m := jsonwalk.MembersOf(jsonwalk.Bytes(data), 0); m.Next(); {
		d.named(m.Key, m.Value)
	}
	return jsonwalk.Text(d.name)
}

// named takes a member that says what type the event has.
func (d *detail) named(key, value []byte) {
	switch string(key) {
	case "detail-type":
		d.call(value, 4)
	case "event_type":
		d.call(value, 3)
	case "eventType":
		d.call(value, 2)
	case "type":
		d.call(value, 1)
	}
}

func (d *detail) call(name []byte, rank int) {
	if rank > d.nameRank && len(name) > 2 && name[0] == '"' {
		d.name, d.nameRank = name, rank
	}
}

// runID is the ID of the run that the domain says the event belongs to.
func (d *detail) runID() string {
	run := d.run
	if run == nil && d.metadata != nil {
		if run = member(d.metadata, "run_id"); run == nil {
			run = member(d.metadata, "runId")
		}
	}
	if len(run) > maxID+2 {
		return ""
	}
	return jsonwalk.Scalar(run)
}

// eventID is the domain's own ID, that of a CloudEvent included.
func (d *detail) eventID() string {
	if id := d.text(idEvent); id != "" || d.specversion == nil {
		return id
	}
	return jsonwalk.Text(d.cloudID)
}

// carries says that the detail names its lineage at all.
func (d *detail) carries() bool {
	return d.rank != [idKinds]int{} || d.stamp != nil || d.traceparent != nil || d.datadog != nil || d.specversion != nil
}

// lineage joins what an event's carriers say, those of its message included. It
// returns how many carriers were there but could not be read.
func (d *detail) lineage(r *Reader, resources []string, m *message) (Lineage, int) {
	inLines, inMetadata, inDetail := resourceStamp(resources), resourceStamp(m.metadata), stamp{}
	if d.stamp != nil {
		inDetail = detailStamp(d.stamp)
	}
	l := Lineage{
		CorrelationID: cmp.Or(inLines.correlation, inMetadata.correlation, inDetail.correlation, d.text(idCorrelation)),
		CausationID:   cmp.Or(inLines.causation, inMetadata.causation, inDetail.causation, d.text(idCausation)),
	}
	// What the stamp says of one publication is taken from one carrier: a
	// forwarded event may bring an older one in the other.
	ours, carrier := inLines, CarrierResources
	switch {
	case inLines.publisher.IsValid():
	case inMetadata.publisher.IsValid() && inMetadata.hasHops:
		ours, carrier = inMetadata, CarrierMetadata
	case inDetail.publisher.IsValid():
		ours, carrier = inDetail, CarrierDetail
	case inMetadata.hasHops: // its context could not be read
		ours = inMetadata
	}
	l.Hops, l.ParentID, l.Origin, l.Minted = ours.hops, ours.parent, ours.origin, ours.minted
	malformed := inLines.malformed + inMetadata.malformed + inDetail.malformed
	if ours.publisher.IsValid() {
		l.Publisher, l.Carrier, l.Stamped = ours.publisher, carrier, true
	} else {
		if inMetadata.publisher.IsValid() { // somebody else's, as the lines of a stamp are not
			l.Publisher, l.Carrier, l.decided = inMetadata.publisher, CarrierMetadata, true
		}
		if !l.Publisher.IsValid() {
			malformed += d.foreign(&l)
		}
		if !l.Publisher.IsValid() {
			malformed += m.sender(r, &l)
		}
	}
	if l.ParentID == "" && l.Hops > 0 {
		l.ParentID = l.CausationID // the line is left out when it would say the same
	}
	if !l.Origin.IsValid() && l.Carrier != CarrierXRay && l.Carrier != CarrierAttributes {
		l.Origin = l.Publisher // but of a message: its sender may stand anywhere in the workflow
	}
	l.ignored = r.ownSampling
	l.Correlated = l.CorrelationID != ""
	return l, malformed
}

// foreign reads the trace context that others put beside an event.
func (d *detail) foreign(l *Lineage) (malformed int) {
	if d.traceparent != nil {
		malformed += l.traced(jsonwalk.Text(d.traceparent), jsonwalk.Text(d.tracestate), CarrierCloudEvents)
	}
	if d.datadog != nil && !l.Publisher.IsValid() {
		malformed += l.datadog(d.datadog)
	}
	return malformed
}

// traced takes a W3C context.
func (l *Lineage) traced(traceparent, tracestate string, carrier Carrier) (malformed int) {
	sc, ok := ParseTraceparent(traceparent)
	if !ok {
		return 1
	}
	state, err := trace.ParseTraceState(tracestate)
	if err != nil {
		malformed = 1
	}
	l.Publisher, l.Carrier, l.decided = sc.WithTraceState(state), carrier, true
	return malformed
}

// datadog takes the context that Datadog's tracers write. Of another context of
// Datadog's, such as that of Step Functions, nothing is malformed.
func (l *Lineage) datadog(raw []byte) (malformed int) {
	sc, flagged, carries := datadogContext(raw)
	switch {
	case sc.IsValid():
		l.Publisher, l.Carrier, l.decided = sc, CarrierDatadog, flagged
	case carries:
		return 1
	}
	return 0
}

// message is what carries an event beside the event itself. The zero value is none.
type message struct {
	attributes  []byte // SQS's messageAttributes or SNS's MessageAttributes, raw
	traceHeader string // AWSTraceHeader of an SQS record
	sent        time.Time
	metadata    []string // what the metadata of a new bus's event says, as lines of a stamp
}

// sender reads the trace context that the sender of a message put beside it.
func (m *message) sender(r *Reader, l *Lineage) (malformed int) {
	if m.attributes != nil {
		a := readAttributes(m.attributes)
		if a.traceparent != "" {
			malformed += l.traced(a.traceparent, a.tracestate, CarrierAttributes)
		}
		if a.datadog != nil && !l.Publisher.IsValid() {
			if malformed += l.datadog(a.datadog); l.Publisher.IsValid() {
				l.Carrier = CarrierAttributes
			}
		}
	}
	if m.traceHeader == "" || l.Publisher.IsValid() {
		return malformed
	}
	switch header, ok := ParseTraceHeader(m.traceHeader); {
	case !ok:
		malformed++
	case !header.Context.IsValid(): // a root alone
	case !header.begunAt(m.sent):
		l.Publisher, l.Carrier = header.Context, CarrierXRay
	case r.xray:
		l.segment = header.Context
	}
	return malformed
}

// sampled is the decision that the event's traceparent carried.
func (l *Lineage) sampled() (sampled, decided bool) {
	return l.Publisher.IsSampled(), !l.ignored && l.Publisher.IsValid() && (l.Stamped && !l.Minted || l.decided)
}

// sameSpan says that two contexts name one span, whatever their flags.
func sameSpan(a, b trace.SpanContext) bool {
	return a.SpanID() == b.SpanID() && a.TraceID() == b.TraceID()
}
