package lineage

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Entry is one element of a PutEvents request, as plain values: as it came, or
// as it is to be sent. The zero value is an empty entry. Of PutRawEvents Detail is
// the data where it is JSON, and Resources are the lines that the metadata says.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	TraceHeader                string
	HasTime                    bool
	Bus                        string // a name or an ARN; empty means the default bus

	// What follows only the new custom buses have.
	Operation    Operation
	ContentBased bool     // the bus is asked to take entries of equal content for one
	Group        string   // the event group that it is ordered in; empty for none
	Metadata     Metadata // of PutRawEvents
	DataSize     int      // of PutRawEvents, where the data is no JSON; else 0
}

// Outgoing is an entry on its way, from its caller to the wire.
type Outgoing struct {
	Entry
	Place   int    // in the caller's order
	EventID string // the detail's own ID; empty when it has none
	// Lineage is what the stamp will say. Its Publisher is not set yet:
	// StartPublishing sets it.
	Lineage Lineage
	Links   []trace.Link // of the publishing span; nil without a TracerProvider
	// Uncorrelated says that the workflow was lost: the correlation ID was minted
	// although events are being handled. That of a workflow's first event may be.
	Uncorrelated bool
	Size         int    // of Entry, in bytes as EventBridge counts them
	Added        int    // the part of Size that is the stamp's
	Skipped      string // why its stamp was left out, or a part of it
	Result       Result

	decision decision
	span     trace.Span
}

// Result is what became of an entry. The zero value is a success of which
// nothing is known.
type Result struct {
	EventID string // the bus's
	// SuccessCode is the bus's word for a success where it has several: PUBLISHED,
	// or DEDUPLICATED, which means that it had the event already.
	SuccessCode string
	// ErrorCode is the bus's, or ours for an entry that was not sent; empty on success.
	ErrorCode, ErrorMessage string
	// Sequence is the event's place in its group, where the bus tells it.
	Sequence string
}

// Deduplicated is the SuccessCode of an event that the bus had already.
const Deduplicated = "DEDUPLICATED"

// Handled is the event that was being handled when o was published, nil where
// there was none or it cannot be told which.
func (o *Outgoing) Handled() *Event { return o.Lineage.handled }

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
		s.tracer = cfg.Tracer()
	}
	return s
}

// Resolve decides the lineage of entry. Per field the first hit wins: given in
// the context (ContextWithIDs), the entry's resources, the detail's own
// members, the event being handled, minted. A nil d means the context's.
//
// Of a batch the event being handled is the record whose ID the entry names, or
// the only one of the entry's workflow. Where several are of that workflow its
// origin is known and the cause is not: none is invented. A record whose
// correlation ID is another one than the entry's is never the cause.
func (s *Stamper) Resolve(ctx context.Context, entry Entry, d *Delivery) Outgoing {
	if d == nil {
		d = DeliveryFromContext(ctx)
	}
	explicit, _ := ctx.Value(explicitKey{}).(explicitIDs)
	lines := resourceIDs(entry.Resources)
	own := s.readIDs(entry.Detail)

	out := Outgoing{Entry: entry, EventID: own.view(idEvent)}
	if entry.Operation == PutRawEvents && entry.DetailType == "" {
		out.DetailType = bareType(entry.Detail)
	}
	l := &out.Lineage
	l.CorrelationID = firstOf(explicit.correlation, lines.correlation, &own, idCorrelation)
	l.CausationID = firstOf(explicit.causation, lines.causation, &own, idCausation)
	if s.cfg.XRay || s.cfg.TraceHeader {
		l.upstream = upstreamHeader(ctx)
	}

	handled, workflow := d.pick(out.EventID, lines.traceparent, l)
	if handled != nil {
		s.descend(&out, handled)
	} else if workflow != nil {
		l.Origin = workflow.Lineage.Origin
		if l.CausationID == "" { // else a reader would take that for the parent
			l.Hops = workflow.Lineage.Hops + 1
		}
	}
	switch l.Correlated = l.CorrelationID != ""; {
	case l.Correlated:
		l.Correlated = handled == nil || !handled.identified || l.CorrelationID != handled.ID
	case d != nil && d.Len() == 0 && d.request != "": // one workflow begins with all that it publishes
		l.CorrelationID = d.request
	default:
		l.CorrelationID, out.Uncorrelated = newID(), d != nil && d.Len() > 0
	}
	out.decision = batchDecision(d, handled, workflow)
	if s.cfg.traces() {
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
			l.correlation = cmp.Or(l.correlation, value)
		case fieldCausation:
			l.causation = cmp.Or(l.causation, value)
		case fieldTraceparent:
			l.traceparent = cmp.Or(l.traceparent, value)
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
