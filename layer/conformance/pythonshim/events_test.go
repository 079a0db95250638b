package pythonshim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
)

var uuids = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// outcome is what is told of a call, in short.
func outcome(o stands.Outcome) string {
	ids := []string{}
	for _, e := range o.Entries {
		result := uuids.ReplaceAllString(e.EventID, "uuid") + e.ErrorCode
		if e.SuccessCode != "" && e.SuccessCode != "PUBLISHED" {
			result += "=" + e.SuccessCode
		}
		ids = append(ids, result)
	}
	how := "as it is"
	if o.Stamped {
		how = "stamped"
	}
	if o.Reason != "" {
		how += " (" + o.Reason + ")"
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %d %s %s %d", o.Outcome, how, o.Status, o.Error, strings.Join(ids, ","), o.Attempts)), " ")
}

const (
	mode        = `CONFIG={"retries":{"mode":%q,"max_attempts":3}}`
	handlerList = `STAGES=["provide-client-params.eventbridge.PutEvents","before-parameter-build.eventbridge.PutEvents","before-call.eventbridge.PutEvents","request-created.eventbridge.PutEvents",` +
		`"before-sign.eventbridge.PutEvents","before-send.eventbridge.PutEvents","needs-retry.eventbridge.PutEvents","after-call.eventbridge.PutEvents","after-call"]`
)

// fails is an EventBridge that fails so many requests, then answers.
func fails(n, status int, code string) stands.Bus {
	return stands.Bus{Fail: n, Status: status, Code: code}
}

func answers(status int, reason string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path != "/throughline/v1/events" {
			return false
		}
		if reason != "" {
			w.Header().Set("Throughline-Reason", reason)
		}
		w.WriteHeader(status)
		return true
	}
}

var eventCases = []struct {
	name     string
	sets     []string
	function function
	stamped  int
	told     []string
}{
	{"one entry", both, function{script: "put.py"}, 1, []string{"answered stamped 200 event-1-0 1"}},
	{"twice", both, function{script: "put.py", env: []string{"CALLS=2"}}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"ten entries of 200 KB in all", both, function{script: "put.py", env: []string{"SIZES=[20000,20000,20000,20000,20000,20000,20000,20000,20000,20000]"}}, 1,
		[]string{"answered stamped 200 event-1-0,event-1-1,event-1-2,event-1-3,event-1-4,event-1-5,event-1-6,event-1-7,event-1-8,event-1-9 1"}},
	{"some entries fail", both, function{script: "put.py", env: []string{"SIZES=[1,1]"}, bus: stands.Bus{Partly: true}}, 1, []string{"answered stamped 200 event-1-0,ThrottlingException 1"}},
	{"more than the extension takes", base, function{script: "put.py", env: []string{"SIZES=[2200000]"}}, 0, []string{"answered as it is (size) 200 event-1-0 1"}},
	{"parameters that are not valid", both, function{script: "put.py", env: []string{`ENTRY={"Nonsense":1}`}}, 0, nil},
	{"throttled, legacy", both, function{script: "put.py", env: []string{fmt.Sprintf(mode, "legacy")}, bus: fails(2, 400, "ThrottlingException")}, 3, []string{"answered stamped 200 event-3-0 3"}},
	{"throttled, standard", both, function{script: "put.py", env: []string{fmt.Sprintf(mode, "standard")}, bus: fails(2, 400, "ThrottlingException")}, 3, []string{"answered stamped 200 event-3-0 3"}},
	{"throttled, adaptive", both, function{script: "put.py", env: []string{fmt.Sprintf(mode, "adaptive")}, bus: fails(1, 400, "ThrottlingException")}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"500s, legacy", base, function{script: "put.py", env: []string{fmt.Sprintf(mode, "legacy")}, bus: fails(1, 500, "InternalException")}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"500s, standard", base, function{script: "put.py", env: []string{fmt.Sprintf(mode, "standard")}, bus: fails(1, 500, "InternalException")}, 2, []string{"answered stamped 200 event-2-0 2"}},
	{"500s to the end", base, function{script: "put.py", env: []string{fmt.Sprintf(mode, "standard")}, bus: fails(9, 500, "InternalException")}, 4, []string{"answered stamped 500 InternalException 4"}},
	{"refused", both, function{script: "put.py", bus: fails(9, 400, "AccessDeniedException")}, 1, []string{"answered stamped 400 AccessDeniedException 1"}},
	{"a clock an hour off", both, function{script: "put.py", bus: stands.Bus{Skew: time.Hour}}, 1, []string{"answered stamped 403 InvalidSignatureException 1"}},
	{"nobody at its endpoint", base, function{script: "put.py", env: []string{`CODE={"endpoint_url":"http://127.0.0.1:1"}`, `CONFIG={"retries":{"max_attempts":0}}`}}, 0,
		[]string{"failed stamped 0 EndpointConnectionError 1"}},
	{"SigV4a", base, function{script: "put.py", env: []string{`MORE={"EndpointId":"abcde.veo"}`}}, 1, []string{"answered stamped 200 event-1-0 1"}},
	{"handlers at every stage", both, function{script: "handlers.py"}, 2, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1"}},
	{"handlers that change what is sent", both, function{script: "changing.py"}, 1, []string{"answered stamped 200 event-1-0,event-1-1 1"}},
	{"Stubber", both, function{script: "stubber.py"}, 1, []string{"answered stamped 200 event-1-0 1"}},
	{"moto", base, function{script: "mocked.py"}, 0, []string{"answered stamped 200 uuid 1"}},
	{"sessions", both, function{script: "sessions.py"}, 4, []string{"answered stamped 200 event-1-0 1", "answered stamped 200 event-2-0 1", "answered stamped 200 event-3-0 1", "answered stamped 200 event-5-0 1"}},
	{"other operations", both, function{script: "others.py"}, 0, nil},
	{"no extension", base, function{script: "put.py", env: []string{"CALLS=3"}, gone: true}, 0, nil},
	{"no files", both, function{script: "put.py", alone: true}, 1, []string{"answered stamped 200 event-1-0 1"}},
	{"an extension that hangs", base, function{script: "put.py", env: []string{"CALLS=3"}, answer: hang}, 0, unasked("late")},
	{"one that hangs, no files", base, function{script: "put.py", env: []string{"CALLS=3"}, answer: hang, alone: true}, 0, nil},
	{"an extension that answers rubbish", base, function{script: "put.py", env: []string{"CALLS=3"}, answer: rubbish, waits: "10"}, 0, []string{
		"answered as it is (answer) 200 event-1-0 1", "answered as it is (answer) 200 event-2-0 1", "answered as it is (answer) 200 event-3-0 1"}},
	{"another server at its address", base, function{script: "put.py", env: []string{"CALLS=3"}, answer: other, waits: "10"}, 0, unasked("unreachable")},
	{"another server, no files", base, function{script: "put.py", env: []string{"CALLS=3"}, answer: other, waits: "10", alone: true}, 0, nil},
	{"an extension that is too busy", base, function{script: "put.py", answer: answers(503, ""), waits: "10"}, 0, []string{"answered as it is (busy) 200 event-1-0 1"}},
	{"an answer that is no body", base, function{script: "put.py", answer: answers(200, ""), waits: "10"}, 0, []string{"answered as it is (answer) 200 event-1-0 1"}},
	{"nothing to stamp", base, function{script: "put.py", answer: answers(204, ""), waits: "10"}, 0, []string{"answered as it is 200 event-1-0 1"}},
	{"an extension that refuses", base, function{script: "put.py", answer: answers(422, "loop"), waits: "10"}, 0, []string{"answered as it is (loop) 200 event-1-0 1"}},
	{"aioboto3", []string{"async"}, function{script: "aio.py", sorted: true}, 10, slices.Repeat([]string{"answered stamped 200 event 1"}, 10)},
	{"a cancelled task", []string{"async"}, function{script: "aiocancel.py", bus: stands.Bus{Slow: time.Second}}, 1, []string{"cancelled stamped 0 0"}},
	{"KeyboardInterrupt", base, function{script: "cancelled.py", bus: stands.Bus{Slow: 400 * time.Millisecond}}, 2, []string{"answered stamped 200 event-1-0 1", "cancelled stamped 0 0"}},
}

// unasked is told of three calls of which the first alone asks, and gets no answer for a reason.
func unasked(reason string) []string {
	return []string{"answered as it is (" + reason + ") 200 event-1-0 1", "answered as it is (unreachable) 200 event-2-0 1", "answered as it is (unreachable) 200 event-3-0 1"}
}

// TestEvents: calls of PutEvents come out as without the shim, stamped, and each call is told once.
func TestEvents(t *testing.T) {
	for _, tt := range eventCases {
		for _, set := range tt.sets {
			for version, python := range versions(t, set) {
				t.Run(tt.name+" "+set+" "+version, func(t *testing.T) {
					s := newScene(t)
					f := tt.function
					f.env = append([]string{"HTTPS_PROXY=" + s.outside.Proxy}, f.env...)
					with, about := s.both(t, python, f)
					got := []string{}
					for _, o := range about.outcomes {
						if f.sorted { // which call gets which ID depends on their order
							for i := range o.Entries {
								o.Entries[i].EventID = "event"
							}
						}
						got = append(got, outcome(o))
						if o.End < o.Start || o.Start == 0 {
							t.Errorf("told %+v", o)
						}
						if _, told := s.extension.Unasked()[o.Call]; told != (o.Reason == "unreachable" || o.Reason == "late") {
							t.Errorf("the extension got the body of a call whose reason is %q: %t", o.Reason, told)
						}
					}
					if about.stamped != tt.stamped || !slices.Equal(got, tt.told) && len(got)+len(tt.told) > 0 {
						t.Errorf("%d stamped, want %d; told %q, want %q\n%s", about.stamped, tt.stamped, got, tt.told, with.Stdout)
					}
					for _, r := range with.Received {
						if r.Signed == "no" {
							t.Errorf("a signature does not hold: %+v", r)
						}
					}
				})
			}
		}
	}
}

// TestLateAnswers: an extension whose answer came after all is asked again soon, and one that gave none is not.
func TestLateAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		comes bool
		pause string // before the third call
		third string
	}{
		"the answer comes":                {true, "3", "answered stamped 200 event-3-0 1"},
		"the answer comes, and at once":   {true, "0", "answered as it is (unreachable) 200 event-3-0 1"},
		"the answer does not come at all": {false, "3", "answered as it is (unreachable) 200 event-3-0 1"},
	} {
		for version, python := range newest(versions(t, "base")) {
			t.Run(name+" "+version, func(t *testing.T) {
				var asked atomic.Int32
				answer := func(w http.ResponseWriter, r *http.Request, body []byte) bool {
					if asked.Add(1) > 1 {
						return false
					}
					if !tt.comes {
						return hang(w, r, body)
					}
					time.Sleep(1500 * time.Millisecond)
					return false
				}
				_, about := newScene(t).both(t, python, function{script: "put.py", env: []string{"PAUSES=[0,0," + tt.pause + "]"}, answer: answer, waits: "1"})
				want := []string{"answered as it is (late) 200 event-1-0 1", "answered as it is (unreachable) 200 event-2-0 1", tt.third}
				got := []string{}
				for _, o := range about.outcomes {
					got = append(got, outcome(o))
				}
				if !slices.Equal(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
			})
		}
	}
}

// TestEveryConfiguration: wherever a call goes, it goes there stamped.
func TestEveryConfiguration(t *testing.T) {
	for _, set := range both {
		pythons := versions(t, set)
		newest := slices.MaxFunc(slices.Collect(maps.Keys(pythons)), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		for version, python := range pythons {
			depth := "1"
			switch {
			case os.Getenv("THROUGHLINE_SOAK") != "":
				depth = "6"
			case set == "base" && version == newest:
				depth = "2"
			}
			t.Run(set+" "+version, func(t *testing.T) {
				s := newScene(t)
				with, about := s.both(t, python, function{script: "product.py", env: []string{"DEPTH=" + depth}})
				hosts := map[string]bool{}
				for _, r := range with.Received {
					hosts[r.Host] = true
					if r.Signed != "yes" {
						t.Errorf("a signature does not hold: %+v", r)
					}
				}
				if about.stamped != len(with.Received) || len(about.outcomes) != about.stamped || len(hosts) < 3 {
					t.Errorf("%d of %d stamped, %d told, hosts %v\n%s", about.stamped, len(with.Received), len(about.outcomes), hosts, with.Stdout)
				}
			})
		}
	}
}

// TestHandlersThatRaise: the user sees what the handler raised, and no frame of the shim's.
func TestHandlersThatRaise(t *testing.T) {
	for _, set := range both {
		for version, python := range versions(t, set) {
			t.Run(set+" "+version, func(t *testing.T) {
				s := newScene(t)
				_, about := s.both(t, python, function{script: "raising.py", env: []string{handlerList}})
				for _, o := range about.outcomes {
					// What a handler raises says nothing about the call; after-call comes with the answer.
					if got := outcome(o); !strings.HasPrefix(got, "unknown stamped") && !strings.HasPrefix(got, "answered stamped 200") && !strings.HasPrefix(got, "cancelled as it is") {
						t.Errorf("told %s", got)
					}
				}
				if answered := slices.IndexFunc(about.outcomes, func(o stands.Outcome) bool { return o.Outcome == "answered" }); answered < 0 {
					t.Errorf("told %+v", about.outcomes)
				}
			})
		}
	}
}

// TestSignalsPass: what a signal handler raises while the shim waits is the user's.
func TestSignalsPass(t *testing.T) {
	for _, kind := range []string{"Mine", "TimeoutError", "OSError", "ValueError", "BlockingIOError", "KeyboardInterrupt", "SystemExit"} {
		for version, python := range versions(t, "base") {
			t.Run(kind+" "+version, func(t *testing.T) {
				s := newScene(t)
				with, _ := s.run(t, python, function{script: "interrupted.py", env: []string{"KIND=" + kind}, slow: true}, true)
				if want := kind + " the user's own []\n"; !strings.HasSuffix(with.Stdout, want) {
					t.Errorf("%q, want %q\n%s", with.Stdout, want, with.Stderr)
				}
			})
		}
	}
}

// TestGreenlets: gevent neither sees the shim nor breaks it.
func TestGreenlets(t *testing.T) {
	for version, python := range versions(t, "async") {
		t.Run(version, func(t *testing.T) {
			s := newScene(t)
			_, about := s.both(t, python, function{script: "greenlets.py", sorted: true})
			aborted := 0
			for _, o := range about.outbound {
				if o.Error == "aborted" {
					aborted++
				}
			}
			// boto3's own calls to this host are attempts too.
			if len(about.outbound) != 18 || aborted != 2 || about.stamped != 8 || len(about.outcomes) != 8 {
				t.Errorf("%d attempts, %d aborted, %d stamped, %d told", len(about.outbound), aborted, about.stamped, len(about.outcomes))
			}
		})
	}
}

// TestAlpaca: alpaca-py's own client.
func TestAlpaca(t *testing.T) {
	for version, python := range versions(t, "alpaca") {
		t.Run(version, func(t *testing.T) {
			_, about := newScene(t).both(t, python, function{script: "alpacapy.py"})
			checkAttempts(t, about, []string{"GET /v2/clock 200 0", "GET /v2/account 200 0", "GET /v2/limited 429 0", "GET /v2/limited 429 0"}, 0)
		})
	}
}

// TestTheEventsEndpoint: what goes through it is stamped and counted there, and not by the shim.
func TestTheEventsEndpoint(t *testing.T) {
	for version, python := range versions(t, "base") {
		t.Run(version, func(t *testing.T) {
			s := newScene(t)
			file := filepath.Join(s.dir, "throughline", "endpoints")
			f := function{script: "put.py", env: []string{"AWS_ENDPOINT_URL_EVENTBRIDGE=" + s.outside.API}}
			for mode, want := range map[os.FileMode]int{0o600: 0, 0o666: 1} { // a file that others can write is nobody's
				if err := os.WriteFile(file, []byte("events="+strings.TrimPrefix(s.outside.API, "http://")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(file, mode); err != nil {
					t.Fatal(err)
				}
				if _, about := s.both(t, python, f); about.stamped != want || len(about.outcomes) != want {
					t.Errorf("mode %o: %d stamped, told %+v", mode, about.stamped, about.outcomes)
				}
			}
			if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
				t.Fatal(err)
			}
			if _, about := s.both(t, python, f); about.stamped != 1 {
				t.Errorf("with a FIFO: %d stamped, told %+v", about.stamped, about.outcomes)
			}
		})
	}
}
