package lambdalocal

import (
	"context"
	"time"
)

// Lambda's limits for a shutdown. The extensions' time counts from its start, and
// the runtime has the first part of it.
const (
	shutdownBudget         = 2 * time.Second
	shutdownBudgetInternal = 500 * time.Millisecond
	runtimeShare           = 300 * time.Millisecond
	runtimeShareManaged    = 600 * time.Millisecond
	flushBudget            = 250 * time.Millisecond
)

// stop ends a generation: it flushes telemetry, sends SIGTERM to the runtime and
// SHUTDOWN with the reason to the extensions, and at the deadline SIGKILL to all
// remaining processes.
func (e *Environment) stop(b *boot, reason string) {
	var external, internal int
	e.change(func() {
		b.stopping = true
		for _, a := range b.agents {
			if a.external {
				external++
			} else {
				internal++
			}
		}
	})
	if !e.wasKilled() && external+internal > 0 {
		e.Thaw()
		e.flush()
		budget, share := shutdownBudget, runtimeShare
		if e.mode == ManagedInstances {
			share = runtimeShareManaged
		}
		if external == 0 {
			budget, share = shutdownBudgetInternal, shutdownBudgetInternal
		}
		deadline := time.Now().Add(budget)
		e.endRuntime(b, share)
		e.endExtensions(b, reason, deadline)
	}
	e.end(b)
}

// flush waits shortly for the delivery of the last invocation's telemetry before SHUTDOWN is sent.
func (e *Environment) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), flushBudget)
	defer cancel()
	e.relay.flush(ctx)
}

func (e *Environment) endRuntime(b *boot, share time.Duration) {
	e.mu.Lock()
	runtime := b.runtime
	e.mu.Unlock()
	if runtime == nil {
		return
	}
	runtime.terminate()
	select {
	case <-runtime.done:
	case <-time.After(share):
		runtime.signal(signalKill)
	}
}

func (e *Environment) endExtensions(b *boot, reason string, deadline time.Time) {
	var subscribed []*process
	e.change(func() {
		for _, a := range b.agents {
			switch {
			case a.process == nil:
			case a.wants("SHUTDOWN"):
				a.pending = append(a.pending, &agentEvent{EventType: "SHUTDOWN", ShutdownReason: reason, DeadlineMs: deadline.UnixMilli()})
				subscribed = append(subscribed, a.process)
			default:
				a.process.signal(signalKill)
			}
		}
	})
	e.hook(Event{Point: ShutdownSent})
	timeout := time.After(time.Until(deadline))
	for _, p := range subscribed {
		select {
		case <-p.done:
		case <-timeout:
			return
		}
	}
}

// end kills the remaining processes of a generation and discards it.
func (e *Environment) end(b *boot) {
	e.mu.Lock()
	b.stopping = true
	processes := b.processes
	for _, p := range processes {
		p.signal(signalKill)
	}
	e.mu.Unlock()
	for _, p := range processes {
		<-p.done
	}
	e.relay.thaw()
	e.change(func() {
		b.over = true
		if e.boot == b {
			e.boot, e.frozen = nil, false
		}
	})
	e.relay.endGeneration()
}

func (e *Environment) wasKilled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.killed
}

// dispose ends the environment permanently. No invocation runs in it any more.
func (e *Environment) dispose(reason string) {
	e.mu.Lock()
	b := e.boot
	e.mu.Unlock()
	if b != nil {
		e.stop(b, reason)
	}
	_ = e.server.Close()
	close(e.disposed)
}
