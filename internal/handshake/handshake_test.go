package handshake

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var announced = []Endpoint{{"otlp", "127.0.0.1:4318"}, {"runtime", "127.0.0.1:41234"}}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := Dir(t.TempDir())
	for range 2 { // the second time over a stale one
		if err := Write(dir, announced); err != nil {
			t.Fatal(err)
		}
		if got := Read(dir); !reflect.DeepEqual(got, map[string]string{"otlp": "127.0.0.1:4318", "runtime": "127.0.0.1:41234"}) {
			t.Errorf("read %v", got)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What an earlier run left is not read as this one's.
func TestStaleFilesAreRemoved(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(elsewhere, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"endpoints", "current", "reports.41234"} {
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(dir, announced); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(elsewhere); string(text) != "precious" {
		t.Errorf("it was written through a link: %q", text)
	}
	for _, name := range []string{"current", "reports.41234"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a stale file, %s, is left", name)
		}
	}
}

func TestNothingIsWrittenWhereOthersCanWrite(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string) error{
		"Open": func(_ *testing.T, dir string) error { _ = os.Mkdir(dir, 0o700); return os.Chmod(dir, 0o777) },
		"Link": func(t *testing.T, dir string) error { return os.Symlink(t.TempDir(), dir) },
		"File": func(_ *testing.T, dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"Other": func(t *testing.T, dir string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root gives a directory away")
			}
			_ = os.Mkdir(dir, 0o700)
			return os.Chown(dir, 12345, 12345)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			if err := prepare(t, dir); err != nil {
				t.Fatal(err)
			}
			if err := Write(dir, announced); !errors.Is(err, ErrForeign) {
				t.Errorf("%v", err)
			}
			_ = os.WriteFile(filepath.Join(dir, "endpoints"), []byte("otlp=127.0.0.1:1\n"), 0o600)
			if got := Read(dir); got != nil {
				t.Errorf("read %v", got)
			}
		})
	}
}

func TestPlantedFiles(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "endpoints")
	if err := os.WriteFile(path, []byte("otlp=192.0.2.66:4318\nruntime=127.0.0.1:4321\nevents=evil.example:1\nalpaca=127.0.0.1:x\n=127.0.0.1:1\nnothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Read(dir); !reflect.DeepEqual(got, map[string]string{"runtime": "127.0.0.1:4321"}) {
		t.Errorf("read %v", got)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := Read(dir); got != nil || Private(path) {
		t.Errorf("others can write it: %v", got)
	}
	_ = os.Remove(path)
	if err := os.Symlink("/etc/hosts", path); err != nil {
		t.Fatal(err)
	}
	if got := Read(dir); got != nil {
		t.Errorf("a link: %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("otlp=127.0.0.1:4318\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, address := range parse(strings.NewReader(text)) {
			if name == "" || !strings.HasPrefix(address, "127.") && !strings.HasPrefix(address, "localhost:") && !strings.HasPrefix(address, "[") {
				t.Errorf("%q=%q", name, address)
			}
		}
	})
}
