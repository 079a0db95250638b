package lineage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// Arrival is the IDs that AWS's services gave to the record in which an event
// arrived. The services return the same IDs to the sender of the record, so they
// identify the sender if the record carries no trace context. The zero value is none.
type Arrival struct {
	RecordID       string // SQS's message ID, eventID of a stream, SNS's message ID without a queue in between
	NotificationID string // SNS's message ID, also of a notification in a queue
	OriginRequest  string // the request ID of the invocation whose result or failed event this is
	S3Request      string // x-amz-request-id of the request that changed the object
	TaskToken      string // TokenHash of the task token of Step Functions
	Change         string // SequenceNumber of a change in a table's stream
}

// ItemIDs returns the IDs by which a partial batch response can name the event's record:
// the message ID of SQS, the sequence number of a stream. AWS does not document which ID
// the new custom buses expect, so it can be any.
func (e *Event) ItemIDs(shape Shape) [3]string {
	switch shape {
	case ShapeSQS:
		return [3]string{e.Arrival.RecordID}
	case ShapeDynamoDB:
		return [3]string{e.Arrival.Change, e.Arrival.RecordID}
	case ShapeKinesis:
		_, number, _ := strings.Cut(e.Arrival.RecordID, ":") // shardId-…:sequence number
		return [3]string{number, e.Arrival.RecordID}
	}
	return [3]string{e.Arrival.RecordID, e.EnvelopeID, e.ID}
}

// InvocationContext identifies the service that made a direct invocation, if the
// user configured the service to put its context into the payload. The zero value is
// none.
type InvocationContext struct {
	Execution string // the ARN of the execution of Step Functions
	Starter   string // the ARN of the execution that started it, if its input has it
	TaskToken string // TokenHash of its task token
	Schedule  string // the ARN of the schedule of EventBridge Scheduler
}

// TokenHash returns an ID of a task token of Step Functions: the first 32 hexadecimal
// digits of its SHA-256. The token itself is a credential and is never written.
func TokenHash(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:16])
}

// maxContext is the largest payload that is searched for a service's context, in
// bytes. The payloads of Step Functions and EventBridge Scheduler are smaller.
const maxContext = 1 << 20

// servicesContext returns the context of Step Functions or of EventBridge Scheduler in
// the payload of a direct invocation.
func servicesContext(payload []byte) InvocationContext {
	if len(payload) > maxContext {
		return InvocationContext{}
	}
	var c contextScan
	c.scan(payload, 0)
	return InvocationContext{Execution: c.execution.text(), Starter: c.starter.text(), TaskToken: TokenHash(c.token.text()), Schedule: c.schedule.text()}
}

// only is a value that must be unique. If two different values are set, it is empty.
type only struct {
	value   string
	several bool
}

func (o *only) set(value string) {
	o.several = o.several || o.value != "" && o.value != value
	o.value = value
}

func (o *only) text() string {
	if o.several {
		return ""
	}
	return o.value
}

type contextScan struct{ execution, starter, token, schedule only }

// startedBy is the member by which Step Functions associates an execution with the one
// that started it (Step Functions developer guide, "Associate workflow executions").
const startedBy = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"

// scan searches an object's members and those of objects in it. Of the input of an
// execution, which may contain the context of another execution, it reads only startedBy.
func (c *contextScan) scan(object []byte, depth int) {
	const deepest = 2
	for m := jsonwalk.MembersOf(object, 0); m.Next(); {
		key := string(m.Key)
		switch value := m.Value; {
		case value[0] == '"':
			c.text(key, value)
		case value[0] != '{':
		case strings.EqualFold(key, "input"):
			c.text(startedBy, member(value, startedBy))
		case key == "Execution":
			c.text(key, member(value, "Id"))
			c.text(startedBy, member(member(value, "Input"), startedBy))
		case key == "Task":
			c.text("TaskToken", member(value, "Token"))
		case depth < deepest:
			c.scan(value, depth+1)
		}
	}
}

func (c *contextScan) text(key string, raw []byte) {
	const longest = 4096
	if len(raw) < 2 || len(raw) > longest || raw[0] != '"' {
		return
	}
	switch name := plainName(key); {
	case key == startedBy:
		if arn := jsonwalk.Text(raw); isARN(arn, "states", "execution:", "express:") {
			c.starter.set(arn)
		}
	case name == "execution" || name == "executionarn" || name == "executionid":
		if arn := jsonwalk.Text(raw); isARN(arn, "states", "execution:", "express:") {
			c.execution.set(arn)
		}
	case name == "tasktoken":
		c.token.set(jsonwalk.Text(raw))
	case name == "token":
		if token := jsonwalk.Text(raw); isTaskToken(token) {
			c.token.set(token)
		}
	case strings.Contains(name, "schedule"):
		if arn := jsonwalk.Text(raw); isARN(arn, "scheduler", "schedule/") {
			c.schedule.set(arn)
		}
	}
}

// plainName normalises the spelling of a member's name: execution_arn and ExecutionArn
// become the same.
func plainName(key string) string { return strings.ToLower(joints.Replace(key)) }

var joints = strings.NewReplacer("_", "", "-", "", ".", "")

// isARN reports whether arn is the ARN of a service's resource of one of these kinds.
func isARN(arn, service string, kinds ...string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == service &&
		slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(parts[5], kind) })
}

// isTaskToken reports whether a token is a task token of Step Functions. Other tokens
// may be in a member with the same name.
func isTaskToken(token string) bool {
	const shortest = 100
	return len(token) >= shortest && strings.Contains(token[:shortest], "AAAAKgAAAA")
}

// messageAttributes are the attributes of a message that are read.
type messageAttributes struct {
	traceparent, tracestate string
	datadog                 []byte // JSON
	requestID               string // of the failed invocation whose event Lambda sent to a dead-letter queue
}

// readAttributes reads the attributes of a message in the form that SQS passes to
// Lambda, or in SNS's form.
func readAttributes(raw []byte) (a messageAttributes) {
	request, code := "", ""
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		switch string(m.Key) {
		case "traceparent":
			a.traceparent = string(attributeValue(m.Value))
		case "tracestate":
			a.tracestate = string(attributeValue(m.Value))
		case "_datadog":
			a.datadog = attributeValue(m.Value)
		case "RequestID":
			request = string(attributeValue(m.Value))
		case "ErrorCode":
			code = string(attributeValue(m.Value))
		}
	}
	if code != "" { // Lambda sets both on messages to a dead-letter queue
		a.requestID = request
	}
	return a
}

// attributeValue is the value of an attribute: SQS's stringValue or binaryValue, or
// SNS's Value. A binaryValue, and a Value whose Type is Binary, is in base64.
func attributeValue(raw []byte) []byte {
	var value []byte
	encoded := false
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		switch string(m.Key) {
		case "stringValue", "Value":
			if len(m.Value) > 2 {
				value = jsonwalk.Inner(m.Value)
			}
		case "binaryValue":
			if len(m.Value) > 2 {
				value, encoded = jsonwalk.Inner(m.Value), true
			}
		case "Type":
			encoded = encoded || jsonwalk.Text(m.Value) == "Binary"
		}
	}
	if encoded {
		return decodeBase64(value)
	}
	return value
}

func decodeBase64(text []byte) []byte {
	plain, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil
	}
	return plain
}

// hopAttributes appends the IDs that identify the sender of the invocation's events,
// at most MaxLinks of each kind.
func (d *Delivery) hopAttributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	lists := [...]struct {
		one, many attribute.Key
		of        func(*Arrival) string
		first     string
	}{
		{"", keyMessageIDs, func(a *Arrival) string { return a.RecordID }, ""},
		{"", keyNotificationIDs, func(a *Arrival) string { return a.NotificationID }, ""},
		{"", keyS3Requests, func(a *Arrival) string { return a.S3Request }, ""},
		{keyOriginRequest, keyOriginRequests, func(a *Arrival) string { return a.OriginRequest }, ""},
		{keyTaskToken, keyTaskTokens, func(a *Arrival) string { return a.TaskToken }, d.Context.TaskToken},
	}
	for _, list := range lists {
		var ids []string
		if list.first != "" {
			ids = append(ids, list.first)
		}
		d.Each(func(e *Event) {
			id := list.of(&e.Arrival)
			if id == "" || len(id) > maxID || len(ids) == MaxLinks || list.one != "" && slices.Contains(ids, id) {
				return
			}
			ids = append(ids, id)
		})
		switch {
		case len(ids) == 0:
		case len(ids) == 1 && list.one != "":
			attrs = append(attrs, list.one.String(ids[0]))
		default:
			attrs = append(attrs, list.many.StringSlice(ids))
		}
	}
	if d.Context.Execution != "" {
		attrs = append(attrs, keyExecution.String(d.Context.Execution))
	}
	if d.Context.Starter != "" {
		attrs = append(attrs, keyStarter.String(d.Context.Starter))
	}
	if d.Context.Schedule != "" {
		attrs = append(attrs, keySchedule.String(d.Context.Schedule))
	}
	return attrs
}
