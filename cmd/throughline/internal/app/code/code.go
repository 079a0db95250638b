// Package code finds what runs the functions of a plan: their folders, layers and
// interpreters, bootstraps of its own for Python and Node.js, and what Go functions are
// built to.
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

// Options say where things are.
type Options struct {
	Template string // folder of the template
	Dir      string // what is made is put below it, an absolute path
	// Python and Node are interpreters, "" for those that fit on the PATH.
	Python, Node string
}

// Code is what runs one function.
type Code struct {
	Argv         []string // of the runtime
	Root         string   // LAMBDA_TASK_ROOT
	Opt          string   // the folder that stands for /opt, "" where there is none
	ExecutionEnv string
	Env          map[string]string
	Extensions   []string // of the function's own layers
	// Watch are the folders whose files the function is made of.
	Watch []string
	// Note says what is otherwise than in Lambda, "" for nothing.
	Note string
	// Library says that the function tells of itself by Throughline's Go library.
	Library bool
	native  bool                            // Argv[0] is the function itself
	build   func(ctx context.Context) error // of a Go function; nil otherwise
}

// Finder prepares functions. Use [NewFinder]. It must not be used concurrently.
type Finder struct {
	options Options
	runtime string // folder of the bootstraps
	// Wrapper is the layer's, with shims that wait for the extension as a busy laptop needs it.
	Wrapper string
	known   map[string]interpreter
}

// patience are the deadlines of the shims, in the unit of each, and what they become: dozens
// of environments share what each has for itself in Lambda.
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
			return nil, fmt.Errorf("%s names no deadline", p.file)
		}
		if err := os.WriteFile(path, patient, 0o644); err != nil {
			return nil, err
		}
	}
	f.Wrapper = filepath.Join(shims, "wrapper")
	return f, os.Chmod(f.Wrapper, 0o755)
}

// Find prepares a function; [Code.Build] is still to be called. The error says what is
// missing and what to do.
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

// Compiled says whether Build compiles sources.
func (c *Code) Compiled() bool { return c.build != nil }

// Build makes what the function runs of its sources, where it is compiled, and sees what
// that is.
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

// wrapped is a function of the library that a handler is wrapped by.
const wrapped = "github.com/throughline/throughline/handler.Wrap"

// usesLibrary says whether a Go binary has the library linked. Names of functions stand in
// a binary also where it was stripped.
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
		if err != nil { // its end
			return false, nil
		}
		kept = copy(buffer, buffer[kept+n-len(wrapped):kept+n])
	}
}

// path is one of the plan's as this machine has it.
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
		return fmt.Errorf("there is no %s: build it first, and with sam build name .aws-sam/build/template.yaml", at)
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
			continue // our own, which is attached in any case
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

// overlay copies a folder over another; what is there is replaced.
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
		return os.Symlink(absolute, target) // changes to the layer are seen at once
	})
}

// custom is a bootstrap: the folder's own, or what its Go main package is built to.
func (f *Finder) custom(c *Code, of plan.Function) error {
	c.ExecutionEnv, c.native = "", true // as Lambda has it for provided runtimes
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
