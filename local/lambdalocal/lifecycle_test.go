package lambdalocal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// points collects what the hook is called with.
func (w *world) points(f *Function) func() []Point {
	var all []Point
	next := f.Hook
	f.Hook = func(e Event) {
		w.add(func() { all = append(all, e.Point) })
		if next != nil {
			next(e)
		}
	}
	return func() []Point {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(all)
	}
}

func TestInitOrder(t *testing.T) {
	w := newWorld(t)
	f := w.function("order", map[string]string{
		"TEST_EXT_A": script{InitGate: "register"}.String(),
		"TEST_EXT_B": script{NextGate: "next"}.String(),
	}, "ext-a", "ext-b")
	points := w.points(&f)
	d := w.create(f)
	done := make(chan Result, 1)
	go func() { done <- w.invoke(d, `{}`) }()

	w.untilSaw("ext-a", "environment", 1)
	w.untilSaw("ext-b", "register", 1)
	if got := points(); !slices.Equal(got, []Point{ExtensionRegistered}) {
		t.Errorf("before all are registered: %q", got)
	}
	w.open("register")
	w.untilSaw("runtime", "environment", 1)
	w.until("the runtime is ready", func() bool {
		e := d.Environments()[0]
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.boot.ready && e.boot.agentNamed("ext-a").idle()
	})
	if got := points(); slices.Contains(got, InitDone) || len(w.saw("runtime", "invocation")) > 0 {
		t.Errorf("init ended before every extension called next: %q", got)
	}
	w.open("next")
	<-done
	w.settled()
	want := []Point{ExtensionRegistered, ExtensionRegistered, RuntimeStarted, InitDone, InvokeSent, ResponseSent, RuntimeDone, InvokeDone}
	if got := points(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// The waiting is part of Init, not of the invocation.
	if truth := d.Invocations()[0]; !truth.ColdStart || truth.InitPhase != "init" || truth.Init <= truth.Duration {
		t.Errorf("truth %+v", truth)
	}
}

func variables(t *testing.T, s seen) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, entry := range decode[[]string](t, s.Body) {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}

func TestVariables(t *testing.T) {
	w := newWorld(t)
	f := w.function("vars", map[string]string{"CUSTOM": "yes"}, "ext-a")
	f.Memory, f.Region = 256, "eu-west-1"
	d := w.create(f)
	w.invoke(d, `{}`)
	w.settled()
	e := d.Environments()[0]
	runtime, extension := variables(t, w.saw("runtime", "environment")[0]), variables(t, w.saw("ext-a", "environment")[0])
	seenByBoth := map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME": "vars", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_RUNTIME_API": e.API(),
		"AWS_ACCESS_KEY_ID": "ASIALOCALLAMBDALOCAL", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local", "TMPDIR": e.Dir(), "CUSTOM": "yes",
	}
	hiddenFromExtensions := map[string]string{
		"AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/vars", "AWS_LAMBDA_LOG_STREAM_NAME": e.LogStream(),
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000", "LAMBDA_RUNTIME_DIR": "/var/runtime",
		"LAMBDA_TASK_ROOT": filepath.Dir(f.Runtime[0]), "_AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129", "_AWS_XRAY_DAEMON_PORT": "2000", "_HANDLER": "main.handle",
	}
	for name, want := range seenByBoth {
		if runtime[name] != want || extension[name] != want {
			t.Errorf("%s: runtime %q, extension %q, want %q", name, runtime[name], extension[name], want)
		}
	}
	for name, want := range hiddenFromExtensions {
		if _, there := extension[name]; there || runtime[name] != want {
			t.Errorf("%s: runtime %q, want %q; the extension sees it: %v", name, runtime[name], want, there)
		}
	}
	for name := range extension {
		if strings.HasPrefix(name, "_") {
			t.Errorf("the extension sees %s", name)
		}
	}
	for _, name := range []string{"AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_EXEC_WRAPPER", "AWS_LAMBDA_LOG_FORMAT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if _, there := runtime[name]; there {
			t.Errorf("the runtime sees %s", name)
		}
	}
}

func TestWrapper(t *testing.T) {
	for _, by := range []string{"field", "variable"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t)
			path := filepath.Join(w.dir, "wrapper")
			if err := os.WriteFile(path, []byte("#!/bin/sh\nexport WRAPPED=\"$#\"\nexec \"$@\"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			f := w.function("wrapped", nil, "ext-a")
			f.Runtime = append(f.Runtime, "argument")
			if by == "field" {
				f.Wrapper = path
			} else {
				f.Env["AWS_LAMBDA_EXEC_WRAPPER"] = path
			}
			d := w.create(f)
			if got := w.invoke(d, `{"x":1}`); string(got.Payload) != `{"x":1}` {
				t.Errorf("got %s", got.Payload)
			}
			w.settled()
			runtime, extension := variables(t, w.saw("runtime", "environment")[0]), variables(t, w.saw("ext-a", "environment")[0])
			if runtime["WRAPPED"] != "2" || extension["WRAPPED"] != "" || extension["AWS_LAMBDA_EXEC_WRAPPER"] != path {
				t.Errorf("runtime %q, extension %q", runtime["WRAPPED"], extension["AWS_LAMBDA_EXEC_WRAPPER"])
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Run("Runtime", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("slow", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
		f.Timeout = 6 * time.Second
		d := w.create(f)
		result := w.invoke(d, `{"hangOnce":true}`)
		w.settled()
		truth := d.Invocations()[0]
		if result.FunctionError != "Unhandled" || result.ErrorType != "Sandbox.Timedout" ||
			decode[apiError](t, result.Payload) != (apiError{"Sandbox.Timedout", "RequestId: " + truth.RequestID + " Error: Task timed out after 6.00 seconds"}) {
			t.Errorf("got %s", result.Payload)
		}
		if truth.Status != Timeout || truth.Duration != f.Timeout || truth.ResponseBytes != 0 {
			t.Errorf("truth %+v", truth)
		}
		events := w.saw("ext-a", "event")
		if last := decode[agentEvent](t, events[len(events)-1].Body); last.EventType != "SHUTDOWN" || last.ShutdownReason != "timeout" {
			t.Errorf("the extension had %s", events[len(events)-1].Body)
		}
		// runtimeDone comes before the reset; the report after it, to the next generation.
		done := decode[runtimeDone](t, w.untilRecords("ext-a", "platform.runtimeDone", 1)[0].Record)
		if done.Status != Timeout || done.ErrorType != "" || done.Metrics.DurationMs > 6000 {
			t.Errorf("runtimeDone %+v", done)
		}
		checkShape(t, "runtimeDone", sampleRuntimeDone, w.records("ext-a", "platform.runtimeDone")[0].Record)

		if result := w.invoke(d, `{"hangOnce":true}`); result.FunctionError != "" { // /tmp was kept
			t.Errorf("got %+v", result)
		}
		w.settled()
		if n := len(w.saw("ext-a", "register")); n != 2 {
			t.Errorf("registered %d times", n)
		}
		second := d.Invocations()[1]
		if second.Environment != truth.Environment || second.InitPhase != "invoke" || !second.ColdStart || second.Duration < second.Init {
			t.Errorf("truth %+v", second)
		}
		d.Environments()[0].Shutdown("")
		starts := w.records("ext-a", "platform.initStart")
		if len(starts) != 2 || decode[initStart](t, starts[1].Record).Phase != "invoke" {
			t.Errorf("init starts %s", starts)
		}
		checkTruth(t, w, d, "ext-a")
		if got := decode[report](t, w.records("ext-a", "platform.report")[0].Record); got.Status != Timeout || got.RequestID != truth.RequestID {
			t.Errorf("report %+v", got)
		}
	})
	t.Run("Extension", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("busy", map[string]string{"TEST_EXT_A": script{WorkGate: "never"}.String()}, "ext-a")
		f.Timeout = time.Second
		d := w.create(f)
		if result := w.invoke(d, `{"x":1}`); string(result.Payload) != `{"x":1}` || result.FunctionError != "" {
			t.Errorf("the answer was there before: got %+v", result)
		}
		w.settled()
		if truth := d.Invocations()[0]; truth.Status != Timeout || truth.RuntimeDuration >= truth.Duration || truth.Duration != f.Timeout {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("Frozen", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("frozen", nil, "ext-a")
		f.Timeout = time.Second
		f.Hook = func(e Event) {
			if e.Point == InvokeSent {
				e.Environment.Freeze()
				w.until("both are stopped", func() bool { return states(t, e.Environment) == "TT" })
				w.open("go") // not before: the function would answer on another core
			}
		}
		d := w.create(f)
		if result := w.invoke(d, `{"gate":"go"}`); result.ErrorType != "Sandbox.Timedout" {
			t.Errorf("got %+v", result)
		}
		w.settled()
	})
}

func TestCrash(t *testing.T) {
	t.Run("Exit", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("crash", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
		d := w.create(f)
		result := w.invoke(d, `{"exitOnce":9}`)
		w.settled()
		truth := d.Invocations()[0]
		want := apiError{"Runtime.ExitError", "RequestId: " + truth.RequestID + " Error: Runtime exited with error: exit status 9"}
		if result.FunctionError != "Unhandled" || decode[apiError](t, result.Payload) != want {
			t.Errorf("got %s", result.Payload)
		}
		if truth.Status != Error || truth.ErrorType != "Runtime.ExitError" {
			t.Errorf("truth %+v", truth)
		}
		events := w.saw("ext-a", "event")
		if last := decode[agentEvent](t, events[len(events)-1].Body); last.ShutdownReason != "failure" {
			t.Errorf("the extension had %s", events[len(events)-1].Body)
		}
		done := decode[runtimeDone](t, w.untilRecords("ext-a", "platform.runtimeDone", 1)[0].Record)
		if done.Status != Error || done.ErrorType != "Runtime.ExitError" {
			t.Errorf("runtimeDone %+v", done)
		}
		if result := w.invoke(d, `{"exitOnce":9}`); result.FunctionError != "" {
			t.Errorf("after the reset: %+v", result)
		}
		w.settled()
		d.Environments()[0].Shutdown("")
		checkTruth(t, w, d, "ext-a")
		if second := d.Invocations()[1]; second.InitPhase != "invoke" || second.Environment != truth.Environment {
			t.Errorf("truth %+v", second)
		}
	})
	t.Run("ExitZero", func(t *testing.T) {
		w := newWorld(t)
		result := w.invoke(w.create(w.function("zero", nil)), `{"exit":0}`)
		if got := decode[apiError](t, result.Payload); !strings.HasSuffix(got.ErrorMessage, "Runtime exited without providing a reason") {
			t.Errorf("got %+v", got)
		}
		w.settled()
	})
	t.Run("AfterTheAnswer", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(w.function("after", nil))
		if result := w.invoke(d, `{"exitAfter":1}`); result.FunctionError != "" {
			t.Errorf("got %+v", result)
		}
		w.settled()
		if truth := d.Invocations()[0]; truth.Status != Error || truth.ErrorType != "Runtime.ExitError" {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("Killed", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("killed", nil)
		f.Hook = func(e Event) {
			if e.Point == InvokeSent {
				if err := e.Environment.KillRuntime(); err != nil {
					t.Error(err)
				}
			}
		}
		result := w.invoke(w.create(f), `{"hang":true}`)
		if got := decode[apiError](t, result.Payload); !strings.HasSuffix(got.ErrorMessage, "signal: killed") {
			t.Errorf("got %+v", got)
		}
		w.settled()
	})
}

func TestInitFailures(t *testing.T) {
	for _, test := range []struct {
		name, way string
		status    Status // of the first platform.initReport
		kind      string
		answers   bool // the second init is well
	}{
		{"ExitOnce", "exit-once", Error, "Runtime.ExitError", true},
		{"Exit", "exit", Error, "Runtime.ExitError", false},
		{"ErrorOnce", "error-once", Error, "Function.BadImport", true},
		{"Error", "error", Error, "Function.BadImport", false},
		{"HangOnce", "hang-once", Timeout, "", true},
		{"Hang", "hang", Timeout, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.function("init", map[string]string{"TEST_INIT": test.way}, "ext-a")
			f.InitTimeout, f.Timeout = 20*time.Second, 20*time.Second
			if test.status == Timeout {
				f.InitTimeout = 2 * time.Second
				if !test.answers {
					f.Timeout = time.Second
				}
			}
			var told []Record
			f.Telemetry.Fault = func(r Record) Fault {
				w.add(func() { told = append(told, r) })
				return Fault{}
			}
			d := w.create(f)
			result := w.invoke(d, `{}`)
			w.settled()
			if (result.FunctionError == "") != test.answers {
				t.Errorf("got %+v %s", result, result.Payload)
			}
			if test.way == "error" && string(result.Payload) != `{"errorType":"ImportError","errorMessage":"no module"}` {
				t.Errorf("got %s", result.Payload)
			}
			if truth := d.Invocations()[0]; truth.InitPhase != "invoke" || truth.Status == Success != test.answers {
				t.Errorf("truth %+v", truth)
			}
			var reports []initReport
			for _, r := range told {
				checkShape(t, r.Type, samples[r.Type], r.Body)
				if r.Type == "platform.initReport" {
					reports = append(reports, decode[initReport](t, r.Body))
				}
			}
			if len(reports) != 2 || reports[0].Phase != "init" || reports[0].Status != test.status || reports[0].ErrorType != test.kind || reports[1].Phase != "invoke" {
				t.Errorf("init reports %+v", reports)
			}
			if n := len(w.saw("ext-a", "register")); n != 2 {
				t.Errorf("the extension registered %d times", n)
			}
			if n := len(w.logged("platform")); n == 0 || !slices.ContainsFunc(w.logged("platform"), func(line string) bool { return strings.HasPrefix(line, "INIT_REPORT") }) {
				t.Errorf("no INIT_REPORT in %q", w.logged("platform"))
			}
		})
	}
}
