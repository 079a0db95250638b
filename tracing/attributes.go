package tracing

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of the design (docs/wire.md), for whoever adds to a span.
const (
	AttrEventID            = "throughline.event.id"
	AttrEventType          = "throughline.event.type"
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
	AttrEntrySize          = "throughline.entry.size"
	AttrInitKind           = "throughline.init.kind"
	AttrInvokeParent       = "throughline.invoke.parent" // traceparent: the parent of the invoke span
	AttrReplayName         = "throughline.replay.name"
	AttrInvocationID       = "faas.invocation_id"
	AttrXRayAnnotations    = "aws.xray.annotations"
)

// OpenTelemetry's names are written out, because its semconv package fills
// hundreds of variables when a program starts; a test holds them to it.
const (
	keyEventID       = attribute.Key(AttrEventID)
	keyEventType     = attribute.Key(AttrEventType)
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
	keyEntrySize     = attribute.Key(AttrEntrySize)
	keyInitKind      = attribute.Key(AttrInitKind)
	keyInvokeParent  = attribute.Key(AttrInvokeParent)
	keyReplayName    = attribute.Key(AttrReplayName)
	keyAnnotations   = attribute.Key(AttrXRayAnnotations)

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
	keyMethod           = attribute.Key("http.request.method")
	keyTemplate         = attribute.Key("url.template")
	keyServer           = attribute.Key("server.address")
	keyPort             = attribute.Key("server.port")
	keyScheme           = attribute.Key("url.scheme")
	keyStatus           = attribute.Key("http.response.status_code")
	keyResend           = attribute.Key("http.request.resend_count")
	keyProtocol         = attribute.Key("network.protocol.version")
	keyHeaderRequestID  = attribute.Key("http.response.header.x-request-id")
	keyHeaderLimit      = attribute.Key("http.response.header.x-ratelimit-limit")
	keyHeaderRemaining  = attribute.Key("http.response.header.x-ratelimit-remaining")
	keyHeaderReset      = attribute.Key("http.response.header.x-ratelimit-reset")
	messagingSystem     = "aws.eventbridge"
	operationCreate     = "create"
	operationSend       = "send"
	operationProcess    = "process"
	errorTypeOther      = "_OTHER"
	defaultBus          = "default"
	instrumentationName = "github.com/throughline/throughline/tracing"
)

// annotations names the attributes that X-Ray indexes.
var annotations = keyAnnotations.StringSlice([]string{AttrCorrelationID, AttrEventID, AttrEventType})

// withIDs appends what is known of an event, leaving out what is empty.
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

// room is memory for the attributes and links that spans are given. It may be
// used again once that was done: whoever makes spans gets at an option's through
// trace.NewSpanStartConfig alone, which copies them, and the SDK's SetAttributes
// does too.
type room struct {
	attrs []attribute.KeyValue
	links []trace.Link
}

var rooms = sync.Pool{New: func() any {
	return &room{make([]attribute.KeyValue, 0, 32), make([]trace.Link, 0, 10)}
}}

func newRoom() *room {
	r, _ := rooms.Get().(*room)
	return r
}

// mostRoom is how many attributes or links a room may have and be kept.
const mostRoom = 100

// done gives the room back, without what attrs and links say stands in it.
func (r *room) done() {
	if cap(r.attrs) > mostRoom || cap(r.links) > mostRoom {
		return
	}
	clear(r.attrs)
	clear(r.links)
	r.attrs, r.links = r.attrs[:0], r.links[:0]
	rooms.Put(r)
}
