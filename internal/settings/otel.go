package settings

import (
	"maps"
	"net/url"
	"strings"
)

// OTLPTarget is where OpenTelemetry's own settings send spans, the path of
// traces included, and with which headers; empty where they are not set. It
// follows OpenTelemetry's "OTLP Exporter Configuration".
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

// OTLPBase is where OpenTelemetry's own settings send the signals that are not
// spans, without /v1/…, and with which headers; empty where they are not set.
func OTLPBase(getenv func(string) string) (base string, headers map[string]string) {
	base = getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if base == "" {
		return "", nil
	}
	return strings.TrimSuffix(base, "/"), Pairs(getenv("OTEL_EXPORTER_OTLP_HEADERS"))
}

// The beginnings of OpenTelemetry's settings of an OTLP exporter: what is said of
// traces comes before what is said of every signal.
const (
	OTLPTraces = "OTEL_EXPORTER_OTLP_TRACES_"
	OTLPAll    = "OTEL_EXPORTER_OTLP_"
)

// First is the first of the settings with name that is set, and the variable
// that has it; of those that are not set it is the last one.
func First(getenv func(string) string, name string, prefixes ...string) (variable, value string) {
	for _, prefix := range prefixes {
		variable = prefix + name
		if value = strings.TrimSpace(getenv(variable)); value != "" {
			break
		}
	}
	return variable, value
}

// SpeaksGRPC says that OpenTelemetry's own settings ask for spans over gRPC,
// which Throughline does not speak.
func SpeaksGRPC(getenv func(string) string) bool {
	_, protocol := First(getenv, "PROTOCOL", OTLPTraces, OTLPAll)
	return strings.EqualFold(protocol, "grpc")
}

// Pairs reads key=value,key=value with percent-encoded values, as OTEL_* lists
// are written. What is not a pair is left out.
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
