package outbound

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

func TestNamesAreOpenTelemetrys(t *testing.T) {
	header := API{}.WithHook(Hook{Headers: []string{"X-Request-Id"}}).keys[0]
	for ours, theirs := range map[attribute.Key]attribute.Key{
		keyMethod: semconv.HTTPRequestMethodKey, keyTemplate: semconv.URLTemplateKey, keyServer: semconv.ServerAddressKey, keyPort: semconv.ServerPortKey, keyScheme: semconv.URLSchemeKey,
		keyStatus: semconv.HTTPResponseStatusCodeKey, keyResend: semconv.HTTPRequestResendCountKey, keyProtocol: semconv.NetworkProtocolVersionKey,
		keyError: semconv.ErrorTypeKey, header: semconv.HTTPResponseHeader("x-request-id").Key, attribute.Key(knownMethod("BREW")): attribute.Key(semconv.HTTPRequestMethodOther.Value.AsString()),
	} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
}
