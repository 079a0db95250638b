package lambdalocal

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// states are the kernel's letters for the processes of an environment and all that they started.
func states(t *testing.T, e *Environment) string {
	t.Helper()
	e.mu.Lock()
	groups := map[string]bool{}
	for _, p := range e.boot.processes {
		groups[strconv.Itoa(p.cmd.Process.Pid)] = true
	}
	e.mu.Unlock()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(paths) == 0 {
		t.Skip("no /proc here")
	}
	var letters []string
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if groups[fields[2]] {
			letters = append(letters, fields[0])
		}
	}
	slices.Sort(letters)
	return strings.Join(letters, "")
}

func TestFreeze(t *testing.T) {
	withChild := func(w *world) Function {
		path := filepath.Join(w.dir, "wrapper")
		if err := os.WriteFile(path, []byte("#!/bin/sh\nsleep 1000 &\nexec \"$@\"\n"), 0o755); err != nil {
			w.t.Fatal(err)
		}
		f := w.function("freeze", nil, "ext-a")
		f.Wrapper = path
		return f
	}
	t.Run("BetweenInvocations", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(withChild(w))
		w.invoke(d, `{}`)
		w.settled()
		e := d.Environments()[0]
		w.until("runtime, its child and the extension are stopped", func() bool { return states(t, e) == "TTT" })
		if !e.Frozen() {
			t.Error("the environment does not say so")
		}
		done := make(chan Result, 1)
		go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
		w.untilSaw("runtime", "invocation", 2)
		if got := states(t, e); strings.Contains(got, "T") || len(got) != 3 {
			t.Errorf("in an invocation: %s", got)
		}
		w.open("go")
		<-done
		w.settled()
		if n := len(d.Environments()); n != 1 {
			t.Errorf("%d environments", n)
		}
	})
	t.Run("TurnedOff", func(t *testing.T) {
		w := newWorld(t)
		f := withChild(w)
		f.NoFreeze = true
		d := w.create(f)
		w.invoke(d, `{}`)
		w.settled()
		if got := states(t, d.Environments()[0]); strings.Contains(got, "T") || len(got) != 3 {
			t.Errorf("got %s", got)
		}
	})
	t.Run("InTheMiddle", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(withChild(w))
		done := make(chan Result, 1)
		go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
		w.untilSaw("runtime", "invocation", 1)
		e := d.Environments()[0]
		e.Freeze()
		w.until("all are stopped", func() bool { return states(t, e) == "TTT" })
		w.open("go")
		select {
		case <-done:
			t.Error("a frozen function answered")
		default:
		}
		e.Thaw()
		if got := <-done; got.FunctionError != "" {
			t.Errorf("got %+v", got)
		}
		w.settled()
	})
}
