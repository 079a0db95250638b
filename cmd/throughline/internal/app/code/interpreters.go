package code

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
)

// interpreter is a Python or Node.js interpreter on this machine.
type interpreter struct {
	path    string
	version string // 3.12, 22
	boto3   bool
}

// python runs a function with the Python of its runtime, or with another version.
func (f *Finder) python(ctx context.Context, c *Code, of plan.Function) error {
	wanted := strings.TrimPrefix(of.Runtime, "python")
	found, err := f.interpreter(ctx, "python"+wanted, f.options.Python, []string{"python" + wanted, "python3"}, askPython)
	if err != nil {
		return fmt.Errorf("%w; install Python %s, or name one with --python", err, wanted)
	}
	if found.version != wanted {
		c.Note = fmt.Sprintf("python%s runs on Python %s", wanted, found.version)
	}
	c.Argv = []string{found.path, filepath.Join(f.runtime, "bootstrap.py")}
	c.Env["_DEV_OPT"] = c.Opt
	return nil
}

// node runs a function with the Node.js of its runtime, or with another version.
func (f *Finder) node(ctx context.Context, c *Code, of plan.Function) error {
	wanted := strings.TrimSuffix(strings.TrimPrefix(of.Runtime, "nodejs"), ".x")
	found, err := f.interpreter(ctx, "node", f.options.Node, []string{"node"}, askNode)
	if err != nil {
		return fmt.Errorf("%w; install Node.js %s, or name one with --node", err, wanted)
	}
	if found.version != wanted {
		c.Note = fmt.Sprintf("nodejs%s.x runs on Node.js %s", wanted, found.version)
	}
	c.Argv = []string{found.path, filepath.Join(f.runtime, "bootstrap.mjs")}
	if c.Opt != "" {
		c.Env["NODE_PATH"] = strings.Join([]string{
			filepath.Join(c.Opt, "nodejs", "node"+wanted, "node_modules"), filepath.Join(c.Opt, "nodejs", "node_modules"),
		}, string(filepath.ListSeparator))
	}
	return nil
}

// interpreter finds an interpreter by its possible names and reads its version.
func (f *Finder) interpreter(ctx context.Context, key, given string, names []string, ask func(context.Context, string) (interpreter, error)) (interpreter, error) {
	if known, ok := f.known[key]; ok {
		return known, nil
	}
	if given != "" {
		names = []string{given}
	}
	var last error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			var found interpreter
			if found, err = ask(ctx, path); err == nil {
				f.known[key] = found
				return found, nil
			}
		}
		last = err
	}
	return interpreter{}, last
}

// asking bounds how long an interpreter can take to print its version.
const asking = 20 * time.Second

func askPython(ctx context.Context, path string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	// The path of the interpreter itself, because the command on the PATH can be a script
	// that starts it.
	out, err := exec.CommandContext(ctx, path, "-c", `import json, sys, importlib.util
print(json.dumps([sys.executable, "%d.%d" % sys.version_info[:2], importlib.util.find_spec("boto3") is not None]))`).Output()
	var said []any
	if err != nil || json.Unmarshal(out, &said) != nil || len(said) != 3 {
		return interpreter{}, fmt.Errorf("read the Python version of %s: %w", path, err)
	}
	found := interpreter{path: path}
	if real, _ := said[0].(string); real != "" {
		found.path = real
	}
	found.version, _ = said[1].(string)
	found.boto3, _ = said[2].(bool)
	return found, nil
}

func askNode(ctx context.Context, path string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-p", "JSON.stringify([process.execPath, process.versions.node])").Output()
	var said []string
	if err != nil || json.Unmarshal(out, &said) != nil || len(said) != 2 {
		return interpreter{}, fmt.Errorf("read the Node.js version of %s: %w", path, err)
	}
	major, _, _ := strings.Cut(said[1], ".")
	return interpreter{path: said[0], version: major}, nil
}

// Notes are what functions will miss of the interpreters.
func (f *Finder) Notes() []string {
	var notes []string
	for name, found := range f.known {
		if strings.HasPrefix(name, "python") && !found.boto3 {
			notes = append(notes, fmt.Sprintf("%s has no boto3, which Lambda's runtimes have: %s -m pip install boto3", found.path, found.path))
		}
	}
	return notes
}

// goBuild builds a main package to a new file, then replaces the old binary. A module
// that a surrounding workspace does not list is built without the workspace.
func goBuild(ctx context.Context, dir, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	made := target + ".new"
	build := func(env ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-o", made, ".")
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err := build()
	if err != nil && (strings.Contains(said, "go.work") || strings.Contains(said, "main module")) {
		if _, alone := build("GOWORK=off"); alone == nil {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", dir, err, said)
	}
	return os.Rename(made, target)
}
