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

func causationLink(publisher trace.SpanContext, eventID string) trace.Link {
	return trace.Link{SpanContext: publisher, Attributes: []attribute.KeyValue{
		keyLink.String(LinkCausation), keyEventID.String(eventID)}}
}

func correlationLink(origin trace.SpanContext, correlationID string) trace.Link {
	return trace.Link{SpanContext: origin, Attributes: []attribute.KeyValue{
		keyLink.String(LinkCorrelation), keyCorrelationID.String(correlationID)}}
}

// publishingLinks are those of the span that publishes an event of lineage l.
func publishingLinks(l *Lineage, handled *Event) []trace.Link {
	var links []trace.Link
	if handled != nil && handled.Lineage.Publisher.IsValid() {
		links = append(links, causationLink(handled.Lineage.Publisher, handled.ID))
	}
	if l.Origin.IsValid() {
		links = append(links, correlationLink(l.Origin, l.CorrelationID))
	}
	return links
}

// processLinks are those of the span that processes events: causation first,
// one a record, then one a distinct origin. Beyond MaxLinks they are dropped
// and counted.
func processLinks(events []Event) (links []trace.Link, dropped int) {
	links = make([]trace.Link, 0, min(2*len(events), MaxLinks))
	add := func(link trace.Link) {
		if len(links) == MaxLinks {
			dropped++
			return
		}
		links = append(links, link)
	}
	for i := range events {
		if l := &events[i].Lineage; l.Publisher.IsValid() {
			add(causationLink(l.Publisher, events[i].ID))
		}
	}
	type span struct {
		trace.TraceID
		trace.SpanID
	}
	seen := make(map[span]bool, min(len(events), MaxLinks))
	for i := range events {
		l := &events[i].Lineage
		origin := span{l.Origin.TraceID(), l.Origin.SpanID()}
		if !l.Origin.IsValid() || seen[origin] {
			continue
		}
		seen[origin] = true
		add(correlationLink(l.Origin, l.CorrelationID))
	}
	return links, dropped
}
