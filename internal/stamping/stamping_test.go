package stamping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/sizemeter"
	"github.com/throughline/throughline/tracing"
)

var at = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

func newStamping(set *metrics.Set) *Stamping {
	return &Stamping{
		Stamper: tracing.NewStamper(tracing.Config{}), Metrics: set, Limit: sizemeter.LimitMiB, Warn: sizemeter.WarnDefault,
		WarnTypes: map[string]int{"Report": 500_000}, Now: func() time.Time { return at },
	}
}

func event(eventType string, size int) tracing.Entry {
	return tracing.Entry{Source: "s", DetailType: eventType, Detail: fmt.Sprintf(`{"event_id":"e","correlation_id":"w","x":%q}`, strings.Repeat("x", size))}
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
	entries := []tracing.Entry{event("A", 10), event("B", 10)}
	r := newStamping(nil).Start(t.Context(), entries, nil)
	if len(entries[0].Resources)+len(entries[1].Resources) != 0 {
		t.Errorf("changed: %+v", entries)
	}
	for i, e := range r.Sent {
		if e.Detail != entries[i].Detail || !slices.ContainsFunc(e.Resources, func(line string) bool { return strings.HasSuffix(line, ":w") }) {
			t.Errorf("entry %d is sent as %+v", i, e)
		}
		if added := Size(&e) - Size(&entries[i]); added <= 0 {
			t.Errorf("entry %d has a stamp of %d bytes", i, added)
		}
	}
}

// A stamp that would take a request over its budget is left out, and counted.
func TestAStampThatDoesNotFit(t *testing.T) {
	set := metrics.New(metrics.Config{Service: "f"})
	full, small := event("A", 0), event("B", 10)
	full = event("A", sizemeter.RequestBudget-Size(&full)-Size(&small)-10)
	r := newStamping(set).Start(t.Context(), []tracing.Entry{full, small}, nil)
	r.Finish(nil, nil, "", time.Millisecond)
	if len(r.Sent[0].Resources) != 0 || len(r.Sent[1].Resources) != 0 {
		t.Errorf("sent with %q and %q", r.Sent[0].Resources, r.Sent[1].Resources)
	}
	if got := sums(t, set); got["StampSkipped"] != 2 || got["EventsPublished"] != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestWhatIsCounted(t *testing.T) {
	finish := func(results []tracing.Result, err error, code string) map[string]float64 {
		set := metrics.New(metrics.Config{Service: "f", Profile: metrics.Full})
		entries := []tracing.Entry{event("A", 10), event("Report", 300_000), event("A", 250_000)}
		entries[0].Detail = `{"event_id":"e"}`
		newStamping(set).Start(t.Context(), entries, nil).Finish(results, err, code, 5*time.Millisecond)
		return sums(t, set)
	}
	for name, tt := range map[string]struct {
		got  map[string]float64
		want map[string]float64
	}{
		"success": {finish(make([]tracing.Result, 3), nil, ""),
			map[string]float64{"EventsPublished": 3, "EventsFailed": 0, "OversizedEvents": 1, "UncorrelatedPublished": 1, "PublishDuration": 5, "BilledChunks": 10}},
		"some are throttled": {finish([]tracing.Result{{}, {ErrorCode: "ThrottlingException"}, {ErrorCode: "InternalException"}}, nil, ""),
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
	newStamping(set).Start(t.Context(), []tracing.Entry{event("A", 10)}, nil).Abandon(errors.New("signature"))
	if text := written(t, set); strings.Contains(text, `"EventsPublished":1`) || strings.Contains(text, `"PayloadSize":`) {
		t.Errorf("wrote %s", text)
	}
}
