package lambdalocal

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// invocation is one attempt of an invocation in an environment.
type invocation struct {
	id      string
	attempt int
	async   bool
	trace   string
	payload []byte
	options InvokeOptions

	begin    time.Time // start of the function's timeout
	deadline time.Time
	phase    string // of the init it waited for
	init     time.Duration
	restore  time.Duration
	done     chan struct{} // closed when the report is written

	// Guarded by the environment's lock.
	released  time.Time // the event was ready for the runtime
	handed    bool      // the runtime has fetched it
	answering bool      // the runtime has begun to respond
	firstByte time.Time
	settled   time.Time // the caller has received the response
	readied   time.Time // the runtime called next again
	result    Result
	produced  int
	answered  chan struct{} // closed with settled

	index int // in the deployment's list of invocations
}

// handle runs one invocation in the environment, from thaw to freeze.
func (e *Environment) handle(inv *invocation) {
	e.Thaw()
	e.relay.invocationBegins()
	failed := e.prepare(inv)
	inv.deadline = inv.begin.Add(e.function.Timeout)
	e.deployment.update(inv, func(truth *Invocation) {
		truth.ColdStart, truth.InitPhase = inv.phase != "", inv.phase
		truth.Init, truth.Restore = inv.init, inv.restore
		truth.Start, truth.Deadline = inv.begin, inv.deadline
	})
	e.emitStart(inv)
	if failed == nil {
		failed = e.invoke(inv)
	} else {
		e.emitRuntimeDone(inv, failed)
	}
	e.finish(inv, failed)
}

// prepare makes the environment ready: warm, restored, or initialised. A failed
// init phase is repeated under the function's timeout.
func (e *Environment) prepare(inv *invocation) *fault {
	e.preparing.Lock()
	defer e.preparing.Unlock()
	e.mu.Lock()
	b, fresh, unrestored := e.boot, e.boots == 0, e.mode == SnapStart && !e.restored
	healthy := b != nil && b.fault == nil
	e.mu.Unlock()
	if b != nil && !healthy {
		e.stop(b, "failure") // it crashed between invocations
	}
	if fresh {
		took, failed := e.initialiseAhead()
		if failed == nil {
			healthy = true
			if e.mode != SnapStart {
				inv.phase, inv.init = "init", took
			}
		}
	}
	inv.begin = time.Now()
	if healthy {
		if unrestored {
			return e.restoreFor(inv)
		}
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), inv.begin.Add(e.function.Timeout))
	defer cancel()
	e.change(func() { e.restored = true }) // this initialisation creates no snapshot
	took, failed := e.initialise(ctx, "invoke")
	inv.phase, inv.init = "invoke", took
	return failed
}

// initialiseAhead runs the init phase under its own timeout and cleans up after a failure.
func (e *Environment) initialiseAhead() (time.Duration, *fault) {
	phase := "init"
	if e.mode == SnapStart {
		phase = "snap-start"
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.function.InitTimeout)
	defer cancel()
	took, failed := e.initialise(ctx, phase)
	if failed != nil {
		e.reset(failed)
	}
	return took, failed
}

// reset ends the generation after a fault. The next invocation starts a new one.
func (e *Environment) reset(failed *fault) {
	reason := "failure"
	if failed.status == Timeout {
		reason = "timeout"
	}
	e.mu.Lock()
	b := e.boot
	e.mu.Unlock()
	if b != nil {
		e.stop(b, reason)
	}
}

// invoke sends the event to the runtime and the extensions and waits until all have handled it.
func (e *Environment) invoke(inv *invocation) *fault {
	ctx, cancel := context.WithDeadline(context.Background(), inv.deadline)
	defer cancel()
	e.mu.Lock()
	b := e.boot
	if b == nil {
		e.mu.Unlock()
		return &fault{kind: "Sandbox.Failure", message: "the environment was lost", status: Failure}
	}
	inv.released = time.Now()
	b.active[inv.id] = inv
	b.queue = append(b.queue, inv)
	for _, a := range b.agents {
		if a.wants("INVOKE") {
			a.pending = append(a.pending, &agentEvent{
				EventType: "INVOKE", DeadlineMs: inv.deadline.UnixMilli(), RequestID: inv.id,
				InvokedFunctionArn: e.function.ARN(), Tracing: traceOf(inv.trace),
			})
		}
	}
	e.notify()
	e.mu.Unlock()
	e.hook(Event{Point: InvokeSent, RequestID: inv.id})
	failed := e.awaitBoot(ctx, b, func() bool { return !inv.readied.IsZero() })
	e.emitRuntimeDone(inv, failed)
	if failed != nil {
		return failed
	}
	e.hook(Event{Point: RuntimeDone, RequestID: inv.id})
	return e.awaitBoot(ctx, b, func() bool {
		return b.every(func(a *agent) bool { return !a.wants("INVOKE") || a.idle() })
	})
}

// settle returns the result to the caller, once. produced is the size of the runtime's response.
func (e *Environment) settle(inv *invocation, result Result, produced int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !inv.settled.IsZero() {
		return
	}
	result.RequestID, result.ExecutedVersion = inv.id, e.function.Version
	inv.result, inv.produced, inv.settled = result, produced, time.Now()
	if inv.firstByte.IsZero() {
		inv.firstByte = inv.settled
	}
	if e.mode == ManagedInstances {
		inv.readied = inv.settled // several loops call next: a call does not show which invocation ended
	}
	close(inv.answered)
	e.notify()
}

// fail returns an error to the caller of an invocation that the platform ended.
func (e *Environment) fail(inv *invocation, failed *fault) {
	message := failed.message
	if failed.status == Timeout {
		message = fmt.Sprintf("Task timed out after %.2f seconds", e.function.Timeout.Seconds())
	}
	payload := failed.payload
	if payload == nil {
		payload, _ = json.Marshal(apiError{failed.kind, "RequestId: " + inv.id + " Error: " + message})
	}
	e.settle(inv, Result{FunctionError: "Unhandled", ErrorType: failed.kind, Payload: payload}, 0)
}

// finish resets after a fault, writes the report, and freezes the environment.
func (e *Environment) finish(inv *invocation, failed *fault) {
	end := time.Now()
	if failed != nil {
		e.fail(inv, failed)
		if failed.status == Timeout {
			end = inv.deadline
		}
	} else {
		e.hook(Event{Point: InvokeDone, RequestID: inv.id})
	}
	e.measure()
	e.mu.Lock()
	if e.boot != nil {
		delete(e.boot.active, inv.id)
	}
	e.mu.Unlock()
	switch {
	case e.mode == ManagedInstances:
		// Other invocations may still run in it, so it is replaced and not reset.
		if failed != nil && failed.status != Timeout {
			e.deployment.retire(e, "failure")
		}
		e.emitReport(inv, failed, end)
	case failed != nil:
		e.reset(failed)
		e.emitReport(inv, failed, end)
	case e.function.NoFreeze:
		e.emitReport(inv, failed, end)
	default:
		// Records that are emitted now are not delivered before the next thaw.
		e.relay.freeze()
		e.emitReport(inv, failed, end)
		e.Freeze()
	}
	close(inv.done)
}

func (e *Environment) emitStart(inv *invocation) {
	e.emit("platform.start", invokeStart{
		RequestID: inv.id, Version: e.function.Version, TenantID: inv.options.TenantID,
		FunctionArn: e.function.ARN(), Tracing: traceOf(inv.trace),
	})
	e.platformLine("START RequestId: %s Version: %s", inv.id, e.function.Version)
}

// outcome returns the status and the error type of an invocation in telemetry.
func (e *Environment) outcome(inv *invocation, failed *fault) (Status, string) {
	switch {
	case failed != nil:
		return failed.outcome(), failed.recordType()
	case inv.result.FunctionError != "" && !e.function.Telemetry.HandledAsSuccess:
		return Error, inv.result.ErrorType
	default:
		return Success, ""
	}
}

// emitRuntimeDone emits platform.runtimeDone, except on Managed Instances.
func (e *Environment) emitRuntimeDone(inv *invocation, failed *fault) {
	e.mu.Lock()
	end := inv.readied
	if end.IsZero() {
		end = time.Now()
	}
	if failed != nil && failed.status == Timeout {
		end = inv.deadline
	}
	from := inv.released
	if from.IsZero() { // it never reached the runtime
		from = inv.begin
	}
	took := end.Sub(from).Truncate(time.Microsecond)
	record := runtimeDone{
		RequestID: inv.id, TenantID: inv.options.TenantID, Tracing: traceOf(inv.trace), Spans: inv.spans(),
		Metrics: &runtimeDoneMetrics{DurationMs: milliseconds(took), ProducedBytes: inv.produced},
	}
	record.Status, record.ErrorType = e.outcome(inv, failed)
	e.mu.Unlock()
	e.deployment.update(inv, func(truth *Invocation) { truth.RuntimeDuration = took })
	if e.mode != ManagedInstances {
		e.emit("platform.runtimeDone", record)
	}
}

// spans returns the completed parts of the runtime's time.
func (inv *invocation) spans() []span {
	if inv.settled.IsZero() || inv.released.IsZero() {
		return nil
	}
	spans := []span{newSpan("responseLatency", inv.released, inv.firstByte), newSpan("responseDuration", inv.firstByte, inv.settled)}
	if inv.readied.After(inv.settled) {
		spans = append(spans, newSpan("runtimeOverhead", inv.settled, inv.readied))
	}
	return spans
}

// emitReport emits platform.report and records the same values as the ground truth.
func (e *Environment) emitReport(inv *invocation, failed *fault, end time.Time) {
	took := end.Sub(inv.begin).Truncate(time.Microsecond)
	memory := e.memoryMB(failed != nil && failed.outOfMemory)
	e.mu.Lock()
	status, errorType := e.outcome(inv, failed)
	record := report{RequestID: inv.id, TenantID: inv.options.TenantID, Status: status, ErrorType: errorType, Tracing: traceOf(inv.trace)}
	if e.mode == ManagedInstances {
		record.Metrics, record.Spans = durationMetrics{milliseconds(took)}, inv.spans()
	} else if !inv.readied.IsZero() && len(e.function.Extensions) > 0 {
		record.Spans = []span{newSpan("extensionOverhead", inv.readied, end)}
	}
	size := inv.produced
	functionError := inv.result.ErrorType
	e.mu.Unlock()
	metrics := reportMetrics{DurationMs: milliseconds(took), MemorySizeMB: e.function.Memory, MaxMemoryUsedMB: memory, RestoreDurationMs: milliseconds(inv.restore)}
	billed := took
	if inv.phase == "init" { // the init phase is billed; the duration includes a suppressed one
		metrics.InitDurationMs = milliseconds(inv.init)
		billed += inv.init
	}
	metrics.BilledDurationMs = int64(math.Ceil(milliseconds(billed)))
	if e.mode != ManagedInstances {
		record.Metrics = metrics
	}
	outcome := Success
	switch {
	case failed != nil:
		outcome = failed.outcome()
	case functionError != "":
		outcome = Error
	}
	e.deployment.count(outcome)
	e.deployment.update(inv, func(truth *Invocation) {
		truth.Duration, truth.MemorySize, truth.MaxMemoryUsed, truth.ResponseBytes, truth.Done = took, e.function.Memory, memory, size, true
		truth.Status, truth.ErrorType = outcome, functionError
		if failed != nil {
			truth.ErrorType = failed.kind
		}
	})
	e.emit("platform.report", record)
	e.platformLine("END RequestId: %s", inv.id)
	e.platformLine("%s", reportLine(inv.id, metrics, status, errorType))
}

// reportLine returns the REPORT line of a log in the Text format.
func reportLine(id string, m reportMetrics, status Status, errorType string) string {
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		id, m.DurationMs, m.BilledDurationMs, m.MemorySizeMB, m.MaxMemoryUsedMB)
	if m.InitDurationMs > 0 {
		line += fmt.Sprintf("Init Duration: %.2f ms\t", m.InitDurationMs)
	}
	if m.RestoreDurationMs > 0 {
		line += fmt.Sprintf("Restore Duration: %.2f ms\t", m.RestoreDurationMs)
	}
	if status != Success {
		line += fmt.Sprintf("Status: %s", status)
	}
	if errorType != "" {
		line += "\tError Type: " + errorType
	}
	return line
}
