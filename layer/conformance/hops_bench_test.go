package conformance

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/peertest"
)

// senderInPython and senderInNode send a message of as many bytes as each line of
// their input says, and answer with the microseconds that the SDK's call took.
const senderInPython = `
import os, sys, time
import boto3
client = boto3.client("sqs", endpoint_url=os.environ["BUS"])
for line in sys.stdin:
    body = "x" * int(line)
    begun = time.perf_counter_ns()
    client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/orders", MessageBody=body)
    print((time.perf_counter_ns() - begun) // 1000, flush=True)
`

// exchangerInPython exchanges a question and its answer with the extension for each
// line of its input, and answers with the microseconds that it took: what asking
// would add to a call at the least.
const exchangerInPython = `
import os, sys, time
from _socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
connection = socket(AF_INET, SOCK_STREAM)
connection.connect((host, int(port)))
connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
for line in sys.stdin:
    begun = time.perf_counter_ns()
    connection.send(b"GET /throughline/v1/current HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    connection.recv(4096)
    print((time.perf_counter_ns() - begun) // 1000, flush=True)
`

const senderInNode = `
const { SQSClient, SendMessageCommand } = require('@aws-sdk/client-sqs');
const client = new SQSClient({ endpoint: process.env.BUS, md5: false });
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const input = { QueueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/orders', MessageBody: 'x'.repeat(Number(line)) };
  const begun = process.hrtime.bigint();
  await client.send(new SendMessageCommand(input));
  console.log(String((process.hrtime.bigint() - begun) / 1000n));
});
`

func startSender(tb testing.TB, language, bus, runtime, tmp, mode string) nodePublisher {
	tb.Helper()
	installed, err := filepath.Abs("../../build")
	if err != nil {
		tb.Fatal(err)
	}
	const trace = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300"
	env := []string{"BUS=" + bus, "AWS_LAMBDA_RUNTIME_API=" + runtime, "TMPDIR=" + tmp, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s",
		"AWS_LAMBDA_FUNCTION_NAME=f", "_X_AMZN_TRACE_ID=" + trace, "THROUGHLINE_HOPS=" + mode}
	layer, err := filepath.Abs("../throughline")
	if err != nil {
		tb.Fatal(err)
	}
	var cmd *exec.Cmd
	switch language {
	case "python":
		cmd = exec.Command(filepath.Join(installed, "python/3.13/base/bin/python"), "-c", senderInPython)
		if runtime != "" {
			env = append(env, "PYTHONPATH="+filepath.Join(layer, "python"))
		}
	case "python-exchange":
		cmd = exec.Command(filepath.Join(installed, "python/3.13/base/bin/python"), "-c", exchangerInPython)
	default:
		cmd = exec.Command(filepath.Join(installed, "node/v24/node_modules/node/bin/node"), "-e", senderInNode)
		if runtime != "" {
			cmd.Args = append([]string{cmd.Path, "--require", filepath.Join(layer, "node/shim.cjs")}, cmd.Args[1:]...)
		}
		cmd.Dir = filepath.Join(installed, "node/hopsnew")
	}
	if _, err := os.Stat(cmd.Path); err != nil {
		peertest.Missing(tb, language+" with its SDK (`make "+language+"` installs it)")
	}
	cmd.Env, cmd.Stderr = env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return nodePublisher{tb, in, bufio.NewReader(out), cmd.Process.Pid}
}

// inHand is what the extension writes of an invocation under carry.
const inHand = `[{"request_id":"r-1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","correlation_id":"workflow-1","causation_id":"signal-1","events":1,` +
	`"trace":"Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300","carry":"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={span}"}]`

// BenchmarkHops is what a SendMessage call of boto3 and of the SDK for JavaScript
// v3 takes more with the shim and the extension than without, in turn in one run:
// by the clock, and on a core, which a busy machine changes less. And it is what
// one exchange with the extension takes in Python.
func BenchmarkHops(b *testing.B) {
	carried := map[bool]int{}
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		carried[len(r.Header.Get("X-Amzn-Trace-Id")) > 7 && r.Header.Get("X-Amzn-Trace-Id")[:15] != "Root=1-6920b0c8"]++
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"MessageId":"message-1"}`)
	}))
	defer bus.Close()
	p := newPlatform(b)
	spans := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer spans.Close()
	s := p.start(b, extensionBinary(b), append([]string{"GOMAXPROCS=1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s", "THROUGHLINE_HOPS=carry", "OTEL_EXPORTER_OTLP_ENDPOINT=" + spans.URL}, allEndpoints...)...)
	defer s.stop()
	runtime := endpointOf(b, s.tmp, "runtime")
	stands.Handle(b, s.tmp, inHand)
	senders := map[string]nodePublisher{"python-exchange": startSender(b, "python-exchange", bus.URL, runtime, s.tmp, "off")}
	for _, language := range []string{"python", "node"} {
		senders[language+"-bare"] = startSender(b, language, bus.URL, "", s.tmp, "off")
		senders[language+"-join"] = startSender(b, language, bus.URL, runtime, s.tmp, "join")
		senders[language+"-carry"] = startSender(b, language, bus.URL, runtime, s.tmp, "carry")
	}
	took, before := map[string][]time.Duration{}, map[string]time.Duration{}
	for name, sender := range senders {
		for range 50 { // until what is called often is compiled
			sender.publish(1 << 10)
		}
		before[name] = sender.ran()
	}
	clear(carried)
	for b.Loop() {
		for name, sender := range senders {
			took[name] = append(took[name], sender.publish(1<<10))
		}
	}
	if want := 2 * b.N; carried[true] < want*9/10 || carried[true] > want {
		b.Errorf("%d of %d messages carry", carried[true], want)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(median(took["python-exchange"]).Microseconds()), "python-exchange-p50-µs")
	for _, language := range []string{"python", "node"} {
		bare := median(took[language+"-bare"])
		ran := func(mode string) time.Duration {
			name := language + "-" + mode
			return (senders[name].ran() - before[name]) / time.Duration(b.N)
		}
		b.ReportMetric(float64(bare.Microseconds()), language+"-bare-p50-µs")
		for _, mode := range []string{"join", "carry"} {
			b.ReportMetric(float64((median(took[language+"-"+mode]) - bare).Microseconds()), language+"-"+mode+"-added-p50-µs")
			b.ReportMetric(float64((ran(mode) - ran("bare")).Microseconds()), language+"-"+mode+"-added-core-µs")
		}
	}
}
