package conformance

import (
	"bufio"
	"io"
	"net"
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

// publisherInPython publishes an entry of as many bytes as each line of its
// input says, and answers with the microseconds that boto3's call took.
const publisherInPython = `
import json, os, sys, time
import boto3
client = boto3.client("events", endpoint_url=os.environ["BUS"])
for line in sys.stdin:
    entries = [{"Source": "s", "DetailType": "T", "Detail": json.dumps({"event_id": "e", "correlation_id": "c", "text": "x" * max(0, int(line) - 100)})}]
    begun = time.perf_counter_ns()
    client.put_events(Entries=entries)
    print((time.perf_counter_ns() - begun) // 1000, flush=True)
`

func startPythonPublisher(tb testing.TB, bus, runtime, tmp string) nodePublisher {
	tb.Helper()
	python, err := filepath.Abs("../../build/python/3.13/base/bin/python")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		peertest.Missing(tb, "Python 3.13 with boto3 (`make python` installs it)")
	}
	cmd := exec.Command(python, "-c", publisherInPython)
	cmd.Env = []string{"BUS=" + bus, "AWS_LAMBDA_RUNTIME_API=" + runtime, "TMPDIR=" + tmp, "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}
	if runtime != "" {
		shim, err := filepath.Abs("../throughline/python")
		if err != nil {
			tb.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "PYTHONPATH="+shim)
	}
	cmd.Stderr = os.Stderr
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

// BenchmarkPythonShim is what a PutEvents call of boto3 takes more with the
// shim and the extension than without, in turn in one run; and what it takes
// more, once, where the extension is hung.
func BenchmarkPythonShim(b *testing.B) {
	stamped := 0
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		stamped += strings.Count(string(body), "Resources")
		_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`)
	}))
	defer bus.Close()
	p := newPlatform(b)
	s := p.start(b, extensionBinary(b), append([]string{"GOMAXPROCS=1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}, allEndpoints...)...)
	defer s.stop()
	bare, with := startPythonPublisher(b, bus.URL, "", s.tmp), startPythonPublisher(b, bus.URL, endpointOf(b, s.tmp, "runtime"), s.tmp)
	sizes := map[string]int{"1KB": 1 << 10, "200KB": 200 << 10}
	without, through := map[string][]time.Duration{}, map[string][]time.Duration{}
	bare.publish(1 << 10)
	with.publish(1 << 10)
	stamped = 0
	for b.Loop() { // in turn, so that both see the same machine
		for name, size := range sizes {
			without[name], through[name] = append(without[name], bare.publish(size)), append(through[name], with.publish(size))
		}
	}
	if stamped < b.N*len(sizes)*9/10 {
		b.Errorf("%d of %d calls were stamped", stamped, b.N*len(sizes))
	}
	b.ReportMetric(0, "ns/op")
	for name := range sizes {
		b.ReportMetric(float64(median(without[name]).Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64((median(through[name]) - median(without[name])).Microseconds()), name+"-added-p50-µs")
	}

	hung, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		b.Fatal(err)
	}
	defer hung.Close()
	var once []time.Duration
	for range 5 {
		process := startPythonPublisher(b, bus.URL, "", s.tmp)
		first := process.publish(1 << 10)
		process = startPythonPublisher(b, bus.URL, hung.Addr().String(), s.tmp)
		once = append(once, process.publish(1<<10)-first)
	}
	b.ReportMetric(float64(median(once).Microseconds())/1000, "hung-once-added-ms")
}
