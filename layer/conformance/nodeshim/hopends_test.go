package nodeshim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// What is told of calls with long requests and responses, with responses that end
// early, and of retries.
func TestHopsOfUnusualLength(t *testing.T) {
	w := newWorld(t, "24")
	if err := os.Remove(filepath.Join(w.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(installed(t, "hopsnew", "node_modules"), filepath.Join(w.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	const throttled = " ProvisionedThroughputExceededException="
	for name, tt := range map[string]struct {
		sdk, calls string
		bus        stands.Bus
		want       []string // the ID of the span that the call carried, by its number, then what is told
	}{
		"500 results, half of them failures": {"v2", "many", stands.Bus{Partly: true}, []string{"0 answered PutRecords 500 of ticks 500 250 IDs" + throttled + "250"}},
		"a request that is not read":         {"v2", "huge", stands.Bus{Partly: true}, []string{"0 answered PutRecords 4 of 0 2 IDs" + throttled + "2"}},
		"a large payload":                    {"v3", "payload", stands.Bus{}, []string{"0 answered Invoke worker 6291456 RequestResponse request-1"}},
		"a long output": {"v3", "startsync", stands.Bus{Output: strings.Repeat("x", 300_000)},
			[]string{"0 answered StartSyncExecution rebalance 2 arn:aws:states:us-east-1:123456789012:execution:m:e-1"}},
		"a message's response ends early": {"v3", "send", stands.Bus{Cut: 1}, []string{"1 unknown SendMessage orders.fifo 13", "1 answered SendMessage orders.fifo 13 message-2"}},
		"an invocation's response ends early": {"v3", "sync", stands.Bus{Cut: 1},
			[]string{"0 answered Invoke worker 7 RequestResponse request-1", "0 answered Invoke worker 7 RequestResponse request-2"}},
		"retries": {"v3", "send,publish", stands.Bus{Fail: 1, Status: 500, Code: "InternalError"},
			[]string{"1 answered SendMessage orders.fifo 13 InternalError", "1 answered SendMessage orders.fifo 13 message-2", "2 answered Publish alerts 13 message-3"}},
		"retries without an ID of the call": {"v2", "send,publish", stands.Bus{Fail: 2, Status: 500, Code: "InternalError"},
			[]string{"1 answered SendMessage orders.fifo 13 InternalError", "1 answered SendMessage orders.fifo 13 InternalError", "1 answered SendMessage orders.fifo 13 message-3", "2 answered Publish alerts 13 message-4"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.T = t
			w.handle(strings.Replace("["+stands.Current+"]", `"events":1`, `"events":1,"trace":"`+lambdaTrace+`","carry":"`+template+`"`, 1))
			p := program{args: []string{"--require", "./led.cjs", "hops.cjs", tt.sdk, tt.calls}, bus: tt.bus, env: []string{
				"AWS_LAMBDA_FUNCTION_NAME=f", "_X_AMZN_TRACE_ID=" + lambdaTrace, "THROUGHLINE_HTTP_HOSTS=none", "THROUGHLINE_HOPS=carry"}}
			w.extension.Begin(nil)
			bare, with := w.run(false, p), w.run(true, p)
			if bare.code != with.code || bare.stdout != with.stdout || bare.stderr != with.stderr || len(bare.received) != len(with.received) {
				t.Fatalf("without\n%.2000s%s\nwith\n%.2000s%s", bare.stdout, bare.stderr, with.stdout, with.stderr)
			}
			var spans, got []string
			for _, h := range w.hops(len(tt.want)) {
				if h.SpanID != "" && !slices.Contains(spans, h.SpanID) {
					spans = append(spans, h.SpanID)
				}
				if len(h.IDs) > 1 {
					h.IDs = []string{fmt.Sprint(len(h.IDs), " IDs")}
				}
				got = append(got, fmt.Sprint(slices.Index(spans, h.SpanID)+1, " ", h.Outcome, " ", hop(h)))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("told\n%s\nwant\n%s\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"), with.stdout)
			}
			for i := range with.received {
				if !bytes.Equal(bare.received[i].Body, with.received[i].Body) {
					t.Errorf("request %d differs", i+1)
				}
			}
		})
	}
}
