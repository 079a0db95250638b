// Package code finds the code of the functions of a plan: folders, layers and
// interpreters. It has bootstraps for Python and Node.js, and it builds Go functions.
package code

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/layer"
)

//go:embed runtime/*
var runtimes embed.FS

// Options are the paths that a [Finder] uses.
type Options struct {
	Template string // the folder of the template
	Dir      string // the folder for new files, an absolute path
	// Python and Node are paths of interpreters. Empty means the matching ones on the
	// PATH.
	Python, Node string
}

// Code is the command and the files that run one function.
type Code struct {
	Argv         []string // the runtime's command
	Root         string   // LAMBDA_TASK_ROOT
	Opt          string   // the folder that replaces /opt, or ""
	ExecutionEnv string
	Env          map[string]string
	Extensions   []string // extensions in the function's own layers
	// Watch are the folders with the function's files.
	Watch []string
	// Note says what differs from Lambda, or is "".
	Note string
	// Library reports that the function uses Throughline's Go library.
	Library bool
	native  bool                            // Argv[0] is the function's binary
	build   func(ctx context.Context) error // builds a Go function; nil for others
}

// Finder prepares functions. Use [NewFinder]. It is not safe for concurrent use.
type Finder struct {
	options Options
	runtime string // the folder of the bootstraps
	// Wrapper is the layer's wrapper, with shims whose time-outs suit a busy machine.
	Wrapper string
	known   map[string]interpreter
}

// patience are the shims' time-outs, in the unit of each, and their longer values here,
// where dozens of environments share a machine.
var patience = []struct {
	file    string
	was     *regexp.Regexp
	becomes string
}{
	{"python/throughline_shim/loopback.py", regexp.MustCompile(`(?m)^_DEADLINE = [0-9.]+`), "_DEADLINE = 5.0"},
	{"node/loopback.cjs", regexp.MustCompile(`(?m)^const ASK = [0-9]+`), "const ASK = 5000"},
}

// NewFinder writes the layer and the bootstraps below o.Dir.
func NewFinder(o Options) (*Finder, error) {
	f := &Finder{options: o, runtime: filepath.Join(o.Dir, "runtime"), known: map[string]interpreter{}}
	for _, dir := range []string{f.runtime, filepath.Join(o.Dir, "throughline")} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	if err := os.CopyFS(o.Dir, runtimes); err != nil {
		return nil, fmt.Errorf("write the bootstraps: %w", err)
	}
	if err := os.CopyFS(o.Dir, layer.Files); err != nil {
		return nil, fmt.Errorf("write the layer: %w", err)
	}
	shims := filepath.Join(o.Dir, "throughline")
	for _, p := range patience {
		path := filepath.Join(shims, p.file)
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		patient := p.was.ReplaceAll(source, []byte(p.becomes))
		if bytes.Equal(patient, source) {
			return nil, fmt.Errorf("%s has no time-out", p.file)
		}
		if err := os.WriteFile(path, patient, 0o644); err != nil {
			return nil, err
		}
	}
	f.Wrapper = filepath.Join(shims, "wrapper")
	return f, os.Chmod(f.Wrapper, 0o755)
}

// Find prepares a function. Call [Code.Build] after it. The error says what is missing
// and what to do.
func (f *Finder) Find(ctx context.Context, of plan.Function) (*Code, error) {
	c := &Code{Env: map[string]string{}, ExecutionEnv: "AWS_Lambda_" + of.Runtime}
	if err := f.root(c, of); err != nil {
		return nil, err
	}
	if err := f.layers(c, of); err != nil {
		return nil, err
	}
	var err error
	switch of.Language {
	case plan.Python:
		err = f.python(ctx, c, of)
	case plan.Node:
		err = f.node(ctx, c, of)
	default:
		err = f.custom(c, of)
	}
	return c, err
}

// Compiled reports whether Build compiles sources.
func (c *Code) Compiled() bool { return c.build != nil }

// Build compiles the function if it is a Go function, and finds out whether the binary
// uses the library.
func (c *Code) Build(ctx context.Context) error {
	if c.build != nil {
		if err := c.build(ctx); err != nil {
			return err
		}
	}
	if !c.native {
		return nil
	}
	var err error
	c.Library, err = usesLibrary(c.Argv[0])
	return err
}

// wrapped is the function of the library that wraps a handler.
const wrapped = "github.com/throughline/throughline/handler.Wrap"

// usesLibrary reports whether a Go binary links the library. The names of functions are
// in a stripped binary too.
func usesLibrary(binary string) (bool, error) {
	file, err := os.Open(binary)
	if err != nil {
		return false, err
	}
	defer file.Close()
	buffer := make([]byte, 1<<20)
	for kept := 0; ; {
		n, err := io.ReadFull(file, buffer[kept:])
		if bytes.Contains(buffer[:kept+n], []byte(wrapped)) {
			return true, nil
		}
		if err != nil { // the end of the file
			return false, nil
		}
		kept = copy(buffer, buffer[kept+n-len(wrapped):kept+n])
	}
}

// path converts a path of the plan to one on this machine.
func (f *Finder) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.options.Template, filepath.FromSlash(p))
}

// root finds the function's folder.
func (f *Finder) root(c *Code, of plan.Function) error {
	own := filepath.Join(f.options.Dir, "code", of.Name)
	if of.Inline != "" {
		name := "index.py"
		if of.Language == plan.Node {
			name = "index.js"
		}
		c.Root = own
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(own, name), []byte(of.Inline), 0o644)
	}
	at := f.path(of.Code)
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: build it first; after sam build, name .aws-sam/build/template.yaml", at)
	case err != nil:
		return err
	case info.IsDir():
		c.Root = at
		c.Watch = []string{at}
	case strings.HasSuffix(at, ".zip"), strings.HasSuffix(at, ".jar"):
		c.Root = own
		return unzip(at, own)
	default:
		c.Root = filepath.Dir(at)
		c.Watch = []string{c.Root}
	}
	c.Root, err = filepath.Abs(c.Root)
	return err
}

// layers puts the function's layers into one folder, as Lambda puts them into /opt.
func (f *Finder) layers(c *Code, of plan.Function) error {
	if len(of.Layers) == 0 {
		return nil
	}
	opt := filepath.Join(f.options.Dir, "opt", of.Name)
	if err := os.RemoveAll(opt); err != nil {
		return err
	}
	for _, l := range of.Layers {
		at := f.path(l)
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && strings.Contains(filepath.Base(at), "throughline"):
			continue // Throughline's layer is attached to every function
		case err != nil:
			return fmt.Errorf("the layer %s: %w", l, err)
		case info.IsDir():
			c.Watch = append(c.Watch, at)
			err = overlay(opt, at)
		default:
			err = unzip(at, opt)
		}
		if err != nil {
			return fmt.Errorf("the layer %s: %w", l, err)
		}
	}
	_ = os.RemoveAll(filepath.Join(opt, "throughline"))
	entries, err := os.ReadDir(filepath.Join(opt, "extensions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode()&0o111 != 0 && !e.IsDir() && e.Name() != "throughline-extension" {
			c.Extensions = append(c.Extensions, filepath.Join(opt, "extensions", e.Name()))
		}
	}
	c.Opt = opt
	return os.MkdirAll(opt, 0o755)
}

// overlay copies a folder over another and replaces existing files.
func overlay(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		_ = os.Remove(target)
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		return os.Symlink(absolute, target) // so changes to the layer apply at once
	})
}

// custom finds the bootstrap: that in the folder, or the binary of its Go main package.
func (f *Finder) custom(c *Code, of plan.Function) error {
	c.ExecutionEnv, c.native = "", true // as in Lambda's provided runtimes
	own := filepath.Join(c.Root, "bootstrap")
	sources, err := filepath.Glob(filepath.Join(c.Root, "*.go"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		if info, err := os.Stat(own); err != nil || info.IsDir() {
			return fmt.Errorf("%s has neither a bootstrap nor a Go main package: build it first", c.Root)
		}
		c.Argv = []string{own}
		return nil
	}
	target := filepath.Join(f.options.Dir, "bin", of.Name, "bootstrap")
	c.Argv = []string{target}
	c.build = func(ctx context.Context) error { return goBuild(ctx, c.Root, target) }
	return nil
}
