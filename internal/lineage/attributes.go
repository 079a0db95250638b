package lineage

import (
	"strings"
	"sync"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The attributes that Throughline defines (docs/wire.md), for packages that add
// attributes to a span.
const (
	AttrEventID            = "throughline.event.id"
	AttrEventType          = "throughline.event.type"
	AttrEventSource        = "throughline.event.source"
	AttrCorrelationID      = "throughline.correlation.id"
	AttrCausationID        = "throughline.causation.id"
	AttrParentEventID      = "throughline.parent.event.id"
	AttrHops               = "throughline.hops"
	AttrLink               = "throughline.link"
	AttrLinksDropped       = "throughline.links.dropped"
	AttrRepeatKind         = "throughline.repeat.kind"
	AttrRepeatCount        = "throughline.repeat.count"
	AttrRepeatFirstRequest = "throughline.repeat.first.request_id"
	AttrRepeatFirstTime    = "throughline.repeat.first.time"
	AttrOrderEarly         = "throughline.order.early_ms"
	AttrLag                = "throughline.lag_ms"
	AttrLagFrom            = "throughline.lag.from" // LagFromEvent, LagFromIngestion or LagFromMessage
	AttrEntrySize          = "throughline.entry.size"
	AttrInitKind           = "throughline.init.kind"
	AttrInvokeParent       = "throughline.invoke.parent" // traceparent: the parent of the invoke span
	AttrXRayTrace          = "throughline.xray.trace_id" // Lambda's own trace, if spans are not exported to X-Ray
	AttrReplayName         = "throughline.replay.name"
	AttrInvocationID       = "faas.invocation_id"
	AttrXRayAnnotations    = "aws.xray.annotations"
	AttrRunID              = "throughline.run.id"

	// The records of a batch that failed, if the handler named them in its answer.
	AttrFailedCount = "throughline.failed.count"
	AttrFailedIDs   = "throughline.failed.ids" // absent if all records failed

	// What a new custom bus reports of an event.
	AttrGroup        = "throughline.event.group"
	AttrSequence     = "throughline.event.sequence" // its place in the group, as a number of 20 digits
	AttrDeduplicated = "throughline.deduplicated"   // the bus already had the event

	// The IDs that connect the two ends of a hop outside EventBridge.
	AttrMessageIDs       = "throughline.message.ids"
	AttrNotificationIDs  = "throughline.notification.ids"
	AttrS3RequestIDs     = "throughline.s3.request_ids"
	AttrOriginRequestID  = "throughline.origin.request_id"
	AttrOriginRequestIDs = "throughline.origin.request_ids" // of a batch, if there are several
	AttrExecutionARN     = "throughline.execution.arn"
	AttrStarterARN       = "throughline.execution.starter.arn" // of the execution that started the execution
	AttrTaskTokenHash    = "throughline.task.token_hash"
	AttrTaskTokenHashes  = "throughline.task.token_hashes" // of a batch, if there are several
	AttrScheduleARN      = "throughline.schedule.arn"
	AttrCalleeRequestID  = "throughline.callee.request_id"
	AttrHopIDs           = "throughline.hop.ids" // all of these IDs in one string, which X-Ray can index
)

// OpenTelemetry's names are literals, because its semconv package initialises
// hundreds of variables when a program starts; a test compares them with it.
const (
	keyEventID       = attribute.Key(AttrEventID)
	keyEventType     = attribute.Key(AttrEventType)
	keyEventSource   = attribute.Key(AttrEventSource)
	keyCorrelationID = attribute.Key(AttrCorrelationID)
	keyCausationID   = attribute.Key(AttrCausationID)
	keyParentEventID = attribute.Key(AttrParentEventID)
	keyHops          = attribute.Key(AttrHops)
	keyLink          = attribute.Key(AttrLink)
	keyLinksDropped  = attribute.Key(AttrLinksDropped)
	keyRepeatKind    = attribute.Key(AttrRepeatKind)
	keyRepeatCount   = attribute.Key(AttrRepeatCount)
	keyRepeatRequest = attribute.Key(AttrRepeatFirstRequest)
	keyRepeatTime    = attribute.Key(AttrRepeatFirstTime)
	keyLag           = attribute.Key(AttrLag)
	keyLagFrom       = attribute.Key(AttrLagFrom)
	keyEntrySize     = attribute.Key(AttrEntrySize)
	keyInitKind      = attribute.Key(AttrInitKind)
	keyInvokeParent  = attribute.Key(AttrInvokeParent)
	keyXRayTrace     = attribute.Key(AttrXRayTrace)
	keyReplayName    = attribute.Key(AttrReplayName)
	keyAnnotations   = attribute.Key(AttrXRayAnnotations)
	keyRunID         = attribute.Key(AttrRunID)
	keyFailedCount   = attribute.Key(AttrFailedCount)
	keyFailedIDs     = attribute.Key(AttrFailedIDs)
	keyGroup         = attribute.Key(AttrGroup)
	keySequence      = attribute.Key(AttrSequence)
	keyDeduplicated  = attribute.Key(AttrDeduplicated)

	keyMessageIDs      = attribute.Key(AttrMessageIDs)
	keyNotificationIDs = attribute.Key(AttrNotificationIDs)
	keyS3Requests      = attribute.Key(AttrS3RequestIDs)
	keyOriginRequest   = attribute.Key(AttrOriginRequestID)
	keyOriginRequests  = attribute.Key(AttrOriginRequestIDs)
	keyExecution       = attribute.Key(AttrExecutionARN)
	keyStarter         = attribute.Key(AttrStarterARN)
	keyTaskToken       = attribute.Key(AttrTaskTokenHash)
	keyTaskTokens      = attribute.Key(AttrTaskTokenHashes)
	keySchedule        = attribute.Key(AttrScheduleARN)
	keyCallee          = attribute.Key(AttrCalleeRequestID)
	keyHopIDs          = attribute.Key(AttrHopIDs)

	keyMessagingSystem  = attribute.Key("messaging.system")
	keyOperationName    = attribute.Key("messaging.operation.name")
	keyOperationType    = attribute.Key("messaging.operation.type")
	keyDestination      = attribute.Key("messaging.destination.name")
	keyMessageID        = attribute.Key("messaging.message.id")
	keyConversation     = attribute.Key("messaging.message.conversation_id")
	keyBatchCount       = attribute.Key("messaging.batch.message_count")
	keyErrorType        = attribute.Key("error.type")
	keyExceptionType    = attribute.Key("exception.type")
	keyExceptionMessage = attribute.Key("exception.message")
	keyTrigger          = attribute.Key("faas.trigger")
	keyFaasTime         = attribute.Key("faas.time")
	keyInvocationID     = attribute.Key(AttrInvocationID)
	keyColdStart        = attribute.Key("faas.coldstart")
	keyResourceID       = attribute.Key("cloud.resource_id")
	keyAccount          = attribute.Key("cloud.account.id")
	keyInvokedARN       = attribute.Key("aws.lambda.invoked_arn")
	messagingSystem     = "aws.eventbridge"
	operationCreate     = "create"
	operationSend       = "send"
	operationProcess    = "process"
	defaultBus          = "default"
)

// The values of throughline.lag.from. An event does not contain the time at which it
// was published; only the publisher's span has it.
const (
	LagFromEvent     = "event"     // the time that EventBridge gave the event, in whole seconds
	LagFromIngestion = "ingestion" // the time at which a new custom bus received the event, in milliseconds
	LagFromMessage   = "message"   // the time at which a queue or stream received the message, in milliseconds
)

// ErrorTypeOther is error.type of an error without a known code or class.
const ErrorTypeOther = "_OTHER"

// ErrorTypeItems is error.type of a handling whose answer names failed records.
const ErrorTypeItems = "batchItemFailures"

// Scope is the name of the instrumentation scope.
const Scope = "github.com/throughline/throughline/tracing"

// annotations lists the attributes that X-Ray indexes.
var annotations = keyAnnotations.StringSlice([]string{AttrCorrelationID, AttrEventID, AttrEventType})

// hopAnnotations are annotations and the attributes that identify the ends of a hop.
var hopAnnotations = keyAnnotations.StringSlice([]string{AttrCorrelationID, AttrEventID, AttrEventType, AttrInvocationID, AttrHopIDs})

// AnnotateHop appends to the attributes of a span the attributes by which X-Ray finds
// it with the IDs of a hop. X-Ray indexes single values of at most 1000 characters, so
// of many IDs only the first are indexed.
func AnnotateHop(attrs []attribute.KeyValue) []attribute.KeyValue {
	const longest = 1000
	var text strings.Builder
	add := func(id string) {
		// Names of state machines and executions may be outside ASCII.
		if text.Len()+len(id) < longest && id != "" && strings.IndexFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
			text.WriteString(id)
			text.WriteByte(' ')
		}
	}
	for _, a := range attrs {
		switch a.Key {
		case keyMessageIDs, keyNotificationIDs, keyS3Requests, keyOriginRequests, keyTaskTokens:
			for _, id := range a.Value.AsStringSlice() {
				add(id)
			}
		case keyOriginRequest, keyExecution, keyStarter, keyTaskToken, keySchedule, keyCallee:
			add(a.Value.AsString())
		}
	}
	if text.Len() > 0 {
		attrs = append(attrs, keyHopIDs.String(strings.TrimSuffix(text.String(), " ")))
	}
	for i := range attrs {
		if attrs[i].Key == keyAnnotations {
			attrs[i] = hopAnnotations
			return attrs
		}
	}
	return append(attrs, hopAnnotations)
}

// withIDs appends the attributes of an event that are not empty.
func withIDs(attrs []attribute.KeyValue, eventID, eventType string, l *Lineage) []attribute.KeyValue {
	attrs = append(attrs, annotations, keyHops.Int(l.Hops))
	for _, a := range [...]struct {
		key   attribute.Key
		value string
	}{
		{keyEventID, eventID}, {keyEventType, eventType}, {keyCorrelationID, l.CorrelationID},
		{keyConversation, l.CorrelationID}, {keyCausationID, l.CausationID}, {keyParentEventID, l.ParentID},
	} {
		if a.value != "" {
			attrs = append(attrs, a.key.String(a.value))
		}
	}
	return attrs
}

// spanBuffer holds the attributes and links of one span while it is started or
// ended. Buffers can be pooled, because trace.NewSpanStartConfig, through which a
// tracer reads them, copies, and the SDK's SetAttributes copies too.
type spanBuffer struct {
	attrs []attribute.KeyValue
	links []trace.Link
}

var spanBuffers = sync.Pool{New: func() any {
	return &spanBuffer{make([]attribute.KeyValue, 0, 32), make([]trace.Link, 0, 10)}
}}

func newSpanBuffer() *spanBuffer {
	b, _ := spanBuffers.Get().(*spanBuffer)
	return b
}

// maxSpanBuffer is the capacity above which a buffer is not kept.
const maxSpanBuffer = 100

// done returns the buffer to the pool, cleared.
func (b *spanBuffer) done() {
	if cap(b.attrs) > maxSpanBuffer || cap(b.links) > maxSpanBuffer {
		return
	}
	clear(b.attrs)
	clear(b.links)
	b.attrs, b.links = b.attrs[:0], b.links[:0]
	spanBuffers.Put(b)
}
