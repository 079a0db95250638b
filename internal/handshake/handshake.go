// Package handshake is the file in which the extension announces the addresses of
// its endpoints to the wrapper and to the library. The file is in a directory
// that belongs only to the function's user, and a reader rejects content that the
// extension cannot have written.
package handshake

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/throughline/throughline/internal/atomicfile"
	"github.com/throughline/throughline/internal/loopback"
)

const (
	file    = "endpoints"
	longest = 4 << 10 // bytes of the file
)

// ErrForeign means that the directory or the file belongs to another user, or that
// other users can write to it.
var ErrForeign = errors.New("it is not ours alone")

// Dir returns the directory of the handshake in temp, a directory for temporary files;
// empty means /tmp.
func Dir(temp string) string {
	temp = cmp.Or(temp, "/tmp")
	return filepath.Join(temp, "throughline")
}

// Endpoint is one line of the file.
type Endpoint struct{ Name, Address string }

// Write announces endpoints in dir. It creates dir with mode 0700 if it is missing. It
// first removes the files of an earlier run, because temporary files outlive resets of
// an environment. A reader finds the whole file or none.
func Write(dir string, endpoints []Endpoint) error {
	err := os.Mkdir(dir, 0o700)
	stands := errors.Is(err, os.ErrExist)
	if err != nil && !stands {
		return fmt.Errorf("announce the endpoints: %w", err)
	}
	if err := ours(dir, os.ModeDir); err != nil {
		return fmt.Errorf("announce the endpoints: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("announce the endpoints: %w", err)
	}
	if stands {
		if err := empty(dir); err != nil {
			return fmt.Errorf("announce the endpoints: %w", err)
		}
	}
	var text []byte
	for _, e := range endpoints {
		text = append(text, e.Name+"="+e.Address+"\n"...)
	}
	return atomicfile.Write(filepath.Join(dir, file), func(w io.Writer) error {
		if _, err := w.Write(text); err != nil {
			return fmt.Errorf("announce the endpoints: %w", err)
		}
		return nil
	})
}

// empty removes the files of an earlier run from dir.
func empty(dir string) error {
	stale, err := filepath.Glob(filepath.Join(dir, "reports.*"))
	if err != nil {
		return err
	}
	for _, stale := range append(stale, filepath.Join(dir, file), filepath.Join(dir, "current")) {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Read returns the addresses that are announced in dir, by name. It returns nil if
// there is no file, or if other users own or can write the file or its directory. It
// leaves out addresses that are not on loopback.
func Read(dir string) map[string]string {
	if ours(dir, os.ModeDir) != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || check(info, 0) != nil {
		return nil
	}
	return parse(io.LimitReader(f, longest))
}

// parse reads name=address lines.
func parse(in io.Reader) map[string]string {
	endpoints := map[string]string{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		name, address, _ := strings.Cut(lines.Text(), "=")
		host, port, err := net.SplitHostPort(address)
		if err == nil && name != "" && port != "" && strings.Trim(port, "0123456789") == "" && loopback.Is(host) {
			endpoints[name] = address
		}
	}
	return endpoints
}

// ours returns an error if path is not of the type kind, 0 for a regular file, or if
// another user owns or can write it.
func ours(path string, kind os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if err := check(info, kind); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func check(info os.FileInfo, kind os.FileMode) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() != kind || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return ErrForeign
	}
	return nil
}

// Private reports whether path is a regular file, and only the current user owns and
// can write it and its directory.
func Private(path string) bool {
	return ours(filepath.Dir(path), os.ModeDir) == nil && ours(path, 0) == nil
}
