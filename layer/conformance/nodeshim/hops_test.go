package nodeshim

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

const (
	lambdaTrace = "Root=1-6920b0c8-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6300;Lineage=25:3c8f1a2b:0|ab:1"
	template    = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={span};Lineage=25:3c8f1a2b:0|ab:1"
)

// told of each call of testdata/hops.cjs, as the #th call of its process.
var toldOf = map[string]string{
	"send":      "SendMessage orders.fifo 13 message-#",
	"batch":     "SendMessageBatch 10 of orders.fifo 175 message-#-0,message-#-1,message-#-2,message-#-3,message-#-4,message-#-5,message-#-6,message-#-7,message-#-8,message-#-9",
	"large":     "SendMessage orders.fifo 1048575 message-#",
	"publish":   "Publish alerts 13 message-#",
	"long":      "Publish alerts 200000 message-#",
	"sms":       "Publish 4 message-#",
	"publishes": "PublishBatch 10 of alerts 175 message-#-0,message-#-1,message-#-2,message-#-3,message-#-4,message-#-5,message-#-6,message-#-7,message-#-8,message-#-9",
	"sync":      "Invoke worker 7 RequestResponse request-#",
	"async":     "Invoke live 2 Event request-#",
	"start":     "StartExecution rebalance 7 arn:aws:states:us-east-1:123456789012:execution:m:e-#",
	"success":   "SendTaskSuccess 2",
	"schedule":  "CreateSchedule open 7 arn:aws:scheduler:us-east-1:123456789012:schedule/default/open",
	"record":    "PutRecord ticks 2 shardId-0:#",
	"records":   "PutRecords 2 of ticks 3 shardId-0:#0,shardId-0:#1",
}

func hop(h stands.Hop) string {
	failed, batch := "", ""
	for code, n := range h.Failed {
		failed += fmt.Sprintf(" %s=%d", code, n)
	}
	if h.Batch > 0 {
		batch = fmt.Sprint(h.Batch, " of ")
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s%s %d %s %s%s %s", h.Operation, batch, h.Target[strings.LastIndexAny(h.Target, "/:")+1:], h.Size, h.InvocationType, strings.Join(h.IDs, ","), failed, h.Error)), " ")
}

var hopCases = []struct {
	name, calls string
	modes       []string
	bus         stands.Bus
	want        []string // nil: as toldOf says
	env         []string
}{
	{name: "every call", calls: "send,batch,publish,long,sms,publishes,sync,async,start,success,schedule,record,records,large,other,receive", modes: []string{"join", "carry"}},
	{name: "partly", calls: "batch,publishes", modes: []string{"carry"}, bus: stands.Bus{Partly: true}, want: []string{
		"SendMessageBatch 10 of orders.fifo 175 message-1-0,message-1-2,message-1-4,message-1-6,message-1-8 InternalError=5",
		"PublishBatch 10 of alerts 175 message-2-0,message-2-2,message-2-4,message-2-6,message-2-8 InternalError=5"}},
	{name: "refused", calls: "send,publish,sync", modes: []string{"join"}, bus: stands.Bus{Fail: 9, Status: 400, Code: "AccessDeniedException"}, want: []string{
		"SendMessage orders.fifo 13 AccessDeniedException", "Publish alerts 13 AccessDeniedException", "Invoke worker 7 RequestResponse AccessDeniedException"}},
	{name: "retried", calls: "send", modes: []string{"join"}, bus: stands.Bus{Fail: 1, Status: 500, Code: "InternalError"}, want: []string{"SendMessage orders.fifo 13 InternalError", "SendMessage orders.fifo 13 message-2"}},
	{name: "off", calls: "send,publish,sync", modes: []string{"off"}, want: []string{}},
	{name: "another tracer's header", calls: "send", modes: []string{"carry"}, env: []string{"_X_AMZN_TRACE_ID=" + strings.Replace(lambdaTrace, "9a91", "9a92", 1)}},
}

// hopPrograms are the ways to load an SDK. The first of each SDK makes the calls of
// all cases, the others those of the first case.
var hopPrograms = []struct{ sdk, file string }{
	{"v3", "hops.cjs"}, {"v3", "hops.mjs"}, {"v3", "bundled.cjs"}, {"v3", "bundled.mjs"}, {"v2", "hops.cjs"}, {"v2", "hops.mjs"},
}

// Calls that leave the bus go out byte for byte as without the shim, but for the
// header under carry, and each attempt is told.
func TestHops(t *testing.T) {
	for _, version := range nodes() {
		w := newWorld(t, version)
		if err := os.Remove(filepath.Join(w.dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		set := "hopsnew"
		if version < "22" {
			set = "hopsold"
		}
		if err := os.Symlink(installed(t, set, "node_modules"), filepath.Join(w.dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		w.esbuild("hops.mjs", "--outfile=bundled.mjs", "--format=esm", "--external:aws-sdk", "--banner:js=import { createRequire } from 'module'; const require = createRequire(import.meta.url);")
		w.esbuild("hops.mjs", "--outfile=bundled.cjs", "--external:aws-sdk")
		for _, program := range hopPrograms {
			for _, tt := range hopCases {
				for _, mode := range tt.modes {
					if program.file != "hops.cjs" && tt.name != hopCases[0].name {
						continue
					}
					t.Run(strings.Join([]string{version, program.sdk, program.file, tt.name, mode}, " "), func(t *testing.T) {
						w := *w
						w.T = t
						w.leave(program.sdk, program.file, tt.calls, mode, tt.bus, tt.want, tt.env)
					})
				}
			}
		}
	}
}

// unstable are the headers that differ from one run to the next.
var unstable = regexp.MustCompile(`(?i)\r\n(authorization|x-amz-date|amz-sdk-invocation-id): [^\r]*`)

var traced = regexp.MustCompile(`(?i)\r\nx-amzn-trace-id: ([^\r]*)`)

func (w *world) leave(sdk, file, calls, mode string, bus stands.Bus, want, env []string) {
	w.handle(strings.Replace("["+stands.Current+"]", `"events":1`, `"events":1,"trace":"`+lambdaTrace+`","carry":"`+template+`"`, 1))
	if sdk == "v3" { // which calls Kinesis over HTTP/2, and Step Functions and the rest as it should
		calls = strings.Replace(calls, "record,records,", "", 1)
	} else { // of before Scheduler
		calls = strings.Replace(calls, "schedule,", "", 1)
	}
	if want == nil {
		want = []string{}
		for i, name := range strings.Split(calls, ",") {
			if text := toldOf[name]; text != "" {
				want = append(want, strings.ReplaceAll(text, "#", fmt.Sprint(i+1)))
			}
		}
	}
	p := program{args: []string{"--require", "./led.cjs", file, sdk, calls}, bus: bus, env: append([]string{
		"AWS_LAMBDA_FUNCTION_NAME=f", "_X_AMZN_TRACE_ID=" + lambdaTrace, "THROUGHLINE_HTTP_HOSTS=none", "THROUGHLINE_HOPS=" + mode}, env...)}
	w.extension.Begin(nil)
	bare := w.run(false, p)
	with := w.run(true, p)
	if bare.code != with.code || bare.stdout != with.stdout || bare.stderr != with.stderr {
		w.Errorf("without\n%.2000s%s\nwith\n%.2000s%s", bare.stdout, bare.stderr, with.stdout, with.stderr)
	}
	carried := 0
	for i := range max(len(bare.received), len(with.received)) {
		if i >= len(bare.received) || i >= len(with.received) {
			w.Fatalf("%d requests without, %d with", len(bare.received), len(with.received))
		}
		a, b := bare.received[i], with.received[i]
		if b.Signed != "yes" {
			w.Errorf("its signature: %s", b.Raw[:200])
		}
		headA, headB := unstable.ReplaceAllString(string(a.Raw), "\r\n$1: …"), unstable.ReplaceAllString(string(b.Raw), "\r\n$1: …")
		if got := traced.FindStringSubmatch(headB); got != nil && strings.HasPrefix(got[1], "Root=1-4bf92f35") {
			carried++
			if !regexp.MustCompile(`^Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=[0-9a-f]{16};Lineage=25:3c8f1a2b:0\|ab:1$`).MatchString(got[1]) {
				w.Errorf("carries %q", got[1])
			}
			headB = strings.Replace(headB, got[1], lambdaTrace, 1)
		}
		if headA != headB {
			w.Errorf("without\n%.1500q\nwith\n%.1500q", headA, headB)
		}
	}
	var got []string
	told, messages := w.hops(len(want)), 0
	for _, h := range told {
		got = append(got, hop(h))
		if (h.TraceID == stands.TraceID) != (h.SpanID != "") || h.End < h.Start || h.Start == 0 || h.Region != "us-east-1" || h.Outcome != "answered" {
			w.Errorf("told %+v", h)
		}
		if h.SpanID != "" {
			messages++
		}
	}
	slices.Sort(got) // reports come over several connections
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		w.Errorf("told\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), with.stdout)
	}
	if carried != messages || mode != "carry" && carried > 0 || mode == "carry" && len(env) == 0 && carried == 0 || len(env) > 0 && carried > 0 {
		w.Errorf("%d carry, %d told", carried, messages)
	}
}

// hops waits for n reports of calls that leave the bus.
func (w *world) hops(n int) []stands.Hop {
	for deadline := time.Now().Add(5 * time.Second); len(w.extension.Hops()) < n && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	return w.extension.Hops()
}

// A call is made as without the shim where the extension fails.
func TestHopsWithoutAnExtension(t *testing.T) {
	w := newWorld(t, "24")
	if err := os.Remove(filepath.Join(w.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(installed(t, "hopsnew", "node_modules"), filepath.Join(w.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	hang := func(_ http.ResponseWriter, r *http.Request, _ []byte) bool { <-r.Context().Done(); return true }
	for name, env := range map[string]string{"gone": "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", "hung": "X=1"} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.T = t
			w.extension.Begin(hang)
			p := program{args: []string{"--require", "./led.cjs", "hops.cjs", "v3", "send,publish,sync,start"}, env: []string{env, "THROUGHLINE_HTTP_HOSTS=none"}}
			bare, with := w.run(false, p), w.run(true, p)
			if bare.stdout != with.stdout || bare.stderr != with.stderr || len(bare.received) != len(with.received) {
				t.Errorf("without %s%s, with %s%s", bare.stdout, bare.stderr, with.stdout, with.stderr)
			}
			for i := range bare.received {
				if !bytes.Equal(bare.received[i].Body, with.received[i].Body) {
					t.Errorf("without %s, with %s", bare.received[i].Body, with.received[i].Body)
				}
			}
		})
	}
}

// A call is told before the invocation's answer, so that its span is exported with
// that invocation.
func TestCallsAreToldBeforeTheAnswer(t *testing.T) {
	for _, version := range nodes() {
		if version < "18" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			w := newWorld(t, version)
			if err := os.Remove(filepath.Join(w.dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
			set := "hopsnew"
			if version < "22" {
				set = "hopsold"
			}
			if err := os.Symlink(installed(t, set, "node_modules"), filepath.Join(w.dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
			var answering sync.Mutex
			var answered []int // how many calls were told before each answer
			w.extension.Begin(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
				if strings.HasSuffix(r.URL.Path, "/response") {
					w.extension.Settle(t)
					answering.Lock()
					defer answering.Unlock()
					answered = append(answered, len(w.extension.Hops()))
				}
				return strings.HasPrefix(r.URL.Path, "/2018-06-01/")
			})
			with := w.run(true, program{args: []string{"--require", "./led.cjs", "answer.cjs"}, env: []string{"THROUGHLINE_HTTP_HOSTS=none"}})
			answering.Lock()
			defer answering.Unlock()
			if with.code != 0 || len(answered) != 20 {
				t.Fatalf("%d: %s%s %v", with.code, with.stdout, with.stderr, answered)
			}
			for n, told := range answered {
				if told != n+1 {
					t.Errorf("of %d calls %d were told when the invocation was answered", n+1, told)
				}
			}
		})
	}
}
