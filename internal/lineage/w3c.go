package lineage

import (
	"crypto/rand"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// The layout of a traceparent in W3C Trace Context: version-traceid-spanid-flags,
// in lower-case hexadecimal.
const (
	traceparentSize = 55
	traceIDAt       = 3
	spanIDAt        = 36
	flagsAt         = 53
)

// ParseTraceparent reads a W3C traceparent. It returns false if the traceparent is
// malformed or an ID consists of zeros. It ignores the additional fields of versions
// above 00. The context is a remote one.
func ParseTraceparent(s string) (trace.SpanContext, bool) {
	if len(s) < traceparentSize || s[2] != '-' || s[spanIDAt-1] != '-' || s[flagsAt-1] != '-' {
		return trace.SpanContext{}, false
	}
	var version, flags [1]byte
	var config trace.SpanContextConfig
	if !unhex(version[:], s[:2]) || !unhex(config.TraceID[:], s[traceIDAt:spanIDAt-1]) ||
		!unhex(config.SpanID[:], s[spanIDAt:flagsAt-1]) || !unhex(flags[:], s[flagsAt:traceparentSize]) {
		return trace.SpanContext{}, false
	}
	if version[0] == 0xff || len(s) > traceparentSize && (version[0] == 0 || s[traceparentSize] != '-') {
		return trace.SpanContext{}, false
	}
	config.TraceFlags = trace.TraceFlags(flags[0]) & trace.FlagsSampled
	config.Remote = true
	sc := trace.NewSpanContext(config)
	if !sc.IsValid() {
		return trace.SpanContext{}, false
	}
	return sc, true
}

// FormatTraceparent writes sc as a W3C traceparent; empty if sc is not valid.
func FormatTraceparent(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	var buffer [traceparentSize]byte
	return string(appendTraceparent(buffer[:0], sc))
}

func appendTraceparent(b []byte, sc trace.SpanContext) []byte {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	b = hex.AppendEncode(append(b, "00-"...), traceID[:])
	b = hex.AppendEncode(append(b, '-'), spanID[:])
	if sc.IsSampled() {
		return append(b, "-01"...)
	}
	return append(b, "-00"...)
}

// unhex decodes lower-case hexadecimal into dst. It returns false if s is malformed or
// has another length.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		high, ok1 := nibble(s[2*i])
		low, ok2 := nibble(s[2*i+1])
		if !ok1 || !ok2 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// Mint returns a new context from crypto/rand, with flags 00. It is in parent's trace
// if parent is valid, else in a new one.
func Mint(parent trace.SpanContext) trace.SpanContext {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never returns an error: crypto/rand ends the program instead
	config := trace.SpanContextConfig{
		TraceID: trace.TraceID(random[:16]),
		SpanID:  trace.SpanID(random[16:]),
	}
	if parent.IsValid() {
		config.TraceID = parent.TraceID()
	}
	return trace.NewSpanContext(config)
}

// newID returns a random UUID, version 4 (RFC 9562).
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	var s [36]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:36], u[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
