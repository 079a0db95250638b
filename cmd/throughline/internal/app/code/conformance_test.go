package code_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/cmd/throughline/internal/app/code"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what can be seen of an invocation from outside.
type outcome struct {
	Payload, FunctionError, ErrorType, Log string
}

// play invokes a function once in a local Lambda of its own.
func play(t *testing.T, f lambdalocal.Function, payload string, options lambdalocal.InvokeOptions) outcome {
	t.Helper()
	var mu sync.Mutex
	var log strings.Builder
	s := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		if l.Source == "function" {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(l.Text + "\n")
		}
	}})
	defer s.Close()
	f.Name, f.Timeout, f.InitTimeout, f.Memory = "played", 10*time.Second, 20*time.Second, 256
	env := map[string]string{"PATH": os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE": "1"}
	for name, value := range f.Env {
		env[name] = value
	}
	f.Env = env
	d, err := s.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	options.Stream = &stream
	result, err := d.Invoke(t.Context(), []byte(payload), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return outcome{string(result.Payload), result.FunctionError, result.ErrorType, log.String()}
}

// what differs from one run to the next, or by where a runtime lies.
var volatile = []struct {
	was     *regexp.Regexp
	becomes string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`0x[0-9a-f]+`), "ADDRESS"},
	// What AWS says of updates of its runtimes, where an init fails.
	{regexp.MustCompile(`(?m)^.*LAMBDA_WARNING: .*\n(\n)?`), ""},
	// What Node.js prints where AWS's client throws an init's error on, if it gets that far.
	{regexp.MustCompile(`(?s)node:internal/process/promises:\d+\n.*?(?:Node\.js v[^\n]*\n|\z)`), ""},
	{regexp.MustCompile(`BufferedInvokeProcessor\.(\w+) \[as handler\]`), "$1"},
	{regexp.MustCompile(`("Require stack:",")- [^"]*`), "$1…"},
	// Frames of the runtimes themselves, and of the interpreters.
	{regexp.MustCompile(`\\n\s+at [^"\\]*(?:index|bootstrap)\.mjs[^"\\]*`), ""},
	{regexp.MustCompile(`,?"\s*at [^"]*(?:aws-lambda-ric/index|runtime/bootstrap|node:internal|node:events)[^"]*"`), ""},
	{regexp.MustCompile(`(?m)^\s+at .*(?:aws-lambda-ric/index|runtime/bootstrap|node:internal|node:events).*\n`), ""},
	{regexp.MustCompile(`\r\s+at [^\r\n]*(?:aws-lambda-ric/index|runtime/bootstrap|node:internal|node:events)[^\r\n]*`), ""},
	{regexp.MustCompile(`(Require stack:(?:\\n|\n|\\\\n)- )[^"\n]*`), "$1…"},
	{regexp.MustCompile(`imported from [^"\s]+`), "imported from …"},
}

func stable(text string) string {
	for _, v := range volatile {
		text = v.was.ReplaceAllString(text, v.becomes)
	}
	return text
}

// withoutTrace is an error without the frames, which are compared by themselves.
func withoutTrace(payload string) string {
	var members map[string]any
	if json.Unmarshal([]byte(payload), &members) != nil {
		return payload
	}
	delete(members, "requestId") // AWS's client for Node.js has none
	data, _ := json.Marshal(members)
	return string(data)
}

func finder(t *testing.T, python, node string) *code.Finder {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	f, err := code.NewFinder(code.Options{Template: dir, Dir: t.TempDir(), Python: python, Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ours is the function as the finder has it run.
func ours(t *testing.T, f *code.Finder, of plan.Function) lambdalocal.Function {
	t.Helper()
	c, err := f.Find(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	return lambdalocal.Function{Handler: of.Handler, Runtime: c.Argv, TaskRoot: c.Root, ExecutionEnv: c.ExecutionEnv, Env: c.Env}
}

const clientContext = `{"custom":{"a":"1"},"env":{"locale":"de"},"client":{"app_title":"app"},"w3c":{"traceparent":"00-1","other":"x"}}`

// compare holds what two runtimes made of the same function together.
func compare(t *testing.T, run, aws lambdalocal.Function, payload string) {
	t.Helper()
	options := lambdalocal.InvokeOptions{ClientContext: clientContext, CognitoIdentityID: "identity", CognitoPoolID: "pool", TenantID: "tenant"}
	got, want := play(t, run, payload, options), play(t, aws, payload, options)
	for _, o := range []*outcome{&got, &want} {
		o.Payload, o.Log = stable(withoutTrace(o.Payload)), stable(o.Log)
	}
	if got != want {
		a, b := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want)
		same := 0
		for same < min(len(a), len(b)) && a[same] == b[same] {
			same++
		}
		from := max(0, same-60)
		t.Errorf("ours and AWS's differ\n ours …%s\n AWS's …%s", a[from:], b[from:])
	}
}

// TestPython holds our bootstrap for Python to awslambdaric.
func TestPython(t *testing.T) {
	python, err := filepath.Abs("../../../../../build/python/3.13/runtime/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if exec.Command(python, "-c", "import awslambdaric").Run() != nil {
		peertest.Missing(t, "awslambdaric for Python 3.13 (`make python` installs it)")
	}
	f := finder(t, python, "")
	for _, c := range []struct{ handler, payload string }{
		{"cases.echo", `{"a":[1,2.50,"ü",null,true]}`}, {"cases.echo", `"text"`}, {"cases.echo", `{"a":`}, {"cases.nothing", `{}`}, {"cases.text", `{}`}, {"cases.raw", `{}`},
		{"cases.decimals", `{}`}, {"cases.unwritable", `{}`}, {"cases.fails", `{}`}, {"cases.deep", `{}`}, {"cases.no_message", `{}`}, {"cases.exits", `{}`},
		{"cases.context", `{}`}, {"cases.logs", `{}`}, {"cases.method", `{"a":1}`}, {"sub/inner.handle", `{}`}, {"sub.inner.handle", `{}`},
		{"cases.absent", `{}`}, {"broken.handle", `{}`}, {"missing.handle", `{}`}, {"raises.handle", `{}`}, {"nowhere.handle", `{}`}, {"nodot", `{}`}, {"sys.exit", `{}`}, {"cases.Odd", `{}`},
	} {
		for _, format := range []lambdalocal.LogFormat{lambdalocal.Text, lambdalocal.JSON} {
			t.Run(c.handler+" "+c.payload+" "+string(format), func(t *testing.T) {
				run := ours(t, f, plan.Function{Name: "played", Language: plan.Python, Runtime: "python3.13", Handler: c.handler, Code: "python"})
				t.Parallel()
				aws := run
				aws.Runtime, aws.Env = []string{python, "-m", "awslambdaric", c.handler}, map[string]string{"PYTHONPATH": run.TaskRoot}
				run.LogFormat, aws.LogFormat = format, format
				compare(t, run, aws, c.payload)
			})
		}
	}
}

// TestNode holds our bootstrap for Node.js to aws-lambda-ric.
func TestNode(t *testing.T) {
	modules, err := filepath.Abs("../../../../../build/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	node, client := filepath.Join(modules, ".bin", "node"), filepath.Join(modules, "aws-lambda-ric", "index.mjs")
	if _, err := os.Stat(filepath.Join(modules, "aws-lambda-ric", "rapid-client.node")); err != nil {
		peertest.Missing(t, "AWS's runtime client for Node (`make node` installs it)")
	}
	f := finder(t, "", node)
	for _, c := range []struct{ handler, payload string }{
		{"cases.echo", `{"a":[1,2.5,"ü",null,true]}`}, {"cases.echo", `"text"`}, {"cases.nothing", `{}`}, {"cases.text", `{}`}, {"cases.plain", `{"a":1}`},
		{"cases.unwritable", `{}`}, {"cases.big", `{}`}, {"cases.fails", `{}`}, {"cases.throwsText", `{}`}, {"cases.throwsNothing", `{}`}, {"cases.rejects", `{}`}, {"cases.exits", `{}`},
		{"cases.context", `{}`}, {"cases.logs", `{}`}, {"cases.nested.inner.handle", `{}`}, {"cases.value", `{}`}, {"cases.absent", `{}`}, {"common.handle", `{}`},
		{"broken.handle", `{}`}, {"missing.handle", `{}`}, {"missingesm.handle", `{}`}, {"raises.handle", `{}`}, {"nowhere.handle", `{}`}, {"nodot", `{}`}, {"../cases.echo", `{}`},
		{"cases.streams", `{}`}, {"cases.streamsMetadata", `{}`}, {"cases.throwsLater", `{}`}, {"cases.rejectsLater", `{}`},
	} {
		for _, format := range []lambdalocal.LogFormat{lambdalocal.Text, lambdalocal.JSON} {
			t.Run(c.handler+" "+c.payload+" "+string(format), func(t *testing.T) {
				run := ours(t, f, plan.Function{Name: "played", Language: plan.Node, Runtime: "nodejs22.x", Handler: c.handler, Code: "node"})
				t.Parallel()
				aws := run
				aws.Runtime = []string{node, client, c.handler}
				run.LogFormat, aws.LogFormat = format, format
				compare(t, run, aws, c.payload)
			})
		}
	}
}
