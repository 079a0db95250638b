package workflow

import (
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/lineage"
)

// Via is what carried an edge from what caused an invocation to the invocation: the
// value of throughline.hop, or one of those below. The values are stable.
type Via string

// What carries an edge.
const (
	ViaBus         Via = "bus"
	ViaSQS         Via = "sqs"
	ViaSNS         Via = "sns"
	ViaKinesis     Via = "kinesis"
	ViaLambda      Via = "lambda"
	ViaStates      Via = "states"
	ViaScheduler   Via = "scheduler"
	ViaS3          Via = "s3"
	ViaDestination Via = "destination" // Lambda's, or the dead-letter queue of a function
)

// How is what an edge is known by. The values are stable.
type How string

// What an edge is known by.
const (
	Linked   How = "linked"   // a link of the consumer's span names the producer's
	Joined   How = "joined"   // both name an ID that a service gave
	Inferred How = "inferred" // time and names agree, and nothing else does
)

// Edge is that one span caused an invocation. By says which ID joins the two, in
// words. The zero value is none.
type Edge struct {
	Via Via
	How How
	By  string
}

// The attributes of spans that send, invoke, start or schedule.
const (
	attrHop            = "throughline.hop"
	attrScheduleTarget = "throughline.schedule.target"
	attrScheduleAt     = "throughline.schedule.at"
	attrFailedCount    = "throughline.failed.count"
	attrMessageID      = "messaging.message.id"
	attrDestination    = "messaging.destination.name"
	attrBatchCount     = "messaging.batch.message_count"
	attrRequestSize    = "throughline.request.size"
	attrBodySize       = "messaging.message.body.size"
)

// hop is what a span sent off the bus, "" for no such span.
func (s *Span) hop() Via {
	if via := s.Text(attrHop); via != "" {
		return Via(via)
	}
	if (s.Kind == "CLIENT" || s.Kind == "PRODUCER") && s.Text("rpc.service") == "S3" && s.Text("aws.request_id") != "" {
		return ViaS3 // of OpenTelemetry's instrumentation of the SDK
	}
	return ""
}

// isHandling tells the span of an invocation, or of a message, that was handled.
func isHandling(s *Span) bool {
	return s.Kind == "CONSUMER" || s.Kind == "SERVER" && s.Text("faas.trigger") != ""
}

// Texts are the values of an attribute that is a list of strings, or one string.
func (s *Span) Texts(key string) []string {
	switch v := s.Attributes[key].(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		list := make([]string, 0, len(v))
		for _, value := range v {
			if text, ok := value.(string); ok && text != "" {
				list = append(list, text)
			}
		}
		return list
	}
	return nil
}

// all are the values of several attributes, each value once.
func (s *Span) all(keys ...string) []string {
	var list []string
	for _, key := range keys {
		for _, value := range s.Texts(key) {
			if !slices.Contains(list, value) {
				list = append(list, value)
			}
		}
	}
	return list
}

// requestID is the invocation's.
func (s *Span) requestID() string { return s.Text(lineage.AttrInvocationID) }

// records is how many records were handed to an invocation.
func (s *Span) records() int {
	if n, ok := s.Number(attrBatchCount); ok {
		return int(n)
	}
	return 1
}

// minted tells whether the span's correlation ID is one of the IDs that what it
// handled has anyway: what arrived brought none.
func (s *Span) minted() bool {
	id := s.Correlation()
	return id != "" && (id == s.Text(lineage.AttrEventID) || id == s.requestID() ||
		slices.Contains(s.all(attrMessageID, lineage.AttrMessageIDs, lineage.AttrNotificationIDs), id))
}

// functionName is the name in a function's ARN, or in the part of one that names it.
func functionName(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) > 6 && parts[5] == "function" {
		return parts[6]
	}
	return parts[0]
}

// ran tells whether an invocation was of the function that a target names.
func (s *Span) ran(target string) bool {
	name := functionName(target)
	if arn := s.Text("aws.lambda.invoked_arn"); arn != "" && strings.HasPrefix(target, "arn:") {
		return functionName(arn) == name && region(arn) == region(target)
	}
	return name != "" && (s.Service == name || s.Text("faas.name") == name)
}

// region is the partition, service, Region and account of an ARN.
func region(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return strings.Join(parts[:min(len(parts), 5)], ":")
}
