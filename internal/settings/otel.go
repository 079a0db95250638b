package settings

import (
	"maps"
	"net/url"
	"strings"
)

// OTLPTarget returns the URL to which OpenTelemetry's settings send spans, including the
// path of traces, and the headers; empty if they are not set. It follows OpenTelemetry's
// "OTLP Exporter Configuration".
func OTLPTarget(getenv func(string) string) (target string, headers map[string]string) {
	target = getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if target == "" {
		base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
		if base == "" {
			return "", nil
		}
		target = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	headers = Pairs(getenv("OTEL_EXPORTER_OTLP_HEADERS"))
	maps.Copy(headers, Pairs(getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS")))
	return target, headers
}

// OTLPBase returns the base URL to which OpenTelemetry's settings send metrics and logs,
// without /v1/…, and the headers; empty if they are not set.
func OTLPBase(getenv func(string) string) (base string, headers map[string]string) {
	base = getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if base == "" {
		return "", nil
	}
	return strings.TrimSuffix(base, "/"), Pairs(getenv("OTEL_EXPORTER_OTLP_HEADERS"))
}

// The prefixes of OpenTelemetry's settings of an OTLP exporter. Settings for traces take
// precedence over settings for all signals.
const (
	OTLPTraces = "OTEL_EXPORTER_OTLP_TRACES_"
	OTLPAll    = "OTEL_EXPORTER_OTLP_"
)

// First returns the first variable prefix+name that is set, and its value. If none is
// set, it returns the last variable, and an empty value.
func First(getenv func(string) string, name string, prefixes ...string) (variable, value string) {
	for _, prefix := range prefixes {
		variable = prefix + name
		if value = strings.TrimSpace(getenv(variable)); value != "" {
			break
		}
	}
	return variable, value
}

// SpeaksGRPC reports whether OpenTelemetry's settings select gRPC for spans, which
// Throughline does not support.
func SpeaksGRPC(getenv func(string) string) bool {
	_, protocol := First(getenv, "PROTOCOL", OTLPTraces, OTLPAll)
	return strings.EqualFold(protocol, "grpc")
}

// Pairs reads key=value,key=value with percent-encoded values, the format of lists in
// OTEL_* variables. It skips items that are not pairs.
func Pairs(list string) map[string]string {
	m := map[string]string{}
	for _, item := range strings.Split(list, ",") {
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		m[strings.TrimSpace(name)] = value
	}
	return m
}
