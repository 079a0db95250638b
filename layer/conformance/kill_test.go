package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/local/buslocal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// moment is a point of an environment's life: the nth time that it is reached.
type moment struct {
	point lambdalocal.Point
	nth   int
}

var moments = []moment{
	{lambdalocal.ExtensionRegistered, 1}, {lambdalocal.RuntimeStarted, 1}, {lambdalocal.InitDone, 1},
	{lambdalocal.InvokeSent, 1}, {lambdalocal.ResponseSent, 1}, {lambdalocal.RuntimeDone, 1}, {lambdalocal.InvokeDone, 1},
	{lambdalocal.InvokeSent, 2}, {lambdalocal.ResponseSent, 2}, {lambdalocal.RuntimeDone, 2}, {lambdalocal.InvokeDone, 2},
	{lambdalocal.ShutdownSent, 1},
}

// killed runs three invocations and kills the extension at a moment.
func killed(t *testing.T, at moment, ours bool) (seen []outcome, bus *buslocal.Bus, lines []string) {
	t.Helper()
	bus = buslocal.New(buslocal.Options{})
	t.Cleanup(bus.Close)
	busURL, err := bus.Start()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := minimalExtension(t)
	if ours {
		binary = extensionBinary(t)
	}
	var mu sync.Mutex
	reached, done := 0, false
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, l.Text)
	}})
	f := lambdalocal.Function{
		Name: "victim", Handler: "victim", Runtime: []string{self}, Extensions: []string{binary}, Memory: 512, Timeout: 20 * time.Second, MaxEnvironments: 1,
		Env: map[string]string{
			"TEST_ROLE": "victim", "GORACE": "atexit_sleep_ms=0", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": awsConfig(t, busURL),
			"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"),
		},
		Hook: func(e lambdalocal.Event) {
			mu.Lock()
			if e.Point == at.point {
				reached++
			}
			kill := reached == at.nth && e.Point == at.point && !done
			done = done || kill
			mu.Unlock()
			if kill {
				_ = e.Environment.KillExtension(filepath.Base(binary))
			}
		},
	}
	if ours {
		wrapper, err := filepath.Abs("../throughline/wrapper")
		if err != nil {
			t.Fatal(err)
		}
		f.Wrapper = wrapper
		maps.Copy(f.Env, map[string]string{
			"THROUGHLINE_ENDPOINTS": "otlp,events,alpaca,runtime", "THROUGHLINE_OTLP_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_ADDR": "127.0.0.1:0",
			"THROUGHLINE_ALPACA_ADDR": "127.0.0.1:0", "THROUGHLINE_RUNTIME_ADDR": "127.0.0.1:0", "THROUGHLINE_EVENTS_UPSTREAM": busURL,
		})
	}
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{"a", "b", "c"} {
		result, err := d.Invoke(t.Context(), fmt.Appendf(nil, `{"id":%q}`, id), lambdalocal.InvokeOptions{Wait: true, RequestID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i)})
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, outcome{result.FunctionError, result.ErrorType, ""})
		if err := svc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := svc.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !done {
		t.Errorf("%s %d was never reached", at.point, at.nth)
	}
	return seen, bus, lines
}

// failures counts the invocations that failed, all of them for the extension's death. A runtime whose
// runtime endpoint died with the extension exits, and Lambda may notice that first.
func failures(t *testing.T, seen []outcome, kinds ...string) (n int) {
	t.Helper()
	for _, o := range seen {
		if o.Error != "" {
			n++
		}
		if o.Error != "" && !slices.Contains(kinds, o.Kind) {
			t.Errorf("failed with %+v", o)
		}
	}
	return n
}

// An extension that is killed costs what any extension costs: the invocation it
// dies in. Those after it work, and nothing is stamped or counted twice.
func TestKilledAtAnyPoint(t *testing.T) {
	for _, at := range moments {
		t.Run(fmt.Sprintf("%s %d", at.point, at.nth), func(t *testing.T) {
			t.Parallel()
			want, reference, _ := killed(t, at, false)
			got, bus, lines := killed(t, at, true)
			// Once there is an invocation, Lambda may notice the death before its answer,
			// or in the next one: with any extension.
			init := at.point == lambdalocal.ExtensionRegistered || at.point == lambdalocal.RuntimeStarted
			if init && !slices.Equal(got, want) || failures(t, got, "Extension.Crash", "Runtime.ExitError") > max(failures(t, want, "Extension.Crash"), 1) {
				t.Errorf("its callers see %v, with a minimal extension %v", got, want)
			}
			ids := map[string]int{}
			for _, e := range bus.Ledger().Published {
				ids[e.Detail]++
				stamps := 0
				for _, line := range e.Resources {
					if strings.HasPrefix(line, "traceparent:") {
						stamps++
					}
				}
				if stamps > 1 {
					t.Errorf("stamped %d times: %q", stamps, e.Resources)
				}
			}
			if len(ids) < len(reference.Ledger().Published)-1 {
				t.Errorf("published %v, with a minimal extension %d", ids, len(reference.Ledger().Published))
			}
			published := 0
			for _, line := range lines {
				published += strings.Count(line, `"EventsPublished":1,`)
			}
			if published > len(bus.Ledger().Published) {
				t.Errorf("%d events counted, %d published", published, len(bus.Ledger().Published))
			}
		})
	}
}
