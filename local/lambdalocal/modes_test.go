package lambdalocal

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProvisionedConcurrency(t *testing.T) {
	w := newWorld(t)
	f := w.function("ahead", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	f.Mode, f.Concurrency = ProvisionedConcurrency, 2
	d := w.create(f)
	if n := len(d.Environments()); n != 2 || len(d.Invocations()) != 0 {
		t.Fatalf("%d environments, %d invocations", n, len(d.Invocations()))
	}
	for _, s := range append(w.saw("runtime", "environment"), w.saw("ext-a", "environment")...) {
		if got := variables(t, s)["AWS_LAMBDA_INITIALIZATION_TYPE"]; got != "provisioned-concurrency" {
			t.Errorf("%s: %s", s.From, got)
		}
	}
	done := make(chan Result, 3)
	for range 3 {
		go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
	}
	w.untilSaw("runtime", "invocation", 3)
	w.open("go")
	for range 3 {
		<-done
	}
	w.settled()
	cold := 0
	for _, truth := range d.Invocations() {
		if truth.ColdStart {
			cold++
		}
	}
	if cold != 1 {
		t.Errorf("%d cold starts: only the one that spilled over is", cold)
	}
	modes := []Mode{}
	for _, e := range d.Environments() {
		modes = append(modes, e.Mode())
		e.Shutdown("")
	}
	if want := []Mode{ProvisionedConcurrency, ProvisionedConcurrency, OnDemand}; !slices.Equal(modes, want) {
		t.Errorf("modes %q", modes)
	}
	types := []Mode{}
	for _, r := range w.records("ext-a", "platform.initReport") {
		types = append(types, decode[initReport](t, r.Record).InitializationType)
	}
	slices.Sort(types)
	if want := []Mode{OnDemand, ProvisionedConcurrency, ProvisionedConcurrency}; !slices.Equal(types, want) {
		t.Errorf("init reports %q", types)
	}
	checkTruth(t, w, d, "ext-a")
}

func TestInitAheadFails(t *testing.T) {
	for _, mode := range []Mode{ProvisionedConcurrency, SnapStart, ManagedInstances} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			f := w.function("broken", map[string]string{"TEST_INIT": "exit", "TEST_EXT_A": script{Events: []string{"SHUTDOWN"}}.String()}, "ext-a")
			f.Mode = mode
			if _, err := w.svc.Create(f); err == nil || !strings.Contains(err.Error(), "Runtime.ExitError") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSnapStart(t *testing.T) {
	w := newWorld(t)
	f := w.function("snap", map[string]string{"TEST_RESTORE": "1", "TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	f.Mode = SnapStart
	f.Credentials = Credentials{AccessKeyID: "ASIASNAP", SecretAccessKey: "secret", SessionToken: "token"}
	d := w.create(f)
	e := d.Environments()[0]
	if !e.Frozen() || len(w.saw("runtime", "restore")) != 0 {
		t.Error("the snapshot is not frozen in restore/next")
	}
	w.invoke(d, `{"x":1}`)
	w.settled()
	if got := w.saw("runtime", "restore"); len(got) != 1 || got[0].Status != http.StatusOK {
		t.Errorf("restore/next answered %+v", got)
	}
	truth := d.Invocations()[0]
	if !truth.ColdStart || truth.InitPhase != "snap-start" || truth.Restore <= 0 || truth.Init != 0 {
		t.Errorf("truth %+v", truth)
	}
	w.invoke(d, `{}`)
	w.settled()
	if second := d.Invocations()[1]; second.ColdStart || second.Restore != 0 {
		t.Errorf("truth %+v", second)
	}

	t.Run("Credentials", func(t *testing.T) {
		closeIdle(t)
		for _, from := range []string{"runtime", "ext-a"} {
			v := variables(t, w.saw(from, "environment")[0])
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
				if _, there := v[name]; there {
					t.Errorf("%s sees %s", from, name)
				}
			}
			if v["AWS_CONTAINER_CREDENTIALS_FULL_URI"] != "http://"+e.API()+credentialsPath || v["AWS_LAMBDA_INITIALIZATION_TYPE"] != "snap-start" {
				t.Errorf("%s sees %v", from, v)
			}
			token := v["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
			if status, got := credentials(t, v["AWS_CONTAINER_CREDENTIALS_FULL_URI"], token); status != 200 || got["AccessKeyId"] != "ASIASNAP" || got["SecretAccessKey"] != "secret" || got["Token"] != "token" {
				t.Errorf("%s got %d %v", from, status, got)
			}
			if status, _ := credentials(t, v["AWS_CONTAINER_CREDENTIALS_FULL_URI"], "other"); status != http.StatusNotFound {
				t.Errorf("another token: %d", status)
			}
		}
		expiration := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
		d.SetCredentials(Credentials{AccessKeyID: "ASIANEXT", SecretAccessKey: "s", SessionToken: "t", Expiration: expiration})
		_, got := credentials(t, "http://"+e.API()+credentialsPath, e.token)
		if got["AccessKeyId"] != "ASIANEXT" || got["Expiration"] != expiration.Format(time.RFC3339) {
			t.Errorf("rotated: %v", got)
		}
	})
	t.Run("Records", func(t *testing.T) {
		e.Shutdown("")
		kinds := []string{}
		for _, r := range w.records("ext-a", "") {
			checkShape(t, r.Type, samples[r.Type], r.Record)
			if strings.Contains(r.Type, "restore") || strings.Contains(r.Type, "init") {
				kinds = append(kinds, r.Type)
			}
		}
		want := []string{
			"platform.initStart", "platform.initRuntimeDone", "platform.initReport",
			"platform.restoreStart", "platform.restoreRuntimeDone", "platform.restoreReport",
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("got %q", kinds)
		}
		if start := decode[initStart](t, w.records("ext-a", "platform.initStart")[0].Record); start.Phase != "snap-start" || start.InitializationType != SnapStart {
			t.Errorf("init start %+v", start)
		}
		first := decode[struct{ Metrics reportMetrics }](t, w.records("ext-a", "platform.report")[0].Record).Metrics
		if first.RestoreDurationMs != milliseconds(truth.Restore) || first.InitDurationMs != 0 {
			t.Errorf("report %+v, truth %+v", first, truth)
		}
	})
}

func credentials(t *testing.T, url, token string) (int, map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	var got map[string]string
	_ = json.Unmarshal(body, &got)
	return response.StatusCode, got
}

func TestSnapStartRuntimes(t *testing.T) {
	t.Run("RestoreError", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hooks", map[string]string{"TEST_RESTORE": "error"}, "ext-a")
		f.Mode = SnapStart
		d := w.create(f)
		got := w.invoke(d, `{}`)
		w.settled()
		if got.ErrorType != "Runtime.RestoreHookFailed" || string(got.Payload) != `{"errorMessage":"no"}` {
			t.Errorf("got %+v %s", got, got.Payload)
		}
	})
	t.Run("RestoreErrorAnswers", func(t *testing.T) {
		closeIdle(t)
		w := newWorld(t)
		f := w.function("hooks", map[string]string{"TEST_RESTORE": "hang"})
		f.Mode = SnapStart
		var e *Environment
		f.Telemetry.Fault = func(r Record) Fault {
			if r.Type == "platform.restoreStart" { // the moment for it
				path := "/2018-06-01/runtime/restore/error"
				if status, _, _ := call(t, e, "POST", path, "", "{}", functionErrorHeader, "Runtime.Hook"); status != http.StatusAccepted {
					t.Errorf("answered %d", status)
				}
			}
			return Fault{}
		}
		d := w.create(f)
		e = d.Environments()[0]
		if status, refusal, _ := call(t, e, "POST", "/2018-06-01/runtime/restore/error", "", "{}"); status != 403 || refusal.ErrorType != "InvalidStateTransition" {
			t.Errorf("before the restore: %d %+v", status, refusal)
		}
		if got := w.invoke(d, `{}`); got.ErrorType != "Runtime.Hook" {
			t.Errorf("got %+v", got)
		}
		w.settled()
	})
	t.Run("WithoutHooks", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("plain", nil, "ext-a")
		f.Mode = SnapStart
		d := w.create(f)
		w.invoke(d, `{}`)
		w.settled()
		if truth := d.Invocations()[0]; truth.InitPhase != "snap-start" || truth.Status != Success {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("AfterAReset", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("reset", map[string]string{"TEST_RESTORE": "1"}, "ext-a")
		f.Mode = SnapStart
		d := w.create(f)
		w.invoke(d, `{"exit":1}`)
		w.settled()
		w.invoke(d, `{}`)
		w.settled()
		if truth := d.Invocations()[1]; truth.InitPhase != "invoke" || truth.Status != Success {
			t.Errorf("truth %+v", truth)
		}
	})
	t.Run("SecondEnvironment", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("scale", map[string]string{"TEST_RESTORE": "1"}, "ext-a")
		f.Mode = SnapStart
		d := w.create(f)
		done := make(chan Result, 2)
		for range 2 {
			go func() { done <- w.invoke(d, `{"gate":"go"}`) }()
		}
		w.untilSaw("runtime", "invocation", 2)
		w.open("go")
		<-done
		<-done
		w.settled()
		for _, truth := range d.Invocations() {
			if truth.InitPhase != "snap-start" || truth.Restore <= 0 {
				t.Errorf("truth %+v", truth)
			}
		}
	})
	t.Run("OnDemandHasNone", func(t *testing.T) {
		closeIdle(t)
		w := newWorld(t)
		d := w.create(w.function("none", nil))
		w.invoke(d, `{}`)
		w.settled()
		for _, path := range []string{"/2018-06-01/runtime/restore/next", credentialsPath} {
			if status, _, _ := call(t, d.Environments()[0], "GET", path, "", ""); status != http.StatusNotFound {
				t.Errorf("%s answered %d", path, status)
			}
		}
	})
}

func managed(w *world, extension script) Function {
	f := w.function("managed", map[string]string{"TEST_EXT_A": extension.String()}, "ext-a")
	f.Mode, f.Concurrency, f.Memory = ManagedInstances, 3, 2048
	return f
}

func TestManagedInstances(t *testing.T) {
	w := newWorld(t)
	d := w.create(managed(w, script{Events: []string{"SHUTDOWN"}, Subscribe: everything}))
	e := d.Environments()[0]
	done := make(chan Result, 3)
	for range 3 {
		go func() { done <- w.invoke(d, `{"gate":"go","log":["{\"level\":\"INFO\",\"message\":\"m\"}"]}`) }()
	}
	w.untilSaw("runtime", "invocation", 3)
	if n := len(d.Environments()); n != 1 {
		t.Errorf("%d environments for three at once", n)
	}
	w.open("go")
	for range 3 {
		if got := <-done; got.FunctionError != "" {
			t.Errorf("got %+v", got)
		}
	}
	w.settled()
	if e.Frozen() || strings.Contains(states(t, e), "T") {
		t.Error("it was frozen")
	}
	// Never frozen, so reports come without another invocation.
	for _, r := range w.untilRecords("ext-a", "platform.report", 3) {
		checkShape(t, "report", sampleManagedReport, r.Record)
		got := decode[struct {
			RequestID string
			Metrics   map[string]float64
			Spans     []span
		}](t, r.Record)
		i := slices.IndexFunc(d.Invocations(), func(truth Invocation) bool { return truth.RequestID == got.RequestID })
		if i < 0 || got.Metrics["durationMs"] != milliseconds(d.Invocations()[i].Duration) || len(got.Metrics) != 1 || len(got.Spans) != 2 {
			t.Errorf("report %s", r.Record)
		}
	}
	runtime, extension := variables(t, w.saw("runtime", "environment")[0]), variables(t, w.saw("ext-a", "environment")[0])
	if runtime["AWS_LAMBDA_MAX_CONCURRENCY"] != "3" || runtime["AWS_LAMBDA_INITIALIZATION_TYPE"] != "lambda-managed-instances" {
		t.Errorf("the runtime sees %v", runtime)
	}
	if _, there := extension["AWS_LAMBDA_MAX_CONCURRENCY"]; there || extension["AWS_LAMBDA_LOG_FORMAT"] != "JSON" || extension["AWS_LAMBDA_LOG_LEVEL"] != "INFO" {
		t.Errorf("the extension sees %v", extension)
	}
	e.Shutdown("")
	if got := w.records("ext-a", "platform.runtimeDone"); len(got) != 0 {
		t.Errorf("runtimeDone %s", got[0].Record)
	}
	events := w.saw("ext-a", "event")
	if len(events) != 1 || decode[agentEvent](t, events[0].Body).EventType != "SHUTDOWN" {
		t.Errorf("the extension had %d events", len(events))
	}
	for _, r := range w.records("ext-a", "function") {
		if !strings.HasPrefix(string(r.Record), "{") {
			t.Errorf("a JSON line is no object: %s", r.Record)
		}
	}
	// In the JSON format the system log has the records themselves.
	if lines := w.logged("platform"); !slices.ContainsFunc(lines, func(line string) bool { return decode[told](t, []byte(line)).Type == "platform.report" }) {
		t.Errorf("system log %q", lines)
	}
}

func TestManagedInstancesRefuse(t *testing.T) {
	t.Run("INVOKE", func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.svc.Create(managed(w, script{})); err == nil {
			t.Error("an extension registered for INVOKE")
		}
		got := w.saw("ext-a", "register")[0]
		if got.Status != http.StatusForbidden || decode[apiError](t, got.Body).ErrorType != "Extension.InvalidEventType" {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
	t.Run("OlderSchema", func(t *testing.T) {
		w := newWorld(t)
		w.create(managed(w, script{Events: []string{"SHUTDOWN"}, Subscribe: strings.ReplaceAll(everything, schemaNewest, schemaObjects)}))
		got := w.saw("ext-a", "subscribe")[0]
		if got.Status != http.StatusBadRequest || decode[apiError](t, got.Body).ErrorType != "ValidationError" {
			t.Errorf("answered %d %s", got.Status, got.Body)
		}
	})
}

func TestManagedInstancesFail(t *testing.T) {
	t.Run("TimeoutOfOne", func(t *testing.T) {
		w := newWorld(t)
		f := managed(w, script{Events: []string{"SHUTDOWN"}})
		f.Timeout = 2 * time.Second
		d := w.create(f)
		if got := w.invoke(d, `{"hang":true}`); got.ErrorType != "Sandbox.Timedout" {
			t.Errorf("got %+v", got)
		}
		if got := w.invoke(d, `{"x":1}`); got.FunctionError != "" {
			t.Errorf("its neighbour got %+v", got)
		}
		w.settled()
		if all := d.Invocations(); all[0].Status != Timeout || all[1].Status != Success || all[0].Environment != all[1].Environment {
			t.Errorf("truth %+v", all)
		}
	})
	t.Run("CrashTakesAll", func(t *testing.T) {
		w := newWorld(t)
		d := w.create(managed(w, script{Events: []string{"SHUTDOWN"}}))
		done := make(chan Result, 1)
		go func() { done <- w.invoke(d, `{"hang":true}`) }()
		w.untilSaw("runtime", "invocation", 1)
		if got := w.invoke(d, `{"exit":1}`); got.ErrorType != "Runtime.ExitError" {
			t.Errorf("got %+v", got)
		}
		if got := <-done; got.ErrorType != "Runtime.ExitError" {
			t.Errorf("its neighbour got %+v", got)
		}
		w.settled()
		if got := w.invoke(d, `{}`); got.FunctionError != "" {
			t.Errorf("after it: %+v", got)
		}
		w.settled()
		if all := d.Invocations(); all[0].Environment == all[2].Environment || all[2].InitPhase != "init" {
			t.Errorf("truth %+v", all)
		}
	})
}
