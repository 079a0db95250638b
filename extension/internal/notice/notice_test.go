package notice

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestOnce(t *testing.T) {
	var out strings.Builder
	l := New(&out, Warn)
	for port := range 5 {
		l.Once("export: %v", fmt.Errorf("dial tcp 127.0.0.1:%d->[::1]:4318: connection refused", 40000+port))
		l.Once("invocation %s is not known", []string{"0e3a-11", "1bc-2def-3", "a-b1", "77", "e5"}[port])
	}
	l.Once("export: %v", errors.New("no such host"))
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 3 || lines[0] != "throughline: export: dial tcp 127.0.0.1:40000->[::1]:4318: connection refused" {
		t.Errorf("%q", lines)
	}
}

func TestWhatIsToldIsBounded(t *testing.T) {
	var out strings.Builder
	l := New(&out, Warn)
	for i := range 10 * maxKnown {
		l.Once("event type %s is odd", strings.Repeat("x", i+1))
	}
	if n := strings.Count(out.String(), "\n"); n != maxKnown {
		t.Errorf("%d lines", n)
	}
}

func TestLevels(t *testing.T) {
	var out strings.Builder
	l := New(&out, Info)
	l.Tell(Debug, "export of %d", 1)
	l.Tell(Info, "registered for %s", "SHUTDOWN")
	if out.String() != "throughline: registered for SHUTDOWN\n" {
		t.Errorf("%q", out.String())
	}
	var none *Log
	none.Once("nothing")
	none.Tell(Warn, "nothing")
	New(nil, Debug).Once("nothing")
}
