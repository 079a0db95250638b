package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/peertest"
)

// publisherInNode publishes an entry of as many bytes as each line of its input
// says, and answers with the microseconds that the SDK's call took. Below 0 the
// bytes go to FLOOR instead, a server that reads them and answers: the least that
// a question can take.
const publisherInNode = `
const net = require('net');
const { EventBridgeClient, PutEventsCommand } = require('@aws-sdk/client-eventbridge');
const client = new EventBridgeClient({ endpoint: process.env.BUS });
const [host, port] = process.env.FLOOR.split(':');
const floor = net.connect({ host, port, noDelay: true });
const bytes = {};
async function ask(size) {
  bytes[size] = bytes[size] || Buffer.from('POST / HTTP/1.1\r\nHost: ' + host + '\r\nContent-Length: ' + size + '\r\n\r\n' + 'x'.repeat(size));
  floor.write(bytes[size]);
  await new Promise((done) => { floor.once('data', done); });
}
async function publish(size) {
  const detail = JSON.stringify({ event_id: 'e', correlation_id: 'c', text: 'x'.repeat(Math.max(0, size - 100)) });
  const input = { Entries: [{ Source: 's', DetailType: 'T', Detail: detail }] };
  const begun = process.hrtime.bigint();
  await client.send(new PutEventsCommand(input));
  return begun;
}
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  let begun = process.hrtime.bigint();
  if (line < 0) await ask(-line);
  else begun = await publish(line);
  console.log(String((process.hrtime.bigint() - begun) / 1000n));
});
`

// nodePublisher is a process that publishes when told to.
type nodePublisher struct {
	tb  testing.TB
	in  io.Writer
	out *bufio.Reader
	pid int
}

// ran is how long its main thread has run on a core (Documentation/scheduler/sched-stats.rst).
func (n nodePublisher) ran() (d time.Duration) {
	n.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", n.pid))
	if err != nil {
		n.tb.Skip("the time on a core is read from /proc, which is not here")
	}
	if _, err := fmt.Sscan(string(text), &d); err != nil {
		n.tb.Fatal(err)
	}
	return d
}

func startPublisher(tb testing.TB, bus, floor, runtime, tmp string) nodePublisher {
	tb.Helper()
	installed, err := filepath.Abs("../../build/node")
	if err != nil {
		tb.Fatal(err)
	}
	node := filepath.Join(installed, "v24/node_modules/node/bin/node")
	if _, err := os.Stat(node); err != nil {
		peertest.Missing(tb, "Node.js 24 (`make node` installs it)")
	}
	cmd := exec.Command(node, "-e", publisherInNode)
	if runtime != "" {
		shim, err := filepath.Abs("../throughline/node/shim.cjs")
		if err != nil {
			tb.Fatal(err)
		}
		cmd.Args = append([]string{node, "--require", shim}, cmd.Args[1:]...)
	}
	cmd.Dir = filepath.Join(installed, "new")
	cmd.Env = []string{"BUS=" + bus, "FLOOR=" + floor, "AWS_LAMBDA_RUNTIME_API=" + runtime, "TMPDIR=" + tmp, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}
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

func (n nodePublisher) publish(size int) time.Duration {
	n.tb.Helper()
	if _, err := fmt.Fprintln(n.in, size); err != nil {
		n.tb.Fatal(err)
	}
	line, err := n.out.ReadString('\n')
	if err != nil {
		n.tb.Fatal(err)
	}
	took, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		n.tb.Fatal(err)
	}
	return time.Duration(took) * time.Microsecond
}

// BenchmarkNodeShim is what a PutEvents call of the SDK for JavaScript v3 takes
// more with the shim and the extension than without, in turn in one run; beside
// it the floor, which is an exchange of the same bytes with a server that does
// nothing; and what a call takes more, once, where the extension is hung.
func BenchmarkNodeShim(b *testing.B) {
	stamped := 0
	bus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		stamped += strings.Count(string(body), "Resources")
		_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`)
	}))
	defer bus.Close()
	floor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", 700)) // as long as the usual answer
	}))
	defer floor.Close()
	p := newPlatform(b)
	s := p.start(b, extensionBinary(b), append([]string{"GOMAXPROCS=1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}, allEndpoints...)...)
	defer s.stop()
	start := func(runtime string) nodePublisher {
		return startPublisher(b, bus.URL, floor.Listener.Addr().String(), runtime, s.tmp)
	}
	bare, with, floorProcess := start(""), start(endpointOf(b, s.tmp, "runtime")), start("")
	sizes := map[string]int{"1KB": 1 << 10, "200KB": 200 << 10}
	without, through, least := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string][]time.Duration{}
	for range 50 { // until what is called often is compiled
		bare.publish(1 << 10)
		with.publish(1 << 10)
	}
	stamped = 0
	for b.Loop() { // in turn, so that all see the same machine
		for name, size := range sizes {
			without[name] = append(without[name], bare.publish(size))
			through[name] = append(through[name], with.publish(size))
			least[name] = append(least[name], floorProcess.publish(-size))
		}
	}
	if stamped < b.N*len(sizes)*9/10 {
		b.Errorf("%d of %d calls were stamped", stamped, b.N*len(sizes))
	}
	b.ReportMetric(0, "ns/op")
	for name := range sizes {
		b.ReportMetric(float64(median(without[name]).Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64((median(through[name]) - median(without[name])).Microseconds()), name+"-added-p50-µs")
		b.ReportMetric(float64(median(least[name]).Microseconds()), name+"-floor-p50-µs")
	}

	hung, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		b.Fatal(err)
	}
	defer hung.Close()
	var once []time.Duration
	for range 5 {
		first := start("").publish(1 << 10)
		once = append(once, start(hung.Addr().String()).publish(1<<10)-first)
	}
	b.ReportMetric(float64(median(once).Microseconds())/1000, "hung-once-added-ms")
}
