package conformance

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/peertest"
)

// The publishers put an entry of as many bytes as each line of their input says on a
// new custom bus, and answer with the microseconds that the SDK's call took.
const newBusInPython = `
import json, os, sys, time
import boto3
client = boto3.client("eventbridgev2", endpoint_url=os.environ["BUS"])
for line in sys.stdin:
    entries = [{"Source": "s", "DetailType": "T", "Detail": json.dumps({"event_id": "e", "correlation_id": "c", "text": "x" * max(0, int(line) - 100)})}]
    begun = time.perf_counter_ns()
    client.put_events(EventBusArn=os.environ["ARN"], Entries=entries)
    print((time.perf_counter_ns() - begun) // 1000, flush=True)
`

const newBusInNode = `
const { EventBridgeV2Client, PutEventsCommand } = require(process.env.CLIENT);
const client = new EventBridgeV2Client({ endpoint: process.env.BUS });
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const Detail = JSON.stringify({ event_id: 'e', correlation_id: 'c', text: 'x'.repeat(Math.max(0, line - 100)) });
  const input = { EventBusArn: process.env.ARN, Entries: [{ Source: 's', DetailType: 'T', Detail }] };
  const begun = process.hrtime.bigint();
  await client.send(new PutEventsCommand(input));
  console.log(String((process.hrtime.bigint() - begun) / 1000n));
});
`

// startNewBusPublisher starts one, in Python or in Node.js, without the shim where
// runtime is empty.
func startNewBusPublisher(tb testing.TB, language, bus, runtime, tmp string) nodePublisher {
	tb.Helper()
	path := func(elements ...string) string {
		path, err := filepath.Abs(filepath.Join(elements...))
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			peertest.Missing(tb, path+" (`make python node` installs it)")
		}
		return path
	}
	cmd := &exec.Cmd{Stderr: os.Stderr, Env: []string{"BUS=" + bus, "ARN=arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7", "AWS_LAMBDA_RUNTIME_API=" + runtime, "TMPDIR=" + tmp,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}}
	if language == "python" {
		cmd.Path = path("../../build/python/3.13/base/bin/python")
		cmd.Args = []string{cmd.Path, "-c", newBusInPython}
		if runtime != "" {
			cmd.Env = append(cmd.Env, "PYTHONPATH="+path("../throughline/python"))
		}
	} else {
		cmd.Path = path("../../build/node/v24/node_modules/node/bin/node")
		cmd.Args = []string{cmd.Path}
		if runtime != "" {
			cmd.Args = append(cmd.Args, "--require", path("../throughline/node/shim.cjs"))
		}
		cmd.Args = append(cmd.Args, "-e", newBusInNode)
		cmd.Env = append(cmd.Env, "CLIENT="+path("nodeshim/testdata/eventbridgev2.cjs"), "NODE_PATH="+path("../../build/node/new/node_modules"))
	}
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

// BenchmarkNewBusShims is what a PutEvents call on a new custom bus takes more with
// the shim and the extension than without, in turn in one run; and how much longer
// it runs on a core, which a busy machine changes less.
func BenchmarkNewBusShims(b *testing.B) {
	stamped := 0
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		stamped += strings.Count(string(body), "Resources")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		_, _ = io.WriteString(w, "\xa1gEntries\x81\xa2gEventIdaekSuccessCodeiPUBLISHED")
	}))
	defer bus.Close()
	p := newPlatform(b)
	s := p.start(b, extensionBinary(b), append([]string{"GOMAXPROCS=1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}, allEndpoints...)...)
	defer s.stop()
	runtime := endpointOf(b, s.tmp, "runtime")
	for _, language := range []string{"python", "node"} {
		b.Run(language, func(b *testing.B) {
			bare, with := startNewBusPublisher(b, language, bus.URL, "", s.tmp), startNewBusPublisher(b, language, bus.URL, runtime, s.tmp)
			for range 50 { // until what is called often is compiled
				bare.publish(1 << 10)
				with.publish(1 << 10)
			}
			stamped = 0
			var without, through []time.Duration
			before := with.ran() - bare.ran()
			for b.Loop() { // in turn, so that both see the same machine
				without, through = append(without, bare.publish(1<<10)), append(through, with.publish(1<<10))
			}
			if stamped < b.N*9/10 {
				b.Errorf("%d of %d calls were stamped", stamped, b.N)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64((with.ran()-bare.ran()-before).Microseconds())/float64(b.N), "1KB-added-cpu-µs")
			b.ReportMetric(float64(median(without).Microseconds()), "1KB-p50-µs")
			b.ReportMetric(float64((median(through) - median(without)).Microseconds()), "1KB-added-p50-µs")
		})
	}
}
