package repeatscmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/dedupe"
	"github.com/throughline/throughline/metrics"
)

// run is the command over a file of that content.
func run(t *testing.T, content string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.jsonl")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := New()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{file}, args...))
	cmd.SilenceUsage = true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func envelope(id, eventID, at, rest string) string {
	return fmt.Sprintf(`{"id":%q,"detail-type":"TradeExecuted","source":"s","time":%q%s,"detail":{"event_id":%q,"correlation_id":"w-1"}}`+"\n", id, at, rest, eventID)
}

func TestEvents(t *testing.T) {
	file := envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", "") +
		envelope("env-2", "trade-2", "2026-11-23T20:45:01Z", "") +
		envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", "") +
		envelope("env-3", "trade-2", "2026-11-23T20:46:31Z", "") +
		envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", `,"replay-name":"monday"`) +
		envelope("env-4", "trade-4", "2026-11-23T20:45:00Z", `,"replay-name":"monday"`)
	out, err := run(t, file)
	for _, want := range []string{"trade-1", "\n  redelivery\n  replay\n", "\n  republish  after 1m30s\n", "2 events came again: 1 × redelivery, 1 × republish, 1 × replay"} {
		if !strings.Contains(out, want) {
			t.Errorf("%v: no %q in\n%s", err, want, out)
		}
	}
	if strings.Contains(out, "trade-4") {
		t.Errorf("a replay that was not seen before is a repeat:\n%s", out)
	}
	out, err = run(t, file, "--json")
	var r Report
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || len(r.Events) != 2 || r.Delivered != 6 || *r.Events[1].Repeats[0].AfterMS != 90_000 || r.Events[1].CorrelationID != "w-1" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLog reads what a metrics.Set writes.
func TestLog(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	set := metrics.New(metrics.Config{Service: "portfolio"})
	set.Record(metrics.Observation{At: at, Name: metrics.EventsReceived, Value: 3, EventType: "T"})
	set.Record(metrics.Observation{At: at, Name: metrics.DuplicateEvents, Value: 2, EventType: "T", Kind: "replay"})
	for i, kind := range []dedupe.Kind{dedupe.Replay, dedupe.Republish} {
		set.Log(metrics.Line{At: at.Add(time.Duration(2-i) * time.Minute), Kind: "repeat", Message: "already processed", Fields: map[string]any{
			"kind": kind, "event_id": "trade-1", "event_type": "T", "correlation_id": "w-1", "request_id": fmt.Sprint("r-", i+2), "first_request_id": "r-1", "first_time": at, "suppressed": kind == dedupe.Replay,
		}})
	}
	set.Log(metrics.Line{At: at, Kind: "repeat", Fields: map[string]any{"kind": dedupe.Retry, "event_id": "trade-2", "event_type": "T"}})
	set.Log(metrics.Line{At: at, Kind: "loop", Fields: map[string]any{"event_id": "trade-3"}})
	var log bytes.Buffer
	log.WriteString("START RequestId: r-1\n{\"not\":\"ours\"}\n{broken\n")
	if err := set.Flush(&log, at); err != nil {
		t.Fatal(err)
	}
	// CloudWatch's tail puts a time in front.
	out, err := run(t, strings.ReplaceAll(log.String(), `{"throughline"`, `2026-11-23T20:47:00 {"throughline"`))
	for _, want := range []string{"portfolio", "\n  republish  portfolio  after 1m0s\n  replay     portfolio  after 2m0s  suppressed\n", "2 events came again: 1 × retry, 1 × republish, 1 × replay (1 suppressed); the file's metrics count DuplicateEvents 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("%v: no %q in\n%s", err, want, out)
		}
	}
	if strings.Contains(out, "trade-3") {
		t.Errorf("a loop is a repeat:\n%s", out)
	}
}

// TestExports: what the AWS CLI prints of a log says the same as the log.
func TestExports(t *testing.T) {
	line := envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", "")
	message, _ := json.Marshal(line)
	for name, file := range map[string]string{
		"FilterLogEvents": fmt.Sprintf(`{"events":[{"message":%s},{"message":%[1]s}]}`, message),
		"Insights":        fmt.Sprintf(`[{"@message":%s},{"@message":%[1]s}]`, message),
		"Tail":            "2026-11-23T20:45:00 a " + line + "2026-11-23T20:45:00 a " + line,
	} {
		if out, err := run(t, file); err != nil || !strings.Contains(out, "1 × redelivery") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

func TestMetricsWithoutLines(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "portfolio", Profile: metrics.Full})
	set.Record(metrics.Observation{At: time.Unix(1, 0), Name: metrics.DuplicateEvents, Value: 2, EventType: "T"})
	var file bytes.Buffer
	if err := set.Flush(&file, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, file.String())
	if err != nil || !strings.Contains(out, "DuplicateEvents 2: read the functions' logs") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNothingToRead(t *testing.T) {
	for name, content := range map[string]string{"Empty": "", "Other": "{\"a\":1}\nhello\n"} {
		if out, err := run(t, content); err == nil || !strings.Contains(err.Error(), "one JSON document a line") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	cmd := New()
	cmd.SetArgs([]string{filepath.Join(t.TempDir(), "none")})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no file /") {
		t.Error(err)
	}
	if out, err := run(t, envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", "")); err != nil || !strings.Contains(out, "no event was seen more than once") {
		t.Errorf("%v %s", err, out)
	}
}

func TestEventIDElsewhere(t *testing.T) {
	line := `{"id":"env-%d","detail-type":"T","source":"s","time":"2026-11-23T20:45:00Z","detail":{"trade":{"no":7}}}` + "\n"
	file := fmt.Sprintf(line, 1) + fmt.Sprintf(line, 2)
	if out, err := run(t, file); err != nil || !strings.Contains(out, "no event was seen") {
		t.Errorf("%v %s", err, out)
	}
	for _, bad := range []string{"T", "T=trade"} {
		if _, err := run(t, file, "--dedupe-keys", bad); err == nil || !strings.Contains(err.Error(), "--dedupe-keys: business key") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if out, err := run(t, file, "--dedupe-keys", "T=/trade/no"); err != nil || !strings.Contains(out, "1 × republish") || !strings.HasPrefix(out, "7  T\n") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := run(t, file, "--event-id", "/trade/no"); err != nil || !strings.Contains(out, "1 × republish") {
		t.Errorf("%v %s", err, out)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(envelope("env-1", "trade-1", "2026-11-23T20:45:00Z", "")))
	f.Add([]byte(`{"throughline":"repeat","event_id":"e","timestamp":"x"}`))
	f.Add([]byte(`{"_aws":{},"DuplicateEvents":[1]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		report, err := Read(bytes.NewReader(file), nil, nil)
		if err == nil {
			if err := report.WriteText(&bytes.Buffer{}); err != nil {
				t.Error(err)
			}
		}
	})
}
