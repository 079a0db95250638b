// Package hop describes a call to a service other than EventBridge's buses (a
// message, a record, an invocation, an execution or a schedule) and makes its
// span and its metrics.
package hop

import (
	"slices"
	"strings"
	"time"
)

// The services whose calls are hops: the values of throughline.hop.
const (
	SQS       = "sqs"
	SNS       = "sns"
	Lambda    = "lambda"
	States    = "states"
	Scheduler = "scheduler"
	Kinesis   = "kinesis"
)

// operations are the operations that are hops, by service.
var operations = [...]struct {
	service string
	names   [5]string
}{
	{SQS, [5]string{"SendMessage", "SendMessageBatch"}},
	{SNS, [5]string{"Publish", "PublishBatch"}},
	{Lambda, [5]string{"Invoke", "InvokeWithResponseStream"}},
	{States, [5]string{"StartExecution", "StartSyncExecution", success, failure, heartbeat}},
	{Scheduler, [5]string{"CreateSchedule"}},
	{Kinesis, [5]string{"PutRecord", "PutRecords"}},
}

// The operations that end a task of a state machine, or report its progress.
const (
	success   = "SendTaskSuccess"
	failure   = "SendTaskFailure"
	heartbeat = "SendTaskHeartbeat"
)

// Known reports whether an operation of a service is a hop.
func Known(service, operation string) bool {
	for i := range operations {
		if o := &operations[i]; o.service == service {
			return operation != "" && slices.Contains(o.names[:], operation)
		}
	}
	return false
}

// KnownOperation reports whether a hop of any service has this name.
func KnownOperation(operation string) bool {
	for i := range operations {
		if Known(operations[i].service, operation) {
			return true
		}
	}
	return false
}

// Carries reports whether calls to a service can carry a span in their trace header.
func Carries(service string) bool { return service == SQS || service == SNS }

// Bounds of the values of one call.
const (
	MaxIDs   = 500 // records of a PutRecords request, the largest batch of all services
	MaxCodes = 16
)

// Call is one call of an SDK, including its retries. It does not contain the body.
type Call struct {
	Service, Operation string
	// Target is the target in the request: a queue's URL, the ARN or the name of a
	// topic, function, state machine or stream, or a schedule's group and name.
	Target string
	Region string
	Batch  int   // entries of a batch; 0 if the call is not a batch
	Size   int64 // of the bodies, in bytes
	// IDs are the IDs that the service returned: of messages, records, the
	// invocation, the execution or the schedule.
	IDs    []string
	Failed map[string]int // entries that failed, by code
	// InvocationType is the type of an invocation: Event, RequestResponse or DryRun.
	InvocationType string
	TaskHash       string // see HashToken
	// ScheduleTarget is the ARN of the target of a schedule, and ScheduleAt its time,
	// if it runs once.
	ScheduleTarget string
	ScheduleAt     time.Time
	Error          string // code or class, if the call failed as a whole
	Unknown        bool   // it is not known whether the call failed: Error is what was observed
	Carried        bool   // the trace header carried the span
	Start, End     time.Time
}

// entries returns the number of messages, records or invocations in the call.
func (c *Call) entries() int { return max(c.Batch, 1) }

// failed returns the number of entries that failed.
func (c *Call) failed() int {
	switch {
	case c.Unknown:
		return 0
	case c.Error != "":
		return c.entries()
	}
	n := 0
	for _, count := range c.Failed {
		n += count
	}
	return n
}

// task reports whether the call is for a task, which only its token identifies.
func (c *Call) task() bool { return strings.HasPrefix(c.Operation, "SendTask") }

// name returns a short name of the target.
func (c *Call) name() string {
	switch c.Service {
	case SQS, Kinesis:
		return c.Target[strings.LastIndexByte(c.Target, '/')+1:]
	case SNS:
		if !strings.HasPrefix(c.Target, "arn:") {
			return "sms" // a phone number is personal data
		}
		name := c.Target[strings.LastIndexByte(c.Target, ':')+1:]
		if at := strings.LastIndexByte(name, '/'); at >= 0 { // a device: endpoint/GCM/app/ID
			name = name[:at]
		}
		return name
	case Lambda:
		return functionName(c.Target)
	case States:
		if arn := strings.Split(c.Target, ":"); len(arn) > machineAt {
			return arn[machineAt]
		}
	case Scheduler:
		return c.Target[strings.LastIndexByte(c.Target, '/')+1:]
	}
	return c.Target
}

// The places of parts in an ARN.
const (
	regionAt  = 3
	machineAt = 6
)

// functionName returns the function's name in the FunctionName of an Invoke: a name, a
// partial ARN (123456789012:function:name) or an ARN, with or without a version.
func functionName(target string) string {
	if _, rest, ok := strings.Cut(target, ":function:"); ok {
		target = rest
	}
	name, _, _ := strings.Cut(target, ":")
	return name
}

// region returns the target's region, else the client's.
func (c *Call) region() string {
	if arn := strings.Split(c.Target, ":"); arn[0] == "arn" && len(arn) > regionAt && arn[regionAt] != "" {
		return arn[regionAt]
	}
	return c.Region
}

// Dimension is the target in the form that metrics use. There may be a schedule or a
// task for each call, so schedules are identified by their group, and tasks not at all.
func (c *Call) Dimension() string {
	name := c.name()
	switch {
	case c.task():
		name = "task"
	case c.Service == Scheduler:
		group, _, ok := strings.Cut(c.Target, "/")
		if name = group; !ok {
			name = "default"
		}
	}
	return c.Service + ":" + name
}

// At returns the time of a one-time schedule (Scheduler user guide, "Schedule types").
// It is zero for other schedules, and if the time zone is not known on this machine.
func At(expression, timezone string) time.Time {
	const longestZone = 50
	local, isAt := strings.CutPrefix(strings.TrimSuffix(expression, ")"), "at(")
	if !isAt || len(timezone) > longestZone {
		return time.Time{}
	}
	zone, err := time.LoadLocation(timezone) // empty is UTC
	if err != nil || zone == time.Local {
		return time.Time{}
	}
	when, err := time.ParseInLocation("2006-01-02T15:04:05", local, zone)
	if err != nil {
		return time.Time{}
	}
	return when
}
