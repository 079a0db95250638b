package examples

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
	"github.com/throughline/throughline/tracing/otlp"
)

const busName = "trading"

// binaries are built once for all tests.
var binaries struct {
	dir   string
	mu    sync.Mutex
	built map[string]bool
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "throughline-examples")
	if err != nil {
		panic(err)
	}
	binaries.dir, binaries.built = dir, map[string]bool{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t *testing.T, pkg string) string {
	t.Helper()
	binaries.mu.Lock()
	defer binaries.mu.Unlock()
	path := filepath.Join(binaries.dir, filepath.Base(pkg))
	if binaries.built[path] {
		return path
	}
	cmd := exec.Command("go", "build", "-o", path, "github.com/throughline/throughline/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	binaries.built[path] = true
	return path
}

// scene is what surrounds an example: a bus, an exchange, a backend for spans.
type scene struct {
	t      *testing.T
	bus    *buslocal.Bus
	busURL string
	lambda *lambdalocal.Service
	alpaca *httptest.Server
	traces *httptest.Server

	mu    sync.Mutex
	calls []http.Header
	spans []byte // OTLP/JSON, a request a line
	log   strings.Builder
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t}
	s.alpaca = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.calls = append(s.calls, r.Header.Clone())
		s.mu.Unlock()
		w.Header().Set("X-Request-ID", "alpaca-1")
		_, _ = io.WriteString(w, `{"is_open":true}`)
	}))
	t.Cleanup(s.alpaca.Close)
	s.traces = httptest.NewServer(http.HandlerFunc(s.collect))
	t.Cleanup(s.traces.Close)
	s.bus = buslocal.New(buslocal.Options{Buses: []string{busName}})
	t.Cleanup(s.bus.Close)
	var err error
	if s.busURL, err = s.bus.Start(); err != nil {
		t.Fatal(err)
	}
	s.lambda = lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		s.mu.Lock()
		fmt.Fprintf(&s.log, "%s %s: %s\n", l.Function, l.Source, l.Text)
		s.mu.Unlock()
	}})
	t.Cleanup(func() { _ = s.lambda.Close() })
	return s
}

func (s *scene) collect(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var zip *gzip.Reader
		if zip, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(zip)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.spans, err = otlp.AppendJSON(s.spans, body)
	}
	if err != nil {
		s.t.Errorf("spans that cannot be read: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.spans = append(s.spans, '\n')
}

// create deploys a function with the layer's extension. The variables are those
// of a deployment, but for addresses, which are this machine's.
func (s *scene) create(f lambdalocal.Function) *lambdalocal.Deployment {
	s.t.Helper()
	wrapper, err := filepath.Abs("../layer/throughline/wrapper")
	if err != nil {
		s.t.Fatal(err)
	}
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"), "AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1",
		"ALPACA_URL": s.alpaca.URL, "THROUGHLINE_HTTP_HOSTS": "127.0.0.1", "OTEL_EXPORTER_OTLP_ENDPOINT": s.traces.URL, "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0",
	}
	for name, value := range f.Env {
		if _, ours := env[name]; !ours {
			env[name] = value
		}
	}
	f.Extensions, f.MaxEnvironments = []string{binary(s.t, "cmd/throughline-extension")}, 1
	if env["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/throughline/wrapper" {
		delete(env, "AWS_LAMBDA_EXEC_WRAPPER")
		f.Wrapper = wrapper
		env["THROUGHLINE_ENDPOINTS"] = "otlp,events,alpaca,runtime" // which the extension infers where the wrapper lies at /opt
		env["THROUGHLINE_EVENTS_ADDR"], env["THROUGHLINE_ALPACA_ADDR"], env["THROUGHLINE_RUNTIME_ADDR"] = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		env["THROUGHLINE_EVENTS_UPSTREAM"] = s.busURL
	} else {
		env["AWS_ENDPOINT_URL_EVENTBRIDGE"] = s.busURL
	}
	f.Env = env
	if f.Timeout == 0 {
		f.Timeout = 30 * time.Second
	}
	f.Memory = 512
	d, err := s.lambda.Create(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// python runs a function's module behind a runtime with Lambda's rules.
func python(t *testing.T, root, handler string) lambdalocal.Function {
	t.Helper()
	interpreter := peertest.Module(t, "boto3")
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := filepath.Abs("../layer/conformance/testdata/python/bootstrap.py")
	if err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{Handler: handler, Runtime: []string{interpreter, runtime}, TaskRoot: root, ExecutionEnv: "AWS_Lambda_python3.12"}
}

// node runs a function's module on AWS's own runtime client.
func node(t *testing.T, root, handler string) lambdalocal.Function {
	t.Helper()
	modules, err := filepath.Abs("../build/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	client := filepath.Join(modules, "aws-lambda-ric")
	if _, err := os.Stat(filepath.Join(client, "rapid-client.node")); err != nil {
		peertest.Missing(t, "AWS's runtime client for Node (`make node` installs it)")
	}
	task := t.TempDir()
	if err := os.CopyFS(task, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(task, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{
		Handler: handler, TaskRoot: task, ExecutionEnv: "AWS_Lambda_nodejs22.x",
		Runtime: []string{filepath.Join(modules, ".bin", "node"), filepath.Join(client, "index.mjs"), handler},
	}
}

// target hands events to a function asynchronously, as EventBridge does.
type target struct {
	name     string
	function *lambdalocal.Deployment
}

func (t target) Name() string { return t.name }

func (t target) Deliver(_ context.Context, m buslocal.Message) error {
	_, err := t.function.InvokeAsync(m.Payload, lambdalocal.InvokeOptions{TraceHeader: m.TraceHeader})
	return err
}

// settle waits until neither the bus nor Lambda has anything left to do.
func (s *scene) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for quiet := 0; quiet < 2; quiet++ {
		before := len(s.bus.Ledger().Deliveries)
		if err := s.bus.Wait(ctx); err != nil {
			s.t.Fatalf("%v\n%s", err, s.logged())
		}
		if err := s.lambda.Wait(ctx); err != nil {
			s.t.Fatalf("%v\n%s", err, s.logged())
		}
		if len(s.bus.Ledger().Deliveries) != before {
			quiet = -1
		}
	}
}

func (s *scene) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// tree ends the environments, which export the rest of their spans, and has
// the operator's command show the workflow.
func (s *scene) tree(flags ...string) string {
	s.t.Helper()
	if err := s.lambda.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file := filepath.Join(s.t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(file, s.spans, 0o644); err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.Command(binary(s.t, "cmd/throughline"), append([]string{"trace", "--file", file}, flags...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("trace: %v\n%s\n%s", err, out, s.log.String())
	}
	return string(out)
}
