package lineage

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Only this file parses X-Ray's trace header (AWS X-Ray developer guide, "Tracing
// header"). OpenTelemetry's propagator for it (contrib/propagators/aws/xray) is
// deprecated, links the SDK, drops Lineage, and rejects headers that Lambda may send:
// with lower-case keys, a space after a semicolon, or an unknown part. The tests
// compare this file with that propagator for all other headers.

// MaxTraceHeader is EventBridge's limit for an entry's TraceHeader, in bytes.
const MaxTraceHeader = 500

// TraceHeader is an X-Ray trace header. The zero value is no header.
type TraceHeader struct {
	// Context is the root and the parent, sampled if Sampled is '1'. Its trace ID is
	// valid in every header that ParseTraceHeader accepts; its span ID is not valid
	// if the header has only a root.
	Context trace.SpanContext
	// Sampled is '0', '1', '?' for a decision that is not made yet, or 0 if absent.
	Sampled byte
	// Lineage is Lambda's record of recursion. Lambda's loop detection for SQS, SNS
	// and S3 requires that it is propagated.
	Lineage string
}

// ParseTraceHeader reads an X-Ray trace header. It returns false if the header has no
// valid Root, or a malformed Parent. Keys are not case-sensitive.
func ParseTraceHeader(s string) (TraceHeader, bool) {
	var header TraceHeader
	var config trace.SpanContextConfig
	for part := range strings.SplitSeq(s, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			continue
		}
		switch {
		case strings.EqualFold(key, "Root"):
			if len(value) != 35 || value[:2] != "1-" || value[10] != '-' {
				return TraceHeader{}, false
			}
			if !unhex(config.TraceID[:4], value[2:10]) || !unhex(config.TraceID[4:], value[11:]) {
				return TraceHeader{}, false
			}
		case strings.EqualFold(key, "Parent"):
			if !unhex(config.SpanID[:], value) {
				return TraceHeader{}, false
			}
		case strings.EqualFold(key, "Sampled"):
			if value == "0" || value == "1" || value == "?" {
				header.Sampled = value[0]
			}
		case strings.EqualFold(key, "Lineage"):
			if ValidID(value) {
				header.Lineage = value
			}
		}
	}
	if header.Sampled == '1' {
		config.TraceFlags = trace.FlagsSampled
	}
	config.Remote = true
	header.Context = trace.NewSpanContext(config)
	return header, header.Context.HasTraceID()
}

// begunAt reports whether the root begins with a time, in seconds, within one day of
// sent. The roots that X-Ray and Lambda make begin with the time; the random ID of
// another tracer matches once in 25 000. If sent is zero, any time from 2016 to 2038
// matches.
func (h TraceHeader) begunAt(sent time.Time) bool {
	id := h.Context.TraceID()
	seconds := binary.BigEndian.Uint32(id[:4])
	if sent.IsZero() {
		return seconds >= 0x5685c180 && seconds < 0x80000000
	}
	const near = 24 * time.Hour
	return time.Unix(int64(seconds), 0).Sub(sent).Abs() <= near
}

// root returns the trace ID in X-Ray's format.
func (h TraceHeader) root() string {
	id := h.Context.TraceID().String()
	return "1-" + id[:8] + "-" + id[8:]
}

// String returns the header in the format that EventBridge and Lambda accept; empty if
// the context is not valid. It leaves out Lineage if the header would be too long.
func (h TraceHeader) String() string {
	if !h.Context.IsValid() {
		return ""
	}
	b := h.appendNames(make([]byte, 0, 128))
	if h.Sampled == '0' || h.Sampled == '1' {
		b = append(append(b, ";Sampled="...), h.Sampled)
	}
	if h.Lineage != "" && len(b)+len(";Lineage=")+len(h.Lineage) <= MaxTraceHeader {
		b = append(append(b, ";Lineage="...), h.Lineage...)
	}
	return string(b)
}

// appendNames appends the root and the parent.
func (h TraceHeader) appendNames(b []byte) []byte {
	traceID, spanID := h.Context.TraceID(), h.Context.SpanID()
	b = hex.AppendEncode(append(b, "Root=1-"...), traceID[:4])
	b = hex.AppendEncode(append(b, '-'), traceID[4:])
	return hex.AppendEncode(append(b, ";Parent="...), spanID[:])
}

// entryTraceHeader returns the TraceHeader of an entry that publisher publishes, empty
// if it gets none. If spans are not exported to X-Ray, Throughline's sampling is not
// X-Ray's, so Sampled is copied from the invocation's header.
func (c Config) entryTraceHeader(publisher trace.SpanContext, upstream string) string {
	toXRay := c.XRay && c.traces()
	if !toXRay && !c.TraceHeader {
		return ""
	}
	received, _ := ParseTraceHeader(upstream)
	header := TraceHeader{Context: publisher, Sampled: received.Sampled, Lineage: received.Lineage}
	if toXRay {
		header.Sampled = '0'
		if publisher.IsSampled() {
			header.Sampled = '1'
		}
	}
	return header.String()
}
