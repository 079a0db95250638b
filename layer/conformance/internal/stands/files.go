package stands

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Share creates the files that the extension shares with the shims, as
// docs/loopback.md describes them, in a temporary folder: the function handles
// Current, and the pipe is read until the test ends.
func (e *Extension) Share(t *testing.T, tmp string) {
	t.Helper()
	Handle(t, tmp, "["+Current+"]")
	path := e.Pipe(tmp)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0) // also for writing, so that reading meets no end of file
	if err != nil {
		t.Fatal(err)
	}
	e.pipe, e.settled = pipe, make(chan struct{})
	go func() {
		defer close(e.settled)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			target, body, _ := strings.Cut(lines.Text(), " ")
			if target == settle {
				e.settled <- struct{}{}
				continue
			}
			name, query, _ := strings.Cut(target, "?")
			if name != "events" {
				e.report(t, name, []byte(body))
				continue
			}
			values, err := url.ParseQuery(query)
			if err != nil || len(values.Get("call")) != 32 || !json.Valid([]byte(body)) {
				t.Errorf("in the pipe: %v %s", err, lines.Text())
			}
			e.mu.Lock()
			e.unasked[values.Get("call")] = body
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = pipe.Close()
		<-e.settled
	})
}

// Pipe returns the path of the pipe in a temporary folder.
func (e *Extension) Pipe(tmp string) string {
	_, port, _ := strings.Cut(e.Address(), ":")
	return filepath.Join(tmp, "throughline", "reports."+port)
}

// settle is a line that the protocol does not have.
const settle = "settle"

// Settle waits until all reports in the pipe are recorded.
func (e *Extension) Settle(t *testing.T) {
	t.Helper()
	if e.pipe == nil {
		return
	}
	if _, err := e.pipe.WriteString(settle + "\n"); err != nil {
		t.Fatal(err)
	}
	<-e.settled
}

// Handle writes the file "current" with the events that the function handles. list
// is a JSON array.
func Handle(t testing.TB, tmp, list string) {
	t.Helper()
	dir := filepath.Join(tmp, "throughline")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, "%08x\n%s\nwhat a longer writing left", crc32.ChecksumIEEE([]byte(list)), list)
	if err := os.WriteFile(filepath.Join(dir, "current"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
