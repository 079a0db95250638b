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

// file is the file that the shims read, so that a call does not wait for an answer of
// the extension. It is written only if the layer's wrapper has created it, in a
// directory that belongs to the same user. It is not safe for concurrent use.
type file struct {
	path    string
	looked  bool     // open was tried
	file    *os.File // nil if it is not written
	written []byte
}

// wanted reports whether the file is to be written.
func (f *file) wanted() bool {
	if !f.looked && f.path != "" {
		f.looked = true
		f.open(0)
	}
	return f.file != nil
}

// open opens the file if it and its directory belong to the extension's user and no
// other user can write to them.
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

// write writes views, unless the file already contains them.
func (f *file) write(views []View) {
	text, err := json.Marshal(views)
	if err == nil && bytes.Equal(text, f.written) {
		return // for example at an end: the last invocation stays current
	}
	if _, err := os.Lstat(f.path); err != nil { // a function may delete the files in /tmp
		f.release()
		_ = os.Mkdir(filepath.Dir(f.path), 0o700)
		if f.open(os.O_CREATE | os.O_EXCL); f.file == nil {
			return
		}
	}
	// In place, because the runtime waits for this write and a rename takes forty
	// times as long. With the checksum a reader detects a partial write; the newline
	// marks the end of the text, after which older bytes may follow.
	f.written = text
	if err == nil {
		_, err = f.file.WriteAt(fmt.Appendf(nil, "%08x\n%s\n", crc32.ChecksumIEEE(text), text), 0)
	}
	if err != nil {
		f.release()
		_ = os.Remove(f.path) // no file is better than an outdated one
	}
}

func (f *file) release() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}
