package hops

import (
	"reflect"

	"github.com/throughline/throughline/internal/hop"
)

// field is the named field of a struct v or *v. It is not valid if there is
// none.
func field(v reflect.Value, name string) reflect.Value {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	v = v.FieldByName(name)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

// text is a field that is a text; empty where it is none.
func text(v reflect.Value, name string) string {
	if v = field(v, name); v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

// length is that of a field that is a text or bytes.
func length(v reflect.Value, name string) int64 {
	switch v = field(v, name); {
	case v.Kind() == reflect.String:
		return int64(v.Len())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return int64(v.Len())
	}
	return 0
}

// each calls see with each element of a list field.
func each(v reflect.Value, name string, see func(reflect.Value)) {
	if v = field(v, name); v.Kind() != reflect.Slice {
		return
	}
	for i := range min(v.Len(), hop.MaxIDs) {
		see(v.Index(i))
	}
}

// first is the first of fields that has a text.
func first(v reflect.Value, names ...string) string {
	for _, name := range names {
		if s := text(v, name); s != "" {
			return s
		}
	}
	return ""
}

// batches are the calls of several messages or records. Looking for a field that
// a struct does not have takes the longest.
var batches = map[string]bool{"SendMessageBatch": true, "PublishBatch": true, "PutRecords": true}

// readInput reads the target and the sizes of a call from its input.
func readInput(c *hop.Call, input any) {
	v := reflect.ValueOf(input)
	bodies := func(entries, body string) {
		if !batches[c.Operation] {
			c.Size = length(v, body)
			return
		}
		each(v, entries, func(entry reflect.Value) {
			c.Batch++
			c.Size += length(entry, body)
		})
	}
	switch c.Service {
	case hop.SQS:
		c.Target = text(v, "QueueUrl")
		bodies("Entries", "MessageBody")
	case hop.SNS:
		c.Target = first(v, "TopicArn", "TargetArn")
		bodies("PublishBatchRequestEntries", "Message")
	case hop.Kinesis:
		c.Target = first(v, "StreamName", "StreamARN")
		bodies("Records", "Data")
	case hop.Lambda:
		c.Target, c.Size = text(v, "FunctionName"), length(v, "Payload")
		if c.InvocationType = text(v, "InvocationType"); c.InvocationType == "" {
			c.InvocationType = "RequestResponse"
		}
	case hop.States:
		c.Target, c.Size = text(v, "StateMachineArn"), length(v, "Input")+length(v, "Output")+length(v, "Cause")
		if token := text(v, "TaskToken"); token != "" {
			c.TaskHash = hop.HashToken(token)
		}
	case hop.Scheduler:
		group := text(v, "GroupName")
		if group == "" {
			group = "default"
		}
		target := field(v, "Target")
		c.Target, c.Size, c.ScheduleTarget = group+"/"+text(v, "Name"), length(target, "Input"), text(target, "Arn")
		c.ScheduleAt = hop.At(text(v, "ScheduleExpression"), text(v, "ScheduleExpressionTimezone"))
	}
}

// readOutput reads the IDs and failures from a call's output.
func readOutput(c *hop.Call, output any) {
	v := reflect.ValueOf(output)
	id := func(of string) {
		if of != "" {
			c.IDs = append(c.IDs, of)
		}
	}
	failed := func(code string) {
		if code == "" {
			return
		}
		if c.Failed == nil {
			c.Failed = map[string]int{}
		}
		c.Failed[code]++
	}
	record := func(record reflect.Value) {
		if shard, number := text(record, "ShardId"), text(record, "SequenceNumber"); shard != "" && number != "" {
			id(shard + ":" + number)
		}
		failed(text(record, "ErrorCode"))
	}
	switch batch := batches[c.Operation]; c.Service {
	case hop.SQS, hop.SNS:
		if !batch {
			id(text(v, "MessageId"))
			return
		}
		each(v, "Successful", func(entry reflect.Value) { id(text(entry, "MessageId")) })
		each(v, "Failed", func(entry reflect.Value) { failed(first(entry, "Code")) })
	case hop.Kinesis:
		if !batch {
			record(v)
			return
		}
		each(v, "Records", record)
	case hop.States:
		id(text(v, "ExecutionArn"))
	case hop.Scheduler:
		id(text(v, "ScheduleArn"))
	}
}
