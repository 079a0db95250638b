package lineage

import (
	"cmp"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// detail is the raw members that one walk over the top of a detail finds.
type detail struct {
	ids
	stamp, datadog          []byte
	traceparent, tracestate []byte
	specversion, cloudID    []byte
	cloudSource             []byte
	name                    []byte // the type in a message without an envelope
	nameRank                int
	run, metadata           []byte
	token                   []byte // a task token of Step Functions
}

// walkDetail reads the members at the top of data. If data is not an object, or is
// truncated, it returns the members before that point.
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

// bareType returns the type in data without an envelope, empty if there is none.
func bareType(data string) string {
	var d detail
	for m := jsonwalk.MembersOf(jsonwalk.Bytes(data), 0); m.Next(); {
		d.named(m.Key, m.Value)
	}
	return jsonwalk.Text(d.name)
}

// named processes a member that may contain the event's type.
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

// runID returns the ID of the run that the event belongs to, if the detail has one.
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

// eventID returns the event's own ID in the detail, else that of a CloudEvent.
func (d *detail) eventID() string {
	if id := d.text(idEvent); id != "" || d.specversion == nil {
		return id
	}
	return jsonwalk.Text(d.cloudID)
}

// cloudWorkflow returns the ID of the workflow of a CloudEvent that has no other: its
// own ID is unique only within its source.
func (d *detail) cloudWorkflow(id string) string {
	if d.specversion == nil || d.cloudSource == nil {
		return ""
	}
	if both := jsonwalk.Text(d.cloudSource) + "#" + id; ValidID(both) {
		return both
	}
	return ""
}

// carries reports whether the detail contains any lineage.
func (d *detail) carries() bool {
	return d.rank != [idKinds]int{} || d.stamp != nil || d.traceparent != nil || d.datadog != nil || d.specversion != nil
}

// lineage combines an event's carriers, including those of its message. It also
// returns the number of carriers that could not be read.
func (d *detail) lineage(r *Reader, resources []string, m *message) (Lineage, int) {
	inLines, inMetadata, inDetail := resourceStamp(resources), resourceStamp(m.metadata), stamp{}
	if d.stamp != nil {
		inDetail = detailStamp(d.stamp)
	}
	l := Lineage{
		CorrelationID: cmp.Or(inLines.correlation, inMetadata.correlation, inDetail.correlation, d.text(idCorrelation)),
		CausationID:   cmp.Or(inLines.causation, inMetadata.causation, inDetail.causation, d.text(idCausation)),
	}
	// All fields of a publication are read from one carrier: another may contain the
	// older stamp of a forwarded event.
	ours, carrier := inLines, CarrierResources
	switch {
	case inLines.publisher.IsValid():
	case inMetadata.publisher.IsValid() && inMetadata.hasHops:
		ours, carrier = inMetadata, CarrierMetadata
	case inDetail.publisher.IsValid():
		ours, carrier = inDetail, CarrierDetail
	case inMetadata.hasHops: // its traceparent could not be read
		ours = inMetadata
	}
	l.Hops, l.ParentID, l.Origin, l.Minted = ours.hops, ours.parent, ours.origin, ours.minted
	malformed := inLines.malformed + inMetadata.malformed + inDetail.malformed
	if ours.publisher.IsValid() {
		l.Publisher, l.Carrier, l.Stamped = ours.publisher, carrier, true
	} else {
		if inMetadata.publisher.IsValid() { // a traceparent without hops is not from a stamp
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
		l.ParentID = l.CausationID // a stamp leaves out a parent that equals the causation ID
	}
	if !l.Origin.IsValid() && l.Carrier != CarrierXRay && l.Carrier != CarrierAttributes {
		l.Origin = l.Publisher // not for a message: its sender may be anywhere in the workflow
	}
	l.ignored = r.ownSampling
	l.Correlated = l.CorrelationID != ""
	return l, malformed
}

// foreign reads the trace context that other tracers wrote into the detail.
func (d *detail) foreign(l *Lineage) (malformed int) {
	if d.traceparent != nil {
		malformed += l.traced(jsonwalk.Text(d.traceparent), jsonwalk.Text(d.tracestate), CarrierCloudEvents)
	}
	if d.datadog != nil && !l.Publisher.IsValid() {
		malformed += l.datadog(d.datadog)
	}
	return malformed
}

// traced sets the publisher from a W3C trace context.
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

// datadog sets the publisher from the context that Datadog's tracers write. Another
// context of Datadog's, such as that of Step Functions, does not count as malformed.
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

// message is the metadata of the message that an event arrived in. The zero value is
// none.
type message struct {
	attributes  []byte // SQS's messageAttributes or SNS's MessageAttributes, raw
	traceHeader string // AWSTraceHeader of an SQS record
	sent        time.Time
	metadata    []string // the metadata of a new bus's event, as lines of a stamp
}

// sender reads the trace context in the attributes and the trace header of a message.
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
	case !header.Context.IsValid(): // only a root
	case !header.begunAt(m.sent):
		l.Publisher, l.Carrier = header.Context, CarrierXRay
	case r.xray:
		l.segment = header.Context
	}
	return malformed
}

// sampled returns the sampling decision that the event's traceparent carried.
func (l *Lineage) sampled() (sampled, decided bool) {
	return l.Publisher.IsSampled(), !l.ignored && l.Publisher.IsValid() && (l.Stamped && !l.Minted || l.decided)
}

// sameSpan reports whether two contexts have the same span, regardless of their flags.
func sameSpan(a, b trace.SpanContext) bool {
	return a.SpanID() == b.SpanID() && a.TraceID() == b.TraceID()
}
