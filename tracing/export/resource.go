package export

import (
	"maps"
	"runtime"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/throughline/throughline/internal/settings"
	"github.com/throughline/throughline/tracing/otlp"
)

// describe returns the resource of the function's spans (semantic conventions, "FaaS"
// and "AWS Lambda"). OTEL_RESOURCE_ATTRIBUTES has precedence over Lambda's
// variables.
func describe(s settings.Settings, getenv func(string) string) otlp.Resource {
	found := map[attribute.Key]attribute.Value{}
	add := func(key attribute.Key, value string) {
		if value != "" {
			found[key] = attribute.StringValue(value)
		}
	}
	add("telemetry.sdk.name", "throughline")
	add("telemetry.sdk.language", "go")
	add("process.runtime.name", "go")
	add("process.runtime.version", runtime.Version())
	name := getenv("AWS_LAMBDA_FUNCTION_NAME")
	if name != "" {
		add("cloud.provider", "aws")
		add("cloud.platform", "aws_lambda")
	}
	add("faas.name", name)
	add("faas.version", getenv("AWS_LAMBDA_FUNCTION_VERSION"))
	add("faas.instance", getenv("AWS_LAMBDA_LOG_STREAM_NAME"))
	add("cloud.region", getenv("AWS_REGION"))
	if group := getenv("AWS_LAMBDA_LOG_GROUP_NAME"); group != "" {
		found["aws.log.group.names"] = attribute.StringSliceValue([]string{group})
	}
	if mb, err := strconv.Atoi(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")); err == nil {
		found["faas.max_memory"] = attribute.IntValue(mb << 20)
	}
	add("service.name", s.Service)
	for key, value := range settings.Pairs(getenv("OTEL_RESOURCE_ATTRIBUTES")) {
		add(attribute.Key(key), value)
	}
	add("service.name", getenv("OTEL_SERVICE_NAME"))
	r := otlp.Resource{Scope: "github.com/throughline/throughline/tracing"}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		r.Attributes = append(r.Attributes, attribute.KeyValue{Key: key, Value: found[key]})
	}
	return r
}

// limits returns the span limits from OpenTelemetry's settings.
func limits(getenv func(string) string) otlp.Limits {
	number := func(names ...string) int {
		for _, name := range names {
			if n, err := strconv.Atoi(getenv(name)); err == nil && n >= 0 {
				if n == 0 {
					return -1 // none at all
				}
				return n
			}
		}
		return 0
	}
	return otlp.Limits{
		Attributes:  number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
		Events:      number("OTEL_SPAN_EVENT_COUNT_LIMIT"),
		Links:       number("OTEL_SPAN_LINK_COUNT_LIMIT"),
		ValueLength: number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
	}
}
