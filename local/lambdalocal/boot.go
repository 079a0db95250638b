package lambdalocal

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"
)

// boot is one generation of an environment's processes, from start to end. Guarded
// by the environment's lock.
type boot struct {
	phase       string
	registering bool // extensions may register
	subscribing bool // extensions may subscribe to telemetry
	stopping    bool // exits are expected
	over        bool // blocked calls return

	processes []*process
	agents    []*agent
	runtime   *process
	// ready is true once the runtime has called next, or restore/next.
	ready       bool
	snapshot    bool // the runtime waits in restore/next
	released    bool // restore/next may return
	outOfMemory string
	fault       *fault // the first thing that ends the generation

	queue  []*invocation          // not yet fetched by the runtime
	active map[string]*invocation // not yet finished
}

// fault is why a generation cannot continue.
type fault struct {
	kind    string // an error type of Lambda
	message string
	status  Status // zero: Error
	payload []byte // posted by the runtime itself
	// outOfMemory is true if the memory limit ended the runtime.
	outOfMemory bool
}

func (f fault) outcome() Status {
	if f.status == "" {
		return Error
	}
	return f.status
}

// recordType returns telemetry's errorType. A timeout has none.
func (f fault) recordType() string {
	if f.status == Timeout {
		return ""
	}
	return f.kind
}

var timedOut = fault{kind: "Sandbox.Timedout", status: Timeout}

// faultLocked records the first fault of a generation.
func (e *Environment) faultLocked(b *boot, f fault) {
	if b.fault == nil && !b.stopping {
		b.fault = &f
		e.notify()
	}
}

func (b *boot) agentNamed(name string) *agent {
	for _, a := range b.agents {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (b *boot) every(is func(*agent) bool) bool {
	return !slices.ContainsFunc(b.agents, func(a *agent) bool { return !is(a) })
}

// awaitBoot waits until done returns true, or returns the fault that prevents it.
func (e *Environment) awaitBoot(ctx context.Context, b *boot, done func() bool) *fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.await(ctx, func() bool { return b.fault != nil || done() })
	switch {
	case b.fault != nil:
		return b.fault
	case err != nil:
		f := timedOut
		return &f
	}
	return nil
}

// initialise starts a generation and returns the duration of its init, or why it failed.
func (e *Environment) initialise(ctx context.Context, phase string) (time.Duration, *fault) {
	b := &boot{phase: phase, registering: true, subscribing: true, active: map[string]*invocation{}}
	e.change(func() { e.boot, e.boots = b, e.boots+1 })
	f := e.function
	begin := time.Now()
	e.emit("platform.initStart", initStart{
		InitializationType: e.mode, Phase: phase, FunctionName: f.Name, FunctionArn: f.ARN(), FunctionVersion: f.Version,
		InstanceID: e.id, InstanceMaxMemory: f.Memory, RuntimeVersion: runtimeVersion, RuntimeVersionArn: runtimeVersionARN(f.Region),
	})
	e.platformLine("INIT_START Runtime Version: %s\tRuntime Version ARN: %s", runtimeVersion, runtimeVersionARN(f.Region))
	failed := e.bringUp(ctx, b)
	took := time.Since(begin).Truncate(time.Microsecond)
	outcome := initReport{InitializationType: e.mode, Phase: phase, Status: Success, Metrics: durationMetrics{milliseconds(took)}}
	if failed != nil {
		outcome.Status, outcome.ErrorType = failed.outcome(), failed.recordType()
	}
	e.reportExtensions(b)
	e.emit("platform.initReport", outcome)
	if failed != nil || e.mode != OnDemand {
		e.platformLine("INIT_REPORT Init Duration: %.2f ms\tPhase: %s\tStatus: %s\tError Type: %s",
			milliseconds(took), phase, outcome.Status, outcome.ErrorType)
	}
	if failed == nil {
		e.hook(Event{Point: InitDone})
	}
	return took, failed
}

const runtimeVersion = "provided:al2023.v100"

func runtimeVersionARN(region string) string {
	return "arn:aws:lambda:" + region + "::runtime:0000000000000000000000000000000000000000000000000000000000000000"
}

// bringUp starts the extensions, then the runtime, and waits until all wait for an event.
func (e *Environment) bringUp(ctx context.Context, b *boot) *fault {
	done := initRuntimeDone{InitializationType: e.mode, Phase: b.phase, Status: Success}
	failed := e.startExtensions(ctx, b)
	if failed == nil {
		failed = e.startRuntime(ctx, b)
	}
	if failed != nil {
		done.Status, done.ErrorType = failed.outcome(), failed.recordType()
	}
	e.emit("platform.initRuntimeDone", done)
	e.change(func() { b.registering = false })
	if failed == nil {
		failed = e.awaitBoot(ctx, b, func() bool { return b.every((*agent).idle) })
	}
	e.change(func() { b.subscribing = false })
	e.relay.closeSubscription()
	return failed
}

func (e *Environment) startExtensions(ctx context.Context, b *boot) *fault {
	variables := environ(e.extensionVariables())
	for _, path := range e.function.Extensions {
		name := filepath.Base(path)
		a := &agent{name: name, external: true, state: agentStarted}
		e.change(func() { b.agents = append(b.agents, a) })
		p, err := e.launch(b, name, []string{path}, variables, e.output("extension", name), func(p *process) {
			e.extensionExited(b, a, p)
		})
		if err != nil {
			e.change(func() { a.state, a.errorType = agentLaunch, "Extension.LaunchError" })
			return &fault{kind: "Extension.LaunchError", message: err.Error()}
		}
		e.change(func() { a.process = p })
	}
	return e.awaitBoot(ctx, b, func() bool {
		return b.every(func(a *agent) bool { return !a.external || a.state != agentStarted })
	})
}

func (e *Environment) startRuntime(ctx context.Context, b *boot) *fault {
	argv := e.function.Runtime
	if e.function.Wrapper != "" {
		argv = append([]string{e.function.Wrapper}, argv...)
	}
	p, err := e.launch(b, "runtime", argv, environ(e.runtimeVariables()), e.output("function", ""), func(p *process) {
		e.runtimeExited(b, p)
	})
	if err != nil {
		return &fault{kind: "Runtime.InvalidEntrypoint", message: err.Error()}
	}
	e.change(func() { b.runtime = p })
	e.hook(Event{Point: RuntimeStarted})
	return e.awaitBoot(ctx, b, func() bool { return b.ready })
}

// launch starts a process of the generation.
func (e *Environment) launch(b *boot, name string, argv, variables []string, line func(string), exited func(*process)) (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.killed {
		return nil, errors.New("the environment was lost")
	}
	p, err := launch(name, argv, variables, e.function.TaskRoot, line, exited)
	if err == nil {
		b.processes = append(b.processes, p)
	}
	return p, err
}

func (e *Environment) extensionExited(b *boot, a *agent, p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !b.stopping && a.state != agentInitError && a.state != agentExitError {
		a.errorType = "Extension.Crash"
	}
	a.state = agentExited
	e.faultLocked(b, fault{kind: "Extension.Crash", message: "extension " + a.name + " exited: " + p.exit})
	e.notify()
}

func (e *Environment) runtimeExited(b *boot, p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := fault{kind: "Runtime.ExitError", message: "Runtime exited with error: " + p.exit}
	if p.exit == "exit status 0" {
		f.message = "Runtime exited without providing a reason"
	}
	if b.outOfMemory != "" {
		f.kind, f.outOfMemory = b.outOfMemory, true
	}
	e.faultLocked(b, f)
	e.notify()
}

// reportExtensions emits a record with the state of each extension.
func (e *Environment) reportExtensions(b *boot) {
	e.mu.Lock()
	records := make([]extensionRecord, 0, len(b.agents))
	for _, a := range b.agents {
		events := a.events
		if events == nil {
			events = []string{}
		}
		records = append(records, extensionRecord{Name: a.name, State: string(a.state), Events: events, ErrorType: a.errorType})
	}
	e.mu.Unlock()
	for _, record := range records {
		e.emit("platform.extension", record)
		e.platformLine("EXTENSION\tName: %s\tState: %s\tEvents: %v\tError Type: %s", record.Name, record.State, record.Events, record.ErrorType)
	}
}
