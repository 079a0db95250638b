package schedulerlocal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/throughline/throughline/local/schedulerlocal"
)

// TestExpressions goes through the examples of "Schedule types" (EventBridge Scheduler user
// guide) and of "Creating a rule that runs on a schedule" (EventBridge user guide).
func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		expression, zone, from string
		want                   []string
	}{
		{"cron(15 10 ? * 6L 2022-2023)", "", "2022-01-01T00:00:00Z", []string{"2022-01-28T10:15:00Z", "2022-02-25T10:15:00Z"}},
		{"cron(0 10 * * ? *)", "", "2026-11-30T10:00:00Z", []string{"2026-12-01T10:00:00Z", "2026-12-02T10:00:00Z"}},
		{"cron(0 18 ? * MON-FRI *)", "", "2026-12-04T18:00:00Z", []string{"2026-12-07T18:00:00Z", "2026-12-08T18:00:00Z"}},
		{"cron(0 8 1 * ? *)", "", "2026-12-01T08:00:00Z", []string{"2027-01-01T08:00:00Z"}},
		{"cron(0/15 * * * ? *)", "", "2026-12-01T08:16:00Z", []string{"2026-12-01T08:30:00Z", "2026-12-01T08:45:00Z", "2026-12-01T09:00:00Z"}},
		{"cron(0/10 * ? * MON-FRI *)", "", "2026-12-04T23:55:00Z", []string{"2026-12-07T00:00:00Z"}},
		{"cron(0/5 8-17 ? * MON-FRI *)", "", "2026-12-04T17:54:00Z", []string{"2026-12-04T17:55:00Z", "2026-12-07T08:00:00Z"}},
		{"cron(0/30 20-2 ? * MON-FRI *)", "", "2026-12-04T02:31:00Z", []string{"2026-12-04T20:00:00Z"}},
		{"cron(0 9 ? * 2#1 *)", "", "2026-12-01T00:00:00Z", []string{"2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"}},
		{"cron(0 0 L * ? *)", "", "2028-02-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"}},
		{"cron(0 0 15W * ? *)", "", "2026-08-01T00:00:00Z", []string{"2026-08-14T00:00:00Z", "2026-09-15T00:00:00Z"}},
		{"cron(0 0 1W * ? *)", "", "2026-08-01T00:00:00Z", []string{"2026-08-03T00:00:00Z"}},
		{"cron(0 0 ? * L *)", "", "2026-12-01T00:00:00Z", []string{"2026-12-05T00:00:00Z"}},
		{"cron(0 0 1 JAN,7 ? 2027)", "", "2026-12-01T00:00:00Z", []string{"2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z", ""}},
		{"cron(35 15 ? * MON-FRI *)", "America/New_York", "2026-11-30T12:00:00Z", []string{"2026-11-30T20:35:00Z"}},
		{"cron(30 2 * * ? *)", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-09T06:30:00Z"}}, // the 8th has no 02:30
		{"rate(5 minutes)", "", "2026-12-01T00:00:00Z", []string{"2026-12-01T00:05:00Z", "2026-12-01T00:10:00Z"}},
		{"rate(1 day)", "", "2026-12-01T00:00:00Z", []string{"2026-12-02T00:00:00Z"}},
		{"at(2026-12-20T13:00:00)", "Europe/Berlin", "2026-12-01T00:00:00Z", []string{"2026-12-20T12:00:00Z", ""}},
	} {
		e, err := schedulerlocal.ParseExpression(c.expression, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		at, _ := time.Parse(time.RFC3339, c.from)
		for _, want := range c.want {
			next, ok := e.Next(at)
			if got := next.UTC().Format(time.RFC3339); want == "" && ok || want != "" && got != want {
				t.Errorf("%s after %s: %s, not %s", c.expression, at, got, want)
			}
			at = next
		}
	}
	for _, wrong := range []string{"", "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 0 * * ?)", "rate(0 minutes)", "rate(5 weeks)", "rate(5)", "at(tomorrow)", "every(5)", "cron(0 0 ? * 2#6 *)", "cron(*/0 0 * * ? *)"} {
		if _, err := schedulerlocal.ParseExpression(wrong, ""); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
	if _, err := schedulerlocal.ParseExpression("rate(1 day)", "Mars/Olympus"); err == nil {
		t.Error("a time zone that is none was taken")
	}
}

func FuzzExpression(f *testing.F) {
	f.Add("cron(0/5 8-17 ? * MON-FRI 2026)", int64(1_800_000_000))
	f.Add("rate(5 minutes)", int64(0))
	f.Fuzz(func(t *testing.T, text string, from int64) {
		e, err := schedulerlocal.ParseExpression(text, "")
		at := time.Unix(from%8e9, 0)
		if err != nil || at.Year() < 1970 {
			return
		}
		if next, ok := e.Next(at); ok && !next.After(at) {
			t.Errorf("%s after %s: %s", text, at, next)
		}
	})
}

func ExampleExpression_Next() {
	e, err := schedulerlocal.ParseExpression("cron(35 15 ? * MON-FRI *)", "America/New_York")
	next, _ := e.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC))
	fmt.Println(next, err)
	// Output: 2026-11-30 15:35:00 -0500 EST <nil>
}
