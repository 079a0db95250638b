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

// Mode is how a function's environments come to be. Its values are those of
// AWS_LAMBDA_INITIALIZATION_TYPE; the zero value means [OnDemand].
type Mode string

// The modes of AWS Lambda.
const (
	// OnDemand initialises an environment when an invocation finds none idle.
	OnDemand Mode = "on-demand"
	// ProvisionedConcurrency initialises Function.Concurrency environments in
	// [Service.Create]; what exceeds them is served on demand.
	ProvisionedConcurrency Mode = "provisioned-concurrency"
	// SnapStart initialises an environment in [Service.Create], keeps it frozen
	// as its snapshot, and restores it for its first invocation. Credentials come
	// from the container credentials endpoint.
	SnapStart Mode = "snap-start"
	// ManagedInstances sends up to Function.Concurrency invocations at once to
	// one environment, never freezes it, and tells extensions of SHUTDOWN only.
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

// Credentials are what the function's role gives to its processes. The zero
// value stands for a fixed set of fake ones.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	// Expiration is told by the container credentials endpoint; zero means in six hours.
	Expiration time.Time
}

// Function describes a function to create. Only Name and Runtime are required.
type Function struct {
	Name    string
	Version string // zero: $LATEST
	Handler string // _HANDLER, and what extensions are told when they register

	// Runtime is the command line of the runtime process. Required.
	Runtime []string
	// Wrapper is the script that AWS_LAMBDA_EXEC_WRAPPER names: it is run with
	// Runtime as its arguments. Env's AWS_LAMBDA_EXEC_WRAPPER does the same.
	Wrapper string
	// Extensions are paths of external extensions, at most ten.
	Extensions []string
	// Env are the customer's variables. Names that Lambda reserves are refused.
	// PATH may be given; it is Lambda's otherwise.
	Env map[string]string
	// TaskRoot is LAMBDA_TASK_ROOT and the runtime's working directory.
	// Zero: the directory of Runtime[0] where that is a path, else Options.Dir.
	TaskRoot string
	// ExecutionEnv is AWS_EXECUTION_ENV. Zero: AWS_Lambda_provided.al2023.
	ExecutionEnv string

	Memory      int           // MB; zero: 128
	Timeout     time.Duration // zero: 3 s
	InitTimeout time.Duration // zero: 10 s on demand; else 130 s or Timeout, whichever is longer
	Mode        Mode
	// Concurrency is how many environments are initialised ahead
	// (ProvisionedConcurrency), or how many invocations one environment takes at
	// once (ManagedInstances). Zero: 1, and 10 for ManagedInstances.
	Concurrency int
	// MaxEnvironments is how many may exist at once; beyond them synchronous
	// invocations are throttled and asynchronous ones wait. Zero: 10.
	MaxEnvironments int
	// KeepAlive is how long an environment may stay idle before it is shut
	// down; provisioned ones stay. Zero: for ever.
	KeepAlive time.Duration
	// Retries of an asynchronous invocation that failed. Zero: 2, as Lambda; negative: none.
	Retries int
	// RetryDelay is the wait before the first retry, doubled before the second.
	// Zero: 100 ms, where Lambda waits a minute.
	RetryDelay time.Duration
	// OnAsync is told the outcome of each asynchronous invocation, after its last
	// attempt and before [Service.Wait] takes it for done: what destinations and
	// dead-letter queues are sent. It may be called from several goroutines at
	// once. Nil: not.
	OnAsync func(Outcome)

	// NoFreeze leaves processes running between invocations.
	NoFreeze  bool
	LogFormat LogFormat
	Telemetry Telemetry

	Region      string // zero: us-east-1
	AccountID   string // zero: 123456789012
	Credentials Credentials

	// Hook is called at each [Point] of an environment's life, and what happens
	// next waits for it. It may be called from several goroutines at once.
	Hook func(Event)
}

// Telemetry says how the Telemetry API behaves. The zero value is Lambda's way.
type Telemetry struct {
	// Answer to a subscription.
	Answer TelemetryAnswer
	// Fault is asked once for every record of an environment, and may drop,
	// repeat or delay it. Nil: no faults.
	Fault func(Record) Fault
	// HandledAsSuccess gives an invocation whose handler posted an error the
	// status success in runtimeDone and report, as AWS's emulator does. Otherwise
	// it is error with the mapped type. Which of them Lambda does is not certain.
	HandledAsSuccess bool
}

// TelemetryAnswer is how subscriptions are answered.
type TelemetryAnswer int

// The answers to a subscription.
const (
	// Accept answers 200 "OK" where the subscription is valid.
	Accept TelemetryAnswer = iota
	// NotSupported answers 202, as AWS's runtime interface emulator and SAM do.
	NotSupported
	// Refuse answers 400 to every subscription.
	Refuse
	// RefuseNewest answers 400 to schema 2025-01-29, as a region without it would.
	RefuseNewest
)

// Fault is what happens to one telemetry record. The zero value is nothing.
type Fault struct {
	Drop   bool
	Repeat int           // how many more times it is delivered
	Delay  time.Duration // how long it is kept back
	Hold   int           // kept back until so many more invocations have begun, or shutdown
}

// Point is a moment in an environment's life at which [Function.Hook] is called.
type Point string

// The points of an environment's life, in their order.
const (
	ExtensionRegistered Point = "extension registered" // before the answer to register is sent
	RuntimeStarted      Point = "runtime started"
	InitDone            Point = "init done"
	InvokeSent          Point = "invoke sent"   // the event is on its way to runtime and extensions
	ResponseSent        Point = "response sent" // the runtime's answer has been taken
	RuntimeDone         Point = "runtime done"  // the runtime has called next again
	InvokeDone          Point = "invoke done"   // and so have the extensions; before the freeze
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

// complete returns f with its defaults, or an error that says what is wrong.
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

// ARN is the function's Amazon Resource Name, unqualified.
func (f Function) ARN() string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", f.Region, f.AccountID, f.Name)
}
