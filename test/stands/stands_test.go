// Package stands calls the local SQS, SNS, Scheduler and Invoke API by real SDKs
// and compares their answers with moto's.
package stands

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/invokelocal"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/local/schedulerlocal"
	"github.com/throughline/throughline/local/snslocal"
	"github.com/throughline/throughline/local/sqslocal"
	"github.com/throughline/throughline/peertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// run runs a script of testdata against an endpoint and returns its lines.
func run(t *testing.T, python, script, endpoint string, env ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", script))
	cmd.Env = append(append(os.Environ(), "ENDPOINT="+endpoint, "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, stderr.Bytes())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// compare tells the lines that differ, but for those that known names.
func compare(t *testing.T, what string, got, want []string, known map[string]bool) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var a, b string
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(a, `["`), `"`)
		if a != b && !known[name] {
			t.Errorf("%s:\n  ours   %s\n  theirs %s", what, a, b)
		}
	}
}

func startSQS(t *testing.T) string {
	t.Helper()
	s := sqslocal.New(sqslocal.Options{})
	t.Cleanup(s.Close)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// old is the interpreter of an SDK that speaks SQS's query protocol.
func old(t *testing.T) string {
	t.Helper()
	python, err := filepath.Abs("../../build/python/3.8/old/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		peertest.Missing(t, "boto3 1.12 (`make python` installs it)")
	}
	return python
}

func TestSQS(t *testing.T) {
	python := peertest.Module(t, "boto3")
	moto := run(t, python, "sqs.py", peertest.MotoAccount(t))
	compare(t, "beside moto", run(t, python, "sqs.py", startSQS(t)), moto, map[string]bool{
		// Moto gives a duplicate an ID of its own; SQS's documentation does not say.
		"FIFO, a duplicate": true,
		// Moto knows neither the attribute nor the new deduplication ID.
		"receive from the dead-letter queue": true,
	})
}

func TestSQSBothProtocols(t *testing.T) {
	json := run(t, peertest.Module(t, "boto3"), "sqs.py", startSQS(t), "STRICT=1")
	query := run(t, old(t), "sqs.py", startSQS(t), "STRICT=1")
	compare(t, "the query protocol beside JSON", query, json, nil)
	want := []string{`["eleven attributes", "error InvalidParameterValue"]`, `["too long", "error InvalidParameterValue"]`,
		`["header", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"]`, `["empty body", "error MissingParameter"]`}
	for _, line := range want {
		if !slices.Contains(json, line) {
			t.Errorf("not answered: %s", line)
		}
	}
	redriven := run(t, peertest.Module(t, "boto3"), "sqs.py", startSQS(t), "MOVE=1")
	if line := `["redriven", {"new ID": true, "count": "1"}]`; !slices.Contains(redriven, line) {
		t.Errorf("not answered: %s in %s", line, redriven)
	}
}

func TestSNS(t *testing.T) {
	python := peertest.Module(t, "boto3")
	start := func() (string, string) {
		queues := sqslocal.New(sqslocal.Options{})
		t.Cleanup(queues.Close)
		sqs, err := queues.Start()
		if err != nil {
			t.Fatal(err)
		}
		topics := snslocal.New(snslocal.Options{Queues: queues})
		t.Cleanup(topics.Close)
		sns, err := topics.Start()
		if err != nil {
			t.Fatal(err)
		}
		return sns, "SQS=" + sqs
	}
	sns, sqs := start()
	compare(t, "beside moto", run(t, python, "sns.py", sns, sqs), run(t, python, "sns.py", peertest.MotoAccount(t)), nil)
	sns, sqs = start()
	lines := run(t, python, "sns.py", sns, sqs, "STRICT=1")
	if want := `["traced", "traced", {}, {"AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"}]`; lines[len(lines)-1] != want {
		t.Errorf("last: %s, want %s", lines[len(lines)-1], want)
	}
}

func TestInvokeAndScheduler(t *testing.T) {
	python := peertest.Module(t, "boto3")
	folder, err := filepath.Abs("testdata/functions")
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, err := filepath.Abs("../../layer/conformance/testdata/python/bootstrap.py")
	if err != nil {
		t.Fatal(err)
	}
	lambda := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir()})
	t.Cleanup(func() { lambda.Close() })
	bus, queues := buslocal.New(buslocal.Options{}), sqslocal.New(sqslocal.Options{})
	t.Cleanup(bus.Close)
	t.Cleanup(queues.Close)
	succeeded, err := queues.Create("succeeded", nil)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := queues.Create("dead", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan lambdalocal.Outcome, 10)
	destinations := invokelocal.Destinations{OnSuccess: invokelocal.ToQueue(succeeded), OnFailure: invokelocal.ToBus(bus, ""), DeadLetter: dead}
	send := destinations.Of("arn:aws:lambda:us-east-1:123456789012:function:echo")
	d, err := lambda.Create(lambdalocal.Function{
		Name: "echo", Handler: "echo.handle", Runtime: []string{python, bootstrap}, TaskRoot: folder, Timeout: 30 * time.Second,
		Env:        map[string]string{"PYTHONDONTWRITEBYTECODE": "1"},
		RetryDelay: time.Millisecond,
		OnAsync: func(o lambdalocal.Outcome) {
			send(o)
			ended <- o
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	api := invokelocal.New(lambda)
	t.Cleanup(api.Close)
	url, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	hours := clock.New(time.Now(), 0)
	scheduler := schedulerlocal.New(schedulerlocal.Options{Clock: hours, Deliver: schedulerlocal.To(api, bus)})
	t.Cleanup(scheduler.Close)
	schedules, err := scheduler.Start()
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, python, "lambda.py", url, "SCHEDULER="+schedules)
	want, err := os.ReadFile("testdata/lambda.golden")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "beside the API reference", got, strings.Split(strings.TrimSpace(string(want)), "\n"), nil)

	outcomes := []lambdalocal.Outcome{<-ended, <-ended}
	slices.SortFunc(outcomes, func(a, b lambdalocal.Outcome) int { return a.Attempts - b.Attempts })
	if outcomes[0].Attempts != 1 || outcomes[1].Attempts != 3 || outcomes[1].FunctionError != "Unhandled" {
		t.Errorf("outcomes: %+v", outcomes)
	}
	tries := 0
	for _, i := range d.Invocations() {
		if i.RequestID == outcomes[1].RequestID {
			tries++
		}
	}
	if tries != 3 {
		t.Errorf("%d tries under one request ID", tries)
	}
	record := func(what, text string) (id string) {
		var r struct {
			RequestContext struct {
				RequestID, FunctionARN string
			}
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil || r.RequestContext.FunctionARN != "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST" {
			t.Errorf("%s: %v in %s", what, err, text)
		}
		return r.RequestContext.RequestID
	}
	message, err := succeeded.Receive(t.Context(), sqslocal.Receive{})
	if err != nil || len(message) != 1 || record("success", message[0].Body) != outcomes[0].RequestID {
		t.Errorf("on success: %+v %v", message, err)
	}
	letter, err := dead.Receive(t.Context(), sqslocal.Receive{Messages: []string{"All"}})
	if err != nil || len(letter) != 1 || letter[0].Body != `{"raise":true}` || *letter[0].MessageAttributes["RequestID"].StringValue != outcomes[1].RequestID {
		t.Errorf("dead letter: %+v %v", letter, err)
	}
	failures := bus.Ledger().Published
	if len(failures) != 1 || failures[0].DetailType != "Lambda Function Invocation Result - Failure" || failures[0].Source != "lambda" || record("failure", failures[0].Detail) != outcomes[1].RequestID {
		t.Errorf("on failure: %+v", failures)
	}

	if scheduler.Waiting() != 2 || len(scheduler.Fired()) != 0 {
		t.Errorf("%d wait, fired %v", scheduler.Waiting(), scheduler.Fired())
	}
	hours.Advance(2 * time.Hour)
	scheduled := <-ended
	if string(scheduled.Request) != `{"scheduled": true, "by": "arn:aws:scheduler:us-east-1:123456789012:schedule/default/once"}` {
		t.Errorf("scheduled: %s", scheduled.Request)
	}
	scheduler.Close() // both have fired then
	fired := scheduler.Fired()
	if len(fired) != 2 || !slices.ContainsFunc(fired, func(f schedulerlocal.Fired) bool { return f.ID == scheduled.RequestID }) {
		t.Errorf("fired: %+v", fired)
	}
	if last := bus.Ledger().Published[1]; last.DetailType != "Due" || last.Detail != `{"x":1}` {
		t.Errorf("on the bus: %+v", last)
	}
}
