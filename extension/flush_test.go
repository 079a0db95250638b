package extension

import (
	"testing"
	"time"
)

func TestFlushStrategy(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	p := flushStrategy{}
	for i := range steadyAfter {
		if !p.atEnd(at, time.Time{}, false) {
			t.Fatalf("invocation %d is exported beside the next", i)
		}
		at = at.Add(time.Second)
	}
	if p.atEnd(at, time.Time{}, false) {
		t.Error("steady traffic is exported at the end")
	}
	at = at.Add(time.Second)
	if !p.atEnd(at, at.Add(-6*time.Second), true) {
		t.Error("a span older than five seconds waits on")
	}
	at = at.Add(time.Second)
	if p.atEnd(at, at.Add(-time.Second), true) {
		t.Error("a fresh span is exported at the end")
	}
	at = at.Add(2 * time.Minute)
	if !p.atEnd(at, time.Time{}, false) {
		t.Error("after a long gap the next is exported beside")
	}
	for mode, want := range map[Flush]bool{FlushEnd: true, FlushPeriodic: false} {
		p := flushStrategy{flush: mode}
		if got := p.atEnd(at, time.Time{}, false); got != want {
			t.Errorf("%s: at the end %v", mode, got)
		}
	}
}
