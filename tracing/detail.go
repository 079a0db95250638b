package tracing

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// detail is what one walk over the top of a detail finds, raw.
type detail struct {
	ids
	stamp, datadog          []byte
	traceparent, tracestate []byte
	specversion, cloudID    []byte
	name                    []byte // what a bare message calls its type
	nameRank                int
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
		case "detail-type":
			d.call(m.Value, 4)
		case "event_type":
			d.call(m.Value, 3)
		case "eventType":
			d.call(m.Value, 2)
		case "type":
			d.call(m.Value, 1)
		}
		if d.stamp == nil && string(m.Key) == r.detailKey {
			d.stamp = m.Value
		}
	}
	return d
}

func (d *detail) call(name []byte, rank int) {
	if rank > d.nameRank && len(name) > 2 && name[0] == '"' {
		d.name, d.nameRank = name, rank
	}
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

// lineage joins what an event's carriers say. traceHeader is that of its SQS
// record. It returns how many carriers were there but could not be read.
func (d *detail) lineage(resources []string, traceHeader string) (Lineage, int) {
	inLines, inDetail := resourceStamp(resources), stamp{}
	if d.stamp != nil {
		inDetail = detailStamp(d.stamp)
	}
	l := Lineage{
		CorrelationID: first(inLines.correlation, inDetail.correlation, d.text(idCorrelation)),
		CausationID:   first(inLines.causation, inDetail.causation, d.text(idCausation)),
	}
	// What the stamp says of one publication is taken from one carrier: a
	// forwarded event may bring an older one in the other.
	ours, carrier := inLines, CarrierResources
	if !inLines.publisher.IsValid() && inDetail.publisher.IsValid() {
		ours, carrier = inDetail, CarrierDetail
	}
	l.Hops, l.ParentID, l.Origin = ours.hops, ours.parent, ours.origin
	malformed := inLines.malformed + inDetail.malformed
	if ours.publisher.IsValid() {
		l.Publisher, l.Carrier, l.Stamped = ours.publisher, carrier, true
	} else {
		malformed += d.foreign(&l, traceHeader)
	}
	if l.ParentID == "" && l.Hops > 0 {
		l.ParentID = l.CausationID // the line is left out when it would say the same
	}
	if !l.Origin.IsValid() {
		l.Origin = l.Publisher
	}
	l.Correlated = l.CorrelationID != ""
	return l, malformed
}

// foreign reads the trace context that others put beside an event.
func (d *detail) foreign(l *Lineage, traceHeader string) (malformed int) {
	if d.traceparent != nil {
		if sc, ok := ParseTraceparent(jsonwalk.Text(d.traceparent)); ok {
			state, err := trace.ParseTraceState(jsonwalk.Text(d.tracestate))
			if err != nil {
				malformed++
			}
			l.Publisher, l.Carrier, l.decided = sc.WithTraceState(state), CarrierCloudEvents, true
			return malformed
		}
		malformed++
	}
	if d.datadog != nil {
		if sc, flagged, ok := datadogContext(d.datadog); ok {
			l.Publisher, l.Carrier, l.decided = sc, CarrierDatadog, flagged
			return malformed
		}
		malformed++
	}
	if traceHeader != "" {
		header, ok := ParseTraceHeader(traceHeader)
		if ok && header.Context.IsValid() {
			l.Publisher, l.Carrier = header.Context, CarrierXRay
		} else if !ok {
			malformed++
		}
	}
	return malformed
}

// sampled is the decision that the event's traceparent carried.
func (l *Lineage) sampled() (sampled, decided bool) {
	return l.Publisher.IsSampled(), l.Publisher.IsValid() && (l.Stamped || l.decided)
}

func first(values ...string) string {
	for _, s := range values {
		if s != "" {
			return s
		}
	}
	return ""
}

// sameSpan says that two contexts name one span, whatever their flags.
func sameSpan(a, b trace.SpanContext) bool {
	return a.SpanID() == b.SpanID() && a.TraceID() == b.TraceID()
}
