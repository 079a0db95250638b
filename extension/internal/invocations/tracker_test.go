package invocations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

// tracking is a Tracker that records in set.
func tracking(set *metrics.Set) *Tracker {
	return New(Config{Metrics: set, Export: func([]byte) {}})
}

// records are what Lambda tells of one successful invocation (Telemetry API reference).
func records(id string) string {
	return fmt.Sprintf(`[{"time":"2026-11-23T20:45:00.000Z","type":"platform.start","record":{"requestId":%[1]q,"version":"$LATEST"}},
{"time":"2026-11-23T20:45:00.140Z","type":"platform.runtimeDone","record":{"requestId":%[1]q,"status":"success","metrics":{"durationMs":140.0,"producedBytes":16}}}]`, id)
}

func TestProactiveInitialisation(t *testing.T) {
	var out strings.Builder
	set := metrics.New(metrics.Config{Service: "f"})
	tr := tracking(set)
	begun := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	tr.Telemetry([]byte(`[{"time":"2026-11-23T20:40:00Z","type":"platform.initStart","record":{"initializationType":"on-demand"}},{"time":"2026-11-23T20:40:01Z","type":"platform.initRuntimeDone","record":{"status":"success"}}]`), begun)
	tr.Begin("r-1", "arn", begun.Add(time.Minute), begun)
	tr.Telemetry([]byte(records("r-1")), begun)
	if err := set.Flush(&out, begun); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"ColdStart_proactive":1`) {
		t.Errorf("wrote %s", out.String())
	}
}

func TestTelemetryMayTellBeforeTheExtensionsAPI(t *testing.T) {
	var out strings.Builder
	set := metrics.New(metrics.Config{Service: "f"})
	tr := tracking(set)
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	tr.Telemetry([]byte(records("r-1")), now)
	over := tr.Begin("r-1", "arn", now.Add(time.Minute), now)
	select {
	case <-over:
	default:
		t.Error("the end is known and waited for")
	}
	if err := set.Flush(&out, now); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), `"Duration":140`) != 1 || !strings.Contains(out.String(), `"ColdStart":1`) {
		t.Errorf("wrote %s", out.String())
	}
}

// The runtime may die while its event is on the way: telemetry can tell of the end before
// the event comes past. That end is not waited for, and counted once.
func TestEndBeforeTheEvent(t *testing.T) {
	const id = "r-1"
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	died := []byte(strings.Replace(records(id), `"success"`, `"error","errorType":"Runtime.ExitError"`, 1))
	begin := func(tr *Tracker) <-chan struct{} { return tr.Begin(id, "arn", now.Add(time.Minute), now) }
	for name, order := range map[string]func(*Tracker) <-chan struct{}{
		"before both": func(tr *Tracker) <-chan struct{} { tr.Telemetry(died, now); tr.Arrive(id, now); return begin(tr) },
		"before the event": func(tr *Tracker) <-chan struct{} {
			over := begin(tr)
			tr.Telemetry(died, now)
			tr.Arrive(id, now)
			return over
		},
		"between": func(tr *Tracker) <-chan struct{} {
			tr.Telemetry(died, now)
			over := begin(tr)
			tr.Arrive(id, now)
			return over
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			set := metrics.New(metrics.Config{Service: "f"})
			tr := tracking(set)
			tr.Subscribed()
			select {
			case <-order(tr):
			default:
				t.Error("the end is known and waited for")
			}
			tr.Answered(id, now.Add(time.Second), time.Second, "failure") // at SHUTDOWN
			tr.Settle(t.Context(), "failure", now.Add(time.Second))
			if err := set.Flush(&out, now); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), `"Duration":140`) || !strings.Contains(out.String(), `"Errors":1`) || !strings.Contains(out.String(), `"ColdStart":1`) {
				t.Errorf("wrote %s", out.String())
			}
		})
	}
}

// A handler of a few microseconds answers before the Extensions API has told of
// its invocation: nobody waits for that end again.
func TestEndBeforeTheExtensionsAPI(t *testing.T) {
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	for name, ends := range map[string]func(*Tracker){
		"the runtime endpoint": func(tr *Tracker) {
			tr.Arrive("r-1", now)
			tr.Answered("r-1", now.Add(time.Millisecond), time.Millisecond, "")
		},
		"the library": func(tr *Tracker) {
			tr.process(otlp.Found{Texts: []string{"r-1"}}, true, now)
			tr.Answered("r-1", now.Add(time.Millisecond), time.Millisecond, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := metrics.New(metrics.Config{Service: "f"})
			tr := tracking(set)
			for range 2 { // the second time as a retry
				ends(tr)
				select {
				case <-tr.Begin("r-1", "arn", now.Add(time.Minute), now):
				default:
					t.Fatal("the end is known and waited for")
				}
				if name == "the library" {
					break // of a retry telemetry tells
				}
			}
			var out strings.Builder
			if err := set.Flush(&out, now); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"the runtime endpoint": `"Duration":[1,1]`, "the library": `"Duration":1`}[name]
			if !strings.Contains(out.String(), want) || strings.Count(out.String(), `"ColdStart":1`) != 1 {
				t.Errorf("no %s in %s", want, out.String())
			}
		})
	}
}

// What telemetry loses altogether is counted from what the runtime endpoint saw,
// once, and not counted again should it come after all.
func TestTelemetryThatNeverComes(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
	tr := tracking(set)
	tr.Subscribed()
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	for n, kind := range []string{"", "ValueError", "timeout"} {
		id := "r-" + string(rune('1'+n))
		tr.Begin(id, "arn", now.Add(time.Minute), now)
		tr.Answered(id, now.Add(100*time.Millisecond), 100*time.Millisecond, kind)
		now = now.Add(time.Second)
	}
	tr.Begin("r-4", "arn", now.Add(time.Minute), now)
	tr.Answered("r-4", now.Add(100*time.Millisecond), 100*time.Millisecond, "")
	tr.Telemetry([]byte(records("r-4")), now) // heard of in time: 140 ms by Lambda's own measure
	now = now.Add(time.Minute)
	tr.Begin("r-5", "arn", now.Add(time.Minute), now)
	tr.Telemetry([]byte(records("r-1")), now) // an hour late
	tr.Settle(t.Context(), "spindown", now)
	var out strings.Builder
	if err := set.Flush(&out, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Duration":[140,100,100,100]`, `"Errors":2`, `"Errors_ValueError":1`, `"Timeouts":1`, `"ColdStart":1`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}

func TestTrackingIsBounded(t *testing.T) {
	tr := tracking(nil)
	now := time.Now()
	for i := range maxKnown * 5 {
		id := "r-" + time.Duration(i).String()
		tr.Begin(id, "arn", now, now)
		tr.Telemetry([]byte(records(id)), now)
	}
	if len(tr.known) > maxKnown || len(tr.seen) > maxSeen || len(tr.order) > maxKnown {
		t.Errorf("%d open, %d seen", len(tr.known), len(tr.seen))
	}
}

func FuzzTelemetry(f *testing.F) {
	f.Add([]byte(records("r-1")))
	f.Add([]byte(`[{"type":"platform.report","record":{"requestId":"r-1","metrics":{"durationMs":"1e999"}}}`))
	f.Fuzz(func(t *testing.T, batch []byte) {
		set := metrics.New(metrics.Config{Service: "f"})
		tr := tracking(set)
		now := time.Now()
		tr.Begin("r-1", "arn", now.Add(time.Minute), now)
		tr.Telemetry(batch, now)
		tr.Spans(batch, true, now)
		tr.Telemetry([]byte(records("r-1")), now) // whatever came before, the books still work
		var out strings.Builder
		if err := set.Flush(&out, now); err != nil || !strings.Contains(out.String(), `"Duration"`) {
			t.Errorf("wrote %q, %v", out.String(), err)
		}
	})
}
