// Package deadletter reads messages in dead-letter queues: which service sent the message
// there and why, which event it contains, and which consumer it was for. It is pure.
//
// It reads the messages of EventBridge's rules (EventBridge user guide, "Using
// dead-letter queues"), of Lambda's asynchronous invocations and failure destinations
// (Lambda developer guide, "Capturing records of Lambda asynchronous invocations"), of
// queues with a redrive policy (SQS developer guide, "Using dead-letter queues"), of
// SNS's subscriptions, and of the subscribers of EventBridge's new custom buses, which
// name events but do not contain them.
package deadletter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/arn"
	"github.com/throughline/throughline/cmd/throughline/internal/envelope"
	"github.com/throughline/throughline/internal/lineage"
)

// Message is a message as SQS returns it. The zero value is an empty message.
type Message struct {
	ID         string               `json:"MessageId"`
	Receipt    string               `json:"ReceiptHandle,omitempty"`
	Body       string               `json:"Body"`
	System     map[string]string    `json:"Attributes,omitempty"`
	Attributes map[string]Attribute `json:"MessageAttributes,omitempty"`
}

// Attribute is a message attribute.
type Attribute struct {
	Type   string `json:"DataType"`
	String string `json:"StringValue,omitempty"`
	Binary []byte `json:"BinaryValue,omitempty"`
}

// Kind is the service that sent a message to a dead-letter queue.
type Kind string

// The kinds.
const (
	OfRule        Kind = "rule"        // a rule of EventBridge that could not deliver to a target
	OfFunction    Kind = "function"    // Lambda, for a function's asynchronous invocations
	OfDestination Kind = "destination" // Lambda, to a failure destination
	OfStream      Kind = "stream"      // Lambda, for a stream: the message names records but does not contain them
	OfTopic       Kind = "topic"       // SNS, for a subscription
	OfQueue       Kind = "queue"       // SQS, after maxReceiveCount failed deliveries
	OfSubscriber  Kind = "subscriber"  // a subscriber of a new custom bus: the message names events but does not contain them
	Unknown       Kind = "unknown"
)

// Letter is a message in a dead-letter queue and what it says.
type Letter struct {
	Message
	Kind  Kind
	Cause string // a code or a short text: NO_PERMISSIONS, Unhandled, received too often
	Says  string // the error's message, or ""
	// Rule and Target are the ARNs of a rule and its target. Function is the ARN or the
	// name of the function that failed. Topic is an ARN. Queue is the ARN of the source
	// queue.
	Rule, Target, Function, Topic, Queue string
	// Subscriber and Bus are the ARNs of a subscriber of a new custom bus and its bus.
	// Named are the events that the message names.
	Subscriber, Bus string
	Named           []Named
	Attempts        int       // the number of deliveries; 0 if unknown
	Since           time.Time // when the queue received it
	// Payload is what was not delivered: the body, or the content that the body wraps. It
	// is nil if the message does not contain it.
	Payload []byte
	// The event in the payload, if it has one.
	EventID, EnvelopeID, Type, Source, CorrelationID string
}

// Who returns a short name of what failed to handle the message: a function, a queue or a
// target.
func (l *Letter) Who() string {
	switch {
	case l.Function != "":
		return "function " + arn.Function(l.Function)
	case l.Subscriber != "":
		return strings.TrimSuffix("subscriber "+arn.Named(l.Subscriber)+" to "+l.target(), " to ")
	case l.Target != "":
		return l.target()
	case l.Queue != "":
		return "queue " + arn.Name(l.Queue)
	case l.Topic != "":
		return "topic " + arn.Name(l.Topic)
	}
	return "unknown"
}

// target returns a short name of the target, or "" if there is none.
func (l *Letter) target() string {
	switch kind := arn.Service(l.Target); {
	case l.Target == "":
		return ""
	case kind == "lambda":
		return "function " + arn.Function(l.Target)
	case kind == "events" && strings.Contains(l.Target, ":event-busv2/"):
		return "bus " + arn.Named(l.Target)
	default:
		known := map[string]string{"sqs": "queue", "sns": "topic", "events": "bus"}[kind]
		return cmp.Or(known, kind, "target") + " " + arn.Name(l.Target)
	}
}

// body has the members of dead letters' bodies that are read.
type body struct {
	Context struct {
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		Invocations int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	Payload  json.RawMessage `json:"requestPayload"`
	Response struct {
		Status int    `json:"statusCode"`
		Error  string `json:"functionError"`
	} `json:"responseContext"`
	Answer struct {
		Message string `json:"errorMessage"`
	} `json:"responsePayload"`
	Kinesis  json.RawMessage `json:"KinesisBatchInfo"`
	DynamoDB json.RawMessage `json:"DDBStreamBatchInfo"`

	Type     string
	TopicARN string `json:"TopicArn"`
	Message  string

	record
}

// Read reads a message.
func Read(m Message) Letter {
	l := Letter{Message: m, Kind: Unknown, Cause: "unknown", Payload: []byte(m.Body), Since: milliseconds(m.System["SentTimestamp"])}
	var b body
	_ = json.Unmarshal([]byte(m.Body), &b) // a body that is not JSON has no members
	text := func(name string) string { return m.Attributes[name].String }
	switch {
	case text("SUBSCRIBER_ARN") != "" || b.Subscriber != "" && b.Named != nil:
		l.ofSubscriber(&b.record, text)
		return l
	case text("RULE_ARN") != "":
		l.Kind, l.Rule, l.Target, l.Says = OfRule, text("RULE_ARN"), text("TARGET_ARN"), text("ERROR_MESSAGE")
		l.Cause = cmp.Or(text("ERROR_CODE"), text("EXHAUSTED_RETRY_CONDITION"), "no error code")
		if n, err := strconv.Atoi(text("RETRY_ATTEMPTS")); err == nil {
			l.Attempts = n + 1
		}
	case b.Context.FunctionARN != "" && (b.Kinesis != nil || b.DynamoDB != nil):
		l.Kind, l.Function, l.Attempts = OfStream, b.Context.FunctionARN, b.Context.Invocations
		l.Cause = cmp.Or(b.Response.Error, b.Context.Condition, "failed")
	case b.Context.FunctionARN != "" && b.Payload != nil:
		l.Kind, l.Function, l.Attempts, l.Payload = OfDestination, b.Context.FunctionARN, b.Context.Invocations, b.Payload
		l.Cause, l.Says = cmp.Or(b.Response.Error, b.Context.Condition, "failed"), b.Answer.Message
	case text("RequestID") != "" && m.Attributes["ErrorCode"].Type != "":
		l.Kind, l.Cause, l.Says = OfFunction, "error "+text("ErrorCode"), text("ErrorMessage")
	case b.Type == "Notification" && b.TopicARN != "" && m.System["DeadLetterQueueSourceArn"] == "":
		l.Kind, l.Topic, l.Cause = OfTopic, b.TopicARN, "not delivered"
	case m.System["DeadLetterQueueSourceArn"] != "":
		l.ofQueue(m.System["DeadLetterQueueSourceArn"])
	}
	l.identify()
	return l
}

// From sets the source queue of a message whose kind the message does not say. SQS lists
// the queues that use a dead-letter queue.
func (l *Letter) From(queue string) {
	if l.Kind == Unknown && queue != "" {
		l.ofQueue(queue)
	}
}

// By sets the function of a message in one of Lambda's dead-letter queues. The message
// does not name it.
func (l *Letter) By(function string) {
	if l.Kind == OfFunction && l.Function == "" {
		l.Function = function
	}
}

func (l *Letter) ofQueue(queue string) {
	l.Kind, l.Queue, l.Cause = OfQueue, queue, "received too often"
	if n, err := strconv.Atoi(l.System["ApproximateReceiveCount"]); err == nil {
		l.Attempts = n
	}
}

func milliseconds(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// reader finds the IDs of messages that are not events, as the library and the layer do.
var reader = lineage.NewReader(lineage.Config{})

// identify finds the event: an envelope, or the IDs in a bare message.
func (l *Letter) identify() {
	if found := envelope.In(l.Payload); len(found) > 0 {
		e := found[0]
		l.EventID, l.EnvelopeID, l.Type, l.Source, l.CorrelationID = e.DomainID, e.ID, e.Type, e.Source, e.CorrelationID
		return
	}
	// The record that the function receives from a queue.
	record, err := json.Marshal(map[string]any{"Records": []any{map[string]any{"eventSource": "aws:sqs", "messageId": l.ID, "body": string(l.Payload)}}})
	if err != nil {
		return
	}
	if d := reader.Read(record); len(d.Events) == 1 && d.Events[0].ID != l.ID { // the message's ID is not an event ID
		e := d.Events[0]
		l.EventID, l.Type, l.Source, l.CorrelationID = e.ID, e.Type, e.Source, e.Lineage.CorrelationID
	}
}

// Summary returns in one line why the message is in the queue.
func (l *Letter) Summary() string {
	text := l.Cause
	if l.Says != "" && l.Says != l.Cause {
		text += ": " + l.Says
	}
	if l.Attempts > 1 {
		text += fmt.Sprintf(" (after %d deliveries)", l.Attempts)
	}
	return text
}
