package conformance

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// unpacked is the layer for both architectures as Lambda unpacks it, with the
// loaders of the architectures that the machine is to have. It returns the entry.
func unpacked(t testing.TB, name string, loaders ...string) (entry string) {
	t.Helper()
	opt, machine := t.TempDir(), t.TempDir()
	text, err := os.ReadFile("../entry/throughline-extension")
	if err != nil {
		t.Fatal(err)
	}
	// The loaders are looked for in a folder of the test's.
	entry = filepath.Join(opt, "extensions", name)
	files := map[string]string{entry: strings.ReplaceAll(string(text), " /lib", " "+machine+"/lib")}
	for _, loader := range loaders {
		files[machine+loader] = ""
	}
	for _, arch := range []string{"amd64", "arm64"} {
		files[filepath.Join(opt, "throughline", arch, "throughline-extension")] = "#!/bin/sh\necho " + arch + "\n"
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return entry
}

const (
	glibcAMD64, muslAMD64 = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
	glibcARM64, muslARM64 = "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"
)

// The entry takes the binary of the machine whose loader is there, and asks
// uname where none is or both are.
func TestEntryPicksTheMachinesBinary(t *testing.T) {
	for name, tt := range map[string]struct {
		loaders []string
		uname   string // what it says; empty where it may not be asked
		want    string
	}{
		"GlibcAMD64": {loaders: []string{glibcAMD64}, want: "amd64"},
		"MuslAMD64":  {loaders: []string{muslAMD64}, want: "amd64"},
		"GlibcARM64": {loaders: []string{glibcARM64}, want: "arm64"},
		"MuslARM64":  {loaders: []string{muslARM64}, want: "arm64"},
		"BothOnAMD":  {loaders: []string{glibcAMD64, glibcARM64}, uname: "x86_64", want: "amd64"},
		"BothOnARM":  {loaders: []string{glibcAMD64, muslARM64}, uname: "aarch64", want: "arm64"},
		"None":       {uname: "aarch64", want: "arm64"},
	} {
		for _, shell := range []string{"bash", "dash"} {
			t.Run(name+"/"+shell, func(t *testing.T) {
				entry, path := unpacked(t, "throughline-extension", tt.loaders...), t.TempDir()
				if err := os.WriteFile(filepath.Join(path, "uname"), []byte("#!/bin/sh\necho "+tt.uname+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				argv := []string{peertest.Command(t, shell), entry}
				if shell == "bash" {
					argv = []string{argv[0], "--posix", entry}
				}
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Env = []string{"PATH=" + path}
				out, err := cmd.CombinedOutput()
				if err != nil || string(out) != tt.want+"\n" {
					t.Errorf("%q, %v, want %s", out, err, tt.want)
				}
			})
		}
	}
}

// asBash is the entry run by bash, as /bin/sh is in Lambda.
func asBash(t testing.TB, entry string) {
	t.Helper()
	text, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	script := "#!" + peertest.Command(t, "bash") + " --posix" + strings.TrimPrefix(string(text), "#!/bin/sh")
	if err := os.WriteFile(entry, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// install puts the extension of this machine into the layer of an entry.
func install(t testing.TB, entry, binary string) {
	t.Helper()
	place := filepath.Join(filepath.Dir(entry), "..", "throughline", runtime.GOARCH, "throughline-extension")
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(binary, place); err != nil {
		t.Fatal(err)
	}
}

// invoked runs a function with the entry as its extension, and returns what was
// logged.
func invoked(t *testing.T, entry string, variables map[string]string) string {
	t.Helper()
	var mu sync.Mutex
	var log strings.Builder
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		log.WriteString(l.Text + "\n")
	}})
	env := map[string]string{"PATH": os.Getenv("PATH"), "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0"}
	maps.Copy(env, variables)
	d, err := svc.Create(lambdalocal.Function{Name: "f", Runtime: []string{binary(t, "quick", "./testdata/quick")}, Extensions: []string{entry}, Memory: 512, Timeout: 20 * time.Second, MaxEnvironments: 1, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		result, err := d.Invoke(t.Context(), []byte(`{"id":"e","detail-type":"Nothing","detail":{}}`), lambdalocal.InvokeOptions{Wait: true})
		if err != nil || strings.Contains(result.ErrorType, "Extension") {
			t.Fatalf("%v %s %s", err, result.ErrorType, result.Payload)
		}
	}
	if err := svc.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return log.String()
}

// Under another file name the extension registers by that: Lambda refuses names
// that are no files of extensions/.
func TestEntryRegistersByItsOwnName(t *testing.T) {
	entry := unpacked(t, "00-throughline", map[string]string{"amd64": glibcAMD64, "arm64": glibcARM64}[runtime.GOARCH])
	asBash(t, entry)
	install(t, entry, extensionBinary(t))
	if log := invoked(t, entry, map[string]string{"THROUGHLINE_LOG": "info"}); !strings.Contains(log, "throughline: ") {
		t.Errorf("the extension was not there:\n%s", log)
	}
}

// On a machine that the layer has no binary for, or one that does not run, the
// function runs on.
func TestEntryStandsAsideOnAnotherMachine(t *testing.T) {
	for name, binary := range map[string]string{"none": "", "another machine's": "\x7fELF\x02\x01\x01", "empty": "-"} {
		t.Run(name, func(t *testing.T) {
			entry := unpacked(t, "throughline-extension")
			asBash(t, entry)
			for _, arch := range []string{"amd64", "arm64"} {
				place := filepath.Join(filepath.Dir(entry), "..", "throughline", arch)
				if err := os.RemoveAll(place); err != nil {
					t.Fatal(err)
				}
				if binary == "" {
					continue
				}
				if err := errors.Join(os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(place, "throughline-extension"), []byte(strings.TrimPrefix(binary, "-")), 0o755)); err != nil {
					t.Fatal(err)
				}
			}
			if log := invoked(t, entry, nil); strings.Count(log, "the layer has no extension for this machine") != 1 {
				t.Errorf("said\n%s", log)
			}
		})
	}
}
