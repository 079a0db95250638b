package lambdalocal

import (
	"context"
	"io"
	"net/http"
	"time"
)

const restoreTimeout = 10 * time.Second

// restoreFor thaws a snapshot for its first invocation: the runtime returns
// from restore/next, runs its hooks and calls next.
func (e *Environment) restoreFor(inv *invocation) *fault {
	e.mu.Lock()
	b := e.boot
	e.restored = true
	b.released = true
	if b.snapshot {
		b.ready = false
	}
	e.notify()
	e.mu.Unlock()
	f := e.function
	begin := time.Now()
	e.emit("platform.restoreStart", restoreStart{
		FunctionName: f.Name, FunctionVersion: f.Version, InstanceID: e.id, InstanceMaxMemory: f.Memory,
		RuntimeVersion: runtimeVersion, RuntimeVersionArn: runtimeVersionARN(f.Region),
	})
	ctx, cancel := context.WithTimeout(context.Background(), restoreTimeout)
	defer cancel()
	failed := e.awaitBoot(ctx, b, func() bool { return b.ready })
	took := time.Since(begin).Truncate(time.Microsecond)
	status, kind := Success, ""
	if failed != nil {
		status, kind = failed.outcome(), failed.recordType()
	}
	e.emit("platform.restoreRuntimeDone", restoreRuntimeDone{Status: status, ErrorType: kind})
	e.emit("platform.restoreReport", restoreReport{Status: status, ErrorType: kind, Metrics: durationMetrics{milliseconds(took)}})
	e.platformLine("RESTORE_REPORT Restore Duration: %.2f ms\tStatus: %s", milliseconds(took), status)
	inv.begin = time.Now()
	inv.phase, inv.restore = "snap-start", took
	return failed
}

// serveRestoreNext ends the runtime's part of the init phase and blocks until the
// snapshot is restored. In a suppressed init there is no snapshot.
func (e *Environment) serveRestoreNext(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	b := e.boot
	if b == nil || b.ready {
		e.mu.Unlock()
		forbid(w, "InvalidStateTransition", "restore/next is called once, during init")
		return
	}
	if b.phase == "invoke" {
		e.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		return
	}
	b.ready, b.snapshot = true, true
	e.notify()
	err := e.await(r.Context(), func() bool { return b.released || b.over })
	released := err == nil && b.released
	e.mu.Unlock()
	if !released {
		containerError(w)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// serveRestoreError handles an error of the runtime's restore hooks.
func (e *Environment) serveRestoreError(w http.ResponseWriter, r *http.Request) {
	e.serveRuntimeFailure(w, r, func(b *boot) bool { return b.released && !b.ready })
}

// serveInitError handles an error of the runtime's initialisation.
func (e *Environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	e.serveRuntimeFailure(w, r, func(b *boot) bool { return !b.ready && !b.released })
}

func (e *Environment) serveRuntimeFailure(w http.ResponseWriter, r *http.Request, allowed func(*boot) bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		containerError(w)
		return
	}
	kind := mapErrorType(r.Header.Get(functionErrorHeader))
	e.mu.Lock()
	b := e.boot
	ok := b != nil && allowed(b)
	if ok {
		e.faultLocked(b, fault{kind: kind, message: "the runtime reported " + kind, payload: body})
	}
	e.mu.Unlock()
	if !ok {
		forbid(w, "InvalidStateTransition", "State transition is not allowed")
		return
	}
	accepted(w)
}
