package runtimes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/layer/conformance/internal/stands"
	"github.com/throughline/throughline/local/lambdalocal"
)

// play is one way to run a function in a local Lambda.
type play struct {
	tasks   []string // nil: the usual ones
	env     map[string]string
	layered map[string]string // variables that come with the layer; "" unsets one
	wrapper string            // in front of the layer's; it execs its arguments
	bus     stands.Bus
	timeout time.Duration
	hasty   bool                        // the shims wait no longer than they should
	during  func(extension *os.Process) // while the second invocation runs
}

// patient is the wrapper of a layer whose shims wait for the extension for longer
// than a function may: on a busy machine an answer takes its time.
func patient(t *testing.T) (wrapper string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../throughline")); err != nil {
		t.Fatal(err)
	}
	stands.Patient(t, dir)
	wrapper = filepath.Join(dir, "wrapper")
	if err := os.Chmod(wrapper, 0o755); err != nil {
		t.Fatal(err)
	}
	return wrapper
}

// seen is what can be seen of it from outside.
type seen struct {
	callers []string // what the callers see
	events  []string // what EventBridge sees, in any order
	said    []string // what the function itself logs
}

// counted are a run's metrics and stamps.
type counted struct {
	stamped           int
	published, failed float64
	log               string
}

// run plays without or with the layer.
func (p play) run(t *testing.T, c client, attached bool) (seen, counted) {
	t.Helper()
	outside := stands.NewOutside(t)
	outside.Begin(p.bus)
	var mu sync.Mutex
	var s seen
	var n counted
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		n.log += fmt.Sprintf("%.300s\n", l.Source+" "+l.Text)
		if l.Source == "function" && !strings.HasPrefix(l.Text, "throughline: wrapper: ") {
			s.said = append(s.said, fmt.Sprintf("%.4000s", uuids.ReplaceAllString(strings.ReplaceAll(l.Text, "\r", "\n"), "…")))
		}
		n.add(l.Text)
	}})
	command, env := c.in(c.task, c.lang, c.libraries)
	maps.Copy(env, map[string]string{
		"API": outside.API, "AWS_ENDPOINT_URL_EVENTBRIDGE": outside.API, "AWS_EC2_METADATA_DISABLED": "true", "PATH": os.Getenv("PATH"), "HOME": t.TempDir(),
	})
	maps.Copy(env, p.env)
	pid := filepath.Join(t.TempDir(), "pid")
	f := lambdalocal.Function{
		Name: "function", Handler: c.handler, Runtime: command, TaskRoot: c.task, ExecutionEnv: c.executionEnv, Env: env, Memory: 512, MaxEnvironments: 1,
		Timeout: 2 * time.Minute, InitTimeout: 2 * time.Minute, Credentials: lambdalocal.Credentials{AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"},
		Wrapper: p.wrapper, // where nothing is attached
	}
	if p.timeout > 0 {
		f.Timeout = p.timeout
	}
	if attached {
		entry := filepath.Join(t.TempDir(), "throughline-extension") // tells its process ID
		put(t, []byte("#!/bin/sh\necho $$ >'"+pid+"'\nexec '"+extensionBinary(t)+"'\n"), entry)
		f.Extensions = []string{entry}
		f.Wrapper = root(t, "layer", "throughline", "wrapper")
		if !p.hasty {
			f.Wrapper = patient(t)
		}
		if p.wrapper != "" {
			f.Wrapper, env["NEXT"] = p.wrapper, f.Wrapper
		}
		env["THROUGHLINE_ENDPOINTS"], env["THROUGHLINE_OTLP_ADDR"] = "otlp,runtime", "127.0.0.1:0"
		env["THROUGHLINE_HTTP_HOSTS"], env["THROUGHLINE_LOG"] = "127.0.0.1", "info"
		maps.Copy(env, p.layered)
		maps.DeleteFunc(env, func(_, value string) bool { return value == "" })
	}
	number := 0
	var meddling sync.WaitGroup
	f.Hook = func(e lambdalocal.Event) {
		if e.Point != lambdalocal.InvokeSent || !attached || p.during == nil {
			return
		}
		if number++; number == 2 {
			text, err := os.ReadFile(pid)
			id, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
			process, absent := os.FindProcess(id)
			if err := errors.Join(err, wrong, absent); err != nil {
				t.Error(err)
				return
			}
			meddling.Go(func() { p.during(process) })
		}
	}
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	todo := p.tasks
	if todo == nil {
		todo = tasks
	}
	for _, task := range todo {
		result, err := d.Invoke(t.Context(), []byte(task), lambdalocal.InvokeOptions{Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		s.callers = append(s.callers, uuids.ReplaceAllString(result.FunctionError+" "+result.ErrorType+" "+string(result.Payload), "…"))
	}
	meddling.Wait()
	if err := errors.Join(svc.Wait(t.Context()), svc.Close()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	s.events, n.stamped = published(outside)
	return s, n
}

// add adds what a metric line says of events.
func (n *counted) add(line string) {
	var doc map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &doc) != nil || doc["_aws"] == nil {
		return
	}
	sum := func(name string) (total float64) {
		switch v := doc[name].(type) {
		case float64:
			return v
		case []any:
			for _, one := range v {
				if f, ok := one.(float64); ok {
					total += f
				}
			}
		}
		return total
	}
	if doc["EventType"] == nil {
		n.published += sum("EventsPublished")
		n.failed += sum("EventsFailed")
	}
}

// both plays without the layer and with it, compares, and returns what was counted.
func (p play) both(t *testing.T, c client) counted {
	t.Helper()
	want, _ := p.run(t, c, false)
	got, n := p.run(t, c, true)
	for what, both := range map[string][2][]string{"callers": {got.callers, want.callers}, "EventBridge": {got.events, want.events}, "the log": {got.said, want.said}} {
		if !slices.Equal(both[0], both[1]) {
			t.Errorf("%s, with the layer\n%s\nwithout\n%s", what, shorten(both[0]), shorten(both[1]))
		}
	}
	if t.Failed() {
		t.Logf("%.6000s", n.log)
	}
	return n
}

// every are the runtime clients that the cases below run on.
func every(t *testing.T) []client {
	t.Helper()
	oldest, newest := pythonClients(t)
	return []client{oldest, newest, javaClient(t)}
}

// TestOnLambda: a function on AWS's own client answers, publishes, fails, logs
// and ends as without the layer.
func TestOnLambda(t *testing.T) {
	for _, c := range every(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := play{tasks: append(slices.Clone(tasks), `{"do":"exit","id":"x"}`, `{"do":"publish","id":"y"}`)}
			if strings.HasPrefix(c.name, "Python") {
				p.tasks = append(p.tasks, `{"do":"object","id":"o"}`, `no JSON`)
			}
			n := p.both(t, c)
			if c.stamps && (n.stamped != 3 || n.published != 3 || n.failed != 0) {
				t.Errorf("%d stamped, %v counted, %v failed\n%.4000s", n.stamped, n.published, n.failed, n.log)
			}
		})
	}
}

// TestTimesOut: an invocation that times out does so as without the layer, and
// those after it work.
func TestTimesOut(t *testing.T) {
	_, newest := pythonClients(t)
	for _, c := range []client{newest, javaClient(t)} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// The environment starts anew within an invocation, which has to fit on a busy machine.
			play{tasks: []string{`{"do":"publish","id":"a"}`, `{"do":"sleep","id":"b"}`, `{"do":"publish","id":"c"}`}, timeout: 20 * time.Second}.both(t, c)
		})
	}
}

// TestTakenPorts: the ports that the settings name are another program's.
func TestTakenPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, c := pythonClients(t)
	for _, name := range []string{"RUNTIME", "OTLP", "EVENTS"} {
		t.Run(name, func(t *testing.T) {
			n := play{tasks: tasks[:2], layered: map[string]string{"THROUGHLINE_" + name + "_ADDR": taken.Addr().String(), "THROUGHLINE_ENDPOINTS": "otlp,events,runtime"}}.both(t, c)
			if want := 1 - strings.Count(name, "RUNTIME"); n.stamped != want {
				t.Errorf("%d stamped", n.stamped)
			}
		})
	}
}

// TestRetries: a call that succeeds in the end counts as published and not as
// failed, however boto3 retries.
func TestRetries(t *testing.T) {
	oldest, newest := pythonClients(t)
	for name, tt := range map[string]struct {
		client client
		mode   string
		status int
		code   string
	}{
		"legacy":            {newest, "legacy", 400, "ThrottlingException"},
		"standard":          {newest, "standard", 500, "InternalException"},
		"adaptive":          {newest, "adaptive", 400, "ThrottlingException"},
		"the oldest legacy": {oldest, "legacy", 500, "InternalException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := play{
				tasks: []string{`{"do":"publish","id":"a"}`, `{"do":"publish","id":"b"}`}, env: map[string]string{"RETRIES": tt.mode},
				bus: stands.Bus{Fail: 1, Status: tt.status, Code: tt.code},
			}.both(t, tt.client)
			if n.published != 2 || n.failed != 0 || n.stamped != 3 {
				t.Errorf("%v published, %v failed, %d requests stamped\n%.4000s", n.published, n.failed, n.stamped, n.log)
			}
		})
	}
}

// script is a wrapper of the user's.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users-wrapper")
	put(t, []byte("#!/bin/sh\n"+text+"\n"), path)
	return path
}

// TestJavaBehindAnotherWrapper: it starts once, with its command line as it was.
func TestJavaBehindAnotherWrapper(t *testing.T) {
	t.Parallel()
	c := javaClient(t)
	before := play{wrapper: script(t, `exec $NEXT "$@"`), tasks: []string{`{"do":"publish","id":"a"}`, `{"do":"exit","id":"b"}`}}
	before.both(t, c)
	after := play{tasks: before.tasks, layered: map[string]string{"THROUGHLINE_NEXT_WRAPPER": script(t, `exec "$@"`)}}
	after.both(t, c)
	comesBack := play{tasks: before.tasks, layered: map[string]string{"THROUGHLINE_NEXT_WRAPPER": script(t, `exec '`+patient(t)+`' "$@"`)}}
	comesBack.both(t, c)
}

// TestJavaThroughTheEventsEndpoint: where it is named, Java's SDK publishes
// through it as it would without.
func TestJavaThroughTheEventsEndpoint(t *testing.T) {
	for name, tt := range map[string]struct {
		bus       stands.Bus
		published float64
	}{
		"as it comes": {stands.Bus{}, 2},
		"500s":        {stands.Bus{Fail: 2, Status: 500, Code: "InternalException"}, 2},
		"refused":     {stands.Bus{Fail: 99, Status: 400, Code: "AccessDeniedException"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := stands.NewOutside(t)
			gateway.Begin(tt.bus)
			p := play{
				tasks: []string{`{"do":"publish","id":"a"}`, `{"do":"publish","id":"b"}`}, env: map[string]string{"AWS_ENDPOINT_URL_EVENTBRIDGE": gateway.API},
				layered: map[string]string{"THROUGHLINE_ENDPOINTS": "otlp,events,runtime", "THROUGHLINE_EVENTS_UPSTREAM": gateway.API, "AWS_ENDPOINT_URL_EVENTBRIDGE": ""},
			}
			c := javaClient(t)
			want, _ := p.run(t, c, false)
			wanted, _ := published(gateway)
			gateway.Begin(tt.bus)
			got, n := p.run(t, c, true)
			events, stamped := published(gateway)
			if !slices.Equal(got.callers, want.callers) || !slices.Equal(events, wanted) {
				t.Errorf("with the endpoint\n%s%s\nwithout\n%s%s", shorten(got.callers), shorten(events), shorten(want.callers), shorten(wanted))
			}
			if n.published != tt.published || n.failed != 2-tt.published || stamped != len(events) {
				t.Errorf("%v published, %v failed, %d of %d requests stamped\n%.6000s", n.published, n.failed, stamped, len(events), n.log)
			}
		})
	}
}

// harassed are three invocations; in the second the function waits before it publishes.
var harassed = []string{`{"do":"publish","id":"a"}`, `{"do":"publish","id":"b","seconds":0.3}`, `{"do":"publish","id":"c"}`}

// TestStopped: an extension that stands still or goes by jerks makes an
// invocation slow and changes nothing else.
func TestStopped(t *testing.T) {
	oldest, newest := pythonClients(t)
	for _, c := range []client{oldest, newest, javaClient(t)} {
		for name, pauses := range map[string][]time.Duration{"stopped": {1500 * time.Millisecond}, "slow": slices.Repeat([]time.Duration{100 * time.Millisecond}, 15)} {
			if os.Getenv("THROUGHLINE_SOAK") == "" && (name == "slow") == (c.name == oldest.name) && c.name != newest.name {
				continue
			}
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				n := play{tasks: harassed, hasty: true, during: func(extension *os.Process) {
					for _, pause := range pauses {
						_ = extension.Signal(syscall.SIGSTOP)
						time.Sleep(pause)
						_ = extension.Signal(syscall.SIGCONT)
						time.Sleep(20 * time.Millisecond)
					}
				}}.both(t, c)
				if n.failed != 0 || n.published > 3 {
					t.Errorf("%v counted, %v failed\n%.4000s", n.published, n.failed, n.log)
				}
			})
		}
	}
}

// TestKilled: an extension that dies in the middle costs what any extension
// costs, the invocation that it dies in, and nothing is published twice.
func TestKilled(t *testing.T) {
	_, newest := pythonClients(t)
	for _, c := range []client{newest, javaClient(t)} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := play{tasks: harassed, during: func(extension *os.Process) {
				time.Sleep(100 * time.Millisecond)
				_ = extension.Kill()
			}}
			want, _ := p.run(t, c, false)
			got, n := p.run(t, c, true)
			if got.callers[0] != want.callers[0] || got.callers[1] != want.callers[1] && !strings.Contains(got.callers[1], "Extension.Crash") || got.callers[2] != want.callers[2] {
				t.Errorf("with the layer\n%s\nwithout\n%s\n%.6000s", shorten(got.callers), shorten(want.callers), n.log)
			}
			for _, id := range []string{"a", "b", "c"} {
				times := 0
				for _, event := range got.events {
					times += strings.Count(event, `\"event_id\": \"`+id+`\"`)
				}
				if times > 1 || times == 0 && id != "b" {
					t.Errorf("%s was published %d times", id, times)
				}
			}
		})
	}
}
