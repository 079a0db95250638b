package conformance

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/throughline/throughline/local/lambdalocal"
)

// flaky is a backend that fails one request in twenty, before or after it took
// the spans, and counts each span once.
type flaky struct {
	*httptest.Server
	mu       sync.Mutex
	rng      *rand.Rand
	requests map[string]int // process spans, by request ID
	seen     map[string]bool
	spans    int
}

func newFlaky(t *testing.T) *flaky {
	t.Helper()
	f := &flaky{rng: rand.New(rand.NewPCG(5, 5)), requests: map[string]int{}, seen: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return // a connection that is opened ahead
		}
		request := &collector.ExportTraceServiceRequest{}
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		body, err := io.ReadAll(zip)
		if err != nil || proto.Unmarshal(body, request) != nil {
			t.Error("no OTLP")
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.rng.IntN(20) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					f.spans++
					id := string(span.SpanId)
					if f.seen[id] {
						continue
					}
					f.seen[id] = true
					if span.Name != "victim" {
						f.requests[text(span, "faas.invocation_id")]++
					}
				}
			}
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// Over twenty environments that are frozen after each invocation, shut down and
// killed at random, every span and every count arrives, or is in a drop
// counter, or is of a killed environment's last seconds.
func TestNothingIsLost(t *testing.T) {
	invocations := 5_000
	if os.Getenv("THROUGHLINE_SOAK") != "" {
		invocations = 100_000
	}
	const environments = 20
	backend := newFlaky(t)
	var mu sync.Mutex
	sums := map[string]float64{}
	svc := lambdalocal.New(lambdalocal.Options{Dir: t.TempDir(), OnLog: func(l lambdalocal.LogLine) {
		var doc map[string]any
		if !strings.HasPrefix(l.Text, "{") || json.Unmarshal([]byte(l.Text), &doc) != nil || doc["_aws"] == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"Duration", "SpansDropped", "ExportFailures", "TelemetryDropped", "ColdStart"} {
			switch v := doc[name].(type) {
			case float64:
				if name == "Duration" {
					v = 1
				}
				sums[name] += v
			case []any:
				sums[name] += float64(len(v))
			}
		}
	}})
	s := &scene{t: t, spans: &spansOf{Server: backend.Server}, alpaca: backend.Server}
	f := s.attach(lambdalocal.Function{Name: "victim", Handler: "victim", Runtime: []string{binary(t, "quick", "./testdata/quick")}})
	f.MaxEnvironments, f.Env["THROUGHLINE_METRICS"] = environments, "full"
	d, err := svc.Create(f)
	if err != nil {
		t.Fatal(err)
	}
	work := make(chan int)
	var all, failed sync.WaitGroup
	killed := map[string]bool{}
	ids := make([]string, invocations)
	for range environments {
		all.Go(func() {
			for n := range work {
				result, err := d.Invoke(t.Context(), fmt.Appendf(nil, `{"version":"0","id":"e-%d","detail-type":"T","source":"s","resources":["correlation:w"],"detail":{"event_id":"e-%d"}}`, n, n), lambdalocal.InvokeOptions{Wait: true})
				if err != nil {
					t.Error(err)
					return
				}
				ids[n] = result.RequestID
			}
		})
	}
	rng := rand.New(rand.NewPCG(11, 11))
	for n := range invocations {
		work <- n
		if n > 0 && n%(invocations/40) == 0 {
			list := d.Environments()
			if len(list) == 0 {
				continue
			}
			e := list[rng.IntN(len(list))]
			if n%(invocations/10) == 0 {
				killed[e.ID()] = true
				failed.Go(e.Kill)
			} else {
				failed.Go(func() { e.Shutdown("spindown") })
			}
		}
	}
	close(work)
	all.Wait()
	failed.Wait()
	if err := svc.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := svc.Close(); err != nil {
		t.Error(err)
	}

	backend.mu.Lock()
	defer backend.mu.Unlock()
	mu.Lock()
	defer mu.Unlock()
	last := map[string]time.Time{}
	for _, i := range d.Invocations() {
		if end := i.Start.Add(i.Duration); end.After(last[i.Environment]) {
			last[i.Environment] = end
		}
	}
	missing, excused, counted := 0, 0, 0
	for _, i := range d.Invocations() {
		counted++
		switch {
		case backend.requests[i.RequestID] > 1:
			t.Errorf("%s has %d process spans", i.RequestID, backend.requests[i.RequestID])
		case backend.requests[i.RequestID] == 1:
		case killed[i.Environment] && last[i.Environment].Sub(i.Start) <= 5*time.Second || i.Status != lambdalocal.Success:
			excused++
		default:
			missing++
		}
	}
	if float64(missing) > sums["SpansDropped"] {
		t.Errorf("%d process spans are missing, %v were counted as dropped", missing, sums["SpansDropped"])
	}
	if got := int(sums["Duration"]); got > counted || got < counted-excused-2*len(killed) {
		t.Errorf("%d durations, %d invocations, %d of them cut short", got, counted, excused)
	}
	t.Logf("%d invocations in %d environments, %d killed: %d spans taken; %d missing, %v counted as dropped, %d of killed environments' last seconds; %v exports failed",
		counted, len(last), len(killed), len(backend.seen), missing, sums["SpansDropped"], excused, sums["ExportFailures"])
}
