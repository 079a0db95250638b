package runtimes

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// manager is the user that runs the function in Managed Instances mode.
const manager = 993

// plant writes a handshake that leads to address, and says whose the folder and
// the file are, and who may write to them.
func plant(address string, owner int, dirMode, fileMode os.FileMode) func(t *testing.T, tmp string) {
	return func(t *testing.T, tmp string) {
		dir := filepath.Join(tmp, "throughline")
		file := filepath.Join(dir, "endpoints")
		err := errors.Join(
			os.Mkdir(dir, 0o700), os.WriteFile(file, []byte("otlp="+address+"\nruntime="+address+"\nevents="+address+"\n"), 0o600),
			os.WriteFile(filepath.Join(dir, "current"), nil, 0o600),
			os.Chown(dir, owner, owner), os.Chown(file, owner, owner), os.Chmod(dir, dirMode), os.Chmod(file, fileMode),
		)
		if err != nil {
			t.Error(err)
		}
	}
}

// surroundings are what else can be in an environment with the layer.
type surroundings struct {
	layer func(t *testing.T, opt string) // what is wrong with the layer
	plant func(t *testing.T, tmp string)
	env   []string
	said  string // in the log, once
}

// broken makes the binary of this machine another machine's.
func broken(content func(t *testing.T, path string)) func(t *testing.T, opt string) {
	return func(t *testing.T, opt string) {
		content(t, filepath.Join(opt, "throughline", runtime.GOARCH, "throughline-extension"))
	}
}

func absent(t *testing.T, path string) {
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}

func foreign(t *testing.T, path string) {
	if err := os.WriteFile(path, elf(t, path), 0o755); err != nil {
		t.Error(err)
	}
}

func cut(t *testing.T, path string) {
	if err := os.Truncate(path, 100); err != nil {
		t.Error(err)
	}
}

// everySurrounding lists them for a server that nothing may call, and a port
// that is taken.
func everySurrounding(trap, taken string) map[string]surroundings {
	cases := map[string]surroundings{
		"no binary for this machine":     {layer: broken(absent), said: "the layer has no extension for this machine"},
		"the binary of another machine":  {layer: broken(foreign), said: "the layer has no extension for this machine"},
		"half of a binary":               {layer: broken(cut), said: "the layer has no extension for this machine"},
		"an empty binary":                {layer: broken(func(t *testing.T, path string) { put(t, nil, path) }), said: "the layer has no extension for this machine"},
		"the zip of one architecture":    {layer: func(t *testing.T, opt string) { single(t, opt) }},
		"the extension alone":            {layer: func(t *testing.T, opt string) { _ = os.RemoveAll(filepath.Join(opt, "throughline", "node")) }},
		"a taken port for the runtime":   {env: []string{"THROUGHLINE_RUNTIME_ADDR=" + taken}},
		"a taken port for spans":         {env: []string{"THROUGHLINE_OTLP_ADDR=" + taken}},
		"taken ports":                    {env: []string{"THROUGHLINE_RUNTIME_ADDR=" + taken, "THROUGHLINE_OTLP_ADDR=" + taken, "THROUGHLINE_EVENTS_ADDR=" + taken, "THROUGHLINE_ENDPOINTS=otlp,events,alpaca,runtime", "THROUGHLINE_ALPACA_ADDR=" + taken}},
		"a link in the folder's place":   {plant: func(t *testing.T, tmp string) { linked(t, tmp, trap) }},
		"a file in the folder's place":   {plant: func(t *testing.T, tmp string) { put(t, []byte("x"), tmp, "throughline") }},
		"a folder in the file's place":   {plant: func(t *testing.T, tmp string) { put(t, nil, tmp, "throughline", "endpoints", "x") }},
		"every endpoint":                 {env: []string{"THROUGHLINE_ENDPOINTS=otlp,events,alpaca,runtime"}},
		"switched off, with a handshake": {env: []string{"THROUGHLINE_DISABLED=1"}, plant: plant(trap, manager, 0o700, 0o600)},
	}
	for owner, whose := range map[int]string{0: "root's", manager: "the manager's", 12345: "somebody's"} {
		for _, mode := range []os.FileMode{0o700, 0o755, 0o777} {
			for _, file := range []os.FileMode{0o600, 0o666} {
				cases[fmt.Sprintf("a handshake, %s %o %o", whose, mode, file)] = surroundings{plant: plant(trap, owner, mode, file)}
			}
		}
	}
	return cases
}

// single makes the layer that of one architecture.
func single(t *testing.T, opt string) {
	t.Helper()
	binary := filepath.Join(opt, "throughline", runtime.GOARCH, "throughline-extension")
	err := errors.Join(os.Rename(binary, filepath.Join(opt, "extensions", "throughline-extension")),
		os.RemoveAll(filepath.Join(opt, "throughline", "amd64")), os.RemoveAll(filepath.Join(opt, "throughline", "arm64")))
	if err != nil {
		t.Error(err)
	}
}

func linked(t *testing.T, tmp, trap string) {
	t.Helper()
	elsewhere := filepath.Join(tmp, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o777); err != nil {
		t.Error(err)
	}
	plant(trap, manager, 0o700, 0o600)(t, elsewhere)
	if err := os.Symlink("elsewhere/throughline", filepath.Join(tmp, "throughline")); err != nil {
		t.Error(err)
	}
}

// TestEmulatorSurroundings: whatever is wrong with the layer, and whoever has
// been in the environment, the emulator answers as without the layer.
func TestEmulatorSurroundings(t *testing.T) {
	var lured atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { lured.Add(1) }))
	defer trap.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	outside, c := stands.NewOutside(t), goClient(t)
	todo := []string{`{"do":"publish","id":"a"}`, `{"do":"fail","id":"b"}`, `{"do":"publish","id":"c"}`}
	for _, managed := range []int{0, 2} {
		play := func(t *testing.T, opt string, s surroundings) (seen, events []string, log string) {
			outside.Begin(stands.Bus{})
			e := emulate(t, emulation{client: c, opt: opt, outside: outside, managed: managed, env: s.env, plant: func(tmp string) {
				if s.plant != nil {
					s.plant(t, tmp)
				}
			}})
			for _, task := range todo {
				seen = append(seen, e.invoke(t, task))
			}
			events, _ = published(outside)
			return seen, events, e.log()
		}
		want, wanted, _ := play(t, "", surroundings{})
		for name, s := range everySurrounding(strings.TrimPrefix(trap.URL, "http://"), taken.Addr().String()) {
			t.Run(fmt.Sprintf("%d %s", managed, name), func(t *testing.T) {
				opt := layer(t)
				if s.layer != nil {
					s.layer(t, opt)
				}
				got, events, log := play(t, opt, s)
				if !slices.Equal(got, want) || !slices.Equal(events, wanted) {
					t.Errorf("with the layer\n%s%s\nwithout\n%s%s\n%.4000s", shorten(got), shorten(events), shorten(want), shorten(wanted), log)
				}
				if strings.Count(log, s.said) != 1 && s.said != "" {
					t.Errorf("not said once: %q\n%.4000s", s.said, log)
				}
				if n := lured.Swap(0); n > 0 {
					t.Errorf("%d requests to a planted address", n)
				}
			})
		}
	}
}
