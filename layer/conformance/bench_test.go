package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/tracing/otlp"
)

// platform is as much of Lambda as an extension's start and a runtime's loop need.
type platform struct {
	*httptest.Server
	nexts  chan time.Time // first calls of event/next
	invoke chan string    // request IDs for the extension
	events chan []byte    // payloads for the runtime
	n      atomic.Int64
}

func newPlatform(tb testing.TB) *platform {
	tb.Helper()
	p := &platform{nexts: make(chan time.Time, 1), invoke: make(chan string), events: make(chan []byte)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/register"):
			w.Header().Set("Lambda-Extension-Identifier", "id")
			_, _ = io.WriteString(w, `{"functionName":"f"}`)
		case strings.HasSuffix(r.URL.Path, "/event/next"):
			select {
			case p.nexts <- time.Now():
			default:
			}
			select {
			case id := <-p.invoke:
				_, _ = fmt.Fprintf(w, `{"eventType":"INVOKE","requestId":%q,"deadlineMs":%d}`, id, time.Now().Add(time.Minute).UnixMilli())
			case <-r.Context().Done():
			}
		case strings.HasSuffix(r.URL.Path, "/invocation/next"):
			select {
			case payload := <-p.events:
				w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("r-", p.n.Load()))
				w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
				_, _ = w.Write(payload)
			case <-r.Context().Done():
			}
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			if strings.Contains(r.URL.Path, "/invocation/") {
				w.WriteHeader(http.StatusAccepted)
			}
		}
	}))
	tb.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// started is an extension's process after its first next.
type started struct {
	cmd  *exec.Cmd
	took time.Duration
	tmp  string
}

func (p *platform) start(tb testing.TB, path string, env ...string) started {
	tb.Helper()
	s := started{cmd: exec.Command(path), tmp: tb.TempDir()}
	s.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(p.URL, "http://"), "TMPDIR=" + s.tmp, "AWS_LAMBDA_FUNCTION_NAME=f", "AWS_REGION=us-east-1"}, env...)
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	select {
	case at := <-p.nexts:
		s.took = at.Sub(begun)
	case <-time.After(20 * time.Second):
		tb.Fatal("it never asked for the next event")
	}
	return s
}

func (s started) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// status is a number of kilobytes in /proc/PID/status.
func (s started) status(tb testing.TB, name string) float64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		tb.Skip("memory is read from /proc, which is not here")
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return n
		}
	}
	return 0
}

func median[T int64 | float64 | time.Duration](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

var (
	allEndpoints = []string{"THROUGHLINE_ENDPOINTS=otlp,events,alpaca,runtime", "THROUGHLINE_OTLP_ADDR=127.0.0.1:0", "THROUGHLINE_EVENTS_ADDR=127.0.0.1:0",
		"THROUGHLINE_ALPACA_ADDR=127.0.0.1:0", "THROUGHLINE_RUNTIME_ADDR=127.0.0.1:0"}
	otlpAlone = []string{"THROUGHLINE_OTLP_ADDR=127.0.0.1:0"}
)

// fromDisk is a copy of a binary that is read from a disk when it is started first,
// as that of a layer is. How a file came into the kernel's cache decides how much
// of it a process maps at once, and with that its start and its memory: one that
// Go's linker has just made differs by a fifth from one that was copied.
func fromDisk(b *testing.B, path string) string {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	copied := filepath.Join(b.TempDir(), filepath.Base(path))
	if err := os.WriteFile(copied, data, 0o755); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("dd", "of="+copied, "oflag=nocache", "conv=notrunc,fdatasync", "count=0").CombinedOutput(); err != nil {
		b.Logf("the copy stays in the cache as it was written: %v: %s", err, out)
	}
	return copied
}

// BenchmarkStart is exec to the first next, and the memory then, beside an
// extension that only registers.
func BenchmarkStart(b *testing.B) {
	ours, bare := fromDisk(b, extensionBinary(b)), fromDisk(b, minimalExtension(b))
	entry := unpacked(b, "throughline-extension", map[string]string{"amd64": glibcAMD64, "arm64": glibcARM64}[runtime.GOARCH])
	asBash(b, entry)
	install(b, entry, ours)
	p := newPlatform(b)
	const runs = 41
	took, memory := map[string][]time.Duration{}, map[string][]float64{}
	for b.Loop() {
		for range runs {
			for name, c := range map[string]struct {
				path string
				env  []string
			}{"minimal": {bare, nil}, "otlp": {ours, otlpAlone}, "all": {ours, allEndpoints}, "entry": {entry, allEndpoints}} {
				s := p.start(b, c.path, c.env...)
				time.Sleep(30 * time.Millisecond)
				took[name], memory[name] = append(took[name], s.took), append(memory[name], s.status(b, "VmRSS"))
				s.stop()
			}
		}
	}
	base, size := median(took["minimal"]), median(memory["minimal"])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(base.Microseconds())/1000, "minimal-ms")
	b.ReportMetric(float64(median(took["otlp"]))/float64(base), "otlp-start-x")
	b.ReportMetric(float64(median(took["all"]))/float64(base), "all-start-x")
	b.ReportMetric(float64(median(took["entry"]))/float64(base), "entry-start-x")
	b.ReportMetric(size/1024, "minimal-MB")
	b.ReportMetric(median(memory["otlp"])/size, "otlp-memory-x")
	b.ReportMetric(median(memory["all"])/size, "all-memory-x")
}

// resident is the memory of an extension that only registers, and of ours after
// so many invocations through the runtime endpoint: the median of the last
// hundred samples, in kilobytes.
func resident(tb testing.TB, size, first, last int) (bare, after, finally float64) {
	tb.Helper()
	p := newPlatform(tb)
	minimal := p.start(tb, minimalExtension(tb))
	defer minimal.stop()
	bare = minimal.status(tb, "VmRSS")
	s := p.start(tb, extensionBinary(tb), allEndpoints...)
	defer s.stop()
	api := "http://" + endpointOf(tb, s.tmp, "runtime") + "/2018-06-01/runtime/invocation/"
	payload := fmt.Appendf(nil, `{"version":"0","id":"e","detail-type":"T","source":"s","resources":[],"detail":{"event_id":"e","text":%q}}`, strings.Repeat("x", size-100))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	run := func(n int) float64 {
		var samples []float64
		for i := range n {
			id := fmt.Sprint("r-", p.n.Add(1))
			p.invoke <- id
			go func() { p.events <- payload }()
			resp, err := client.Get(api + "next")
			if err != nil {
				tb.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			resp, err = client.Post(api+id+"/response", "application/json", strings.NewReader("{}"))
			if err != nil {
				tb.Fatal(err)
			}
			_ = resp.Body.Close()
			if n-i <= 100 {
				samples = append(samples, s.status(tb, "VmRSS"))
			}
		}
		return median(samples)
	}
	after = run(first)
	return bare, after, run(last - first)
}

// BenchmarkMemory is the resident memory after many invocations, beside an
// extension that only registers.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct {
		name              string
		size, first, last int
	}{{"10 KB events", 10 << 10, 1_000, 10_000}, {"6 MB events", 6 << 20, 10, 50}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				bare, after, finally := resident(b, c.size, c.first, c.last)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(finally/1024, "MB")
				b.ReportMetric(finally/bare, "minimal-x")
				b.ReportMetric(finally/after, "first-x")
				b.ReportMetric(float64(c.last), "invocations")
			}
		})
	}
}

// What is kept does not grow with the invocations that were seen.
func TestMemoryStaysFlat(t *testing.T) {
	last := 5_000
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		last = 100_000
	}
	bare, after, finally := resident(t, 10<<10, 1_000, last)
	t.Logf("after 1 000 invocations %.1f MB, after %d %.1f MB: %.2f ×; an extension that only registers has %.1f MB", after/1024, last, finally/1024, finally/after, bare/1024)
	if finally > 1.1*after {
		t.Errorf("after %d invocations it has %.2f × the memory that it had after 1 000", last, finally/after)
	}
}

func endpointOf(tb testing.TB, tmp, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(tmp, "throughline", "endpoints"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return address
		}
	}
	tb.Fatalf("%s is not announced: %s", name, text)
	return ""
}

// BenchmarkAfterResponse is how long an environment stays busy after the
// runtime is done, warm, beside an extension that only registers.
func BenchmarkAfterResponse(b *testing.B) {
	for name, c := range map[string]struct {
		ours    bool
		backend string
	}{"minimal": {}, "ours": {ours: true}, "ours, backend hangs": {true, "hangs"}} {
		b.Run(name, func(b *testing.B) {
			var mu sync.Mutex
			done := map[string]time.Time{}
			var after []time.Duration
			svc := lambdalocal.New(lambdalocal.Options{Dir: b.TempDir()})
			defer func() { _ = svc.Close() }()
			f := lambdalocal.Function{
				Name: "quick", Runtime: []string{binary(b, "quick", "./testdata/quick")}, Memory: 512, Timeout: 20 * time.Second, MaxEnvironments: 1,
				Extensions: []string{minimalExtension(b)}, Env: map[string]string{"PATH": os.Getenv("PATH")},
				Hook: func(e lambdalocal.Event) {
					mu.Lock()
					defer mu.Unlock()
					switch e.Point {
					case lambdalocal.RuntimeDone:
						done[e.RequestID] = time.Now()
					case lambdalocal.InvokeDone:
						if at, ok := done[e.RequestID]; ok {
							after = append(after, time.Since(at))
						}
					}
				},
			}
			if c.ours {
				f.Extensions = []string{extensionBinary(b)}
				wrapper, err := filepath.Abs("../throughline/wrapper")
				if err != nil {
					b.Fatal(err)
				}
				f.Wrapper = wrapper
				for _, pair := range allEndpoints {
					k, v, _ := strings.Cut(pair, "=")
					f.Env[k] = v
				}
				backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if c.backend == "hangs" {
						<-r.Context().Done()
					}
				}))
				defer backend.Close()
				defer backend.CloseClientConnections()
				f.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = backend.URL
			}
			d, err := svc.Create(f)
			if err != nil {
				b.Fatal(err)
			}
			call := func() {
				if _, err := d.Invoke(b.Context(), []byte(`{}`), lambdalocal.InvokeOptions{Wait: true}); err != nil {
					b.Fatal(err)
				}
			}
			for range 40 {
				call()
			}
			_ = svc.Wait(b.Context())
			mu.Lock()
			after = nil
			mu.Unlock()
			for b.Loop() {
				call()
			}
			_ = svc.Wait(b.Context())
			mu.Lock()
			defer mu.Unlock()
			b.ReportMetric(float64(median(after).Microseconds()), "after-p50-µs")
		})
	}
}

// BenchmarkDeadBackend is a handler of 30 ms beside an extension whose backend
// takes connections and never answers, and the same handler with no extension,
// in turn: from the event to a free environment. What a handler waits that posts
// spans to that extension is measured in an environment of its own.
func BenchmarkDeadBackend(b *testing.B) {
	spans := otlp.Encode(otlp.Resource{}, otlp.Span{
		Context: lineage.Mint(trace.SpanContext{}).WithTraceFlags(trace.FlagsSampled), Name: "work", Start: time.Now(), End: time.Now(),
	})
	posting, err := json.Marshal(map[string]any{"take_ms": 30, "Spans": spans})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // and nobody accepts
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	wrapper, err := filepath.Abs("../throughline/wrapper")
	if err != nil {
		b.Fatal(err)
	}
	svc := lambdalocal.New(lambdalocal.Options{Dir: b.TempDir()})
	defer func() { _ = svc.Close() }()
	var mu sync.Mutex
	took := map[string][]time.Duration{}
	deploy := func(name string, attach func(*lambdalocal.Function)) *lambdalocal.Deployment {
		begun := map[string]time.Time{}
		f := lambdalocal.Function{
			Name: name, Runtime: []string{binary(b, "quick", "./testdata/quick")}, Memory: 512, Timeout: 20 * time.Second, MaxEnvironments: 1,
			Env: map[string]string{"PATH": os.Getenv("PATH")},
			Hook: func(e lambdalocal.Event) {
				mu.Lock()
				defer mu.Unlock()
				switch e.Point {
				case lambdalocal.InvokeSent:
					begun[e.RequestID] = time.Now()
				case lambdalocal.InvokeDone:
					took[name] = append(took[name], time.Since(begun[e.RequestID]))
				}
			},
		}
		attach(&f)
		d, err := svc.Create(f)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	none := deploy("none", func(*lambdalocal.Function) {})
	attached := func(f *lambdalocal.Function) {
		f.Extensions, f.Wrapper = []string{extensionBinary(b)}, wrapper
		f.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + l.Addr().String()
		f.Env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf" // or the wrapper leaves the SDK's spans alone
		for _, pair := range allEndpoints {
			k, v, _ := strings.Cut(pair, "=")
			f.Env[k] = v
		}
	}
	ours, posts := deploy("ours", attached), deploy("posts", attached)
	call := func(d *lambdalocal.Deployment, payload []byte) (waited time.Duration) {
		result, err := d.Invoke(b.Context(), payload, lambdalocal.InvokeOptions{Wait: true})
		var answer struct {
			Waited int64 `json:"waited_us"`
		}
		if err != nil || result.FunctionError != "" || json.Unmarshal(result.Payload, &answer) != nil {
			b.Fatalf("%v %s", err, result.Payload)
		}
		return time.Duration(answer.Waited) * time.Microsecond
	}
	alone := []byte(`{"take_ms":30}`)
	for b.Loop() { // the first invocations, and the waits of a breaker that has not opened, are in the median
		call(none, alone)
		call(ours, alone)
	}
	var waits []time.Duration
	for range b.N {
		waits = append(waits, call(posts, posting))
	}
	_ = svc.Wait(b.Context())
	mu.Lock()
	defer mu.Unlock()
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(millis(median(took["none"])), "none-p50-ms")
	b.ReportMetric(millis(median(took["ours"])), "ours-p50-ms")
	b.ReportMetric(millis(median(waits)), "post-p50-ms")
	b.ReportMetric(millis(slices.Max(waits)), "post-max-ms")
}

// BenchmarkEventsEndpoint is a PutEvents call through the sidecar, which runs
// on one core as a process of its own, beside the same call straight to the
// same server. What another process between them costs at the least, on this
// machine, is measured in turn: one that copies bytes, and Go's own reverse proxy.
func BenchmarkEventsEndpoint(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}`)
	}))
	defer server.Close()
	p := newPlatform(b)
	s := p.start(b, extensionBinary(b), append([]string{"GOMAXPROCS=1", "THROUGHLINE_EVENTS_UPSTREAM=" + server.URL, "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s"}, allEndpoints...)...)
	defer s.stop()
	endpoint := "http://" + endpointOf(b, s.tmp, "events")
	detail := fmt.Sprintf(`{"event_id":"e","correlation_id":"c","text":%q}`, strings.Repeat("x", 900))
	input := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("s"), DetailType: aws.String("T"), Detail: &detail}}}
	api := func(url string) *eventbridge.Client {
		return eventbridge.New(eventbridge.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "s", ""),
			HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}})
	}
	straight, through := api(server.URL), api(endpoint)
	relayed, proxied := api(between(b, "relay", server.URL)), api(between(b, "http", server.URL))
	var bare, ours, relay, proxy []time.Duration
	time1 := func(c *eventbridge.Client) time.Duration {
		begun := time.Now()
		if _, err := c.PutEvents(b.Context(), input); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	for b.Loop() { // in turn, so that both see the same machine
		bare, ours = append(bare, time1(straight)), append(ours, time1(through))
		relay, proxy = append(relay, time1(relayed)), append(proxy, time1(proxied))
	}
	b.ReportMetric(float64((median(relay) - median(bare)).Microseconds()), "relay-added-p50-µs")
	b.ReportMetric(float64((median(proxy) - median(bare)).Microseconds()), "proxy-added-p50-µs")
	b.ReportMetric(float64(median(bare).Microseconds()), "straight-p50-µs")
	b.ReportMetric(float64((median(ours) - median(bare)).Microseconds()), "added-p50-µs")

	// Requests a second of its own CPU, eight clients at once.
	before := s.cpu(b)
	var n atomic.Int64
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := through.PutEvents(b.Context(), input); err == nil {
					n.Add(1)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(n.Load())/(s.cpu(b)-before), "requests/CPU-s")
}

// between is the URL of another process before upstream, on one core as ours is.
func between(b *testing.B, kind, upstream string) string {
	b.Helper()
	cmd := exec.Command(binary(b, "proxy", "./testdata/proxy"), kind, strings.TrimPrefix(upstream, "http://"))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + strings.TrimSpace(address)
}

// cpu is the seconds of processor time that the process has used.
func (s started) cpu(tb testing.TB) float64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		tb.Skip("processor time is read from /proc, which is not here")
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}
