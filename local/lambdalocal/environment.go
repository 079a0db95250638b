package lambdalocal

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/local/internal/wire"
)

// Environment is one execution environment: a server for the three APIs, a
// /tmp, and one generation of processes after another. Safe for concurrent use.
type Environment struct {
	deployment *Deployment
	function   Function
	mode       Mode
	id         string
	tmp        string
	logStream  string
	token      string // of the container credentials endpoint
	address    string
	server     *http.Server
	relay      *relay
	disposed   chan struct{} // closed when the environment is removed

	preparing sync.Mutex // one initialisation at a time

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change of the fields below
	boot     *boot         // the generation of processes; nil before the first and after a reset
	boots    int
	restored bool
	frozen   bool
	killed   bool
	memory   int // peak, bytes

	// Guarded by the deployment's lock.
	busy      int
	retired   bool
	reason    string // of its shutdown
	idleSince time.Time
	reaper    *time.Timer
}

func newEnvironment(d *Deployment, mode Mode) (*Environment, error) {
	id := randomHex(16)
	e := &Environment{
		deployment: d, function: d.function, mode: mode, id: id, token: newUUID(),
		tmp:       filepath.Join(d.dir, id, "tmp"),
		logStream: time.Now().UTC().Format("2006/01/02/") + "[" + d.function.Version + "]" + id,
		relay:     newRelay(d.function.Telemetry.Fault),
		disposed:  make(chan struct{}), changed: make(chan struct{}),
	}
	if err := os.MkdirAll(e.tmp, 0o755); err != nil {
		return nil, fmt.Errorf("make the environment's /tmp: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the Runtime API: %w", err)
	}
	e.address = listener.Addr().String()
	e.server = &http.Server{Handler: wire.NoPages(e.api())}
	go func() { _ = e.server.Serve(listener) }()
	return e, nil
}

// ID returns the environment's ID: the instance ID in telemetry and the last part
// of its log stream's name.
func (e *Environment) ID() string { return e.id }

// Dir returns the environment's /tmp. Its processes get it as TMPDIR, and a reset
// keeps it.
func (e *Environment) Dir() string { return e.tmp }

// API returns the address of its APIs, AWS_LAMBDA_RUNTIME_API.
func (e *Environment) API() string { return e.address }

// Mode returns the environment's mode. In a function with provisioned concurrency,
// the mode of spillover environments is OnDemand.
func (e *Environment) Mode() Mode { return e.mode }

// LogStream returns the name of its log stream.
func (e *Environment) LogStream() string { return e.logStream }

// notify wakes the goroutines in await after a change. The caller holds the lock.
func (e *Environment) notify() {
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *Environment) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	e.notify()
}

// await blocks until done returns true, or returns ctx's error. It calls done at
// every change. The caller holds the lock, also at return and while done runs.
func (e *Environment) await(ctx context.Context, done func() bool) error {
	for !done() {
		if err := ctx.Err(); err != nil {
			return err
		}
		changed := e.changed
		e.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		e.mu.Lock()
	}
	return nil
}

func (e *Environment) hook(event Event) {
	if e.function.Hook != nil {
		event.Environment = e
		e.function.Hook(event)
	}
}

// emit emits a telemetry record. In the JSON log format it is also a line of the log.
func (e *Environment) emit(kind string, body any) {
	record := e.relay.emit(kind, body)
	if e.function.LogFormat == JSON && strings.HasPrefix(kind, "platform.") {
		e.log("platform", "", string(record.render(schemaNewest)))
	}
}

// platformLine writes a system log line of the Text format.
func (e *Environment) platformLine(format string, args ...any) {
	if e.function.LogFormat == Text {
		e.log("platform", "", fmt.Sprintf(format, args...))
	}
}

func (e *Environment) log(source, extension, text string) {
	e.deployment.service.log(LogLine{
		Time: time.Now(), Function: e.function.Name, Environment: e.id,
		Source: source, Extension: extension, Text: text,
	})
}

// output returns a function that writes a line of a process to the log and to telemetry.
func (e *Environment) output(source, extension string) func(string) {
	return func(line string) {
		e.log(source, extension, line)
		e.relay.emit(source, logBody(line, e.function.LogFormat))
	}
}

// Freeze stops every process of the environment at any point of its execution, and
// the delivery of telemetry. Deadlines continue.
func (e *Environment) Freeze() {
	e.relay.freeze()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frozen = true
	e.signalLocked(signalStop)
}

// Thaw resumes a frozen environment.
func (e *Environment) Thaw() {
	e.mu.Lock()
	if e.frozen {
		e.frozen = false
		e.signalLocked(signalCont)
	}
	e.mu.Unlock()
	e.relay.thaw()
}

// Frozen reports whether the environment is frozen: between invocations, and after
// Freeze.
func (e *Environment) Frozen() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frozen
}

// DropLogs emits platform.logsDropped.
func (e *Environment) DropLogs(records, bytes int, reason string) {
	e.emit("platform.logsDropped", logsDropped{DroppedBytes: bytes, DroppedRecords: records, Reason: reason})
}

// Shutdown shuts the environment down as Lambda does and removes it: at once if it
// is idle, else after the invocation in progress. An empty reason means "spindown".
// It returns when all processes have ended, so it must not be called from a Hook.
func (e *Environment) Shutdown(reason string) {
	reason = cmp.Or(reason, "spindown")
	e.deployment.retire(e, reason)
	<-e.disposed
}

// Retire takes the environment out of use: it is shut down as by [Environment.Shutdown],
// once the invocation in progress has ended. A Hook may call it during an invocation.
func (e *Environment) Retire() { e.deployment.retire(e, "spindown") }

// endWithin shuts the environment down, and kills it if an invocation takes longer than grace.
func (e *Environment) endWithin(grace time.Duration) {
	e.deployment.retire(e, "spindown")
	e.mu.Lock()
	shutting := e.boot == nil || e.boot.stopping
	e.mu.Unlock()
	if !shutting {
		select {
		case <-e.disposed:
		case <-time.After(grace):
			e.Kill()
		}
	}
	<-e.disposed
}

// Kill ends every process at once, without SHUTDOWN, and removes the environment,
// like the failure of a host. An invocation in progress fails.
func (e *Environment) Kill() {
	e.mu.Lock()
	e.killed = true
	if e.boot != nil {
		e.faultLocked(e.boot, fault{kind: "Sandbox.Failure", message: "the environment was lost", status: Failure})
	}
	e.signalLocked(signalKill)
	e.mu.Unlock()
	e.deployment.retire(e, "")
}

// KillExtension ends one extension. The environment then fails with
// Extension.Crash.
func (e *Environment) KillExtension(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.boot != nil {
		if a := e.boot.agentNamed(name); a != nil && a.process != nil {
			a.process.signal(signalKill)
			return nil
		}
	}
	return fmt.Errorf("no extension %s is running", name)
}

// KillRuntime ends the runtime process, like a crash.
func (e *Environment) KillRuntime() error { return e.killRuntime("") }

// OutOfMemory kills the runtime as the kernel does at the memory limit: in the
// report, the used memory equals the memory size. An empty errorType means
// Runtime.OutOfMemory; Lambda also reports Runtime.ExitError.
func (e *Environment) OutOfMemory(errorType string) error {
	errorType = cmp.Or(errorType, "Runtime.OutOfMemory")
	return e.killRuntime(errorType)
}

func (e *Environment) killRuntime(outOfMemory string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.boot == nil || e.boot.runtime == nil {
		return fmt.Errorf("no runtime is running")
	}
	e.boot.outOfMemory = outOfMemory
	e.boot.runtime.signal(signalKill)
	return nil
}

func (e *Environment) signalLocked(signal sysSignal) {
	if e.boot == nil {
		return
	}
	for _, p := range e.boot.processes {
		p.signal(signal)
	}
}

// measure updates the peak of the total memory of the processes.
func (e *Environment) measure() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.boot == nil {
		return
	}
	sum := 0
	for _, p := range e.boot.processes {
		sum += p.peakMemory()
	}
	e.memory = max(e.memory, sum)
}

// memoryMB returns the used memory for a report. It equals the memory size only after
// running out of memory.
func (e *Environment) memoryMB(outOfMemory bool) int {
	if outOfMemory {
		return e.function.Memory
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return min((e.memory+1<<20-1)>>20, e.function.Memory-1)
}
