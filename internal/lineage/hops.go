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

// WithCurrent appends what is known of the workflow that goes on in ctx: the
// attributes that a span which publishes an event has, without those of an event
// of its own. Of a batch of several workflows nothing is known.
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

// CurrentIDs are the IDs that belong to what is done in ctx: those given
// explicitly, else those of the event being handled; of a batch the workflow that
// all events are of, and of an invocation without events its request ID. They are
// empty where they cannot be told.
func CurrentIDs(ctx context.Context) (correlation, causation string) {
	correlation, causation = currentIDs(ctx)
	if d := DeliveryFromContext(ctx); correlation == "" && d != nil && len(d.Events) == 0 {
		correlation = d.request
	}
	return correlation, causation
}

// InvocationHeader is the X-Ray header of the invocation that ctx belongs to;
// empty where none is known.
func InvocationHeader(ctx context.Context) string { return upstreamHeader(ctx) }

// Carry returns an X-Ray trace header that names span in the place of the span
// that present names, for a message's attribute AWSTraceHeader. present is the
// header that the request has, which an SDK copied from the invocation's; empty
// for none. All else of it stays as it came: Lineage, which Lambda's loop
// detection reads, and Sampled, which is absent where it was absent.
//
// It returns false where the header is to be left alone: it is not the
// invocation's, so that another tracer wrote it; it is malformed; X-Ray records
// the invocation (Sampled=1) and toXRay, that spans go there, is false; or span
// would be taken for Lambda's own, whose roots begin with the time.
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

// recent says whether the root begins with a time of the last day or the next, by
// which readers know Lambda's own.
func (h TraceHeader) recent(now time.Time) bool {
	const day = 24 * 60 * 60
	id := h.Context.TraceID()
	apart := int64(binary.BigEndian.Uint32(id[:4])) - now.Unix()
	return -day <= apart && apart <= day
}

// unescaped undoes the percent-encoding that boto3 and Go's SDK apply to the header.
func unescaped(header string) string {
	if plain, err := url.PathUnescape(header); err == nil {
		return plain
	}
	return header
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
