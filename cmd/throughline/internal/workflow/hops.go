package workflow

import (
	"slices"
	"strings"

	"github.com/throughline/throughline/internal/lineage"
)

// Via is how one invocation caused another: the value of throughline.hop, or one of the
// values below. The values are stable.
type Via string

// The values of [Via].
const (
	ViaBus         Via = "bus"
	ViaSQS         Via = "sqs"
	ViaSNS         Via = "sns"
	ViaKinesis     Via = "kinesis"
	ViaLambda      Via = "lambda"
	ViaStates      Via = "states"
	ViaScheduler   Via = "scheduler"
	ViaS3          Via = "s3"
	ViaDestination Via = "destination" // a Lambda destination, or the dead-letter queue of a function
)

// How is the evidence for an edge. The values are stable.
type How string

// The values of [How].
const (
	Linked   How = "linked"   // a link of the consumer's span names the producer's
	Joined   How = "joined"   // both have an ID that a service generated
	Inferred How = "inferred" // only time and names agree
)

// Edge is the relation of a span to the invocation that it caused. By names the ID that
// joins the two, in words. The zero value is no edge.
type Edge struct {
	Via Via
	How How
	By  string
}

// Attributes of spans that send, invoke, start or schedule.
const (
	attrHop            = "throughline.hop"
	attrScheduleTarget = "throughline.schedule.target"
	attrScheduleAt     = "throughline.schedule.at"
	attrMessageID      = "messaging.message.id"
	attrDestination    = "messaging.destination.name"
	attrBatchCount     = "messaging.batch.message_count"
	attrRequestSize    = "throughline.request.size"
	attrBodySize       = "messaging.message.body.size"
)

// hop returns the kind of call that a span made to a service other than the bus, or "".
func (s *Span) hop() Via {
	if via := s.Text(attrHop); via != "" {
		return Via(via)
	}
	if (s.Kind == "CLIENT" || s.Kind == "PRODUCER") && s.Text("rpc.service") == "S3" && len(s.all(awsRequest[:]...)) > 0 {
		return ViaS3 // a span of OpenTelemetry's instrumentation of the SDK
	}
	return ""
}

// isHandling reports whether the span is that of an invocation, or of a message that was
// handled.
func isHandling(s *Span) bool {
	return s.Kind == "CONSUMER" || s.Kind == "SERVER" && s.Text("faas.trigger") != ""
}

// Texts returns the values of an attribute that is a list of strings, or a string.
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

// all returns the distinct values of several attributes.
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

// requestID returns the request ID of the invocation.
func (s *Span) requestID() string { return s.Text(lineage.AttrInvocationID) }

// records returns the number of records in an invocation.
func (s *Span) records() int {
	if n, ok := s.Number(attrBatchCount); ok {
		return int(n)
	}
	return 1
}

// minted reports whether the span's correlation ID is one of the IDs of the event itself:
// then the event came without a correlation ID.
func (s *Span) minted() bool {
	id := s.Correlation()
	return id != "" && (id == s.Text(lineage.AttrEventID) || id == s.requestID() ||
		slices.Contains(s.all(attrMessageID, lineage.AttrMessageIDs, lineage.AttrNotificationIDs), id))
}

// functionName returns the name in a function's ARN, or in a part of one.
func functionName(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) > 6 && parts[5] == "function" {
		return parts[6]
	}
	return parts[0]
}

// ran reports whether an invocation was of the function that a target names.
func (s *Span) ran(target string) bool {
	name := functionName(target)
	if arn := s.Text("aws.lambda.invoked_arn"); arn != "" && strings.HasPrefix(target, "arn:") {
		return functionName(arn) == name && region(arn) == region(target)
	}
	return name != "" && (s.Service == name || s.Text("faas.name") == name)
}

// region returns the partition, service, Region and account of an ARN.
func region(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return strings.Join(parts[:min(len(parts), 5)], ":")
}
