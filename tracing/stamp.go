package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Entry is one element of a PutEvents request, as plain values. The zero value
// is an empty entry.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	TraceHeader                string
	HasTime                    bool
	Bus                        string // a name or an ARN; empty means the default bus
}

// Outgoing is what a Stamper decided about an entry.
type Outgoing struct {
	EventID string // the detail's own ID; empty when it has none
	// Lineage is what the stamp will say. Its Publisher is not set yet:
	// StartPublishing sets it.
	Lineage      Lineage
	Links        []trace.Link // of the publishing span; nil without a TracerProvider
	Uncorrelated bool         // the correlation ID was minted

	wish wish
}

// Stamper decides and writes the lineage of what is published. It is safe for
// concurrent use.
type Stamper struct {
	cfg       Config
	pointers  *pointers
	detailKey string
	tracer    trace.Tracer // nil without a TracerProvider
}

// NewStamper returns a Stamper that follows cfg.
func NewStamper(cfg Config) *Stamper {
	s := &Stamper{cfg: cfg, pointers: newPointers(cfg), detailKey: cfg.detailKey()}
	if cfg.TracerProvider != nil {
		s.tracer = cfg.tracer()
	}
	return s
}

// Resolve decides the lineage of entry. Per field the first hit wins: given in
// the context (ContextWithIDs), the entry's resources, the detail's own
// members, the event being handled, minted. A nil d means the context's.
//
// Of a batch the event being handled is the record whose ID the entry names;
// or the only one of the entry's workflow. Where several are of that workflow
// its origin is known and the cause is not: none is invented.
func (s *Stamper) Resolve(ctx context.Context, entry Entry, d *Delivery) Outgoing {
	if d == nil {
		d = DeliveryFromContext(ctx)
	}
	explicit, _ := ctx.Value(explicitKey{}).(explicitIDs)
	lines := resourceIDs(entry.Resources)
	own := s.readIDs(entry.Detail)

	out := Outgoing{EventID: own.view(idEvent)}
	l := &out.Lineage
	l.CorrelationID = firstOf(explicit.correlation, lines.correlation, &own, idCorrelation)
	l.CausationID = firstOf(explicit.causation, lines.causation, &own, idCausation)
	if s.cfg.XRay || s.cfg.TraceHeader {
		l.upstream = upstreamHeader(ctx)
	}

	handled, workflow := pick(d, out.EventID, lines.traceparent, l)
	if handled != nil {
		s.descend(&out, handled)
	} else if workflow != nil {
		l.Origin = workflow.Lineage.Origin
		if l.CausationID == "" { // else a reader would take that for the parent
			l.Hops = workflow.Lineage.Hops + 1
		}
	}
	if l.CorrelationID == "" {
		l.CorrelationID, out.Uncorrelated = newID(), true
	}
	l.Correlated = !out.Uncorrelated
	out.wish = batchWish(d, handled, workflow)
	if s.tracer != nil {
		out.Links = publishingLinks(l, handled)
	}
	return out
}

// descend makes out the lineage of an event published while handled is handled.
func (s *Stamper) descend(out *Outgoing, handled *Event) {
	l := &out.Lineage
	l.handled = handled
	if l.CorrelationID == "" {
		l.CorrelationID = handled.Lineage.CorrelationID
		out.Uncorrelated = handled.identified && !handled.Lineage.Correlated
	}
	if l.CorrelationID == handled.Lineage.CorrelationID {
		l.Origin = handled.Lineage.Origin // else the entry begins a workflow
	}
	if handled.identified || handled.ID == "" {
		return // an invocation that is no event: nothing was published under its ID
	}
	l.ParentID, l.Hops = handled.ID, handled.Lineage.Hops+1
	if l.CausationID == "" {
		l.CausationID = handled.ID
	}
}

// pick finds which event of d an entry is published for; or, where only the
// workflow can be told, an event of that which went furthest.
func pick(d *Delivery, eventID, traceparent string, l *Lineage) (handled, workflow *Event) {
	if d == nil || len(d.Events) == 0 {
		return nil, nil
	}
	if len(d.Events) == 1 {
		return &d.Events[0], nil
	}
	forwarded, _ := ParseTraceparent(traceparent)
	of := 0
	for i := range d.Events {
		event := &d.Events[i]
		if event.ID != "" && (event.ID == l.CausationID || event.ID == eventID) {
			return event, nil
		}
		if forwarded.IsValid() && sameSpan(forwarded, event.Lineage.Publisher) {
			handled = event
		}
		if l.CorrelationID != "" && event.Lineage.CorrelationID == l.CorrelationID {
			if of++; workflow == nil || event.Lineage.Hops > workflow.Lineage.Hops {
				workflow = event
			}
		}
	}
	if handled == nil && of == 1 {
		handled = workflow
	}
	return handled, workflow
}

// readIDs reads the IDs in a detail, and no further than they go. Their views
// are parts of it.
func (s *Stamper) readIDs(detail string) ids {
	var d ids
	for m := jsonwalk.MembersOf(jsonwalk.Bytes(detail), 0); m.Next(); {
		s.pointers.offer(&d, m.Key, m.Value)
		if d.complete() {
			break
		}
	}
	return d
}

// lineIDs are the lines in an entry's resources that decide its lineage.
type lineIDs struct{ correlation, causation, traceparent string }

func resourceIDs(resources []string) (l lineIDs) {
	for _, line := range resources {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch name {
		case fieldCorrelation:
			l.correlation = first(l.correlation, value)
		case fieldCausation:
			l.causation = first(l.causation, value)
		case fieldTraceparent:
			l.traceparent = first(l.traceparent, value)
		}
	}
	return l
}

func firstOf(explicit, line string, own *ids, kind int) string {
	if explicit != "" {
		return explicit
	}
	if line != "" {
		return line
	}
	return own.view(kind)
}
