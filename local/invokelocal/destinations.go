package invokelocal

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/sqslocal"
)

// Destination receives the record of a completed asynchronous invocation. function is
// the function's ARN, condition Success or RetriesExhausted.
type Destination func(function, condition string, record []byte)

// Destinations are the destinations of a function. The zero value sends nothing.
type Destinations struct {
	OnSuccess, OnFailure Destination
	// DeadLetter is the function's dead-letter queue: it receives the event of a
	// failed invocation, with the attributes RequestID, ErrorCode and ErrorMessage.
	// Nil: none.
	DeadLetter *sqslocal.Queue
}

// record is the record that a destination receives (AWS Lambda developer guide,
// "Capturing records of Lambda asynchronous invocations").
type record struct {
	Version         string          `json:"version"`
	Timestamp       string          `json:"timestamp"`
	RequestContext  requestContext  `json:"requestContext"`
	RequestPayload  json.RawMessage `json:"requestPayload"`
	ResponseContext responseContext `json:"responseContext"`
	ResponsePayload json.RawMessage `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// Of returns the [lambdalocal.Function.OnAsync] for the function with this ARN.
func (d Destinations) Of(function string) func(lambdalocal.Outcome) {
	return func(o lambdalocal.Outcome) {
		condition, to := "Success", d.OnSuccess
		if o.FunctionError != "" {
			condition, to = "RetriesExhausted", d.OnFailure
		}
		if o.FunctionError != "" && d.DeadLetter != nil {
			_, _ = d.DeadLetter.Send(deadLetter(o), "") // if the queue rejects it, it is lost, as in Lambda
		}
		if to == nil {
			return
		}
		r := record{
			Version: "1.0", Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			RequestContext:  requestContext{o.RequestID, function + ":" + o.ExecutedVersion, condition, o.Attempts},
			RequestPayload:  raw(o.Request),
			ResponseContext: responseContext{200, o.ExecutedVersion, o.FunctionError},
			ResponsePayload: raw(o.Payload),
		}
		data, err := json.Marshal(r)
		if err == nil {
			to(function, condition, data)
		}
	}
}

// raw returns JSON unchanged, and anything else as a JSON string.
func raw(data []byte) json.RawMessage {
	if json.Valid(data) {
		return data
	}
	quoted, _ := json.Marshal(string(data)) // strings always marshal
	return quoted
}

func deadLetter(o lambdalocal.Outcome) sqslocal.Entry {
	var failure struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(o.Payload, &failure)
	if failure.Message == "" {
		failure.Message = o.ErrorType
	}
	code := sqslocal.String("200")
	code.DataType = "Number"
	const most = 1024 // bytes of the message that Lambda keeps
	return sqslocal.Entry{MessageBody: string(o.Request), MessageAttributes: map[string]sqslocal.Attribute{
		"RequestID": sqslocal.String(o.RequestID), "ErrorCode": code, "ErrorMessage": sqslocal.String(failure.Message[:min(len(failure.Message), most)]),
	}}
}

// ToQueue returns a destination that sends records to a queue.
func ToQueue(q *sqslocal.Queue) Destination {
	return func(_, _ string, record []byte) { _, _ = q.Send(sqslocal.Entry{MessageBody: string(record)}, "") }
}

// ToBus returns a destination that puts records on a bus as events of the source
// "lambda". name is the bus's name; "" is the default bus.
func ToBus(b *buslocal.Bus, name string) Destination {
	return func(function, condition string, record []byte) {
		kind := "Lambda Function Invocation Result - Success"
		if condition != "Success" {
			kind = "Lambda Function Invocation Result - Failure"
		}
		body, err := json.Marshal(map[string]any{"Entries": []any{map[string]any{
			"Source": "lambda", "DetailType": kind, "Detail": string(record), "EventBusName": name, "Resources": []string{function + ":$LATEST"},
			"Time": json.Number(strconv.FormatInt(time.Now().Unix(), 10)),
		}}})
		if err == nil {
			_, _ = b.Put(body, "")
		}
	}
}
