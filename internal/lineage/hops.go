package lineage

import (
	"context"
	"encoding/binary"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// WithCurrent appends the attributes of the workflow in ctx: those of a publishing
// span, without the attributes of the published event. For a batch of several
// workflows it appends none.
func WithCurrent(ctx context.Context, attrs []attribute.KeyValue) []attribute.KeyValue {
	correlation, causation := CurrentIDs(ctx)
	if correlation == "" {
		return attrs
	}
	attrs = append(attrs, annotations, keyCorrelationID.String(correlation), keyConversation.String(correlation))
	if causation != "" {
		attrs = append(attrs, keyCausationID.String(causation))
	}
	if d := DeliveryFromContext(ctx); d != nil && len(d.Events) == 1 && !d.Events[0].identified && d.Events[0].ID != "" {
		attrs = append(attrs, keyParentEventID.String(d.Events[0].ID))
	}
	return attrs
}

// CurrentIDs returns the IDs of the work in ctx: those given explicitly, else those
// of the event being handled. For a batch, correlation is that of all events; for an
// invocation without events, it is the request ID. An ID that is not known, or
// differs between the events of a batch, is empty.
func CurrentIDs(ctx context.Context) (correlation, causation string) {
	correlation, causation = currentIDs(ctx)
	if d := DeliveryFromContext(ctx); correlation == "" && d != nil && len(d.Events) == 0 {
		correlation = d.request
	}
	return correlation, causation
}

// InvocationHeader returns the X-Ray header of the invocation that ctx belongs to,
// empty if none is known.
func InvocationHeader(ctx context.Context) string { return upstreamHeader(ctx) }

// Carry returns an X-Ray trace header for a message's attribute AWSTraceHeader: the
// header present with its Root and Parent replaced by those of span. present is the
// header of the request, which an SDK copied from the invocation's; empty for none.
// All other parts stay unchanged: Lineage, which Lambda's loop detection reads, and
// Sampled, which stays absent if it was absent. toXRay means that spans are exported
// to X-Ray.
//
// ok is false if the header must not be changed: it differs from the invocation's,
// because another tracer wrote it; it is malformed; X-Ray samples the invocation
// (Sampled=1) and toXRay is false; span is not sampled; or readers would take span
// for one of Lambda's, whose trace IDs begin with the time.
func Carry(present, invocations string, span trace.SpanContext, toXRay bool, now time.Time) (header string, ok bool) {
	source := present
	if source == "" {
		source = invocations
	} else if unescaped(present) != unescaped(invocations) {
		return "", false
	}
	ours := TraceHeader{Context: span}
	if !span.IsValid() || !span.IsSampled() || !toXRay && ours.recent(now) {
		return "", false
	}
	b := ours.appendNames(make([]byte, 0, 128+len(source)))
	if source == "" {
		return string(b), true
	}
	was, ok := ParseTraceHeader(source)
	if !ok || was.Sampled == '1' && !toXRay || strings.IndexFunc(source, unprintable) >= 0 {
		return "", false
	}
	for part := range strings.SplitSeq(source, ";") {
		part = strings.TrimSpace(part)
		if key, _, _ := strings.Cut(part, "="); part != "" && !strings.EqualFold(key, "Root") && !strings.EqualFold(key, "Parent") {
			b = append(append(b, ';'), part...)
		}
	}
	return string(b), len(b) <= MaxTraceHeader
}

// recent reports whether the root begins with a time within one day of now, by which
// readers recognise Lambda's own roots.
func (h TraceHeader) recent(now time.Time) bool {
	const day = 24 * 60 * 60
	id := h.Context.TraceID()
	apart := int64(binary.BigEndian.Uint32(id[:4])) - now.Unix()
	return -day <= apart && apart <= day
}

// unescaped decodes the percent-encoding that boto3 and AWS's SDK for Go apply to the
// header.
func unescaped(header string) string {
	if plain, err := url.PathUnescape(header); err == nil {
		return plain
	}
	return header
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
