package lambdalocal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTelemetryOfAFunction follows every record of a cold and a warm
// invocation through a real extension, and when each comes.
func TestTelemetryOfAFunction(t *testing.T) {
	w := newWorld(t)
	f := w.function("told", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	d := w.create(f)
	w.invoke(d, `{"log":["hello","{\"a\":1}"]}`)
	w.settled()
	if answer := w.saw("ext-a", "subscribe")[0]; answer.Status != 200 || string(answer.Body) != `"OK"` {
		t.Errorf("subscribe answered %d %s", answer.Status, answer.Body)
	}
	// The environment is frozen: the report waits in its buffer.
	if got := w.records("ext-a", "platform.report"); len(got) != 0 {
		t.Errorf("the report came before the freeze: %+v", got)
	}
	answered := make(chan Result, 1)
	go func() { answered <- w.invoke(d, `{"gate":"report"}`) }()
	first := w.untilRecords("ext-a", "platform.report", 1)[0]
	w.open("report")
	<-answered
	w.settled()
	d.Environments()[0].DropLogs(123, 12345, slowReason)
	d.Environments()[0].Shutdown("")
	reports := w.records("ext-a", "platform.report")
	if len(reports) != 2 {
		t.Fatalf("%d reports at shutdown", len(reports))
	}
	kinds := map[string]int{}
	for _, r := range w.records("ext-a", "") {
		kinds[r.Type]++
		checkShape(t, r.Type, samples[r.Type], r.Record)
		if time.Since(r.Time) > time.Minute || r.Time.Location() != time.UTC {
			t.Errorf("%s at %s", r.Type, r.Time)
		}
	}
	for kind, n := range map[string]int{
		"platform.initStart": 1, "platform.initRuntimeDone": 1, "platform.initReport": 1, "platform.extension": 1, "platform.telemetrySubscription": 1,
		"platform.start": 2, "platform.runtimeDone": 2, "platform.report": 2, "platform.logsDropped": 1, "function": 2, "extension": 1,
	} {
		if kinds[kind] != n {
			t.Errorf("%d of %s, want %d", kinds[kind], kind, n)
		}
	}
	for i, text := range []string{`"hello\n"`, `"{\"a\":1}\n"`} {
		if got := w.records("ext-a", "function")[i]; string(got.Record) != text {
			t.Errorf("function record %s, want %s", got.Record, text)
		}
	}
	checkTruth(t, w, d, "ext-a")
	if m := decode[report](t, first.Record); m.Spans[0].Name != "extensionOverhead" {
		t.Errorf("report without extensionOverhead: %s", first.Record)
	}
	names := []string{}
	for _, s := range decode[runtimeDone](t, w.records("ext-a", "platform.runtimeDone")[0].Record).Spans {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"responseLatency", "responseDuration", "runtimeOverhead"}) {
		t.Errorf("runtimeDone has spans %q", names)
	}
}

// checkTruth compares every report and runtimeDone that an extension got with the ground truth.
func checkTruth(t *testing.T, w *world, d *Deployment, extension string) {
	t.Helper()
	type measured struct {
		RequestID, Status, ErrorType string
		Metrics                      map[string]float64
	}
	of := func(kind, id string) []measured {
		var found []measured
		for _, r := range w.records(extension, kind) {
			if m := decode[measured](t, r.Record); m.RequestID == id {
				found = append(found, m)
			}
		}
		return found
	}
	for _, truth := range d.Invocations() {
		reports, done := of("platform.report", truth.RequestID), of("platform.runtimeDone", truth.RequestID)
		if len(reports) != 1 || len(done) != 1 {
			t.Fatalf("%s: %d reports, %d runtimeDone", truth.RequestID, len(reports), len(done))
		}
		got := reports[0]
		want := map[string]float64{
			"durationMs": milliseconds(truth.Duration), "memorySizeMB": float64(truth.MemorySize), "maxMemoryUsedMB": float64(truth.MaxMemoryUsed),
			"billedDurationMs": got.Metrics["billedDurationMs"],
		}
		if truth.InitPhase == "init" {
			want["initDurationMs"] = milliseconds(truth.Init)
		}
		if billed := want["billedDurationMs"]; billed < want["durationMs"]+want["initDurationMs"] || billed >= want["durationMs"]+want["initDurationMs"]+1.001 {
			t.Errorf("billed %v of %+v", billed, want)
		}
		if fmt.Sprint(got.Metrics) != fmt.Sprint(want) || Status(got.Status) != truth.Status {
			t.Errorf("report %+v, truth %+v", got, truth)
		}
		if got := done[0]; got.Metrics["durationMs"] != milliseconds(truth.RuntimeDuration) || got.Metrics["producedBytes"] != float64(truth.ResponseBytes) {
			t.Errorf("runtimeDone %+v, truth %+v", got, truth)
		}
		if truth.RuntimeDuration > truth.Duration || truth.Duration <= 0 {
			t.Errorf("truth %+v", truth)
		}
	}
}

func TestTelemetryAnswers(t *testing.T) {
	old := strings.ReplaceAll(everything, schemaNewest, schemaObjects)
	for _, test := range []struct {
		name         string
		answer       TelemetryAnswer
		subscription string
		status       int
		kind         string
	}{
		{"NotSupported", NotSupported, everything, http.StatusAccepted, "Telemetry.NotSupported"},
		{"Refused", Refuse, everything, http.StatusBadRequest, "ValidationError"},
		{"NewestRefused", RefuseNewest, everything, http.StatusBadRequest, "ValidationError"},
		{"OlderAccepted", RefuseNewest, old, http.StatusOK, ""},
		{"Invalid", Accept, strings.Replace(everything, "sandbox.localdomain", "localhost", 1), http.StatusBadRequest, "ValidationError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.function("answers", map[string]string{"TEST_EXT_A": script{Subscribe: test.subscription}.String()}, "ext-a")
			f.Telemetry.Answer = test.answer
			if result := w.invoke(w.create(f), `{}`); string(result.Payload) != `{}` {
				t.Errorf("the function answered %s", result.Payload)
			}
			w.settled()
			got := w.saw("ext-a", "subscribe")[0]
			var refusal apiError
			_ = json.Unmarshal(got.Body, &refusal)
			if got.Status != test.status || refusal.ErrorType != test.kind {
				t.Errorf("answered %d %s", got.Status, got.Body)
			}
		})
	}
}

func TestReportDelayed(t *testing.T) {
	w := newWorld(t)
	f := w.function("late", map[string]string{"TEST_EXT_A": script{Subscribe: everything}.String()}, "ext-a")
	f.Telemetry.Fault = func(r Record) Fault {
		if r.Type == "platform.report" {
			return Fault{Hold: 2, Repeat: 1}
		}
		return Fault{}
	}
	d := w.create(f)
	for range 2 {
		w.invoke(d, `{}`)
		w.settled()
	}
	first := d.Invocations()[0].RequestID
	answered := make(chan Result, 1)
	go func() { answered <- w.invoke(d, `{"gate":"report"}`) }()
	got := w.untilRecords("ext-a", "platform.report", 2)
	w.open("report")
	<-answered
	w.settled()
	for _, r := range got {
		if decode[report](t, r.Record).RequestID != first {
			t.Errorf("too early: %s", r.Record)
		}
	}
	d.Environments()[0].Shutdown("")
	if got := w.records("ext-a", "platform.report"); len(got) != 6 {
		t.Errorf("%d reports at the end", len(got))
	}
}

func TestTelemetryRetriedThroughAnExtension(t *testing.T) {
	w := newWorld(t)
	f := w.function("refusing", map[string]string{"TEST_EXT_A": script{Subscribe: everything, Reject: 2}.String()}, "ext-a")
	d := w.create(f)
	w.invoke(d, `{}`)
	w.settled()
	d.Environments()[0].Shutdown("")
	rejected := w.saw("ext-a", "rejected")
	if len(rejected) != 2 {
		t.Fatalf("%d rejected", len(rejected))
	}
	again := w.saw("ext-a", "telemetry")[0]
	if again.Header.Get("Sequence-Id") != rejected[1].Header.Get("Sequence-Id") || string(again.Body) != string(rejected[1].Body) {
		t.Error("what was refused did not come again")
	}
}
