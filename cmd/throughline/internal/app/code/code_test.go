package code_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/throughline/throughline/cmd/throughline/internal/app/code"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

// write writes files below a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func archive(t *testing.T, path string, files map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = entry.Write([]byte(content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newFinder(t *testing.T, template string) *code.Finder {
	t.Helper()
	f, err := code.NewFinder(code.Options{Template: template, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPythonLayers: a later layer replaces files of an earlier one, the function's own
// module stands first, and the folder of the bootstraps is on no path.
func TestPythonLayers(t *testing.T) {
	peertest.Command(t, "python3")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"one/python/shared.py": "who = 'one'", "one/python/own.py": "who = 'the layer'", "one/python/only.py": "who = 'only one'", "two/python/shared.py": "who = 'two'",
		"code/own.py":  "who = 'the function'",
		"code/main.py": "import shared, own, only, sys\ndef handle(event, context): return [shared.who, own.who, only.who, any('runtime' in p for p in sys.path)]",
	})
	archive(t, filepath.Join(dir, "three.zip"), map[string]string{"python/lib/deep.py": "who = 'three'", "extensions/throughline-extension": "x"})
	run := ours(t, newFinder(t, dir), plan.Function{Name: "f", Language: plan.Python, Runtime: "python3.99", Handler: "main.handle", Code: "code", Layers: []string{"one", "two", "three.zip", "build/throughline.zip"}})
	if got := play(t, run, `{}`, lambdalocal.InvokeOptions{}); got.Payload != `["two", "the function", "only one", false]` {
		t.Errorf("%+v", got)
	}
}

func TestNodeLayers(t *testing.T) {
	peertest.Command(t, "node")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"one/nodejs/node_modules/shared/index.js": "module.exports = 'shared'",
		"code/main.js": "const shared = require('shared'); exports.handle = (event, context, callback) => callback(null, shared);",
	})
	run := ours(t, newFinder(t, dir), plan.Function{Name: "f", Language: plan.Node, Runtime: "nodejs22.x", Handler: "main.handle", Code: "code", Layers: []string{"one"}})
	if got := play(t, run, `{}`, lambdalocal.InvokeOptions{}); got.Payload != `"shared"` {
		t.Errorf("%+v", got)
	}
}

func TestInlineAndArchives(t *testing.T) {
	peertest.Command(t, "python3")
	dir := t.TempDir()
	f := newFinder(t, dir)
	run := ours(t, f, plan.Function{Name: "inline", Language: plan.Python, Runtime: "python3.12", Handler: "index.handle", Inline: "def handle(event, context): return 'inline'"})
	if got := play(t, run, `{}`, lambdalocal.InvokeOptions{}); got.Payload != `"inline"` {
		t.Errorf("%+v", got)
	}
	archive(t, filepath.Join(dir, "code.zip"), map[string]string{"app/main.py": "def handle(event, context): return 'unpacked'"})
	run = ours(t, f, plan.Function{Name: "zip", Language: plan.Python, Runtime: "python3.12", Handler: "app.main.handle", Code: "code.zip"})
	if got := play(t, run, `{}`, lambdalocal.InvokeOptions{}); got.Payload != `"unpacked"` {
		t.Errorf("%+v", got)
	}
	archive(t, filepath.Join(dir, "evil.zip"), map[string]string{"../../outside.py": "x"})
	if _, err := f.Find(t.Context(), plan.Function{Name: "evil", Language: plan.Python, Runtime: "python3.12", Code: "evil.zip"}); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "..", "outside.py")); err == nil {
		t.Error("the archive wrote outside of its folder")
	}
}

// TestGo builds a main package, and sees whether it has the library.
func TestGo(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"go/go.mod": "module example.com/f\n\ngo 1.24\n", "go/main.go": "package main\n\nfunc main() {}\n", "broken/go.mod": "module example.com/f\n", "broken/main.go": "package main\n\nfunc main() { x }\n"})
	f := newFinder(t, dir)
	c, err := f.Find(t.Context(), plan.Function{Name: "go", Language: plan.Custom, Runtime: "provided.al2023", Code: "go"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.Argv[0]); err != nil || c.Library || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		t.Errorf("%v, library %v", err, c.Library)
	}
	c, err = f.Find(t.Context(), plan.Function{Name: "broken", Language: plan.Custom, Runtime: "provided.al2023", Code: "broken"})
	if err == nil {
		err = c.Build(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "undefined: x") {
		t.Errorf("%v", err)
	}
	write(t, dir, map[string]string{"own/bootstrap": strings.Repeat("x", 1<<20-20) + "github.com/throughline/throughline/handler.Wrap"})
	c, err = f.Find(t.Context(), plan.Function{Name: "own", Language: plan.Custom, Runtime: "provided.al2023", Code: "own"})
	if err == nil {
		err = c.Build(t.Context())
	}
	if err != nil || !c.Library {
		t.Errorf("%v %+v", err, c)
	}
	write(t, dir, map[string]string{"none/readme": "x"})
	if _, err := f.Find(t.Context(), plan.Function{Name: "none", Language: plan.Custom, Runtime: "provided.al2023", Code: "none"}); err == nil || !strings.Contains(err.Error(), "build it first") {
		t.Errorf("%v", err)
	}
	if _, err := f.Find(t.Context(), plan.Function{Name: "gone", Language: plan.Python, Runtime: "python3.12", Code: "gone"}); err == nil || !strings.Contains(err.Error(), "sam build") {
		t.Errorf("%v", err)
	}
}
