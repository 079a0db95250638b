package settings

import (
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
	for name, value := range Pairs(getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS")) {
		headers[name] = value
	}
	return target, headers
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
