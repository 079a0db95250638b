package pythonshim

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/peertest"
)

// newBusCase is calls on a new custom bus, and what is told of them.
type newBusCase struct {
	name     string
	sets     []string
	function function
	stamped  int // requests
	told     []string
}

// olderToo are cases that older Pythons run too.
var olderToo = []string{"both operations", "throttled", "some entries fail"}

const allPuts = `PUTS=["put_events","put_raw_events"]`

// many are n results of a request of that number, one of two with a code.
func many(request, n int, code string) string {
	var all []string
	for i := range n {
		result := fmt.Sprintf("event-%d-%d", request, i)
		if i%2 == 1 && code != "" {
			result = code
		}
		all = append(all, result)
	}
	return strings.Join(all, ",")
}

var newBusCases = []newBusCase{
	{"both operations", base, function{env: []string{allPuts}}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"two entries", base, function{env: []string{allPuts, "ENTRIES=2"}}, 2, []string{"answered stamped 200 event-1-0,event-1-1 1", "answered stamped 200 event-2-0,event-2-1 1"}},
	{"a hundred entries", base, function{env: []string{allPuts, "ENTRIES=100"}}, 2, []string{"answered stamped 200 " + many(1, 100, "") + " 1", "answered stamped 200 " + many(2, 100, "") + " 1"}},
	{"200 KB", base, function{env: []string{allPuts, "SIZE=200000"}}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"more than the extension takes", base, function{env: []string{"SIZE=2200000"}}, 0, []string{"answered as it is (size) 200 event-1-0 1"}},
	{"ordered, and deduplicated by ID", base, function{env: []string{allPuts, "ENTRIES=2", `SYSTEM={"EventGroupId":"c-7","DeduplicationId":"d-1"}`}}, 2,
		[]string{"answered stamped 200 event-1-0,event-1-1=DEDUPLICATED 1", "answered stamped 200 event-2-0,event-2-1=DEDUPLICATED 1"}},
	{"some entries fail", base, function{env: []string{"ENTRIES=3"}, bus: stands.Bus{Partly: true}}, 1, []string{"answered stamped 200 event-1-0,VALIDATION_ERROR,event-1-2 1"}},
	{"a hundred, half of them fail", base, function{env: []string{"ENTRIES=100"}, bus: stands.Bus{Partly: true}}, 1, []string{"answered stamped 200 " + many(1, 100, "VALIDATION_ERROR") + " 1"}},
	{"throttled", base, function{env: []string{allPuts}, bus: fails(2, 429, "ThrottlingException")}, 4, []string{"answered stamped 200 event-3-0 3", "answered stamped 200 event-4-0 1"}},
	{"throttled, adaptive", base, function{env: []string{fmt.Sprintf(mode, "adaptive")}, bus: fails(1, 429, "ThrottlingException")}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"500s", base, function{bus: fails(1, 500, "InternalException")}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"500s to the end", base, function{bus: fails(9, 500, "InternalException")}, 4, []string{"answered stamped 500 InternalException 4"}},
	{"refused", base, function{bus: fails(9, 403, "AccessDeniedException")}, 1, []string{"answered stamped 403 AccessDeniedException 1"}},
	{"a bus that is not there", base, function{bus: fails(9, 404, "ResourceNotFoundException")}, 1, []string{"answered stamped 404 ResourceNotFoundException 1"}},
	{"a connection that ends", base, function{bus: stands.Bus{Drop: 1}}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"a clock an hour off", base, function{bus: stands.Bus{Skew: time.Hour}}, 1, []string{"answered stamped 403 InvalidSignatureException 1"}},
	{"another key", base, function{env: []string{`CODE={"aws_access_key_id":"AKIDOTHER","aws_secret_access_key":"x","aws_session_token":"y"}`}}, 1, []string{"answered stamped 200 event-1-0 1"}},
	{"parameters that are not valid", base, function{env: []string{`MORE={"Nonsense":1}`}}, 0, nil},
	{"other operations", base, function{env: []string{"PUTS=[]", "OTHERS=1"}}, 0, nil},
	{"a body that is compressed", base, function{env: []string{"HANDLER=zipped"}}, 0, []string{"answered as it is (content-encoding) 400 SerializationException 1"}},
	{"a body that is a file", base, function{env: []string{"HANDLER=streamed"}}, 0, []string{"answered as it is (body) 200 event-1-0 1"}},
	{"another protocol", base, function{env: []string{"HANDLER=spelt"}}, 0, nil},
	{"no extension", base, function{env: []string{allPuts}, gone: true}, 0, nil},
	{"no files", base, function{env: []string{allPuts}, alone: true}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"an extension that hangs", base, function{env: []string{allPuts}, answer: hang}, 0, []string{"answered as it is (late) 200 event-1-0 1", "answered as it is (unreachable) 200 event-2-0 1"}},
	{"an extension that answers rubbish", base, function{env: []string{allPuts}, answer: rubbish, waits: "10"}, 0, []string{"answered as it is (answer) 200 event-1-0 1", "answered as it is (answer) 200 event-2-0 1"}},
	{"an answer in JSON", base, function{answer: inJSON, waits: "10"}, 0, []string{"answered as it is (answer) 200 event-1-0 1"}},
	{"another server at its address", base, function{answer: other, waits: "10"}, 0, []string{"answered as it is (unreachable) 200 event-1-0 1"}},
	{"an extension that is killed", base, function{answer: killed, waits: "10"}, 0, []string{"answered as it is (unreachable) 200 event-1-0 1"}},
	{"an extension that is too busy", base, function{answer: answers(503, ""), waits: "10"}, 0, []string{"answered as it is (busy) 200 event-1-0 1"}},
	{"nothing to stamp", base, function{answer: answers(204, ""), waits: "10"}, 0, []string{"answered as it is 200 event-1-0 1"}},
	{"an extension that refuses", base, function{answer: answers(422, "entries"), waits: "10"}, 0, []string{"answered as it is (entries) 200 event-1-0 1"}},
	{"aioboto3", []string{"async"}, function{env: []string{allPuts, "AIO=1"}}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"a boto3 that does not know the service", []string{"old"}, function{env: []string{allPuts}}, 0, nil},
}

func inJSON(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	if !strings.HasSuffix(r.URL.Path, "/events") {
		return false
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = w.Write([]byte("{}"))
	return true
}

func killed(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	if !strings.HasSuffix(r.URL.Path, "/events") {
		return false
	}
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte{0xa1})
	panic(http.ErrAbortHandler)
}

// knowing are the Pythons that make calls to the new buses, with what they need for
// it: the newest, whose boto3 knows the service, and where asked for older ones, of
// which botocore is told of it.
func knowing(t *testing.T, set string, older bool) map[string]function {
	t.Helper()
	functions := map[string]function{}
	pythons := versions(t, set)
	if set == "base" && !older {
		pythons = newest(pythons)
	}
	for version, python := range pythons {
		f := function{python: python, script: "newbus.py"}
		old := version == "3.8" || version == "3.9"
		switch {
		case set == "async" && old: // its botocore does not know the protocol
			continue
		case set == "async", set == "base" && old:
			f.env = []string{"AWS_DATA_PATH=" + peertest.BotocoreModels(t)}
		}
		functions[version] = f
	}
	return functions
}

// TestNewBus: PutEvents and PutRawEvents on a new custom bus come out as without the
// shim, stamped, and each call is told once.
func TestNewBus(t *testing.T) {
	for _, tt := range newBusCases {
		for _, set := range tt.sets {
			for version, k := range knowing(t, set, slices.Contains(olderToo, tt.name) || os.Getenv("THROUGHLINE_SOAK") != "") {
				t.Run(tt.name+" "+set+" "+version, func(t *testing.T) {
					s := newScene(t)
					f := tt.function
					f.script, f.env = k.script, slices.Concat(k.env, f.env)
					with, about := s.both(t, k.python, f)
					got := []string{}
					for _, o := range about.outcomes {
						got = append(got, outcome(o))
						if o.End < o.Start || o.Start == 0 || len(o.Answer) > 0 {
							t.Errorf("told %+v", o)
						}
					}
					if about.stamped != tt.stamped || !slices.Equal(got, tt.told) && len(got)+len(tt.told) > 0 || len(s.extension.Unasked()) > 0 {
						t.Errorf("%d stamped, want %d; told %q, want %q; in the pipe %q\n%s", about.stamped, tt.stamped, got, tt.told, s.extension.Unasked(), with.Stdout)
					}
					for _, r := range with.Received {
						if r.Signed == "no" || r.Scheme != "https" || !strings.HasSuffix(r.Host, "eventsv2.us-east-1.amazonaws.com") && set != "old" {
							t.Errorf("a signature does not hold, or it went elsewhere: %s %s %s", r.Signed, r.Scheme, r.Host)
						}
					}
				})
			}
		}
	}
}

// TestRecordedBytes: what boto3 writes is what the tests of the splicing have, and
// what arrives with the shim is that plus the stamp.
func TestRecordedBytes(t *testing.T) {
	for version, k := range knowing(t, "base", true) {
		t.Run(version, func(t *testing.T) {
			f := k
			f.env = append(f.env, allPuts, "HOW=recorded")
			with, about := newScene(t).both(t, k.python, f)
			if about.stamped != 2 || len(with.Received) != 2 {
				t.Fatalf("%d stamped of %d\n%s%s", about.stamped, len(with.Received), with.Stdout, with.Stderr)
			}
			for i, operation := range []string{"PutEvents", "PutRawEvents"} {
				text, err := os.ReadFile("../../../extension/internal/putevents/testdata/golden/" + operation + ".boto3.hex")
				if err != nil {
					t.Fatal(err)
				}
				if got, want := hex.EncodeToString([]byte(with.Received[i].Body)), strings.TrimSpace(string(text)); got != want {
					t.Errorf("%s\n%s", got, want)
				}
			}
		})
	}
}

// hostile are answers of a new bus that no bus gives.
func hostile() map[string][]byte {
	whole := cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.String("event-1-0")}}})
	long := cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.String(strings.Repeat("\U0001f600", 200_000)), "ErrorCode": cbor.String(strings.Repeat("é", 5000))}}})
	crowd := make(cbor.List, 5000)
	for i := range crowd {
		crowd[i] = cbor.Map{"ErrorCode": cbor.String(strings.Repeat("\U0001f600", 64)), "EventId": cbor.String(strings.Repeat("\U0001f600", 64))}
	}
	return map[string][]byte{
		"nothing": {}, "cut off": whole[:len(whole)-3], "a giant text": {0xa1, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "a giant list": {0xa1, 0x67, 'E', 'n', 't', 'r', 'i', 'e', 's', 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"no end": {0xbf, 0x67, 'E', 'n', 't', 'r', 'i', 'e', 's', 0x9f}, "deep": append([]byte{0xa1, 0x67, 'E', 'n', 't', 'r', 'i', 'e', 's'}, slices.Repeat([]byte{0x81}, 50_000)...),
		"no map": {0x83, 1, 2, 3}, "entries that are no maps": cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Uint(1), cbor.String("x"), &cbor.Nil{}}}), "entries that are no list": cbor.Encode(cbor.Map{"Entries": cbor.Uint(7)}),
		"long texts": long, "a crowd": cbor.Encode(cbor.Map{"Entries": crowd}), "JSON": []byte(`{"Entries":[{"EventId":"e"}]}`), "an ID that is bytes": cbor.Encode(cbor.Map{"Entries": cbor.List{cbor.Map{"EventId": cbor.Slice("\xff\xfe")}}}),
	}
}

// TestHostileAnswers: whatever a bus answers, the caller sees it as without the shim,
// and the call is told once.
func TestHostileAnswers(t *testing.T) {
	for name, answer := range hostile() {
		for version, k := range knowing(t, "base", false) {
			t.Run(name+" "+version, func(t *testing.T) {
				s := newScene(t)
				f := k
				f.bus = stands.Bus{Answer: answer}
				with, about := s.both(t, k.python, f)
				if about.stamped == 0 || len(about.outcomes) != 1 || with.Exit != 0 {
					t.Errorf("%d stamped, told %+v\n%s%s", about.stamped, about.outcomes, with.Stdout, with.Stderr)
				}
			})
		}
	}
}
