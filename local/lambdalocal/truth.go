package lambdalocal

import (
	"encoding/json"
	"io"
	"slices"
	"time"
)

// Status is how an invocation or a phase ended, as in telemetry.
type Status string

// The statuses of telemetry records.
const (
	Success Status = "success"
	Failure Status = "failure" // of the platform: the environment was killed
	Error   Status = "error"   // of the function or an extension
	Timeout Status = "timeout"
)

// InvokeOptions are options of a call besides the payload. The zero value is an ordinary call.
type InvokeOptions struct {
	RequestID   string // zero: a new one
	TraceHeader string // X-Ray header, passed on unchanged; zero: a new one with Sampled=0
	NoTrace     bool   // no trace header at all
	// ClientContext is JSON, passed on unchanged.
	ClientContext string
	// CognitoIdentityID and CognitoPoolID are passed on as Lambda-Runtime-Cognito-Identity.
	CognitoIdentityID, CognitoPoolID string
	TenantID                         string
	ContentType                      string // zero: application/json
	// Wait makes Invoke wait for an environment if MaxEnvironments are busy, instead
	// of being throttled. An environment is busy until its extensions are done, which
	// is after the response: see Service.Wait.
	Wait bool
	// Stream receives the response as the runtime writes it. Nil: it is only in Result.
	Stream io.Writer
}

// Result is what the caller of an invocation receives.
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
	Request  []byte // the payload of the invocation
	Attempts int
}

// FailedMessages returns the message IDs of an SQS batch that the result leaves in
// the queue, or the sequence numbers of a stream's batch that it names, according to the rules of an event source mapping with
// ReportBatchItemFailures: all of them if the function failed, or if its
// batchItemFailures is invalid or has an ID that is not in the batch.
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

// Invocation is the ground truth of one attempt of an invocation, with which a
// product's own numbers are compared. It is a copy: safe to keep.
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
	// Fetched is when the runtime fetched the event; zero if it never did.
	Fetched time.Time
	// RuntimeDuration is the duration in platform.runtimeDone, and Duration the one in
	// platform.report, which includes the extensions. Zero until Done.
	RuntimeDuration, Duration time.Duration
	Status                    Status
	ErrorType                 string
	MemorySize, MaxMemoryUsed int // MB
	RequestBytes              int
	ResponseBytes             int
	TraceHeader, TenantID     string
	// Done is true once runtime and extensions are done and the report is written.
	Done bool
}

// LogLine is one line of the function's log stream.
type LogLine struct {
	Time        time.Time
	Function    string
	Environment string
	// Source is "platform", "function" or "extension".
	Source    string
	Extension string // its name, if Source is "extension"
	Text      string // without the line end
}

// Record is one telemetry record before it is rendered for a subscriber.
type Record struct {
	Time time.Time
	Type string // platform.start, function, extension, …
	// Body is the value of "record" under the newest schema, as JSON.
	Body json.RawMessage
}
