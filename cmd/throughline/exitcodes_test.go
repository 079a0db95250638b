package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// call is a call of a verb and the exit code that it ends with.
type call struct {
	code int
	args string // after the verb; IN is the folder of input, AWS an account that refuses everything
}

// calls are, of every verb, one call for each exit code that it can end with and that
// needs no account. What an account answers is for the tests of the verb's own package.
// That a flag that is not known ends every verb with 2 is tested for all of them.
var calls = map[string][]call{
	"throughline":                     {{0, ""}, {2, "trcae"}},
	"throughline help":                {{0, "trace"}, {2, "trcae"}},
	"throughline version":             {{0, ""}},
	"throughline completion":          {{0, "bash"}, {2, "tcsh"}, {2, ""}},
	"throughline demo":                {{3, "--extension IN/none --dir IN/demo"}}, // 0 and 1: package demo
	"throughline dev":                 {{0, "--dir IN/dev --addr 127.0.0.1:0 --otlp-addr 127.0.0.1:0"}, {2, "--limit 0"}, {2, "--addr 0.0.0.0:1"}, {3, "--dir IN/spans.jsonl/x --addr 127.0.0.1:0 --otlp-addr 127.0.0.1:0"}},
	"throughline dev fire":            {{2, ""}, {3, "Daily --dir IN/none"}},
	"throughline dev invoke":          {{2, ""}, {3, "Orders --dir IN/none"}},
	"throughline dev replay":          {{2, ""}, {3, "IN/events.jsonl --dir IN/none"}},
	"throughline dev send":            {{2, ""}, {3, "T --dir IN/none"}},
	"throughline trace":               {{0, "--last --file IN/spans.jsonl"}, {1, "none --file IN/spans.jsonl"}, {1, "--last --file IN/empty"}, {2, ""}, {2, "--last --since 0s"}, {3, "--last --file IN/none"}, {3, "--last --xray AWS"}, {3, "--last --dev=IN/none"}},
	"throughline expect":              {{0, "workflow-1 --no-error --wait 0s --file IN/spans.jsonl"}, {1, "workflow-1 --then None --wait 0s --file IN/spans.jsonl"}, {1, "none --no-error --wait 0s --file IN/spans.jsonl"}, {2, "workflow-1"}, {3, "workflow-1 --no-error --wait 0s --xray AWS"}},
	"throughline map":                 {{0, "--file IN/spans.jsonl"}, {1, "--file IN/empty"}, {1, "--file IN/spans.jsonl --template IN/template.yaml"}, {2, "--no-spans"}, {3, "--file IN/none"}, {3, "--file IN/spans.jsonl --template IN/none"}},
	"throughline repeats":             {{0, "IN/events.jsonl"}, {2, ""}, {2, "IN/events.jsonl --dedupe-keys x"}, {3, "IN/none"}},
	"throughline sizes":               {{0, "IN/events.jsonl"}, {1, "IN/empty"}, {2, ""}, {2, "IN/events.jsonl --limit 0"}, {3, "IN/none"}},
	"throughline cost":                {{0, "--file IN/metrics.jsonl --over 1h"}, {1, "--file IN/events.jsonl"}, {2, "--file IN/metrics.jsonl"}, {3, "--file IN/none"}, {3, "--cloudwatch AWS"}},
	"throughline alarms":              {{0, ""}, {2, "lnit"}},
	"throughline alarms apply":        {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/spec.yaml AWS"}},
	"throughline alarms backtest":     {{0, "-f IN/spec.yaml --metrics IN/metrics.jsonl"}, {1, "-f IN/bad.yaml"}, {1, "-f IN/spec.yaml --metrics IN/metrics.jsonl none"}, {2, "-f IN/spec.yaml --since 1s"}, {3, "-f IN/spec.yaml --metrics IN/none"}},
	"throughline alarms check":        {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/spec.yaml AWS"}},
	"throughline alarms cost":         {{0, "-f IN/spec.yaml"}, {1, "-f IN/bad.yaml"}, {3, "-f IN/none"}},
	"throughline alarms dashboard":    {{0, "-f IN/spec.yaml"}, {1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/none"}},
	"throughline alarms destroy":      {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/spec.yaml AWS"}},
	"throughline alarms drift":        {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/spec.yaml AWS"}},
	"throughline alarms explain":      {{0, "-f IN/spec.yaml"}, {1, "-f IN/spec.yaml none"}, {3, "-f IN/none"}},
	"throughline alarms history":      {{1, "-f IN/spec.yaml none AWS"}, {2, ""}, {3, "-f IN/spec.yaml errors AWS"}},
	"throughline alarms init":         {{0, "IN/template.yaml"}, {2, "IN/template.yaml --notify x"}, {2, "IN/template.yaml -o IN/spec.yaml"}, {3, "IN/none"}},
	"throughline alarms lint":         {{0, "-f IN/spec.yaml"}, {1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --from x"}, {3, "-f IN/none"}},
	"throughline alarms plan":         {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --set x"}, {3, "-f IN/spec.yaml AWS"}, {3, "-f IN/spec.yaml"}},
	"throughline alarms policy":       {{0, ""}},
	"throughline alarms render":       {{0, "-f IN/spec.yaml"}, {1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --format x"}, {3, "-f IN/none"}},
	"throughline alarms suggest":      {{1, "-f IN/bad.yaml"}, {2, "-f IN/spec.yaml --since 1s"}, {3, "-f IN/spec.yaml --metrics IN/none"}},
	"throughline alarms test":         {{1, "-f IN/spec.yaml none AWS"}, {2, ""}, {3, "-f IN/spec.yaml errors AWS"}},
	"throughline queries":             {{0, ""}, {2, "none"}},
	"throughline queries apply":       {{2, "none"}, {3, "--log-group x AWS"}},
	"throughline queries run":         {{2, "repeats"}, {3, "repeats --log-group x AWS"}},
	"throughline check":               {{0, "--demo IN --only loops"}, {1, "--demo IN --only timeouts"}, {2, ""}, {2, "--demo IN --only x"}, {3, "--demo IN/none"}, {3, "--bus x AWS"}, {3, "--bus x"}},
	"throughline check policy":        {{0, ""}},
	"throughline dlq":                 {{2, ""}, {2, "q --by x"}, {3, "q AWS"}},
	"throughline dlq policy":          {{0, ""}},
	"throughline dlq redrive":         {{2, "q"}, {2, "q --all"}, {3, "q --all --dry-run AWS"}},
	"throughline dlq replay":          {{2, "q"}, {3, "q --all AWS"}},
	"throughline dlq show":            {{2, ""}, {3, "q AWS"}},
	"throughline dedupe":              {{0, ""}, {2, "creat"}},
	"throughline dedupe create-table": {{0, "--table seen --print-cloudformation"}, {2, ""}, {2, "--table !"}, {3, "--table seen AWS"}},
	"throughline rules":               {{0, ""}, {2, "tset"}},
	"throughline rules policy":        {{0, ""}},
	"throughline rules test":          {{0, "IN/events.jsonl --template IN/template.yaml"}, {1, "IN/empty --template IN/template.yaml"}, {2, "IN/events.jsonl"}, {3, "IN/none --template IN/template.yaml"}, {3, "IN/events.jsonl --bus b AWS"}},
	"throughline why":                 {{1, "IN/events.jsonl --template IN/template.yaml --file IN/empty"}, {2, ""}, {2, "IN/events.jsonl --template IN/template.yaml --closest -1"}, {3, "IN/events.jsonl --template IN/none"}, {3, "IN/events.jsonl --bus b AWS"}},
	"throughline why policy":          {{0, ""}},
	"throughline sidecar":             {{0, "--endpoints otlp --otlp-addr 127.0.0.1:0"}, {3, "--endpoints none"}},
}

// The input of calls, beside spans.
const (
	oneEvent   = `{"version":"0","id":"e","detail-type":"T","source":"s","resources":[],"time":"2026-11-25T20:59:00Z","detail":{"event_id":"t-1"}}` + "\n"
	oneMetric  = `{"Service":"s","EventType":"T","PayloadSize":[100],"_aws":{"Timestamp":1795813267991,"CloudWatchMetrics":[{"Namespace":"Throughline","Dimensions":[["Service","EventType"]],"Metrics":[{"Name":"PayloadSize"}]}]}}` + "\n"
	oneSpec    = "name: orders\nnotify: none\nresources:\n- {kind: lambda, name: orders}\n"
	wrongSpec  = "name: orders\nresorces: []\n"
	oneSystem  = `{"buses":[{"name":"b","exists":true}],"functions":[{"name":"s","service":"s","timeout":1}]}`
	timeOut    = `{"Service":"s","Duration":[1000],"Timeouts":1,"SlowestRequestID":"r","_aws":{"Timestamp":1795813267991,"CloudWatchMetrics":[{"Namespace":"Throughline","Dimensions":[["Service"]],"Metrics":[{"Name":"Duration"},{"Name":"Timeouts"}]}]}}` + "\n"
	oneDeploy  = "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties: {FunctionName: f, Timeout: 3}\n  R:\n    Type: AWS::Events::Rule\n    Properties:\n      EventPattern: {detail-type: [Never]}\n      Targets: [{Id: f, Arn: !GetAtt F.Arn}]\n"
	noContents = "\n"
)

// TestExitCodes holds every verb to the exit codes that the root's help promises.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"spans.jsonl": spans, "events.jsonl": oneEvent, "metrics.jsonl": oneMetric + timeOut, "spec.yaml": oneSpec, "bad.yaml": wrongSpec,
		"template.yaml": oneDeploy, "empty": noContents, "system.json": oneSystem} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"__type":"AccessDenied","message":"no"}`))
	}))
	defer refuses.Close()
	fill := strings.NewReplacer("IN", dir, "AWS", "--region eu-west-1 --endpoint-url "+refuses.URL)
	walk(newRoot(environment{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		verb := strings.Fields(path)[1:]
		tried := calls[path]
		if len(tried) == 0 {
			t.Errorf("%s: no call of it is listed", path)
		}
		for _, c := range append(slices.Clone(tried), call{2, "--nonsense"}) {
			t.Run(strings.TrimSpace(path+" "+c.args), func(t *testing.T) {
				code, stdout, stderr := commandUntil(t, slices.Concat(verb, strings.Fields(fill.Replace(c.args)))...)
				if code != c.code {
					t.Errorf("exit %d, want %d\n%s%s", code, c.code, stdout, stderr)
				}
				if code > 1 && !strings.Contains(stderr, "throughline: ") {
					t.Errorf("no message on the standard error: %q", stderr)
				}
			})
		}
	})
	for path := range calls {
		if cmd, rest, err := newRoot(environment{}).Find(strings.Fields(path)[1:]); path != "throughline help" && (err != nil || len(rest) > 0 || cmd.CommandPath() != path) {
			t.Errorf("%s is listed, and there is no such command", path)
		}
	}
}

// commandUntil runs throughline, and ends it after what it does first where it would go
// on until it is told to stop.
func commandUntil(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	if !slices.Contains([]string{"dev", "sidecar"}, append(args, "")[0]) {
		return command(t, args...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code = run(ctx, args, environment{getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}
