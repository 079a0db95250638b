package lineage

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The kinds of links: the values of throughline.link.
const (
	LinkCausation   = "causation"   // the span that published the cause
	LinkCorrelation = "correlation" // the span that published the workflow's first event
	LinkRepeat      = "repeat"      // the span that first processed the event
	LinkTrace       = "trace"       // Lambda's own trace, if no other span is known
)

// MaxLinks is the maximum number of links of a process span; the limit of the
// TracerProvider must not be lower. A batch of SQS has up to 10 000 records.
const MaxLinks = 1000

// linkSet makes links whose attributes share one allocation.
type linkSet struct {
	links []trace.Link
	attrs []attribute.KeyValue
}

func newLinkSet(n int) linkSet {
	return linkSet{make([]trace.Link, 0, n), make([]attribute.KeyValue, 0, 3*n)}
}

func (s *linkSet) add(sc trace.SpanContext, attrs ...attribute.KeyValue) {
	at := len(s.attrs)
	s.attrs = append(s.attrs, attrs...)
	end := len(s.attrs)
	s.links = append(s.links, trace.Link{SpanContext: sc, Attributes: s.attrs[at:end:end]})
}

// of adds the link from a record to a span. The record's own ID identifies the record
// in the batch.
func (s *linkSet) of(e *Event, why string, to trace.SpanContext) {
	attrs := [3]attribute.KeyValue{keyLink.String(why), keyEventID.String(e.ID), keyMessageID.String(e.Arrival.RecordID)}
	if e.Arrival.RecordID == "" {
		s.add(to, attrs[:2]...)
		return
	}
	s.add(to, attrs[:]...)
}

func (s *linkSet) causation(publisher trace.SpanContext, eventID string) {
	s.add(publisher, keyLink.String(LinkCausation), keyEventID.String(eventID))
}

func (s *linkSet) correlation(origin trace.SpanContext, correlationID string) {
	s.add(origin, keyLink.String(LinkCorrelation), keyCorrelationID.String(correlationID))
}

// publishingLinks returns the links of the span that publishes an event of lineage l.
func publishingLinks(l *Lineage, handled *Event) []trace.Link {
	caused := handled != nil && handled.Lineage.Publisher.IsValid()
	if !caused && !l.Origin.IsValid() {
		return nil
	}
	set := newLinkSet(2)
	if caused {
		set.causation(handled.Lineage.Publisher, handled.ID)
	}
	if l.Origin.IsValid() {
		set.correlation(l.Origin, l.CorrelationID)
	}
	return set.links
}

// processLinks returns the links of the span that processes events: first one for each
// record, to its publisher, then one for each distinct origin. dropped is the number
// of links beyond MaxLinks.
func processLinks(d *Delivery) (links []trace.Link, dropped int) {
	set := newLinkSet(min(2*d.Len(), MaxLinks))
	d.Each(func(e *Event) {
		to, why := e.Lineage.Publisher, LinkCausation
		if !to.IsValid() {
			to, why = e.Lineage.segment, LinkTrace
		}
		switch {
		case !to.IsValid():
		case len(set.links) == MaxLinks:
			dropped++
		default:
			set.of(e, why, to)
		}
	})
	type span struct {
		trace.TraceID
		trace.SpanID
	}
	var seen map[span]bool
	if d.Len() > 1 {
		seen = make(map[span]bool)
	}
	d.Each(func(e *Event) {
		l := &e.Lineage
		origin := span{l.Origin.TraceID(), l.Origin.SpanID()}
		if !l.Origin.IsValid() || seen[origin] {
			return
		}
		if seen != nil {
			seen[origin] = true
		}
		if len(set.links) == MaxLinks {
			dropped++
			return
		}
		set.correlation(l.Origin, l.CorrelationID)
	})
	return set.links, dropped
}
