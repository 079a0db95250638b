// Package runtimes runs functions on AWS's own runtime clients for Go, Node.js,
// Python and Java, in AWS's emulator of Lambda and in a local one, without and
// with the layer, and compares what their callers and EventBridge see.
package runtimes

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// client is one of AWS's runtime clients, with the function on it.
type client struct {
	name, executionEnv, handler string
	task                        string            // the function's folder
	lang, libraries             string            // the language's folder, and that of the runtime client and the SDK
	command                     []string          // {task}, {lang} and {libraries} stand for the folders
	env                         map[string]string // with the same
	stamps                      bool              // the layer stamps what it publishes
}

// in is the command with the folders in their places.
func (c client) in(task, lang, libraries string) (command []string, env map[string]string) {
	places := strings.NewReplacer("{task}", task, "{lang}", lang, "{libraries}", libraries)
	for _, argument := range c.command {
		command = append(command, places.Replace(argument))
	}
	env = map[string]string{}
	for name, value := range c.env {
		env[name] = places.Replace(value)
	}
	return command, env
}

func root(t testing.TB, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"../../.."}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// installed is a path below the root that make fills.
func installed(t testing.TB, target string, elements ...string) string {
	t.Helper()
	path := root(t, elements...)
	if _, err := os.Stat(path); err != nil {
		peertest.Missing(t, filepath.Join(elements...)+" (`make "+target+"` installs it)")
	}
	return path
}

// function copies the sources of a function into a folder that any user may read.
func function(t testing.TB, language string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", language))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// built are binaries, each built once in the process.
var built struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// build builds a package of a folder once, as the layer is packed, and returns the path.
func build(t testing.TB, name, dir, pkg string, env ...string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "throughline-runtimes") //nolint:usetesting // it serves every test
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	path := filepath.Join(built.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags=nethttpomithttp2", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

func extensionBinary(t testing.TB) string {
	t.Helper()
	return build(t, "throughline-extension", root(t), "./cmd/throughline-extension", "GOWORK=off")
}

func goClient(t testing.TB) client {
	t.Helper()
	task := t.TempDir()
	if err := os.Link(build(t, "function", ".", "./testdata/function"), filepath.Join(task, "function")); err != nil {
		t.Fatal(err)
	}
	return client{name: "Go", executionEnv: "AWS_Lambda_provided.al2023", handler: "function", task: task, command: []string{"{task}/function"}}
}

func nodeClient(t testing.TB) client {
	t.Helper()
	modules := installed(t, "node", "build", "node", "node_modules")
	task := function(t, "node")
	return client{
		name: "Node", executionEnv: "AWS_Lambda_nodejs22.x", handler: "function.handle", stamps: true,
		task: task, lang: filepath.Join(modules, "node"), libraries: modules,
		command: []string{"{lang}/bin/node", "{libraries}/aws-lambda-ric/index.mjs", "function.handle"},
	}
}

// pythonClients are the oldest and the newest Python that have AWS's runtime client.
func pythonClients(t testing.TB) (oldest, newest client) {
	t.Helper()
	found, err := filepath.Glob(root(t, "build", "python", "3.*", "runtime", "requirements.txt"))
	if err != nil || len(found) == 0 {
		peertest.Missing(t, "AWS's runtime client for Python (`make python` installs it)")
	}
	minor := func(path string) int {
		_, version, _ := strings.Cut(filepath.Base(filepath.Dir(filepath.Dir(path))), ".")
		n, _ := strconv.Atoi(version)
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return minor(a) - minor(b) })
	of := func(path string) client {
		version, environment := "3."+strconv.Itoa(minor(path)), filepath.Dir(path)
		interpreter, err := filepath.EvalSymlinks(filepath.Join(environment, "bin", "python"))
		if err != nil {
			t.Fatal(err)
		}
		return client{
			name: "Python " + version, executionEnv: "AWS_Lambda_python" + version, handler: "function.handle", stamps: true,
			task: function(t, "python"), lang: filepath.Dir(filepath.Dir(interpreter)), libraries: filepath.Join(environment, "lib", "python"+version, "site-packages"),
			command: []string{"{lang}/bin/" + filepath.Base(interpreter), "{task}/bootstrap.py"},
			env:     map[string]string{"RUNTIME_DIR": "{libraries}", "PYTHONDONTWRITEBYTECODE": "1"},
		}
	}
	return of(found[0]), of(found[len(found)-1])
}

// elf is the binary of another architecture, as far as any kernel looks.
func elf(t testing.TB, binary string) []byte {
	t.Helper()
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	machine := map[string]byte{"amd64": 0xb7, "arm64": 0x3e}[runtime.GOARCH] // the other one's e_machine
	data[18] = machine
	return data
}

// javaClient has its classes in a folder of the test's.
func javaClient(t testing.TB) client {
	t.Helper()
	installed(t, "java", "build", "java", "installed")
	task, jars := t.TempDir(), root(t, "build", "java", "lib")
	source, err := filepath.Abs("testdata/java/Function.java")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(peertest.Command(t, "javac"), "-encoding", "UTF-8", "-cp", jars+"/*", "-d", task, source).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return client{
		name: "Java", executionEnv: "AWS_Lambda_java17", handler: "Function::handle", task: task, libraries: jars,
		command: []string{peertest.Command(t, "java"), "-Dfile.encoding=UTF-8", "-XX:TieredStopAtLevel=1", "-cp", "{task}:{libraries}/*", "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "Function::handle"},
	}
}
