package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spans are two spans of one workflow, one event published and handled.
const spans = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"strategy"}}]},"scopeSpans":[{"spans":[` +
	`{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"send SignalGenerated","kind":4,"startTimeUnixNano":"1","endTimeUnixNano":"2000000","attributes":[` +
	`{"key":"throughline.correlation.id","value":{"stringValue":"workflow-1"}},{"key":"throughline.event.id","value":{"stringValue":"signal-1"}},{"key":"throughline.event.type","value":{"stringValue":"SignalGenerated"}}]}]}]}]}
{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"portfolio"}}]},"scopeSpans":[{"spans":[` +
	`{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"process SignalGenerated","kind":5,"startTimeUnixNano":"3000000","endTimeUnixNano":"9000000","attributes":[` +
	`{"key":"throughline.correlation.id","value":{"stringValue":"workflow-1"}},{"key":"throughline.event.id","value":{"stringValue":"signal-1"}}],` +
	`"links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","flags":1,"attributes":[{"key":"throughline.link","value":{"stringValue":"causation"}}]}]}]}]}]}
`

// TestMain is also the command itself, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("THROUGHLINE_TEST_MAIN") != "" {
		main()
		return
	}
	// The ordinary chain of credentials reads the process's own environment.
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if played != "" {
		_ = os.RemoveAll(played)
	}
	os.Exit(code)
}

// command runs throughline and returns what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environment{getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

func TestTraceCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	if err := os.WriteFile(file, []byte(spans), 0o644); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"ByID":    {[]string{"trace", "workflow-1", "--file", file}, "⇢ portfolio"},
		"Last":    {[]string{"trace", "--last", "--file", file}, "SignalGenerated  signal-1  from strategy"},
		"Slowest": {[]string{"trace", "--slowest", "--file", file}, "workflow-1  1 event, 2 functions"},
		"ByEvent": {[]string{"trace", "--event", "signal-1", "--file", file}, "causation→b7ad6b71"},
		"JSON":    {[]string{"trace", "--last", "--json", "--file", file}, `"correlation_id": "workflow-1"`},
		"Mermaid": {[]string{"trace", "--last", "--mermaid", "--file", file}, "flowchart LR"},
		"HTML":    {[]string{"trace", "--last", "--html", page, "--file", file}, "open it in a browser"},
		"Help":    {[]string{"trace", "--help"}, "Examples:"},
		"Version": {[]string{"version"}, "throughline"},
		"Demo":    {[]string{"demo", "--help"}, "make demo"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, tt.args...)
			if code != 0 || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit %d, stdout:\n%s\nstderr:\n%s", code, stdout, stderr)
			}
		})
	}
	if data, err := os.ReadFile(page); err != nil || !bytes.Contains(data, []byte("workflow-1")) {
		t.Errorf("the page: %v", err)
	}
}

func TestErrorsNameTheNextStep(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	known := filepath.Join(t.TempDir(), "known.jsonl")
	for path, text := range map[string]string{empty: "", broken: "{", known: spans} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		code int
		args []string
		want string
	}{
		"NothingNamed":   {2, []string{"trace"}, "--last"},
		"NoFile":         {3, []string{"trace", "--last", "--file", "/nowhere"}, "there is no file /nowhere: name another with --file"},
		"NoSpans":        {1, []string{"trace", "--last", "--file", empty}, "no span has a correlation ID"},
		"Broken":         {1, []string{"trace", "--last", "--file", broken}, "1 line without a JSON document"},
		"UnknownID":      {1, []string{"trace", "workflow-9", "--file", known}, "workflow-1"},
		"UnknownEvent":   {1, []string{"trace", "--event", "e", "--file", known}, "no span names the event e"},
		"BothNamed":      {2, []string{"trace", "workflow-1", "--last"}, "not both"},
		"TwoBackends":    {2, []string{"trace", "--last", "--xray", "--transaction-search"}, "give only one of"},
		"NoTime":         {2, []string{"trace", "--last", "--since", "0s"}, "--since"},
		"NoRegion":       {3, []string{"trace", "--last", "--xray"}, "--region"},
		"TwoOutputs":     {2, []string{"trace", "--last", "--json", "--mermaid"}, "give only one of"},
		"JaegerIsGone":   {3, []string{"trace", "--last", "--jaeger", "http://127.0.0.1:1"}, "ask Jaeger"},
		"UnknownCommand": {2, []string{"trcae"}, "trace"},
		"DemoUnbuilt":    {3, []string{"demo", "--dir", t.TempDir(), "--extension", "/nowhere"}, "make demo"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, stderr %q", code, stderr)
			}
		})
	}
}
