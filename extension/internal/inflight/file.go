package inflight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"

	"github.com/throughline/throughline/internal/handshake"
)

// file is what the shims read, so that a call waits for no answer. It is written
// only where the wrapper has made it, in a directory that is ours. Its methods are
// for one goroutine at a time.
type file struct {
	path    string
	looked  bool     // for whether it is there
	file    *os.File // nil: not written
	written []byte
}

// wanted says whether the file is to be written.
func (f *file) wanted() bool {
	if !f.looked && f.path != "" {
		f.looked = true
		f.open(0)
	}
	return f.file != nil
}

// open opens the file if it and its directory belong to our user, and nobody
// else can write to them.
func (f *file) open(flags int) {
	opened, err := os.OpenFile(f.path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|flags, 0o600)
	if err != nil {
		return
	}
	if !handshake.Private(f.path) {
		_ = opened.Close()
		return
	}
	f.file = opened
}

// write writes views, unless they are what is written already.
func (f *file) write(views []View) {
	text, err := json.Marshal(views)
	if err == nil && bytes.Equal(text, f.written) {
		return // an end changes nothing: the last invocation stays current
	}
	if _, err := os.Lstat(f.path); err != nil { // a function may clean its /tmp
		f.release()
		_ = os.Mkdir(filepath.Dir(f.path), 0o700)
		if f.open(os.O_CREATE | os.O_EXCL); f.file == nil {
			return
		}
	}
	// In place, because the runtime waits for this and a rename takes forty times
	// as long. The sum tells a reader whether it has read one writing, and the
	// line's end where that ends.
	f.written = text
	if err == nil {
		_, err = f.file.WriteAt(fmt.Appendf(nil, "%08x\n%s\n", crc32.ChecksumIEEE(text), text), 0)
	}
	if err != nil {
		f.release()
		_ = os.Remove(f.path) // an old answer is worse than none
	}
}

func (f *file) release() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}
