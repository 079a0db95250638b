package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Why a link is there: the values of throughline.link.
const (
	LinkCausation   = "causation"   // the span that published the cause
	LinkCorrelation = "correlation" // the span that published the workflow's first event
	LinkRepeat      = "repeat"      // the span that first processed the event
	LinkTrace       = "trace"       // Lambda's own trace, where nothing else is known
)

// MaxLinks is how many links a process span gets; a provider's own limit must
// be as high. SQS hands a function up to 10 000 records.
const MaxLinks = 1000

// linkSet makes links whose attributes share one piece of memory.
type linkSet struct {
	links []trace.Link
	attrs []attribute.KeyValue
}

func newLinkSet(n int) linkSet {
	return linkSet{make([]trace.Link, 0, n), make([]attribute.KeyValue, 0, 2*n)}
}

func (s *linkSet) add(sc trace.SpanContext, why attribute.KeyValue, id attribute.KeyValue) {
	at := len(s.attrs)
	s.attrs = append(s.attrs, why, id)
	s.links = append(s.links, trace.Link{SpanContext: sc, Attributes: s.attrs[at : at+2 : at+2]})
}

func (s *linkSet) causation(publisher trace.SpanContext, eventID string) {
	s.add(publisher, keyLink.String(LinkCausation), keyEventID.String(eventID))
}

func (s *linkSet) correlation(origin trace.SpanContext, correlationID string) {
	s.add(origin, keyLink.String(LinkCorrelation), keyCorrelationID.String(correlationID))
}

// publishingLinks are those of the span that publishes an event of lineage l.
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

// processLinks are those of the span that processes events: causation first,
// one a record, then one a distinct origin. Beyond MaxLinks they are dropped
// and counted.
func processLinks(events []Event) (links []trace.Link, dropped int) {
	set := newLinkSet(min(2*len(events), MaxLinks))
	for i := range events {
		l := &events[i].Lineage
		switch {
		case !l.Publisher.IsValid():
		case len(set.links) == MaxLinks:
			dropped++
		default:
			set.causation(l.Publisher, events[i].ID)
		}
	}
	type span struct {
		trace.TraceID
		trace.SpanID
	}
	var seen map[span]bool
	if len(events) > 1 {
		seen = make(map[span]bool)
	}
	for i := range events {
		l := &events[i].Lineage
		origin := span{l.Origin.TraceID(), l.Origin.SpanID()}
		if !l.Origin.IsValid() || seen[origin] {
			continue
		}
		if seen != nil {
			seen[origin] = true
		}
		if len(set.links) == MaxLinks {
			dropped++
			continue
		}
		set.correlation(l.Origin, l.CorrelationID)
	}
	return set.links, dropped
}
