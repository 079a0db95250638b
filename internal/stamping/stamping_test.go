package stamping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
)

var at = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

func newStamping(set *metrics.Set) *Stamping {
	return &Stamping{
		Stamper: lineage.NewStamper(lineage.Config{}), Metrics: set, Limit: sizemeter.LimitMiB, Warn: sizemeter.WarnDefault,
		WarnTypes: map[string]int{"Report": 500_000}, Now: func() time.Time { return at },
	}
}

// start resolves and starts a request of entries.
func (s *Stamping) start(t *testing.T, entries ...lineage.Entry) *Request {
	t.Helper()
	out := make([]*lineage.Outgoing, len(entries))
	for i := range entries {
		o := s.Resolve(t.Context(), entries[i], nil)
		out[i] = &o
	}
	return s.Start(t.Context(), out)
}

// weight is the size of an entry.
func weight(e *lineage.Entry) int {
	size := len(e.Source) + len(e.DetailType) + len(e.Detail)
	for _, line := range e.Resources {
		size += len(line)
	}
	return size
}

func event(eventType string, size int) lineage.Entry {
	return lineage.Entry{Source: "s", DetailType: eventType, Detail: fmt.Sprintf(`{"event_id":"e","correlation_id":"w","x":%q}`, strings.Repeat("x", size))}
}

func written(t *testing.T, set *metrics.Set) string {
	t.Helper()
	var out strings.Builder
	if err := set.Flush(&out, at); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sums adds up what was recorded under each name on the service alone.
func sums(t *testing.T, set *metrics.Set) map[string]float64 {
	t.Helper()
	total := map[string]float64{}
	for line := range strings.Lines(written(t, set)) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatal(err)
		}
		if _, apart := members["EventType"]; apart {
			continue
		}
		for name, value := range members {
			if number, ok := value.(float64); ok {
				total[name] += number
			}
		}
	}
	return total
}

func TestTheCallersEntriesStayAsTheyAre(t *testing.T) {
	entries := []lineage.Entry{event("A", 10), event("B", 10)}
	r := newStamping(nil).start(t, entries...)
	if len(entries[0].Resources)+len(entries[1].Resources) != 0 {
		t.Errorf("changed: %+v", entries)
	}
	for i, e := range r.Sent() {
		if e.Detail != entries[i].Detail || !slices.ContainsFunc(e.Resources, func(line string) bool { return strings.HasSuffix(line, ":w") }) {
			t.Errorf("entry %d is sent as %+v", i, e)
		}
		if added := weight(&e) - weight(&entries[i]); added <= 0 {
			t.Errorf("entry %d has a stamp of %d bytes", i, added)
		}
	}
}

// A stamp that would take a request over its budget is left out, and counted.
func TestAStampThatDoesNotFit(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "f"})
	full, small := event("A", 0), event("B", 10)
	full = event("A", sizemeter.RequestBudget-weight(&full)-weight(&small)-10)
	r := newStamping(set).start(t, full, small)
	r.Finish(nil, "", time.Millisecond)
	if len(r.Sent()[0].Resources) != 0 || len(r.Sent()[1].Resources) != 0 {
		t.Errorf("sent with %q and %q", r.Sent()[0].Resources, r.Sent()[1].Resources)
	}
	if got := sums(t, set); got["StampSkipped"] != 2 || got["EventsPublished"] != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestWhatIsCounted(t *testing.T) {
	finish := func(results []lineage.Result, err error, code string) map[string]float64 {
		set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
		entries := []lineage.Entry{event("A", 10), event("Report", 300_000), event("A", 250_000)}
		r := newStamping(set).start(t, entries...)
		r.Entries[0].Uncorrelated = true
		for i := range results {
			r.Entries[i].Result = results[i]
		}
		r.Finish(err, code, 5*time.Millisecond)
		return sums(t, set)
	}
	for name, tt := range map[string]struct {
		got  map[string]float64
		want map[string]float64
	}{
		"success": {finish(make([]lineage.Result, 3), nil, ""),
			map[string]float64{"EventsPublished": 3, "EventsFailed": 0, "OversizedEvents": 1, "UncorrelatedPublished": 1, "PublishDuration": 5, "BilledChunks": 10}},
		"some are throttled": {finish([]lineage.Result{{}, {ErrorCode: "ThrottlingException"}, {ErrorCode: "InternalException"}}, nil, ""),
			map[string]float64{"EventsPublished": 1, "EventsFailed": 2, "EventsThrottled": 1, "OversizedEvents": 1}},
		"the request fails": {finish(nil, errors.New("no"), "AccessDeniedException"),
			map[string]float64{"EventsPublished": 0, "EventsFailed": 3, "EventsThrottled": 0}},
	} {
		for metric, want := range tt.want {
			if tt.got[metric] != want {
				t.Errorf("%s: %s = %v, want %v", name, metric, tt.got[metric], want)
			}
		}
	}
}

// What is abandoned is counted by the request that takes its place.
func TestAbandonCountsNothing(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "f"})
	newStamping(set).start(t, event("A", 10)).Abandon(errors.New("signature"))
	if text := written(t, set); strings.Contains(text, `"EventsPublished":1`) || strings.Contains(text, `"PayloadSize":`) {
		t.Errorf("wrote %s", text)
	}
}

// Its spans end, in error: one that never ended would never be exported.
func TestAbandonEndsTheSpans(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	s := newStamping(nil)
	s.Stamper = lineage.NewStamper(lineage.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))})
	s.start(t, event("A", 10), event("B", 10)).Abandon(errors.New("signature"))
	ended := spans.GetSpans()
	if len(ended) != 3 { // one for each entry, and the request's
		t.Fatalf("%d spans ended", len(ended))
	}
	for _, span := range ended {
		if span.Status.Code != codes.Error {
			t.Errorf("%s: %v", span.Name, span.Status)
		}
	}
}

// values are those of a distribution, whatever the dimensions of its lines.
func values(t *testing.T, set *metrics.Set, name string) (all []float64) {
	t.Helper()
	for line := range strings.Lines(written(t, set)) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatal(err)
		}
		switch v := members[name].(type) {
		case float64:
			all = append(all, v)
		case []any:
			for _, one := range v {
				all = append(all, one.(float64))
			}
		}
	}
	return all
}

// The size and its share of the limit are those of the entry as it is sent.
func TestSizeAndUtilizationAreOfWhatIsSent(t *testing.T) {
	for _, name := range []string{"PayloadSize", "PayloadLimitUtilization"} {
		set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
		s := newStamping(set)
		s.Limit = 2000
		r := s.start(t, event("A", 900))
		r.Finish(nil, "", time.Millisecond)
		sent := &r.Sent()[0]
		size := weight(sent)
		want := map[string]float64{"PayloadSize": float64(size), "PayloadLimitUtilization": 100 * float64(size) / 2000}[name]
		if got := values(t, set, name); len(sent.Resources) == 0 || len(got) != 1 || got[0] != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

// An event of exactly the warning size is oversized, and one of a byte less is not.
func TestWhereOversizedBegins(t *testing.T) {
	s := newStamping(nil)
	for _, tt := range []struct {
		eventType string
		size      int
		want      bool
	}{{"A", sizemeter.WarnDefault - 1, false}, {"A", sizemeter.WarnDefault, true}, {"Report", 499_999, false}, {"Report", 500_000, true}} {
		if got := s.oversized(tt.eventType, tt.size); got != tt.want {
			t.Errorf("%s of %d bytes: %v", tt.eventType, tt.size, got)
		}
	}
	for _, below := range []int{0, 1} {
		set := metrics.New(metrics.Config{Service: "f"})
		e := event("A", 0)
		s := newStamping(set)
		s.Stamper = lineage.NewStamper(lineage.Config{Stamp: lineage.StampOff})
		s.start(t, event("A", sizemeter.WarnDefault-weight(&e)-below)).Finish(nil, "", 0)
		if got := sums(t, set)["OversizedEvents"]; got != float64(1-below) {
			t.Errorf("%d below the warning size: %v oversized", below, got)
		}
	}
}
