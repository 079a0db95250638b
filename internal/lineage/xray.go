package lineage

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// This file is all that knows X-Ray's trace header (AWS X-Ray developer guide,
// "Tracing header"). OpenTelemetry's propagator for it
// (contrib/propagators/aws/xray) is deprecated, links the SDK, loses Lineage,
// and refuses what Lambda may send: lower-case keys, a space after a semicolon,
// an unknown part. The tests hold this file to that propagator wherever it is right.

// MaxTraceHeader is how long EventBridge lets an entry's TraceHeader be.
const MaxTraceHeader = 500

// TraceHeader is an X-Ray trace header. Its zero value is none.
type TraceHeader struct {
	// Context is the root and the parent, sampled when Sampled is '1'. Its trace
	// ID is valid in every header that ParseTraceHeader takes; its span ID is
	// not when the header names a root alone.
	Context trace.SpanContext
	// Sampled is '0', '1', '?' for a decision left open, or 0 when absent.
	Sampled byte
	// Lineage is Lambda's record of recursion; kept, or its loop detection for
	// SQS, SNS and S3 goes blind.
	Lineage string
}

// ParseTraceHeader reads an X-Ray trace header. It reports false when that has
// no well-formed Root, or a malformed Parent. Keys are compared without case.
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

// begunAt reports whether the root begins with a time near sent, in seconds, as that
// of a trace that X-Ray began does, Lambda's own included. The random ID of another
// tracer does once in 25 000. Where sent is not known any time from 2016 to 2038 is near.
func (h TraceHeader) begunAt(sent time.Time) bool {
	id := h.Context.TraceID()
	seconds := binary.BigEndian.Uint32(id[:4])
	if sent.IsZero() {
		return seconds >= 0x5685c180 && seconds < 0x80000000
	}
	const near = 24 * time.Hour
	return time.Unix(int64(seconds), 0).Sub(sent).Abs() <= near
}

// root is the trace ID as X-Ray writes it.
func (h TraceHeader) root() string {
	id := h.Context.TraceID().String()
	return "1-" + id[:8] + "-" + id[8:]
}

// String writes the header as EventBridge and Lambda take it; empty when the
// context is not valid. A Lineage for which there is no room is left out.
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

// entryTraceHeader is the TraceHeader for an entry that publisher publishes,
// empty when it gets none. Where spans do not go to X-Ray our sampling says
// nothing about X-Ray's, so Sampled is what the invocation's header said.
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
