package lambdalocal

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	register = "/2020-01-01/extension/register"
	next     = "/2020-01-01/extension/event/next"
	initErr  = "/2020-01-01/extension/init/error"
	exitErr  = "/2020-01-01/extension/exit/error"
	both     = `{"events":["INVOKE","SHUTDOWN"]}`

	// everything is a subscription that receives it as soon as Lambda can.
	everything = `{"schemaVersion":"2025-01-29","types":["platform","function","extension"],
		"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":25},
		"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:PORT"}}`
)

func TestExtensionsAPI(t *testing.T) {
	w := newWorld(t)
	f := w.function("hello", map[string]string{
		"TEST_EXT_A":        script{}.String(),
		"TEST_EXT_ACCOUNT":  script{Features: "unknown, accountId"}.String(),
		"TEST_EXT_SHUTDOWN": script{Events: []string{"SHUTDOWN"}}.String(),
		"TEST_INTERNAL":     "internal",
	}, "ext-a", "ext-account", "ext-shutdown")
	d := w.create(f)
	result, err := d.Invoke(t.Context(), []byte("{}"), InvokeOptions{TraceHeader: "Root=1-5f35ae12-0c0fec141ab77a00bc047aa2;Parent=2be948a625588e32;Sampled=1"})
	if err != nil || string(result.Payload) != "{}" {
		t.Fatalf("answer %s, %v", result.Payload, err)
	}
	w.settled()
	if _, err := d.Invoke(t.Context(), []byte("{}"), InvokeOptions{NoTrace: true}); err != nil {
		t.Fatal(err)
	}
	w.settled()

	t.Run("Register", func(t *testing.T) {
		for _, name := range []string{"ext-a", "internal"} {
			answer := w.saw(name, "register")[0]
			checkShape(t, "register", sampleRegister, answer.Body)
			if answer.Status != 200 || !uuidForm.MatchString(answer.Header.Get(extensionIdentifier)) {
				t.Errorf("%s: %d %v", name, answer.Status, answer.Header)
			}
		}
		checkShape(t, "register", sampleAccount, w.saw("ext-account", "register")[0].Body)
		got := decode[registered](t, w.saw("ext-account", "register")[0].Body)
		if got != (registered{"hello", "$LATEST", "main.handle", "123456789012"}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("Invoke", func(t *testing.T) {
		for _, name := range []string{"ext-a", "ext-account", "internal"} {
			events := w.untilSaw(name, "event", 2)
			checkShape(t, "INVOKE", sampleInvoke, events[0].Body)
			event := decode[agentEvent](t, events[0].Body)
			truth := d.Invocations()[0]
			if event.RequestID != result.RequestID || event.DeadlineMs != truth.Deadline.UnixMilli() ||
				event.InvokedFunctionArn != f.withDefaults("").ARN() || event.Tracing.Value != truth.TraceHeader {
				t.Errorf("%s: got %s for %+v", name, events[0].Body, truth)
			}
			if !uuidForm.MatchString(events[0].Header.Get("Lambda-Extension-Event-Identifier")) {
				t.Errorf("%s: header %v", name, events[0].Header)
			}
			if second := decode[agentEvent](t, events[1].Body); second.Tracing != nil {
				t.Errorf("%s: tracing without a header: %s", name, events[1].Body)
			}
			if strings.Contains(string(events[0].Body), "payload") {
				t.Errorf("%s: the payload is never told: %s", name, events[0].Body)
			}
		}
		if got := w.saw("ext-shutdown", "event"); len(got) != 0 {
			t.Errorf("an extension for SHUTDOWN only had %s", got[0].Body)
		}
	})
	t.Run("Shutdown", func(t *testing.T) {
		before := time.Now()
		d.Environments()[0].Shutdown("")
		for name, n := range map[string]int{"ext-a": 3, "ext-shutdown": 1} {
			events := w.untilSaw(name, "event", n)
			checkShape(t, "SHUTDOWN", sampleShutdown, events[n-1].Body)
			event := decode[agentEvent](t, events[n-1].Body)
			if left := time.UnixMilli(event.DeadlineMs).Sub(before); event.ShutdownReason != "spindown" || left < time.Second || left > time.Minute {
				t.Errorf("%s: got %s", name, events[n-1].Body)
			}
		}
		if got := w.saw("internal", "event"); len(got) != 2 {
			t.Errorf("an internal extension had %d events, the last %s", len(got), got[len(got)-1].Body)
		}
	})
}

// TestExtensionErrors makes every documented mistake against a live environment.
func TestExtensionErrors(t *testing.T) {
	closeIdle(t)
	w := newWorld(t)
	f := w.function("errors", map[string]string{"TEST_EXT_SLOW": script{NextGate: "go"}.String()}, "ext-slow")
	started, checked := make(chan *Environment, 1), make(chan struct{})
	proceed := sync.OnceFunc(func() { close(checked) })
	defer proceed()
	f.Hook = func(e Event) {
		if e.Point == RuntimeStarted { // Init goes on when the checks are done
			started <- e.Environment
			<-checked
		}
	}
	d := w.create(f)
	answered := make(chan Result)
	go func() {
		result, _ := d.Invoke(t.Context(), []byte("{}"), InvokeOptions{})
		answered <- result
	}()
	e := <-started
	slow := w.untilSaw("ext-slow", "register", 1)[0].Header.Get(extensionIdentifier)

	if status, refusal, _ := call(t, e, "POST", register, "", `{"events":["INVOKE"]}`, "Lambda-Extension-Name", "internal"); status != 200 {
		t.Fatalf("an internal extension: %d %+v", status, refusal)
	}
	const unknown = "0b0e2b42-3f6a-4a43-8d3a-000000000000"
	for _, test := range []struct {
		name, method, path, id, body string
		headers                      []string
		want                         string
	}{
		{"EmptyName", "POST", register, "", both, nil, "Extension.InvalidExtensionName"},
		{"NotJSON", "POST", register, "", "{", []string{"Lambda-Extension-Name", "x"}, "InvalidRequestFormat"},
		{"ConfigurationKeys", "POST", register, "", `{"events":[],"configurationKeys":["A"]}`, []string{"Lambda-Extension-Name", "x"}, "InvalidRequestFormat"},
		{"UnknownEvent", "POST", register, "", `{"events":["WAKE"]}`, []string{"Lambda-Extension-Name", "x"}, "Extension.InvalidEventType"},
		{"InternalShutdown", "POST", register, "", both, []string{"Lambda-Extension-Name", "x"}, "Extension.InvalidEventType"},
		{"RegisterTwice", "POST", register, "", both, []string{"Lambda-Extension-Name", "ext-slow"}, "Extension.InvalidExtensionState"},
		{"InternalTwice", "POST", register, "", `{"events":[]}`, []string{"Lambda-Extension-Name", "internal"}, "Extension.InvalidExtensionState"},
		{"NoIdentifier", "GET", next, "", "", nil, "Extension.MissingExtensionIdentifier"},
		{"BadIdentifier", "GET", next, "42", "", nil, "Extension.InvalidExtensionIdentifier"},
		{"UnknownIdentifier", "GET", next, unknown, "", nil, "Extension.UnknownExtensionIdentifier"},
		{"InitErrorUnknown", "POST", initErr, unknown, "{}", nil, "Extension.UnknownExtensionIdentifier"},
		{"InitErrorWithoutType", "POST", initErr, slow, "{}", nil, "Extension.MissingHeader"},
		{"ExitErrorWithoutType", "POST", exitErr, slow, "{}", nil, "Extension.MissingHeader"},
		{"SubscribeUnknown", "PUT", "/2022-07-01/telemetry", unknown, everything, nil, "Extension.UnknownExtensionIdentifier"},
		{"SubscribeWithoutIdentifier", "PUT", "/2022-07-01/telemetry", "", everything, nil, "Extension.MissingExtensionIdentifier"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, refusal, _ := call(t, e, test.method, test.path, test.id, test.body, test.headers...)
			if status != http.StatusForbidden || refusal.ErrorType != test.want || refusal.ErrorMessage == "" {
				t.Errorf("got %d %+v, want 403 %s", status, refusal, test.want)
			}
		})
	}
	t.Run("TooMany", func(t *testing.T) {
		for i := range maxExtensions - 2 {
			if status, refusal, _ := call(t, e, "POST", register, "", `{"events":[]}`, "Lambda-Extension-Name", "more"+strconv.Itoa(i)); status != 200 {
				t.Fatalf("number %d: %d %+v", i+3, status, refusal)
			}
		}
		if status, refusal, _ := call(t, e, "POST", register, "", `{"events":[]}`, "Lambda-Extension-Name", "eleventh"); status != 403 || refusal.ErrorType != "Extension.TooManyExtensions" {
			t.Errorf("got %d %+v", status, refusal)
		}
	})
	t.Run("Closed", func(t *testing.T) {
		proceed()
		// The runtime has called next: registration is over, though an extension has not.
		w.until("registration closes", func() bool {
			_, refusal, _ := call(t, e, "POST", register, "", `{"events":[]}`, "Lambda-Extension-Name", "late")
			return refusal.ErrorType == "Extension.RegistrationClosed"
		})
	})
	t.Run("SubscribeAfterInit", func(t *testing.T) {
		// The other internal ones call next too, or Init would never end.
		e.mu.Lock()
		for _, a := range e.boot.agents {
			if !a.external {
				go func() { _, _, _ = getQuietly(e, a.id) }()
			}
		}
		e.mu.Unlock()
		w.open("go")
		result := <-answered
		if string(result.Payload) != "{}" {
			t.Fatalf("answer %s", result.Payload)
		}
		status, refusal, _ := call(t, e, "PUT", "/2022-07-01/telemetry", slow, strings.ReplaceAll(everything, "PORT", "4243"))
		if status != 403 || refusal.ErrorType != "Telemetry.SubscriptionClosed" {
			t.Errorf("got %d %+v", status, refusal)
		}
	})
	t.Run("InitErrorAfterInit", func(t *testing.T) {
		status, refusal, _ := call(t, e, "POST", initErr, slow, "{}", "Lambda-Extension-Function-Error-Type", "Extension.TooLate")
		if status != 403 || refusal.ErrorType != "Extension.InvalidExtensionState" || !strings.Contains(refusal.ErrorMessage, "to InitError failed") {
			t.Errorf("got %d %+v", status, refusal)
		}
	})
	t.Run("NextTwice", func(t *testing.T) {
		w.until("ext-slow waits in next", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.boot.agentNamed("ext-slow").polling
		})
		status, refusal, _ := call(t, e, "GET", next, slow, "")
		if status != 403 || refusal.ErrorType != "Extension.InvalidExtensionState" {
			t.Errorf("got %d %+v", status, refusal)
		}
	})
	e.Kill()
	w.settled()
}

func getQuietly(e *Environment, id string) (int, http.Header, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+e.API()+next, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set(extensionIdentifier, id)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return 0, nil, err
	}
	return response.StatusCode, response.Header, response.Body.Close()
}

func TestExtensionFailures(t *testing.T) {
	for _, test := range []struct {
		name      string
		extension script
		payload   string
		want      string // the error type of the first answer
		record    string // and of platform.extension in init
	}{
		{"InitError", script{InitError: true, Subscribe: everything}, `{}`, "Extension.InitError", "Extension.ConfigInvalid"},
		{"ExitError", script{ExitError: true, Subscribe: everything}, `{"hang":true}`, "Extension.ExitError", ""},
		{"Crash", script{Exit: true}, `{}`, "Extension.Crash", "Extension.Crash"},
		{"WrongName", script{As: "other"}, `{}`, "Extension.Crash", ""}, // refused as internal, so it gives up
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.function("fails", map[string]string{"TEST_EXT_A": test.extension.String()}, "ext-a")
			var told []Record
			f.Telemetry.Fault = func(r Record) Fault {
				w.add(func() { told = append(told, r) })
				return Fault{}
			}
			d := w.create(f)
			result := w.invoke(d, test.payload)
			w.settled()
			if result.FunctionError != "Unhandled" || result.ErrorType != test.want {
				t.Errorf("got %+v %s", result, result.Payload)
			}
			checkShape(t, "answer", `{"errorType":"","errorMessage":""}`, result.Payload)
			truth := d.Invocations()[0]
			if truth.Status != Error || truth.ErrorType != test.want || !truth.Done {
				t.Errorf("truth %+v", truth)
			}
			types := []string{}
			for _, r := range told {
				checkShape(t, r.Type, samples[r.Type], r.Body)
				if r.Type == "platform.extension" {
					types = append(types, decode[extensionRecord](t, r.Body).ErrorType)
				}
			}
			if test.record != "" && !slices.Contains(types, test.record) {
				t.Errorf("platform.extension told %q", types)
			}
			for _, kind := range []string{"init/error", "exit/error"} {
				for _, answer := range w.saw("ext-a", kind) {
					checkShape(t, kind, sampleAccepted, answer.Body)
					if answer.Status != http.StatusAccepted {
						t.Errorf("%s answered %d", kind, answer.Status)
					}
				}
			}
		})
	}
	t.Run("Launch", func(t *testing.T) {
		w := newWorld(t)
		f := w.function("launch", nil)
		f.Extensions = []string{w.dir + "/ext-missing"}
		if result := w.invoke(w.create(f), `{}`); result.ErrorType != "Extension.LaunchError" {
			t.Errorf("got %+v", result)
		}
		w.settled()
	})
}

func TestRegistrationParses(t *testing.T) {
	r, err := parseRegistration([]byte(both))
	if err != nil || !slices.Equal(r.Events, []string{"INVOKE", "SHUTDOWN"}) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func FuzzParseRegistration(f *testing.F) {
	f.Add([]byte(both))
	f.Add([]byte(`{"events":[],"configurationKeys":["A"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRegistration(body)
		if err == nil && len(r.ConfigurationKeys) > 0 {
			t.Error("configurationKeys were accepted")
		}
		if err == nil && !json.Valid(body) {
			t.Error("what is not JSON was accepted")
		}
	})
}
