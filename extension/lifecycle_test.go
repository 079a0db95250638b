package extension

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/tracing/otlp"
)

func TestItAnnouncesBeforeItRegisters(t *testing.T) {
	l := newLambda(t)
	r := l.run(nil)
	until(t, "the first next", func() bool { n, _ := l.state(); return n == 1 })
	l.mu.Lock()
	if !strings.HasPrefix(l.announced, "otlp=127.0.0.1:") || !slices.Equal(l.registered, []string{"INVOKE", "SHUTDOWN"}) || !slices.Equal(l.schemas, []string{"2025-01-29"}) {
		t.Errorf("announced %q, registered for %v, schemas %v", l.announced, l.registered, l.schemas)
	}
	l.mu.Unlock()
	l.events <- shutdown("spindown")
	r.ended()
	if r.log.String() != "" {
		t.Errorf("it said %q", r.log.String())
	}
}

func TestEachInvocationIsCountedOnce(t *testing.T) {
	l := newLambda(t)
	r := l.run(nil)
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.tell(`[{"time":"2026-11-23T20:44:59.000Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init"}},
{"time":"2026-11-23T20:44:59.200Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":125.33}}}]`)
	for n, id := range []string{"r-1", "r-2", "r-3"} {
		l.events <- invoke(id, time.Now().Add(time.Minute))
		until(t, "the invocation", func() bool { nexts, _ := l.state(); return nexts >= n+1 })
		l.tell(records(id))
		l.tell(records(id)) // at least once is what Lambda promises
		until(t, "the next next", func() bool { nexts, _ := l.state(); return nexts == n+2 })
	}
	report := `[{"time":"2026-11-23T20:45:01Z","type":"platform.report","record":{"requestId":"r-1","status":"success","metrics":{"durationMs":140,"billedDurationMs":141,"memorySizeMB":128,"maxMemoryUsedMB":64},"spans":[{"name":"extensionOverhead","durationMs":0.5}]}}]`
	l.tell(report)
	l.tell(report)
	l.events <- shutdown("spindown")
	r.ended()
	sums := r.sums()
	for name, want := range map[string]float64{
		"Duration": 420, "ColdStart": 1, "ColdStart_on-demand": 1, "InitDuration": 125.33, "Timeouts": 0, "OutOfMemory": 0,
		"BilledDuration": 141, "MemoryUsed": 64, "MemoryUtilization": 50, "ExtensionOverhead": 0.5, "TelemetryDropped": 0,
	} {
		if sums[name] != want {
			t.Errorf("%s = %v, want %v", name, sums[name], want)
		}
	}
}

func TestTimeOutIsCountedOnceFromEitherSource(t *testing.T) {
	const done = `[{"time":"2026-11-23T20:45:01Z","type":"platform.runtimeDone","record":{"requestId":"r-1","status":"timeout","metrics":{"durationMs":1000}}}]`
	for name, told := range map[string]bool{"Telemetry": true, "ShutdownAlone": false} {
		t.Run(name, func(t *testing.T) {
			l := newLambda(t)
			r := l.run(nil)
			until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
			l.events <- invoke("r-1", time.Now().Add(150*time.Millisecond))
			until(t, "the first next", func() bool { n, _ := l.state(); return n >= 1 })
			if told {
				l.tell(done)
			}
			l.events <- shutdown("TIMEOUT") // the guide prints it so, Lambda sends lower case
			r.ended()
			if sums := r.sums(); sums["Timeouts"] != 1 || sums["Errors"] != 1 || sums["ColdStart"] != 1 {
				t.Errorf("sums %v", sums)
			}
		})
	}
}

func TestOutOfMemoryIsCountedOnce(t *testing.T) {
	for name, batch := range map[string]string{
		"ByErrorType": `[{"time":"2026-11-23T20:45:01Z","type":"platform.runtimeDone","record":{"requestId":"r-1","status":"error","errorType":"Runtime.OutOfMemory","metrics":{"durationMs":10}}},
{"time":"2026-11-23T20:45:02Z","type":"platform.report","record":{"requestId":"r-1","status":"error","metrics":{"memorySizeMB":128,"maxMemoryUsedMB":128}}}]`,
		"ByMemory": `[{"time":"2026-11-23T20:45:01Z","type":"platform.runtimeDone","record":{"requestId":"r-1","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":10}}},
{"time":"2026-11-23T20:45:02Z","type":"platform.report","record":{"requestId":"r-1","status":"error","metrics":{"memorySizeMB":128,"maxMemoryUsedMB":128}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLambda(t)
			r := l.run(nil)
			until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
			l.events <- invoke("r-1", time.Now().Add(time.Minute))
			until(t, "the first next", func() bool { n, _ := l.state(); return n >= 1 })
			l.tell(batch)
			l.events <- shutdown("failure")
			r.ended()
			if sums := r.sums(); sums["OutOfMemory"] != 1 || sums["Errors"] != 1 {
				t.Errorf("sums %v", sums)
			}
		})
	}
}

func TestManagedInstances(t *testing.T) {
	l := newLambda(t)
	r := l.run(func(c *Config) { c.InitType = ManagedInstances })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	// Two at once, no runtimeDone, reports with a duration alone.
	l.tell(`[{"time":"2026-11-23T20:45:00.1Z","type":"platform.start","record":{"requestId":"r-1"}},{"time":"2026-11-23T20:45:00.2Z","type":"platform.start","record":{"requestId":"r-2"}},
{"time":"2026-11-23T20:45:00.3Z","type":"platform.report","record":{"requestId":"r-2","status":"success","metrics":{"durationMs":1.5}}},
{"time":"2026-11-23T20:45:00.4Z","type":"platform.report","record":{"requestId":"r-1","status":"success","metrics":{"durationMs":2.5}}}]`)
	l.events <- shutdown("spindown")
	r.ended()
	if !slices.Equal(l.registered, []string{"SHUTDOWN"}) {
		t.Errorf("registered for %v", l.registered)
	}
	if sums := r.sums(); sums["Duration"] != 4 || sums["ColdStart_lambda-managed-instances"] != 1 {
		t.Errorf("sums %v", sums)
	}
}

func TestSnapStartAndDroppedLogs(t *testing.T) {
	l := newLambda(t)
	r := l.run(func(c *Config) { c.InitType = "snap-start" })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.events <- invoke("r-1", time.Now().Add(time.Minute))
	until(t, "the first next", func() bool { n, _ := l.state(); return n >= 1 })
	l.tell(`[{"time":"2026-11-23T20:45:00Z","type":"platform.restoreReport","record":{"status":"success","metrics":{"durationMs":15.19}}},
{"time":"2026-11-23T20:45:00Z","type":"platform.logsDropped","record":{"droppedBytes":12345,"droppedRecords":123,"reason":"slow"}}]`)
	l.tell(records("r-1"))
	l.events <- shutdown("spindown")
	r.ended()
	if sums := r.sums(); sums["RestoreDuration"] != 15.19 || sums["ColdStart_snap-start"] != 1 || sums["TelemetryDropped"] != 123 {
		t.Errorf("sums %v", sums)
	}
}

func TestSubscriptionIsNegotiated(t *testing.T) {
	for name, tt := range map[string]struct {
		refuse  func(string) int
		schemas []string
		says    string
	}{
		"OlderSchema": {func(s string) int {
			if s == "2025-01-29" {
				return http.StatusBadRequest
			}
			return http.StatusOK
		}, []string{"2025-01-29", "2022-12-13"}, ""},
		"NotSupported": {func(string) int { return http.StatusAccepted }, []string{"2025-01-29"}, "function metrics are not seen"},
		"Refused":      {func(string) int { return http.StatusBadRequest }, []string{"2025-01-29", "2022-12-13"}, "function metrics are not seen"},
		"Forbidden":    {func(string) int { return http.StatusForbidden }, []string{"2025-01-29"}, "function metrics are not seen"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLambda(t)
			l.refuse = tt.refuse
			r := l.run(nil)
			for range 3 { // without telemetry nothing is waited for
				l.events <- invoke("r-1", time.Now().Add(time.Hour))
			}
			if tt.says == "" {
				until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
				l.tell(records("r-1"))
				l.events <- shutdown("spindown")
				return
			}
			l.events <- shutdown("spindown")
			r.ended()
			if !slices.Equal(l.schemas, tt.schemas) || strings.Count(r.log.String(), tt.says) != 1 {
				t.Errorf("schemas %v, said %q", l.schemas, r.log.String())
			}
		})
	}
}

func TestDisabled(t *testing.T) {
	l := newLambda(t)
	r := l.run(func(c *Config) { c.Disabled = true })
	l.events <- shutdown("spindown")
	r.ended()
	if !slices.Equal(l.registered, []string{"SHUTDOWN"}) || l.announced != "" || len(l.schemas) != 0 || r.out.String() != "" {
		t.Errorf("registered for %v, announced %q, wrote %q", l.registered, l.announced, r.out.String())
	}
}

// process is the span of a library's handler wrapper.
func process(id string, flags trace.TraceFlags) []byte {
	context := func(span byte) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{span}, TraceFlags: flags})
	}
	return otlp.Encode(otlp.Resource{}, otlp.Span{
		Context: context(1), Parent: context(2), Name: "process SignalGenerated", Kind: trace.SpanKindConsumer, Start: time.Now(), End: time.Now(),
		Attributes: []attribute.KeyValue{attribute.String("faas.invocation_id", id)},
	})
}

func (l *lambda) post(t *testing.T, body []byte, contentType string) int {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(l.tmp, "throughline", "endpoints"))
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(strings.TrimPrefix(string(file), "otlp="))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post("http://"+address+"/v1/traces", contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestSpansAreForwardedWithTheInvokeSpan(t *testing.T) {
	l := newLambda(t)
	server, spans := backend(t, nil)
	r := l.run(func(c *Config) { c.Upstream = to(t, server.URL) })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.events <- invoke("r-1", time.Now().Add(time.Minute))
	until(t, "the first next", func() bool { n, _ := l.state(); return n >= 1 })
	until(t, "the event", func() bool { return len(l.events) == 0 })
	time.Sleep(100 * time.Millisecond) // the invocation has begun: its span is looked for
	if status := l.post(t, process("r-1", trace.FlagsSampled), "application/x-protobuf"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if status := l.post(t, []byte(`{"resourceSpans":[]}`), "application/json"); status != http.StatusOK {
		t.Errorf("JSON: status %d", status)
	}
	for _, bad := range [][]byte{{0xff, 0xff}, []byte("garbage")} {
		if status := l.post(t, bad, "application/x-protobuf"); status != http.StatusBadRequest {
			t.Errorf("garbage: status %d", status)
		}
	}
	l.tell(records("r-1"))
	l.events <- shutdown("spindown")
	r.ended()
	if n := spans(); n < 2 {
		t.Errorf("%d spans at the backend, want the process span and its invoke span", n)
	}
}

// TestNoHarm holds that whatever is wrong around it, the extension takes every
// invocation, ends within SHUTDOWN's time, and ends without an error.
func TestNoHarm(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"BackendHangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server sees that the caller left only when it has read the body
			<-r.Context().Done()
		},
		"Backend500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"Backend429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		},
		"BackendGarbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte{0xff}, 1<<20)) },
		"BackendCuts":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	changes := map[string]func(*testing.T, *Config){
		"BackendRefuses": func(t *testing.T, c *Config) { c.Upstream = to(t, "http://127.0.0.1:1") },
		"BackendNoURL":   func(t *testing.T, c *Config) { c.Upstream = to(t, "::nonsense") },
		"TakenPort": func(t *testing.T, c *Config) {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { taken.Close() })
			c.OTLPAddr = taken.Addr().String()
		},
		"NonsenseAddress": func(_ *testing.T, c *Config) { c.OTLPAddr = "nonsense" },
		"UnwritableTemp":  func(_ *testing.T, c *Config) { c.TempDir = "/proc/nowhere" },
		"LogIsGone":       func(_ *testing.T, c *Config) { c.Out = broken{} },
		"LogPanics":       func(_ *testing.T, c *Config) { c.Out = panicking{} },
		"ClockJumps": func(t *testing.T, c *Config) {
			var jumps atomic.Int64
			c.Now = func() time.Time { return time.Now().Add(time.Duration(jumps.Add(1)-30) * time.Minute) }
			c.Upstream = to(t, "http://127.0.0.1:1")
		},
	}
	for name, answer := range answers {
		changes[name] = func(t *testing.T, c *Config) {
			server, _ := backend(t, answer)
			c.Upstream = to(t, server.URL)
		}
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			l := newLambda(t)
			r := l.run(func(c *Config) { change(t, c) })
			until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
			const n = 6
			for i := range n {
				id := "r-" + string(rune('a'+i))
				l.events <- invoke(id, time.Now().Add(10*time.Second))
				until(t, "next", func() bool { nexts, _ := l.state(); return nexts >= i+1 })
				if _, err := os.Stat(filepath.Join(l.tmp, "throughline", "endpoints")); err == nil && l.announced != "" {
					l.post(t, process(id, trace.FlagsSampled), "application/x-protobuf")
				}
				l.tell(records(id))
			}
			until(t, "every next", func() bool { nexts, _ := l.state(); return nexts == n+1 })
			l.events <- shutdown("spindown")
			r.ended()
		})
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

// panicking stands for a fault of ours.
type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("a fault") }

func TestTheEndThatNeverComesIsNotWaitedForBeyondTheDeadline(t *testing.T) {
	l := newLambda(t)
	r := l.run(nil)
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.events <- invoke("r-1", time.Now().Add(200*time.Millisecond)) // and runtimeDone never comes
	until(t, "the next next", func() bool { n, _ := l.state(); return n == 2 })
	l.events <- shutdown("spindown")
	r.ended()
}

func TestWhatCannotBeReadIsCountedAndTheRestIsKept(t *testing.T) {
	l := newLambda(t)
	r := l.run(nil)
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.events <- invoke("r-1", time.Now().Add(time.Minute))
	until(t, "the first next", func() bool { n, _ := l.state(); return n >= 1 })
	whole := strings.TrimSuffix(records("r-1"), "]")
	l.tell(whole + `,{"time":"x","type":"platform.report","record":7},{"time":"2026-11-23T20:45:00Z","type":"platform.unheardOf","record":{"a":[1]}},{"type":"function","record":"text"},{"time":"2026-11-2`)
	l.events <- shutdown("spindown")
	r.ended()
	if sums := r.sums(); sums["Duration"] != 140 || sums["TelemetryDropped"] != 2 {
		t.Errorf("sums %v", sums)
	}
}

// What was waited for in vain once is not waited for again until it comes.
func TestALostEndIsWaitedForOnce(t *testing.T) {
	l := newLambda(t)
	r := l.run(nil)
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.events <- invoke("r-1", time.Now().Add(200*time.Millisecond)) // and runtimeDone never comes
	until(t, "the next next", func() bool { n, _ := l.state(); return n == 2 })
	for n, id := range []string{"r-2", "r-3"} {
		l.events <- invoke(id, time.Now().Add(time.Hour)) // a wait would be the test's end
		until(t, "the next next", func() bool { nexts, _ := l.state(); return nexts == n+3 })
	}
	l.tell(records("r-3")) // late, but it does come
	l.events <- invoke("r-4", time.Now().Add(time.Hour))
	time.Sleep(50 * time.Millisecond)
	if n, _ := l.state(); n != 4 {
		t.Errorf("next was asked for %d times: the end of r-4 is not waited for", n)
	}
	l.tell(records("r-4"))
	until(t, "the next next", func() bool { nexts, _ := l.state(); return nexts == 5 })
	l.events <- shutdown("spindown")
	r.ended()
	if sums := r.sums(); sums["Duration"] != 280 || sums["TelemetryDropped"] != 2 || sums["ColdStart"] != 1 {
		t.Errorf("sums %v", sums)
	}
}

// Beside invocations nobody waits for an export, and what it was about to take
// is exported at the end.
func TestAnExportBesideInvocationsHoldsNobodyUp(t *testing.T) {
	l := newLambda(t)
	var hang atomic.Bool
	hang.Store(true)
	var taken atomic.Int64
	server, _ := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := readBody(r)
		if hang.Load() {
			<-r.Context().Done()
			return
		}
		if n, counted := otlp.CountSpans(body); err == nil && counted == nil {
			taken.Add(int64(n))
		}
	})
	r := l.run(func(c *Config) { c.Upstream, c.Flush = to(t, server.URL), FlushPeriodic })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	const n = 5
	for i := range n {
		id := "r-" + string(rune('a'+i))
		l.events <- invoke(id, time.Now().Add(time.Hour))
		until(t, "the invocation", func() bool { return len(l.events) == 0 })
		if i > 0 { // the first has told that the library is used: its end is known from its span
			time.Sleep(20 * time.Millisecond)
		}
		l.post(t, process(id, trace.FlagsSampled), "application/x-protobuf")
		begun := time.Now()
		until(t, "the next next", func() bool { nexts, _ := l.state(); return nexts == i+2 })
		if took := time.Since(begun); took > besideBudget/2 {
			t.Errorf("next came after %v", took)
		}
		l.tell(records(id))
	}
	hang.Store(false)
	l.events <- shutdown("spindown")
	r.ended()
	if got := taken.Load(); got < n {
		t.Errorf("%d spans arrived, want %d process spans", got, n)
	}
}

// While the backend is left alone nothing would be sent at an invocation's end,
// and the environment is not held up for telemetry to tell of it.
func TestAPausedBackendHoldsNobodyUp(t *testing.T) {
	l := newLambda(t)
	server, _ := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	r := l.run(func(c *Config) { c.Upstream, c.Flush = to(t, server.URL), FlushEnd })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.post(t, otlp.Encode(otlp.Resource{}, otlp.Span{Name: "work"}), "application/x-protobuf")
	n := 0
	invoked := func(deadline time.Duration, tell bool) {
		n++
		id := fmt.Sprint("r-", n)
		l.events <- invoke(id, time.Now().Add(deadline))
		if tell {
			l.tell(records(id))
		}
		until(t, "the next next", func() bool { nexts, _ := l.state(); return nexts == n+1 })
	}
	for range 3 { // failures, and the backend is left alone
		invoked(time.Minute, true)
	}
	invoked(time.Hour, false) // a wait would be the test's end
	l.events <- shutdown("spindown")
	r.ended()
}

// An environment that is never frozen, and hears of nothing but its end, exports meanwhile.
func TestManagedInstancesExportMeanwhile(t *testing.T) {
	l := newLambda(t)
	server, spans := backend(t, nil)
	r := l.run(func(c *Config) { c.InitType, c.Upstream = ManagedInstances, to(t, server.URL) })
	until(t, "the subscription", func() bool { _, target := l.state(); return target != "" })
	l.post(t, process("r-1", trace.FlagsSampled), "application/x-protobuf")
	until(t, "an export before the end", func() bool { return spans() == 1 })
	l.events <- shutdown("spindown")
	r.ended()
}

// /tmp outlives a crash: addresses of the process before would send the runtime to nobody.
func TestAnOldAnnouncementIsReplaced(t *testing.T) {
	l := newLambda(t)
	dir := filepath.Join(l.tmp, "throughline")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	full(t, dir)
	r := l.run(nil)
	until(t, "the first next", func() bool { n, _ := l.state(); return n == 1 })
	if !strings.HasPrefix(l.announced, "otlp=127.0.0.1:") || strings.Contains(l.announced, "runtime") {
		t.Errorf("announced %.100q, said %q", l.announced, r.log.String())
	}
	l.events <- shutdown("spindown")
	r.ended()
}

// full makes dir a disk on which an old announcement has taken the last room.
func full(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,nr_inodes=8,mode=0700"); err != nil {
		t.Skipf("a full disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "endpoints"), append([]byte("runtime=127.0.0.1:1\n"), make([]byte, 4000)...), 0o644); err != nil {
		t.Fatal(err)
	}
}
