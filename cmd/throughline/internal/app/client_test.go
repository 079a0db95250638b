package app

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhichApplication: of several that are played the commands take the one whose template
// is here, or else the last, and say which.
func TestWhichApplication(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	folders := [2]string{t.TempDir(), t.TempDir()}
	root, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for i, folder := range folders {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		dir := filepath.Join(root, "throughline", "dev-"+string(rune('1'+i)))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c, err := newControl(dir, "http://"+listener.Addr().String(), filepath.Join(folder, "sub", "template.yaml"), "")
		if err != nil {
			t.Fatal(err)
		}
		if c.flag() != "" {
			t.Errorf("a folder that is found needs %q", c.flag())
		}
		if err := os.Chtimes(c.path, time.Time{}, time.Now().Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[string]string{t.TempDir(): folders[1], folders[0]: folders[0], folders[1]: folders[1]} {
		t.Chdir(at)
		var notes bytes.Buffer
		s, err := find("", &notes)
		if err != nil || !strings.HasPrefix(s.Template, want) || !strings.Contains(notes.String(), "2 applications are running: using "+s.Template) {
			t.Errorf("in %s: %v %+v %s", at, err, s, notes.String())
		}
	}
	var notes bytes.Buffer
	if s, err := find(filepath.Join(root, "throughline", "dev-1"), &notes); err != nil || !strings.HasPrefix(s.Template, folders[0]) || notes.Len() > 0 {
		t.Errorf("by its folder: %v %+v %s", err, s, notes.String())
	}
}
