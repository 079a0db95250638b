package lambdalocal

import (
	"context"
	"errors"
	"io"
)

// Options of a [Service].
type Options struct {
	// Dir is where functions keep their files: each environment has its own /tmp
	// under it. Required.
	Dir string
	// Log receives every line of every log stream, as CloudWatch Logs would. Nil: none.
	Log io.Writer
	// OnLog is called with every line of every log stream, one at a time. Nil: not.
	OnLog func(LogLine)
}

// Service is a local AWS Lambda. Safe for concurrent use.
type Service struct {
	options Options
}

// New returns a Service without functions. Close it to stop what it starts.
func New(options Options) *Service { return &Service{options: options} }

var errNotYet = errors.New("not ready yet")

// Create makes a function known and, in the modes that initialise ahead, waits until it is initialised.
func (s *Service) Create(f Function) (*Deployment, error) { return nil, errNotYet }

// Wait returns when no invocation is running or queued, or with ctx's error.
func (s *Service) Wait(ctx context.Context) error { return errNotYet }

// Close shuts every environment down as Lambda does when it reaps them, and
// waits for that. Invocations still running are cut off, queued ones given up.
func (s *Service) Close() error { return nil }

// Deployment is a function that a [Service] runs. Safe for concurrent use.
type Deployment struct{}

// ErrThrottled is returned by Invoke where MaxEnvironments are busy.
var ErrThrottled = errors.New("TooManyRequestsException: Rate Exceeded.")

// ErrTooLarge is returned where a payload exceeds 6 MB, or 1 MB asynchronously.
var ErrTooLarge = errors.New("RequestTooLargeException: the payload exceeds the limit")

// Invoke calls the function and waits for its answer. An error of the function
// is in the result; the error is ErrThrottled, ErrTooLarge, ctx's or that the service is closed.
// The invocation goes on when ctx ends before it.
func (d *Deployment) Invoke(ctx context.Context, payload []byte, options InvokeOptions) (Result, error) {
	return Result{}, errNotYet
}

// InvokeAsync queues an invocation and returns its request ID. A failed one is
// tried twice more with the same ID.
func (d *Deployment) InvokeAsync(payload []byte, options InvokeOptions) (string, error) {
	return "", errNotYet
}

// Environments are those that live now, oldest first.
func (d *Deployment) Environments() []*Environment { return nil }

// Invocations is the ground truth of every attempt so far, in the order they were handed to environments.
func (d *Deployment) Invocations() []Invocation { return nil }

// Environment is one execution environment. Safe for concurrent use.
type Environment struct{}

// ID names the environment; it is the instance ID of telemetry and the end of its log stream's name.
func (e *Environment) ID() string { return "" }

// Dir is the environment's /tmp, which its processes see as TMPDIR and which a reset keeps.
func (e *Environment) Dir() string { return "" }

// Shutdown waits for the invocation in progress, shuts the environment down with the given
// reason (zero: spindown) as Lambda does, and removes it.
func (e *Environment) Shutdown(reason string) {}

// Kill ends every process at once, without SHUTDOWN, and removes the environment.
func (e *Environment) Kill() {}

// KillExtension ends one extension, which takes the environment down with Extension.Crash.
func (e *Environment) KillExtension(name string) error { return errNotYet }

// KillRuntime ends the runtime process, as a crash would.
func (e *Environment) KillRuntime() error { return errNotYet }

// OutOfMemory kills the runtime as the kernel does at the memory limit: the report shows memory = size.
// errorType zero is Runtime.OutOfMemory; Lambda has also been seen to say Runtime.ExitError.
func (e *Environment) OutOfMemory(errorType string) error { return errNotYet }

// Freeze stops every process of the environment, in the middle of whatever it does.
func (e *Environment) Freeze() {}

// Thaw lets a frozen environment go on.
func (e *Environment) Thaw() {}

// DropLogs emits platform.logsDropped.
func (e *Environment) DropLogs(records, bytes int, reason string) {}
