package extension

import (
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/tracing/otlp"
)

func TestPace(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	p := pace{}
	for i := range steadyAfter {
		if !p.atEnd(at, time.Time{}, false) {
			t.Fatalf("invocation %d is exported beside the next", i)
		}
		at = at.Add(time.Second)
	}
	if p.atEnd(at, time.Time{}, false) {
		t.Error("steady traffic is exported at the end")
	}
	at = at.Add(time.Second)
	if !p.atEnd(at, at.Add(-6*time.Second), true) {
		t.Error("a span older than five seconds waits on")
	}
	at = at.Add(time.Second)
	if p.atEnd(at, at.Add(-time.Second), true) {
		t.Error("a fresh span is exported at the end")
	}
	at = at.Add(2 * time.Minute)
	if !p.atEnd(at, time.Time{}, false) {
		t.Error("after a long gap the next is exported beside")
	}
	for mode, want := range map[Flush]bool{FlushEnd: true, FlushPeriodic: false} {
		p := pace{mode: mode}
		if got := p.atEnd(at, time.Time{}, false); got != want {
			t.Errorf("%s: at the end %v", mode, got)
		}
	}
}

func TestProactiveInitialisation(t *testing.T) {
	var out strings.Builder
	set := metrics.New(metrics.Config{Service: "f"})
	b := newBooks(Config{}, set, func([]byte) {})
	begun := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	b.telemetry([]byte(`[{"time":"2026-11-23T20:40:00Z","type":"platform.initStart","record":{"initializationType":"on-demand"}},{"time":"2026-11-23T20:40:01Z","type":"platform.initRuntimeDone","record":{"status":"success"}}]`), begun)
	b.begin(invoke("r-1", begun.Add(time.Minute)), begun)
	b.telemetry([]byte(records("r-1")), begun)
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
	b := newBooks(Config{}, set, func([]byte) {})
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	b.telemetry([]byte(records("r-1")), now)
	over := b.begin(invoke("r-1", now.Add(time.Minute)), now)
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

// A handler of a few microseconds answers before the Extensions API has told of
// its invocation: nobody waits for that end again.
func TestEndBeforeTheExtensionsAPI(t *testing.T) {
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	for name, ends := range map[string]func(*books){
		"the runtime endpoint": func(b *books) {
			b.arrives("r-1", now)
			b.handled("r-1", now.Add(time.Millisecond), time.Millisecond, "")
		},
		"the library": func(b *books) {
			b.process(otlp.Found{Texts: []string{"r-1"}}, true, now)
			b.handled("r-1", now.Add(time.Millisecond), time.Millisecond, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := metrics.New(metrics.Config{Service: "f"})
			b := newBooks(Config{}, set, func([]byte) {})
			for range 2 { // the second time as a retry
				ends(b)
				select {
				case <-b.begin(invoke("r-1", now.Add(time.Minute)), now):
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
	b := newBooks(Config{}, set, func([]byte) {})
	b.subscribed()
	now := time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC)
	for n, kind := range []string{"", "ValueError", "timeout"} {
		id := "r-" + string(rune('1'+n))
		b.begin(invoke(id, now.Add(time.Minute)), now)
		b.handled(id, now.Add(100*time.Millisecond), 100*time.Millisecond, kind)
		now = now.Add(time.Second)
	}
	b.begin(invoke("r-4", now.Add(time.Minute)), now)
	b.handled("r-4", now.Add(100*time.Millisecond), 100*time.Millisecond, "")
	b.telemetry([]byte(records("r-4")), now) // heard of in time: 140 ms by Lambda's own measure
	now = now.Add(time.Minute)
	b.begin(invoke("r-5", now.Add(time.Minute)), now)
	b.telemetry([]byte(records("r-1")), now) // an hour late
	b.settle(t.Context(), "spindown", now)
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

func TestBooksAreBounded(t *testing.T) {
	b := newBooks(Config{}, nil, func([]byte) {})
	now := time.Now()
	for i := range maxOpen * 5 {
		id := "r-" + time.Duration(i).String()
		b.begin(invoke(id, now), now)
		b.telemetry([]byte(records(id)), now)
	}
	if len(b.open) > maxOpen || len(b.seen) > maxSeen || len(b.order) > maxOpen {
		t.Errorf("%d open, %d seen", len(b.open), len(b.seen))
	}
}

func FuzzTelemetry(f *testing.F) {
	f.Add([]byte(records("r-1")))
	f.Add([]byte(`[{"type":"platform.report","record":{"requestId":"r-1","metrics":{"durationMs":"1e999"}}}`))
	f.Fuzz(func(t *testing.T, batch []byte) {
		set := metrics.New(metrics.Config{Service: "f"})
		b := newBooks(Config{}, set, func([]byte) {})
		now := time.Now()
		b.begin(invoke("r-1", now.Add(time.Minute)), now)
		b.telemetry(batch, now)
		b.spans(batch, true, now)
		b.telemetry([]byte(records("r-1")), now) // whatever came before, the books still work
		var out strings.Builder
		if err := set.Flush(&out, now); err != nil || !strings.Contains(out.String(), `"Duration"`) {
			t.Errorf("wrote %q, %v", out.String(), err)
		}
	})
}
