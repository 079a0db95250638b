package alarmscmd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/internal/pseudoterminal"
	"github.com/throughline/throughline/peertest"
)

// onTerminal runs the command as a process whose three files are a terminal, and
// types what is given.
func onTerminal(t *testing.T, typed string, env []string, args ...string) (string, int) {
	t.Helper()
	const columns, rows = 80, 24
	seen, given, err := pseudoterminal.Open(columns, rows)
	if err != nil {
		peertest.Missing(t, "a pseudo-terminal: "+err.Error())
	}
	defer seen.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), "THROUGHLINE_TEST_COMMAND=1"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = given, given, given
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	given.Close()
	if _, err := seen.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _ = out.ReadFrom(seen) // ends with EIO when the process does
	var exited *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exited) {
		return out.String(), exited.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), 0
}

// TestTerminal: colours, a moving line of progress and a question on a terminal;
// none of the colours with NO_COLOR, and none elsewhere, which every other test
// holds its output to.
func TestTerminal(t *testing.T) {
	inMoto(t)
	spec := file(t, "alarms.yaml", strings.Split(orders, "composites:")[0])
	bad := file(t, "bad.yaml", "name: o\nresources: [{kind: dlq, name: q}]\nalarms:\n  - {name: a, namespace: AWS/SQS, metric: NumberOfMessagesSent, threshold: 1, for: 1 of 1}\n")
	out, code := onTerminal(t, "", nil, "alarms", "lint", "-f", bad)
	if code != 1 || !strings.Contains(out, "\x1b[31merror  \x1b[0m") {
		t.Errorf("%d %q", code, out)
	}
	if out, _ := onTerminal(t, "", []string{"NO_COLOR=1"}, "alarms", "lint", "-f", bad); strings.Contains(out, "\x1b") || !strings.Contains(out, "error   ") {
		t.Errorf("%q", out)
	}
	out, code = onTerminal(t, "n\n", nil, "alarms", "apply", "-f", spec)
	if code != 1 || !strings.Contains(out, "apply these changes? [y/N]") || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "\x1b[32m+\x1b[0m create alch-orders-errors") {
		t.Errorf("%d %q", code, out)
	}
	if n := len(inAccount(t)); n != 0 {
		t.Fatalf("%d alarms after no", n)
	}
	out, code = onTerminal(t, "y\n", nil, "alarms", "apply", "-f", spec)
	if code != 0 || !strings.Contains(out, "\r\x1b[K3 of 9: create ") || !strings.Contains(out, "\r\x1b[K9 done") {
		t.Errorf("%d %q", code, out)
	}
	if n := len(inAccount(t)); n != 9 {
		t.Errorf("%d alarms after yes", n)
	}
	metrics := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(metrics, []byte(day(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := onTerminal(t, "", nil, "alarms", "backtest", "-f", spec, "--metrics", metrics); code != 0 || !strings.Contains(out, "replaying 9 of 9 alarms") || !strings.Contains(out, "\x1b[33m     1\x1b[0m") {
		t.Errorf("%d %q", code, out)
	}
}
