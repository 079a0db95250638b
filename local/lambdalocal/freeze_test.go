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
	var letters []string
	for _, state := range group(t, pids(e)) {
		letters = append(letters, state)
	}
	slices.Sort(letters)
	return strings.Join(letters, "")
}

// group finds the processes whose groups the given ones lead, and their states.
func group(t *testing.T, leaders []int) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(paths) == 0 {
		t.Skip("no /proc here")
	}
	found := map[string]string{}
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if leader, _ := strconv.Atoi(fields[2]); slices.Contains(leaders, leader) && fields[0] != "Z" {
			found[path] = fields[0]
		}
	}
	return found
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
		leaders := pids(e)
		e.Shutdown("")
		w.until("the runtime's child has ended with it", func() bool { return len(group(t, leaders)) == 0 })
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
