package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/peertest"
)

// fits holds each line to 80 columns.
func fits(t *testing.T, what, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if n := utf8.RuneCountInString(line); n > columns && len(strings.Fields(line)) > 1 { // a URL stays whole
			t.Errorf("%s: %d columns: %s", what, n, line)
		}
	}
}

// TestEveryHelpFits80Columns: text, examples, flags and lists of commands.
func TestEveryHelpFits80Columns(t *testing.T) {
	walk(newRoot(environment{}), func(cmd *cobra.Command) {
		_, help, _ := command(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		fits(t, cmd.CommandPath()+" --help", help)
	})
}

// onTerminal runs throughline as on a terminal of 80 columns.
func onTerminal(t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environment{getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out, stderr: &errs, columns: columns})
	if code > 1 {
		t.Errorf("%v: exit %d, %s", args, code, errs.String())
	}
	return code, out.String()
}

// documents are the verbs whose output is a file for a program, whatever its width.
var documents = []string{"alarms dashboard", "alarms init", "alarms policy", "alarms render", "alarms suggest", "check policy", "completion", "dev invoke", "dlq policy", "rules policy", "why policy"}

// TestEveryReportFits80Columns: of what the demo left, and of an account.
func TestEveryReportFits80Columns(t *testing.T) {
	moto, demo := peertest.Moto(t), playDemo(t)
	for name, value := range map[string]string{"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": moto, "AWS_CONFIG_FILE": os.DevNull} {
		t.Setenv(name, value)
	}
	template := filepath.Join(repository, "examples", "sam", "template.yaml")
	spec := filepath.Join(t.TempDir(), "alarms.yaml")
	_, text := onTerminal(t, "alarms", "init", template, "--name", "trading-of-the-whole-desk")
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	makeQueue(t, moto, demo)
	stand, played := wideStand(t)
	fill := strings.NewReplacer("STAND", "--endpoint-url "+stand, "PLAYED", "--dir "+played, "DEMO", demo, "SPEC", "-f "+spec, "TEMPLATE", template)
	const dead = "what-the-rules-of-the-whole-desk-could-not-deliver"
	queue, _ := peertest.MotoCall(t, moto, "AmazonSQS.CreateQueue", map[string]any{"QueueName": dead})["QueueUrl"].(string)
	peertest.MotoCall(t, moto, "AmazonSQS.SendMessage", map[string]any{"QueueUrl": queue, "MessageBody": oneEvent, "MessageAttributes": map[string]any{
		"RULE_ARN":      map[string]string{"DataType": "String", "StringValue": "arn:aws:events:us-east-1:123456789012:rule/the-bus-of-the-whole-desk/the-rule-of-the-whole-desk"},
		"TARGET_ARN":    map[string]string{"DataType": "String", "StringValue": "arn:aws:lambda:us-east-1:123456789012:function:the-function-of-the-whole-desk"},
		"ERROR_MESSAGE": map[string]string{"DataType": "String", "StringValue": "User: events.amazonaws.com is not authorized to perform: lambda:InvokeFunction on the function"},
	}})
	tried := map[string]bool{}
	for _, line := range []string{
		"dlq --region us-east-1 " + dead, "dlq show --region us-east-1 " + dead, "dlq redrive --all --dry-run --region us-east-1 " + dead,
		"trace --last --file DEMO/spans.jsonl", "trace --slowest --file DEMO/spans.jsonl",
		"expect workflow-6513270e --then TradeExecuted --wait 0s --file DEMO/spans.jsonl", "expect workflow-6513270e --then Nothing --no-repeat --no-error --wait 0s --file DEMO/spans.jsonl",
		"map --file DEMO/spans.jsonl", "map --file DEMO/spans.jsonl --template TEMPLATE", "map --template TEMPLATE --no-spans",
		"repeats DEMO/events.jsonl", "repeats DEMO/metrics.jsonl", "sizes DEMO/events.jsonl DEMO/metrics.jsonl", "cost --file DEMO/metrics.jsonl --over 24h", "cost --file DEMO/metrics.jsonl --over 1s",
		"rules test DEMO/events.jsonl --template TEMPLATE", "why signal-d23f0824 --events DEMO/events.jsonl --file DEMO/spans.jsonl --template TEMPLATE",
		"dlq failed", "dlq show failed --file DEMO/spans.jsonl", "dlq redrive failed --all --dry-run", "check --demo DEMO", "alarms lint SPEC", "alarms plan SPEC", "alarms apply SPEC --yes", "alarms drift SPEC", "alarms check SPEC", "alarms explain SPEC", "alarms cost SPEC",
		"alarms backtest SPEC --metrics DEMO/metrics.jsonl --sweep", "alarms destroy SPEC --yes",
		"alarms history SPEC --set Execution=the-execution-of-the-whole-desk duration STAND", "alarms test SPEC --set Execution=the-execution-of-the-whole-desk duration STAND",
		"queries", "queries apply --log-group /aws/lambda/the-strategy-of-the-whole-desk STAND", "queries run repeats --log-group /aws/lambda/the-strategy-of-the-whole-desk STAND",
		"dev send OrderPlaced PLAYED", "dev replay DEMO/events.jsonl PLAYED", "dev fire TheStrategyOfTheWholeDeskDaily PLAYED",
		"dedupe create-table --table throughline-seen-by-every-function", "version", "--version",
	} {
		_, out := onTerminal(t, strings.Fields(fill.Replace(line))...)
		if out == "" {
			t.Errorf("%s prints nothing", line)
		}
		fits(t, line, out)
		tried[line] = true
	}
	covered := func(path string) bool {
		for line := range tried {
			if strings.HasPrefix(line+" ", path+" ") {
				return true
			}
		}
		return false
	}
	// The report of demo is that of playDemo, help is tried above, dev and sidecar print lines
	// while they run, and dlq replay needs a new custom bus.
	elsewhere := []string{"demo", "dev", "dlq replay", "sidecar", "help"}
	fits(t, "demo", playedReport)
	walk(newRoot(environment{}), func(cmd *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "throughline"), " ")
		for _, other := range append(elsewhere, documents...) {
			if path == other {
				return
			}
		}
		if !cmd.HasSubCommands() && !covered(path) {
			t.Errorf("no report of %s is tried", path)
		}
	})
}

// TestWideAndPiped: with --wide, and where the output is no terminal, IDs are whole.
func TestWideAndPiped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spans.jsonl")
	const id = "workflow-6513270e-269e-4d37-b2a7-4de452e6b438"
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(spans, "workflow-1", id)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, out := onTerminal(t, "trace", "workflow-65", "--file", file); !strings.HasPrefix(out, "workflow-6513270e…  1 event") {
		t.Errorf("on a terminal: %s", out)
	}
	_, wide := onTerminal(t, "trace", "workflow-65", "--file", file, "--wide")
	_, piped, _ := command(t, "trace", "workflow-65", "--file", file)
	if wide != piped || !strings.Contains(piped, id) || !strings.Contains(piped, "causation→") {
		t.Errorf("wide\n%s\npiped\n%s", wide, piped)
	}
}

// makeQueue makes a dead-letter queue with events of the demo.
func makeQueue(t *testing.T, moto, demo string) {
	t.Helper()
	client := sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &moto, Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", "")})
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("failed")})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.SplitN(read(t, filepath.Join(demo, "events.jsonl")), "\n", 4)[:3] {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &line}); err != nil {
			t.Fatal(err)
		}
	}
}
