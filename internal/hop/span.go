package hop

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
)

// The attributes follow OpenTelemetry's conventions for messaging, FaaS and AWS's
// SDKs, and docs/wire.md. They are literals for the same reason as in package lineage.
const (
	keyHop          = attribute.Key("throughline.hop")
	keyIDs          = attribute.Key("throughline.message.ids")
	keyRequestSize  = attribute.Key("throughline.request.size")
	keyFailedCount  = attribute.Key("throughline.failed.count")
	keyCarried      = attribute.Key("throughline.hop.carried")
	keyInvokeType   = attribute.Key("throughline.invocation.type")
	keyCallee       = attribute.Key("throughline.callee.request_id")
	keyExecution    = attribute.Key("throughline.execution.arn")
	keyTaskHash     = attribute.Key("throughline.task.token_hash")
	keySchedule     = attribute.Key("throughline.schedule.arn")
	keyScheduled    = attribute.Key("throughline.schedule.target")
	keyScheduledAt  = attribute.Key("throughline.schedule.at")
	keySystem       = attribute.Key("messaging.system")
	keyType         = attribute.Key("messaging.operation.type")
	keyOperation    = attribute.Key("messaging.operation.name")
	keyDestination  = attribute.Key("messaging.destination.name")
	keyMessageID    = attribute.Key("messaging.message.id")
	keyBatchCount   = attribute.Key("messaging.batch.message_count")
	keyBodySize     = attribute.Key("messaging.message.body.size")
	keyQueue        = attribute.Key("aws.sqs.queue.url")
	keyTopic        = attribute.Key("aws.sns.topic.arn")
	keyStateMachine = attribute.Key("aws.step_functions.state_machine.arn")
	keyFunction     = attribute.Key("faas.invoked_name")
	keyProvider     = attribute.Key("faas.invoked_provider")
	keyRegion       = attribute.Key("faas.invoked_region")
	keyError        = attribute.Key("error.type")
)

// system returns the value of messaging.system for a service, empty if the service is
// not a messaging system.
func system(service string) string {
	switch service {
	case SQS:
		return "aws_sqs"
	case SNS:
		return "aws.sns"
	case Kinesis:
		return "aws.kinesis"
	}
	return ""
}

// Kind returns the kind of the call's span.
func (c *Call) Kind() trace.SpanKind {
	if system(c.Service) != "" {
		return trace.SpanKindProducer
	}
	return trace.SpanKindClient
}

// SpanName returns the name of the call's span.
func (c *Call) SpanName() string {
	verb, name := "send", c.name()
	switch {
	case c.Service == SNS:
		verb = "publish"
	case c.Service == Lambda:
		verb = "invoke"
	case c.Operation == success:
		verb, name = "complete", "task"
	case c.Operation == failure:
		verb, name = "fail", "task"
	case c.Operation == heartbeat:
		verb, name = "heartbeat", "task"
	case c.Service == States:
		verb = "start"
	case c.Service == Scheduler:
		verb = "schedule"
	}
	return strings.TrimSpace(verb + " " + name)
}

// Attributes appends the attributes of the call after it is over.
func (c *Call) Attributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	text := func(key attribute.Key, value string) {
		if value != "" {
			attrs = append(attrs, key.String(value))
		}
	}
	first := ""
	if len(c.IDs) > 0 {
		first = c.IDs[0]
		attrs = append(attrs, keyIDs.StringSlice(c.IDs))
	}
	text(keyHop, c.Service)
	switch c.Service {
	case SQS, SNS, Kinesis:
		verb, _, _ := strings.Cut(c.SpanName(), " ")
		attrs = append(attrs, keySystem.String(system(c.Service)), keyType.String("send"), keyOperation.String(verb))
		text(keyDestination, c.name())
		switch c.Service {
		case SQS:
			text(keyQueue, c.Target)
		case SNS:
			if strings.HasPrefix(c.Target, "arn:") {
				text(keyTopic, c.Target)
			}
		}
		if c.Batch > 0 {
			attrs = append(attrs, keyBatchCount.Int(c.Batch))
		} else {
			text(keyMessageID, first)
		}
	case Lambda:
		text(keyFunction, c.name())
		attrs = append(attrs, keyProvider.String("aws"))
		text(keyRegion, c.region())
		text(keyInvokeType, c.InvocationType)
		text(keyCallee, first)
	case States:
		if c.task() {
			text(keyTaskHash, c.TaskHash)
		} else {
			text(keyStateMachine, c.Target)
			text(keyExecution, first)
		}
	case Scheduler:
		text(keySchedule, first)
		text(keyScheduled, c.ScheduleTarget)
		if !c.ScheduleAt.IsZero() {
			attrs = append(attrs, keyScheduledAt.String(c.ScheduleAt.UTC().Format(time.RFC3339)))
		}
	}
	if c.Size > 0 {
		key := keyRequestSize
		if system(c.Service) != "" {
			key = keyBodySize
		}
		attrs = append(attrs, key.Int64(c.Size))
	}
	if c.Carried {
		attrs = append(attrs, keyCarried.Bool(true))
	}
	if failed := c.failed(); failed > 0 {
		attrs = append(attrs, keyFailedCount.Int(failed))
	}
	text(keyError, c.ErrorType())
	return attrs
}

// ErrorType returns the error code of the call, or that of its failed entries, _OTHER
// if these differ. It is empty if nothing failed.
func (c *Call) ErrorType() string {
	switch {
	case c.Error != "":
		return c.Error
	case len(c.Failed) > 1:
		return lineage.ErrorTypeOther
	}
	for code := range c.Failed {
		return code
	}
	return ""
}

// Status returns the description of a failed span: how many entries failed, if the
// call did not fail as a whole.
func (c *Call) Status() string {
	if c.Error != "" || len(c.Failed) == 0 {
		return ""
	}
	return strconv.Itoa(c.failed()) + " of " + strconv.Itoa(c.entries()) + " entries failed"
}

// Record records the call's metrics.
func (c *Call) Record(set *metrics.Set, correlationID string) {
	o := metrics.Observation{At: c.End, Target: c.Dimension(), CorrelationID: correlationID}
	record := func(name metrics.Name, value float64, kind string) {
		o := o
		o.Name, o.Value, o.Kind = name, value, kind
		set.Record(o)
	}
	record(metrics.SendDuration, float64(c.End.Sub(c.Start))/float64(time.Millisecond), "")
	if c.Size > 0 {
		record(metrics.MessageSize, float64(c.Size), "")
	}
	switch {
	case c.Unknown:
		return
	case c.Error != "":
		for range c.entries() {
			record(metrics.MessagesFailed, 1, c.Error)
		}
		return
	}
	for _, code := range slices.Sorted(maps.Keys(c.Failed)) {
		for range c.Failed[code] {
			record(metrics.MessagesFailed, 1, code)
		}
	}
	if sent := c.entries() - c.failed(); sent > 0 {
		record(metrics.MessagesSent, float64(sent), "")
	}
}

// HashToken returns an ID of a task's token: half of its SHA-256, in hexadecimal. The
// token itself is a credential that can end the task, and is not stored.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:len(sum)/2])
}
