package checkcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/throughline/throughline/cmd/throughline/internal/checkcmd/judge"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/metrics"
)

func configure(_ context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	var load config.LoadOptions
	for _, o := range options {
		if err := o(&load); err != nil {
			return aws.Config{}, err
		}
	}
	return aws.Config{Region: load.Region, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")}, nil
}

// run runs the command and returns its exit code.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := New(configure, time.Now)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	if err != nil {
		fmt.Fprint(&errs, err)
	}
	return terminal.Code(err), out.String(), errs.String()
}

// decoded are the items that --json printed, by ID.
func decoded(t *testing.T, text string) (document, map[string]judge.Result) {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	by := map[string]judge.Result{}
	for _, r := range d.Items {
		by[r.ID] = r
	}
	return d, by
}

// folder writes files and returns where.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// emf are the lines that our own metrics write of one invocation.
func emf(t *testing.T, service string, at time.Time, observe func(record func(name metrics.Name, value float64, eventType string))) []string {
	t.Helper()
	set := metrics.New(metrics.Config{Service: service})
	observe(func(name metrics.Name, value float64, eventType string) {
		set.Record(metrics.Observation{At: at, Name: name, Value: value, EventType: eventType, EventID: "e-" + eventType, RequestID: "req-" + service, CorrelationID: "workflow-1"})
	})
	var out strings.Builder
	if err := set.Flush(&out, at); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func quiet(t *testing.T) string {
	return strings.Join(emf(t, "strategy", noon, func(record func(metrics.Name, float64, string)) {
		record(metrics.EventsPublished, 1, "A")
		record(metrics.PayloadSize, 1_000, "A")
		record(metrics.PayloadSize, 3_000, "A")
		record(metrics.Duration, 250, "")
		record(metrics.EventsReceived, 1, "A")
	}), "\n")
}

const envelope = `{"id":"x-1","detail-type":"A","source":"a","resources":["correlation:workflow-1"],"detail":{"event_id":"e-1"}}`

func TestDemo(t *testing.T) {
	letter := `{"Body":` + quoted(envelope) + `,"MessageAttributes":{"RULE_ARN":{"DataType":"String","StringValue":"arn:aws:events:r:a:rule/b/signals"},"ERROR_CODE":{"StringValue":"NO_PERMISSIONS"}}}`
	description := `{"buses":[{"name":"trading","exists":true,"rules":[{"name":"signals","pattern":"{\"source\":[\"a\"]}","targets":[{"id":"a","arn":"arn:aws:lambda:r:a:function:strategy","dead_letter":"arn:aws:sqs:r:a:dead"}]}]}],
		"queues":[{"arn":"arn:aws:sqs:r:a:dead","exists":true}],"functions":[{"name":"strategy","service":"strategy","namespace":"Throughline","timeout":3000000000}]}`
	good := map[string]string{"metrics.jsonl": quiet(t), "events.jsonl": envelope + "\n", "dead.jsonl": letter + "\n", "system.json": description, "spans.jsonl": ""}
	code, out, errs := run(t, "--demo", folder(t, good), "--json")
	d, by := decoded(t, out)
	for id, want := range map[string]string{
		"serialise": "1 events published, none refused; all 1 that were delivered parse", "size": "A from strategy: 3000 bytes (e-A)", "dlq": "A e-1 of rule signals, NO_PERMISSIONS",
		"durations": "slowest of 1 invocations is strategy, 250ms (request req-strategy)", "correlation": "workflow-1 runs through 1 function", "timeouts": "250ms of 3s, 8 %",
		"bus": "trading, with 1 rule", "targets": "1 target", "metrics": "metrics of 1 of 1 function", "loops": "no loop suspected", "resources": "1 rule, none matches on resources", "names": "names in the catalogue",
	} {
		if by[id].Status != judge.Pass || !strings.Contains(by[id].Evidence, want) {
			t.Errorf("%+v, want %s", by[id], want)
		}
	}
	for _, id := range []string{"policies", "logs", "delay", "replay"} {
		if by[id].Status != judge.Skip {
			t.Errorf("%+v", by[id])
		}
	}
	if code != 0 || d.Summary[judge.Pass] != 12 || d.Summary[judge.Skip] != 4 || errs != "" {
		t.Errorf("exit %d, %v, %s", code, d.Summary, errs)
	}
	t.Run("Text", func(t *testing.T) {
		code, out, _ := run(t, "--demo", folder(t, good), "--only", "size,delay", "--max-size", "3000")
		if code != 1 || strings.Contains(out, "\x1b") || len(strings.Split(strings.TrimSpace(out), "\n")) != 6 ||
			!strings.Contains(out, "\nfail  size   largest payload: A from strategy: 3000 bytes (e-A), the limit is 3000\n") || !strings.Contains(out, "0 passed, 1 failed, 0 doubtful, 1 not checked\n") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
	t.Run("Broken", func(t *testing.T) {
		bad := map[string]string{"metrics.jsonl": quiet(t), "events.jsonl": envelope + "\n{\"id\":\"x-2\",\"detail-type\":\"B\",\"detail\":\"text\"}\nnot JSON\n"}
		code, out, _ := run(t, "--demo", folder(t, bad), "--json")
		_, by := decoded(t, out)
		if r := by["serialise"]; code != 1 || r.Status != judge.Fail || !strings.Contains(r.Evidence, "events.jsonl line 2, B x-2") || len(r.Details) != 1 || !strings.Contains(r.Details[0], "line 3") {
			t.Errorf("exit %d, %+v", code, r)
		}
		if by["bus"].Status != judge.Skip || !strings.Contains(by["bus"].Evidence, "no system.json") || by["metrics"].Status != judge.Pass {
			t.Errorf("%+v %+v", by["bus"], by["metrics"])
		}
	})
}

func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

// TestCannotCheck: what keeps check from checking says what to do, and ends with 2 where
// the call is wrong, with 3 where a file or an account is.
func TestCannotCheck(t *testing.T) {
	half := folder(t, map[string]string{"metrics.jsonl": quiet(t), "spans.jsonl": "{"})
	wrong := folder(t, map[string]string{"metrics.jsonl": quiet(t), "system.json": "["})
	loose := folder(t, map[string]string{"t.yaml": "Resources: {F: {Type: AWS::Lambda::Function}}", "empty.yaml": "Resources: {B: {Type: AWS::S3::Bucket}}"})
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"nothing to check is named":           {2, nil},
		"run `make demo`":                     {3, []string{"--demo", t.TempDir()}},
		"system.json: unexpected":             {3, []string{"--demo", wrong}},
		"there is no item sizes":              {2, []string{"--demo", half, "--only", "sizes"}},
		"must be above zero":                  {2, []string{"--demo", half, "--since", "0s"}},
		"--demo only reads files":             {2, []string{"--demo", half, "--bus", "x"}},
		"no AWS Region is set":                {3, []string{"--bus", "x"}},
		"--event needs a rule":                {2, []string{"--bus", "x", "--event", "f", "--region", "eu-west-1"}},
		"of F: give each with --set ID=NAME":  {2, []string{"--template", filepath.Join(loose, "t.yaml")}},
		"no AWS Region is set: give --region": {3, []string{"--template", filepath.Join(loose, "t.yaml"), "--set", "F=f-1"}},
		"no such parameter or resource":       {2, []string{"--template", filepath.Join(loose, "t.yaml"), "--set", "G=f-1"}},
		"nothing to check":                    {1, []string{"--template", filepath.Join(loose, "empty.yaml"), "--region", "eu-west-1"}},
		"write NAME=VALUE":                    {2, []string{"--template", filepath.Join(loose, "t.yaml"), "--set", "x", "--region", "eu-west-1"}},
		"describe bus x: operation error":     {3, []string{"--bus", "x", "--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:1"}},
	} {
		if code, out, errs := run(t, c.args...); code != c.code || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, want %d\n%s\n%s", c.args, code, c.code, out, errs)
		}
	}
	if code, out, errs := run(t, "--demo", half); code != 0 || !strings.Contains(errs, "spans.jsonl: 1 line without a JSON document") {
		t.Errorf("exit %d\n%s\n%s", code, out, errs)
	}
}

func TestPolicies(t *testing.T) {
	for _, args := range [][]string{{"policy"}, {"policy", "--write"}} {
		code, out, _ := run(t, args...)
		var policy struct{ Statement []struct{ Action []string } }
		if code != 0 || json.Unmarshal([]byte(out), &policy) != nil || len(policy.Statement) == 0 {
			t.Errorf("exit %d\n%s", code, out)
		}
	}
}

func TestCompletion(t *testing.T) {
	code, out, _ := run(t, "__complete", "--only", "")
	if code != 0 || !strings.Contains(out, "resources\trules on resources keep their meaning\n") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
