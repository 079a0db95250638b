// Package judge has the items of the checklist of `throughline check`. Each item judges a
// description of a system. The package is pure.
package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// Status is the result of an item.
type Status string

// The statuses. Only a failed item sets exit code 1.
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
	Evidence string   `json:"evidence"`          // what was found, or why the item was skipped
	Details  []string `json:"details,omitempty"` // further findings
	Next     string   `json:"next,omitempty"`    // the next step
}

// Limits are the limits that items compare with. All are required.
type Limits struct {
	Size     int           // the limit of an event, in bytes
	Duration time.Duration // the limit of an invocation
	Hops     int           // more hops than this count as a loop
}

// Item is one line of the checklist and its check.
type Item struct {
	ID, Title string
	judge     func(*system.System, Limits) Result
}

// items is the checklist in the order of the report.
var items = []Item{
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
	{"newbus", "what new custom buses do that AWS does not document", unknowns},
}

// Items returns the items of the checklist, in order.
func Items() []Item { return slices.Clone(items) }

// Judge checks s with each item, or with those in only, which has IDs, if it is not
// empty. It omits the item on new custom buses for a system without one.
func Judge(s *system.System, l Limits, only []string) []Result {
	var results []Result
	for _, i := range items {
		if len(only) > 0 && !slices.Contains(only, i.ID) || len(only) == 0 && i.ID == "newbus" && !hasNewBus(s) {
			continue
		}
		r := i.judge(s, l)
		r.ID, r.Title = i.ID, i.Title
		results = append(results, r)
	}
	return results
}

func pass(format string, args ...any) Result {
	return Result{Status: Pass, Evidence: fmt.Sprintf(format, args...)}
}

func skip(next, format string, args ...any) Result {
	return Result{Status: Skip, Evidence: fmt.Sprintf(format, args...), Next: next}
}

// findings collects problems, the worst first.
type findings struct {
	bad, doubtful []string
}

func (f *findings) fail(format string, args ...any) {
	f.bad = append(f.bad, fmt.Sprintf(format, args...))
}

func (f *findings) warn(format string, args ...any) {
	f.doubtful = append(f.doubtful, fmt.Sprintf(format, args...))
}

// or returns good if there are no findings, else the findings with the next step.
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

// unread returns a skipped result if one of the parts could not be read.
func unread(s *system.System, parts ...system.Part) (Result, bool) {
	for _, p := range parts {
		if why := s.Unread[p]; why != "" {
			return skip("`throughline check policy` prints the permissions that it needs", "the %s could not be read: %s", p, why), true
		}
	}
	return Result{}, false
}

// window describes the time that was looked at.
func window(s *system.System) string {
	if s.Observed.Over == 0 {
		return s.Source
	}
	return "the last " + phrase.Duration(s.Observed.Over)
}
