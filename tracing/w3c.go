package tracing

import "go.opentelemetry.io/otel/trace"

// ParseTraceparent reads a W3C traceparent. It reports false for one that is
// malformed, and for the invalid IDs of zeros.
func ParseTraceparent(s string) (trace.SpanContext, bool) { return trace.SpanContext{}, false }

// FormatTraceparent writes sc as a W3C traceparent; empty when it is not valid.
func FormatTraceparent(sc trace.SpanContext) string { return "" }

// Mint returns a new context from crypto/rand, with flags 00: in parent's trace
// when parent is valid, else in a new one.
func Mint(parent trace.SpanContext) trace.SpanContext { return trace.SpanContext{} }
