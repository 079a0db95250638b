package lineage

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
		keyExceptionType: semconv.ExceptionTypeKey, keyExceptionMessage: semconv.ExceptionMessageKey,
	} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
	for ours, theirs := range map[string]attribute.KeyValue{
		operationCreate: semconv.MessagingOperationTypeCreate, operationSend: semconv.MessagingOperationTypeSend, operationProcess: semconv.MessagingOperationTypeProcess,
		(&Delivery{Shape: ShapeSchedule}).trigger(): semconv.FaaSTriggerTimer, (&Delivery{Shape: ShapeSQS}).trigger(): semconv.FaaSTriggerPubSub, (&Delivery{Shape: ShapeDirect}).trigger(): semconv.FaaSTriggerOther,
		(&Delivery{Shape: ShapeHTTP}).trigger(): semconv.FaaSTriggerHTTP, (&Delivery{Shape: ShapeS3}).trigger(): semconv.FaaSTriggerDatasource, "other": semconv.FaaSTriggerOther,
		ErrorTypeOther: semconv.ErrorTypeOther, (&Delivery{Shape: ShapeSQS}).system(): semconv.MessagingSystemAWSSQS,
		(&Delivery{Shape: ShapeSNS}).system(): semconv.MessagingSystemAWSSNS,
	} {
		if ours != theirs.Value.AsString() {
			t.Errorf("%s is called %s", ours, theirs.Value.AsString())
		}
	}
}
