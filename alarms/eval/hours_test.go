package eval

import (
	"fmt"
	"testing"
	"time"

	"github.com/throughline/throughline/alarms"
)

// TestHours: an alarm with hours is in ALARM only where the datapoint is within them,
// whatever fails outside, and a metric without datapoints as one with them.
func TestHours(t *testing.T) {
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	workday := func(at time.Time) bool {
		return at.Weekday() != time.Saturday && at.Weekday() != time.Sunday && at.Hour() >= 9 && at.Hour() < 17
	}
	for text, within := range map[string]func(time.Time) bool{
		"Mon-Fri 09:00-17:00":     workday,
		"mon-fri 09:00-17:00 UTC": workday,
		"Sat,Sun 00:00-24:00":     func(at time.Time) bool { return at.Weekday() == time.Saturday || at.Weekday() == time.Sunday },
		"Fri-Mon,Wed 12:30-24:00": func(at time.Time) bool {
			d := at.Weekday()
			return d != time.Tuesday && d != time.Thursday && at.Hour()*60+at.Minute() >= 750
		},
		"22:00-06:00": func(at time.Time) bool { return at.Hour() >= 22 || at.Hour() < 6 },
		"always":      func(time.Time) bool { return true },
	} {
		for _, row := range []string{"errors-any", "errors", "not-invoked"} {
			s, err := alarms.Compile([]byte(fmt.Sprintf(`name: o
resources: [{kind: lambda, name: f, timeout: 30s, every: 5m}]
defaults: {hours: "Tue 01:00-02:00"}
overrides: [{match: {key: %s}, hours: %q, period: 30m}]`, row, text)))
			if err != nil {
				t.Fatal(err)
			}
			if found := alarms.Lint(s); len(found) > 0 {
				t.Errorf("%s: %v", text, found)
			}
			for _, a := range s.Alarms {
				if a.Meta.Key != row {
					continue
				}
				errors, invocations := Series{}, Series{}
				for at := monday; at.Before(monday.AddDate(0, 0, 7)); at = at.Add(30 * time.Minute) {
					errors[at.Unix()] = 5
					if row == "errors" {
						invocations[at.Unix()] = 5
					}
				}
				if row == "not-invoked" { // once, so that the metric is known
					invocations[monday.Unix()-1800] = 1
					invocations[monday.AddDate(0, 0, 7).Unix()] = 1
				}
				data := Table{}
				for _, stat := range a.Stats() {
					if data[Key(stat)] = errors; stat.Metric == "Invocations" {
						data[Key(stat)] = invocations
					}
				}
				points, _, err := Datapoints(a, data)
				if err != nil {
					t.Fatal(err)
				}
				for at := monday; at.Before(monday.AddDate(0, 0, 7)); at = at.Add(30 * time.Minute) {
					point, there := points[at.Unix()]
					if !there && text == "always" {
						continue // it is the metric itself
					}
					if !there || a.Comparison.Breaches(point, a.Threshold) != within(at) {
						t.Errorf("%s of %s at %s: %v, %v", row, text, at.Format("Mon 15:04"), point, there)
						break
					}
				}
			}
		}
	}
}
