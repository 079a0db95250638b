package lambdalocal

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// Status is how an invocation or a phase ended, in telemetry's words.
type Status string

// The statuses of telemetry records.
const (
	Success Status = "success"
	Failure Status = "failure" // the platform's fault: an environment that was killed
	Error   Status = "error"   // the function's or an extension's
	Timeout Status = "timeout"
)

// InvokeOptions are what a caller may say beside the payload. The zero value is an ordinary call.
type InvokeOptions struct {
	RequestID   string // zero: minted
	TraceHeader string // X-Ray header, handed on as it is; zero: minted with Sampled=0
	NoTrace     bool   // no trace header at all
	// ClientContext is JSON, handed on as it is.
	ClientContext string
	// CognitoIdentityID and CognitoPoolID are handed on as Lambda-Runtime-Cognito-Identity.
	CognitoIdentityID, CognitoPoolID string
	TenantID                         string
	ContentType                      string // zero: application/json
	// Wait makes Invoke wait for an environment where MaxEnvironments are busy,
	// instead of being throttled. An environment is busy until its extensions
	// are done, which is after the answer: see Service.Wait.
	Wait bool
	// Stream receives the response as the runtime writes it. Nil: it is only in Result.
	Stream io.Writer
}

// Result is what the caller of an invocation gets.
type Result struct {
	RequestID string
	// FunctionError is "" or "Unhandled", as X-Amz-Function-Error.
	FunctionError string
	// ErrorType is the mapped error type, such as Runtime.ExitError or Sandbox.Timedout.
	ErrorType       string
	Payload         []byte
	ExecutedVersion string
}

// Outcome is how an asynchronous invocation ended.
type Outcome struct {
	Result          // of the last attempt
	Request  []byte // the payload that it was invoked with
	Attempts int
}

// FailedMessages returns those of an SQS batch's message IDs that the result
// leaves in the queue, as an event source mapping with ReportBatchItemFailures
// decides it: all of them when the function failed or its batchItemFailures
// cannot be understood or name a message that is not of the batch.
func (r Result) FailedMessages(batch []string) []string {
	if r.FunctionError != "" {
		return batch
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal(r.Payload, &answer) != nil || answer["batchItemFailures"] == nil {
		return nil
	}
	var failures []struct {
		ID *string `json:"itemIdentifier"`
	}
	if json.Unmarshal(answer["batchItemFailures"], &failures) != nil {
		return batch
	}
	var failed []string
	for _, failure := range failures {
		if failure.ID == nil || !slices.Contains(batch, *failure.ID) {
			return batch
		}
		failed = append(failed, *failure.ID)
	}
	return failed
}

// Invocation is the ground truth of one attempt at an invocation: what a
// product's own numbers are compared with. It is a copy: safe to keep.
type Invocation struct {
	RequestID   string
	Attempt     int // 1, and 2 or 3 for the retries of an asynchronous invocation
	Async       bool
	Environment string // Environment.ID
	// ColdStart is true when the environment had to be initialised or restored for it.
	ColdStart bool
	// InitPhase is "init", "invoke" (a suppressed init after a reset), "snap-start"
	// (restored) or "" for a warm environment.
	InitPhase string
	Init      time.Duration // of the init phase that this invocation waited for, or of the suppressed one
	Restore   time.Duration
	Start     time.Time // when the invoke phase began, after init
	Deadline  time.Time
	// Fetched is when the runtime was handed the event; zero where it never fetched it.
	Fetched time.Time
	// RuntimeDuration is platform.runtimeDone's, Duration platform.report's: it
	// includes the extensions. Zero until Done.
	RuntimeDuration, Duration time.Duration
	Status                    Status
	ErrorType                 string
	MemorySize, MaxMemoryUsed int // MB
	RequestBytes              int
	ResponseBytes             int
	TraceHeader, TenantID     string
	// Done is true when runtime and extensions were finished and the report was written.
	Done bool
}

// LogLine is one line of the function's log stream.
type LogLine struct {
	Time        time.Time
	Function    string
	Environment string
	// Source is "platform", "function" or "extension".
	Source    string
	Extension string // its name, where Source is "extension"
	Text      string // without its line end
}

// Record is one telemetry record before it is written for a subscriber.
type Record struct {
	Time time.Time
	Type string // platform.start, function, extension, …
	// Body is the value of "record" under the newest schema, as JSON.
	Body json.RawMessage
}
