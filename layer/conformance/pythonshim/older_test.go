package pythonshim

import (
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// TestOlder: Pythons that Lambda had before 3.8 run as without the shim.
func TestOlder(t *testing.T) {
	found := false
	for _, version := range []string{"2.7", "3.6", "3.7"} {
		python := peertest.Python(version)
		if python == "" {
			continue
		}
		found = true
		t.Run(version, func(t *testing.T) {
			s := newScene(t)
			with, about := s.both(t, python, function{script: "older.py", env: []string{"PYTHONPATH=" + t.TempDir()}})
			if with.Exit != 0 || !strings.Contains(with.Stdout, "no shim") || len(about.asked) > 0 {
				t.Errorf("%+v, asked %q", with, about.asked)
			}
		})
	}
	if !found {
		t.Skip("no Python before 3.8 found: test skipped")
	}
}
