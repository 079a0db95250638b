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

// ErrForeign is returned where the directory or the file belongs to somebody
// else, or can be written by somebody else.
var ErrForeign = errors.New("it is not ours alone")

// Dir is the directory of the handshake in a directory for temporary files; empty
// means /tmp.
func Dir(temp string) string {
	temp = cmp.Or(temp, "/tmp")
	return filepath.Join(temp, "throughline")
}

// Endpoint is one line of the file.
type Endpoint struct{ Name, Address string }

// Write announces endpoints in dir, which it makes with mode 0700 where it is
// missing. What an earlier run left there is removed first: a directory for
// temporary files outlives resets. Who reads finds all of the file or nothing.
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

// empty removes from dir what an earlier run left in it.
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

// Read returns the addresses that are announced in dir, by name: nil where there
// is no file, or where it or its directory is not ours alone. An address that is
// not on loopback is left out.
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

// ours says with an error that path is not of a type, 0 for a regular file, or
// not ours alone.
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

// Private says whether path is a regular file in a directory, and both are ours
// alone.
func Private(path string) bool {
	return ours(filepath.Dir(path), os.ModeDir) == nil && ours(path, 0) == nil
}
