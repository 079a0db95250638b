package nodeshim

import (
	"fmt"
	"slices"
	"testing"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// putEventsCases are those of testdata/putevents.cjs: how many requests arrive
// stamped, and the outcomes that are told, with the reason where not stamped.
var putEventsCases = []struct {
	name    string
	stamped int
	told    []string
	since   string // version of Node.js
	some    bool   // what is asked too late goes as it came
}{
	{name: "every size", stamped: 48},
	{name: "mixed pieces", stamped: 1},
	{name: "mixed pieces, no length", stamped: 1},
	{name: "other encodings", stamped: 8},
	{name: "shared memory", stamped: 1},
	{name: "buffers written over", stamped: 2},
	{name: "emit replaced", stamped: 1},
	{name: "emit replaced early", stamped: 1},
	{name: "corked", stamped: 1},
	{name: "pipeline", stamped: 1},
	{name: "destroyed while held", told: []string{"cancelled 0 "}},
	{name: "one socket, the first gives up", stamped: 1, told: []string{"cancelled 0 "}},
	{name: "no agent", stamped: 1},
	{name: "a connection of its own", stamped: 1},
	{name: "a very short timeout", stamped: 1},
	{name: "headers twice", told: []string{"answered 200 headers"}},
	{name: "the end of the process", stamped: 2},
	{name: "a listener for the end", stamped: 1},
	{name: "the shape of a request", stamped: 1},
	{name: "in a worker", stamped: 1},
	{name: "string", stamped: 1},
	{name: "string in another encoding", stamped: 1},
	{name: "buffer", stamped: 1},
	{name: "typed array", stamped: 1},
	{name: "large", stamped: 1},
	{name: "stream", stamped: 1},
	{name: "large stream", stamped: 1},
	{name: "write and end", stamped: 1},
	{name: "writes and end", stamped: 1},
	{name: "write, then more", stamped: 1},
	{name: "no length", stamped: 1},
	{name: "no length, one piece", stamped: 1},
	{name: "callbacks", stamped: 1},
	{name: "end with a callback", stamped: 1},
	{name: "reused buffer", stamped: 1},
	{name: "waits for drain", stamped: 1},
	{name: "waits to drain on a connection that is used again", stamped: 2},
	{name: "write after the end", stamped: 1},
	{name: "unsent bytes", stamped: 1},
	{name: "end twice", stamped: 1},
	{name: "bad arguments", stamped: 1},
	{name: "headers after the end", stamped: 1},
	{name: "listeners", stamped: 1},
	{name: "flushed headers", told: []string{"answered 200 headers"}},
	{name: "too short", told: []string{"cancelled 0 length"}},
	{name: "too long", told: []string{"answered 200 length"}},
	{name: "a strict length", since: "20", stamped: 1}, // before, Node.js finds a fault with every length
	{name: "an empty body", told: []string{"answered 400 length"}},
	{name: "content-encoding", told: []string{"answered 200 content-encoding"}},
	{name: "expect", told: []string{"answered 200 expect"}},
	{name: "header arrays", told: []string{"answered 200 headers"}},
	{name: "unsigned payload", told: []string{"answered 200 unsigned-payload"}},
	{name: "another key", told: []string{"answered 200 key"}},
	{name: "another algorithm", told: []string{"answered 200 algorithm"}},
	{name: "another scope", told: []string{"answered 200 scope"}},
	{name: "a wrong signature", told: []string{"answered 200 signature"}},
	{name: "another operation"},
	{name: "destroyed at once", told: []string{"cancelled 0 "}},
	{name: "aborted at once", told: []string{"cancelled 0 "}},
	{name: "destroyed with an error", told: []string{"failed 0 "}},
	{name: "aborted by signal", told: []string{"cancelled 0 "}},
	{name: "a short timeout", stamped: 1},
	{name: "one socket", stamped: 4},
	{name: "nobody reads", stamped: 2},
	{name: "many", some: true},
	{name: "its own context", stamped: 1},
	{name: "a listener that throws", stamped: 1},
	{name: "a throw after the end", stamped: 1},
	{name: "through fetch"},
	{name: "through undici"},
	{name: "refused", told: []string{"failed 0 "}},
	{name: "replaced timers and clock", stamped: 1},
}

// A PutEvents request is stamped whatever its body is written with, and its
// caller sees nothing of that.
func TestPutEvents(t *testing.T) {
	for _, version := range nodes() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			world := newWorld(t, version)
			world.patient()
			for _, tt := range putEventsCases {
				if version < tt.since {
					continue
				}
				t.Run(tt.name, func(t *testing.T) {
					w := *world
					w.T = t
					p := program{args: []string{"putevents.cjs", tt.name}, env: []string{"THROUGHLINE_HTTP_HOSTS=none"}}
					if tt.some {
						w.extension.Begin(nil)
						with := w.both(p)
						_, outcomes := w.told(0, 100)
						stamped, told := 0, 0
						for _, r := range with.received {
							stamped += bit(isStamped(r.Body))
						}
						for _, o := range outcomes {
							told += bit(o.Stamped)
						}
						if len(with.received) != 100 || stamped != told {
							t.Errorf("%d requests, %d stamped, %d told as stamped", len(with.received), stamped, told)
						}
						return
					}
					want := slices.Sorted(slices.Values(slices.Concat(tt.told, slices.Repeat([]string{"answered 200 stamped"}, tt.stamped))))
					with, outcomes := w.prompt(p, len(want))
					w.checkPut(with, outcomes, tt.stamped, want)
				})
			}
		})
	}
}

// checkPut compares how many requests arrived stamped, and what was told of all.
func (w *world) checkPut(with seen, outcomes []stands.Outcome, stamped int, want []string) {
	w.Helper()
	got := 0
	for _, r := range with.received {
		if isStamped(r.Body) {
			if got++; r.Signed != "yes" {
				w.Errorf("the signature of a stamped request: %q", r.Signed)
			}
		}
	}
	if got != stamped {
		w.Errorf("%d requests are stamped, want %d", got, stamped)
	}
	var told []string
	for _, o := range outcomes {
		how := o.Reason
		if o.Stamped {
			how = "stamped" + how
		}
		told = append(told, fmt.Sprintf("%s %d %s", o.Outcome, o.Status, how))
		if o.Outcome == "answered" && o.Status == 200 && (len(o.Entries) != 1 || o.Entries[0].EventID == "") || o.End < o.Start || o.Start == 0 {
			w.Errorf("told %+v", o)
		}
	}
	slices.Sort(told)
	if !slices.Equal(told, want) {
		w.Errorf("told %q, want %q", told, want)
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
