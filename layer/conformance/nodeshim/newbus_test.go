package nodeshim

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

// newBusCase is one way to put events on a new custom bus through the SDK, an
// event of each operation, and what the calls meet.
type newBusCase struct {
	how      string
	env      []string
	bus      stands.Bus
	requests int // that arrive
	stamped  int
	reason   string // why others are not
}

var newBusCases = []newBusCase{
	{how: "as it comes", requests: 2, stamped: 2},
	{how: "two entries", requests: 2, stamped: 2},
	{how: "a hundred", requests: 2, stamped: 2},
	{how: "large", requests: 2, stamped: 2},
	{how: "deduplicated", requests: 2, stamped: 2},
	{how: "FIPS in code", requests: 2, stamped: 2},
	{how: "endpoint by variable", env: []string{"AWS_ENDPOINT_URL_EVENTBRIDGEV2=$API"}, requests: 2, stamped: 2},
	{how: "another region", requests: 2, stamped: 2},
	{how: "another key", requests: 2, reason: "key"},
	{how: "proxy in code", requests: 2, stamped: 2},
	{how: "a short timeout", requests: 2, stamped: 2},
	{how: "one socket", env: []string{"MORE=5"}, requests: 7, stamped: 7},
	{how: "clock", bus: stands.Bus{Skew: time.Hour}, requests: 3, stamped: 3},
	{how: "throttled", bus: stands.Bus{Fail: 2, Code: "ThrottlingException", Status: 429}, requests: 4, stamped: 4},
	{how: "failing", bus: stands.Bus{Fail: 1, Code: "InternalException", Status: 500}, requests: 3, stamped: 3},
	{how: "refused", env: []string{"ONE=1"}, bus: stands.Bus{Fail: 9, Code: "AccessDeniedException", Status: 403}, requests: 1, stamped: 1},
	{how: "failing in part", env: []string{"HOW=two entries"}, bus: stands.Bus{Partly: true}, requests: 2, stamped: 2},
	{how: "another operation", requests: 1},
}

// The newest packages alone have the protocol of the new buses.
func newBusWorld(t *testing.T) *world {
	versions := nodes()
	return newWorld(t, versions[len(versions)-1])
}

func (w *world) newBus(how string, env ...string) program {
	expand := strings.NewReplacer("$API", w.outside.API)
	all := []string{"HOW=" + how, "THROUGHLINE_HTTP_HOSTS=none"}
	for _, setting := range env {
		all = append(all, expand.Replace(setting))
	}
	return program{args: []string{"--require", "./led.cjs", "newbus.cjs"}, env: all}
}

// AWS's SDK puts events on a new bus with the shim as without it.
func TestNewBus(t *testing.T) {
	world := newBusWorld(t)
	world.patient()
	for _, tt := range newBusCases {
		t.Run(tt.how, func(t *testing.T) {
			w := *world
			w.T = t
			p := w.newBus(tt.how, tt.env...)
			p.bus = tt.bus
			told := tt.requests
			if tt.how == "another operation" {
				told = 0
			}
			with, outcomes := w.prompt(p, told)
			if len(with.received) != tt.requests {
				t.Errorf("%d requests arrived, want %d\n%s%s", len(with.received), tt.requests, with.stdout, with.stderr)
			}
			stamped := 0
			for i, r := range with.received {
				if isStamped(r.Body) {
					stamped++
				}
				if r.Signed != "yes" || !r.NewBus() {
					t.Errorf("%s: signed %q", r.URI, r.Signed)
				}
				if i < len(outcomes) && (outcomes[i].Outcome != "answered" || outcomes[i].Stamped != isStamped(r.Body) || outcomes[i].Reason != tt.reason || len(outcomes[i].Answer) == 0 || len(outcomes[i].Entries) > 0) {
					t.Errorf("told %+v", outcomes[i])
				}
			}
			if stamped != tt.stamped {
				t.Errorf("%d of %d requests are stamped, want %d", stamped, len(with.received), tt.stamped)
			}
		})
	}
}

// recorded are the bytes of a request that the tests of the splicing have.
func recorded(t *testing.T, operation string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../extension/internal/putevents/testdata/golden", operation+".js.hex"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// What the SDK writes is what is recorded, and what arrives with the shim is that
// plus the stamp.
func TestRecordedBytes(t *testing.T) {
	w := newBusWorld(t)
	w.patient()
	with, _ := w.prompt(w.newBus("golden"), 2)
	for i, operation := range []string{"PutEvents", "PutRawEvents"} {
		body, stamped := stands.Unstamp(with.received[i].Body)
		if want := recorded(t, operation); !stamped || hex.EncodeToString(body) != want {
			t.Errorf("stamped %t\n%x\n%s", stamped, body, want)
		}
	}
}

// rpcCases are those of testdata/rpc.cjs: whether the request arrives stamped, and
// what is told else.
var rpcCases = []struct {
	name string
	told string // empty: the request is stamped; "-": nothing is told
}{
	{name: "buffer"}, {name: "typed array"}, {name: "a text of bytes"}, {name: "hexadecimal"}, {name: "pieces"}, {name: "large"}, {name: "large, in pieces"}, {name: "stream"}, {name: "no length"}, {name: "reused buffer"},
	{"gzip", "answered 400 content-encoding"},
	{"aws-chunked", "answered 400 content-encoding"},
	{"a streaming payload", "answered 200 unsigned-payload"},
	{"trailer", "answered 200 trailer"},
	{"unsigned payload", "answered 200 unsigned-payload"},
	{"another key", "answered 200 key"},
	{"another algorithm", "answered 200 algorithm"},
	{"another scope", "answered 200 scope"},
	{"a wrong signature", "answered 200 signature"},
	{"a clock that is off", "answered 403 stamped"},
	{"another operation", "-"},
	{"another service", "-"},
	{"another protocol", "-"},
	{"another method", "-"},
	{"too long", "answered 200 length"},
	{"destroyed while held", "cancelled 0 "},
}

// A request to a new bus is stamped whatever its body is written with.
func TestRPC(t *testing.T) {
	for _, version := range nodes() {
		for _, operation := range []string{"PutEvents", "PutRawEvents"} {
			t.Run(version+" "+operation, func(t *testing.T) {
				t.Parallel()
				world := newWorld(t, version)
				world.patient()
				for _, tt := range rpcCases {
					t.Run(tt.name, func(t *testing.T) {
						w := *world
						w.T = t
						want := []string{tt.told}
						switch tt.told {
						case "":
							want = []string{"answered 200 stamped"}
						case "-":
							want = nil
						}
						with, outcomes := w.prompt(program{args: []string{"rpc.cjs", tt.name}, env: []string{"THROUGHLINE_HTTP_HOSTS=none", "OPERATION=" + operation, "BODY=" + recorded(t, operation)}}, len(want))
						stamped := 0
						for _, r := range with.received {
							if isStamped(r.Body) {
								stamped++
								if r.Signed != "yes" {
									t.Errorf("the signature of a stamped request: %q", r.Signed)
								}
							}
						}
						var told []string
						for _, o := range outcomes {
							how := o.Reason
							if o.Stamped {
								how = "stamped" + how
							}
							told = append(told, fmt.Sprintf("%s %d %s", o.Outcome, o.Status, how))
						}
						if !slices.Equal(told, want) || stamped != strings.Count(strings.Join(want, " "), "stamped") {
							t.Errorf("%d stamped, told %q, want %q", stamped, told, want)
						}
					})
				}
			})
		}
	}
}

// A call is made as without the shim where the extension does not answer as it
// should. What it publishes is not put into the pipe: it is no text.
func TestNewBusWhereTheExtensionFails(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, []byte) bool
		env    []string
		reason string
	}{
		"gone": {env: []string{"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1"}},
		"hung": {answer: func(_ http.ResponseWriter, r *http.Request, _ []byte) bool { <-r.Context().Done(); return true }},
		"killed": {reason: "unreachable", answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"headers":`))
			panic(http.ErrAbortHandler)
		}},
		"busy": {reason: "answer", answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool { w.WriteHeader(503); return true }},
		"a text": {reason: "answer", answer: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			_, _ = w.Write([]byte{0xa1, '\n'})
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBusWorld(t)
			if name != "hung" {
				w.patient()
			}
			p := w.newBus("large", append([]string{"MORE=3"}, tt.env...)...)
			w.extension.Begin(nil)
			without := w.run(false, p)
			w.extension.Begin(tt.answer)
			with := w.run(true, p)
			w.compare(with, without)
			for _, r := range with.received {
				if isStamped(r.Body) || r.Signed != "yes" {
					t.Errorf("stamped %t, signed %q", isStamped(r.Body), r.Signed)
				}
			}
			if len(with.received) != 5 || len(w.extension.Unasked()) != 0 {
				t.Errorf("%d requests; in the pipe %q", len(with.received), w.extension.Unasked())
			}
			outcomes := 0
			if name != "gone" {
				outcomes = 5
			}
			for _, o := range w.outcomes(outcomes) {
				if o.Stamped || tt.reason != "" && o.Reason != tt.reason && o.Reason != "unreachable" {
					t.Errorf("told %+v", o)
				}
			}
		})
	}
}

// Where a new bus refuses a request that was stamped, for its signature and not for
// the clock, the process stamps no more and says so once.
func TestNewBusRefusesTheSignature(t *testing.T) {
	w := newBusWorld(t)
	w.patient()
	w.extension.Begin(nil)
	p := w.newBus("as it comes", "MORE=3")
	p.bus = stands.Bus{Fail: 1, Code: "InvalidSignatureException", Status: 403}
	with := w.run(true, p)
	stamped := 0
	for _, r := range with.received {
		stamped += bit(isStamped(r.Body))
	}
	if stamped != 1 || len(with.received) < 5 || strings.Count(with.stderr, "throughline: node: events are not stamped any more") != 1 {
		t.Errorf("%d of %d requests are stamped\n%s", stamped, len(with.received), with.stderr)
	}
}

// Whatever a bus answers, the caller sees it as without the shim, and each attempt
// is told once.
func TestHostileAnswers(t *testing.T) {
	entries := []byte{0xa1, 0x67, 'E', 'n', 't', 'r', 'i', 'e', 's'}
	crowd := make(cbor.List, 5000)
	for i := range crowd {
		crowd[i] = cbor.Map{"ErrorCode": cbor.String(strings.Repeat("\U0001f600", 64))}
	}
	world := newBusWorld(t)
	world.patient()
	for name, answer := range map[string][]byte{
		"nothing": {}, "cut off": append(slices.Clone(entries), 0x81, 0xa1, 0x67, 'E'), "a giant list": append(slices.Clone(entries), 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "no end": {0xbf, 0x9f, 0x7f},
		"deep": append(slices.Clone(entries), slices.Repeat([]byte{0x81}, 50_000)...), "no map": {0x83, 1, 2, 3}, "a crowd": cbor.Encode(cbor.Map{"Entries": crowd}), "JSON": []byte(`{"Entries":[{"EventId":"e"}]}`),
		"entries that are no maps": cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Uint(1), &cbor.Nil{}}}), "200 KB": cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.String(strings.Repeat("x", 200_000))}}}),
		"40 KB": cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.String(strings.Repeat("x", 40_000))}}}),
	} {
		t.Run(name, func(t *testing.T) {
			w := *world
			w.T = t
			p := w.newBus("as it comes", "ONE=1")
			p.bus = stands.Bus{Answer: answer}
			w.extension.Begin(nil)
			bare := w.bare(p)
			w.extension.Begin(nil)
			with := w.run(true, p)
			w.compare(with, bare)
			_, outcomes := w.told(0, len(with.received))
			for _, o := range outcomes {
				if o.Outcome != "answered" || o.Status != 200 || !o.Stamped || len(o.Answer) > 32<<10 {
					t.Errorf("told %+v", o)
				}
			}
		})
	}
}
