package sdkcalls

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/extension/internal/putevents"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/stamping"
	"github.com/throughline/throughline/metrics"
)

const body = `{"Entries":[{"Source":"s","DetailType":"T","Detail":"{\"event_id\":\"e-1\"}"}]}`

// counting is Calls and what they count.
type counting struct {
	*Calls
	t   *testing.T
	set *metrics.Set
	now time.Time
}

func count(t *testing.T) *counting {
	t.Helper()
	c := &counting{t: t, set: metrics.New(metrics.Config{Service: "f", Profile: metrics.Basic}), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	c.Calls = New(stamping.Stamping{Stamper: lineage.NewStamper(lineage.Config{}), Metrics: c.set, Limit: 1 << 20, Warn: 1 << 20, Now: func() time.Time { return c.now }})
	return c
}

func (c *counting) ask(id, invocation, attempts string) []byte {
	c.t.Helper()
	a := Attempt{ID: id, Invocation: invocation, Key: "AKID", Body: []byte(body), Context: c.t.Context()}
	a.Number, a.Max = Attempts(attempts)
	changes, reason := c.Ask(a)
	if reason != "" {
		c.t.Errorf("%s: %s", id, reason)
	}
	return putevents.Apply(a.Body, changes)
}

// counts holds what was counted: published, failed, unknown.
func (c *counting) counts(published, failed, unknown int) {
	c.t.Helper()
	var out strings.Builder
	if err := c.set.Flush(&out, c.now); err != nil {
		c.t.Fatal(err)
	}
	for name, n := range map[string]int{"EventsPublished": published, "EventsFailed": failed, "EventsUnknown": unknown} {
		if want := fmt.Sprintf(`"%s":%d`, name, n); n > 0 && !strings.Contains(out.String(), want) || n == 0 && strings.Contains(out.String(), `"`+name+`":`) && !strings.Contains(out.String(), `"`+name+`":0`) {
			c.t.Errorf("want %s in %s", want, out.String())
		}
	}
}

var (
	busy     = Outcome{Kind: Answered, Stamped: true, Status: 503, Error: "ServiceUnavailable"}
	skewed   = Outcome{Kind: Answered, Stamped: true, Status: 403, Error: "InvalidSignatureException"}
	denied   = Outcome{Kind: Answered, Stamped: true, Status: 400, Error: "AccessDeniedException"}
	taken    = Outcome{Kind: Answered, Stamped: true, Status: 200, Entries: []lineage.Result{{EventID: "e"}}}
	noAnswer = Outcome{Kind: Failed, Stamped: true, Error: "ECONNRESET"}
	given    = Outcome{Kind: Cancelled, Stamped: true}
)

// A call counts by the outcome of its last attempt, whatever SDK makes it.
func TestACallIsCountedOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		invocation                 string
		attempts                   []string
		outcomes                   []Outcome
		published, failed, unknown int
	}{
		"Taken at once":             {"i", []string{"attempt=1; max=3"}, []Outcome{taken}, 1, 0, 0},
		"Retried with success":      {"i", []string{"attempt=1; max=3", "attempt=2; max=3"}, []Outcome{busy, taken}, 1, 0, 0},
		"boto3's first has no max":  {"i", []string{"attempt=1", "attempt=2; max=5", "attempt=3; max=5"}, []Outcome{busy, noAnswer, taken}, 1, 0, 0},
		"A clock that is off":       {"i", []string{"attempt=1; max=3", "attempt=2; max=3"}, []Outcome{skewed, taken}, 1, 0, 0},
		"Without an ID":             {"", []string{"", ""}, []Outcome{busy, taken}, 1, 0, 0},
		"Refused":                   {"i", []string{"attempt=1; max=3"}, []Outcome{denied}, 0, 1, 0},
		"Given up":                  {"i", []string{"attempt=1; max=2", "attempt=2; max=2"}, []Outcome{busy, busy}, 0, 1, 0},
		"Given up before the last":  {"i", []string{"attempt=1; max=3"}, []Outcome{busy}, 0, 1, 0},
		"Cancelled":                 {"i", []string{"attempt=1; max=3"}, []Outcome{given}, 0, 0, 1},
		"Timed out, then retried":   {"i", []string{"attempt=1; max=3", "attempt=2; max=3"}, []Outcome{given, taken}, 1, 0, 0},
		"Same body twice, taken":    {"", []string{"", ""}, []Outcome{taken, taken}, 2, 0, 0},
		"Same body twice, two IDs":  {"", []string{"", ""}, []Outcome{denied, taken}, 1, 1, 0},
		"Nothing heard of the last": {"i", []string{"attempt=1; max=3", "attempt=2; max=3"}, []Outcome{busy}, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := count(t)
			var first string
			for i, attempts := range tt.attempts {
				id := fmt.Sprint("call-", i)
				stamped := string(c.ask(id, tt.invocation, attempts))
				if i < len(tt.outcomes) {
					c.Report(id, tt.outcomes[i])
				}
				if i == 0 {
					first = stamped
				} else if tt.invocation != "" && stamped != first {
					t.Errorf("attempt %d is stamped\n%s\nand the first\n%s", i+1, stamped, first)
				}
			}
			c.InvocationEnded()
			if name == "Nothing heard of the last" { // it may still come
				if len(c.open) != 1 {
					t.Errorf("%d open", len(c.open))
				}
				c.Close()
			}
			if len(c.open) != 0 || c.kept != 0 {
				t.Errorf("%d open, %d bytes kept", len(c.open), c.kept)
			}
			c.counts(tt.published, tt.failed, tt.unknown)
		})
	}
}

// Outside Lambda a call closes after a while.
func TestCallsExpire(t *testing.T) {
	c := count(t)
	c.ask("a", "i", "attempt=1; max=3")
	c.Report("a", busy)
	c.ask("b", "j", "")
	c.now = c.now.Add(OpenFor - time.Second)
	if c.Expire(); len(c.open) != 2 {
		t.Errorf("%d open", len(c.open))
	}
	c.now = c.now.Add(time.Second)
	c.Expire()
	c.counts(0, 1, 1)
}

func TestOpenCallsAreBounded(t *testing.T) {
	c := count(t)
	for i := range 10 * maxOpen {
		c.ask(fmt.Sprint("call-", i), fmt.Sprint("invocation-", i), "")
		c.Report(fmt.Sprint("unasked-", i), Outcome{Kind: Failed, Invocation: fmt.Sprint("other-", i), Error: strings.Repeat("x", 1<<20)})
	}
	if len(c.open) > maxOpen || c.kept > maxKept || len(c.reported) > maxReported {
		t.Errorf("%d open, %d bytes kept, %d reported", len(c.open), c.kept, len(c.reported))
	}
}
