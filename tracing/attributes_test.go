package tracing

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

func TestNamesAreOpenTelemetrys(t *testing.T) {
	for ours, theirs := range map[attribute.Key]attribute.Key{
		keyMessagingSystem: semconv.MessagingSystemKey, keyOperationName: semconv.MessagingOperationNameKey, keyOperationType: semconv.MessagingOperationTypeKey,
		keyDestination: semconv.MessagingDestinationNameKey, keyMessageID: semconv.MessagingMessageIDKey, keyConversation: semconv.MessagingMessageConversationIDKey,
		keyBatchCount: semconv.MessagingBatchMessageCountKey, keyErrorType: semconv.ErrorTypeKey, keyTrigger: semconv.FaaSTriggerKey, keyFaasTime: semconv.FaaSTimeKey,
		keyInvocationID: semconv.FaaSInvocationIDKey, keyColdStart: semconv.FaaSColdstartKey, keyResourceID: semconv.CloudResourceIDKey, keyAccount: semconv.CloudAccountIDKey, keyInvokedARN: semconv.AWSLambdaInvokedARNKey,
		keyMethod: semconv.HTTPRequestMethodKey, keyTemplate: semconv.URLTemplateKey, keyServer: semconv.ServerAddressKey, keyPort: semconv.ServerPortKey, keyScheme: semconv.URLSchemeKey,
		keyStatus: semconv.HTTPResponseStatusCodeKey, keyResend: semconv.HTTPRequestResendCountKey, keyProtocol: semconv.NetworkProtocolVersionKey,
		keyExceptionType: semconv.ExceptionTypeKey, keyExceptionMessage: semconv.ExceptionMessageKey,
		keyHeaderRequestID: semconv.HTTPResponseHeader("x-request-id").Key, keyHeaderLimit: semconv.HTTPResponseHeader("x-ratelimit-limit").Key,
		keyHeaderRemaining: semconv.HTTPResponseHeader("x-ratelimit-remaining").Key, keyHeaderReset: semconv.HTTPResponseHeader("x-ratelimit-reset").Key,
	} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
	for ours, theirs := range map[string]attribute.KeyValue{
		operationCreate: semconv.MessagingOperationTypeCreate, operationSend: semconv.MessagingOperationTypeSend, operationProcess: semconv.MessagingOperationTypeProcess,
		trigger(ShapeSchedule): semconv.FaaSTriggerTimer, trigger(ShapeSQS): semconv.FaaSTriggerPubSub, trigger(ShapeDirect): semconv.FaaSTriggerOther,
		errorTypeOther: semconv.ErrorTypeOther, knownMethod("BREW"): semconv.HTTPRequestMethodOther, (&Delivery{Shape: ShapeSQS}).system(): semconv.MessagingSystemAWSSQS,
		(&Delivery{Shape: ShapeSNS}).system(): semconv.MessagingSystemAWSSNS,
	} {
		if ours != theirs.Value.AsString() {
			t.Errorf("%s is called %s", ours, theirs.Value.AsString())
		}
	}
}
