package nodeshim

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// The shim loads on every Node.js that Lambda has had since 14, and calls go
// on. Where it cannot stamp, PutEvents requests go as they came.
func TestOldVersionsLoad(t *testing.T) {
	for _, version := range []string{"14", "16"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			world := newWorld(t, version)
			for name, told := range map[string]int{
				"get": 1, "post": 1, "without a response listener": 1, "one socket, nobody reads": 2, "an error that nobody handles": 1,
				"aborted": 1, "a tunnel": 1, "an upgrade": 1, "header arrays": 0, "identity": 0,
			} {
				t.Run(name, func(t *testing.T) {
					w := *world
					w.T = t
					w.extension.Begin(nil)
					w.both(program{args: []string{"http.cjs", name}})
					if version == "16" && name == "header arrays" {
						told = 1 // it has the channel that tells of them
					}
					w.told(told, 0)
				})
			}
			w := *world
			w.T = t
			w.extension.Begin(nil)
			w.both(program{args: []string{"putevents.cjs", "string"}, env: []string{"THROUGHLINE_HTTP_HOSTS=none"}})
			w.told(0, 0)
		})
	}
}

// A process that may not read the file of the event being handled, or anything
// but its own code and the shim, goes on without what that would tell.
func TestPermissionModel(t *testing.T) {
	for version, flag := range map[string]string{"20": "--experimental-permission", "22": "--experimental-permission", "24": "--permission"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t, version)
			w.extension.Begin(nil)
			dir, err := filepath.EvalSymlinks(filepath.Dir(shim(t)))
			if err != nil {
				t.Fatal(err)
			}
			own, err := filepath.EvalSymlinks(w.dir)
			if err != nil {
				t.Fatal(err)
			}
			p := program{args: []string{flag, "--allow-fs-read=" + own + "/*", "--allow-fs-read=" + dir + "/*", "http.cjs", "get"}}
			w.both(p)
			attempts, _ := w.told(1, 0)
			if len(attempts) == 1 && (attempts[0].Request != "" || attempts[0].Status != 200) {
				t.Errorf("told %+v", attempts)
			}
		})
	}
}

// The file of the event being handled is read only where nobody else can have
// written it.
func TestFileOfOthers(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a folder that all may write to": func(t *testing.T, dir string) { chmod(t, dir, 0o777) },
		"a file that all may write to":   func(t *testing.T, dir string) { chmod(t, filepath.Join(dir, "current"), 0o666) },
		"a link": func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "current"), filepath.Join(dir, "other")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("other", filepath.Join(dir, "current")); err != nil {
				t.Fatal(err)
			}
		},
		"a FIFO": func(t *testing.T, dir string) {
			path := filepath.Join(dir, "current")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"not whole": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "current"), []byte("00000000\n["+stands.Current+"]\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			versions := nodes()
			w := newWorld(t, versions[len(versions)-1])
			spoil(t, filepath.Join(w.tmp, "throughline"))
			w.extension.Begin(nil)
			with := w.both(program{args: []string{"http.cjs", "get"}})
			attempts, _ := w.told(1, 0)
			if len(attempts) == 1 && (attempts[0].Request != "" || attempts[0].TraceID == stands.TraceID) {
				t.Errorf("told %+v", attempts[0])
			}
			if r := with.received; len(r) == 1 && r[0].Header.Get("X-Correlation-ID") != "" {
				t.Errorf("sent %v", r[0].Header)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// A call that goes through the events endpoint is stamped and counted there.
func TestEventsEndpoint(t *testing.T) {
	versions := nodes()
	w := newWorld(t, versions[len(versions)-1])
	endpoint := strings.TrimPrefix(w.outside.API, "http://")
	if err := os.WriteFile(filepath.Join(w.tmp, "throughline", "endpoints"), []byte("runtime=127.0.0.1:1\nevents="+endpoint+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.extension.Begin(nil)
	with := w.both(program{args: []string{"putevents.cjs", "string"}, env: []string{"THROUGHLINE_HTTP_HOSTS=none"}})
	if w.told(0, 0); isStamped(with.received[0].Body) {
		t.Error("the shim stamped it")
	}
}
