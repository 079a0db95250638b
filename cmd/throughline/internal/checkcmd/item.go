package checkcmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// Status is how an item went.
type Status string

// The statuses. Only a failed item makes the command end with 1.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Warn Status = "warn"
	Skip Status = "skip"
)

// Result is one line of the checklist.
type Result struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Status   Status   `json:"status"`
	Evidence string   `json:"evidence"`          // what was seen, or why it was skipped
	Details  []string `json:"details,omitempty"` // further findings
	Next     string   `json:"next,omitempty"`    // what to do
}

// limits are what the items compare with.
type limits struct {
	size     int
	duration time.Duration
	hops     int
}

// item is one line of the checklist and how it is judged.
type item struct {
	id, title string
	judge     func(*system.System, limits) Result
}

// items are the checklist, in the order in which it is printed.
var items = []item{
	{"serialise", "events serialise", serialise},
	{"size", "largest payload", size},
	{"replay", "a replay leaves no repeated effect", replay},
	{"dlq", "the dead-letter queue receives a failed event", deadLetters},
	{"durations", "durations", durations},
	{"correlation", "correlation IDs end to end", correlation},
	{"delay", "behaviour under network delay", delay},
	{"loops", "no infinite loops", loops},
	{"bus", "buses exist", buses},
	{"resources", "rules on resources keep their meaning", resources},
	{"targets", "rule targets have dead-letter queues", targets},
	{"policies", "resource policies let events through", policies},
	{"timeouts", "time-outs against durations", timeouts},
	{"logs", "log settings let metrics through", logSettings},
	{"metrics", "metrics arrive", arriving},
	{"names", "metric names are spelt as they are emitted", names},
}

// judge runs the items, those of only where it is not empty.
func judge(s *system.System, l limits, only []string) []Result {
	var results []Result
	for _, i := range items {
		if !chosen(only, i.id) {
			continue
		}
		r := i.judge(s, l)
		r.ID, r.Title = i.id, i.title
		results = append(results, r)
	}
	return results
}

func chosen(only []string, id string) bool {
	if len(only) == 0 {
		return true
	}
	for _, o := range only {
		if o == id {
			return true
		}
	}
	return false
}

func pass(format string, args ...any) Result {
	return Result{Status: Pass, Evidence: fmt.Sprintf(format, args...)}
}

func skip(next, format string, args ...any) Result {
	return Result{Status: Skip, Evidence: fmt.Sprintf(format, args...), Next: next}
}

// findings collects what is wrong, the worst first.
type findings struct {
	bad, doubtful []string
}

func (f *findings) fail(format string, args ...any) {
	f.bad = append(f.bad, fmt.Sprintf(format, args...))
}

func (f *findings) warn(format string, args ...any) {
	f.doubtful = append(f.doubtful, fmt.Sprintf(format, args...))
}

// or is good where nothing was found, else the findings with what to do.
func (f *findings) or(good Result, next string) Result {
	all := append(append([]string(nil), f.bad...), f.doubtful...)
	if len(all) == 0 {
		return good
	}
	r := Result{Status: Fail, Evidence: all[0], Details: all[1:], Next: next}
	if len(f.bad) == 0 {
		r.Status = Warn
	}
	return r
}

// unread is the skip for want of a part, if one of them could not be read.
func unread(s *system.System, parts ...system.Part) (Result, bool) {
	for _, p := range parts {
		if why := s.Unread[p]; why != "" {
			return skip("`throughline check policy` prints the permissions that it needs", "the %s could not be read: %s", p, why), true
		}
	}
	return Result{}, false
}

// plural is "1 event" or "2 events".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "y") && !strings.HasSuffix(what, "ay") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// some names the first few of a list.
func some(list []string) string {
	const few = 4
	if len(list) <= few {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:few], ", "), len(list)-few)
}

// window says which time was looked at.
func window(s *system.System) string {
	if s.Observed.Over == 0 {
		return s.Source
	}
	return "the last " + short(s.Observed.Over)
}

// short writes a duration without the zeros at its end.
func short(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	for _, zero := range []string{"0s", "0m"} {
		if strings.HasSuffix(text, "h"+zero) || strings.HasSuffix(text, "m"+zero) {
			text = strings.TrimSuffix(text, zero)
		}
	}
	return text
}
