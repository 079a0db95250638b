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

// Share makes the files that the extension shares with the shims, as
// docs/loopback.md describes them, in a folder for temporary files: Current is
// handled, and the pipe is read until the test ends.
func (e *Extension) Share(t *testing.T, tmp string) {
	t.Helper()
	Handle(t, tmp, "["+Current+"]")
	path := e.Pipe(tmp)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0) // for writing as well, so that it does not end
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

// Pipe is the path of the pipe in a folder for temporary files.
func (e *Extension) Pipe(tmp string) string {
	_, port, _ := strings.Cut(e.Address(), ":")
	return filepath.Join(tmp, "throughline", "reports."+port)
}

// settle is a line that is none of the protocol.
const settle = "settle"

// Settle waits until all that is in the pipe has been told.
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

// Handle writes which events are handled: a list of JSON.
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
