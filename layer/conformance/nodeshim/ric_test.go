package nodeshim

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/local/lambdalocal"
)

// invocations are those of testdata/ric.mjs, in the order in which one
// environment gets them. Some end their process.
var invocations = []string{
	"publish", "publish twice", "get", "fetch", "fire and forget", "publish and do not wait", "throw", "reject", "reject with no error",
	"error of a call", "large", "resources", "stack", "listeners", "publish", "environment",
	"an error that nobody handles", "publish", "a rejection that nobody handles", "publish", "exit", "publish",
}

// heard is all that can be seen of a function.
type heard struct {
	results  []string
	log      []string
	received []stands.Request
}

// varying is what differs from one invocation to the next in a log.
var varying = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d+(\.\d+)? ms|pid=\d+`)

// invoke runs a function on AWS's runtime client, without or with the layer.
func (w *world) invoke(t *testing.T, layered bool, handler string, events []string) heard {
	t.Helper()
	modules := installed(t, "node_modules")
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(root, "node_modules")); err != nil {
		t.Fatal(err)
	}
	var h heard
	var logging sync.Mutex
	over := false // what is logged while the environment ends is another matter
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		logging.Lock()
		defer logging.Unlock()
		if l.Source == "function" && !over {
			h.log = append(h.log, strings.ReplaceAll(varying.ReplaceAllString(l.Text, "*"), root, "root"))
		}
	}})
	defer svc.Close()
	f := lambdalocal.Function{
		Name: "f", Handler: handler, TaskRoot: root, ExecutionEnv: "AWS_Lambda_nodejs22.x", Memory: 1024, Timeout: 20 * time.Second, MaxEnvironments: 1,
		Runtime:     []string{filepath.Join(modules, ".bin", "node"), installed(t, "node_modules", "aws-lambda-ric", "index.mjs"), handler},
		Credentials: lambdalocal.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"},
		Env: map[string]string{
			"PATH": os.Getenv("PATH"), "API": w.outside.API, "AWS_ENDPOINT_URL_EVENTBRIDGE": w.outside.API, "THROUGHLINE_HTTP_HOSTS": "127.0.0.1",
			"THROUGHLINE_ENDPOINTS": "otlp,runtime", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", "THROUGHLINE_RUNTIME_ADDR": "127.0.0.1:0",
		},
	}
	if layered {
		wrapper, err := filepath.Abs("../../throughline/wrapper")
		if err != nil {
			t.Fatal(err)
		}
		f.Extensions, f.Wrapper = []string{extensionBinary(t)}, wrapper
	}
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	w.outside.Begin(stands.Bus{})
	for n, event := range events {
		trace := fmt.Sprintf("Root=1-6b0c9ff8-%024d;Parent=%016d;Sampled=0", n, n)
		var streamed bytes.Buffer
		result, err := d.Invoke(t.Context(), fmt.Appendf(nil, `{"do":%q}`, event), lambdalocal.InvokeOptions{Wait: true, TraceHeader: trace, Stream: &streamed})
		if err != nil {
			t.Fatalf("%s: %v", event, err)
		}
		payload := strings.ReplaceAll(varying.ReplaceAllString(string(result.Payload), "*"), root, "root")
		h.results = append(h.results, fmt.Sprintf("%s: %s %s %.2000s %q", event, result.FunctionError, result.ErrorType, payload, &streamed))
	}
	if err := svc.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	logging.Lock()
	over = true
	logging.Unlock()
	h.received = w.outside.Received()
	return h
}

func extensionBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "throughline-extension")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/throughline-extension")
	cmd.Dir, cmd.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// settings are variables that the layer's wrapper sets, and says so, or its shell.
var settings = regexp.MustCompile(`(PWD|SHLVL|NODE_OPTIONS|OTEL_EXPORTER_OTLP_(TRACES|METRICS|LOGS)_ENDPOINT|AWS_LAMBDA_EXEC_WRAPPER),`)

var stampOfOurs = regexp.MustCompile(`,"Resources":\["correlation:[^\]]*\]`)

// A function on AWS's own runtime client answers, fails, logs and calls with the
// layer as it does without.
func TestRuntimeClient(t *testing.T) {
	for name, tt := range map[string]struct {
		handler string
		events  []string
		any     bool // what is logged differs without the layer too
	}{
		"answers":  {handler: "ric.handler", events: invocations},
		"streamed": {handler: "ric.streamed", events: []string{"stream", "stream"}},
		// The client asks for the next event while this one's stream still ends, and may be refused.
		"streamed, then thrown": {handler: "ric.streamed", events: []string{"stream, then throw"}, any: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{T: t, outside: stands.NewOutside(t)}
			bare, with := w.invoke(t, false, tt.handler, tt.events), w.invoke(t, true, tt.handler, tt.events)
			for i := range bare.results {
				got, want := settings.ReplaceAllString(with.results[i], ""), settings.ReplaceAllString(bare.results[i], "")
				if got != want {
					t.Errorf("with the layer\n%s\nwithout\n%s", got, want)
				}
			}
			if !tt.any && !slices.Equal(with.log, bare.log) {
				t.Errorf("with the layer\n%s\nwithout\n%s", strings.Join(with.log, "\n"), strings.Join(bare.log, "\n"))
			}
			stamped := 0
			for i := range with.received {
				r := &with.received[i]
				body := stampOfOurs.ReplaceAll(r.Body, nil)
				stamped += bit(len(body) < len(r.Body))
				r.Body = body
			}
			if got, want := raw(with.received), raw(bare.received); !slices.Equal(got, want) {
				t.Errorf("with the layer there arrived\n%s\nwithout\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if stamped == 0 {
				t.Error("no request is stamped")
			}
		})
	}
}
