package throughline

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFilesAreShort: a file that a reader takes in at once has at most 400 lines. Tests may
// be longer.
func TestFilesAreShort(t *testing.T) {
	const most = 400
	listed, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "*.go").Output()
	if err != nil {
		t.Skipf("no checkout of git: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) || strings.HasSuffix(name, "_test.go") { // deleted, and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("\n")); n > most {
			t.Errorf("%s has %d lines, and may have %d: split it by what its parts do", name, n, most)
		}
	}
}
