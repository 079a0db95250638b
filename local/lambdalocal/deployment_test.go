package lambdalocal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAsync(t *testing.T) {
	t.Run("TwoRetriesWithOneRequestID", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("async", nil, "ext-a")
		f.RetryDelay = time.Millisecond
		d := w.create(f)
		id, err := d.InvokeAsync([]byte(`{"fail":"Function.Always"}`), InvokeOptions{TraceHeader: tracedHeader})
		if err != nil {
			t.Fatal(err)
		}
		w.settled()
		all := d.Invocations()
		if len(all) != 3 {
			t.Fatalf("%d attempts", len(all))
		}
		for i, truth := range all {
			if truth.RequestID != id || truth.Attempt != i+1 || !truth.Async || truth.ErrorType != "Function.Always" || truth.TraceHeader != tracedHeader || !truth.Done {
				t.Errorf("attempt %d: %+v", i+1, truth)
			}
		}
		for i, s := range w.untilSaw("runtime", "invocation", 3) {
			if s.Header.Get("Lambda-Runtime-Aws-Request-Id") != id || string(s.Body) != `{"fail":"Function.Always"}` {
				t.Errorf("delivery %d: %v %s", i+1, s.Header, s.Body)
			}
		}
	})
	t.Run("UntilItSucceeds", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("async", nil)
		f.RetryDelay = time.Millisecond
		d := w.create(f)
		if _, err := d.InvokeAsync([]byte(`{"exitOnce":1}`), InvokeOptions{}); err != nil {
			t.Fatal(err)
		}
		w.settled()
		all := d.Invocations()
		if len(all) != 2 || all[0].Status != Error || all[1].Status != Success || all[0].RequestID != all[1].RequestID {
			t.Errorf("truth %+v", all)
		}
	})
	t.Run("AfterATimeout", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("async", nil)
		f.RetryDelay, f.Timeout = time.Millisecond, 2*time.Second
		d := w.create(f)
		if _, err := d.InvokeAsync([]byte(`{"hangOnce":true}`), InvokeOptions{}); err != nil {
			t.Fatal(err)
		}
		w.settled()
		all := d.Invocations()
		if len(all) != 2 || all[0].Status != Timeout || all[1].Status != Success {
			t.Errorf("truth %+v", all)
		}
	})
	t.Run("AsManyRetriesAsAsked", func(t *testing.T) {
		for retries, attempts := range map[int]int{-1: 1, 1: 2} {
			w := &world{}
			t.Run("", func(t *testing.T) {
				w = newWorld(t)
				f := w.function("async", nil)
				f.RetryDelay, f.Retries = time.Millisecond, retries
				d := w.create(f)
				if _, err := d.InvokeAsync([]byte(`{"fail":"Function.Always"}`), InvokeOptions{}); err != nil {
					t.Fatal(err)
				}
				w.settled()
				if got := len(d.Invocations()); got != attempts {
					t.Errorf("%d attempts with Retries %d", got, retries)
				}
			})
		}
	})
	t.Run("GivenUpByClose", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("async", nil)
		f.RetryDelay = time.Hour
		d := w.create(f)
		if _, err := d.InvokeAsync([]byte(`{"fail":"Function.Always"}`), InvokeOptions{}); err != nil {
			t.Fatal(err)
		}
		w.until("the first attempt is over", func() bool { all := d.Invocations(); return len(all) == 1 && all[0].Done })
		if err := w.svc.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestConcurrency(t *testing.T) {
	w := newWorld(t)
	f := w.function("several", map[string]string{"TEST_EXT_A": script{}.String()}, "ext-a")
	f.MaxEnvironments = 2
	d := w.create(f)
	done := make(chan Result, 4)
	for range 2 {
		go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
	}
	w.untilSaw("runtime", "invocation", 2)
	all := d.Environments()
	if len(all) != 2 || all[0].API() == all[1].API() || all[0].Dir() == all[1].Dir() {
		t.Fatalf("%d environments", len(all))
	}
	if _, err := d.Invoke(t.Context(), []byte(`{}`), InvokeOptions{}); !errors.Is(err, ErrThrottled) {
		t.Errorf("a third at once: %v", err)
	}
	// Asynchronous invocations wait, and synchronous ones that ask for it.
	if _, err := d.InvokeAsync([]byte(`{"async":1}`), InvokeOptions{}); err != nil {
		t.Error(err)
	}
	go func() {
		result, err := d.Invoke(t.Context(), []byte(`{"wait":1}`), InvokeOptions{Wait: true})
		if err != nil {
			t.Error(err)
		}
		done <- result
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := d.Invoke(ctx, []byte(`{}`), InvokeOptions{Wait: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	w.open("go")
	for range 3 {
		if got := <-done; got.FunctionError != "" {
			t.Errorf("got %+v", got)
		}
	}
	w.settled()
	truths := d.Invocations()
	cold := 0
	for _, truth := range truths {
		if truth.ColdStart {
			cold++
		}
	}
	if len(truths) != 4 || cold != 2 || len(d.Environments()) != 2 {
		t.Errorf("%d environments, %d cold starts: %+v", len(d.Environments()), cold, truths)
	}
}

func TestKeepAlive(t *testing.T) {
	w := newWorld(t)
	f := w.function("idle", map[string]string{"TEST_EXT_A": script{}.String()}, "ext-a")
	f.KeepAlive = 50 * time.Millisecond
	d := w.create(f)
	w.invoke(d, `{}`)
	w.settled()
	w.until("the environment is reaped", func() bool { return len(d.Environments()) == 0 })
	events := w.untilSaw("ext-a", "event", 2)
	if last := decode[agentEvent](t, events[1].Body); last.ShutdownReason != "spindown" {
		t.Errorf("got %+v", last)
	}
	w.invoke(d, `{}`)
	w.settled()
	if all := d.Invocations(); !all[1].ColdStart || all[0].Environment == all[1].Environment {
		t.Errorf("truth %+v", all)
	}
}

func TestInvokeGivesUpWaiting(t *testing.T) {
	w := newWorld(t)
	d := w.create(w.function("patience", nil))
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := d.Invoke(ctx, []byte(`{"gate":"go"}`), InvokeOptions{})
		failed <- err
	}()
	w.untilSaw("runtime", "invocation", 1)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.open("go")
	w.settled() // the invocation went on
	if truth := d.Invocations()[0]; truth.Status != Success {
		t.Errorf("truth %+v", truth)
	}
}

func TestCreateRefuses(t *testing.T) {
	svc := New(Options{Dir: t.TempDir()})
	good := Function{Name: "f", Runtime: []string{"/bin/true"}}
	with := func(change func(*Function)) Function {
		f := good
		change(&f)
		return f
	}
	if _, err := svc.Create(good); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Function{
		"SameName":      good,
		"NoName":        with(func(f *Function) { f.Name = "" }),
		"NoRuntime":     with(func(f *Function) { f.Name, f.Runtime = "a", nil }),
		"Eleven":        with(func(f *Function) { f.Name, f.Extensions = "b", strings.Split("a b c d e f g h i j k", " ") }),
		"SameExtension": with(func(f *Function) { f.Name, f.Extensions = "c", []string{"x/ext", "y/ext"} }),
		"Reserved":      with(func(f *Function) { f.Name, f.Env = "d", map[string]string{"AWS_REGION": "x"} }),
		"UnknownMode":   with(func(f *Function) { f.Name, f.Mode = "e", "durable" }),
	} {
		if _, err := svc.Create(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(Options{}).Create(good); err == nil {
		t.Error("no Dir: no error")
	}
	if err := svc.Close(); err != nil {
		t.Error(err)
	}
}

func TestDefaults(t *testing.T) {
	f, err := Function{Name: "f", Runtime: []string{"/opt/bin/run"}}.complete("/dir")
	if err != nil {
		t.Fatal(err)
	}
	if f.Memory != 128 || f.Timeout != 3*time.Second || f.InitTimeout != 10*time.Second || f.Version != "$LATEST" || f.TaskRoot != "/opt/bin" ||
		f.Mode != OnDemand || f.MaxEnvironments != 10 || f.Retries != 2 || f.LogFormat != Text {
		t.Errorf("got %+v", f)
	}
	for mode, want := range map[Mode]time.Duration{ProvisionedConcurrency: 130 * time.Second, SnapStart: 130 * time.Second, ManagedInstances: 130 * time.Second} {
		f, _ := Function{Name: "f", Runtime: []string{"run"}, Mode: mode}.complete("/dir")
		long, _ := Function{Name: "f", Runtime: []string{"run"}, Mode: mode, Timeout: 15 * time.Minute}.complete("/dir")
		if f.InitTimeout != want || long.InitTimeout != 15*time.Minute || f.TaskRoot != "/dir" {
			t.Errorf("%s: init within %s, %s", mode, f.InitTimeout, long.InitTimeout)
		}
	}
}

func TestLogs(t *testing.T) {
	w := newWorld(t)
	f := w.function("logs", nil, "ext-a")
	d := w.create(f)
	w.invoke(d, `{"log":["one","two"]}`)
	w.settled()
	if got := w.logged("function"); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("function lines %q", got)
	}
	if got := w.logged("extension"); !slices.Equal(got, []string{"ext-a is up"}) {
		t.Errorf("extension lines %q", got)
	}
	starts := []string{}
	for _, line := range w.logged("platform") {
		word, _, _ := strings.Cut(line, " ")
		starts = append(starts, strings.TrimSpace(strings.Split(word, "\t")[0]))
	}
	if want := []string{"INIT_START", "EXTENSION", "START", "END", "REPORT"}; !slices.Equal(starts, want) {
		t.Errorf("system lines %q", w.logged("platform"))
	}
	if id := d.Invocations()[0].RequestID; !strings.HasPrefix(w.logged("platform")[4], "REPORT RequestId: "+id+"\tDuration: ") {
		t.Errorf("report %q", w.logged("platform")[4])
	}
}
