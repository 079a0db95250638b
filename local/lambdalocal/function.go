package lambdalocal

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mode is how a function's environments are initialised. Its values are those of
// AWS_LAMBDA_INITIALIZATION_TYPE; the zero value means [OnDemand].
type Mode string

// The modes of AWS Lambda.
const (
	// OnDemand initialises an environment for an invocation if none is idle.
	OnDemand Mode = "on-demand"
	// ProvisionedConcurrency initialises Function.Concurrency environments in
	// [Service.Create]; invocations beyond them are served on demand.
	ProvisionedConcurrency Mode = "provisioned-concurrency"
	// SnapStart initialises an environment in [Service.Create], keeps it frozen
	// as its snapshot, and restores it for its first invocation. Credentials come
	// from the container credentials endpoint.
	SnapStart Mode = "snap-start"
	// ManagedInstances sends up to Function.Concurrency concurrent invocations to
	// one environment, never freezes it, and sends extensions only SHUTDOWN events.
	ManagedInstances Mode = "lambda-managed-instances"
)

// LogFormat is the function's LoggingConfig.LogFormat; the zero value is
// [Text], except on Managed Instances, which log JSON only.
type LogFormat string

// The log formats of AWS Lambda.
const (
	Text LogFormat = "Text"
	JSON LogFormat = "JSON"
)

// Credentials are the credentials of the function's role. The zero value means a
// fixed set of fake credentials.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	// Expiration is returned by the container credentials endpoint; zero means in six hours.
	Expiration time.Time
}

// Function describes a function to create. Only Name and Runtime are required.
type Function struct {
	Name    string
	Version string // zero: $LATEST
	Handler string // _HANDLER, and the handler in the response to register

	// Runtime is the command line of the runtime process. Required.
	Runtime []string
	// Wrapper is the script that AWS_LAMBDA_EXEC_WRAPPER names. It runs with Runtime
	// as its arguments. AWS_LAMBDA_EXEC_WRAPPER in Env has the same effect.
	Wrapper string
	// Extensions are paths of external extensions, at most ten.
	Extensions []string
	// Env are the customer's variables. Names that Lambda reserves are rejected.
	// PATH replaces Lambda's.
	Env map[string]string
	// TaskRoot is LAMBDA_TASK_ROOT and the runtime's working directory.
	// Zero: the directory of Runtime[0] if that is a path, else Options.Dir.
	TaskRoot string
	// ExecutionEnv is AWS_EXECUTION_ENV. Zero: AWS_Lambda_provided.al2023.
	ExecutionEnv string

	Memory      int           // MB; zero: 128
	Timeout     time.Duration // zero: 3 s
	InitTimeout time.Duration // zero: 10 s on demand; else 130 s or Timeout, whichever is longer
	Mode        Mode
	// Concurrency is how many environments are initialised in advance
	// (ProvisionedConcurrency), or how many concurrent invocations one environment
	// accepts (ManagedInstances). Zero: 1, and 10 for ManagedInstances.
	Concurrency int
	// MaxEnvironments is how many may exist at once. If all are busy, synchronous
	// invocations are throttled and asynchronous ones wait. Zero: 10.
	MaxEnvironments int
	// KeepAlive is how long an environment may be idle before it is shut down;
	// provisioned ones are never shut down. Zero: no limit.
	KeepAlive time.Duration
	// Retries of a failed asynchronous invocation. Zero: 2, as in Lambda; negative: none.
	Retries int
	// RetryDelay is the wait before the first retry, doubled before the second.
	// Zero: 100 ms. Lambda waits a minute.
	RetryDelay time.Duration
	// OnAsync is called with the outcome of each asynchronous invocation, after its
	// last attempt and before [Service.Wait] considers it complete. Use it to send to
	// destinations and dead-letter queues. It may be called from several goroutines
	// at once. Nil: not called.
	OnAsync func(Outcome)

	// NoFreeze leaves processes running between invocations.
	NoFreeze  bool
	LogFormat LogFormat
	Telemetry Telemetry

	Region      string // zero: us-east-1
	AccountID   string // zero: 123456789012
	Credentials Credentials

	// Hook is called at each [Point] of an environment's life. The environment
	// waits for its return. It may be called from several goroutines at once.
	Hook func(Event)
}

// Telemetry defines how the Telemetry API behaves. The zero value behaves as Lambda.
type Telemetry struct {
	// Answer is the response to a subscription.
	Answer TelemetryAnswer
	// Fault is called once for every record of an environment, and may drop,
	// repeat or delay it. Nil: no faults.
	Fault func(Record) Fault
	// HandledAsSuccess gives an invocation whose handler posted an error the
	// status success in runtimeDone and report, as AWS's emulator does. Otherwise
	// the status is error with the mapped type. It is uncertain which one Lambda uses.
	HandledAsSuccess bool
}

// TelemetryAnswer is the response to subscriptions.
type TelemetryAnswer int

// The responses to a subscription.
const (
	// Accept responds with 200 "OK" if the subscription is valid.
	Accept TelemetryAnswer = iota
	// NotSupported responds with 202, as AWS's runtime interface emulator and SAM do.
	NotSupported
	// Refuse responds with 400 to every subscription.
	Refuse
	// RefuseNewest responds with 400 to schema 2025-01-29, as a Region without it would.
	RefuseNewest
)

// Fault is a fault injected into one telemetry record. The zero value is no fault.
type Fault struct {
	Drop   bool
	Repeat int           // how many more times it is delivered
	Delay  time.Duration // how long it is delayed
	Hold   int           // delayed until this many more invocations have begun, or until shutdown
}

// Point is a moment in an environment's life at which [Function.Hook] is called.
type Point string

// The points of an environment's life, in their order.
const (
	ExtensionRegistered Point = "extension registered" // before the response to register is sent
	RuntimeStarted      Point = "runtime started"
	InitDone            Point = "init done"
	InvokeSent          Point = "invoke sent"   // the event is sent to the runtime and the extensions
	ResponseSent        Point = "response sent" // the runtime's response has been accepted
	RuntimeDone         Point = "runtime done"  // the runtime has called next again
	InvokeDone          Point = "invoke done"   // the extensions have too; before the freeze
	ShutdownSent        Point = "shutdown sent" // extensions have their SHUTDOWN event
)

// Event is one call of [Function.Hook].
type Event struct {
	Point       Point
	Environment *Environment
	RequestID   string // "" outside an invocation
	Extension   string // of ExtensionRegistered
}

const (
	maxExtensions  = 10
	defaultVersion = "$LATEST"
)

// reserved are the variables that Lambda does not let customers set.
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_RUNTIME_API",
	"AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "TMPDIR",
}

// complete returns f with its defaults, or an error if f is invalid.
func (f Function) complete(dir string) (Function, error) {
	if f.Name == "" || len(f.Runtime) == 0 {
		return f, errors.New("a function needs a name and a runtime")
	}
	if len(f.Extensions) > maxExtensions {
		return f, fmt.Errorf("%d extensions: Lambda starts at most %d", len(f.Extensions), maxExtensions)
	}
	names := map[string]bool{}
	for _, path := range f.Extensions {
		if name := filepath.Base(path); names[name] {
			return f, fmt.Errorf("two extensions are called %s", name)
		}
		names[filepath.Base(path)] = true
	}
	for name := range f.Env {
		if slices.Contains(reserved, name) {
			return f, fmt.Errorf("variable %s is reserved by Lambda", name)
		}
	}
	modes := []Mode{"", OnDemand, ProvisionedConcurrency, SnapStart, ManagedInstances}
	if !slices.Contains(modes, f.Mode) {
		return f, fmt.Errorf("mode %q is not one of Lambda's", f.Mode)
	}
	if wrapper := f.Env["AWS_LAMBDA_EXEC_WRAPPER"]; f.Wrapper == "" {
		f.Wrapper = wrapper
	}
	if f.TaskRoot == "" && strings.Contains(f.Runtime[0], "/") {
		f.TaskRoot = filepath.Dir(f.Runtime[0])
	}
	return f.withDefaults(dir), nil
}

func (f Function) withDefaults(dir string) Function {
	f.Version = cmp.Or(f.Version, defaultVersion)
	f.TaskRoot = cmp.Or(f.TaskRoot, dir)
	f.ExecutionEnv = cmp.Or(f.ExecutionEnv, "AWS_Lambda_provided.al2023")
	f.Region = cmp.Or(f.Region, "us-east-1")
	f.AccountID = cmp.Or(f.AccountID, "123456789012")
	f.Mode = cmp.Or(f.Mode, OnDemand)
	if f.Credentials.AccessKeyID == "" {
		f.Credentials = Credentials{AccessKeyID: "ASIALOCALLAMBDALOCAL", SecretAccessKey: "local", SessionToken: "local"}
	}
	managed := f.Mode == ManagedInstances
	f.LogFormat = cmp.Or(f.LogFormat, Text)
	if managed {
		f.LogFormat = JSON
	}
	f.Memory = cmp.Or(f.Memory, 128)
	f.Timeout = cmp.Or(f.Timeout, 3*time.Second)
	switch {
	case f.InitTimeout > 0:
	case f.Mode == OnDemand:
		f.InitTimeout = 10 * time.Second
	default:
		f.InitTimeout = max(130*time.Second, f.Timeout)
	}
	switch {
	case f.Concurrency > 0:
	case managed:
		f.Concurrency = 10
	default:
		f.Concurrency = 1
	}
	f.MaxEnvironments = cmp.Or(f.MaxEnvironments, 10)
	switch {
	case f.Retries < 0:
		f.Retries = 0
	case f.Retries == 0:
		f.Retries = 2
	}
	f.RetryDelay = cmp.Or(f.RetryDelay, 100*time.Millisecond)
	return f
}

// ARN returns the function's unqualified ARN.
func (f Function) ARN() string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", f.Region, f.AccountID, f.Name)
}
