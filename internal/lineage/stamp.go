package lineage

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Entry is one element of a PutEvents request as plain values, before or after it is
// stamped. The zero value is an empty entry. In an entry of PutRawEvents, Detail is
// the data if it is JSON, and Resources are the lines that the metadata carries.
type Entry struct {
	Source, DetailType, Detail string
	Resources                  []string
	TraceHeader                string
	HasTime                    bool
	Bus                        string // a name or an ARN; empty means the default bus

	// The fields below are only for the new custom buses.
	Operation    Operation
	ContentBased bool     // the bus deduplicates entries by their content
	Group        string   // the event group in which it is ordered; empty for none
	Metadata     Metadata // of PutRawEvents
	DataSize     int      // bytes of the data of PutRawEvents if it is not JSON; else 0
}

// Outgoing is an entry that is being published, with its lineage and its result.
type Outgoing struct {
	Entry
	Place   int    // its index in the caller's request
	EventID string // the event's own ID in the detail; empty if it has none
	// Lineage is the lineage that the stamp carries. StartPublishing sets its
	// Publisher.
	Lineage Lineage
	Links   []trace.Link // of the publishing span; nil without a TracerProvider
	// Uncorrelated means that the workflow was lost: the correlation ID was generated
	// while events were being handled. For a workflow's first event it is false.
	Uncorrelated bool
	Size         int    // of Entry, in bytes as EventBridge counts them
	Added        int    // the bytes of Size that the stamp adds
	Skipped      string // why the stamp, or a part of it, was left out
	Result       Result

	decision decision
	span     trace.Span
}

// Result is the result of publishing an entry. The zero value is a success without
// an event ID.
type Result struct {
	EventID string // the ID in the bus's response
	// SuccessCode is the code of a new custom bus for a success: PUBLISHED, or
	// DEDUPLICATED if the bus already had the event.
	SuccessCode string
	// ErrorCode is the bus's error code, or Throughline's for an entry that was not
	// sent; empty on success.
	ErrorCode, ErrorMessage string
	// Sequence is the event's place in its group, if the bus reports it.
	Sequence string
}

// Deduplicated is the SuccessCode of an event that the bus already had.
const Deduplicated = "DEDUPLICATED"

// Handled returns the event that was being handled when o was published, nil if there
// was none or it cannot be determined.
func (o *Outgoing) Handled() *Event { return o.Lineage.handled }

// Stamper determines and writes the lineage of published events. It is safe for
// concurrent use.
type Stamper struct {
	cfg       Config
	pointers  *pointers
	detailKey string
	tracer    trace.Tracer // nil without a TracerProvider
}

// NewStamper returns a Stamper with the configuration cfg.
func NewStamper(cfg Config) *Stamper {
	s := &Stamper{cfg: cfg, pointers: newPointers(cfg), detailKey: cfg.detailKey()}
	if cfg.TracerProvider != nil {
		s.tracer = cfg.Tracer()
	}
	return s
}

// Resolve determines the lineage of entry. Each field comes from the first of these
// that has it: the context (ContextWithIDs), the entry's resources, the members of the
// detail, the event being handled; otherwise it is generated. If d is nil, Resolve
// uses the delivery of the context.
//
// In a batch, the event being handled is the record whose ID the entry contains, or
// the only record of the entry's workflow. If several records are of that workflow,
// the origin is set and the cause is not. A record with a different correlation ID
// than the entry's is never the cause.
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
		if l.CausationID == "" { // otherwise a reader would take CausationID as the parent
			l.Hops = workflow.Lineage.Hops + 1
		}
	}
	switch l.Correlated = l.CorrelationID != ""; {
	case l.Correlated:
		l.Correlated = handled == nil || !handled.identified || l.CorrelationID != handled.ID
	case d != nil && d.Len() == 0 && d.request != "": // all events of this invocation begin one workflow
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

// descend sets the lineage of an event that is published while handled is handled.
func (s *Stamper) descend(out *Outgoing, handled *Event) {
	l := &out.Lineage
	l.handled = handled
	if l.CorrelationID == "" {
		l.CorrelationID = handled.Lineage.CorrelationID
	}
	if l.CorrelationID == handled.Lineage.CorrelationID {
		l.Origin = handled.Lineage.Origin // otherwise the entry begins a workflow
	}
	if handled.identified || handled.ID == "" {
		return // ID is the request ID: no event was published with it
	}
	l.ParentID, l.Hops = handled.ID, handled.Lineage.Hops+1
	if l.CausationID == "" {
		l.CausationID = handled.ID
	}
}

// readIDs reads the IDs in a detail, and stops when it has found all. The IDs alias
// the detail.
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

// lineIDs are the lines in an entry's resources that determine its lineage.
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
