package lambdalocal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// pids are the processes that an environment runs now.
func pids(e *Environment) []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []int
	for _, p := range e.boot.processes {
		all = append(all, p.cmd.Process.Pid)
	}
	return all
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestShutdown(t *testing.T) {
	t.Run("Order", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("spindown", map[string]string{
			"TEST_SIGTERM": "1", "TEST_EXT_A": script{Subscribe: everything}.String(), "TEST_EXT_B": script{Events: []string{"INVOKE"}}.String(),
		}, "ext-a", "ext-b")
		points := w.points(&f)
		d := w.create(f)
		w.invoke(d, `{}`)
		w.settled()
		e := d.Environments()[0]
		running := pids(e)
		e.Shutdown("")
		if len(w.saw("runtime", "sigterm")) != 1 {
			t.Error("the runtime had no SIGTERM")
		}
		events := w.saw("ext-a", "event")
		if last := decode[agentEvent](t, events[len(events)-1].Body); last.EventType != "SHUTDOWN" || last.ShutdownReason != "spindown" {
			t.Errorf("ext-a had %+v", last)
		}
		if events := w.saw("ext-b", "event"); len(events) != 1 {
			t.Errorf("ext-b, not subscribed to SHUTDOWN, had %d events", len(events))
		}
		for _, pid := range running {
			if !gone(pid) {
				t.Errorf("process %d is left", pid)
			}
		}
		if got := points(); got[len(got)-1] != ShutdownSent {
			t.Errorf("points %q", got)
		}
		if len(d.Environments()) != 0 {
			t.Error("the environment is still there")
		}
	})
	t.Run("Deadline", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("stubborn", map[string]string{
			"TEST_SIGTERM": "ignore", "TEST_EXT_A": script{Stay: true}.String(),
		}, "ext-a")
		d := w.create(f)
		w.invoke(d, `{}`)
		w.settled()
		e := d.Environments()[0]
		running := pids(e)
		e.Shutdown("timeout")
		now := time.Now()
		events := w.saw("ext-a", "event")
		last := decode[agentEvent](t, events[len(events)-1].Body)
		if now.UnixMilli() < last.DeadlineMs || last.ShutdownReason != "timeout" {
			t.Errorf("killed %d ms before the deadline of %+v", last.DeadlineMs-now.UnixMilli(), last)
		}
		for _, pid := range running {
			if !gone(pid) {
				t.Errorf("process %d is left", pid)
			}
		}
	})
	t.Run("WithoutExtensions", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("alone", map[string]string{"TEST_SIGTERM": "1"}))
		w.invoke(d, `{}`)
		w.settled()
		d.Environments()[0].Shutdown("")
		if len(w.saw("runtime", "sigterm")) != 0 {
			t.Error("without extensions the runtime is killed")
		}
	})
	t.Run("InternalOnly", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("internal", map[string]string{"TEST_SIGTERM": "1", "TEST_INTERNAL": "internal"}))
		w.invoke(d, `{}`)
		w.settled()
		d.Environments()[0].Shutdown("")
		if len(w.saw("runtime", "sigterm")) != 1 {
			t.Error("with an internal extension the runtime gets SIGTERM")
		}
	})
	t.Run("WaitsForTheInvocation", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("busy", nil, "ext-a"))
		done, ended := make(chan Result, 1), make(chan struct{})
		go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
		w.untilSaw("runtime", "invocation", 1)
		e := d.Environments()[0]
		go func() { e.Shutdown(""); close(ended) }()
		w.until("it is out of use", func() bool { return len(d.Environments()) == 0 })
		w.open("go")
		if got := <-done; got.FunctionError != "" {
			t.Errorf("got %+v", got)
		}
		<-ended
		if last := decode[agentEvent](t, w.untilSaw("ext-a", "event", 2)[1].Body); last.ShutdownReason != "spindown" {
			t.Errorf("the extension had %+v", last)
		}
	})
}

func TestKill(t *testing.T) {
	t.Run("Idle", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("kill", map[string]string{"TEST_SIGTERM": "1"}, "ext-a"))
		w.invoke(d, `{}`)
		w.settled()
		e := d.Environments()[0]
		running := pids(e)
		e.Kill()
		<-e.disposed
		for _, pid := range running {
			if !gone(pid) {
				t.Errorf("process %d is left", pid)
			}
		}
		if len(w.saw("ext-a", "event")) != 1 || len(w.saw("runtime", "sigterm")) != 0 {
			t.Error("a killed environment is told nothing")
		}
		w.invoke(d, `{}`)
		w.settled()
		if second := d.Invocations()[1]; second.Environment == e.ID() || second.InitPhase != "init" {
			t.Errorf("truth %+v", second)
		}
	})
	t.Run("InAnInvocation", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("kill", nil, "ext-a"))
		done := make(chan Result, 1)
		go func() { done <- w.invoke(d, `{"hang":true}`) }()
		w.untilSaw("runtime", "invocation", 1)
		w.untilSaw("ext-a", "event", 1)
		e := d.Environments()[0]
		e.Kill()
		if got := <-done; got.ErrorType != "Sandbox.Failure" {
			t.Errorf("got %+v", got)
		}
		w.settled()
		if len(w.saw("ext-a", "event")) != 1 {
			t.Error("SHUTDOWN was sent")
		}
		if truth := d.Invocations()[0]; truth.Status != Failure || !truth.Done {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("DuringInit", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("kill", map[string]string{"TEST_EXT_A": script{InitGate: "never"}.String()}, "ext-a"))
		done := make(chan Result, 1)
		go func() { done <- w.invoke(d, `{}`) }()
		w.untilSaw("ext-a", "environment", 1)
		d.Environments()[0].Kill()
		if got := <-done; got.FunctionError != "Unhandled" {
			t.Errorf("got %+v", got)
		}
		w.settled()
	})
}

func TestKillExtensionAtAPoint(t *testing.T) {
	for _, point := range []Point{RuntimeStarted, InvokeSent, RuntimeDone} {
		t.Run(string(point), func(t *testing.T) {
			w := newWorld(t)
			behaviour, payload := script{}, `{}`
			switch point { // something goes on until the crash is seen
			case InvokeSent:
				payload = `{"hang":true}`
			case RuntimeDone:
				behaviour.WorkGate = "never"
			}
			f := w.function("kill", map[string]string{"TEST_EXT_A": behaviour.String()}, "ext-a", "ext-b")
			killed := false
			f.Hook = func(e Event) {
				if e.Point == point && !killed {
					killed = true
					if err := e.Environment.KillExtension("ext-a"); err != nil {
						t.Error(err)
					}
				}
			}
			d := w.create(f)
			first := w.invoke(d, payload)
			w.settled()
			truth := d.Invocations()[0]
			switch point {
			case RuntimeStarted: // in the init phase, which is then repeated and well
				if first.FunctionError != "" || truth.InitPhase != "invoke" {
					t.Errorf("got %+v, truth %+v", first, truth)
				}
			case InvokeSent:
				if first.ErrorType != "Extension.Crash" || truth.ErrorType != "Extension.Crash" {
					t.Errorf("got %+v, truth %+v", first, truth)
				}
			case RuntimeDone:
				if first.FunctionError != "" || truth.Status != Error || truth.ErrorType != "Extension.Crash" {
					t.Errorf("got %+v, truth %+v", first, truth)
				}
			}
			reasons := []string{}
			for _, s := range w.saw("ext-b", "event") {
				if event := decode[agentEvent](t, s.Body); event.EventType == "SHUTDOWN" {
					reasons = append(reasons, event.ShutdownReason)
				}
			}
			if !slices.Equal(reasons, []string{"failure"}) {
				t.Errorf("the other extension was told %q", reasons)
			}
		})
	}
	t.Run("Idle", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("kill", nil, "ext-a", "ext-b"))
		w.invoke(d, `{}`)
		w.settled()
		e := d.Environments()[0]
		if err := e.KillExtension("ext-a"); err != nil {
			t.Fatal(err)
		}
		w.until("the crash is seen", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.boot.fault != nil
		})
		if got := w.invoke(d, `{}`); got.FunctionError != "" {
			t.Errorf("got %+v", got)
		}
		w.settled()
		if truth := d.Invocations()[1]; truth.InitPhase != "invoke" || truth.Environment != e.ID() {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("Unknown", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("none", nil))
		w.invoke(d, `{}`)
		w.settled()
		if d.Environments()[0].KillExtension("ext-a") == nil {
			t.Error("no error")
		}
	})
}

func TestOutOfMemory(t *testing.T) {
	for as, want := range map[string]string{"": "Runtime.OutOfMemory", "Runtime.ExitError": "Runtime.ExitError"} {
		t.Run(want, func(t *testing.T) {
			w := newWorld(t)
			f := w.function("memory", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
			f.Memory = 512
			d := w.create(f)
			w.invoke(d, `{}`)
			w.settled()
			done := make(chan Result, 1)
			go func() { done <- w.invoke(d, `{"hang":true}`) }()
			w.untilSaw("runtime", "invocation", 2)
			if err := d.Environments()[0].OutOfMemory(as); err != nil {
				t.Fatal(err)
			}
			if got := <-done; got.ErrorType != want {
				t.Errorf("got %+v", got)
			}
			w.settled()
			all := d.Invocations()
			if well, out := all[0].MaxMemoryUsed, all[1].MaxMemoryUsed; out != 512 || well <= 0 || well >= 512 {
				t.Errorf("memory: %d MB, then %d MB", well, out)
			}
			if done := w.untilRecords("ext-a", "platform.runtimeDone", 2)[1]; decode[runtimeDone](t, done.Record).ErrorType != want {
				t.Errorf("runtimeDone %s", done.Record)
			}
			w.invoke(d, `{}`) // its generation gets the report
			w.settled()
			d.Environments()[0].Shutdown("")
			checkTruth(t, w, d, "ext-a")
		})
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("runs", nil, "ext-a"))
	done := make(chan Result, 1)
	go func() { done <- w.invoke(d, `{"hang":true}`) }()
	w.untilSaw("runtime", "invocation", 1)
	running := pids(d.Environments()[0])
	if err := w.svc.Close(); err != nil {
		t.Error(err)
	}
	if got := <-done; got.FunctionError == "" {
		t.Errorf("got %+v", got)
	}
	for _, pid := range running {
		if !gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := d.Invoke(t.Context(), nil, InvokeOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := d.InvokeAsync(nil, InvokeOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := w.svc.Create(w.function("late", nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestTemporaryFiles says what a reset keeps and that environments share nothing.
func TestTemporaryFiles(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("tmp", nil))
	w.invoke(d, `{"touch":"kept"}`)
	w.settled()
	e := d.Environments()[0]
	w.invoke(d, `{"exit":1}`)
	w.settled()
	w.invoke(d, `{}`)
	w.settled()
	if _, err := os.Stat(filepath.Join(e.Dir(), "kept")); err != nil || d.Environments()[0] != e {
		t.Errorf("after a reset: %v", err)
	}
	e.Shutdown("")
	w.invoke(d, `{}`)
	w.settled()
	if other := d.Environments()[0]; other.Dir() == e.Dir() {
		t.Error("two environments share a /tmp")
	}
}

// TestRetireInAHook: what comes after the invocation that retired it has another environment.
func TestRetireInAHook(t *testing.T) {
	w := newWorld(t)
	f := w.function("once", map[string]string{"TEST_EXT_A": script{}.String()}, "ext-a")
	f.MaxEnvironments = 1
	f.Hook = func(e Event) {
		if e.Point == InvokeDone {
			e.Environment.Retire()
		}
	}
	d := w.create(f)
	for range 3 {
		if _, err := d.Invoke(t.Context(), []byte(`{}`), InvokeOptions{Wait: true}); err != nil {
			t.Fatal(err)
		}
	}
	w.settled()
	used := map[string]bool{}
	for _, i := range d.Invocations() {
		used[i.Environment] = true
	}
	if len(used) != 3 || len(d.Environments()) != 0 {
		t.Errorf("%d environments were used, %d are left", len(used), len(d.Environments()))
	}
}

// TestBothEventsAreTold: an extension that has not fetched INVOKE yet when the runtime dies
// gets it, and SHUTDOWN after it.
func TestBothEventsAreTold(t *testing.T) {
	w := newWorld(t)
	f := w.function("both", nil, "ext-a")
	f.Hook = func(e Event) {
		if e.Point != InvokeSent {
			return
		}
		e.Environment.change(func() { // as if its first event were on its way still
			a := e.Environment.boot.agentNamed("ext-a")
			a.pending = append(a.pending, &agentEvent{EventType: "INVOKE", RequestID: "late"})
		})
		if err := e.Environment.KillRuntime(); err != nil {
			t.Error(err)
		}
	}
	d := w.create(f)
	w.invoke(d, `{"hang":true}`)
	w.settled()
	var told []string
	for _, s := range w.saw("ext-a", "event") {
		told = append(told, decode[agentEvent](t, s.Body).EventType)
	}
	if !slices.Equal(told, []string{"INVOKE", "INVOKE", "SHUTDOWN"}) {
		t.Errorf("it was told %q", told)
	}
	if truth := d.Invocations()[0]; truth.ErrorType != "Runtime.ExitError" {
		t.Errorf("truth %+v", truth)
	}
}
